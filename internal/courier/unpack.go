package courier

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// UnpackReport says what came of the envelopes of a medium.
type UnpackReport struct {
	New       int   `json:"new"`            // messages that were not here
	Doubled   int   `json:"doubled"`        // messages that were
	Said      int   `json:"said"`           // statements and documents
	Strangers int   `json:"strangers"`      // envelopes for others
	Damaged   int   `json:"damaged"`        // for us, and did not verify: in quarantine
	Left      []int `json:"left,omitempty"` // which were not taken over, strangers and damaged, as numbered from 0 in the order they came
	Gaps      []Gap `json:"gaps,omitempty"`
}

// Gap says what is known of a partner's stream after a medium of it was read.
type Gap struct {
	Partner  noroshi.NodeID   `json:"partner"`
	CallSign noroshi.CallSign `json:"call_sign"`
	Head     uint64           `json:"head"` // last sequence, as the partner says
	Missing  []message.Range  `json:"missing,omitempty"`
}

// maxDamaged bounds what one medium puts into quarantine of envelopes that do
// not verify.
const maxDamaged = 16

// Unpack takes the envelopes of a medium, until next says io.EOF, as if a channel
// that knows no sender had brought them, and returns when what they carried is
// durable. Doing it twice changes nothing.
func (c *Courier) Unpack(ctx context.Context, next func() ([]byte, error)) (UnpackReport, error) {
	u := &unpacker{c: c, seen: map[arrival]bool{}, links: map[*link]bool{}}
	for {
		envelope, err := next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return u.report, errors.Join(err, u.end(ctx))
		}
		if err := u.take(ctx, envelope); err != nil {
			return u.report, errors.Join(err, u.end(ctx))
		}
	}
}

type unpacker struct {
	c      *Courier
	report UnpackReport
	count  int
	seen   map[arrival]bool
	links  map[*link]bool
}

func (u *unpacker) take(ctx context.Context, envelope []byte) error {
	u.count++
	l, plain, err := u.c.opened(ctx, noroshi.ChannelMedia, noroshi.NodeID{}, envelope)
	switch {
	case l == nil:
		u.report.Strangers++
		u.report.Left = append(u.report.Left, u.count-1)
		return nil
	case message.IsRevoked(err) && plain.Message != nil: // in quarantine already
		u.report.Damaged++
		return nil
	case err != nil:
		u.report.Left = append(u.report.Left, u.count-1)
		u.damaged(ctx, l, envelope, err)
		return nil
	}
	u.links[l] = true
	here, isNew, err := u.known(ctx, l, plain.Message)
	switch {
	case err != nil:
		return err
	case here: // a one-way link brings it again and again: that is no act each time
		u.report.Doubled++
		return nil
	}
	for {
		err = l.take(ctx, noroshi.ChannelMedia, plain)
		if noroshi.KindOf(err) != noroshi.Busy || ctx.Err() != nil {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case plain.Message == nil:
		u.report.Said++
		l.note(err) // one that is refused is old, or does not follow what is known
	case err != nil:
		return err
	case isNew:
		u.report.New++
	default:
		u.report.Doubled++
	}
	return nil
}

// damaged keeps the beginning of an envelope that was made for this node and
// does not verify.
func (u *unpacker) damaged(ctx context.Context, l *link, envelope []byte, why error) {
	if u.report.Damaged++; u.report.Damaged > maxDamaged {
		return
	}
	sum := noroshi.Sum(envelope)
	act := noroshi.Act{Action: noroshi.ActQuarantine, Subject: sum.String(), Partner: l.node()}
	_, err := u.c.s.Do(ctx, act, func(tx *store.Tx) error {
		return tx.Quarantine(store.Quarantined{Source: noroshi.Source{Kind: noroshi.FromPartner, Partner: l.node(), Message: sum},
			Run: "link:" + string(l.callSign()), Code: "media.damaged", Place: "envelope", Why: noroshi.Tell(why),
			Raw: envelope[:min(len(envelope), maxUnread)], Size: int64(len(envelope))})
	})
	l.note(err)
}

// known reports whether a message is durable here under its id, and whether it is
// neither here nor was on this medium before.
func (u *unpacker) known(ctx context.Context, l *link, m *message.Message) (here, isNew bool, err error) {
	if m == nil {
		return false, false, nil
	}
	at := arrival{m.Context.Epoch, m.Header.Seq, m.ID()}
	rows, err := u.c.s.In(ctx, l.node(), at.epoch, at.seq, 1)
	if err != nil || len(rows) > 0 && rows[0].Seq == at.seq && rows[0].State != store.Tombstoned {
		return err == nil && rows[0].ID == at.id, false, err
	}
	isNew = !u.seen[at]
	u.seen[at] = true
	return false, isNew, nil
}

// end waits until everything taken is durable and looks where the streams end.
func (u *unpacker) end(ctx context.Context) error {
	for l := range u.links {
		if err := l.still(ctx); err != nil {
			return err
		}
		l.keepReceipts(ctx)
		l.mu.Lock()
		s := l.side.Status()
		l.mu.Unlock()
		u.report.Gaps = append(u.report.Gaps, Gap{Partner: l.node(), CallSign: l.callSign(), Head: s.InHead, Missing: s.Missing})
	}
	return nil
}

// still returns when nothing that arrived before waits to be kept, and what was
// asked to be applied for it is.
func (l *link) still(ctx context.Context) error {
	for _, r := range []room{l.inUrg, l.inBulk} {
		if err := r.empty(ctx); err != nil {
			return err
		}
	}
	for range 2 { // what the first waits for may ask for more
		var idle sync.WaitGroup
		for _, lane := range []noroshi.Precedence{noroshi.Flash, noroshi.Routine} {
			idle.Add(1)
			l.lane(lane, func(context.Context) { idle.Done() })
		}
		done := make(chan struct{})
		go func() { idle.Wait(); close(done) }()
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
