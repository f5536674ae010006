package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// InMessage is one message a partner sent.
type InMessage struct {
	Partner noroshi.NodeID
	Epoch   [16]byte
	Seq     uint64
	ID      noroshi.Hash
	Kind    uint8
	Prec    noroshi.Precedence
	Created time.Time
	Signed  []byte
	Content []byte // kept while not applied, and for ever for control messages
	Channel string
	State   InState
	Second  bool // another id under a sequence that is bound: kept, held, alarmed
	Time    time.Time
}

// InState is how far a received message has got; upwards only.
type InState uint8

// The states of a received message. Missing is the absence of a row.
const (
	Missing InState = iota
	Tombstoned
	Stored
	Held
	Applied
)

// PutIn keeps a received message. The first id under (partner, epoch, seq)
// stands; the same id again returns false; another id is kept with Second. The
// message comes in state m.State, Stored when none is given.
func (t *Tx) PutIn(m InMessage) (fresh bool, err error) {
	bound, same := false, false
	err = t.c.each(context.Background(), func(rows *sql.Rows) error {
		var id []byte
		err := rows.Scan(&id)
		bound = true
		same = same || string(id) == string(m.ID[:])
		return err
	}, "SELECT id FROM in_message WHERE partner = $1 AND epoch = $2 AND seq = $3", m.Partner[:], m.Epoch[:], int64(m.Seq))
	if err != nil || same {
		return false, err
	}
	if m.State == Missing || m.State == Tombstoned {
		m.State = Stored
	}
	second := int64(0)
	if bound {
		second, m.State = 1, Held
	}
	n := t.next(inTable)
	hash := sum(m.Content)
	if err := t.add(inTable, n, blob(m.Partner[:]), blob(m.Epoch[:]), int64(m.Seq), m.ID[:], int64(m.Kind), int64(m.Prec), micros(m.Created),
		blob(m.Signed), hash[:], m.Channel, int64(m.State), second); err != nil {
		return false, fmt.Errorf("keep message %s: %w", m.ID, err)
	}
	if keepsContent(m.Kind, m.State) {
		if err := t.c.run("INSERT INTO in_content (n, content) VALUES ($1, $2)", n, blob(m.Content)); err != nil {
			return false, err
		}
	}
	if !bound {
		if err := t.raiseIn(m.Partner, m.Epoch, m.Seq, m.State); err != nil {
			return false, err
		}
	}
	return true, t.Notice(MessageStored, m.ID.String())
}

// keepsContent reports whether a message's content stays: of DATA only until
// it is applied, then its objects are in the store.
func keepsContent(kind uint8, s InState) bool {
	return message.Kind(kind) != message.Data || s != Applied
}

// raiseIn moves the derived state of a sequence up.
func (t *Tx) raiseIn(partner noroshi.NodeID, epoch [16]byte, seq uint64, to InState) error {
	err := t.c.run(`INSERT INTO in_state (partner, epoch, seq, state, time) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (partner, epoch, seq) DO UPDATE SET state = excluded.state, time = excluded.time`,
		partner[:], epoch[:], int64(seq), int64(to), micros(t.now))
	return err
}

// SetInState moves a received message up; a tombstone may come for one that
// never did. Where nothing moves, nothing is written.
func (t *Tx) SetInState(partner noroshi.NodeID, epoch [16]byte, seq uint64, state InState) error {
	var now InState
	if _, err := t.c.one(to(&now), "SELECT state FROM in_state WHERE partner = $1 AND epoch = $2 AND seq = $3", partner[:], epoch[:], int64(seq)); err != nil {
		return err
	}
	switch {
	case state <= now:
		return nil
	case now <= Tombstoned && state != Tombstoned:
		return noroshi.Errorf(noroshi.NotFound, "store.no-message", "message %d of %s was not received", seq, partner.String())
	}
	if err := t.add(inEventTable, t.next(inEventTable), blob(partner[:]), blob(epoch[:]), int64(seq), int64(state)); err != nil {
		return err
	}
	if state == Applied {
		if err := t.c.run(`DELETE FROM in_content WHERE n = (SELECT n FROM in_message
			WHERE partner = $1 AND epoch = $2 AND seq = $3 AND second = 0 AND kind = $4)`, partner[:], epoch[:], int64(seq), int64(message.Data)); err != nil {
			return err
		}
	}
	return t.raiseIn(partner, epoch, seq, state)
}

// In returns received messages of a stream from seq on, by sequence; second
// ids follow the first, and a tombstone without a message is one with no ID.
// All entries of the last sequence are returned, even past limit.
func (r Reads) In(ctx context.Context, partner noroshi.NodeID, epoch [16]byte, from uint64, limit int) (list []InMessage, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			m := InMessage{Partner: partner, Epoch: epoch}
			var id []byte
			var created, at int64
			if err := rows.Scan(&m.Seq, &id, &m.Kind, &m.Prec, &created, &m.Signed, &m.Content, &m.Channel, &m.State, &m.Second, &at); err != nil {
				return err
			}
			copy(m.ID[:], id)
			m.Created, m.Time = fromMicros(created), fromMicros(at)
			list = append(list, m)
			return nil
		}, `SELECT s.seq, i.id, coalesce(i.kind, 0), coalesce(i.prec, 0), coalesce(i.created, 0), i.signed, c.content, coalesce(i.channel, ''),
			CASE WHEN i.second = 1 THEN i.state ELSE s.state END, coalesce(i.second, 0), s.time
			FROM (SELECT * FROM in_state WHERE partner = $1 AND epoch = $2 AND seq >= $3 ORDER BY seq LIMIT $4) s
			LEFT JOIN in_message i ON i.partner = s.partner AND i.epoch = s.epoch AND i.seq = s.seq
			LEFT JOIN in_content c ON c.n = i.n ORDER BY s.seq, i.n`, partner[:], epoch[:], int64(from), page(limit))
	})
	return list, err
}

// Kinds of evidence beside those of statements: what of a partner is kept
// because it does not fit.
const (
	RefusedCheckpoint uint8 = 64 + 19 // a CHECKPOINT whose ledger is not the one countersigned here
	ForeignCosign     uint8 = 64 + 20 // a COSIGN of what our ledger is not
	LostCosign        uint8 = 65 + 20 // the same, of the branch that a restore of this node lost
)

// PutEvidence keeps a signed statement or document as evidence on a link
// (STATE, receipts): kind and counter order it, the newest of a kind counts.
func (t *Tx) PutEvidence(partner noroshi.NodeID, kind uint8, epoch [16]byte, counter uint64, signed []byte) error {
	return t.add(evidenceTable, t.next(evidenceTable), blob(partner[:]), int64(kind), blob(epoch[:]), int64(counter), blob(signed))
}

// Evidence returns the newest statement of a kind from the partner in an epoch:
// that with the highest counter; in any epoch (zero) the one kept last. A
// NotFound error when there is none.
func (r Reads) Evidence(ctx context.Context, partner noroshi.NodeID, kind uint8, epoch [16]byte) (counter uint64, signed []byte, err error) {
	err = r.on(ctx, func(c *conn) error {
		q, args := "SELECT counter, signed FROM evidence WHERE partner = $1 AND kind = $2 AND epoch = $3 ORDER BY counter DESC, n LIMIT 1", []any{partner[:], int64(kind), epoch[:]}
		if epoch == [16]byte{} {
			q, args = "SELECT counter, signed FROM evidence WHERE partner = $1 AND kind = $2 ORDER BY n DESC LIMIT 1", args[:2]
		}
		found, err := c.one(to(&counter, &signed), q, args...)
		if err == nil && !found {
			err = noroshi.Errorf(noroshi.NotFound, "store.no-evidence", "no statement of kind %d from %s", kind, partner.String())
		}
		return err
	})
	return counter, signed, err
}

// EvidenceRow is a statement or document kept as evidence on a link.
type EvidenceRow struct {
	N, Act  int64
	Epoch   [16]byte
	Counter uint64
	Signed  []byte
}

// EvidenceOf lists what is kept of a kind from a partner, the latest first:
// pass the N of the last of a page as before, 0 to begin.
func (r Reads) EvidenceOf(ctx context.Context, partner noroshi.NodeID, kind uint8, before int64, limit int) (list []EvidenceRow, err error) {
	if before <= 0 {
		before = 1 << 62
	}
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var e EvidenceRow
			var epoch []byte
			err := rows.Scan(&e.N, &e.Act, &epoch, &e.Counter, &e.Signed)
			copy(e.Epoch[:], epoch)
			list = append(list, e)
			return err
		}, "SELECT n, act, epoch, counter, signed FROM evidence WHERE partner = $1 AND kind = $2 AND n < $3 ORDER BY n DESC LIMIT $4",
			partner[:], int64(kind), before, page(limit))
	})
	return list, err
}
