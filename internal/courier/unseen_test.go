package courier_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

const (
	openID   = stix.ID("indicator--0a0b0c0d-0000-4000-8000-000000000001")
	secretID = stix.ID("indicator--0a0b0c0d-0000-4000-8000-000000000002")
	theirsID = stix.ID("indicator--0a0b0c0d-0000-4000-8000-000000000003")
	sharedID = stix.ID("indicator--0a0b0c0d-0000-4000-8000-000000000005")
)

// domain is an indicator of a domain; more is further members.
func domain(id stix.ID, name string, level noroshi.TLP, more string) string {
	marks := ""
	if level != noroshi.NoTLP {
		marks = fmt.Sprintf(`,"object_marking_refs":[%q]`, level.MarkingID())
	}
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",
"pattern":"[domain-name:value = '%s.example.net']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"%s%s}`, id, name, marks, more)
}

// bundle imports objects: one as one message, of several an import that has to give
// way to others may make more.
func (n *node) bundle(name string, objects ...string) {
	n.t.Helper()
	text := `{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c09","objects":[` + strings.Join(objects, ",") + `]}`
	if _, err := n.gate.Import(n.t.Context(), strings.NewReader(text), intake.ImportOptions{Name: name}); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) withdraw(id stix.ID) {
	n.t.Helper()
	r := n.current(id)
	if _, err := n.store.Do(n.t.Context(), noroshi.Act{Action: noroshi.ActWithdraw, Subject: string(id)}, func(tx *store.Tx) error {
		return tx.Withdraw(id, r.Source.Owner())
	}); err != nil {
		n.t.Fatal(err)
	}
}

// transcript is all that A ever told B: the messages of its log with what is in
// them, what it says it has, and the objects B got. What is drawn at random is
// left out, and messages are named by their place.
func (p *pair) transcript() string {
	p.t.Helper()
	var b strings.Builder
	from := p.a.id()
	names := strings.NewReplacer(fmt.Sprintf("%x", p.a.id()), "A", fmt.Sprintf("%x", p.b.id()), "B")
	l := p.b.link()
	fmt.Fprintf(&b, "head %d, applied %d, missing %v, held %d; all receipted: %v\n", l.InHead, l.InApplied, l.Missing, l.Held, l.OutHead == l.OutApplied)
	var epochs [][16]byte
	for _, e := range p.a.record() {
		if e.Act.Action == noroshi.ActEpoch {
			id, err := hex.DecodeString(strings.TrimPrefix(e.Act.Subject, "epoch "))
			if err != nil {
				p.t.Fatal(err)
			}
			epochs = append(epochs, [16]byte(id))
		}
	}
	order := map[noroshi.Hash]int{}
	for _, epoch := range epochs {
		list, err := p.b.store.In(p.t.Context(), from, epoch, 1, 1000)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, in := range list {
			order[in.ID] = len(order) + 1
			m, err := message.DecodeSigned(noroshi.Real, in.Signed)
			if err != nil {
				p.t.Fatal(err)
			}
			fmt.Fprintf(&b, "%d kind %d prec %d label %q state %d: %s\n", in.Seq, in.Kind, in.Prec, m.Header.Label, in.State, p.control(message.Kind(in.Kind), in.Content))
		}
	}
	for _, typ := range []string{"indicator", "note", "report", "relationship"} {
		if err := p.b.store.Each(p.t.Context(), typ, 0, func(r store.Record) error {
			if r.Source.Kind == noroshi.FromPartner {
				fmt.Fprintf(&b, "message %d withdrawn %v: %s\n", order[r.Source.Message], r.Withdrawn, r.Object.Bytes())
			}
			return nil
		}); err != nil {
			p.t.Fatal(err)
		}
	}
	return names.Replace(b.String())
}

// control says what a control message says, without the ids of messages.
func (p *pair) control(k message.Kind, content []byte) string {
	var what any
	var err error
	switch k {
	case message.Outcome:
		var list []message.OutcomeBody
		if list, err = message.DecodeOutcomes(content); err == nil {
			for i := range list {
				list[i].Epoch = message.Epoch{}
			}
		}
		what = list
	case message.Recall:
		var list []message.RecallEntry
		list, err = message.DecodeRecall(content)
		for i := range list {
			list[i].Message = noroshi.Hash{}
		}
		what = list
	case message.RecallDone:
		var d message.RecallDoneBody
		d, err = message.DecodeRecallDone(content)
		d.Recall = noroshi.Hash{}
		what = d
	case message.Tombstone:
		var list []message.TombstoneBody
		if list, err = message.DecodeTombstones(content); err == nil {
			for i := range list {
				list[i].Epoch, list[i].ID = message.Epoch{}, noroshi.Hash{}
			}
		}
		what = list
	default:
		return fmt.Sprint(len(content), " bytes")
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprintf("%+v", what)
}

// TestNothingToldOfWhatIsWithheld is L1 on everything a node says: two nodes
// whose open part is the same, one with nothing else and one full of what the
// partner may not see, tell it the same through imports, withdrawals, what the
// partner sends them under an id they hold themselves, and its recalls, of what
// this node has warned of too: the same messages, outcomes, receipts, heads and
// answers.
func TestNothingToldOfWhatIsWithheld(t *testing.T) {
	t.Parallel()
	tell := func(secrets bool) string {
		p := newPair(t, 31, 0, 0)
		p.start()
		settled := func(what string, ok func() bool) {
			t.Helper()
			p.until(what, 20*time.Second, func() bool { return ok() && p.settled() })
		}
		settled("the link", func() bool { return true })
		open := []string{domain(openID, "open", noroshi.Green, "")}
		if secrets {
			open = append(open, domain(secretID, "secret", noroshi.Red, ""), domain(theirsID, "ours", noroshi.Red, `,"name":"ours"`),
				domain("indicator--0a0b0c0d-0000-4000-8000-000000000009", "unmarked", noroshi.NoTLP, ""),
				fmt.Sprintf(`{"type":"note","spec_version":"2.1","id":"note--0a0b0c0d-0000-4000-8000-000000000004","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","content":"secret","object_refs":[%q,%q],"object_marking_refs":[%q]}`,
					openID, theirsID, noroshi.Red.MarkingID()),
				`{"type":"indicator","id":"nonsense"}`)
		}
		if secrets {
			p.a.bundle("third.json", domain(sharedID, "shared", noroshi.Red, `,"name":"a third source's"`))
		}
		p.a.bundle("a.json", open...)
		settled("what is open", func() bool { return p.b.count("indicator") == 1 })
		if secrets {
			p.a.withdraw(secretID)
		}
		p.b.bundle("b.json", domain(theirsID, "theirs", noroshi.Green, ""))
		settled("what is theirs", func() bool { return p.a.link().InApplied == 2 })
		p.b.bundle("b-secret.json", domain(secretID, "secret", noroshi.Green, `,"name":"theirs"`))
		settled("what is theirs too", func() bool { return p.a.link().InApplied == 3 })
		p.b.recall(p.b.running(), theirsID, message.RecallStopUse)
		settled("the answer", func() bool { return p.b.to().Answer != nil })
		p.b.bundle("shared.json", domain(sharedID, "shared", noroshi.Green, ""))
		settled("what a third source has too", func() bool { return p.a.has(sharedID, p.b) })
		warning := p.a.warn(1, sharedID)
		settled("the warning of it", func() bool { return p.b.count("report") == 1 })
		p.b.recall(p.b.running(), sharedID, message.RecallStopUse)
		settled("the recall of the warning", func() bool {
			list, err := p.b.running().Recalls(t.Context())
			return err == nil && !slices.ContainsFunc(list, courier.RecallState.Open) && p.b.current(warning).Withdrawn
		})
		p.a.withdraw(openID)
		for i := range 2 {
			p.a.bundle(fmt.Sprintf("rest-%d.json", i), domain(stix.ID(fmt.Sprintf("indicator--0a0b0c0d-0000-4000-8000-00000000001%d", i)), fmt.Sprintf("host-%d", i+1), noroshi.Green, ""))
			settled("the rest", func() bool { return p.b.count("indicator") == 2+i })
		}
		if secrets && p.a.current(secretID).Object == nil {
			t.Error("the secret is not there")
		}
		return p.transcript()
	}
	bare, full := tell(false), tell(true)
	if bare != full {
		t.Errorf("what is told depends on what is withheld:\n%s\nand with it:\n%s", bare, full)
	}
	for _, w := range []string{"ActiveBefore:1", "report--", "host-2.example.net", "open.example.net"} {
		if !strings.Contains(bare, w) {
			t.Errorf("nothing was told of %s:\n%s", w, bare)
		}
	}
}

// warn has a node warn of objects, as it does of itself.
func (n *node) warn(number int, refs ...stix.ID) stix.ID {
	n.t.Helper()
	id := stix.ID(fmt.Sprintf("report--00000000-0000-4000-8000-%012d", number))
	raw := intake.Raw{Bytes: fmt.Appendf(nil, `{"type":"report","spec_version":"2.1","id":%q,"created_by_ref":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",
			"published":"2026-01-01T00:00:00Z","name":"seen","object_refs":["%s"],"object_marking_refs":[%q]}`, id, n.ident, joined(refs), noroshi.Green.MarkingID())}
	prepared, err := n.gate.Prepare(noroshi.Source{Kind: noroshi.FromSelf}, "", []intake.Raw{raw})
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.store.Do(n.t.Context(), noroshi.Act{Action: noroshi.ActObserve, Subject: string(id)}, func(tx *store.Tx) error {
		_, err := n.gate.Admit(tx, prepared)
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
	return id
}

func joined(ids []stix.ID) string {
	var list []string
	for _, id := range ids {
		list = append(list, string(id))
	}
	return strings.Join(list, `","`)
}
