package courier

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// HeldMessage is a partner's message that is kept and has had no effect: it waits
// for a person or an upgrade.
type HeldMessage struct {
	Message    noroshi.Hash       `json:"message"`
	Partner    noroshi.NodeID     `json:"partner"`
	Epoch      string             `json:"epoch"`
	Seq        uint64             `json:"seq"`
	Kind       message.Kind       `json:"kind"`
	Precedence noroshi.Precedence `json:"precedence"`
	Created    time.Time          `json:"created"`
	Came       time.Time          `json:"came"`
	Why        string             `json:"why"` // what would hold it now; "" = nothing any more
}

// Held lists what is held of every partner, at rest too.
func (c *Courier) Held(ctx context.Context) ([]HeldMessage, error) {
	list := []HeldMessage{}
	err := c.eachLink(ctx, func(l *link) error {
		l.mu.Lock()
		ins := l.side.Held()
		l.mu.Unlock()
		for _, in := range ins {
			row, m, err := l.kept(ctx, in.Epoch, in.Seq)
			if err != nil {
				return err
			}
			list = append(list, HeldMessage{Message: in.ID, Partner: l.node(), Epoch: hex.EncodeToString(in.Epoch[:]), Seq: in.Seq, Kind: in.Kind,
				Precedence: in.Prec, Created: row.Created, Came: row.Time, Why: l.judge(m).why})
		}
		return nil
	})
	slices.SortFunc(list, func(a, b HeldMessage) int { return a.Came.Compare(b.Came) })
	return list, err
}

// eachLink calls fn for the link of each partner: the one that runs, else one
// made of what is kept, which nothing drives.
func (c *Courier) eachLink(ctx context.Context, fn func(*link) error) error {
	partners, err := c.s.Partners(ctx)
	if err != nil {
		return err
	}
	for _, p := range partners {
		l, err := c.link(p.Node)
		if err != nil && live(p) {
			v, err := c.view(ctx, p)
			if err != nil {
				return err
			}
			l = newLink(c, v)
			if found, err := l.readMemo(ctx); err != nil || !found {
				if err != nil {
					return err
				}
				continue
			}
			if err := l.restore(ctx); err != nil {
				return err
			}
		}
		if l == nil {
			continue
		}
		if err := fn(l); err != nil {
			return err
		}
	}
	return nil
}

// kept reads a received message whole.
func (l *link) kept(ctx context.Context, e message.Epoch, seq uint64) (row store.InMessage, m *message.Message, err error) {
	rows, err := l.c.s.In(ctx, l.node(), e, seq, 1)
	if err != nil {
		return row, nil, err
	}
	if len(rows) == 0 || rows[0].Seq != seq || rows[0].Second {
		return row, nil, noroshi.Errorf(noroshi.Broken, "courier.stream", "sequence %d is not in the stream of %s", seq, l.node())
	}
	m, err = message.DecodeSigned(l.c.o.Realm, rows[0].Signed)
	if err == nil && m.Header.Kind != message.Link { // whose content is kept at no time
		m, err = m.WithContent(rows[0].Content)
	}
	return rows[0], m, err
}

// HeldDecision is what a person decides of a held message: that it is applied,
// or that it is closed without effect.
type HeldDecision struct {
	Message noroshi.Hash   `json:"message"`
	Apply   bool           `json:"apply"`
	By      noroshi.Signed `json:"by"`
}

// HeldBound is what a signature over a decision is bound to.
func HeldBound(msg noroshi.Hash, apply bool) noroshi.Hash {
	return noroshi.Sum(fmt.Appendf(nil, "noroshi held 1\n%s\n%t", msg, apply))
}

// DecideHeld does what a person decided of a held message. Applied is only what
// can be: a date ahead is a person's to accept, while a kind, form, label or
// agreement that is not known here waits on, or is closed. What is closed stays
// in the record, its beginning in quarantine, and its sender is told.
func (c *Courier) DecideHeld(ctx context.Context, d HeldDecision) error {
	found := false
	err := c.eachLink(ctx, func(l *link) error {
		l.mu.Lock()
		ins := l.side.Held()
		l.mu.Unlock()
		i := slices.IndexFunc(ins, func(in message.In) bool { return in.ID == d.Message })
		if i < 0 || found {
			return nil
		}
		found = true
		return l.decideHeld(ctx, ins[i], d)
	})
	if err == nil && !found {
		err = noroshi.Errorf(noroshi.NotFound, "courier.not-held", "no message %s is held here", d.Message)
	}
	return err
}

func (l *link) decideHeld(ctx context.Context, in message.In, d HeldDecision) error {
	_, m, err := l.kept(ctx, in.Epoch, in.Seq)
	if err != nil {
		return err
	}
	v := l.closing(in, m)
	if d.Apply {
		if v = l.judge(m); v.why == "ahead" {
			keys := v.keys
			v = l.judgeKind(m)
			v.keys = keys
		}
		if v.standing != message.Applied {
			return noroshi.Errorf(noroshi.Refused, "courier.still-held", "message %s cannot be applied here: %s", d.Message, v.why)
		}
	}
	var then []reach
	var tombs []message.In
	act := noroshi.Act{Action: noroshi.ActDecideHeld, Persons: []noroshi.Signed{d.By}, Partner: l.node(), Message: in.ID, Subject: "close", Precedence: noroshi.Immediate}
	if d.Apply {
		act.Subject = "apply"
	}
	_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		register, err := tx.Persons(ctx)
		if err != nil {
			return err
		}
		digest := noroshi.ActDigest(l.c.o.Realm, l.c.o.Node, noroshi.ActDecideHeld, d.Message.String(), HeldBound(d.Message, d.Apply))
		if err := register.At(d.By.Person, l.c.o.Now()).Check(d.By, noroshi.ActDecideHeld, digest); err != nil {
			return err
		}
		if d.Apply {
			if err := l.flows(ctx, tx, m, v); err != nil {
				return err
			}
		}
		rows, err := tx.In(ctx, l.node(), in.Epoch, in.Seq, 1)
		if err != nil || len(rows) == 0 || rows[0].ID != in.ID || rows[0].State != store.Held {
			return errors.Join(err, errNothing)
		}
		if err := tx.SetInState(l.node(), in.Epoch, in.Seq, store.Applied); err != nil {
			return err
		}
		in.Standing = message.Applied
		tombs, then, err = l.effects(ctx, tx, in, m, v)
		return err
	})
	switch {
	case errors.Is(err, errNothing):
		return noroshi.Errorf(noroshi.NotFound, "courier.not-held", "no message %s is held here", d.Message)
	case isRekeyed(err):
		return noroshi.Errorf(noroshi.Refused, "courier.still-held", "message %s cannot be applied here: %s", d.Message, keyRevoked)
	}
	if err != nil {
		return err
	}
	l.c.settle(then)
	l.tellKept(message.Kept{In: in}, tombs)
	if v.restored {
		l.alarm(ctx, "peer-restored", in.Seq)
	}
	l.closed(ctx, tombs, nil)
	return nil
}

// closing is the verdict on a message that a person closes: applied without
// effect, told to its sender as a technical fault.
func (l *link) closing(in message.In, m *message.Message) verdict {
	code := uint8(outcomeUnknown)
	if l.judge(m).why == "label" {
		code = outcomeLabel
	}
	src := noroshi.Source{Kind: noroshi.FromPartner, Partner: l.node(), Message: in.ID}
	return verdict{standing: message.Applied, faults: []message.OutcomeCode{{Code: code}},
		whole: &store.Quarantined{Source: src, Run: "link:" + string(l.view.Load().partner.Organisation.CallSign), Code: "message.closed", Place: place(m, 0),
			Raw: m.Content[:min(len(m.Content), maxUnread)], Size: int64(len(m.Content))}}
}
