package courier

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// roomUnit is the size of content that a place in an inbox is for. A larger
// message takes more of them, so that an inbox bounds bytes as well as messages.
const roomUnit = 1 << 20

// places is how many a message takes.
func places(m *message.Message) int { return 1 + len(m.Content)/roomUnit }

// room is the places of an inbox. Who waits for several waits alone: two that
// hold some each would wait for ever.
type room struct {
	turn   chan struct{}
	tokens chan struct{}
}

func newRoom(n int) room { return room{make(chan struct{}, 1), make(chan struct{}, n)} }

// take waits for n places until ctx ends, maxWait at most.
func (r room) take(ctx context.Context, n int) bool {
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return false
	case <-timer.C:
		return false
	}
	defer func() { <-r.turn }()
	for got := range n {
		select {
		case r.tokens <- struct{}{}:
			continue
		case <-ctx.Done():
		case <-timer.C:
		}
		r.give(got)
		return false
	}
	return true
}

// give frees n places.
func (r room) give(n int) {
	for range n {
		<-r.tokens
	}
}

// empty waits until everything in it is gone.
func (r room) empty(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.turn }()
	for got := range cap(r.tokens) {
		select {
		case r.tokens <- struct{}{}:
		case <-ctx.Done():
			r.give(got)
			return ctx.Err()
		}
	}
	r.give(cap(r.tokens))
	return nil
}

// inbox is where a message of a precedence waits for its commit: FLASH and
// IMMEDIATE have room of their own.
func (l *link) inbox(p noroshi.Precedence) room {
	if p >= noroshi.Immediate {
		return l.inUrg
	}
	return l.inBulk
}
