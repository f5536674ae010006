package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// Done says where an act stands.
type Done struct {
	Index uint64    // in the node's ledger
	Seq   int64     // last change-feed sequence when it committed
	Time  time.Time // its time in the ledger
}

// Tx is the write side inside Do; it also reads what the act itself wrote.
type Tx struct {
	Reads

	s       *Store
	c       *conn
	act     noroshi.Act
	index   int64
	now     time.Time
	started time.Time
	asked   time.Time // when other processes were last looked at
	class   class
	state   state // becomes the store's when the act commits
	rows    [tableCount][]ledger.Hash
	row     ledger.Row
	words   map[string]int64 // interned by this act
	absent  map[int64]bool   // places in head that Expect found free
	derived bool             // something derived was written

	lastSource  noroshi.Source // interned last, as
	lastSourceN int64
}

// Do is the only way to write. fn's writes and the ledger leaf of the act
// commit together; when fn fails nothing is written. Do waits for its turn in
// the lane; a cancelled ctx gives up waiting. An fn that wrote no row and set
// no act.Subject commits nothing and adds no leaf.
//
// A cursor is no row: an fn that only moved one commits that without a leaf.
func (s *Store) Do(ctx context.Context, act noroshi.Act, fn func(*Tx) error) (Done, error) {
	c := ordinary
	switch {
	case act.Precedence >= noroshi.Immediate:
		c = urgent
	case act.Partner != (noroshi.NodeID{}):
		c = linked
	}
	if act.Caller == (noroshi.Caller{}) {
		act.Caller, _ = ctx.Value(callerKey{}).(noroshi.Caller)
	}
	var done Done
	err := s.write(ctx, c, act, func(t *Tx) error {
		if err := fn(t); err != nil {
			return err
		}
		var err error
		done, err = t.enter()
		return err
	})
	if err != nil {
		return Done{}, err
	}
	return done, nil
}

type callerKey struct{}

// WithCaller returns a context whose acts name in whose call they are done.
func WithCaller(ctx context.Context, c noroshi.Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// write runs fn in one transaction in the lane and commits when it wrote
// something.
func (s *Store) write(ctx context.Context, c class, act noroshi.Act, fn func(*Tx) error) error {
	if err := s.lane.enter(ctx, c); err != nil {
		return err
	}
	defer s.lane.leave()
	if err := s.Failure(); err != nil {
		return err
	}
	return s.failed(s.writeInTurn(ctx, c, act, fn))
}

func (s *Store) writeInTurn(ctx context.Context, c class, act noroshi.Act, fn func(*Tx) error) error {
	if err := s.mayWrite(); err != nil {
		return err
	}
	if err := s.begin(ctx, c); err != nil {
		return err
	}
	what := cmp.Or(string(act.Action), "derived")
	durable.Writing(what)
	committed := false
	defer func() {
		if !committed {
			s.w.exec("ROLLBACK")
		}
	}()
	t := &Tx{s: s, c: s.w, act: act, class: c, started: time.Now(), now: fromMicros(micros(s.options.Now())), state: s.state, words: map[string]int64{}}
	t.Reads = Reads{s: s, tx: t}
	t.state.trees = maps.Clone(s.state.trees)
	t.index = int64(t.state.acts())
	if err := t.leads(ctx); err != nil {
		return err
	}
	if err := fn(t); err != nil {
		return err
	}
	if !t.derived && t.state.acts() == uint64(t.index) {
		return nil
	}
	moved := int64(0)
	if t.state.seq > s.state.seq {
		moved = t.state.seq
	}
	durable.Passed(what, "commit")
	if err := s.engine.commit(s.w, moved); err != nil {
		return err
	}
	committed = true
	durable.Passed(what, "committed")
	s.state = t.state
	s.words.learn(t.words)
	s.grown()
	if moved > 0 {
		s.passed(moved)
		s.wakeDerived()
	}
	return nil
}

// begin starts a transaction on what is committed, by whichever process. A
// connection that was lost since the last one is made anew.
func (s *Store) begin(ctx context.Context, c class) error {
	err := s.beginOnce(ctx, c)
	if err == nil || !s.w.lost() {
		return err
	}
	w, err := s.engine.writer(ctx)
	if err != nil {
		return err
	}
	s.w.close()
	s.w = w
	return s.beginOnce(ctx, c)
}

func (s *Store) beginOnce(ctx context.Context, c class) error {
	acts, err := s.engine.begin(ctx, s.w, c)
	if err == nil {
		err = s.follow(ctx, acts)
	}
	if err != nil {
		s.w.exec("ROLLBACK")
	}
	return err
}

// mayWrite refuses writes that could not be entered in the ledger.
func (s *Store) mayWrite() error {
	switch {
	case s.options.ReadOnly:
		return noroshi.Errorf(noroshi.Forbidden, "store.read-only", "%s is open for reading only", s.path)
	case s.signs.Load().sign == nil && len(s.state.key) > 0:
		return noroshi.Errorf(noroshi.Forbidden, "store.unsigned", "the ledger of %s is signed: open it with the node's key to write", s.path)
	}
	return nil
}

// Act returns the act for fn to complete: a count or a label known only when
// the work is done. Partner must not be changed after rows were written.
func (t *Tx) Act() *noroshi.Act { return &t.act }

// Time returns the act's time as it will be on record, to the microsecond.
func (t *Tx) Time() time.Time { return t.now }

// Index returns the ledger index the act will have.
func (t *Tx) Index() uint64 { return uint64(t.index) }

// Yield reports whether a bulk act should end here: an urgent act or one on a
// link waits and this one has had its time.
func (t *Tx) Yield() bool {
	if t.class == urgent || time.Since(t.started) < slice {
		return false
	}
	if t.s.lane.waiting.Load() > 0 {
		return true
	}
	if time.Since(t.asked) < slice {
		return false
	}
	t.asked = time.Now()
	return t.s.engine.awaited(t.c)
}

// add writes one row of evidence: it belongs to this act and is in its leaf.
func (t *Tx) add(tb *table, key int64, values ...any) error {
	tb.encode(&t.row, key, values)
	args := make([]any, 0, 2+len(values))
	args = append(append(args, key, t.index), values...)
	if err := t.c.append(tb.insert, args...); err != nil {
		return err
	}
	t.rows[tb.ord] = append(t.rows[tb.ord], t.row.Hash())
	t.state.last[tb.ord] = key
	return nil
}

// next returns the next key of a table.
func (t *Tx) next(tb *table) int64 { return t.state.last[tb.ord] + 1 }

// feed returns the next sequence of the feed.
func (t *Tx) feed() int64 {
	t.state.seq++
	return t.state.seq
}

// enter puts the act into the ledger: its link's tree, then the node's.
func (t *Tx) enter() (Done, error) {
	var written uint64
	for _, r := range t.rows {
		written += uint64(len(r))
	}
	if written == 0 && t.act.Subject == "" {
		return Done{Seq: t.state.seq, Time: t.now}, nil
	}
	if err := t.introduceSigner(); err != nil {
		return Done{}, err
	}
	leaf := ledger.Leaf{
		Version: leafVersion, Index: uint64(t.index), Time: micros(t.now), Action: string(t.act.Action), Label: t.act.Label,
		Previous: t.act.Previous, Count: int64(t.act.Count), Precedence: uint64(t.act.Precedence),
		Agreement: hashOrNone(t.act.Agreement), Message: hashOrNone(t.act.Message),
	}
	var all []ledger.Hash
	for i, r := range t.rows {
		if len(r) > 0 {
			leaf.Rows = append(leaf.Rows, ledger.TableRows{Table: tables[i].name, Rows: uint64(len(r))})
			all = append(all, r...)
		}
	}
	leaf.Root = ledger.Root(all)
	detail := ledger.Detail{Salt: make([]byte, 16), Subject: t.act.Subject}
	rand.Read(detail.Salt)
	for _, p := range t.act.Persons {
		detail.Persons = append(detail.Persons, ledger.Person{ID: p.Person, Digest: ledger.Hash(p.Digest), Signature: p.Signature})
	}
	if c := t.act.Caller; c != (noroshi.Caller{}) {
		detail.Caller = []string{c.Person, c.Token}
	}
	leaf.Detail = detail.Commitment()
	if err := t.enterLink(&leaf, detail); err != nil {
		return Done{}, err
	}
	encoded := ledger.Encode(leaf)
	if err := t.c.run("INSERT INTO act (idx, time, leaf, detail) VALUES ($1, $2, $3, $4)", t.index, leaf.Time, encoded, ledger.Encode(detail)); err != nil {
		return Done{}, fmt.Errorf("enter act in ledger: %w", err)
	}
	if _, err := t.grow(noroshi.NodeID{}, ledger.LeafHash(encoded)); err != nil {
		return Done{}, fmt.Errorf("enter act in ledger: %w", err)
	}
	return Done{Index: uint64(t.index), Seq: t.state.seq, Time: fromMicros(leaf.Time)}, nil
}

// enterLink gives an act on a link its leaf there and binds the link's head
// into the node's leaf.
func (t *Tx) enterLink(leaf *ledger.Leaf, d ledger.Detail) error {
	p := t.act.Partner
	if p == (noroshi.NodeID{}) {
		return nil
	}
	before := t.state.trees[p]
	own := linkLeaf(leaf, d, before.edge.Size())
	tr, err := t.grow(p, ledger.LeafHash(ledger.Encode(own)))
	if err != nil {
		return fmt.Errorf("enter act in ledger of link %s: %w", p, err)
	}
	if err := t.c.run("INSERT INTO link_leaf (id, act) VALUES ($1, $2)", tr.id<<treeShift|int64(own.Index), t.index); err != nil {
		return err
	}
	root := tr.edge.Root()
	leaf.Partner, leaf.LinkSize, leaf.LinkRoot = p[:], tr.edge.Size(), root[:]
	return nil
}

// leafVersion is the form of leaves that are entered now: that of the link has
// the root over the act's rows.
const leafVersion = 2

// linkLeaf is what an act says in the tree of its link.
func linkLeaf(l *ledger.Leaf, d ledger.Detail, index uint64) ledger.LinkLeaf {
	own := ledger.LinkLeaf{
		Version: l.Version, Index: index, Time: l.Time, Action: l.Action, Detail: d.LinkCommitment(), Label: l.Label,
		Agreement: l.Agreement, Message: l.Message, Count: l.Count, Precedence: l.Precedence,
	}
	if l.Version >= 2 {
		own.Root = l.Root
	}
	return own
}

// introduceSigner records whose key signs from here on, when it is new.
func (t *Tx) introduceSigner() error {
	node, key := t.s.options.Node, t.s.signs.Load().key
	if node == (noroshi.NodeID{}) {
		node = t.state.node
	}
	if t.state.signer && node == t.state.node && string(key) == string(t.state.key) || !t.state.signer && node == (noroshi.NodeID{}) && key == nil {
		return nil
	}
	if len(t.state.key) == 0 && key != nil {
		var n int64
		if _, err := t.c.one(to(&n), "SELECT count(*) FROM cursor"); err != nil {
			return err
		}
		if err := t.s.firstCursor(t.c, cursorCount, n); err != nil {
			return err
		}
	}
	t.state.signer, t.state.node, t.state.key = true, node, key
	return t.add(signerTable, t.next(signerTable), blob(node[:]), blob(key))
}

func hashOrNone(h noroshi.Hash) []byte {
	if h.IsZero() {
		return []byte{}
	}
	return h[:]
}
