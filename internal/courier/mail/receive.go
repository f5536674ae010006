package mail

import (
	"context"
	"io"

	"github.com/noroshi-cti/noroshi"
)

// verdict is what became of a letter.
type verdict int

const (
	nothing verdict = iota // nothing in it is for this node
	taken                  // something is, and was taken over
	later                  // come again
	broken                 // it is not whole, or beyond a bound
)

// receive reads a letter and has what is in it taken over. Parts of envelopes that
// are not whole yet are kept in memory: waits names their sets.
func (m *Mail) receive(ctx context.Context, r io.Reader) (v verdict, waits []setID) {
	m.counts.came.Add(1)
	o, err := m.open(r)
	defer o.release()
	for _, b := range o.found {
		was, set := m.take(ctx, b)
		switch was {
		case taken:
			m.counts.taken.Add(1)
			v = max(v, taken)
		case later:
			v = later
		}
		if set != (setID{}) {
			waits = append(waits, set)
		}
	}
	switch {
	case v == later || noroshi.KindOf(err) == noroshi.Busy:
		m.counts.late.Add(1)
		return later, nil
	case v == nothing && err != nil:
		v = broken
	}
	return v, waits
}

// take hands over what may be an envelope, or the part of one; set is that of a new
// part whose envelope is not whole yet.
func (m *Mail) take(ctx context.Context, b []byte) (v verdict, set setID) {
	if b[0]&0x80 == 0 {
		return judge(m.o.Accept(ctx, noroshi.NodeID{}, b)), set
	}
	if m.o.Check == nil {
		return nothing, set
	}
	from, ok := m.o.Check(b)
	if !ok {
		return nothing, set
	}
	p, ok := readPart(b)
	if !ok {
		return nothing, set
	}
	envelope, isNew, ok := m.shelf.add(from, p, m.o.Now())
	switch {
	case !ok:
		return nothing, set
	case envelope == nil && isNew:
		return taken, setID{from, p.set}
	case envelope == nil:
		return taken, set
	}
	if v = judge(m.o.Accept(ctx, from, envelope)); v != later {
		m.shelf.end(from, p.set)
	}
	return v, set
}

func judge(err error) verdict {
	switch {
	case err == nil:
		return taken
	case noroshi.KindOf(err) == noroshi.Busy:
		return later
	}
	return nothing
}
