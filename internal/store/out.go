package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// OutMessage is one entry of our stream to a partner.
type OutMessage struct {
	Partner   noroshi.NodeID
	Epoch     [16]byte
	Seq       uint64
	ID        noroshi.Hash
	Kind      uint8
	Prec      noroshi.Precedence
	Created   time.Time
	TTL       uint32
	Signed    []byte       // the signed message without content, as message.Encode gives it
	Content   []byte       // nil for DATA made of kept objects: rebuilt from Batch, First, Count
	Batch     string       // DATA: the batch
	First     int          // ordinal of its first row
	Count     int          // rows
	Chain     noroshi.Hash // chain_seq
	State     OutState     // derived
	StateTime time.Time    // derived: when it got there
	Attempts  int          // derived
}

// OutState is how far a message has got (docs/wire.md).
type OutState uint8

// The states, upwards only; Withheld and Expired are side exits closed by a
// tombstone, for messages not yet stored there. The partner's word that it has
// a message counts even then.
const (
	Committed OutState = iota
	Attempted
	StoredThere
	AppliedThere
	ReadThere
	Withheld
	Expired
)

// closed reports a side exit: what the message carried did not go.
func (s OutState) closed() bool { return s == Withheld || s == Expired }

// moves reports whether a message in state s goes to state to.
func (s OutState) moves(to OutState) bool {
	switch {
	case to.closed():
		return s < StoredThere
	case s.closed():
		return to >= StoredThere
	}
	return to > s
}

// PutOut appends a message to the stream; seq must be last + 1 of its epoch.
func (t *Tx) PutOut(m OutMessage) error {
	var last uint64
	if _, err := t.c.one(to(&last), "SELECT coalesce(max(seq), 0) FROM out_message WHERE partner = $1 AND epoch = $2", m.Partner[:], m.Epoch[:]); err != nil {
		return err
	}
	if m.Seq != last+1 {
		return noroshi.Errorf(noroshi.Conflict, "store.stream", "append to stream %s: sequence %d does not follow %d", m.Partner.String(), m.Seq, last)
	}
	n := t.next(outTable)
	has := int64(0)
	if m.Content != nil {
		has = 1
	}
	if err := t.add(outTable, n, blob(m.Partner[:]), blob(m.Epoch[:]), int64(m.Seq), m.ID[:], int64(m.Kind), int64(m.Prec), micros(m.Created), int64(m.TTL),
		blob(m.Signed), blob(m.Content), has, m.Batch, int64(m.First), int64(m.Count), m.Chain[:]); err != nil {
		return fmt.Errorf("append to stream %s: %w", m.Partner, err)
	}
	if err := t.c.run("INSERT INTO out_state (n, state, time, attempts) VALUES ($1, 0, $2, 0)", n, micros(t.now)); err != nil {
		return err
	}
	if err := t.c.run("INSERT INTO pending (partner, epoch, rank, seq) VALUES ($1, $2, $3, $4)", m.Partner[:], m.Epoch[:], rank(m.Prec), int64(m.Seq)); err != nil {
		return err
	}
	if m.Batch == "" {
		return nil
	}
	return t.markSent(m)
}

// markSent counts a batch's rows into the stream.
func (t *Tx) markSent(m OutMessage) error {
	var n, count, prec int64
	found, err := t.c.one(to(&n, &count, &prec), "SELECT n, count, prec FROM batch WHERE id = $1", m.Batch)
	if err != nil {
		return err
	}
	if !found {
		return noroshi.Errorf(noroshi.NotFound, "store.no-batch", "no batch %s", m.Batch)
	}
	var rows []Decided
	for at := m.First; at < m.First+m.Count; {
		part, err := batchRows(context.Background(), t.c, n, at, m.First+m.Count-at)
		if err != nil {
			return err
		}
		if len(part) == 0 {
			return noroshi.Errorf(noroshi.Invalid, "store.batch-rows", "batch %s has no row %d", m.Batch, at)
		}
		rows = append(rows, part...)
		at += len(part)
	}
	seqs := sequences(rows)
	slices.Sort(seqs)
	before, err := spanned(t.c, spanSent, m.Partner, seqs)
	if err != nil {
		return err
	}
	if err := t.stillIn(m, n, seqs); err != nil {
		return err
	}
	if err := t.setSpans(spanSent, m.Partner, seqs, n); err != nil {
		return err
	}
	for number, seqs := range numbered(rows) {
		if err := t.setSpans(spanView, m.Partner, seqs, number); err != nil {
			return err
		}
	}
	fresh := len(seqs)
	for _, val := range before {
		if val == n || val == -n { // it goes again
			fresh--
		}
	}
	if err := t.c.run("UPDATE unsent SET sent = sent + $4 WHERE partner = $1 AND rank = $2 AND batch = $3", m.Partner[:], rank(noroshi.Precedence(prec)), n, fresh); err != nil {
		return err
	}
	err = t.c.run("DELETE FROM unsent WHERE partner = $1 AND rank = $2 AND batch = $3 AND sent >= $4", m.Partner[:], rank(noroshi.Precedence(prec)), n, count)
	return err
}

// stillIn refuses rows whose versions were decided anew in another batch since
// they were cleared: two messages must not carry two views under one number.
func (t *Tx) stillIn(m OutMessage, n int64, seqs []int64) error {
	released, err := spanned(t.c, spanReleased, m.Partner, seqs)
	if err != nil {
		return err
	}
	elsewhere := map[int64]int64{}
	for _, seq := range seqs {
		if released[seq] != n {
			elsewhere[seq] = released[seq]
		}
	}
	if err := t.leaveDefinitions(elsewhere); err != nil {
		return err
	}
	if len(elsewhere) > 0 {
		return noroshi.Errorf(noroshi.Refused, "store.decided-anew", "append to stream %s: a version of batch %s was decided anew", m.Partner, m.Batch)
	}
	return nil
}

// numbered returns the versions whose views have a number above 0, by number,
// sorted.
func numbered(rows []Decided) map[int64][]int64 {
	by := map[int64][]int64{}
	for _, r := range rows {
		if r.N > 0 {
			by[int64(r.N)] = append(by[int64(r.N)], r.Seq)
		}
	}
	for _, seqs := range by {
		slices.Sort(seqs)
	}
	return by
}

// SetOutState moves messages of an epoch up to a state; how is the statement
// or message that says so (evidence), or the channel of an attempt. Where
// nothing moves, nothing is written; an attempt is always one.
func (t *Tx) SetOutState(partner noroshi.NodeID, epoch [16]byte, seqs []uint64, to OutState, how string) error {
	var moved []int64
	sorted := slices.Clone(seqs)
	slices.Sort(sorted)
	for _, seq := range slices.Compact(sorted) {
		m, err := t.outState(partner, epoch, seq)
		if err != nil {
			return err
		}
		if m.n == 0 || to != Attempted && !m.state.moves(to) {
			continue
		}
		moved = append(moved, int64(seq))
		if err := t.moveOut(partner, epoch, seq, m, to); err != nil {
			return err
		}
	}
	if len(moved) == 0 {
		return nil
	}
	return t.add(outEventTable, t.next(outEventTable), blob(partner[:]), blob(epoch[:]), int64(to), how, packRuns(moved))
}

type outStateRow struct {
	n            int64
	prec         noroshi.Precedence
	state        OutState
	batch        string
	first, count int
}

func (t *Tx) outState(partner noroshi.NodeID, epoch [16]byte, seq uint64) (m outStateRow, err error) {
	_, err = t.c.one(to(&m.n, &m.prec, &m.state, &m.batch, &m.first, &m.count), "SELECT o.n, o.prec, s.state, o.batch, o.first, o.count FROM out_message o JOIN out_state s ON s.n = o.n WHERE o.partner = $1 AND o.epoch = $2 AND o.seq = $3", partner[:], epoch[:], int64(seq))
	return m, err
}

func (t *Tx) moveOut(partner noroshi.NodeID, epoch [16]byte, seq uint64, m outStateRow, to OutState) (err error) {
	if to == Attempted {
		if err := t.c.run("UPDATE out_state SET attempts = attempts + 1 WHERE n = $1", m.n); err != nil {
			return err
		}
	}
	if !m.state.moves(to) {
		return nil
	}
	if err := t.c.run("UPDATE out_state SET state = $2, time = $3 WHERE n = $1", m.n, int64(to), micros(t.now)); err != nil {
		return err
	}
	if m.batch != "" && m.state.closed() != to.closed() {
		if err := t.remark(partner, m, to.closed()); err != nil {
			return err
		}
	}
	if to >= StoredThere {
		err = t.c.run("DELETE FROM pending WHERE partner = $1 AND epoch = $2 AND rank = $3 AND seq = $4", partner[:], epoch[:], rank(m.prec), int64(seq))
	}
	return err
}

const outColumns = `SELECT o.seq, o.id, o.kind, o.prec, o.created, o.ttl, o.signed, o.content, o.has_content, o.batch, o.first, o.count, o.chain,
	s.state, s.time, s.attempts FROM out_message o JOIN out_state s ON s.n = o.n `

// Out returns messages of a stream from seq on.
func (r Reads) Out(ctx context.Context, partner noroshi.NodeID, epoch [16]byte, from uint64, limit int) ([]OutMessage, error) {
	return r.outMessages(ctx, partner, epoch, outColumns+"WHERE o.partner = $1 AND o.epoch = $2 AND o.seq >= $3 ORDER BY o.seq LIMIT $4",
		partner[:], epoch[:], int64(from), page(limit))
}

// Unreceipted returns messages not yet stored at the partner, precedence first, then sequence.
func (r Reads) Unreceipted(ctx context.Context, partner noroshi.NodeID, epoch [16]byte, limit int) ([]OutMessage, error) {
	return r.outMessages(ctx, partner, epoch, outColumns+`JOIN pending p ON p.partner = o.partner AND p.epoch = o.epoch AND p.seq = o.seq
		WHERE p.partner = $1 AND p.epoch = $2 ORDER BY p.rank, p.seq LIMIT $3`, partner[:], epoch[:], page(limit))
}

// EachUnreceipted calls fn for every message not yet stored at the partner,
// precedence first, then sequence, in pages.
func (r Reads) EachUnreceipted(ctx context.Context, partner noroshi.NodeID, epoch [16]byte, fn func(OutMessage) error) error {
	first, after := int64(-1), uint64(0)
	for {
		list, err := r.outMessages(ctx, partner, epoch, outColumns+`JOIN pending p ON p.partner = o.partner AND p.epoch = o.epoch AND p.seq = o.seq
			WHERE p.partner = $1 AND p.epoch = $2 AND (p.rank, p.seq) > ($3, $4) ORDER BY p.rank, p.seq LIMIT $5`, partner[:], epoch[:], first, int64(after), MaxPage)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, m := range list {
			first, after = rank(m.Prec), m.Seq
			if err := fn(m); err != nil {
				return err
			}
		}
	}
}

// Receipted counts the messages of an epoch that the partner has stored, and of
// them those it has applied.
func (r Reads) Receipted(ctx context.Context, partner noroshi.NodeID, epoch [16]byte) (stored, applied uint64, err error) {
	err = r.on(ctx, func(c *conn) error {
		_, err := c.one(to(&stored, &applied), `SELECT COUNT(*), COALESCE(SUM(CASE WHEN s.state = $3 THEN 0 ELSE 1 END), 0) FROM out_message o JOIN out_state s ON s.n = o.n
			WHERE o.partner = $1 AND o.epoch = $2 AND s.state IN ($3, $4, $5)`,
			partner[:], epoch[:], int64(StoredThere), int64(AppliedThere), int64(ReadThere))
		return err
	})
	return stored, applied, err
}

func (r Reads) outMessages(ctx context.Context, partner noroshi.NodeID, epoch [16]byte, q string, args ...any) (list []OutMessage, err error) {
	err = r.on(ctx, func(c *conn) error {
		return c.each(ctx, func(rows *sql.Rows) error {
			m := OutMessage{Partner: partner, Epoch: epoch}
			var id, chain []byte
			var created, at int64
			var has bool
			if err := rows.Scan(&m.Seq, &id, &m.Kind, &m.Prec, &created, &m.TTL, &m.Signed, &m.Content, &has, &m.Batch, &m.First, &m.Count, &chain,
				&m.State, &at, &m.Attempts); err != nil {
				return err
			}
			copy(m.ID[:], id)
			copy(m.Chain[:], chain)
			m.Created, m.StateTime = fromMicros(created), fromMicros(at)
			if !has {
				m.Content = nil
			}
			list = append(list, m)
			return nil
		}, q, args...)
	})
	return list, err
}
