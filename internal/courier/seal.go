package courier

import (
	"context"
	"crypto/rand"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// sealed is a message ready to be handed over.
type sealed struct {
	send     message.Send
	envelope []byte
}

// turn is T2 for the messages Step sends at once: check every object again,
// seal, write the attempts in one act, commit, and only then hand the bytes
// over. What may go no more is withheld (T4).
func (l *link) turn(ctx context.Context, sends []message.Send) {
	var ready []sealed
	for _, x := range sends {
		envelope, err := l.seal(ctx, x)
		switch {
		case err == nil:
			ready = append(ready, sealed{x, envelope})
			continue
		case noroshi.KindOf(err) == noroshi.Refused:
			l.withhold(ctx, x.Epoch, []uint64{x.Seq}, store.Withheld)
		default:
			l.note(err)
		}
		l.step(message.HandedOver{Epoch: x.Epoch, Seq: x.Seq})
	}
	if len(ready) == 0 {
		return
	}
	may, err := l.attempt(ctx, ready)
	if err != nil {
		l.note(err)
		for _, r := range ready {
			l.step(message.HandedOver{Epoch: r.send.Epoch, Seq: r.send.Seq})
		}
		return
	}
	for _, r := range ready {
		if !slices.ContainsFunc(may, func(m sealed) bool { return m.send == r.send }) {
			l.step(message.HandedOver{Epoch: r.send.Epoch, Seq: r.send.Seq})
		}
	}
	for _, r := range may {
		l.spawn(func(ctx context.Context) {
			err := l.handOver(ctx, r.envelope)
			if err == nil {
				l.c.counts.Sent.Add(1)
			}
			l.step(message.HandedOver{Epoch: r.send.Epoch, Seq: r.send.Seq, OK: err == nil})
		})
	}
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

// seal makes an envelope of a message that is in the stream, if it may still go.
func (l *link) seal(ctx context.Context, x message.Send) ([]byte, error) {
	out, err := l.c.s.Out(ctx, l.node(), x.Epoch, x.Seq, 1)
	if err != nil {
		return nil, err
	}
	if len(out) == 0 || out[0].Seq != x.Seq {
		return nil, noroshi.Errorf(noroshi.Broken, "courier.stream", "sequence %d is not in the stream to %s", x.Seq, l.node())
	}
	o := out[0]
	m, err := message.DecodeSigned(l.c.o.Realm, o.Signed)
	if err != nil {
		return nil, err
	}
	if message.Kind(o.Kind) == message.Data {
		x, err := l.c.desk.Again(ctx, o)
		if err != nil {
			return nil, err
		}
		o.Content = encodeCleared(x)
	}
	if m, err = m.WithContent(o.Content); err != nil {
		return nil, err
	}
	return message.Seal(message.Plain{Message: m}, l.outbound(), rand.Reader)
}

func encodeCleared(x release.Cleared) []byte {
	objects := make([]message.Object, len(x.Objects()))
	for i, o := range x.Objects() {
		objects[i] = message.Object{View: o.View, Bytes: o.Bytes}
	}
	return message.EncodeObjects(objects)
}

func (l *link) outbound() message.Outbound {
	v := l.view.Load()
	return message.Outbound{Realm: l.c.o.Realm, From: l.c.o.Node, To: v.keys, Secret: v.partner.GateOut, Now: l.c.o.Now()}
}

// attempt writes the evidence of attempts before a byte leaves, and returns
// what may: a message that was withheld since it was sealed stays here.
func (l *link) attempt(ctx context.Context, all []sealed) (ready []sealed, err error) {
	act := noroshi.Act{Action: noroshi.ActAttempt, Partner: l.node(), Count: len(all), Precedence: all[0].send.Prec}
	_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		ready = ready[:0]
		byEpoch := map[message.Epoch][]uint64{}
		for _, r := range all {
			closed, err := tx.Closed(l.node(), r.send.Epoch, r.send.Seq)
			if err != nil {
				return err
			}
			if closed {
				continue
			}
			ready = append(ready, r)
			byEpoch[r.send.Epoch] = append(byEpoch[r.send.Epoch], r.send.Seq)
		}
		for e, seqs := range byEpoch {
			if err := tx.SetOutState(l.node(), e, seqs, store.Attempted, l.channelName()); err != nil {
				return err
			}
		}
		tx.Act().Count = len(ready)
		return nil
	})
	return ready, err
}

func (l *link) channelName() string {
	if len(l.c.o.Channels) == 0 {
		return ""
	}
	return l.c.o.Channels[0].Name()
}

// handOver gives an envelope to the first channel that takes it, and tells Step
// whether the link is up.
func (l *link) handOver(ctx context.Context, envelope []byte) error {
	err := error(noroshi.Errorf(noroshi.Queued, "courier.no-channel", "no channel to %s is open", l.node()))
	p := l.view.Load().partner
	for _, ch := range l.c.o.Channels {
		if err = ch.Send(ctx, p, envelope); err == nil {
			l.c.counts.BytesSent.Add(int64(len(envelope)))
			l.setUp(true, ch.Name(), nil)
			return nil
		}
	}
	if ctx.Err() == nil && noroshi.KindOf(err) != noroshi.Busy {
		l.setUp(false, "", err)
	}
	return err
}

// setUp notes that the path works or does not, once per change.
func (l *link) setUp(up bool, channel string, err error) {
	l.mu.Lock()
	l.channel = channel
	if err != nil {
		l.lastErr = err.Error()
	} else {
		l.lastErr = ""
	}
	var fx []message.Effect
	if l.side.Status().Up != up {
		fx = l.advance(message.Up{Up: up})
	}
	l.mu.Unlock()
	l.perform(fx)
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
		return tx.SetOutState(l.node(), e, seqs, to, l.channelName())
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
			answer.Out = append(answer.Out, outOf(o))
		}
	}
	l.step(answer)
}
