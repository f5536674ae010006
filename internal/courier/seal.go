package courier

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// sealed is a message ready to be handed over, and what clears its objects.
type sealed struct {
	send     message.Send
	channel  Channel
	envelope []byte
	by       release.Cleared // of DATA
}

// clearings is how often what goes is cleared again because what it rests on
// changed while it was sealed.
const clearings = 3

// turn is T2 for the messages Step sends at once: check every object again,
// and for each channel whether it may carry them, seal, write the attempts in one
// act in which all that was checked still stands, commit, and only then hand the
// bytes over. What may go no more is withheld (T4); what a channel may not carry
// stays for another.
func (l *link) turn(ctx context.Context, sends []message.Send) {
	for range clearings {
		if sends = l.try(ctx, sends); len(sends) == 0 {
			return
		}
	}
	for _, x := range sends {
		l.landed(x, noroshi.Errorf(noroshi.Busy, "courier.moving", "what sequence %d to %s rests on goes on changing: it is tried again", x.Seq, l.node()))
	}
}

// try is one try of a turn; it returns what was cleared too early.
func (l *link) try(ctx context.Context, sends []message.Send) (again []message.Send) {
	var ready []sealed
	clear := map[arrival]cleared{} // FLASH goes by several channels
	for _, x := range sends {
		at := arrival{epoch: x.Epoch, seq: x.Seq}
		c, done := clear[at]
		if !done {
			c = l.recheck(ctx, x)
			clear[at] = c
			if noroshi.KindOf(c.err) == noroshi.Refused {
				l.withhold(ctx, x.Epoch, []uint64{x.Seq}, store.Withheld)
			}
		}
		r, err := sealed{send: x}, c.err
		if err == nil {
			r, err = l.seal(x, c)
		}
		if err != nil {
			l.landed(x, err)
			continue
		}
		ready = append(ready, r)
	}
	if len(ready) == 0 {
		return nil
	}
	may, early, err := l.attempt(ctx, ready)
	if err != nil {
		may, early = nil, nil
	}
	for _, r := range ready {
		is := func(o sealed) bool { return o.send == r.send }
		switch {
		case slices.ContainsFunc(may, is):
			l.spawn(func(ctx context.Context) { l.fly(ctx, r) })
		case slices.ContainsFunc(early, is):
			again = append(again, r.send)
		default:
			l.landed(r.send, cmp.Or(err, errNothing))
		}
	}
	return again
}

// cleared is a message that may go and what clears its objects, or why not.
type cleared struct {
	m   *message.Message
	by  release.Cleared
	err error
}

// sealer takes turns for what is below FLASH: what comes due while one turn is
// being sealed goes together in the next.
func (l *link) sealer(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.sealNow:
		}
		l.mu.Lock()
		turn := l.sends
		l.sends = nil
		l.mu.Unlock()
		if len(turn) > 0 {
			l.turn(ctx, turn)
		}
	}
}

// recheck reads a message that is in the stream, if it may still go.
func (l *link) recheck(ctx context.Context, x message.Send) (c cleared) {
	c.m, c.by, c.err = l.clear(ctx, x)
	return c
}

func (l *link) clear(ctx context.Context, x message.Send) (m *message.Message, by release.Cleared, err error) {
	out, err := l.c.s.Out(ctx, l.node(), x.Epoch, x.Seq, 1)
	if err != nil {
		return nil, by, err
	}
	if len(out) == 0 || out[0].Seq != x.Seq {
		return nil, by, noroshi.Errorf(noroshi.Broken, "courier.stream", "sequence %d is not in the stream to %s", x.Seq, l.node())
	}
	o := out[0]
	if m, err = message.DecodeSigned(l.c.o.Realm, o.Signed); err != nil {
		return nil, by, err
	}
	switch message.Kind(o.Kind) {
	case message.Data:
		if err := l.mayGive(); err != nil { // what was recalled since is not known here yet
			return nil, by, err
		}
		if o.Batch == "" { // it was given back, and nothing cleared it since
			return nil, by, noroshi.Errorf(noroshi.Refused, "courier.not-cleared", "only what the release desk cleared may go")
		}
		if by, err = l.c.desk.Again(ctx, o); err != nil {
			return nil, by, err
		}
		o.Content = encodeCleared(by)
	case message.Link:
		if o.Content, err = l.linkContent(m); err != nil {
			return nil, by, err
		}
	}
	m, err = m.WithContent(o.Content)
	return m, by, err
}

// seal makes an envelope of a message for a channel.
func (l *link) seal(x message.Send, c cleared) (r sealed, err error) {
	ch := l.c.channel(x.Channel)
	if ch == nil {
		return r, noroshi.Errorf(noroshi.Invalid, "courier.channel", "this node has no channel %s", x.Channel)
	}
	envelope, err := l.envelope(ch, message.Plain{Message: c.m})
	return sealed{x, ch, envelope, c.by}, err
}

// envelope seals what goes to the partner for a channel, under the best of the
// suites agreed for its kind that both sides have the keys for: on narrow ones the
// short one.
func (l *link) envelope(ch Channel, p message.Plain) ([]byte, error) {
	t := ch.Traits()
	o := l.outbound(p, t.Kind)
	if t.Narrow {
		o = l.narrow(o, p)
	}
	return l.sealFor(t.Kind, p, o)
}

// wide seals what goes to the partner by hand, on media.
func (l *link) wide(p message.Plain) ([]byte, error) {
	return l.sealFor(noroshi.ChannelMedia, p, l.outbound(p, noroshi.ChannelMedia))
}

// sealFor seals for a kind of channel what the agreement lets it carry, and under
// no suite that is not agreed there. It is the only place where anything is sealed,
// and goes by nothing but what the bytes say: whatever chose the channel may have
// done so a while ago.
func (l *link) sealFor(kind string, p message.Plain, o message.Outbound) ([]byte, error) {
	if err := l.admits(kind, p); err != nil {
		return nil, err
	}
	if !message.MayCarry(l.view.Load().suitesOn(kind), cmp.Or(o.Suite, message.S1), p.Kind()) {
		return nil, noroshi.Errorf(noroshi.Queued, "courier.no-suite", "no key is there yet for a suite that the agreement with %s lists for %s", l.node(), kind)
	}
	return message.Seal(p, o, rand.Reader)
}

// admits refuses what the agreement in force lets a kind of channel not carry: the
// kind that is not listed, nor any object of a label that it is not admitted for.
// Without an agreement nothing carries objects.
func (l *link) admits(kind string, p message.Plain) error {
	a := l.view.Load().agreement
	labels, err := p.Labels()
	if err != nil {
		return err
	}
	bad := func(label string) bool { return a == nil || !carries(a, kind, label) }
	if a != nil && !a.Lists(kind) || slices.ContainsFunc(labels, bad) {
		return noroshi.Errorf(noroshi.Queued, "courier.not-admitted", "the agreement with %s does not let %s carry this", l.node(), kind)
	}
	return nil
}

func encodeCleared(x release.Cleared) []byte {
	objects := make([]message.Object, len(x.Objects()))
	for i, o := range x.Objects() {
		objects[i] = message.Object{View: o.View, Bytes: o.Bytes}
	}
	return message.EncodeObjects(objects)
}

// attempt writes the evidence of attempts before a byte leaves, and returns
// what may, and what was cleared too early.
func (l *link) attempt(ctx context.Context, all []sealed) (ready, early []sealed, err error) {
	act := noroshi.Act{Action: noroshi.ActAttempt, Partner: l.node(), Count: len(all), Precedence: all[0].send.Prec}
	_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		var err error
		if ready, early, err = l.leaving(ctx, tx, all); err != nil || len(ready) == 0 {
			return cmp.Or(err, errNothing)
		}
		type path struct {
			epoch   message.Epoch
			channel string
		}
		by := map[path][]uint64{}
		for _, r := range ready {
			at := path{r.send.Epoch, r.send.Channel}
			by[at] = append(by[at], r.send.Seq)
		}
		for at, seqs := range by {
			if err := tx.SetOutState(l.node(), at.epoch, seqs, store.Attempted, at.channel); err != nil {
				return err
			}
		}
		return nil
	})
	if err == errNothing {
		err = nil
	}
	return ready, early, err
}

// leaving is what of sealed messages may leave by the act it is asked in, and
// what has to be cleared again: a message that was withheld since it was sealed
// stays here, and so does one of which something changed since it was cleared.
func (l *link) leaving(ctx context.Context, tx *store.Tx, all []sealed) (ready, early []sealed, err error) {
	for _, r := range all {
		closed, err := tx.Closed(l.node(), r.send.Epoch, r.send.Seq)
		if err != nil {
			return nil, nil, err
		}
		if closed {
			continue
		}
		if r.by.Valid() {
			stands, err := r.by.Stands(ctx, tx)
			if err != nil {
				return nil, nil, err
			}
			if !stands {
				early = append(early, r)
				continue
			}
		}
		ready = append(ready, r)
	}
	tx.Act().Count = len(ready)
	return ready, early, nil
}

// withhold is T4: messages leave no more; a tombstone joins the stream in the
// same act and closes their sequences.
func (l *link) withhold(ctx context.Context, e message.Epoch, seqs []uint64, to store.OutState) {
	reason := uint8(2)
	if to == store.Expired {
		reason = 1
	}
	var tombs []message.TombstoneBody
	var rests []pendingMessage
	for _, n := range seqs {
		out, err := l.c.s.Out(ctx, l.node(), e, n, 1)
		if err != nil || len(out) == 0 || out[0].Seq != n {
			l.note(err)
			continue
		}
		tombs = append(tombs, message.TombstoneBody{Epoch: e, Seq: n, ID: out[0].ID, Reason: reason})
		if to == store.Withheld && out[0].Batch != "" {
			rests = append(rests, restOf(l.node(), out[0]))
		}
	}
	if len(tombs) == 0 {
		return
	}
	act := noroshi.Act{Action: noroshi.ActWithhold, Subject: epochText(e), Partner: l.node(), Count: len(tombs), Precedence: noroshi.Immediate}
	d := draft{kind: message.Tombstone, prec: noroshi.Priority, content: message.EncodeTombstones(tombs)}
	err := l.put(ctx, act, []draft{d}, func(tx *store.Tx) error {
		for _, p := range rests {
			if err := keepPending(tx, p); err != nil {
				return err
			}
		}
		return tx.SetOutState(l.node(), e, seqs, to, "")
	})
	if err != nil {
		l.note(err)
		return
	}
	l.c.counts.Withheld.Add(int64(len(tombs)))
	l.step(message.Withheld{Epoch: e, Seqs: seqs})
	for _, p := range rests {
		l.addPending(p)
	}
}

// load answers Step's wish for messages that memory does not hold.
func (l *link) load(ctx context.Context, x message.Load) {
	out, err := l.c.s.Out(ctx, l.node(), x.Epoch, x.Range.A, int(min(x.Range.B-x.Range.A+1, 1000)))
	l.note(err)
	answer := message.Loaded{Epoch: x.Epoch}
	for _, o := range out {
		if o.Seq <= x.Range.B {
			answer.Out = append(answer.Out, l.outOf(o))
		}
	}
	l.step(answer)
}
