package line

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// loop owns the state of a line: it alone calls Step.
type loop struct {
	l     *Line
	s     State
	wait  map[uint64]waiting
	frame []byte // to be written
	since time.Time
}

func newLoop(l *Line) (*loop, error) {
	s, err := NewState(l.o.Config, l.o.Now())
	return &loop{l: l, s: s, wait: map[uint64]waiting{}}, err
}

// serve drives the line over one pipe until that breaks or ctx ends. It closes
// the pipe.
func (e *loop) serve(ctx context.Context, pipe io.ReadWriteCloser) error {
	ctx, stop := context.WithCancel(ctx)
	heard, frames, written := make(chan []byte), make(chan []byte), make(chan error, 1)
	broken := make(chan error, 1)
	end := func(err error) error {
		stop()
		pipe.Close()
		return err
	}
	done := make(chan struct{}, 2)
	go func() { broken <- e.read(ctx, pipe, heard); done <- struct{}{} }()
	go func() { e.write(ctx, pipe, frames, written); done <- struct{}{} }()
	defer func() { <-done; <-done }()
	e.frame = nil
	e.step(ctx, Reset{})
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(e.pause())
		out := frames
		if e.frame == nil {
			out = nil
		}
		select {
		case <-ctx.Done():
			return end(ctx.Err())
		case err := <-broken:
			return end(err)
		case b := <-heard:
			e.step(ctx, Heard{b})
		case out <- e.frame:
			e.frame = nil
		case err := <-written:
			if err != nil {
				return end(err)
			}
			e.step(ctx, Written{})
		case w := <-e.l.queue:
			e.wait[w.ID] = w
			e.step(ctx, w.Queued)
		case id := <-e.l.drops:
			e.finish(id, context.Canceled)
			e.step(ctx, Dropped{id})
		case <-timer.C:
			if e.stuck() {
				return end(noroshi.Errorf(noroshi.Queued, "line.stuck", "the pipe takes no bytes"))
			}
			e.silence(ctx)
			e.step(ctx, Tick{})
		}
	}
}

// Times the loop looks up at least.
const (
	glance    = time.Second
	shortest  = time.Millisecond
	stuckAir  = 4 // a frame that is not taken after so many times its time, and
	stuckMore = 30 * time.Second
)

// pause is until the state wants a Tick.
func (e *loop) pause() time.Duration {
	at := e.s.Next()
	if at.IsZero() {
		return glance
	}
	return min(glance, max(shortest, at.Sub(e.l.o.Now())))
}

func (e *loop) step(ctx context.Context, ev Event) {
	now := e.l.o.Now()
	var fx []Effect
	e.s, fx = Step(e.s, ev, now)
	for _, f := range fx {
		switch f := f.(type) {
		case Transmit:
			e.frame, e.since = f.Bytes, now
		case Deliver:
			e.l.hand(ctx, f)
		case Done:
			e.finish(f.ID, nil)
		}
	}
	e.l.mu.Lock()
	e.l.counts = e.s.Counts()
	e.l.mu.Unlock()
}

func (e *loop) finish(id uint64, err error) {
	if w, ok := e.wait[id]; ok {
		w.done <- err
		delete(e.wait, id)
	}
}

// failAll gives everything that waits back.
func (e *loop) failAll(err error) {
	for id := range e.wait {
		e.finish(id, err)
		e.s, _ = Step(e.s, Dropped{id}, e.l.o.Now())
	}
}

// stuck reports whether a frame was given to the pipe long ago and not taken.
func (e *loop) stuck() bool {
	return e.s.writing && e.l.o.Now().Sub(e.since) > stuckAir*e.s.c.air(frameMax)+stuckMore
}

// silence gives back what waits when the other side has said nothing for long.
func (e *loop) silence(ctx context.Context) {
	now := e.l.o.Now()
	for id, w := range e.wait {
		if now.Sub(w.since) > e.l.o.Silence && now.Sub(e.s.counts.LastHeard) > e.l.o.Silence {
			e.finish(id, noroshi.Errorf(noroshi.Queued, "line.silent", "nothing was heard on line %s for %s", e.l.o.Name, e.l.o.Silence))
			e.step(ctx, Dropped{id})
		}
	}
}

// open opens the pipe after a pause, and answers meanwhile who takes an envelope
// back. What waits is kept for a little while: a modem that is switched off and
// on costs nothing.
func (e *loop) open(ctx context.Context, pause time.Duration) (io.ReadWriteCloser, error) {
	type opened struct {
		pipe io.ReadWriteCloser
		err  error
	}
	result := make(chan opened, 1)
	go func() {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			result <- opened{nil, ctx.Err()}
		case <-timer.C:
			pipe, err := e.l.o.Open(ctx)
			result <- opened{pipe, err}
		}
	}()
	patience := time.NewTimer(keepWaiting)
	defer patience.Stop()
	for {
		select {
		case r := <-result:
			return r.pipe, r.err
		case id := <-e.l.drops:
			e.finish(id, context.Canceled)
			e.s, _ = Step(e.s, Dropped{id}, e.l.o.Now())
		case <-patience.C:
			e.failAll(e.l.why.Load())
		}
	}
}

// read passes bytes on, no faster than four times the rate of the line once a
// buffer full has come: who floods a pipe costs no more than a busy line does.
func (e *loop) read(ctx context.Context, pipe io.Reader, heard chan<- []byte) error {
	purse, filled := readBurst, e.l.o.Now()
	rate := 4 * e.l.o.Config.Rate / 8
	for buf := make([]byte, 2048); ; {
		n, err := pipe.Read(buf)
		if n > 0 {
			now := e.l.o.Now()
			purse = min(readBurst, purse+int(now.Sub(filled).Seconds()*float64(rate)))
			filled, purse = now, purse-n
			select {
			case heard <- append([]byte(nil), buf[:n]...):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if errors.Is(err, io.EOF) {
			return errEnd
		}
		if err != nil {
			return err
		}
		if purse < 0 {
			select {
			case <-time.After(time.Duration(-purse) * time.Second / time.Duration(rate)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// write puts frames on the pipe, one at a time.
func (e *loop) write(ctx context.Context, pipe io.Writer, frames <-chan []byte, written chan<- error) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-frames:
			_, err := pipe.Write(f)
			written <- err
			if err != nil {
				return
			}
		}
	}
}
