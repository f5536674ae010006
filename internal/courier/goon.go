package courier

import (
	"context"
	"fmt"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// GoOn lets a link that was put back go on without what its partner was asked
// for, on a person's word: nobody answers, and DATA, and arming here, must not
// wait any longer. What was recalled meanwhile may be used until the RECALL
// comes. With takeBack it says instead that this node did lose what its partner
// says that it lost, and takes it back.
func (c *Courier) GoOn(ctx context.Context, partner noroshi.NodeID, takeBack bool, by noroshi.Signed) error {
	act := noroshi.Act{Action: noroshi.ActGoOn, Persons: []noroshi.Signed{by}, Subject: partner.String(), Partner: partner, Precedence: noroshi.Immediate}
	_, err := c.s.Do(ctx, act, func(tx *store.Tx) error {
		register, err := tx.Persons(ctx)
		if err != nil {
			return err
		}
		digest := noroshi.ActDigest(c.o.Realm, c.o.Node, noroshi.ActGoOn, partner.String(), GoOnBound(partner, takeBack))
		if err := register.At(by.Person, c.o.Now()).Check(by, noroshi.ActGoOn, digest); err != nil {
			return err
		}
		var m memo
		if found, err := readJSON(ctx, tx.Reads, docLink, partner.String(), &m); err != nil || !found || m.Recover == nil {
			if err == nil {
				err = noroshi.Errorf(noroshi.NotFound, "courier.not-recovering", "the link with %s waits for nothing", partner)
			}
			return err
		}
		m.goOn(takeBack)
		if err := tx.Notice(RecoveryChanged, partner.String()); err != nil {
			return err
		}
		return putJSON(tx, docLink, partner.String(), m)
	})
	if err != nil {
		return err
	}
	return c.readRecoveries(ctx)
}

// goOn is what a person's word changes.
func (m *memo) goOn(takeBack bool) {
	r := *m.Recover
	if !takeBack { // nor is anything taken back that comes to the partner later
		m.After = nil
	}
	switch {
	case takeBack:
		r.Why = message.Restored
	case !r.Opened: // the new epoch is made all the same
		r.Recalls, r.Tail = true, true
	default:
		m.Recover = nil
		return
	}
	m.Recover = &r
}

// GoOnBound is what a signature to go on is bound to.
func GoOnBound(partner noroshi.NodeID, takeBack bool) noroshi.Hash {
	return noroshi.Sum(fmt.Appendf(nil, "noroshi go on 1\n%s\n%t", partner, takeBack))
}
