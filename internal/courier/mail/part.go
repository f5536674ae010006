package mail

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// A part is a fragment (docs/wire.md): set(4) index(2) count(2) bytes mac(8).
// The first bit of a set is 1, which no envelope's is: so the two are told apart.
const (
	partHead = 8
	macLen   = 8
	setBit   = 1 << 31
	maxParts = 4096
)

// Bounds of what is kept of unfinished envelopes, for each partner.
const (
	maxSets   = 64
	maxKept   = 64 << 20
	setLife   = 72 * time.Hour // the overlap of keys: docs/wire.md, LINK
	maxEnded  = 256            // sets that were finished: a part that comes again begins none
	perPart   = 24             // what the bookkeeping of a part costs
	leastPart = 16 << 10
)

// cut makes parts of an envelope, all of one size but for the last byte or so:
// each but its MAC.
func cut(envelope []byte, body int) [][]byte {
	size := max(body-partHead-macLen, 1)
	count := (len(envelope) + size - 1) / size
	size = (len(envelope) + count - 1) / count
	var set [4]byte
	rand.Read(set[:])
	head := binary.BigEndian.Uint32(set[:]) | setBit
	parts := make([][]byte, 0, count)
	for i := range count {
		from, to := min(i*size, len(envelope)), min((i+1)*size, len(envelope))
		b := make([]byte, 0, partHead+to-from+macLen)
		b = binary.BigEndian.AppendUint32(b, head)
		b = binary.BigEndian.AppendUint16(b, uint16(i))
		b = binary.BigEndian.AppendUint16(b, uint16(count))
		parts = append(parts, append(b, envelope[from:to]...))
	}
	return parts
}

// piece is a part taken apart.
type piece struct {
	set          uint32
	index, count int
	bytes        []byte
}

// readPart takes apart what ends with a MAC that was found good.
func readPart(b []byte) (piece, bool) {
	if len(b) <= partHead+macLen {
		return piece{}, false
	}
	p := piece{binary.BigEndian.Uint32(b), int(binary.BigEndian.Uint16(b[4:])), int(binary.BigEndian.Uint16(b[6:])), b[partHead : len(b)-macLen]}
	return p, p.set&setBit != 0 && p.count >= 1 && p.count <= maxParts && p.index < p.count
}

// shelf keeps unfinished envelopes. A restart loses them: no receipt goes out,
// so their sender sends anew.
type shelf struct {
	mu    sync.Mutex
	nodes map[noroshi.NodeID]*row
}

type row struct {
	sets  map[uint32]*set
	bytes int
	ended []uint32
}

type set struct {
	parts   [][]byte
	have    int
	bytes   int
	touched time.Time
}

// setID is a set of a partner's.
type setID struct {
	from noroshi.NodeID
	set  uint32
}

// standing is how a set stands.
type standing int

const (
	gone  standing = iota // it was given up, or never was
	open                  // parts of it are missing
	ended                 // its envelope was whole
)

// standing tells how a set stands.
func (s *shelf) standing(id setID, now time.Time) standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.nodes[id.from]
	if r == nil {
		return gone
	}
	r.expire(now)
	switch {
	case r.sets[id.set] != nil:
		return open
	case slices.Contains(r.ended, id.set):
		return ended
	}
	return gone
}

// add takes a piece a partner's key vouches for. It returns the envelope when it
// is whole, whether the piece was not there, and whether it belongs to anything.
func (s *shelf) add(from noroshi.NodeID, p piece, now time.Time) (envelope []byte, isNew, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes == nil {
		s.nodes = map[noroshi.NodeID]*row{}
	}
	r := s.nodes[from]
	if r == nil {
		r = &row{sets: map[uint32]*set{}}
		s.nodes[from] = r
	}
	r.expire(now)
	if slices.Contains(r.ended, p.set) {
		return nil, false, true
	}
	x := r.sets[p.set]
	if x == nil {
		x = &set{parts: make([][]byte, p.count), bytes: perPart * p.count}
		r.bytes += x.bytes
		r.sets[p.set] = x
	}
	if len(x.parts) != p.count || x.bytes+len(p.bytes) > message.MaxEnvelope+perPart*maxParts {
		return nil, false, false
	}
	x.touched = now
	if isNew = x.parts[p.index] == nil; isNew {
		x.parts[p.index] = bytes.Clone(p.bytes)
		x.have++
		x.bytes += len(p.bytes)
		r.bytes += len(p.bytes)
		r.room(p.set)
	}
	if x.have < len(x.parts) {
		return nil, isNew, true
	}
	return bytes.Join(x.parts, nil), isNew, true
}

// end forgets a set whose envelope was taken over, or is nothing. Until then its
// last part may come again.
func (s *shelf) end(from noroshi.NodeID, id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.nodes[from]
	if r == nil || r.sets[id] == nil {
		return
	}
	r.drop(id)
	r.ended = append(r.ended, id)
	if len(r.ended) > maxEnded {
		r.ended = r.ended[1:]
	}
}

// room makes the set that waited longest for a part go first, never the one in
// hand.
func (r *row) room(keep uint32) {
	for r.bytes > maxKept || len(r.sets) > maxSets {
		oldest, found := uint32(0), false
		for id, x := range r.sets {
			if id != keep && (!found || x.touched.Before(r.sets[oldest].touched)) {
				oldest, found = id, true
			}
		}
		if !found {
			return
		}
		r.drop(oldest)
	}
}

func (r *row) expire(now time.Time) {
	for id, x := range r.sets {
		if now.Sub(x.touched) > setLife {
			r.drop(id)
		}
	}
}

func (r *row) drop(id uint32) {
	r.bytes -= r.sets[id].bytes
	delete(r.sets, id)
}
