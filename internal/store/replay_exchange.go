package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

func (p *replay) setSpans(kind int, partner noroshi.NodeID, list []span, val int64) {
	k := spanKey{kind, partner}
	for _, r := range list {
		p.spans[k] = p.spans[k].set(r.lo, r.hi, val)
	}
}

func (p *replay) hold(s *scan, at int64) error {
	id := s.text("hold")
	h := p.holds[id]
	switch s.int("what") {
	case holdPut:
		var body holdBody
		rows, err := unpackMembers(s.bytes("members"))
		if err != nil || json.Unmarshal(s.bytes("body"), &body) != nil {
			return nil
		}
		if h == nil {
			h = &holdState{n: int64(len(p.holds) + 1), partner: body.Partner}
			p.holds[id] = h
			p.holdIDs = append(p.holdIDs, id)
		}
		if h.state != HoldOpen {
			h.state, h.opened, h.members = HoldOpen, at, 0
		}
		h.body = noroshi.Sum(s.bytes("body"))
		h.members += int64(len(rows))
		list := runs(sequences(rows))
		p.lose(body.Partner, list)
		p.setSpans(spanHeld, body.Partner, list, h.n)
	case holdClose:
		if h == nil {
			return nil
		}
		h.state = s.text("body")
		val := int64(0)
		if h.state == HoldReturned {
			val = -h.n
		}
		var own []span
		for _, x := range p.spans[spanKey{spanHeld, h.partner}] {
			if x.val == h.n {
				own = append(own, x)
			}
		}
		p.setSpans(spanHeld, h.partner, own, val)
	case holdDrop:
		list, err := unpackRuns(s.bytes("members"))
		if err != nil {
			return nil
		}
		var partner noroshi.NodeID
		copy(partner[:], s.bytes("body"))
		p.lose(partner, list)
		p.setSpans(spanHeld, partner, list, 0)
	case holdTaken:
		list, err := unpackRuns(s.bytes("members"))
		if err != nil {
			return nil
		}
		var partner noroshi.NodeID
		copy(partner[:], s.bytes("body"))
		p.setSpans(spanReleased, partner, list, 0)
	}
	return nil
}

// lose counts versions out of the holds they wait in, as Tx.lose does.
func (p *replay) lose(partner noroshi.NodeID, list []span) {
	have := p.spans[spanKey{spanHeld, partner}]
	for _, r := range list {
		for q := r.lo; q <= r.hi; q++ {
			val := have.at(q)
			if val == 0 {
				continue
			}
			h := p.holds[p.holdIDs[max(val, -val)-1]]
			if val > 0 && h.state == HoldOpen || val < 0 && h.state == HoldReturned {
				h.members--
			}
		}
	}
}

func (a *Approval) key() string {
	return fmt.Sprintf("%q %q %x %x", a.Hold, a.Person, a.Digest, a.Signature)
}

// approval takes an approval, and checks it.
func (p *replay) approval(s *scan, at int64, fault report) {
	a := Approval{Hold: s.text("hold"), Person: s.text("person"), Signature: slices.Clone(s.bytes("signature"))}
	copy(a.Digest[:], s.bytes("digest"))
	p.signed[a.key()] = true
	if err := p.counts(&a, at); err != nil {
		fault(s.act, "batch-signature", "hold", s.t.name, "hold %s: the approval of %s: %v", a.Hold, a.Person, err)
	}
}

// counts says why an approval does not count at a time, by the register as it was
// then: who has lost the passkey, the role or their place by then lets nothing go.
func (p *replay) counts(a *Approval, at int64) error {
	signed := noroshi.Signed{Person: a.Person, Digest: a.Digest, Signature: a.Signature}
	return p.persons.At(a.Person, fromMicros(at)).Check(signed, noroshi.ActApprove, a.Digest)
}

func (p *replay) batch(s *scan, at int64, fault report) {
	b := &batchState{n: s.key, partner: s.partner(), rank: rank(noroshi.Precedence(s.int("prec"))), count: s.int("count")}
	copy(b.root[:], s.bytes("root"))
	p.batches[s.text("id")], p.batchNo[s.key] = b, b
	var approvals []Approval
	if err := json.Unmarshal(s.bytes("approvals"), &approvals); err != nil {
		fault(s.act, "batch-signature", "unreadable", s.t.name, "batch %s: approvals: %v", s.text("id"), err)
		return
	}
	for _, a := range approvals {
		if !p.signed[a.key()] {
			fault(s.act, "batch-signature", "not-given", s.t.name, "batch %s: the approval of %s was never given", s.text("id"), a.Person)
		}
		if err := p.counts(&a, at); err != nil {
			fault(s.act, "batch-signature", "approval", s.t.name, "batch %s: the approval of %s: %v", s.text("id"), a.Person, err)
		}
	}
}

// batchRows checks a batch's root once all its rows are there.
func (p *replay) batchRows(s *scan, fault report) error {
	b := p.batchNo[s.int("batch")]
	rows, err := unpackMembers(s.bytes("members"))
	if b == nil || err != nil {
		return nil
	}
	seqs := sequences(rows)
	slices.Sort(seqs)
	p.setSpans(spanReleased, b.partner, runs(seqs), b.n)
	b.rows = append(b.rows, rows...)
	if int64(len(b.rows)) == b.count {
		if BatchRoot(b.rows) != b.root {
			fault(s.act, "batch-signature", "root", s.t.name, "batch %d: its root is not that of its rows", b.n)
		}
		b.rows = nil
	}
	return nil
}

func (s *scan) stream(seq int64) streamKey {
	k := streamKey{partner: s.partner(), seq: seq}
	copy(k.epoch[:], s.bytes("epoch"))
	return k
}

func (p *replay) out(s *scan, at int64) error {
	m := &outReplay{n: s.key, rank: rank(noroshi.Precedence(s.int("prec"))), time: at}
	k := s.stream(s.int("seq"))
	p.outs[k] = m
	b := p.batches[s.text("batch")]
	if b == nil {
		return nil
	}
	m.batch, m.first, m.count = b, int(s.int("first")), int(s.int("count"))
	b.messages = append(b.messages, m)
	rows := p.rows(m)
	for number, seqs := range numbered(rows) {
		p.setSpans(spanView, k.partner, runs(seqs), number)
	}
	seqs := sequences(rows)
	slices.Sort(seqs)
	have := p.spans[spanKey{spanSent, k.partner}]
	for _, q := range seqs {
		if val := have.at(q); val != b.n && val != -b.n {
			b.sent++
		}
	}
	b.done = b.done || b.sent >= b.count
	p.setSpans(spanSent, k.partner, runs(seqs), b.n)
	return nil
}

// rows returns the rows of its batch that a message carries.
func (p *replay) rows(m *outReplay) (all []Decided) {
	for at := m.first; at < m.first+m.count; {
		rows, err := batchRows(context.Background(), p.c, m.batch.n, at, m.first+m.count-at)
		if err != nil || len(rows) == 0 {
			break // reported where the rows are
		}
		all = append(all, rows...)
		at += len(rows)
	}
	return all
}

// carried returns the sequences of the versions a message carries, sorted.
func (p *replay) carried(m *outReplay) []int64 {
	seqs := sequences(p.rows(m))
	slices.Sort(seqs)
	return seqs
}

// remark does as Tx.remark does.
func (p *replay) remark(partner noroshi.NodeID, m *outReplay, closed bool) {
	have := p.spans[spanKey{spanSent, partner}]
	stay := map[int64]bool{}
	if closed {
		for _, other := range m.batch.messages {
			if other != m && !other.state.closed() && other.first < m.first+m.count && m.first < other.first+other.count {
				for _, q := range p.carried(other) {
					stay[q] = true
				}
			}
		}
	}
	seqs, val := remarked(m.batch.n, closed, p.carried(m), stay, have.at)
	p.setSpans(spanSent, partner, runs(seqs), val)
}

func (p *replay) outEvent(s *scan, at int64) error {
	list, err := unpackRuns(s.bytes("seqs"))
	if err != nil {
		return nil
	}
	to := OutState(s.int("state"))
	for _, r := range list {
		for q := r.lo; q <= r.hi; q++ {
			m := p.outs[s.stream(q)]
			if m == nil {
				continue
			}
			if to == Attempted {
				m.attempts++
			}
			if m.state.moves(to) {
				if m.batch != nil && m.state.closed() != to.closed() {
					p.remark(s.partner(), m, to.closed())
				}
				m.state, m.time = to, at
			}
		}
	}
	return nil
}

func (p *replay) in(s *scan, at int64) {
	var c contentState
	copy(c.hash[:], s.bytes("content_hash"))
	state, kind := InState(s.int("state")), uint8(s.int("kind"))
	c.keep = keepsContent(kind, state)
	p.content[s.key] = c
	if s.int("second") != 0 {
		return
	}
	m := p.inAt(s)
	m.message, m.kind = s.key, kind
	p.raise(m, state, at)
}

func (p *replay) inAt(s *scan) *inReplay {
	k := s.stream(s.int("seq"))
	if p.ins[k] == nil {
		p.ins[k] = &inReplay{}
	}
	return p.ins[k]
}

func (p *replay) inEvent(s *scan, at int64) { p.raise(p.inAt(s), InState(s.int("state")), at) }

func (p *replay) raise(m *inReplay, state InState, at int64) {
	if state > m.state {
		m.state, m.time = state, at
	}
	if m.state == Applied && m.message != 0 && message.Kind(m.kind) == message.Data {
		c := p.content[m.message]
		c.keep = false
		p.content[m.message] = c
	}
}
