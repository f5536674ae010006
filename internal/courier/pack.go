package courier

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Packing is what a person wants put on a medium or into a turn of a one-way
// link.
type Packing struct {
	Partner noroshi.NodeID
	Room    int64 // bytes of envelopes at most; 0 = no limit
	Anew    bool  // begin at the first message without a receipt, not where the last medium ended
	Said    bool  // no messages: keys, papers and the newest STATE, which is a receipt
}

// Packed is one envelope of a medium.
type Packed struct {
	Envelope []byte
	Prec     noroshi.Precedence // of a message; 0 of what is said, and of an EPOCH
}

// PackReport says what was given out.
type PackReport struct {
	Said     int   `json:"said"`     // keys, papers, STATE
	Messages int   `json:"messages"` // sent and unconfirmed until a receipt comes
	Again    int   `json:"again"`    // of them on an earlier medium already
	Left     int   `json:"left"`     // without a receipt, and no room for them
	Barred   int   `json:"barred"`   // may not go on media by the agreement
	Withheld int   `json:"withheld"` // may not go any more
	Bytes    int64 `json:"bytes"`
}

// docMedia is the kind of the documents that hold what has been packed since all
// of it was, so that the next medium goes on where the last ended; key: NodeID.
const docMedia = "courier-media"

// Bounds of one act that is the evidence of packing.
const (
	packMessages = 64
	packBytes    = 4 << 20
)

// Pack gives out, sealed for a partner, what a medium is to carry: keys, papers
// and the newest STATE, the EPOCH of the stream, and every message without a
// receipt, FLASH first, then what was on no medium yet, then the rest, each by
// precedence and sequence. That a message is tried is on record before give gets
// it (T2); what may not go any more is withheld.
//
// What was released and is not in the stream yet joins it first. A link that is
// not confirmed since the start gets a new epoch for that: it is not known whether
// the present one was rolled back.
func (c *Courier) Pack(ctx context.Context, p Packing, give func(Packed) error) (PackReport, error) {
	l, err := c.link(p.Partner)
	if err != nil {
		return PackReport{}, err
	}
	if a := l.view.Load().agreement; a != nil && !a.Lists(noroshi.ChannelMedia) {
		return PackReport{}, noroshi.Errorf(noroshi.Refused, "media.not-agreed", "the agreement with %s does not list media among its channels", l.callSign())
	}
	l.packing.Lock()
	defer l.packing.Unlock()
	k := &packer{l: l, room: p.Room, give: give}
	if !p.Said {
		if err := l.grow(ctx); err != nil {
			return k.report, err
		}
	}
	if err := k.say(ctx, p.Said); err != nil || p.Said {
		return k.report, err
	}
	return k.report, k.messages(ctx, p.Anew)
}

func (l *link) callSign() noroshi.CallSign { return l.view.Load().partner.Organisation.CallSign }

// mayGrow reports whether messages may join our log; under mu. It may not while
// the link is unconfirmed, for the log may have been rolled back, unless its epoch
// was opened in this run.
func (l *link) mayGrow() bool {
	return l.side.Confirmed() || l.side.OfThisRun()
}

// grow puts what was released and what waits into the stream.
func (l *link) grow(ctx context.Context) error {
	l.keepReceipts(ctx) // what has one is not packed
	l.mu.Lock()
	may, opening, pending := l.mayGrow(), l.side.Opening(), len(l.pending)
	l.mu.Unlock()
	if opening {
		return noroshi.Errorf(noroshi.Busy, "courier.opening", "a new epoch towards %s is being opened: try again in a moment", l.callSign())
	}
	if !may {
		waits := pending > 0
		if _, ok := l.view.Load().inForce(l.c.o.Now()); ok && !waits {
			ids, err := l.c.s.UnsentBatches(ctx, l.node())
			if err != nil {
				return err
			}
			waits = len(ids) > 0
		}
		if !waits {
			return nil
		}
		if err := l.openFresh(ctx); err != nil {
			return err
		}
	}
	return l.pull(ctx)
}

// openFresh opens an epoch because a person packs.
func (l *link) openFresh(ctx context.Context) error {
	l.mu.Lock()
	mine := slices.Clone(l.memo.Mine)
	l.mu.Unlock()
	x := message.Open{Reason: message.OrderedEpoch}
	for _, e := range mine[max(0, len(mine)-maxNamed):] {
		h, err := l.head(ctx, message.Epoch(e))
		if err != nil {
			return err
		}
		x.Parents = append(x.Parents, h)
	}
	opened, err := l.newEpoch(ctx, x)
	if err == nil {
		l.step(opened)
	}
	return err
}

// maxNamed bounds the parents of an epoch.
const maxNamed = 16

// state makes a STATE that tells of all there is now, for a medium, and with it
// what is to be said besides.
func (l *link) state(ctx context.Context, besides ...message.Attest) (list []*message.Statement, err error) {
	l.mu.Lock()
	fx := l.advance(message.Speak{Besides: besides})
	l.mu.Unlock()
	l.perform(fx)
	for _, x := range fx {
		var st *message.Statement
		switch said := x.(type) {
		case message.SayState:
			if said.Channel != message.Medium {
				continue
			}
			st, err = l.statement(ctx, l.stateOf(said))
		case message.SayBody:
			st, err = l.statement(ctx, speech{epoch: said.Epoch, kind: said.Kind, counter: said.Counter, body: said.Body})
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, st)
	}
	if len(list) > 0 {
		return list, nil
	}
	return nil, noroshi.Errorf(noroshi.Busy, "courier.opening", "a new epoch towards %s is being opened: try again in a moment", l.callSign())
}

// packer fills one medium.
type packer struct {
	l      *link
	room   int64
	give   func(Packed) error
	report PackReport
	said   int64 // bytes of keys, papers and STATE
	order  map[message.Epoch]int
	before seqSet // on media since all was, as the last medium left it
	packed seqSet // the same, with this medium
}

// full reports whether n bytes find no room.
func (k *packer) full(n int) bool { return k.room > 0 && k.report.Bytes+int64(n) > k.room }

// tooLarge reports whether a message of n bytes finds no room on a medium that has
// nothing else but what is said.
func (k *packer) tooLarge(n int) bool { return k.room > 0 && k.said+int64(n) > k.room }

func (k *packer) out(p Packed) error {
	k.report.Bytes += int64(len(p.Envelope))
	return k.give(p)
}

// recalls are the parts of the list of our recalls in force, which a partner that
// was put back waits for: all of them, or none where they take more than an eighth
// of the room.
func (k *packer) recalls(ctx context.Context) ([]message.Attest, error) {
	list, err := k.l.recallsInForce(ctx)
	size := int64(0)
	for _, x := range list {
		size += int64(len(x.Body)) + statementCost
	}
	if k.room > 0 && 8*size > k.room {
		return nil, err
	}
	return list, err
}

// statementCost is about what an envelope has besides the body of its statement.
const statementCost = 1500

// say gives out keys, papers and STATE, whatever the room; with messages the list
// of recalls too.
func (k *packer) say(ctx context.Context, alone bool) error {
	docs := [][]byte{k.l.c.o.Keys.Keyset().Bytes()}
	k.l.mu.Lock()
	for _, p := range k.l.papers { // they go by other ways too: a medium may never arrive
		if p.keys.Version == 0 && !bytes.Equal(p.doc, docs[0]) {
			docs = append(docs, p.doc)
		}
	}
	k.l.mu.Unlock()
	var recalls []message.Attest
	if !alone {
		var err error
		if recalls, err = k.recalls(ctx); err != nil {
			return err
		}
	}
	said, err := k.l.state(ctx, recalls...)
	if err != nil {
		return err
	}
	plains := []message.Plain{{Document: docs[0]}}
	for _, st := range said {
		plains = append(plains, message.Plain{Statement: st})
	}
	for _, doc := range docs[1:] {
		plains = append(plains, message.Plain{Document: doc})
	}
	for _, p := range plains {
		envelope, err := k.l.wide(p)
		if err != nil {
			return err
		}
		if err := k.out(Packed{Envelope: envelope}); err != nil {
			return err
		}
		k.report.Said++
	}
	k.said = k.report.Bytes
	return nil
}

// messages gives out what has no receipt, turn by turn; what was cleared too early
// is tried in a few more turns. A message that finds no room on any medium of this
// size holds up nothing behind it: it is told of as left, and its turn is over.
func (k *packer) messages(ctx context.Context, anew bool) error {
	list, err := k.candidates(ctx, anew)
	if err != nil {
		return err
	}
	again := map[arrival]int{} // cleared too early, how often
	for len(list) > 0 {
		var turn []sealed
		taken := list
		size := 0
		for len(list) > 0 && len(turn) < packMessages && size < packBytes {
			s, err := k.seal(ctx, list[0])
			if err != nil {
				return err
			}
			n := len(s.envelope)
			if n > 0 && !k.tooLarge(n) && k.full(size+n) {
				k.report.Left += len(list)
				list = nil
				break
			}
			list = list[1:]
			switch {
			case n == 0:
			case k.tooLarge(n):
				k.report.Left++
				k.packed.add(s.send.Epoch, s.send.Seq)
			default:
				turn, size = append(turn, s), size+n
			}
		}
		early, err := k.turn(ctx, turn)
		if err != nil {
			return err
		}
		var back []store.OutMessage
		for _, r := range early {
			at := arrival{epoch: r.send.Epoch, seq: r.send.Seq}
			if again[at]++; again[at] == clearings || list == nil {
				k.report.Left++
				continue
			}
			i := slices.IndexFunc(taken, func(o store.OutMessage) bool { return o.Epoch == at.epoch && o.Seq == at.seq })
			back = append(back, taken[i])
		}
		list = append(back, list...)
	}
	return nil
}

// seal seals one message, or passes over one that may not go.
func (k *packer) seal(ctx context.Context, o store.OutMessage) (sealed, error) {
	x := message.Send{Epoch: o.Epoch, Seq: o.Seq, Prec: o.Prec, Channel: message.Medium}
	c := k.l.recheck(ctx, x)
	if noroshi.KindOf(c.err) == noroshi.Refused {
		k.l.withhold(ctx, x.Epoch, []uint64{x.Seq}, store.Withheld)
		k.report.Withheld++
		return sealed{}, nil
	}
	var envelope []byte
	err := c.err
	if err == nil {
		envelope, err = k.l.wide(message.Plain{Message: c.m})
	}
	switch {
	case err == nil:
		return sealed{send: x, envelope: envelope, by: c.by}, nil
	case noroshi.KindOf(err) == noroshi.Queued: // suspended, or no medium may carry it by now: it stays where it is
		k.report.Left++
		return sealed{}, nil
	}
	return sealed{}, err
}

// turn puts on record that messages are tried, in one act with how far packing
// has got, and only then gives them out. It returns what was cleared too early.
func (k *packer) turn(ctx context.Context, turn []sealed) (early []sealed, err error) {
	if len(turn) == 0 {
		return nil, nil
	}
	var ready []sealed
	act := noroshi.Act{Action: noroshi.ActAttempt, Partner: k.l.node(), Count: len(turn), Precedence: turn[0].send.Prec}
	_, err = k.l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		var err error
		if ready, early, err = k.l.leaving(ctx, tx, turn); err != nil {
			return err
		}
		for e, seqs := range byEpoch(ready) {
			if err := tx.SetOutState(k.l.node(), e, seqs, store.Attempted, noroshi.ChannelMedia); err != nil {
				return err
			}
		}
		return k.remember(tx, ready)
	})
	if err != nil {
		return nil, err
	}
	for _, r := range ready {
		p := Packed{Envelope: r.envelope, Prec: r.send.Prec}
		if r.send.Seq == 1 { // it opens its epoch
			p.Prec = 0
		}
		if err := k.out(p); err != nil {
			return nil, err
		}
		k.report.Messages++
		if k.before.has(r.send.Epoch, r.send.Seq) {
			k.report.Again++
		}
		k.l.c.counts.Sent.Add(1)
		k.l.c.counts.BytesSent.Add(int64(len(r.envelope)))
	}
	return early, nil
}

func byEpoch(list []sealed) map[message.Epoch][]uint64 {
	m := map[message.Epoch][]uint64{}
	for _, r := range list {
		m[r.send.Epoch] = append(m[r.send.Epoch], r.send.Seq)
	}
	return m
}

// remember adds to what has been packed, inside the act.
func (k *packer) remember(tx *store.Tx, ready []sealed) error {
	for _, r := range ready {
		k.packed.add(r.send.Epoch, r.send.Seq)
	}
	b, err := json.Marshal(k.packed.ranges())
	if err != nil {
		return err
	}
	return tx.PutDoc(docMedia, k.l.node().String(), b)
}
