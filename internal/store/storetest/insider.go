package storetest

import (
	"database/sql"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// How a store keeps its trees (package store, trees.go).
const (
	chunkHashes   = 32
	treeShift     = 40
	checkpointRun = 1000
)

// Rewrite does to a closed store what an insider could who has the database and
// the node's keys: change says of each act what its leaf shall be, and all that
// follows from it (leaves, both kinds of trees, signed checkpoints) is made
// anew, so that nothing in the store contradicts it. It returns how many leaves
// were changed.
func Rewrite(t testing.TB, address string, r noroshi.Realm, public []byte, sign func([]byte) []byte, change func(*ledger.Leaf)) int {
	t.Helper()
	db := Raw(t, address)
	defer db.Close()
	w := &rewriter{t: t, db: db, realm: r, public: public, sign: sign, trees: map[string]*rewritten{}}
	w.node = w.text("SELECT node FROM signer ORDER BY n DESC LIMIT 1")
	changed := 0
	for idx, x := range w.acts() {
		l, err := ledger.Decode[ledger.Leaf](x[0])
		if err != nil {
			t.Fatal(err)
		}
		d, err := ledger.Decode[ledger.Detail](x[1])
		if err != nil {
			t.Fatal(err)
		}
		before := string(ledger.Encode(l))
		change(&l)
		if string(ledger.Encode(l)) != before {
			changed++
		}
		if len(l.Partner) > 0 {
			tree := w.tree(string(l.Partner))
			own := ledger.LinkLeaf{Version: l.Version, Index: tree.edge.Size(), Time: l.Time, Action: l.Action, Detail: d.LinkCommitment(),
				Label: l.Label, Agreement: l.Agreement, Message: l.Message, Count: l.Count, Precedence: l.Precedence, Root: l.Root}
			tree.add(ledger.LeafHash(ledger.Encode(own)))
			root := tree.edge.Root()
			l.LinkSize, l.LinkRoot = tree.edge.Size(), root[:]
		}
		encoded := ledger.Encode(l)
		w.tree("").add(ledger.LeafHash(encoded))
		w.exec("UPDATE act SET leaf = $1 WHERE idx = $2", encoded, idx)
	}
	w.exec("DELETE FROM tree_hash")
	w.exec("DELETE FROM checkpoint")
	for partner, tree := range w.trees {
		w.store(partner, tree)
	}
	return changed
}

type rewriter struct {
	t      testing.TB
	db     *sql.DB
	realm  noroshi.Realm
	node   string
	public []byte
	sign   func([]byte) []byte
	trees  map[string]*rewritten
}

// rewritten is one tree: all its hashes, and its last root in every thousand.
type rewritten struct {
	edge   ledger.Tree
	hashes []ledger.Hash
	heads  map[uint64]ledger.Checkpoint
}

func (w *rewriter) tree(partner string) *rewritten {
	if w.trees[partner] == nil {
		w.trees[partner] = &rewritten{heads: map[uint64]ledger.Checkpoint{}}
	}
	return w.trees[partner]
}

func (x *rewritten) add(leaf ledger.Hash) {
	var fresh []ledger.Hash
	x.edge, fresh = x.edge.Append(leaf)
	x.hashes = append(x.hashes, fresh...)
	x.heads[x.edge.Size()/checkpointRun] = ledger.Checkpoint{Size: x.edge.Size(), Root: x.edge.Root()}
}

func (w *rewriter) acts() (list [][2][]byte) {
	rows, err := w.db.Query("SELECT leaf, detail FROM act ORDER BY idx")
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var x [2][]byte
		if err := rows.Scan(&x[0], &x[1]); err != nil {
			w.t.Fatal(err)
		}
		list = append(list, x)
	}
	return list
}

func (w *rewriter) store(partner string, x *rewritten) {
	id := int64(0)
	origin := ledger.Origin(w.realm.String(), nodeText(w.node), "")
	if partner != "" {
		origin = ledger.Origin(w.realm.String(), nodeText(w.node), nodeText(partner))
		if err := w.db.QueryRow("SELECT id FROM tree WHERE partner = $1", []byte(partner)).Scan(&id); err != nil {
			w.t.Fatal(err)
		}
	}
	for at := 0; at < len(x.hashes); at += chunkHashes {
		var row []byte
		for _, h := range x.hashes[at:min(at+chunkHashes, len(x.hashes))] {
			row = append(row, h[:]...)
		}
		w.exec("INSERT INTO tree_hash (id, hashes) VALUES ($1, $2)", id<<treeShift|int64(at/chunkHashes), row)
	}
	for run, c := range x.heads {
		c.Origin = origin
		w.exec("INSERT INTO checkpoint (id, note) VALUES ($1, $2)", id<<treeShift|int64(run), c.Sign(w.public, w.sign))
	}
}

func nodeText(b string) string {
	var n noroshi.NodeID
	copy(n[:], b)
	return n.String()
}

func (w *rewriter) text(q string) string {
	var b []byte
	if err := w.db.QueryRow(q).Scan(&b); err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *rewriter) exec(q string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Exec(q, args...); err != nil {
		w.t.Fatal(err)
	}
}
