package nodetest_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/cable"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// threefold is two allied nodes with https, mail and a line between them, each
// behind cables that are no faster than such ways are.
func threefold(t *testing.T) (usa, jpn *nodetest.Party, cut map[string][]*cable.Cable) {
	t.Helper()
	cut = map[string][]*cable.Cable{}
	lay := func(kind, to string, rate int, delay time.Duration) string {
		c, err := cable.Lay(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		c.Shape(rate, delay)
		t.Cleanup(c.Cut)
		cut[kind] = append(cut[kind], c)
		return c.From()
	}
	make := func(sign noroshi.CallSign, listen, mine, relay string, l node.LineConfig) *nodetest.Party {
		l.Name, l.Rate, l.Turn = "hf1", 500_000, 2*time.Millisecond
		address := "noroshi@" + strings.ToLower(string(sign)) + ".example"
		config := node.Config{CallSign: sign, Listen: listen, Heartbeat: time.Second, Lines: []node.LineConfig{l},
			Endpoints: []string{"https://" + lay("https", listen, 2<<20, time.Millisecond), "mailto:" + address},
			Mail:      node.MailConfig{From: address, Listen: mine, Relay: relay, Security: "none", Turn: time.Second}}
		if storetest.Engine() == storetest.Postgres {
			config.Store.DSN = storetest.DSN(t)
		}
		dir := filepath.Join(t.TempDir(), strings.ToLower(string(sign)))
		if err := node.Init(t.Context(), dir, config); err != nil {
			t.Fatal(err)
		}
		return nodetest.In(t, dir, sign, noroshi.Real)
	}
	atUSA, atJPN, modem := nodetest.Free(t), nodetest.Free(t), nodetest.Free(t)
	usa = make("USA-01", nodetest.Free(t), atUSA, lay("mail", atJPN, 1<<20, 2*time.Millisecond), node.LineConfig{Pipe: "listen:" + modem})
	jpn = make("JPN-01", nodetest.Free(t), atJPN, lay("mail", atUSA, 1<<20, 2*time.Millisecond), node.LineConfig{Pipe: "tcp:" + lay("line", modem, 62_500, 0)})
	if _, err := crew.Introduce(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
		t.Fatal(err)
	}
	var text string
	usa.Must("agreement.draft", web.DraftRef{With: jpn.Sign}, &text)
	text = strings.Replace(text, `channels = ["https"]`, `channels = ["https", "mail", "line"]`, 1)
	if _, err := crew.Sign(t.Context(), &usa.Crew, &jpn.Crew, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return usa, jpn, cut
}

// TestPathsAreCutInTurn: https, mail and a line between two nodes, of which one
// after the other is cut while messages go, until each was all that is left or not
// there. Nobody does anything about it: nothing is lost, each FLASH comes by what is
// left, every change of path is on record with its reason. The next way has a FLASH in
// the act of its first attempt: it waits for no other to fail, not a second of the
// ten that it may (TestSeeds holds those).
func TestPathsAreCutInTurn(t *testing.T) {
	t.Parallel()
	usa, jpn, cables := threefold(t)
	shown := func() (use, last string, states map[string]string) {
		t.Helper()
		var l courier.LinkStatus
		usa.Must("link.show", web.PartnerRef{Partner: "JPN-01"}, &l)
		states = map[string]string{}
		for _, p := range l.Paths {
			states[p.Channel] = p.State
		}
		return l.Channel, l.LastSwitch, states
	}
	uses := func(channel string) {
		t.Helper()
		usa.Until("path "+channel, func() (bool, error) { use, _, _ := shown(); return use == channel, nil })
	}
	usa.Until("all three answer", func() (bool, error) {
		use, _, s := shown()
		return use == "https" && s["https"] == "proven" && s["mail"] == "proven" && s["line:hf1"] == "proven", nil
	})
	sent, messages := 0, tier.N(60, 1000)
	bring := func(share int) {
		t.Helper()
		for ; sent < messages*share/6; sent++ {
			usa.Import(fmt.Sprintf("%d.txt", sent), "tlp:green", strings.NewReader(fmt.Sprintf("host-%d.example.net\n", sent)))
		}
	}
	var flashes []stix.ID
	down := map[string]bool{} // by kind
	for i, change := range []struct{ mend, by, cut, then string }{
		{"", "https", "https", "mail"}, {"", "mail", "mail", "line:hf1"}, {"https", "https", "line", "https"}, {"mail line", "https", "https", "mail"}, {"https", "https", "", "https"},
	} {
		bring(i + 1)
		for _, kind := range strings.Fields(change.mend) {
			for _, c := range cables[kind] {
				if err := c.Mend(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			down[kind] = false
		}
		uses(change.by)
		usa.Until("what is mended answers", func() (bool, error) {
			_, _, states := shown()
			return !strings.Contains(change.mend, "mail") || states["mail"] == "proven", nil
		})
		for _, c := range cables[change.cut] {
			c.Cut()
		}
		down[change.cut] = true
		before, err := usa.Node.Store.NextAct(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		flashes = append(flashes, flash(t, usa, i))
		usa.Until("the FLASH after "+change.cut, func() (bool, error) {
			_, err := jpn.Node.Store.Current(t.Context(), flashes[i])
			return err == nil, nil
		})
		by := cameBy(t, jpn, usa, flashes[i])
		if kind, _, _ := strings.Cut(by, ":"); down[kind] || cables[kind] == nil {
			t.Errorf("the FLASH after %s was cut is on record as come by %s", change.cut, by)
		}
		if first := firstWays(t, usa, flashes[i], before); !slices.Contains(first, change.then) {
			t.Errorf("the FLASH after %s was cut went first by %v, and by %s later", change.cut, first, change.then)
		}
		uses(change.then)
	}
	bring(6)
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	count := 0
	if err := jpn.Node.Store.Each(t.Context(), "indicator", 0, func(store.Record) error { count++; return nil }); err != nil {
		t.Fatal(err)
	}
	if want := messages + len(flashes); count != want {
		t.Errorf("%d indicators came, want %d", count, want)
	}
	var changes []string
	usa.Until("the last change is shown as it is on record", func() (bool, error) {
		_, last, _ := shown()
		var err error
		changes, err = pathChanges(t, usa)
		return err != nil || last == changes[len(changes)-1], err
	})
	left := changes
	// A late answer may have it go back by way of one that is cut. On a busy machine a
	// way that is cut may have been silent for too long before anything failed on it.
	for _, want := range []string{"> mail, (failed|silent)$", "> line:hf1, (failed|silent)$", "> https, better$", "> mail, (failed|silent)$", "> https, better$"} {
		i := slices.IndexFunc(left, regexp.MustCompile(want).MatchString)
		if i < 0 {
			t.Fatalf("changes on record: %q, %q is missing where it belongs", changes, want)
		}
		left = left[i+1:]
	}
	usa.Intact()
	jpn.Intact()
}

// cameBy is the channel that the message which brought an object is on record as
// come by first.
func cameBy(t *testing.T, at, from *nodetest.Party, id stix.ID) string {
	t.Helper()
	rec, err := at.Node.Store.Current(t.Context(), id)
	if err != nil || rec.Source.Message.IsZero() {
		t.Fatalf("%s has %s of message %s: %v", at.Sign, id, rec.Source.Message, err)
	}
	doc, err := at.Node.Store.Doc(t.Context(), "link", from.Node.Keys.NodeID().String())
	var lives struct{ Theirs []noroshi.NodeID } // one is written like a node
	if err == nil {
		err = json.Unmarshal(doc, &lives)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range lives.Theirs {
		for seq := uint64(1); ; {
			list, err := at.Node.Store.In(t.Context(), from.Node.Keys.NodeID(), e, seq, 500)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			for _, m := range list {
				if m.ID == rec.Source.Message {
					return m.Channel
				}
			}
			seq = list[len(list)-1].Seq + 1
		}
	}
	t.Fatalf("%s has %s of message %s, which is in no stream of %s", at.Sign, id, rec.Source.Message, from.Sign)
	return ""
}

// firstWays are the channels that a FLASH is on record as handed to within ten
// seconds of its first attempt, the first of a FLASH from an act on.
func firstWays(t *testing.T, p *nodetest.Party, id stix.ID, from uint64) []string {
	t.Helper()
	var d watch.Detail
	p.Must("warning.show", web.ObjectRef{ID: id}, &d)
	if len(d.Deliveries) != 1 {
		t.Fatalf("deliveries of %s: %+v", id, d.Deliveries)
	}
	ways, count := d.Deliveries[0].Ways, 0
	var first time.Time
	for _, e := range record(t, p.Node.Store)[from:] {
		if e.Act.Action != noroshi.ActAttempt || e.Act.Precedence != noroshi.Flash {
			continue
		}
		if first.IsZero() {
			first = e.Time
		}
		if e.Time.Sub(first) <= 10*time.Second {
			count += e.Act.Count
		}
	}
	if count == 0 {
		t.Fatalf("no attempt of %s is on record", id)
	}
	return ways[:min(count, len(ways))]
}

// flash has the duty officer send a FLASH that two officers let go.
func flash(t *testing.T, p *nodetest.Party, n int) stix.ID {
	t.Helper()
	p.Import(fmt.Sprintf("flash-%d.txt", n), "tlp:green", strings.NewReader(fmt.Sprintf("flash-%d.example.net\n", n)))
	recs, err := p.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 1})
	if err != nil || len(recs) != 1 {
		t.Fatalf("%d indicators: %v", len(recs), err)
	}
	d := watch.Draft{ID: stix.NewID("report"), TitleEN: "title", TitleJA: "表題", TextEN: "text", TextJA: "本文", Severity: noroshi.High,
		Precedence: noroshi.Flash, Action: "check", Refs: []stix.ID{recs[0].Object.ID}, Marking: "tlp:green"}
	by, err := p.Signed(t.Context(), "duty", noroshi.ActWarn, string(d.ID), d.Bound())
	if err != nil {
		t.Fatal(err)
	}
	p.Must("warning.new", web.NewWarning{Draft: d, By: by}, nil)
	if holds, _ := p.Approve(); holds == 0 {
		t.Fatal("a FLASH goes without two officers")
	}
	return d.ID
}
