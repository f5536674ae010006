package siem

import (
	"context"
	"time"
)

// Bounds of what is done before a place is made durable.
const (
	maxWindow   = 4096            // events that may have to be sent again, where the receiver reads as fast
	idleChanges = 50_000          // changes that bring no event
	grace       = 3 * time.Second // for a stop to wait for the receiver's answer
)

// Run sends until ctx ends. It never fails: what cannot be read or sent now is
// tried again, later and later, and Status says why.
func (s *Sender) Run(ctx context.Context) error {
	wait := s.o.Pace.Retry
	for ctx.Err() == nil {
		before := s.state.settled()
		err := s.session(ctx)
		if ctx.Err() != nil {
			break
		}
		s.state.fail(err, s.o.Now())
		s.window = max(s.window/2, 1)    // so that something gets through to a slow receiver, or over a bad line
		if s.state.settled() != before { // it worked for a while
			wait = s.o.Pace.Retry
		}
		select {
		case <-ctx.Done():
		case <-s.o.After(wait):
		}
		wait = min(2*wait, s.o.Pace.Most)
	}
	return nil
}

// session is what is done between two failures.
type session struct {
	*Sender
	kept place // durable
	at   place // everything before it was written on line, or needs not be
	line *line // nil while nothing waits for an answer

	events   int // since kept
	withheld int
	first    time.Time // when the first of them was dealt with
	last     time.Time
}

// session sends from the durable place on until something fails or ctx ends;
// then the receiver has a moment to say what it has read.
func (s *Sender) session(ctx context.Context) error {
	if err := s.announce(ctx); err != nil {
		return err
	}
	kept, err := s.kept(ctx)
	if err != nil {
		return err
	}
	x := &session{Sender: s, kept: kept, at: kept}
	s.state.stands(x.at)
	err = x.forward(ctx)
	if ctx.Err() != nil && x.line != nil {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		err = x.settle(last)
	}
	if x.line != nil {
		x.line.drop()
	}
	return err
}

// forward writes what there is, waits for more, and settles when it is time.
func (x *session) forward(ctx context.Context) error {
	for {
		b, err := x.gather(ctx, x.at, min(x.window, maxBatch))
		if err != nil {
			return err
		}
		if err := x.write(ctx, b); err != nil {
			return err
		}
		due := x.events >= x.window || x.at.feed-x.kept.feed >= idleChanges
		if !due && !b.more {
			if due, err = x.news(ctx); err != nil {
				return err
			}
		}
		if due {
			if err := x.settle(ctx); err != nil {
				return err
			}
		}
	}
}

// write puts a batch onto the connection, making one when there is none.
func (x *session) write(ctx context.Context, b batch) error {
	if b.sent > 0 {
		if x.line == nil {
			c, err := x.o.Dial(ctx, &x.dest)
			if err != nil {
				return err
			}
			x.line = watchLine(c)
		}
		if err := x.line.put(ctx, b.frames, x.o.Pace.Write); err != nil {
			return err
		}
		x.state.wrote(x.o.Now())
	}
	if b.sent+b.withheld > 0 {
		x.last = x.o.Now()
		if x.events+x.withheld == 0 {
			x.first = x.last
		}
	}
	x.events, x.withheld, x.at = x.events+b.sent, x.withheld+b.withheld, b.to
	x.state.stands(x.at)
	return nil
}

// news waits until there is more to look at, or (due) it is time to settle.
func (x *session) news(ctx context.Context) (due bool, err error) {
	inner, stop := context.WithCancel(ctx)
	moved := make(chan struct{})
	go func() {
		defer close(moved)
		_ = x.store.Wait(inner, x.at.feed) // only an end of inner is an error
	}()
	defer func() { stop(); <-moved }()
	var ended <-chan struct{}
	var ripe <-chan time.Time
	if x.line != nil {
		ended = x.line.ended
	}
	if x.events+x.withheld > 0 {
		ripe = x.o.After(min(x.last.Add(x.o.Pace.Settle).Sub(x.o.Now()), x.first.Add(x.o.Pace.Turn).Sub(x.o.Now())))
	}
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-ended:
			return false, x.line.gone()
		case <-ripe:
			return true, nil
		case <-moved:
			return false, ctx.Err()
		case <-x.o.After(x.o.Pace.Poll):
			next, err := x.store.NextAct(ctx)
			if err != nil || int64(next) > x.at.acts {
				return false, err
			}
		}
	}
}

// settle makes the place durable once the receiver has read what was written.
func (x *session) settle(ctx context.Context) error {
	if x.line != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-x.line.ended:
			return x.line.gone()
		case <-x.o.After(x.last.Add(x.o.Pace.Calm).Sub(x.o.Now())):
		}
		if err := x.line.confirm(ctx, x.o.After(x.o.Pace.Answer)); err != nil {
			return err
		}
		x.line.drop()
		x.line = nil
	}
	if err := x.keep(ctx, x.kept, x.at); err != nil {
		return err
	}
	x.state.settle(x.events, x.withheld, x.o.Now())
	x.Sender.window = min(2*x.window, maxWindow)
	x.kept, x.events, x.withheld = x.at, 0, 0
	return nil
}
