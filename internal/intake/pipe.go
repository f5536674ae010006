package intake

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/noroshi-cti/noroshi/internal/intake/sheet"
	"github.com/noroshi-cti/noroshi/stix"
)

// Bounds of what an import holds in memory: maxWorkers+2 chunks are under way,
// each of chunkBytes or one larger object.
const (
	maxWorkers    = 4
	chunkElements = 250
	chunkBytes    = 1 << 20
)

// chunk is a run of elements as they were read; done gets them prepared.
type chunk struct {
	items  []stix.Item  // of STIX
	lines  []listLine   // of a list
	lifted []liftedItem // of a document that is lifted
	rows   []sheet.Row  // of a table
	bytes  int
	reach  reached
	done   chan prepared
}

type prepared struct {
	elements []element
	err      error
}

// pipe reads in one goroutine, prepares in several and hands out in order.
type pipe struct {
	im     *importing
	cancel context.CancelFunc
	order  chan *chunk
	work   chan *chunk
	wait   sync.WaitGroup
	end    error // why reading ended; set before order is closed
	failed error // why preparing failed
}

func (im *importing) startPipe(ctx context.Context) *pipe {
	ctx, cancel := context.WithCancel(ctx)
	workers := min(runtime.GOMAXPROCS(0), maxWorkers)
	p := &pipe{im: im, cancel: cancel, order: make(chan *chunk, workers), work: make(chan *chunk, workers)}
	p.wait.Go(func() {
		defer close(p.order)
		defer close(p.work)
		switch {
		case im.table != nil:
			p.end = p.readTable(ctx)
		case im.list != nil:
			p.end = p.readList(ctx)
		case im.lifts != nil:
			p.end = p.readLifted(ctx)
		default:
			p.end = p.readSTIX(ctx)
		}
	})
	for range workers {
		p.wait.Go(func() {
			for c := range p.work {
				elements, err := im.prepare(ctx, c)
				c.done <- prepared{elements, err}
			}
		})
	}
	return p
}

// stop ends the goroutines and waits for them.
func (p *pipe) stop() {
	p.cancel()
	for range p.order { // lets the reader go on to its end
	}
	p.wait.Wait()
}

// next returns the next prepared chunk; more is false at the end.
func (p *pipe) next() (elements []element, reach reached, more bool) {
	c, ok := <-p.order
	if !ok {
		return nil, reached{}, false
	}
	got := <-c.done
	if got.err != nil {
		p.failed = got.err
		return nil, reached{}, false
	}
	return got.elements, c.reach, true
}

// err says why next ended: io.EOF, or what went wrong.
func (p *pipe) err() error {
	if p.failed != nil {
		return p.failed
	}
	return p.end
}

// send hands a chunk to the workers, in order.
func (p *pipe) send(ctx context.Context, c *chunk) error {
	if len(c.items)+len(c.lines)+len(c.lifted)+len(c.rows) == 0 {
		return nil
	}
	c.reach = p.im.in.at()
	c.done = make(chan prepared, 1)
	select {
	case p.order <- c:
		p.work <- c
		return nil
	case <-ctx.Done():
		return interrupted(ctx.Err())
	}
}

func (p *pipe) readList(ctx context.Context) error {
	lines := newLineReader(p.im.in)
	c := &chunk{}
	for {
		l, err := lines.next()
		if err != nil {
			return errors.Join(p.send(ctx, c), err)
		}
		if l.offset < p.im.from {
			p.im.report.Resumed++
			continue
		}
		c.lines, c.bytes = append(c.lines, l), c.bytes+len(l.raw)
		if len(c.lines) == chunkElements || c.bytes >= chunkBytes {
			if err := p.send(ctx, c); err != nil {
				return err
			}
			c = &chunk{}
		}
	}
}

func (p *pipe) readSTIX(ctx context.Context) error {
	objects := stix.NewReader(p.im.in)
	c := &chunk{}
	for {
		item, err := objects.Next()
		if err != nil {
			return errors.Join(p.send(ctx, c), err)
		}
		if item.Offset < p.im.from {
			p.im.report.Resumed++
			continue
		}
		c.items, c.bytes = append(c.items, item), c.bytes+len(item.Raw)
		if len(c.items) == chunkElements || c.bytes >= chunkBytes {
			if err := p.send(ctx, c); err != nil {
				return err
			}
			c = &chunk{}
		}
	}
}

// prepare does everything that needs no write lane.
func (im *importing) prepare(ctx context.Context, c *chunk) ([]element, error) {
	if im.list != nil {
		return im.prepareList(ctx, c.lines)
	}
	if im.table != nil {
		return im.prepareTable(c.rows), nil
	}
	if im.lifts != nil {
		return im.prepareLifted(c.lifted), nil
	}
	elements := make([]element, len(c.items))
	for i, item := range c.items {
		e := &elements[i]
		if item.Err != nil {
			e.refused = refuseSyntax(item.Err)
		} else {
			*e = im.gate.check(im.rules, item.Object)
		}
		e.index = i
		e.place = place{line: item.Line, offset: item.Offset, end: item.Offset + int64(len(item.Raw))}
	}
	im.gate.checkRealm(elements)
	for i := range elements {
		im.complete(&elements[i], c.items[i].Raw)
	}
	return elements, nil
}

func (im *importing) prepareList(ctx context.Context, lines []listLine) ([]element, error) {
	elements := make([]element, len(lines))
	var fresh []int
	for i, l := range lines {
		e := &elements[i]
		if v, refused := l.value(im.list.format); refused != nil {
			e.refused = refused
			e.refused.size = l.size
		} else {
			*e = im.gate.entry(im.list, v, 1)
		}
		e.index, e.raw = i, l.raw
		e.place = place{line: l.line, offset: l.offset, end: l.end}
		im.complete(e, l.raw)
		if e.version != nil {
			fresh = append(fresh, i)
		}
	}
	for nth := 2; len(fresh) > 0; nth++ {
		var err error
		if fresh, err = im.meetList(ctx, elements, fresh, nth); err != nil {
			return nil, fmt.Errorf("look up list entries: %w", err)
		}
	}
	return elements, nil
}

// meetList looks up entries, and makes those that had vanished for the nth time;
// it returns which these are.
func (im *importing) meetList(ctx context.Context, elements []element, some []int, nth int) (over []int, err error) {
	ids := make([]stix.ID, len(some))
	for k, i := range some {
		ids[k] = elements[i].version.Object.ID
	}
	known, err := im.gate.known(ctx, ids)
	if err != nil {
		return nil, err
	}
	for k, i := range some {
		e := &elements[i]
		if e.known = known[ids[k]]; e.known == nil || !e.known.over {
			continue
		}
		again := im.gate.entry(im.list, e.version.Values[0], nth)
		again.index, again.raw, again.place = e.index, e.raw, e.place
		elements[i] = again
		over = append(over, i)
	}
	return over, nil
}

// complete gives a refused element its source and place.
func (im *importing) complete(e *element, raw []byte) {
	if e.refused == nil {
		return
	}
	e.from(im.rules, Raw{Bytes: raw, Place: e.place.String()})
}
