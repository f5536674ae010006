package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// ChangeKind says what changed.
type ChangeKind string

// The kinds of changes. Object changes carry Seq of the version; notices carry
// the id given.
const (
	ObjectChanged    ChangeKind = "object"    // a version was put
	MarkingAssigned  ChangeKind = "marking"   // id = decimal sequence of the version
	ObjectWithdrawn  ChangeKind = "withdrawn" // id = object id
	AgreementChanged ChangeKind = "agreement" // id = node id of the partner
	BatchReleased    ChangeKind = "batch"     // id = batch id
	RowsWithheld     ChangeKind = "withheld"  // id names rows of a batch: see ParseRows
	RowsPassed       ChangeKind = "passed"    // id names rows of a batch that are never put into the stream: see ParseRows
	Overheld         ChangeKind = "overheld"  // id names a partner and a version it may hold no more: see ParseOverheld
	MessageStored    ChangeKind = "received"  // id = message id
	StreamChanged    ChangeKind = "stream"    // id = node id of the partner
	HoldChanged      ChangeKind = "hold"      // id = hold id
	AckGiven         ChangeKind = "ack"       // id = warning id
	PartnerChanged   ChangeKind = "partner"   // id = node id
	AlarmRaised      ChangeKind = "alarm"     // id = alarm text code
)

// Change is one entry of the feed: a gap-free local sequence. Nothing that a
// partner or client sees may be derived from it.
type Change struct {
	Seq  int64
	Kind ChangeKind
	ID   string // object id for ObjectChanged
	Time time.Time
}

// Notice puts a change into the feed that is no object: kind and id say what.
func (t *Tx) Notice(kind ChangeKind, id string) error {
	if kind == ObjectChanged || kind == "" {
		return noroshi.Errorf(noroshi.Invalid, "store.notice", "notice of kind %q cannot be given", string(kind))
	}
	return t.add(noticeTable, t.feed(), string(kind), id)
}

// Feed returns changes with Seq > after, in order, at most limit (1..1000).
// There are no holes: the next change is after+1, and none appears later below
// one that was seen.
func (r Reads) Feed(ctx context.Context, after int64, limit int) (list []Change, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			var ch Change
			var at int64
			if err := rows.Scan(&ch.Seq, &ch.Kind, &ch.ID, &at); err != nil {
				return err
			}
			ch.Time = fromMicros(at)
			list = append(list, ch)
			return nil
		}, feedQuery, after, after+int64(page(limit)))
	})
	if r.tx != nil {
		for i := range list {
			if list[i].Time.IsZero() {
				list[i].Time = r.tx.now
			}
		}
	}
	return list, err
}

const feedQuery = `SELECT f.seq, f.kind, f.id, coalesce(a.time, 0) FROM (
	SELECT seq, act, 'object' AS kind, sid AS id FROM object WHERE seq > $1 AND seq <= $2
	UNION ALL
	SELECT seq, act, kind, id FROM notice WHERE seq > $1 AND seq <= $2) f
	LEFT JOIN act a ON a.idx = f.act ORDER BY f.seq`

// Head returns the last sequence of the feed.
func (r Reads) Head(ctx context.Context) (seq int64, err error) {
	if r.tx != nil {
		return r.tx.state.seq, nil
	}
	err = r.on(ctx, func(c *conn) error { seq, err = head(c); return err })
	return seq, err
}

func head(c *conn) (seq int64, err error) {
	_, err = c.one(to(&seq), "SELECT coalesce(max(last), 0) FROM (SELECT max(seq) AS last FROM object UNION ALL SELECT max(seq) FROM notice) f")
	return seq, err
}

// Cursor returns a follower's place, 0 when it has none.
func (r Reads) Cursor(ctx context.Context, follower string) (seq int64, err error) {
	err = r.on(ctx, func(c *conn) error {
		_, err := c.one(to(&seq), "SELECT seq FROM cursor WHERE follower = $1", follower)
		return err
	})
	return seq, err
}

// SetCursor moves a follower's place inside the act that did the follower's work.
func (t *Tx) SetCursor(follower string, seq int64) error {
	t.derived = true
	moved, err := t.s.placeCursor(t.c, follower, seq)
	if err != nil || moved {
		return err
	}
	if err := t.s.firstCursor(t.c, follower, seq); err != nil {
		return err
	}
	var n int64
	found, err := t.c.one(to(&n), "SELECT seq FROM cursor WHERE follower = $1", cursorCount)
	if err != nil || !found { // it was taken out by hand: it stays away, for Verify to find
		return err
	}
	_, err = t.s.placeCursor(t.c, cursorCount, n+1)
	return err
}

// cursorCount is the place that counts the others, so that one taken out is
// missed. It is made when signing begins, and never again.
const cursorCount = "cursors"

// placeCursor moves a place that is there.
func (s *Store) placeCursor(c *conn, follower string, seq int64) (found bool, err error) {
	n, err := c.exec("UPDATE cursor SET seq = $2, signature = $3 WHERE follower = $1", follower, seq, s.signCursor(follower, seq))
	return n > 0, err
}

func (s *Store) firstCursor(c *conn, follower string, seq int64) error {
	_, err := c.exec("INSERT INTO cursor (follower, seq, signature) VALUES ($1, $2, $3)", follower, seq, s.signCursor(follower, seq))
	return err
}

func (s *Store) signCursor(follower string, seq int64) []byte {
	sign := s.signs.Load().sign
	if sign == nil {
		return []byte{}
	}
	return sign(cursorText(s.options.Realm, follower, seq))
}

// cursorText is what is signed of a cursor: no evidence could rebuild it, and
// one moved ahead by hand would make a follower pass over changes.
func cursorText(realm noroshi.Realm, follower string, seq int64) []byte {
	return fmt.Appendf(nil, "noroshi cursor 1\n%s\n%q\n%d\n", realm, follower, seq)
}

// Advance moves a follower's place where there was nothing to do. A cursor is
// derived state: a follower that reads again does nothing twice, so no act.
func (s *Store) Advance(ctx context.Context, follower string, seq int64) error {
	return s.write(ctx, ordinary, noroshi.Act{}, func(t *Tx) error { return t.SetCursor(follower, seq) })
}
