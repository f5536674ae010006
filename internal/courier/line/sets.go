package line

import (
	"bytes"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Bounds of what is kept of unfinished envelopes, for each partner.
const (
	maxSets     = 64
	maxBuffered = 16 << 20
	setLife     = 6 * time.Hour // without a new fragment; what is preempted at 75 bit/s waits long
	maxFinished = 256           // finished sets that are remembered, so that they are acknowledged again
	perPiece    = 24            // what the bookkeeping of one piece costs
)

// shelf keeps one partner's unfinished envelopes.
type shelf struct {
	sets     map[uint32]*set
	bytes    int
	finished []ended // oldest first
}

type ended struct {
	set   uint32
	count int
}

// set is one envelope on its way.
type set struct {
	count, have int
	size        int // of all pieces but the last; 0 = not known yet
	pieces      [][]byte
	rows        map[int]map[int][]byte // block -> row -> parity
	bytes       int                    // counted against the bound
	touched     time.Time
}

// add takes a piece that a partner's key vouches for. It returns the envelope
// when it is whole, and whether the piece belongs to anything.
func (s *shelf) add(p Piece, now time.Time) (envelope []byte, taken bool) {
	if s.isFinished(p.Set) {
		return nil, true
	}
	x := s.sets[p.Set]
	if x == nil {
		x = &set{count: p.Count, pieces: make([][]byte, p.Count), rows: map[int]map[int][]byte{}, bytes: perPiece * p.Count}
		s.room(x.bytes+len(p.Bytes), len(s.sets)+1, p.Set)
		s.sets[p.Set] = x
		s.bytes += x.bytes
	}
	if p.Count != x.count || !x.fits(p) {
		return nil, false
	}
	x.touched = now
	if n := x.put(p); n > 0 {
		x.bytes += n
		s.bytes += n
		s.room(0, len(s.sets), p.Set)
	}
	if x.have < x.count {
		return nil, true
	}
	s.drop(p.Set)
	s.finished = append(s.finished, ended{p.Set, p.Count})
	if len(s.finished) > maxFinished {
		s.finished = s.finished[1:]
	}
	return bytes.Join(x.pieces, nil), true
}

// fits reports whether a piece has the length its place asks for.
func (x *set) fits(p Piece) bool {
	if p.Parity || p.Index < x.count-1 {
		return x.size == 0 || x.size == len(p.Bytes)
	}
	return x.size == 0 || len(p.Bytes) <= x.size
}

// put keeps a piece, restores what can be restored with it, and returns by how
// many bytes the set grew.
func (x *set) put(p Piece) (grew int) {
	if p.Parity || p.Index < x.count-1 {
		x.size = len(p.Bytes)
	}
	block := p.Index / blockLen
	switch {
	case p.Parity:
		rows := x.rows[block]
		if rows == nil {
			rows = map[int][]byte{}
			x.rows[block] = rows
		}
		if rows[p.Index%blockLen] != nil {
			return 0
		}
		rows[p.Index%blockLen] = bytes.Clone(p.Bytes)
	case x.pieces[p.Index] != nil:
		return 0
	default:
		x.pieces[p.Index] = bytes.Clone(p.Bytes)
		x.have++
	}
	return len(p.Bytes) + x.restore(block)
}

// restore computes a block's lost pieces as soon as its parity suffices.
func (x *set) restore(block int) (grew int) {
	from, to := blockSpan(block, x.count)
	if len(x.rows[block]) == 0 || from >= to {
		return 0
	}
	missing := 0
	for _, p := range x.pieces[from:to] {
		if p == nil {
			missing++
		}
	}
	if missing == 0 || missing > len(x.rows[block]) || !restoreBlock(x.pieces[from:to], x.rows[block]) {
		return 0
	}
	x.have += missing
	return missing * x.size
}

// room makes room for so many more bytes and sets: the set that waited longest
// for a fragment goes first, never the one in hand.
func (s *shelf) room(more, sets int, keep uint32) {
	for s.bytes+more > maxBuffered || sets > maxSets {
		var oldest uint32
		found := false
		for id, x := range s.sets {
			if id != keep && (!found || x.touched.Before(s.sets[oldest].touched) || x.touched.Equal(s.sets[oldest].touched) && id < oldest) {
				oldest, found = id, true
			}
		}
		if !found {
			return
		}
		s.drop(oldest)
		sets--
	}
}

func (s *shelf) drop(id uint32) {
	if x := s.sets[id]; x != nil {
		s.bytes -= x.bytes
		delete(s.sets, id)
	}
}

func (s *shelf) expire(now time.Time) {
	for id, x := range s.sets {
		if now.Sub(x.touched) > setLife {
			s.drop(id)
		}
	}
}

func (s *shelf) isFinished(id uint32) bool { return s.finishedCount(id) > 0 }

func (s *shelf) finishedCount(id uint32) int {
	for _, e := range s.finished {
		if e.set == id {
			return e.count
		}
	}
	return 0
}

// held returns what is here of a set: all below base, and of those from base
// on which.
func (s *shelf) held(id uint32) (base int, have func(int) bool) {
	none := func(int) bool { return false }
	if n := s.finishedCount(id); n > 0 {
		return n, none
	}
	x := s.sets[id]
	if x == nil {
		return 0, none
	}
	for base < x.count && x.pieces[base] != nil {
		base++
	}
	return base, func(i int) bool { return i < x.count && x.pieces[i] != nil }
}

// shelves are those of all partners that share a line.
type shelves map[noroshi.NodeID]*shelf

func (s shelves) of(p noroshi.NodeID) *shelf {
	if s[p] == nil {
		s[p] = &shelf{sets: map[uint32]*set{}}
	}
	return s[p]
}
