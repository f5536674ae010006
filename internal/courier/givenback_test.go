package courier_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestRecallOfWhatWasGivenBack: what a partner gave back, and this node did not make,
// goes out of use by a RECALL of who made it, as far as that goes: not by what a
// partner sends as its own, and never what a file brought.
func TestRecallOfWhatWasGivenBack(t *testing.T) {
	t.Parallel()
	const id, first, second = stix.ID("indicator--0a0b0c0d-0002-4000-8000-000000000001"), "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"
	whole := message.RecallEntry{Object: id, Modified: second, Reason: message.RecallMistaken, Scope: message.RecallStopUse}
	upToFirst := whole
	upToFirst.Scope, upToFirst.Modified = message.RecallReMark, first
	for name, c := range map[string]struct {
		nobody bool   // it names no maker; otherwise the partner that recalls
		before bool   // a file had brought an earlier version
		after  string // what comes when it was given back: "partner" or "file"
		recall message.RecallEntry
		want   string // what is in use then
	}{
		"its maker takes it back":               {recall: whole},
		"somebody else does":                    {nobody: true, recall: whole, want: "returned"},
		"somebody sends it as its own":          {nobody: true, after: "partner", recall: whole, want: "returned"},
		"a file had brought one before":         {before: true, recall: whole, want: "file"},
		"a file brings the same later":          {after: "file", recall: whole, want: "file"},
		"its maker re-marks what was before it": {recall: upToFirst, want: "returned"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, giver := newThree(t, 91)
			by := fmt.Sprintf(`,"created_by_ref":%q`, p.b.ident)
			made := func(by, modified string) string {
				return strings.Replace(domain(id, "given", noroshi.Green, by), `"modified":"`+first, `"modified":"`+modified, 1)
			}
			maker := by
			if c.nobody {
				maker = ""
			}
			if c.before {
				p.a.bundle("before.json", made(maker, first))
			}
			p.start()
			giver.start()
			calm := func() bool {
				there, here := giver.link(), p.a.linkTo(giver)
				return here.Confirmed && here.OutApplied == here.OutHead && there.OutApplied == there.OutHead && len(here.Waiting)+len(there.Waiting) == 0
			}
			p.until("the links are confirmed", 20*time.Second, func() bool { return p.a.linkTo(p.b).Confirmed && calm() })
			at := p.a.copyOf()
			p.a.bundle("lost.json", made(maker, second))
			p.until("it is there", 20*time.Second, func() bool {
				r, err := giver.store.Current(t.Context(), id)
				return err == nil && r.Object.Modified.String() == second && calm()
			})
			p.a.putBack(at, true, true)
			p.until("it was given back", 20*time.Second, func() bool { return p.a.recovered() && calm() && strings.Contains(p.a.inUse(id), "returned") })
			switch c.after {
			case "file":
				p.a.bundle("again.json", made(maker, second))
			case "partner":
				p.a.brings(p.b, made(by, second))
			}
			if err := p.b.running().SendRecall(t.Context(), p.a.id(), []message.RecallEntry{c.recall}); err != nil {
				t.Fatal(err)
			}
			p.until("the RECALL was applied", 20*time.Second, func() bool {
				list, err := p.a.running().RecalledHere(t.Context())
				return err == nil && len(list) == 1
			})
			if got := p.a.inUse(id); got != c.want {
				t.Errorf("in use by %q, want %q", got, c.want)
			}
			p.intact()
		})
	}
}

// inUse names the sources of the versions of an object that are not withdrawn.
func (n *node) inUse(id stix.ID) string {
	n.t.Helper()
	list, err := n.store.Versions(n.t.Context(), id)
	if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
		n.t.Fatal(err)
	}
	var names []string
	for _, v := range list {
		name, _, _ := strings.Cut(v.Source.Name, " ")
		switch {
		case v.Withdrawn:
			continue
		case v.Source.Kind != noroshi.FromFile:
			name = string(v.Source.Kind)
		case v.Source.Returned == noroshi.NodeID{}:
			name = "file"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// brings has a partner bring an object, as a message of its own would.
func (n *node) brings(of *node, object string) {
	n.t.Helper()
	x, err := n.gate.Prepare(noroshi.Source{Kind: noroshi.FromPartner, Partner: of.id(), Message: noroshi.Hash{1}}, "link:"+string(of.sign),
		[]intake.Raw{{Bytes: []byte(object), Label: noroshi.Label{TLP: noroshi.Green}}})
	if err == nil {
		_, err = n.store.Do(n.t.Context(), noroshi.Act{Action: noroshi.ActReceive, Partner: of.id()}, func(tx *store.Tx) error {
			_, err := n.gate.Admit(tx, x)
			return err
		})
	}
	if err != nil {
		n.t.Fatal(err)
	}
}
