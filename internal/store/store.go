// Package store keeps everything a node has in one realm, in one SQLite file or
// one schema of a PostgreSQL database, behind one write door.
//
// Do runs an act: the rows it writes and its ledger leaf commit in the same
// transaction, or neither does. Evidential tables are append-only and every
// row belongs to one act, whose leaf holds the Merkle root over the act's rows;
// derived tables (current, value, reference, full text, hold counts, message
// states, cursors) can be rebuilt from them and Verify compares.
//
// One write lane, two queues: acts of precedence Immediate and Flash go first;
// a bulk act asks Tx.Yield between objects and ends early when one of them, or
// an act on a link, waits and it has had about 10 ms. Full text and the packed blocks from which
// indicators are armed at start are made behind the feed, in slices of that
// length.
//
// On PostgreSQL several processes of the node have the realm open. Each write
// transaction takes one advisory lock before it reads what it builds on, so that
// the feed is as gap-free as in a file: n is there before n+1. An urgent act
// that waits for the lock in one process makes a bulk act end in another.
//
// Reads see one committed state for the length of a call. Lists are paged by
// key: the last page costs what the first did.
package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// Options of Open.
type Options struct {
	Realm    noroshi.Realm
	Node     noroshi.NodeID           // zero until init has made the first KEYSET; then it must agree with the file
	Sign     func(text []byte) []byte // signs ledger checkpoints and cursors (Ed25519, the node's control key), until SignWith names another
	Key      []byte                   // its public key, for Verify
	Former   [][]byte                 // the node's keys that signed before it: one of them may have signed last
	Now      func() time.Time         // the clock that stamps acts; nil = time.Now
	ReadOnly bool                     // no lock, no writes: beside a running node
	Recalls  string                   // the file of the recall list; "" = beside the SQLite file, none on PostgreSQL
}

// Store is one realm of one node.
type Store struct {
	Reads

	options Options
	signs   atomic.Pointer[signs] // replaced in the lane
	path    string                // as messages name the place
	engine  engine
	pool    *pool
	lane    lane
	w       *conn // guarded by the lane
	state   state // guarded by the lane
	large   bool  // guarded by the lane; the engine has enlarged the writer
	seed    []byte
	words   words

	failure failure

	headMu  sync.Mutex // guards head and moved
	head    int64      // last committed sequence of the feed
	moved   chan struct{}
	derived chan struct{} // wakes the derived writer
	stop    context.CancelFunc
	workers sync.WaitGroup
	closed  sync.Once
	over    chan struct{} // closed when Close begins
}

// state is what the writer knows of the file without reading it: where each
// dense sequence stands and the right edges of the trees. A transaction works
// on a copy that becomes the state when it commits.
type state struct {
	seq    int64
	last   [tableCount]int64 // highest key by table
	trees  map[noroshi.NodeID]tree
	node   noroshi.NodeID // of the newest signer row
	key    []byte
	signer bool // there is one
}

// signs is what signs the ledger's checkpoints and the cursors.
type signs struct {
	key  []byte
	sign func(text []byte) []byte // nil = nothing is signed
}

// SignWith has another control key of the node sign from here on. Where the
// ledger names another key, an act that it signs says so: whoever verifies next
// knows whose it is.
func (s *Store) SignWith(ctx context.Context, key []byte, sign func(text []byte) []byte) error {
	_, err := s.Do(ctx, noroshi.Act{Action: noroshi.ActKeys}, func(tx *Tx) error {
		s.signs.Store(&signs{key, sign})
		if tx.state.signer && !bytes.Equal(tx.state.key, key) {
			tx.Act().Subject = tx.state.node.String()
		}
		return nil
	})
	return err
}

// Open opens or makes the realm's database, migrates it, and refuses one of
// another realm, node or newer schema. address is the path of a SQLite file,
// which one process at a time opens for writing, or the DSN of a PostgreSQL
// database (see IsDSN), in which the realm has a schema of its own.
func Open(ctx context.Context, address string, o Options) (*Store, error) {
	s, err := at(address, o)
	if err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		s.Close()
		if damaged(err) {
			return nil, noroshi.Errorf(noroshi.Broken, "store.damaged", "%s is no database or is damaged: %w", s.path, err)
		}
		return nil, fmt.Errorf("open store %s: %w", s.path, s.explain(err))
	}
	return s, nil
}

// at is the store at an address, not opened.
func at(address string, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{options: o, path: address, moved: make(chan struct{}), over: make(chan struct{}), failure: failure{told: make(chan struct{})}, derived: make(chan struct{}, 1)}
	s.Reads = Reads{s: s}
	s.signs.Store(&signs{o.Key, o.Sign})
	if IsDSN(address) {
		d, err := newDatabase(address, o.Realm)
		if err != nil {
			return nil, err
		}
		s.engine, s.path = d, d.String()
	} else {
		s.engine = &file{path: address, grown: make(chan struct{}, 1)}
		if o.Recalls == "" {
			s.options.Recalls = address + ".recalls"
		}
	}
	if o.Realm.IsZero() {
		return nil, noroshi.Errorf(noroshi.Invalid, "store.realm", "open %s: no realm given", s.path)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	if err := s.engine.prepare(ctx, s.options.ReadOnly); err != nil {
		return err
	}
	if s.w, err = s.engine.writer(ctx); err != nil {
		return err
	}
	if s.options.ReadOnly {
		err = s.w.atOnce(s.recognise)
	} else {
		err = s.engine.alone(s.w, s.recognise)
	}
	if err != nil {
		return err
	}
	s.head = s.state.seq
	if s.pool, err = s.engine.readers(); err != nil {
		return err
	}
	if !s.options.ReadOnly {
		run, stop := context.WithCancel(context.Background())
		s.stop = stop
		s.workers.Go(func() { s.derive(run) })
		s.workers.Go(func() { s.engine.tend(run, s) })
		s.wakeDerived()
	}
	return nil
}

// recognise brings the schema up to date, or finds that it is, and reads whose
// database it is and where its writing stands.
func (s *Store) recognise() error {
	if err := s.w.d.migrate(s.w, s.options.ReadOnly); err != nil {
		return err
	}
	if err := s.identify(); err != nil {
		return err
	}
	return s.load()
}

// errClosed is what a closed store answers.
var errClosed = fmt.Errorf("the store: %w", fs.ErrClosed)

// Close finishes running acts and closes the database. Who reads, writes or
// waits after that is told fs.ErrClosed.
func (s *Store) Close() error {
	var err error
	s.closed.Do(func() { err = s.shut() })
	return err
}

func (s *Store) shut() (err error) {
	close(s.over)
	if s.stop != nil {
		s.stop()
		s.workers.Wait()
	}
	if s.pool != nil {
		err = s.pool.close()
	}
	if s.w != nil {
		s.lane.enter(context.Background(), ordinary)
		s.lane.end()
		if !s.options.ReadOnly {
			if e := s.engine.rest(s.w); err == nil {
				err = e
			}
		}
		s.w.close()
	}
	if e := s.engine.close(); err == nil {
		err = e
	}
	return err
}

// identify checks or makes the file's identity: its realm, and the seed of
// its hashed keys.
func (s *Store) identify() error {
	var realm []byte
	found, err := s.w.one(to(&realm), "SELECT v FROM meta WHERE k = 'realm'")
	if err != nil {
		return err
	}
	if !found {
		if s.options.ReadOnly {
			return noroshi.Errorf(noroshi.NotFound, "store.none", "no database at %s: meta names no realm", s.path)
		}
		seed := make([]byte, 16)
		rand.Read(seed)
		if _, err := s.w.exec("INSERT INTO meta (k, v) VALUES ('realm', $1), ('seed', $2)", []byte(s.options.Realm.String()), seed); err != nil {
			return err
		}
		s.seed = seed
		return nil
	}
	if string(realm) != s.options.Realm.String() {
		return noroshi.Errorf(noroshi.Refused, "store.realm-other", "the database belongs to realm %s, not %s", string(realm), s.options.Realm.String())
	}
	_, err = s.w.one(to(&s.seed), "SELECT v FROM meta WHERE k = 'seed'")
	return err
}

// load reads the writer's state and checks that the file is this node's.
func (s *Store) load() error {
	st := &s.state
	for _, t := range tables {
		if _, err := s.w.one(to(&st.last[t.ord]), "SELECT coalesce(max("+t.key+"), 0) FROM "+t.name); err != nil {
			return err
		}
	}
	st.seq = max(st.last[objectTable.ord], st.last[noticeTable.ord])
	if err := s.loadSigner(); err != nil {
		return err
	}
	if o := s.options.Node; o != (noroshi.NodeID{}) && st.node != (noroshi.NodeID{}) && o != st.node {
		return noroshi.Errorf(noroshi.Refused, "store.node-other", "the database belongs to node %s, not %s", st.node.String(), o.String())
	}
	s.grown()
	return s.loadTrees()
}

// loadSigner reads whose key signs.
func (s *Store) loadSigner() error {
	var node, key []byte
	found, err := s.w.one(to(&node, &key), "SELECT node, pubkey FROM signer ORDER BY n DESC LIMIT 1")
	if err == nil && found {
		s.state.signer, s.state.key = true, key
		copy(s.state.node[:], node)
	}
	return err
}

// largeStore is the length of the feed from which the writer gets the larger
// cache: its indexes are then larger than the small one.
const largeStore = 500_000

// grown tells the engine when the store has become large.
func (s *Store) grown() {
	if !s.large && s.state.seq > largeStore && !s.options.ReadOnly {
		s.large = s.engine.enlarge(s.w) == nil
	}
}

// key64 is the keyed hash under which derived tables find a text; a match is
// always compared with the real row.
func (s *Store) key64(text string) int64 {
	var buf [256]byte
	h := sha256.Sum256(append(append(buf[:0], s.seed...), text...))
	return int64(binary.BigEndian.Uint64(h[:8]) >> 1)
}

func sum(b []byte) [32]byte { return sha256.Sum256(b) }

// Wait returns when the feed has passed seq, ctx ends, or the store is closed.
func (s *Store) Wait(ctx context.Context, seq int64) error {
	for {
		s.headMu.Lock()
		head, moved := s.head, s.moved
		s.headMu.Unlock()
		if head > seq {
			return nil
		}
		select {
		case <-moved:
		case <-s.over:
			return errClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// passed tells waiting followers that the feed has moved.
func (s *Store) passed(seq int64) {
	s.headMu.Lock()
	defer s.headMu.Unlock()
	if seq > s.head {
		s.head = seq
		close(s.moved)
		s.moved = make(chan struct{})
	}
}

// origin is the name under which a tree's checkpoints are signed.
func origin(realm noroshi.Realm, node, partner noroshi.NodeID) string {
	if partner == (noroshi.NodeID{}) {
		return ledger.Origin(realm.String(), node.String(), "")
	}
	return ledger.Origin(realm.String(), node.String(), partner.String())
}
