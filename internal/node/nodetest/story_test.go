package nodetest_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

const testdata = "../../../testdata/"

// bundles are the real STIX files, as they were published.
var bundles = []string{"indicators/stix/rcs.json", "indicators/stix/kingspawn.json", "indicators/stix/candiru.json",
	"indicators/stix/wyrmspy_dragonegg.json", "indicators/stix/pegasus.json.gz", "attack/ics-attack-18.1.json.gz"}

// odd is what reports from the field contain and other tools lose.
const odd = `{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c01","objects":[
{"type":"malware","spec_version":"2.1","id":"malware--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c02","created":"2026-01-01T00:00:00.1234567890123Z","modified":"2026-01-01T00:00:00.1234567890124Z","name":"給電指令の破壊 \u2028","is_family":false,"x_big":123456789012345678901234567890, "x_exp":1.0E+2,"x_null":[null,{"a":[]}],
  "extensions":{"extension-definition--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c03":{"extension_type":"property-extension","深さ":{"値":-0.0}}}},
{"type":"x-unknown-thing","spec_version":"2.1","id":"x-unknown-thing--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c04","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","x_free":"\ud83d\udd25"},
{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c05","value":"192.0.2.9"}
]}`

// TestEveryObject: every real STIX object goes through the store, over messages
// and out again at the partner byte for byte equal.
func TestEveryObject(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	want := map[stix.ID]string{}
	for _, name := range bundles {
		body := unpacked(t, name)
		usa.Import(filepath.Base(name), "tlp:clear", bytes.NewReader(body))
		remember(t, want, body)
	}
	usa.Import("odd.json", "tlp:clear", strings.NewReader(odd))
	remember(t, want, []byte(odd))
	if len(want) != 3873+1826+3 {
		t.Fatalf("%d objects in the files", len(want))
	}
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	for id, bytes := range want {
		r, err := jpn.Node.Store.Current(t.Context(), id)
		if err != nil {
			h, _ := usa.Node.Store.Current(t.Context(), id)
			o, why, _ := usa.Node.Desk.Explain(t.Context(), h.Seq, jpn.Node.Keys.NodeID())
			t.Fatalf("%v; USA-01 says %s: %+v", err, o, why)
		}
		if got := string(r.Object.Bytes()); got != bytes {
			t.Fatalf("%s came as\n%s\nwant\n%s", id, got, bytes)
		}
	}
	usa.Intact()
	jpn.Intact()
}

// TestViews: what may not go is cut out and the rest arrives as a view under
// the same id; when more may go a later view takes its place; both records
// verify and name every view.
func TestViews(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("held.tsv", "tlp:amber", strings.NewReader("domain-name\tviews.example\n"))
	var held stix.ID
	if err := usa.Node.Store.Each(t.Context(), "indicator", 0, func(r store.Record) error { held = r.Object.ID; return nil }); err != nil {
		t.Fatal(err)
	}
	const secret = "from a source nobody may know"
	const times = `"spec_version":"2.1","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z"`
	green := fmt.Sprintf(`"object_marking_refs":[%q]`, noroshi.Green.MarkingID())
	tool := `{"type":"tool","id":"tool--00000000-0000-4000-8000-0000000000d1",` + times + `,"name":"probe","description":"` + secret + `",` +
		fmt.Sprintf(`"granular_markings":[{"marking_ref":%q,"selectors":["description"]},{"lang":"en","selectors":["name","description"]}],`, noroshi.Red.MarkingID()) + green + `}`
	text := `{"type":"language-content","id":"language-content--00000000-0000-4000-8000-0000000000d2",` + times +
		`,"object_ref":"tool--00000000-0000-4000-8000-0000000000d1","contents":{"ja":{"name":"探針","description":"` + secret + `"}},` + green + `}`
	report := fmt.Sprintf(`{"type":"report","id":"report--00000000-0000-4000-8000-0000000000d3",`+times+`,"name":"r","published":"2026-01-01T00:00:00Z","object_refs":[%q,"tool--00000000-0000-4000-8000-0000000000d1"],`, held) + green + `}`
	usa.Import("views.json", "", strings.NewReader("["+tool+","+text+","+report+"]"))
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	at := func(id stix.ID) store.Record {
		t.Helper()
		r, err := jpn.Node.Store.Current(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := at("report--00000000-0000-4000-8000-0000000000d3")
	if got := string(first.Object.Bytes()); first.View != 1 || strings.Contains(got, string(held)) || !strings.Contains(got, `"object_refs":["tool--`) {
		t.Errorf("view %d is %s", first.View, got)
	}
	cut := at("tool--00000000-0000-4000-8000-0000000000d1")
	if got := string(cut.Object.Bytes()); cut.View != 1 || strings.Contains(got, "description") || !strings.Contains(got, `{"lang":"en","selectors":["name"]}`) {
		t.Errorf("view %d is %s", cut.View, got)
	}
	if got := string(at("language-content--00000000-0000-4000-8000-0000000000d2").Object.Bytes()); strings.Contains(got, "description") || !strings.Contains(got, "探針") {
		t.Errorf("the translation is %s", got)
	}
	usa.Approve()
	nodetest.Whole(t, usa, jpn)
	jpn.Until("the whole report", func() (bool, error) {
		r := at("report--00000000-0000-4000-8000-0000000000d3")
		return r.View == 2 && string(r.Object.Bytes()) == report, nil
	})
	usa.Intact()
	jpn.Intact()
	jpn.Stop()
	usa.Stop()
	search(t, jpn.Dir, []string{secret})
}

// TestUnmarkedStays: the same import without a marking sends nothing and shows
// one grouped hold for each file.
func TestUnmarkedStays(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	body := unpacked(t, "indicators/stix/candiru.json")
	usa.Import("candiru.json", "", bytes.NewReader(body))
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	var holds []web.HoldRow
	usa.Must("release.list", web.HoldRef{}, &holds)
	if len(holds) != 1 || holds[0].Count != 251 || holds[0].Key != noroshi.Unmarked {
		t.Errorf("holds %+v, want one of 251 unmarked objects", holds)
	}
	came, err := jpn.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 10})
	if err != nil || len(came) != 0 {
		t.Errorf("JPN-01 has %d indicators (%v), want none", len(came), err)
	}
	if _, _, err := usa.ApproveHolds(t.Context()); err == nil {
		t.Error("an unmarked hold was approved")
	}
}

// TestHeldList: a list is imported, held as one item for the partner, approved
// with two signatures, and arrives; few ledger entries.
func TestHeldList(t *testing.T) {
	t.Parallel()
	entries := tier.N(5_000, 100_000)
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	var list bytes.Buffer
	for i := range entries {
		fmt.Fprintf(&list, "host-%06d.example\n", i)
	}
	before := acts(t, usa)
	usa.Import("list.txt", "tlp:amber", &list)
	holds, count := usa.Approve()
	if holds != 1 || count != entries {
		t.Errorf("%d holds with %d objects, want one with %d", holds, count, entries)
	}
	nodetest.Whole(t, usa, jpn)
	jpn.Until("armed", func() (bool, error) { return jpn.Node.Index.Stats().Indicators == entries, nil })
	if n, most := acts(t, usa)-before, tier.N(60, 500); n >= most {
		t.Errorf("%d ledger entries for %d objects, want fewer than %d", n, entries, most)
	} else {
		t.Logf("%d objects: %d ledger entries at USA-01, %d at JPN-01", entries, n, acts(t, jpn))
	}
	usa.Intact()
	jpn.Intact()
}

// TestDecidedAndWithdrawn: what a person asks about one indicator says where it
// stands. A decided hold can be looked at, and who withdraws something is told
// which partner has it all the same. The partner cannot withdraw it.
func TestDecidedAndWithdrawn(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("list.txt", "tlp:amber", strings.NewReader("withdrawn.example\n"))
	usa.Settle()
	var holds []web.HoldRow
	usa.Must("release.list", web.HoldRef{}, &holds)
	var found web.Found
	usa.Must("indicator.find", web.FindRef{Query: "withdrawn.example"}, &found)
	if len(holds) != 1 || len(found.Data) != 1 {
		t.Fatalf("%d holds, %d indicators", len(holds), len(found.Data))
	}
	id := found.Data[0].ID
	withdraw := func(p *nodetest.Party) (w web.Withdrawn, err error) {
		t.Helper()
		var d web.ObjectDetail
		p.Must("indicator.show", web.ObjectRef{ID: id}, &d)
		if d.Marking != "TLP:AMBER" {
			t.Errorf("marking %q", d.Marking)
		}
		by, err := p.Signed(t.Context(), "duty", noroshi.ActWithdraw, string(id), d.Hash)
		if err != nil {
			t.Fatal(err)
		}
		return w, p.Do(t.Context(), "indicator.withdraw", web.SignedRef{Subject: string(id), By: by}, &w)
	}
	usa.Approve()
	nodetest.Whole(t, usa, jpn)
	var d web.HoldDetail
	usa.Must("release.show", web.HoldRef{Hold: holds[0].ID}, &d)
	if d.State != store.HoldApproved || d.Digest != (noroshi.Hash{}) {
		t.Errorf("the decided hold is %s, to be signed %s", d.State, d.Digest)
	}
	_, err := withdraw(jpn)
	if r, _ := jpn.Node.Store.Current(t.Context(), id); noroshi.KindOf(err) != noroshi.Refused || r.Withdrawn {
		t.Errorf("%s withdraws what %s sent: %v, want Refused", jpn.Sign, usa.Sign, err)
	}
	if w, err := withdraw(usa); err != nil || len(w.Released) != 1 || w.Released[0] != jpn.Sign {
		t.Errorf("withdrawn, and %v have it, want %s (%v)", w.Released, jpn.Sign, err)
	}
}

// TestNextAgreement: a draft can take the place of the agreement in force.
func TestNextAgreement(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	var text string
	jpn.Must("agreement.draft", web.DraftRef{With: usa.Sign}, &text)
	a, err := noroshi.ParseAgreement([]byte(text))
	if err != nil || a.Version != 2 {
		t.Fatalf("drafted version %d, %v; want 2", a.Version, err)
	}
	if _, err := crew.Sign(t.Context(), &jpn.Crew, &usa.Crew, []byte(text)); err != nil {
		t.Fatal(err)
	}
	usa.Import("list.txt", "tlp:green", strings.NewReader("next.example\n"))
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	jpn.Until("armed", func() (bool, error) { return jpn.Node.Index.Stats().Indicators == 1, nil })
}

// TestRestoredNodeSaysSo: a node put back to an earlier state is found out by its
// partner, loses nothing once an officer has said so, and the status of both tells.
func TestRestoredNodeSaysSo(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	share := func(value string) {
		usa.Import(value, "tlp:green", strings.NewReader(value+"\n"))
		usa.Settle()
		nodetest.Whole(t, usa, jpn)
	}
	share("one.example")
	usa.Stop()
	restore := usa.Backup()
	usa.Start()
	share("two.example")
	usa.Stop()
	restore()
	usa.Start()
	alarmed := func(p, partner *nodetest.Party, code string) {
		var s web.Status
		p.Until("alarm "+code, func() (bool, error) {
			p.Must("status", nil, &s)
			return slices.ContainsFunc(s.Alarms, func(a web.Alarm) bool { return a.Code == code && a.Partner == partner.Sign }), nil
		})
	}
	alarmed(usa, jpn, "rolled-back")
	alarmed(jpn, usa, "peer-restored")
	// An officer says that it was put back, and no key stolen.
	partner := jpn.Node.Keys.NodeID()
	by, err := usa.Signed(t.Context(), "release1", noroshi.ActGoOn, partner.String(), courier.GoOnBound(partner, true))
	if err != nil {
		t.Fatal(err)
	}
	usa.Must("link.go-on", web.GoOnRef{Partner: partner, TakeBack: true, By: by}, nil)
	share("three.example")
	jpn.Until("armed", func() (bool, error) { return jpn.Node.Index.Stats().Indicators == 3, nil })
}

// drillBundle is an indicator with the exercise marking, beside a handling one.
const drillBundle = `{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c11","objects":[
{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c12","created":"2026-01-01T00:00:00.000Z","extensions":{"extension-definition--4d03630f-a267-5d7f-be48-4682a29d5de9":{"extension_type":"property-extension","exercise_id":"keen-edge"}}},
{"type":"indicator","spec_version":"2.1","id":"indicator--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c13","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"[domain-name:value = 'drill-only.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb","marking-definition--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c12"]}]}`

// TestRealms: a real and an exercise realm of the same two organisations run
// side by side; nothing crosses.
func TestRealms(t *testing.T) {
	t.Parallel()
	drill, err := noroshi.ParseRealm("exercise:keen-edge")
	if err != nil {
		t.Fatal(err)
	}
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usaX, jpnX := nodetest.In(t, usa.Dir, "USA-01", drill), nodetest.In(t, jpn.Dir, "JPN-01", drill)
	nodetest.Ally(t, usaX, jpnX)
	usa.Import("real.txt", "tlp:green", strings.NewReader("real-only.example\n"))
	usaX.Import("drill.json", "", strings.NewReader(drillBundle))
	for _, p := range []*nodetest.Party{usa, usaX} {
		p.Settle()
	}
	nodetest.Whole(t, usa, jpn)
	nodetest.Whole(t, usaX, jpnX)
	for _, c := range []struct {
		p    *nodetest.Party
		name string
		want int
	}{{jpn, "real-only.example", 1}, {jpn, "drill-only.example", 0}, {jpnX, "drill-only.example", 1}, {jpnX, "real-only.example", 0}} {
		var f web.Found
		c.p.Must("indicator.find", web.FindRef{Query: c.name}, &f)
		if len(f.Data) != c.want {
			t.Errorf("%s in %s: %d found, want %d", c.name, c.p.Node.Realm, len(f.Data), c.want)
		}
	}
	if usa.Node.Keys.NodeID() == usaX.Node.Keys.NodeID() {
		t.Error("the exercise realm has the real realm's keys")
	}
	// A card of the exercise realm handed in to the real one is refused.
	card, err := usaX.Card(t.Context(), "JPN-01")
	if err != nil {
		t.Fatal(err)
	}
	by, err := jpn.Signed(t.Context(), "liaison", noroshi.ActIntroduce, "receive", noroshi.Sum(card))
	if err != nil {
		t.Fatal(err)
	}
	if err := jpn.Do(t.Context(), "partner.receive", web.ReceiveRef{Card: card, By: by}, nil); err == nil {
		t.Error("the real realm took a card of an exercise")
	}
}

func acts(t *testing.T, p *nodetest.Party) int { return len(record(t, p.Node.Store)) }

func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(testdata + name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(name, ".gz") {
		return b
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return b
}

// remember notes the exact bytes of every object of a bundle.
func remember(t *testing.T, want map[stix.ID]string, bundle []byte) {
	t.Helper()
	r := stix.NewReader(bytes.NewReader(bundle))
	for {
		item, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil || item.Err != nil {
			t.Fatal(err, item.Err)
		}
		want[item.Object.ID] = string(item.Raw)
	}
}
