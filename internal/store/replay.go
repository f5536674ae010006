package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"

	"github.com/noroshi-cti/noroshi"
)

// replay derives again, from evidence alone, what the derived tables must
// hold. Small tables are kept in memory; of the large indexes only the sum of
// their rows' keyed hashes, which no two different tables share but by a chance
// of 2^-64.
type replay struct {
	s    *Store
	c    *conn
	seed maphash.Seed

	heads   map[int64]int64   // place in head: first version
	later   map[int64][]int64 // place: later versions
	marks   map[int64]int
	regroup map[string]bool // ids to settle
	gone    map[string]withdrawals
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
	shelves sumOf
	persons noroshi.Register // as it is at the act that is read
	signed  map[string]bool  // approvals: hold, person, digest, signature
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

	messages []*outReplay // of it, in the order of the stream
}

type outReplay struct {
	n, rank        int64
	state          OutState
	time, attempts int64
	batch          *batchState // nil = none
	first, count   int         // its rows
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
func (s *sumOf) sub(h uint64) { s.n--; s.sum -= h }

func newReplay(s *Store, c *conn) *replay {
	return &replay{
		s: s, c: c, seed: maphash.MakeSeed(),
		heads: map[int64]int64{}, later: map[int64][]int64{}, marks: map[int64]int{}, regroup: map[string]bool{}, gone: map[string]withdrawals{},
		seenRefs: map[uint64]struct{}{}, spans: map[spanKey]spans{}, holds: map[string]*holdState{},
		batches: map[string]*batchState{}, batchNo: map[int64]*batchState{}, outs: map[streamKey]*outReplay{}, ins: map[streamKey]*inReplay{},
		content: map[int64]contentState{}, persons: noroshi.Register{}, signed: map[string]bool{},
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
type report func(index int64, code, why, table, format string, args ...any)

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
		if p.gone[sid] == nil {
			p.gone[sid] = withdrawals{}
		}
		p.gone[sid][s.text("owner")] = append(p.gone[sid][s.text("owner")], s.text("upto"))
		p.regroup[sid] = true
	case docTable:
		if s.text("kind") == noroshi.DocPerson {
			var person noroshi.Person
			if json.Unmarshal(s.bytes("body"), &person) == nil {
				p.persons[s.text("id")] = person
			}
		}
	case approvalTable:
		p.approval(s, at, fault)
	case holdTable:
		return p.hold(s, at)
	case batchTable:
		p.batch(s, at, fault)
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
	case shelfTable:
		p.shelf(s)
	}
	return nil
}

// object enters a version: its place, marks, index entries and block.
func (p *replay) object(s *scan) error {
	p.objects++
	sid := s.text("sid")
	bits := s.int("bits")
	for h := p.s.key64(sid); ; h++ {
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

// indexes adds what a version gives to the indexes.
func (p *replay) indexes(seq int64, sid string, m *meta) {
	p.gives(seq, sid, m, func(into string, r row) {
		switch into {
		case "value":
			p.values.add(r.hash)
		case "addr":
			p.addrs.add(r.hash)
		case "ref":
			if _, seen := p.seenRefs[r.hash]; !seen {
				p.seenRefs[r.hash] = struct{}{}
				p.refs.add(r.hash)
			}
		}
	})
}

// gives tells fn what a version gives to which index, of the values each once.
func (p *replay) gives(seq int64, sid string, m *meta, fn func(into string, r row)) {
	var own []uint64
	for i := range m.values {
		v := &m.values[i]
		var h uint64
		into := "value"
		if pre, ok := prefixOf(v); ok {
			into = "addr"
			h = p.texts(string(pre.Addr().AsSlice()), fmt.Sprint(pre.Bits(), seq, v.Port))
		} else {
			h = p.pair(p.s.key64(valueText(v)), seq)
		}
		if !slices.Contains(own, h) {
			own = append(own, h)
			fn(into, entryOf(h, seq))
		}
	}
	for _, target := range m.refs {
		fn("ref", p.refRow(string(target), sid))
	}
}

func (p *replay) text(seq int64, words string) {
	for _, h := range p.terms(seq, words) {
		p.words.add(h)
	}
}

// terms are the entries of a version in the full-text index.
func (p *replay) terms(seq int64, words string) (hashes []uint64) {
	list := tokens(words)
	for i, t := range list {
		list[i] = p.c.d.words.key(p.s, t)
	}
	slices.Sort(list)
	for _, t := range slices.Compact(list) {
		hashes = append(hashes, p.texts(t, strconv.FormatInt(seq, 10)))
	}
	return hashes
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
