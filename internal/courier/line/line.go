// Package line carries sealed bytes over serial lines, TCP or UDP pipes and HF
// modems from 75 to 9,600 bit/s, with bit errors and losses, one side speaking
// at a time where the line asks for it. No HTTP, no IP: what it needs is a pipe
// for bytes that reaches one other node.
//
// It promises that a FLASH waits for no more than the frame in hand (and, on a
// half-duplex line, until the other side has had its say: Config.Talk), that an
// envelope that was begun goes on where it was after what is higher, and that
// Send returns nil only when the other end has every byte. It promises nothing
// about what the other end then does: receipts are statements.
//
// Three layers, each a value that is changed by a function and does no I/O:
// Deframer finds frames in bytes (docs/wire.md §8), the sets behind ReadFragment
// put envelopes together, Step takes turns and repairs. Line is the thin driver
// around them: the clock, the pipe, and who waits.
package line

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Bounds of the driver.
const (
	maxWaiting  = 64 // Sends at once; FLASH has as many of its own
	maxAccepts  = 16 // envelopes being handed over at once
	busyPause   = time.Second
	busyTries   = 30
	firstPause  = 500 * time.Millisecond // between attempts to open the pipe
	longPause   = 30 * time.Second
	keepWaiting = 5 * time.Second // what waits is kept while the pipe is opened anew
	readBurst   = 8 << 10         // bytes that are read at once; beyond it four times the line's rate
	usualSilent = 30 * time.Minute
)

// Open makes the pipe: a device, a connection. It is called again when the
// pipe breaks.
type Open func(ctx context.Context) (io.ReadWriteCloser, error)

// Options of a Line.
type Options struct {
	Name   string // as in the endpoint line:NAME of both nodes' cards
	Open   Open
	Config Config // Seed is drawn where it is zero
	// Accept takes an envelope over. From is who its fragments are of, zero
	// when it came in one frame. Busy is tried again for half a minute; any
	// other error is told to nobody.
	Accept func(ctx context.Context, from noroshi.NodeID, envelope []byte) error
	Now    func() time.Time // nil = time.Now
	// Silence is after how long without a frame from the other side the
	// envelopes that wait are given back to go another way; 0 = 30 minutes.
	Silence time.Duration
}

// Check finds fault with what an operator says of a line, before there are keys
// and who takes envelopes.
func (o Options) Check() error {
	if !noroshi.LineName(o.Name) || o.Open == nil {
		return errKeys
	}
	return o.Config.numbers()
}

// Line is one line to one other node. It is safe for concurrent use.
type Line struct {
	o       Options
	queue   chan waiting
	drops   chan uint64
	up      atomic.Bool
	why     atomic.Pointer[noroshi.Error] // why it is down
	ids     atomic.Uint64
	room    [2]chan struct{} // below FLASH, FLASH
	accepts chan struct{}
	tasks   sync.WaitGroup

	mu     sync.Mutex // guards counts, lost
	counts Counts
	lost   int64
}

// waiting is an envelope somebody waits for.
type waiting struct {
	Queued
	since time.Time
	done  chan error // has room for one
}

// New makes a line; nothing is opened before Run.
func New(o Options) (*Line, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Accept == nil || o.Config.MAC == nil || o.Config.Check == nil {
		return nil, errKeys
	}
	if o.Config.Seed == ([32]byte{}) {
		rand.Read(o.Config.Seed[:])
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Silence <= 0 {
		o.Silence = usualSilent
	}
	l := &Line{o: o, queue: make(chan waiting), drops: make(chan uint64), accepts: make(chan struct{}, maxAccepts)}
	for i := range l.room {
		l.room[i] = make(chan struct{}, maxWaiting)
	}
	l.why.Store(noroshi.Errorf(noroshi.Queued, "line.stopped", "line %s does not run", o.Name))
	return l, nil
}

// Name is "line:" and the line's name.
func (l *Line) Name() string { return "line:" + l.o.Name }

// Traits of the channel: narrow, both ways, the last to be chosen.
func (l *Line) Traits() message.Traits {
	c := l.o.Config
	if c.CharBits == 0 {
		c.CharBits = 8
	}
	return message.Traits{Kind: noroshi.ChannelLine, Narrow: true, Turn: 2*c.Turn + 2*c.air(frameMax), Largest: Largest, Cost: 100}
}

// Counts returns what the line has seen since Run began.
func (l *Line) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// Lost counts envelopes that arrived and nobody took: they come again, since no
// receipt goes out.
func (l *Line) Lost() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Up reports whether the pipe is open, and why not.
func (l *Line) Up() error {
	if l.up.Load() {
		return nil
	}
	return l.why.Load()
}

// Send hands an envelope to the other side and returns when it has all of it.
// Errors have the codes line.no-endpoint, line.too-large, line.full, line.stopped,
// line.down, line.silent.
func (l *Line) Send(ctx context.Context, p noroshi.Partner, prec noroshi.Precedence, envelope []byte) error {
	if !l.Leads(p) {
		return noroshi.Errorf(noroshi.NotFound, "line.no-endpoint", "partner %s is not on line %s", p.Organisation.CallSign, l.o.Name)
	}
	if len(envelope) == 0 || len(envelope) > Largest {
		return noroshi.Errorf(noroshi.Invalid, "line.too-large", "an envelope of %d bytes: line %s takes 1 to %d", len(envelope), l.o.Name, Largest)
	}
	if prec > noroshi.Flash {
		prec = noroshi.Routine
	}
	room := l.room[0]
	if prec == noroshi.Flash {
		room = l.room[1]
	}
	select {
	case room <- struct{}{}:
		defer func() { <-room }()
	default:
		return noroshi.Errorf(noroshi.Busy, "line.full", "%d envelopes wait on line %s already", maxWaiting, l.o.Name)
	}
	return l.await(ctx, waiting{Queued{l.ids.Add(1), p.Node, prec, envelope}, l.o.Now(), make(chan error, 1)})
}

// Leads reports whether a partner is at the other end.
func (l *Line) Leads(p noroshi.Partner) bool {
	return slices.Contains(p.Ways(noroshi.ChannelLine), l.Name())
}

// await hands an envelope to the loop, while there is one, and waits.
func (l *Line) await(ctx context.Context, w waiting) error {
	for begun := false; !begun; {
		if err := l.Up(); err != nil {
			return err
		}
		look := time.NewTimer(busyPause) // the pipe may break meanwhile
		select {
		case l.queue <- w:
			begun = true
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		look.Stop()
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
	}
	select {
	case l.drops <- w.ID:
	case err := <-w.done: // just now, or the line has ended
		return err
	}
	return ctx.Err()
}

// Run keeps the pipe open and the line going until ctx ends. When it returns
// nothing it started is running any more.
func (l *Line) Run(ctx context.Context) error {
	defer l.tasks.Wait()
	e, err := newLoop(l)
	if err != nil {
		return err
	}
	for pause := time.Duration(0); ; {
		pipe, err := e.open(ctx, pause)
		if err == nil {
			l.up.Store(true)
			began := l.o.Now()
			err = e.serve(ctx, pipe)
			if l.o.Now().Sub(began) > longPause {
				pause = 0
			}
		}
		l.why.Store(noroshi.Errorf(noroshi.Queued, "line.down", "line %s is down: %w", l.o.Name, err))
		l.up.Store(false)
		if ctx.Err() != nil {
			e.failAll(noroshi.Errorf(noroshi.Queued, "line.stopped", "line %s does not run", l.o.Name))
			return nil
		}
		pause = min(2*pause+firstPause, longPause)
	}
}

// hand gives an envelope to who takes it, in a task of its own: the line goes
// on meanwhile.
func (l *Line) hand(ctx context.Context, d Deliver) {
	select {
	case l.accepts <- struct{}{}:
	default:
		l.lose()
		return
	}
	l.tasks.Go(func() {
		defer func() { <-l.accepts }()
		for range busyTries {
			err := l.o.Accept(ctx, d.From, d.Envelope)
			if noroshi.KindOf(err) != noroshi.Busy {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(busyPause):
			}
		}
		l.lose()
	})
}

func (l *Line) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost++
}

var errEnd = errors.New("the other end closed it")
