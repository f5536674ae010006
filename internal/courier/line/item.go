package line

import (
	"hash/fnv"
	"math"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// item is one envelope to be sent.
type item struct {
	id       uint64
	to       noroshi.NodeID
	prec     noroshi.Precedence
	envelope []byte
	whole    bool // goes in one frame
	set      uint32
	ref      byte
	size     int // of a piece
	pieces   []piece
	base     int // all below are acknowledged
	left     int // pieces not acknowledged
	last     time.Time
	rows     map[int]int // parity rows sent, by block
	coded    uint64      // burst in which parity was last chosen
	parities []part      // of that choice, not sent yet
}

// piece is how far one of them has come.
type piece struct {
	fate  fate
	order uint32 // when it was last sent
}

type fate uint8

const (
	unsent  fate = iota
	flying       // sent; nobody knows yet
	missing      // sent and not come
	held         // the other end has it
)

// part is one fragment to be sent: a piece or parity.
type part struct {
	x      *item
	index  int
	parity bool
}

// refOf is how an envelope is named that goes in one frame and has no set.
func refOf(envelope []byte) byte {
	h := fnv.New32a()
	h.Write(envelope)
	return byte(h.Sum32())
}

// add takes an envelope into its class. Its fragments are cut as they are sent.
func (s *State) add(q Queued) {
	if len(q.Envelope) == 0 || len(q.Envelope) > Largest || q.Prec > noroshi.Flash {
		return
	}
	x := &item{id: q.ID, to: q.To, prec: q.Prec, envelope: q.Envelope, rows: map[int]int{}}
	if len(q.Envelope) <= payloadMax && !s.taken(refOf(q.Envelope)) {
		x.whole, x.ref, x.size = true, refOf(q.Envelope), len(q.Envelope)
	} else {
		x.set = s.name()
		x.ref = byte(x.set)
		x.size = s.pieceSize(len(q.Envelope))
	}
	x.pieces = make([]piece, (len(q.Envelope)+x.size-1)/x.size)
	x.left = len(x.pieces)
	s.out[q.Prec] = append(s.out[q.Prec], x)
}

// taken reports whether a name is of something on its way, or of what was so
// until of late.
func (s *State) taken(ref byte) bool {
	for _, list := range s.out {
		if slices.ContainsFunc(list, func(x *item) bool { return x.ref == ref }) {
			return true
		}
	}
	return slices.Contains(s.refs, ref)
}

// name draws a set whose last byte nothing has that is on its way. When all are
// taken any will do: an acknowledgement of another then costs a repetition.
func (s *State) name() (set uint32) {
	for range 64 {
		if set = s.rand.Uint32(); !s.taken(byte(set)) {
			return set
		}
	}
	return set
}

// pieceSize is chosen by the rate, so that no frame takes much longer than the
// longest takes at 75 bit/s, and by the errors corrected of late: short frames
// have as much parity as long ones.
func (s *State) pieceSize(envelope int) int {
	body := min(bodyMax, s.c.Rate*15/s.c.CharBits-headLen-longCheck)
	if s.wrong > 0.035 {
		body /= 2
	}
	size := max(body, 40)/bodyStep*bodyStep - 1 - fragmentHead - macLen
	return max(size, (envelope+maxCount-1)/maxCount)
}

// fragment makes the bytes of a part; false when there is no key to
// authenticate it with.
func (s *State) fragment(p part) (Frame, bool) {
	x := p.x
	if x.whole {
		return Frame{Type: Whole, Payload: x.envelope}, true
	}
	b := appendFragment(Piece{Set: x.set, Index: p.index, Parity: p.parity, Count: len(x.pieces), Bytes: x.bytes(p)})
	mac, ok := s.c.MAC(x.to, b)
	return Frame{Type: Fragment, Payload: append(b, mac[:]...)}, ok
}

// load is how many bytes of a frame a part takes.
func (x *item) load(p part) int {
	switch {
	case x.whole:
		return len(x.envelope)
	case p.parity:
		return fragmentHead + x.size + macLen
	}
	return fragmentHead + len(x.cut(p.index)) + macLen
}

func (x *item) cut(i int) []byte {
	return x.envelope[i*x.size : min((i+1)*x.size, len(x.envelope))]
}

func (x *item) bytes(p part) []byte {
	if !p.parity {
		return x.cut(p.index)
	}
	from, to := blockSpan(p.index/blockLen, len(x.pieces))
	list := make([][]byte, 0, to-from)
	for i := from; i < to; i++ {
		list = append(list, x.cut(i))
	}
	return blockParity(list)[p.index%blockLen]
}

// sent marks a part as on its way.
func (s *State) sent(p part, now time.Time) {
	x := p.x
	s.order++
	x.last = now
	if p.parity {
		x.rows[p.index/blockLen] = p.index%blockLen + 1
		x.parities = x.parities[1:]
		return
	}
	x.pieces[p.index] = piece{flying, s.order}
}

// due returns up to n parts that may go now: what is missing first, then what
// was never sent, both within the window an acknowledgement can speak of.
func (x *item) due(n int) (list []part) {
	to := min(x.base+ackWindow, len(x.pieces))
	for _, want := range []fate{missing, unsent} {
		for i := x.base; i < to && len(list) < n; i++ {
			if x.pieces[i].fate == want {
				list = append(list, part{x: x, index: i})
			}
		}
	}
	return append(list, x.parities[:min(len(x.parities), n-len(list))]...)
}

// acknowledged believes what the other end says it has: also when it is less
// than before, since that end may have lost what it had.
func (s *State) acknowledged(acks []Ack) (fx []Effect) {
	for _, a := range acks {
		for _, list := range s.out {
			for _, x := range list {
				if x.ref == a.Ref {
					s.believe(x, a)
				}
			}
		}
	}
	if s.c.Duplex {
		s.burst++
	}
	s.remove(func(x *item) bool {
		if x.left > 0 {
			return false
		}
		fx = append(fx, Done{x.id})
		return true
	})
	return fx
}

func (s *State) believe(x *item, a Ack) {
	var newest uint32 // of what came: on a full-duplex line only what was sent before it can be missed
	for i, p := range x.pieces {
		if p.fate == flying && a.Holds(i) {
			newest = max(newest, p.order)
		}
	}
	if !s.c.Duplex {
		newest = math.MaxUint32
	}
	x.left = 0
	for i := range x.pieces {
		p := &x.pieces[i]
		switch {
		case a.Holds(i) && p.fate != unsent: // what never went is not there, whoever says so
			if p.fate == flying {
				s.note(0)
			}
			p.fate = held
		case p.fate == held:
			p.fate = missing
		case p.fate == flying && p.order < newest:
			s.note(1)
			p.fate = missing
		}
		if p.fate != held {
			x.left++
		}
	}
	x.parities = nil
	for x.base = 0; x.base < len(x.pieces) && x.pieces[x.base].fate == held; {
		x.base++
	}
}

// note moves the estimate of how many fragments are lost.
func (s *State) note(lost float64) { s.counts.Loss += (lost - s.counts.Loss) / 16 }

// remove takes envelopes out of their classes, and keeps their names from being
// used again soon.
func (s *State) remove(which func(*item) bool) {
	for c := range s.out {
		s.out[c] = slices.DeleteFunc(s.out[c], func(x *item) bool {
			if !which(x) {
				return false
			}
			if s.refs = append(s.refs, x.ref); len(s.refs) > maxSets {
				s.refs = s.refs[1:]
			}
			return true
		})
	}
}

// protect chooses parity for what will be wholly on its way with this burst,
// when much is lost: as much as is likely to be missed.
func (x *item) protect(loss float64, burst uint64) {
	if x.coded == burst || loss < lossy || x.whole || len(x.pieces) < 3 {
		return
	}
	x.coded, x.parities = burst, nil
	loss = min(loss, 0.6)
	for b := range blocks(len(x.pieces)) {
		from, to := blockSpan(b, len(x.pieces))
		open := 0
		for _, p := range x.pieces[from:to] {
			if p.fate != held {
				open++
			}
		}
		if open < 2 {
			continue
		}
		more := int(math.Ceil(float64(open) * loss / (1 - loss)))
		for r := x.rows[b]; r < min(x.rows[b]+more, blockRows); r++ {
			x.parities = append(x.parities, part{x: x, index: b*blockLen + r, parity: true})
		}
	}
}

// lossy is from which share of lost fragments on parity is worth its time.
const lossy = 0.15

// ackFrame is an acknowledgement of what is owed; it may have no entries. keep
// says that it will be sent again.
func (s *State) ackFrame(keep bool) Frame {
	var b []byte
	n := 0
	for n < len(s.owing) && n < maxAcks {
		o := s.owing[n]
		a := Ack{Ref: o.ref, Base: 1}
		if !o.all {
			base, have := s.kept.of(o.from).held(o.set)
			a = NewAck(o.ref, base, have)
		}
		next := appendAck(b, a)
		if len(next) > payloadMax {
			break
		}
		b = next
		n++
	}
	if !keep {
		s.owing = slices.Delete(s.owing, 0, n)
	}
	return Frame{Type: Control, Payload: b}
}
