// Package mail carries sealed bytes by e-mail: one envelope, or one part of it, is
// the one attachment of one letter. It sends through a site's mail gateway
// (Relay) or lays letters into a folder that a mail system fetches from, and
// takes letters in by a listener of its own or from a folder (Spool). A site uses
// what it has of the four.
//
// A letter shows its two addresses, its time and its size, and nothing of what
// is in it: subject and file name are random. Nothing rests on what a gateway may
// change: headers, names, types, encodings, further parts around the attachment.
// What is an envelope is told by its gate, what is a part by its MAC.
//
// It promises that Send returns nil only when the gateway has taken every part,
// or the folder has them durably. It promises nothing about the way from there:
// receipts are statements. What comes in is bounded before it is read, and what no
// gate opens is dropped and counted (a folder keeps the newest of it in
// quarantine).
package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Usual values of Options.
const (
	usualTurn  = 2 * time.Minute
	usualMax   = 10 << 20
	usualRetry = 5 * time.Second
	usualPoll  = 2 * time.Second
	// LeastMax is the smallest bound of a letter's size: below it a channel would
	// be of no use.
	LeastMax = 64 << 10
)

// Options of New. Relay or Spool, Listener or Spool must be there.
type Options struct {
	// From is the address of this node, LOCAL@DOMAIN: of its endpoint mailto:.
	From string
	// Recipients are the addresses letters are taken for; empty = From alone.
	Recipients []string
	Relay      *Relay       // the gateway letters go out through; nil = Spool
	Listener   net.Listener // where letters come in by SMTP; nil = Spool alone
	TLS        *tls.Config  // offered by STARTTLS on Listener; nil = none
	Spool      string       // a folder with in/ and out/; "" = none

	// MaxLetter is the size of the largest letter the gateways on the way take,
	// in bytes as they count them; 0 = 10 MiB. A larger envelope goes in parts.
	MaxLetter int
	// Turn is the usual time until an answer can be back; 0 = 2 minutes.
	Turn time.Duration

	// MAC authenticates a part for a partner, over all that goes before it; ok is
	// false while there is no key. Check says who made a part, by the MAC at its
	// end. Without them no envelope is cut, and no part taken.
	MAC   func(to noroshi.NodeID, rest []byte) (mac [8]byte, ok bool)
	Check func(part []byte) (from noroshi.NodeID, ok bool)
	// Accept takes an envelope over. From is who its parts are of, zero when it
	// came whole. Busy asks to come again later; any other error says that it is
	// nothing for this node, and is told to nobody outside.
	Accept func(ctx context.Context, from noroshi.NodeID, envelope []byte) error

	Now   func() time.Time // nil = time.Now
	Retry time.Duration    // the first wait after "come again later"; 0 = 5 s
	Poll  time.Duration    // how often the spool is looked at; 0 = 2 s
}

// Counts are what a channel has seen since it was made.
type Counts struct {
	Sent     int64 // letters handed over
	Deferred int64 // "come again later", from gateways
	Refused  int64 // letters gateways refused for good
	Came     int64 // letters that came in
	Taken    int64 // envelopes of them that somebody took over
	Dropped  int64 // letters with nothing for this node in them
	Late     int64 // letters that were asked to come again
	Cleared  int64 // files the spool has removed to keep its bounds
}

type counters struct {
	sent, deferred, refused, came, taken, dropped, late, cleared atomic.Int64
}

// Mail is the channel. It is safe for concurrent use.
type Mail struct {
	o         Options
	counts    counters
	shelf     shelf
	pauses    pauses
	addresses addresses
	idle      idle
	rooms     rooms
	spool     *spool             // nil = none
	held      map[string][]setID // letters in it with parts of what is not whole yet; of collect
	memory    budget
}

// New makes a channel; what comes in waits until Run.
func New(o Options) (*Mail, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Accept == nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "mail.options", "mail needs %s", "accept")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Recipients) == 0 {
		o.Recipients = []string{o.From}
	}
	o.MaxLetter, o.Turn = orUsual(o.MaxLetter, usualMax), orUsual(o.Turn, usualTurn)
	o.Retry, o.Poll = orUsual(o.Retry, usualRetry), orUsual(o.Poll, usualPoll)
	m := &Mail{o: o, held: map[string][]setID{}}
	m.pauses.retry = o.Retry
	m.memory.free.Store(maxMemory)
	if o.Spool != "" {
		s, err := openSpool(o.Spool)
		if err == nil {
			err = s.sweep()
		}
		if err != nil {
			return nil, err
		}
		m.spool = s
	}
	return m, nil
}

func orUsual[T int | time.Duration](x, usual T) T {
	if x == 0 {
		return usual
	}
	return x
}

// Validate finds fault with what an operator says, before there are keys.
func (o Options) Validate() error {
	bad := func(what string) error {
		return noroshi.Errorf(noroshi.Invalid, "mail.options", "mail needs %s", what)
	}
	switch {
	case noroshi.EndpointKind("mailto:"+o.From) != noroshi.ChannelMail:
		return bad("from")
	case o.Relay == nil && o.Spool == "":
		return bad("out")
	case o.Listener == nil && o.Spool == "":
		return bad("in")
	case o.MaxLetter != 0 && o.MaxLetter < LeastMax:
		return bad("size")
	case o.Turn < 0 || o.Turn > 24*time.Hour:
		return bad("turn")
	}
	for _, r := range o.Recipients {
		if noroshi.EndpointKind("mailto:"+r) != noroshi.ChannelMail {
			return bad("recipients")
		}
	}
	if o.Relay != nil {
		return o.Relay.check()
	}
	return nil
}

// Probe tries what letters go out by and the folder, and sends nothing.
func (o Options) Probe(ctx context.Context) error {
	if o.Spool != "" {
		s, err := openSpool(o.Spool)
		if err != nil {
			return err
		}
		_, err = s.list(inFolder, 1, nil)
		if err == nil && o.Relay == nil {
			err = s.room(time.Now(), 1)
		}
		if err := errors.Join(err, s.close()); err != nil {
			return err
		}
	}
	if o.Relay == nil {
		return nil
	}
	s, err := o.Relay.dial(ctx)
	if err != nil {
		return err
	}
	_ = s.Quit()
	_ = s.Close() // closed already where it took the leave
	return nil
}

// Name is "mail".
func (m *Mail) Name() string { return noroshi.ChannelMail }

// Traits of the channel: wide, slow, both ways, after https and before media
// and lines.
func (m *Mail) Traits() message.Traits {
	largest := message.MaxEnvelope
	if m.o.MAC == nil {
		largest = min(largest, bodyOf(m.o.MaxLetter))
	}
	return message.Traits{Kind: noroshi.ChannelMail, Turn: m.o.Turn, Largest: largest, Cost: 10}
}

// Counts returns what the channel has seen.
func (m *Mail) Counts() Counts {
	c := &m.counts
	return Counts{Sent: c.sent.Load(), Deferred: c.deferred.Load(), Refused: c.refused.Load(), Came: c.came.Load(),
		Taken: c.taken.Load(), Dropped: c.dropped.Load(), Late: c.late.Load(), Cleared: c.cleared.Load()}
}

// Run takes letters in until ctx ends. When it returns nothing it started is
// running any more.
func (m *Mail) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	var tasks sync.WaitGroup
	run := func(task func(context.Context) error) {
		tasks.Go(func() {
			if err := task(ctx); err != nil && ctx.Err() == nil {
				stop(err)
			}
		})
	}
	if m.o.Listener != nil {
		run(m.serve)
	}
	if m.spool != nil {
		run(m.collect)
	}
	<-ctx.Done()
	tasks.Wait()
	m.idle.close()
	if err := context.Cause(ctx); err != context.Canceled && err != context.DeadlineExceeded {
		return err
	}
	return nil
}

// Close frees what New took, the listener too; Run must have returned, or not been
// called.
func (m *Mail) Close() error {
	m.idle.close()
	if m.o.Listener != nil {
		_ = m.o.Listener.Close() // closed already when Run has run
	}
	if m.spool != nil {
		return m.spool.close()
	}
	return nil
}
