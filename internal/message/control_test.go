package message_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

const recalled = "indicator--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c01"

func TestControlBodies(t *testing.T) {
	t.Parallel()
	e := message.Epoch{1, 2, 3}
	check := func(name string, got, want any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v (%v), want %+v", name, got, err, want)
		}
	}
	stones := []message.TombstoneBody{{Epoch: e, Seq: 4, ID: noroshi.Hash{1}, Reason: 2, SupersededBy: 9}, {Epoch: e, Seq: 5, Reason: 3}}
	gotStones, err := message.DecodeTombstones(message.EncodeTombstones(stones))
	check("tombstones", gotStones, stones, err)
	outcomes := []message.OutcomeBody{{Epoch: e, Seq: 1, Codes: []message.OutcomeCode{{Index: 999, Code: 5}}}}
	gotOutcomes, err := message.DecodeOutcomes(message.EncodeOutcomes(outcomes))
	check("outcomes", gotOutcomes, outcomes, err)
	for _, r := range noroshi.Roles {
		read := message.ReadBody{Epoch: e, Seq: 7, Role: r, Time: now}
		got, err := message.DecodeRead(message.EncodeRead(read))
		check("read", got, read, err)
	}
	for _, epoch := range []message.EpochBody{{Reason: message.FirstEpoch}, {Reason: message.RolledBack, Parents: []message.Parent{{Epoch: e, Seq: math.MaxUint64, Chain: noroshi.Hash{7}}}}} {
		got, err := message.DecodeEpoch(message.EncodeEpoch(epoch))
		check("epoch", got, epoch, err)
	}
	for _, want := range []message.Want{{Reason: 4}, {Reason: 1, Runs: []message.EpochRange{{Epoch: e, Range: message.Range{A: 1, B: math.MaxUint64}}}}} {
		got, err := message.DecodeWant(message.EncodeWant(want))
		check("want", got, want, err)
	}
	refuse, err := message.DecodeRefuse(message.EncodeRefuse(message.Refuse{Code: 5}))
	check("refuse", refuse, message.Refuse{Code: 5}, err)
	recall := []message.RecallEntry{{Object: recalled, Modified: "2026-01-02T03:04:05.123Z", Reason: message.RecallSpill, Scope: message.RecallDelete, Deadline: now},
		{Message: noroshi.Hash{1}, Object: "ipv4-addr--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c05", Reason: message.RecallRelabelled, Scope: message.RecallReMark}}
	gotRecall, err := message.DecodeRecall(message.EncodeRecall(recall))
	check("recall", gotRecall, recall, err)
	for _, done := range []message.RecallDoneBody{{Results: []message.RecallResult{{}}},
		{Recall: noroshi.Hash{9}, Results: []message.RecallResult{{Refusal: message.RefusedLaw, Found: 3, ActiveBefore: 2, ActiveAfter: 1, Onward: 2, Answered: 2}}, Until: now}} {
		got, err := message.DecodeRecallDone(message.EncodeRecallDone(done))
		check("recall done", got, done, err)
	}
	for _, s := range []message.State{{}, stateHeader()} {
		got, err := message.DecodeState(message.EncodeState(s))
		check("state", got, s, err)
	}
}

func TestControlBodiesRefused(t *testing.T) {
	t.Parallel()
	state := func(change func(*message.State)) error {
		s := stateHeader()
		s.In = slices.Clone(s.In)
		change(&s)
		_, err := message.DecodeState(message.EncodeState(s))
		return err
	}
	ranges := func(cum uint64, r ...message.Range) error {
		return state(func(s *message.State) { s.In[0].Cum, s.In[0].Ranges = cum, r })
	}
	open := func(o ...uint64) error { return state(func(s *message.State) { s.In[0].Open = o }) }
	tombstones := func(list ...message.TombstoneBody) error {
		_, err := message.DecodeTombstones(message.EncodeTombstones(list))
		return err
	}
	outcomes := func(list ...message.OutcomeBody) error {
		_, err := message.DecodeOutcomes(message.EncodeOutcomes(list))
		return err
	}
	read := func(r message.ReadBody) error { _, err := message.DecodeRead(message.EncodeRead(r)); return err }
	epoch := func(e message.EpochBody) error { _, err := message.DecodeEpoch(message.EncodeEpoch(e)); return err }
	recall := func(change func(*message.RecallEntry)) error {
		e := message.RecallEntry{Object: recalled, Reason: message.RecallMistaken, Scope: message.RecallStopUse}
		change(&e)
		_, err := message.DecodeRecall(message.EncodeRecall([]message.RecallEntry{e}))
		return err
	}
	recalls := func(list []message.RecallEntry) error {
		_, err := message.DecodeRecall(message.EncodeRecall(list))
		return err
	}
	done := func(list ...message.RecallResult) error {
		_, err := message.DecodeRecallDone(message.EncodeRecallDone(message.RecallDoneBody{Results: list}))
		return err
	}
	many := make([]message.Range, 257)
	for i := range many {
		many[i] = message.Range{A: uint64(10 + 2*i), B: uint64(10 + 2*i)}
	}
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"range touches cum", ranges(3, message.Range{A: 4, B: 5}), "message.form"},
		{"range under cum", ranges(3, message.Range{A: 2, B: 2}), "message.form"},
		{"ranges touch", ranges(3, message.Range{A: 5, B: 6}, message.Range{A: 7, B: 7}), "message.form"},
		{"ranges overlap", ranges(3, message.Range{A: 5, B: 9}, message.Range{A: 7, B: 11}), "message.form"},
		{"range falls", ranges(3, message.Range{A: 9, B: 8}), "message.form"},
		{"range from 0", ranges(0, message.Range{A: 0, B: 8}), "message.form"},
		{"range after the last number", ranges(math.MaxUint64, message.Range{A: 1, B: 1}), "message.form"},
		{"257 ranges", ranges(3, many...), "message.size"},
		{"open falls", open(5, 4), "message.form"},
		{"open twice", open(5, 5), "message.form"},
		{"open 0", open(0), "message.form"},
		{"257 open", open(slices.Sorted(slices.Values(seq(257)))...), "message.size"},
		{"epoch twice", state(func(s *message.State) { s.In = append(s.In, s.In[0]) }), "message.form"},
		{"17 epochs", state(func(s *message.State) { s.In = make([]message.InSet, 17) }), "message.size"},
		{"17 parents", state(func(s *message.State) { s.Out.Parents = make([]message.Epoch, 17) }), "message.size"},
		{"no tombstone", tombstones(), "message.size"},
		{"tombstone of 0", tombstones(message.TombstoneBody{Reason: 1}), "message.form"},
		{"tombstone reason", tombstones(message.TombstoneBody{Seq: 1, Reason: 4}), "message.form"},
		{"no outcome", outcomes(), "message.size"},
		{"outcome without codes", outcomes(message.OutcomeBody{Seq: 1}), "message.size"},
		{"outcome code", outcomes(message.OutcomeBody{Seq: 1, Codes: []message.OutcomeCode{{Code: 6}}}), "message.form"},
		{"outcome index", outcomes(message.OutcomeBody{Seq: 1, Codes: []message.OutcomeCode{{Index: 1000, Code: 1}}}), "message.form"},
		{"no recall", recalls(nil), "message.size"},
		{"1025 recalls", recalls(make([]message.RecallEntry, 1025)), "message.size"},
		{"recall of a text", recall(func(e *message.RecallEntry) { e.Object = "the plan is" }), "message.form"},
		{"recall of no id", recall(func(e *message.RecallEntry) { e.Object = "" }), "message.form"},
		{"recall with a text for a time", recall(func(e *message.RecallEntry) { e.Modified = "at noon" }), "message.form"},
		{"recall with a long time", recall(func(e *message.RecallEntry) { e.Modified = "2026-01-02T03:04:05." + strings.Repeat("1", 120) + "Z" }), "message.form"},
		{"recall reason 0", recall(func(e *message.RecallEntry) { e.Reason = 0 }), "message.form"},
		{"recall reason 6", recall(func(e *message.RecallEntry) { e.Reason = 6 }), "message.form"},
		{"recall scope 0", recall(func(e *message.RecallEntry) { e.Scope = 0 }), "message.form"},
		{"recall scope 4", recall(func(e *message.RecallEntry) { e.Scope = 4 }), "message.form"},
		{"recall deadline", recall(func(e *message.RecallEntry) { e.Deadline = now.AddDate(9000, 0, 0) }), "message.form"},
		{"no result of a recall", done(), "message.size"},
		{"recall refusal", done(message.RecallResult{Refusal: 5}), "message.form"},
		{"more in use than found", done(message.RecallResult{ActiveBefore: 1}), "message.form"},
		{"more in use now than found", done(message.RecallResult{ActiveAfter: 1}), "message.form"},
		{"more answers than told", done(message.RecallResult{Answered: 1}), "message.form"},
		{"free text for a role", read(message.ReadBody{Seq: 1, Role: "the plan is", Time: now}), "message.form"},
		{"read of 0", read(message.ReadBody{Role: noroshi.Duty, Time: now}), "message.form"},
		{"epoch reason", epoch(message.EpochBody{Reason: 5}), "message.form"},
		{"17 epoch parents", epoch(message.EpochBody{Reason: 1, Parents: make([]message.Parent, 17)}), "message.size"},
	} {
		t.Run(c.name, func(t *testing.T) { code(t, c.err, c.want) })
	}
}

func seq(n int) []uint64 {
	s := make([]uint64, n)
	for i := range s {
		s[i] = uint64(i + 1)
	}
	return s
}

func TestHeadersRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	content := message.EncodeObjects(objects(1))
	for _, c := range []struct {
		name   string
		change func(*message.Header)
	}{
		{"sequence 0", func(h *message.Header) { h.Seq = 0 }},
		{"kind 0", func(h *message.Header) { h.Kind = 0 }},
		{"kind of a statement", func(h *message.Header) { h.Kind = message.StateKind }},
		{"precedence 0", func(h *message.Header) { h.Prec = 0 }},
		{"precedence 5", func(h *message.Header) { h.Prec = 5 }},
		{"no label", func(h *message.Header) { h.Label = "" }},
		{"two labels", func(h *message.Header) { h.LabelRef = 1 }},
		{"long label", func(h *message.Header) { h.Label = string(make([]byte, 4097)) }},
		{"content without form", func(h *message.Header) { h.Form = 0 }},
		{"depends on itself", func(h *message.Header) { h.Deps = []uint64{9} }},
		{"depends on 0", func(h *message.Header) { h.Deps = []uint64{0} }},
		{"dependencies fall", func(h *message.Header) { h.Deps = []uint64{3, 2} }},
		{"17 dependencies", func(h *message.Header) { h.Seq, h.Deps = 100, seq(17) }},
		{"after year 9999", func(h *message.Header) { h.Created = now.AddDate(9000, 0, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := dataHeader(9)
			c.change(&h)
			_, err := message.Sign(p.a, p.context(), h, content)
			code(t, err, "message.form")
		})
	}
	h := dataHeader(9)
	_, err := message.Sign(p.a, p.context(), h, make([]byte, message.MaxContent+1))
	code(t, err, "message.form")
}

func TestStatementsRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	for _, c := range []struct {
		name    string
		counter uint64
		kind    message.Kind
		body    int
	}{
		{"counter 0", 0, message.StateKind, 1},
		{"kind of a message", 1, message.Data, 1},
		{"kind after the last", 1, 32, 1},
		{"body over 256 KiB", 1, message.StateKind, 256<<10 + 1},
	} {
		_, err := message.SignStatement(p.a, p.context(), c.counter, c.kind, now, make([]byte, c.body))
		code(t, err, "message.form")
	}
	ahead, err := message.SignStatement(p.a, p.context(), 1, message.RefuseKind, now.AddDate(0, 0, 2), nil)
	if err != nil || !ahead.Ahead(now) || ahead.Ahead(now.AddDate(0, 0, 1)) {
		t.Errorf("got ahead %v, %v", ahead.Ahead(now), err)
	}
	c := p.context()
	c.To, c.From = c.From, c.To
	_, err = message.SignStatement(p.a, c, 1, message.StateKind, now, nil)
	code(t, err, "message.context")
}

// What a later version may send is kept, and its parts can be seen.
func TestUnknownIsKept(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	for _, h := range []message.Header{
		{Seq: 1, Kind: 99, Prec: noroshi.Routine, Created: now, Form: 7},
		{Seq: 2, Kind: message.Data, Prec: noroshi.Routine, Created: now, Form: 7, LabelRef: 1},
	} {
		m := p.sign(t, h, []byte("of a form to come"))
		got, err := message.Unseal(p.b, p.in(), p.seal(t, message.Plain{Message: m}))
		if err != nil || got.Message.Header.LabelRef != h.LabelRef || got.Message.Header.Kind != h.Kind {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	h := dataHeader(1)
	h.TTL = 60
	m := p.sign(t, h, message.EncodeObjects(objects(1)))
	if m.Expired(now.Add(60e9)) || !m.Expired(now.Add(61e9)) {
		t.Error("a message expires when its time to live has passed")
	}
	if m.Ahead(now.AddDate(0, 0, -1)) || !m.Ahead(now.AddDate(0, 0, -1).Add(-1e9)) {
		t.Error("a message is ahead when made over a day after now")
	}
}

// A FLASH behind a gap is checked at once: the chain is not signed.
func TestChain(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	a, b := p.a.NodeID(), p.b.NodeID()
	start := message.ChainStart(p.realm, a, b, p.epoch)
	exercise, _ := noroshi.ParseRealm("exercise:x")
	for _, other := range []noroshi.Hash{message.ChainStart(p.realm, b, a, p.epoch), message.ChainStart(exercise, a, b, p.epoch), message.ChainStart(p.realm, a, b, message.Epoch{})} {
		if other == start {
			t.Error("two streams begin with one chain")
		}
	}
	x, y := noroshi.Hash{1}, noroshi.Hash{2}
	if message.ChainNext(message.ChainNext(start, x), y) == message.ChainNext(message.ChainNext(start, y), x) {
		t.Error("the chain does not know the order")
	}
}
