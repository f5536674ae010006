package courier

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// ways are this node's channels as the agreement in force with a partner, and the
// keys that are good now, let them be used. While no agreement is, statements and
// documents go by every one: there is nothing else to go.
func (c *Courier) ways(v *view, now time.Time) (list []message.Way) {
	for _, ch := range c.o.Channels {
		if placed, ok := ch.(Placed); ok && !placed.Leads(v.partner) {
			continue
		}
		w := message.Way{Name: ch.Name(), Traits: ch.Traits(), Control: true}
		if a := v.agreement; a != nil && v.partner.Trust == noroshi.InForce {
			w.Control = len(a.SuitesOn(w.Kind)) > 0
			keys := v.sealable(w.Traits, now)
			w.Admits = func(label string) bool { return keys && carries(a, w.Kind, label) }
		}
		list = append(list, w)
	}
	return list
}

// rewire tells Step what may go by which channel as it is now, and notes when that
// changes again with no paper that tells it: when keys come into use or go out of it.
func (l *link) rewire() {
	l.mu.Lock()
	v, now := l.view.Load(), l.c.o.Now() // under mu, so that of two the later has the newer
	l.turns, l.turning = v.keys.Turns(now)
	fx := l.advance(message.Rewired{Ways: l.c.ways(v, now)})
	l.mu.Unlock()
	l.perform(fx)
}

// turned reports whether keys have come into use or gone out of it since rewire.
func (l *link) turned() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turning && !l.c.o.Now().Before(l.turns)
}

// carries reports whether objects of a label may go by a kind of channel.
func carries(a *noroshi.Agreement, kind, label string) bool {
	l, err := noroshi.ParseLabel(label)
	return err == nil && a.Carries(kind, l)
}

// sealable reports whether the partner has keys for a suite that objects may go
// under by a channel. Those of S2 come by themselves once a link is up.
func (v *view) sealable(t message.Traits, now time.Time) bool {
	return slices.ContainsFunc(v.suitesOn(t.Kind), func(s message.Suite) bool {
		return s == message.S2 && t.Narrow || v.keys.Has(s, now)
	})
}

// kindOf returns the kind of a channel by its name.
func (c *Courier) kindOf(channel string) string {
	if ch := c.channel(channel); ch != nil {
		return ch.Traits().Kind
	}
	kind, _, _ := strings.Cut(channel, ":")
	return kind
}

// Reached returns the partners with a live link whose card lists an endpoint,
// all where none is named.
func (c *Courier) Reached(endpoint string) (list []noroshi.NodeID) {
	for _, l := range c.all() {
		if p := l.view.Load().partner; live(p) && (endpoint == "" || slices.Contains(p.Endpoints, endpoint)) {
			list = append(list, p.Node)
		}
	}
	return list
}

// channel returns the channel of a name, nil when there is none.
func (c *Courier) channel(name string) Channel {
	i := slices.IndexFunc(c.o.Channels, func(ch Channel) bool { return ch.Name() == name })
	if i < 0 {
		return nil
	}
	return c.o.Channels[i]
}

// handOver gives an envelope to a channel, and tells Step how the channel does.
func (l *link) handOver(ctx context.Context, ch Channel, prec noroshi.Precedence, envelope []byte) error {
	if !ch.Traits().Takes(len(envelope)) {
		return noroshi.Errorf(noroshi.Invalid, "courier.too-large", "an envelope of %d bytes is too large for the channel %s", len(envelope), ch.Name())
	}
	err := ch.Send(ctx, l.view.Load().partner, prec, envelope)
	if err == nil {
		l.c.counts.BytesSent.Add(int64(len(envelope)))
		l.does(message.Up{Channel: ch.Name(), Up: true}, nil)
		return nil
	}
	switch kind := noroshi.KindOf(err); {
	case ctx.Err() != nil || kind == noroshi.Busy || kind == noroshi.Invalid: // it says nothing of the channel
	case kind == noroshi.NotFound:
		l.does(message.Up{Channel: ch.Name(), Absent: true}, err)
	default:
		l.does(message.Up{Channel: ch.Name()}, err)
	}
	return err
}

// does tells Step how a channel does and why, once per change.
func (l *link) does(e message.Up, why error) {
	told := noroshi.Tell(why)
	e.Why = told.Message
	l.mu.Lock()
	l.lastErr, l.failing[e.Channel] = told, told
	was, known := l.side.PathState(e.Channel)
	now := message.PathDown
	switch {
	case e.Absent:
		now = message.PathAbsent
	case e.Up:
		now = min(was, message.PathSilent)
	}
	var fx []message.Effect
	if known && was != now {
		fx = l.advance(e)
		l.checked = l.checked && l.side.Status().Up
	}
	l.mu.Unlock()
	l.perform(fx)
}

// maxSwitches bounds the changes of path of one link that are put on record one
// by one in a minute: a wire that comes and goes must not fill the ledger. What
// more there are in it is one act with their number.
const maxSwitches = 10

// switched puts a change of path on record, with its reason.
func (l *link) switched(ctx context.Context, x message.Switched) {
	l.c.counts.Switches.Add(1)
	text, now := pathText(x), l.c.o.Now()
	l.mu.Lock()
	if now.Sub(l.switchMinute) >= alarmPause {
		l.switchMinute, l.switches = now, 0
	}
	l.switches++
	n := l.switches
	l.lastSwitch = text
	l.mu.Unlock()
	switch {
	case n <= maxSwitches:
		l.recordSwitch(ctx, text, 1)
	case n == maxSwitches+1:
		l.spawn(l.recordRest)
	}
}

// recordRest waits for the end of a minute with too many changes of path and puts
// on record how many more there were.
func (l *link) recordRest(ctx context.Context) {
	rest := time.NewTimer(alarmPause)
	defer rest.Stop()
	select {
	case <-ctx.Done():
	case <-rest.C:
	}
	l.mu.Lock()
	text, n := l.lastSwitch, l.switches-maxSwitches
	l.switches = 0
	l.mu.Unlock()
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer stop()
	l.recordSwitch(ctx, text, n)
}

func (l *link) recordSwitch(ctx context.Context, text string, n int) {
	act := noroshi.Act{Action: noroshi.ActChangePath, Subject: text, Partner: l.node(), Count: n, Precedence: noroshi.Immediate}
	_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error { return tx.Notice(store.StreamChanged, l.node().String()) })
	l.note(quiet(ctx, err))
}

// pathText is how a change of path stands in the ledger: "https > mail, silent",
// with "-" for no path.
func pathText(x message.Switched) string {
	name := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	return name(x.From) + " > " + name(x.To) + ", " + x.Why
}

// SwitchedOf reads a change of path as it stands in the ledger, "" for no path; ok is
// false for any other text.
func SwitchedOf(text string) (x message.Switched, ok bool) {
	ways, why, ok := strings.Cut(text, ", ")
	from, to, both := strings.Cut(ways, " > ")
	name := func(s string) string { return strings.TrimPrefix(s, "-") }
	return message.Switched{From: name(from), To: name(to), Why: why}, ok && both
}

// halt keeps how a message that is being handed over to a channel is stopped.
type halt struct {
	epoch   message.Epoch
	seq     uint64
	channel string
}

// fly hands a sealed message over, unless Step needs it no more. It can be
// stopped meanwhile.
func (l *link) fly(ctx context.Context, r sealed) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	at := halt{r.send.Epoch, r.send.Seq, r.send.Channel}
	l.mu.Lock()
	needed := l.side.Flying(at.epoch, at.seq, at.channel)
	if needed {
		l.halts[at] = stop
	}
	l.mu.Unlock()
	if !needed {
		l.landed(r.send, errNothing)
		return
	}
	err := l.handOver(ctx, r.channel, r.send.Prec, r.envelope)
	if err == nil {
		l.c.counts.Sent.Add(1)
	}
	l.mu.Lock()
	delete(l.halts, at)
	l.mu.Unlock()
	l.landed(r.send, err)
}

// landed tells Step that a Send ended.
func (l *link) landed(x message.Send, err error) {
	if err != errNothing {
		l.note(err)
	}
	never := noroshi.KindOf(err) == noroshi.Invalid
	l.step(message.HandedOver{Epoch: x.Epoch, Seq: x.Seq, Channel: x.Channel, OK: err == nil, Never: never})
}

// stop ends the handing over of a message that need not go any more.
func (l *link) stop(x message.Halt) {
	l.mu.Lock()
	stop := l.halts[halt{x.Epoch, x.Seq, x.Channel}]
	l.mu.Unlock()
	if stop != nil {
		stop()
	}
}
