package nodetest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// derivations has a node make of an indicator all that says what it says: a
// translation, a rule's warning of a hit, and a person's warning that is about
// something else too.
func derivations(t *testing.T, p *nodetest.Party, id stix.ID, name string) (says []stix.ID, both stix.ID) {
	t.Helper()
	translation, now := stix.NewID("language-content"), stix.TimeOf(time.Now()).String()
	p.Import("translation.json", "tlp:green", strings.NewReader(fmt.Sprintf(`[{"type":"language-content","spec_version":"2.1","id":%q,
		"created":%q,"modified":%q,"object_ref":%q,"contents":{"ja":{"name":"名前 %s"}}}]`, translation, now, now, id, name)))
	seen, err := p.Node.Watch.Observe(t.Context(), "tap-1", []detect.Hit{{Indicator: id, Time: time.Now(), Strength: detect.Strong,
		Value: noroshi.Value{Kind: noroshi.DomainName, Text: name}}})
	if err != nil || len(seen.Warnings) != 1 {
		t.Fatalf("observed %+v, %v", seen, err)
	}
	words, err := p.Node.Store.Referrers(t.Context(), seen.Warnings[0], "", 10)
	if err != nil || len(words) != 1 {
		t.Fatalf("the warning has %d translations, %v", len(words), err)
	}
	own := p.Import("own.txt", "tlp:green", strings.NewReader("other-of-"+string(p.Sign[:3])+".example\n"))
	if own.New != 1 {
		t.Fatalf("%+v", own)
	}
	recs, err := p.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Run: own.Run, Limit: 1})
	if err != nil || len(recs) != 1 {
		t.Fatalf("%d of its own, %v", len(recs), err)
	}
	d := watch.Draft{ID: stix.NewID("report"), TitleEN: "t", TitleJA: "表", TextEN: "t", TextJA: "本", Severity: noroshi.High,
		Precedence: noroshi.Immediate, Action: "check", Refs: []stix.ID{id, recs[0].Object.ID}, Marking: "tlp:green"}
	by, err := p.Signed(t.Context(), "duty", noroshi.ActWarn, string(d.ID), d.Bound())
	if err != nil {
		t.Fatal(err)
	}
	p.Must("warning.new", web.NewWarning{Draft: d, By: by}, nil)
	p.Settle()
	return []stix.ID{translation, seen.Warnings[0], words[0]}, d.ID
}

// inUseAt reports which objects are in use at a node.
func inUseAt(t *testing.T, p *nodetest.Party, ids ...stix.ID) (list []stix.ID) {
	t.Helper()
	for _, id := range ids {
		if r, err := p.Node.Store.Current(t.Context(), id); err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			t.Fatalf("%s: %v", p.Sign, err)
		} else if err == nil && !r.Withdrawn {
			list = append(list, id)
		}
	}
	return list
}

// TestRecallOfWhatWasMadeOfIt: what a partner made of an object that is recalled
// (its warning of a hit, with its words) goes out of use there, at whom it passed
// that on to, and at the originator that had it back. The answer has one result
// for what was asked. A warning that is about something else too stays, and so
// does what a file brought.
func TestRecallOfWhatWasMadeOfIt(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	kor := nodetest.New(t, "KOR-01", noroshi.Real)
	nodetest.Ally(t, jpn, kor)
	usa.Import("list.txt", "tlp:green", strings.NewReader("relayed.example\n"))
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	id := only(t, usa)
	armed(jpn, id, true)
	says, both := derivations(t, jpn, id, "relayed.example")
	all, file := append(slices.Clone(says), both), says[0]
	says = says[1:]
	for _, p := range []*nodetest.Party{jpn, kor, usa} {
		p.Until("all is in use", func() (bool, error) { return len(inUseAt(t, p, all...)) == len(all), nil })
	}
	if _, err := recall(t, usa, "duty", id); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*nodetest.Party{jpn, kor, usa} {
		p.Until("what was made of it is out of use", func() (bool, error) { return len(inUseAt(t, p, says...)) == 0, nil })
		if got := inUseAt(t, p, both, file); len(got) != 2 {
			t.Errorf("%s: of a warning about something else and a file's translation in use: %v", p.Sign, got)
		}
	}
	usa.Until("the answer", func() (bool, error) {
		rows := slices.DeleteFunc(recalls(usa, true), func(r web.RecallRow) bool { return r.Direction == "came" })
		return len(rows) == 1 && rows[0].State == "confirmed" && rows[0].Found == 1 && rows[0].Onward == 1 && rows[0].Answered == 1, nil
	})
	for _, p := range []*nodetest.Party{usa, jpn, kor} {
		everybodyAnswered(p)
		p.Intact()
	}
}

// TestRecallOfOnesOwnWarning: who recalls an object of its own recalls its own
// warnings of hits on it, with their words, as it does translations.
func TestRecallOfOnesOwnWarning(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("list.txt", "tlp:green", strings.NewReader("mistaken.example\n"))
	usa.Settle()
	id := only(t, usa)
	says, both := derivations(t, usa, id, "mistaken.example")
	jpn.Until("all is in use", func() (bool, error) { return len(inUseAt(t, jpn, append(says, both)...)) == len(says)+1, nil })
	if _, err := recall(t, usa, "duty", id); err != nil {
		t.Fatal(err)
	}
	jpn.Until("out of use", func() (bool, error) { return len(inUseAt(t, jpn, says...)) == 0, nil })
	if got := inUseAt(t, usa, append(says, both)...); !slices.Equal(got, []stix.ID{both}) || len(inUseAt(t, jpn, both)) != 1 {
		t.Errorf("in use at USA-01: %v, want %s alone", got, both)
	}
	usa.Intact()
	jpn.Intact()
}
