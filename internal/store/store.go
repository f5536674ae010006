// Package store keeps everything a node has in one realm, in one SQLite file,
// behind one write door.
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
// Reads see one committed state for the length of a call. Lists are paged by
// key: the last page costs what the first did.
package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Options of Open.
type Options struct {
	Realm    noroshi.Realm
	Node     noroshi.NodeID           // zero until init has made the first KEYSET; then it must agree with the file
	Sign     func(text []byte) []byte // signs ledger checkpoints and cursors (Ed25519, the node's control key)
	Key      []byte                   // its public key, for Verify
	Now      func() time.Time         // the clock that stamps acts; nil = time.Now
	ReadOnly bool                     // no lock, no writes: beside a running node
}

// Store is one realm of one node.
type Store struct {
	Reads

	options Options
	path    string
	lock    *os.File
	writeDB *sql.DB
	pool    *pool
	lane    lane
	w       *conn // guarded by the lane
	state   state // guarded by the lane
	large   bool  // guarded by the lane; growCache has been
	seed    []byte
	words   words

	headMu  sync.Mutex // guards head and moved
	head    int64      // last committed sequence of the feed
	moved   chan struct{}
	derived chan struct{} // wakes the derived writer
	stop    context.CancelFunc
	workers sync.WaitGroup
	closed  sync.Once
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

// Open opens or makes the realm's database at path, migrates it, and refuses a
// file of another realm, node or newer schema. One process at a time opens a
// file for writing.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	if o.Realm.IsZero() {
		return nil, noroshi.Errorf(noroshi.Invalid, "store.realm", "open %s: no realm given", path)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{options: o, path: path, moved: make(chan struct{}), derived: make(chan struct{}, 1)}
	s.Reads = Reads{s: s}
	if err := s.open(ctx); err != nil {
		s.Close()
		if damaged(err) {
			return nil, noroshi.Errorf(noroshi.Broken, "store.damaged", "%s is no database or is damaged: %w", path, err)
		}
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	if s.options.ReadOnly {
		if _, err := os.Stat(s.path); err != nil {
			return noroshi.Errorf(noroshi.NotFound, "store.none", "no database at %s", s.path)
		}
	} else if err := makePrivate(s.path); err != nil {
		return err
	} else if s.lock, err = lockFile(s.path); err != nil {
		return err
	}
	if s.writeDB, err = openDB(s.path, "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(0)", "cache_size(-65536)", "temp_store(MEMORY)"); err != nil {
		return err
	}
	if s.w, err = dial(ctx, s.writeDB); err != nil {
		return err
	}
	if err := sqlite.migrate(s.w, s.options.ReadOnly); err != nil {
		return err
	}
	if err := s.identify(); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return err
	}
	db, err := openDB(s.path, "query_only(1)", "cache_size(-8192)", "temp_store(MEMORY)")
	if err != nil {
		return err
	}
	s.pool = newPool(db)
	if !s.options.ReadOnly {
		run, stop := context.WithCancel(context.Background())
		s.stop = stop
		s.workers.Go(func() { s.derive(run) })
		s.workers.Go(func() { s.checkpointWAL(run) })
		s.wakeDerived()
	}
	return nil
}

// makePrivate makes a new database file that only this user may open; its log
// takes over the mode. Where there was one, as its lock tells, which is made
// after it, none is made in its place: it would be a node that forgot all. A
// file that is there is not touched: closing it would end SQLite's own locks.
func makePrivate(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(path + ".lock"); err == nil {
		return noroshi.Errorf(noroshi.Broken, "store.gone", "the database %s is gone: restore it from the backup", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// Close finishes running acts, checkpoints the WAL and closes the file.
func (s *Store) Close() error {
	var err error
	s.closed.Do(func() { err = s.shut() })
	return err
}

func (s *Store) shut() (err error) {
	if s.stop != nil {
		s.stop()
		s.workers.Wait()
	}
	if s.pool != nil {
		err = s.pool.close()
	}
	if s.w != nil {
		s.lane.enter(context.Background(), ordinary) // and keep it: nothing is written after Close
		if !s.options.ReadOnly {
			if _, e := s.w.c.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)"); err == nil {
				err = e
			}
		}
		s.w.close()
	}
	if s.writeDB != nil {
		if e := s.writeDB.Close(); err == nil {
			err = e
		}
	}
	if s.lock != nil {
		s.lock.Close()
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
			return noroshi.Errorf(noroshi.NotFound, "store.none", "no database at %s", s.path)
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
	s.head = st.seq
	var node []byte
	found, err := s.w.one(to(&node, &st.key), "SELECT node, pubkey FROM signer ORDER BY n DESC LIMIT 1")
	if err != nil {
		return err
	}
	if found {
		st.signer = true
		copy(st.node[:], node)
	}
	if o := s.options.Node; o != (noroshi.NodeID{}) && st.node != (noroshi.NodeID{}) && o != st.node {
		return noroshi.Errorf(noroshi.Refused, "store.node-other", "the database belongs to node %s, not %s", st.node.String(), o.String())
	}
	s.growCache()
	return s.loadTrees()
}

// largeStore is the length of the feed from which the writer gets the larger
// cache: its indexes are then larger than the small one.
const largeStore = 500_000

// growCache gives the writer of a large store 256 MB of cache instead of 64:
// each insert touches a page of every random-order index.
func (s *Store) growCache() {
	if !s.large && s.state.seq > largeStore && !s.options.ReadOnly {
		_, err := s.w.exec("PRAGMA cache_size = -262144")
		s.large = err == nil
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

// Wait returns when the feed has passed seq or ctx ends.
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
	o := "noroshi/" + realm.String() + "/" + node.String()
	if partner != (noroshi.NodeID{}) {
		o += "/link/" + partner.String()
	}
	return o
}
