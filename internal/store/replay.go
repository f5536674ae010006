package store

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// replay derives again, from evidence alone, what the derived tables must
// hold. Small tables are kept in memory; of the large indexes only the sum of
// their rows' keyed hashes, which no two different tables share but by a chance
// of 2^-64.
type replay struct {
	key64 func(string) int64
	c     *conn
	seed  maphash.Seed

	heads   map[int64]int64   // place in head: first version
	later   map[int64][]int64 // place: later versions
	marks   map[int64]int
	regroup map[string]bool // ids to settle
	gone    map[string][]string
	objects int64

	indicator int64 // word
	values    sumOf
	addrs     sumOf
	refs      sumOf
	seenRefs  map[uint64]struct{}
	words     sumOf // term and version, up to the text index's place
	textTo    int64
	block     []byte
	blockLast int64
	blocks    []noroshi.Hash // of full blocks, in order

	spans   map[spanKey]spans
	holds   map[string]*holdState
	holdIDs []string
	batches map[string]*batchState
	batchNo map[int64]*batchState
	outs    map[streamKey]*outReplay
	ins     map[streamKey]*inReplay
	content map[int64]contentState
	persons map[string]noroshi.Person
	signed  map[string]bool // approvals: hold, person, digest, signature
}

type spanKey struct {
	kind    int
	partner noroshi.NodeID
}

type streamKey struct {
	partner noroshi.NodeID
	epoch   [16]byte
	seq     int64
}

type holdState struct {
	n       int64
	partner noroshi.NodeID
	state   string
	opened  int64
	body    noroshi.Hash
	members int64
}

type batchState struct {
	n       int64
	partner noroshi.NodeID
	rank    int64
	count   int64
	sent    int64
	root    noroshi.Hash
	rows    []Decided // until all are there and the root is checked
	done    bool
}

type outReplay struct {
	n, rank        int64
	state          OutState
	time, attempts int64
}

type inReplay struct {
	state   InState
	time    int64
	message int64 // in_message.n of the first, 0 = none yet
	kind    uint8
}

type contentState struct {
	hash noroshi.Hash
	keep bool
}

// sumOf is a sum of keyed hashes: equal for equal sets of rows in any order.
type sumOf struct {
	n   int64
	sum uint64
}

func (s *sumOf) add(h uint64) { s.n++; s.sum += h }

func newReplay(key64 func(string) int64, c *conn) *replay {
	return &replay{
		key64: key64, c: c, seed: maphash.MakeSeed(),
		heads: map[int64]int64{}, later: map[int64][]int64{}, marks: map[int64]int{}, regroup: map[string]bool{}, gone: map[string][]string{},
		seenRefs: map[uint64]struct{}{}, spans: map[spanKey]spans{}, holds: map[string]*holdState{},
		batches: map[string]*batchState{}, batchNo: map[int64]*batchState{}, outs: map[streamKey]*outReplay{}, ins: map[streamKey]*inReplay{},
		content: map[int64]contentState{}, persons: map[string]noroshi.Person{}, signed: map[string]bool{},
	}
}

func (p *replay) pair(a, b int64) uint64 {
	var buf [16]byte
	binary.BigEndian.PutUint64(buf[:8], uint64(a))
	binary.BigEndian.PutUint64(buf[8:], uint64(b))
	return maphash.Bytes(p.seed, buf[:])
}

func (p *replay) texts(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(p.seed)
	var n [8]byte
	for _, s := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.WriteString(s)
	}
	return h.Sum64()
}

// report names a fault in the evidence itself.
type report func(index int64, code, table, format string, args ...any)

// row takes one row of evidence; at is the time of its act.
func (p *replay) row(s *scan, at int64, fault report) error {
	switch s.t {
	case wordTable:
		if s.text("text") == "indicator" {
			p.indicator = s.key
		}
	case objectTable:
		return p.object(s)
	case assignedTable:
		p.marks[s.int("seq")] |= assigned
	case withdrawnTable:
		sid := s.text("sid")
		p.gone[sid] = append(p.gone[sid], s.text("owner"))
		p.regroup[sid] = true
	case docTable:
		if s.text("kind") == noroshi.DocPerson {
			var person noroshi.Person
			if json.Unmarshal(s.bytes("body"), &person) == nil {
				p.persons[s.text("id")] = person
			}
		}
	case approvalTable:
		p.signed[approvalKey(s.text("hold"), s.text("person"), s.bytes("digest"), s.bytes("signature"))] = true
	case holdTable:
		return p.hold(s, at)
	case batchTable:
		p.batch(s, fault)
	case batchRowsTable:
		return p.batchRows(s, fault)
	case outTable:
		return p.out(s, at)
	case outEventTable:
		return p.outEvent(s, at)
	case inTable:
		p.in(s, at)
	case inEventTable:
		p.inEvent(s, at)
	}
	return nil
}

// object enters a version: its place, marks, index entries and block.
func (p *replay) object(s *scan) error {
	p.objects++
	sid := s.text("sid")
	bits := s.int("bits")
	for h := p.key64(sid); ; h++ {
		first, taken := p.heads[h]
		if !taken {
			p.heads[h] = s.key
			if bits&bitRevoked != 0 {
				p.marks[s.key] |= revoked
			}
			break
		}
		var there string
		if _, err := p.c.one(to(&there), "SELECT sid FROM object WHERE seq = $1", first); err != nil {
			return err
		}
		if there == sid {
			p.later[h] = append(p.later[h], s.key)
			p.regroup[sid] = true
			break
		}
	}
	m, err := unpackMeta(s.bytes("meta"))
	if err != nil {
		return nil // the row differs from its leaf, which is reported
	}
	p.indexes(s.key, sid, &m)
	if words := s.bytes("words"); len(words) > 0 && s.key <= p.textTo {
		p.text(s.key, string(words))
	}
	p.arm(s, sid, bits, &m)
	return nil
}

func (p *replay) indexes(seq int64, sid string, m *meta) {
	var own []uint64
	for i := range m.values {
		v := &m.values[i]
		var h uint64
		into := &p.values
		if pre, ok := prefixOf(v); ok {
			into = &p.addrs
			h = p.texts(string(pre.Addr().AsSlice()), fmt.Sprint(pre.Bits(), seq, v.Port))
		} else {
			h = p.pair(p.key64(valueText(v)), seq)
		}
		if !slices.Contains(own, h) {
			own = append(own, h)
			into.add(h)
		}
	}
	for _, target := range m.refs {
		h := p.texts(string(target), sid)
		if _, seen := p.seenRefs[h]; !seen {
			p.seenRefs[h] = struct{}{}
			p.refs.add(h)
		}
	}
}

func (p *replay) text(seq int64, words string) {
	list := tokens(words)
	slices.Sort(list)
	for _, t := range slices.Compact(list) {
		p.words.add(p.texts(t, fmt.Sprint(seq)))
	}
}

// arm packs indicators into blocks as packBlock does.
func (p *replay) arm(s *scan, sid string, bits int64, m *meta) {
	p.closeBlocks(s.key)
	if s.int("type") != p.indicator || len(m.values) == 0 {
		return
	}
	a := Armed{Seq: s.key, ID: stixID(sid), Values: m.values, ValidFrom: m.from, ValidUntil: m.until, Flagged: bits&bitFlagged != 0}
	p.block = packArmed(p.block, p.blockLast, &a)
	p.blockLast = s.key
}

// closeBlocks ends every block that lies before a sequence.
func (p *replay) closeBlocks(seq int64) {
	for int64(len(p.blocks)+1)*blockSeqs <= seq {
		p.blocks = append(p.blocks, noroshi.Sum(p.block))
		p.block, p.blockLast = p.block[:0], int64(len(p.blocks))*blockSeqs
	}
}

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
		} else {
			h.members = 0
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

func approvalKey(hold, person string, digest, signature []byte) string {
	return fmt.Sprintf("%q %q %x %x", hold, person, digest, signature)
}

func (p *replay) batch(s *scan, fault report) {
	b := &batchState{n: s.key, partner: s.partner(), rank: rank(noroshi.Precedence(s.int("prec"))), count: s.int("count")}
	copy(b.root[:], s.bytes("root"))
	p.batches[s.text("id")], p.batchNo[s.key] = b, b
	var approvals []Approval
	if err := json.Unmarshal(s.bytes("approvals"), &approvals); err != nil {
		fault(s.act, "batch-signature", s.t.name, "batch %s: approvals: %v", s.text("id"), err)
		return
	}
	for _, a := range approvals {
		if !p.signed[approvalKey(a.Hold, a.Person, a.Digest[:], a.Signature)] {
			fault(s.act, "batch-signature", s.t.name, "batch %s: the approval of %s was never given", s.text("id"), a.Person)
		}
		if key := p.persons[a.Person].Key; len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, a.Digest[:], a.Signature) {
			fault(s.act, "batch-signature", s.t.name, "batch %s: the signature of %s does not verify", s.text("id"), a.Person)
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
			fault(s.act, "batch-signature", s.t.name, "batch %d: its root is not that of its rows", b.n)
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
	first, count := int(s.int("first")), int(s.int("count"))
	b.sent += int64(count)
	b.done = b.sent >= b.count
	for at := first; at < first+count; {
		rows, err := batchRows(context.Background(), p.c, b.n, at, first+count-at)
		if err != nil || len(rows) == 0 {
			return nil // reported where the rows are
		}
		seqs := sequences(rows)
		slices.Sort(seqs)
		p.setSpans(spanSent, k.partner, runs(seqs), 1)
		at += len(rows)
	}
	return nil
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
