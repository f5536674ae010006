package nodetest_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestWhereItWasSeen: a partner gets a sighting with sector, region and hour; one
// whose agreement lets neither go gets it without, and knows no word of them.
// Nobody gets a word of the sensor or of who asked.
func TestWhereItWasSeen(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "jpn")
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "JPN-01", Tokens: []string{"JPN.MOD"},
		Sighting: node.SightingConfig{Sectors: []string{"energy"}, Region: "eastern-asia"}}); err != nil {
		t.Fatal(err)
	}
	jpn := nodetest.In(t, dir, "JPN-01", noroshi.Real)
	usa, kor := nodetest.New(t, "USA-01", noroshi.Real), nodetest.New(t, "KOR-01", noroshi.Real)
	nodetest.Ally(t, jpn, usa)
	if _, err := crew.Introduce(t.Context(), &jpn.Crew, &kor.Crew); err != nil {
		t.Fatal(err)
	}
	var text string
	jpn.Must("agreement.draft", web.DraftRef{With: kor.Sign, Days: 30}, &text)
	text = strings.Replace(text, "suites = ", "types = [\"indicator\", \"sighting\"]\nsuites = ", 1)
	if _, err := crew.Sign(t.Context(), &jpn.Crew, &kor.Crew, []byte(text)); err != nil {
		t.Fatal(err)
	}

	jpn.Import("list.txt", "tlp:green", strings.NewReader("seen.example\n"))
	recs, err := jpn.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 1})
	if err != nil || len(recs) != 1 {
		t.Fatalf("%d indicators, %v", len(recs), err)
	}
	if err := jpn.Armed(t.Context(), recs[0].Object.ID); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-30 * time.Minute)
	seen, err := jpn.Node.Watch.Observe(t.Context(), "zz-canary-sensor", []detect.Hit{{Indicator: recs[0].Object.ID,
		Value: noroshi.Value{Kind: noroshi.DomainName, Text: "seen.example"}, Observed: "zz-canary-host.seen.example", Field: "zz-canary-field",
		Strength: detect.Strong, Time: at, Log: "zz-canary-log"}})
	if err != nil || len(seen.Sightings) != 1 {
		t.Fatalf("%+v, %v", seen, err)
	}
	jpn.Settle()
	nodetest.Whole(t, jpn, usa)
	nodetest.Whole(t, jpn, kor)

	hour := stix.TimeOf(at.UTC().Truncate(time.Hour)).String()
	came := func(p *nodetest.Party) (where []*stix.Object) {
		t.Helper()
		r, err := p.Node.Store.Current(t.Context(), seen.Sightings[0])
		if err != nil {
			t.Fatalf("%s: %v", p.Sign, err)
		}
		if first, last := r.Object.Text("first_seen"), r.Object.Text("last_seen"); first != hour || last != hour {
			t.Errorf("%s: seen from %s to %s, want the hour %s", p.Sign, first, last, hour)
		}
		for _, ref := range r.Object.Refs() {
			if !strings.HasPrefix(ref.Path, "where_sighted_refs") {
				continue
			}
			x, err := p.Node.Store.Current(t.Context(), ref.Target)
			if err != nil {
				t.Fatalf("%s: %v", p.Sign, err)
			}
			where = append(where, x.Object)
		}
		return where
	}
	where := came(usa)
	if len(where) != 2 || string(where[0].Property("sectors")) != `["energy"]` || where[1].Text("region") != "eastern-asia" {
		t.Errorf("USA-01 learns %v", where)
	}
	if where := came(kor); len(where) != 0 {
		t.Errorf("KOR-01 learns %v", where)
	}
	jpn.Intact()
	usa.Intact()
	usa.Stop()
	kor.Stop()
	words := []string{"zz-canary", "zz-Canary"}
	search(t, usa.Dir, words)
	search(t, kor.Dir, slices.Concat(words, []string{`"eastern-asia"`, `"energy"`, "where_sighted_refs", string(where[0].ID), string(where[1].ID)}))
}

// TestWhereIsToldBefore: in the real realm as in an exercise a partner learns of
// a class of organisations and a region though nothing was seen, and a sighting
// it may not have changes nothing of that.
func TestWhereIsToldBefore(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"real", "exercise:ex-1"} {
		realm, err := noroshi.ParseRealm(name)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "jpn")
		if err := node.Init(t.Context(), dir, node.Config{CallSign: "JPN-01", Sighting: node.SightingConfig{Sectors: []string{"energy"}, Region: "eastern-asia"}}); err != nil {
			t.Fatal(err)
		}
		jpn, usa := nodetest.In(t, dir, "JPN-01", realm), nodetest.New(t, "USA-01", realm)
		nodetest.Ally(t, jpn, usa)
		jpn.Settle()
		nodetest.Whole(t, jpn, usa)
		came := func() (list []string) {
			t.Helper()
			recs, err := usa.Node.Store.List(t.Context(), store.Filter{Limit: store.MaxPage})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range recs {
				if r.Source.Kind == noroshi.FromPartner && (r.Object.Text("region") != "" || r.Object.Property("sectors") != nil) {
					list = append(list, string(r.Object.ID))
				}
			}
			return list
		}
		var before []string
		usa.Until(name+": a class and a region", func() (bool, error) {
			before = came()
			return len(before) == 2, nil
		})
		jpn.Import("list.txt", "tlp:red", strings.NewReader("seen.example\n"))
		recs, err := jpn.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 1})
		if err != nil || len(recs) != 1 {
			t.Fatalf("%d indicators, %v", len(recs), err)
		}
		seen, err := jpn.Node.Watch.Observe(t.Context(), "sensor", []detect.Hit{{Indicator: recs[0].Object.ID,
			Value: noroshi.Value{Kind: noroshi.DomainName, Text: "seen.example"}, Strength: detect.Strong, Time: time.Now(), Log: "log"}})
		if err != nil || len(seen.Sightings) != 1 {
			t.Fatalf("%+v, %v", seen, err)
		}
		jpn.Settle()
		nodetest.Whole(t, jpn, usa)
		if after := came(); !slices.Equal(after, before) {
			t.Errorf("%s: with a sighting that stays here %v, without %v", name, after, before)
		}
	}
}
