package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// maxFollowed is how many acts of other processes are followed one by one;
// beyond it the state is read anew.
const maxFollowed = 1000

// acts is the size of the node's ledger.
func (st *state) acts() uint64 { return st.trees[noroshi.NodeID{}].edge.Size() }

// follow brings the writer's state up to a ledger of so many acts: those that
// other processes entered since this one last wrote. Everything the state says
// follows from their leaves. -1 says that there are none.
func (s *Store) follow(ctx context.Context, acts int64) error {
	have := int64(s.state.acts())
	if acts < 0 || acts == have {
		return nil
	}
	if acts < have || acts-have > maxFollowed {
		s.state = state{}
		return s.reload()
	}
	st := s.state
	st.trees = maps.Clone(st.trees)
	signed := false
	err := s.w.each(ctx, func(rows *sql.Rows) error {
		var leaf, detail []byte
		if err := rows.Scan(&leaf, &detail); err != nil {
			return err
		}
		bySigner, err := st.take(leaf, detail)
		signed = signed || bySigner
		return err
	}, "SELECT leaf, detail FROM act WHERE idx >= $1 ORDER BY idx", have)
	if err != nil {
		return err
	}
	s.state = st
	if signed {
		if err := s.loadSigner(); err != nil {
			return err
		}
	}
	s.passed(st.seq)
	return nil
}

func (s *Store) reload() error {
	if err := s.load(); err != nil {
		return err
	}
	s.passed(s.state.seq)
	return nil
}

// take adds an act of another process; it reports whether it named a signer.
func (st *state) take(leaf, detail []byte) (signer bool, err error) {
	l, err := ledger.Decode[ledger.Leaf](leaf)
	if err != nil {
		return false, err
	}
	d, err := ledger.Decode[ledger.Detail](detail)
	if err != nil {
		return false, err
	}
	for _, r := range l.Rows {
		i := slices.IndexFunc(tables, func(t *table) bool { return t.name == r.Table })
		if i < 0 {
			return false, noroshi.Errorf(noroshi.Refused, "store.table-newer", "another process of this node writes a table %q that this program does not know: use the same version", r.Table)
		}
		switch t := tables[i]; t {
		case objectTable, noticeTable:
			st.seq += int64(r.Rows)
			st.last[t.ord] = st.seq
		default:
			st.last[t.ord] += int64(r.Rows)
			signer = signer || t == signerTable
		}
	}
	skip := func(int64, []byte) error { return nil }
	if len(l.Partner) > 0 {
		var p noroshi.NodeID
		copy(p[:], l.Partner)
		tr, ok := st.trees[p]
		if !ok {
			tr.id = int64(len(st.trees))
		}
		own := linkLeaf(&l, d, tr.edge.Size())
		if st.trees[p], err = tr.grown(ledger.LeafHash(ledger.Encode(own)), skip); err != nil {
			return false, err
		}
	}
	node, err := st.trees[noroshi.NodeID{}].grown(ledger.LeafHash(leaf), skip)
	st.trees[noroshi.NodeID{}] = node
	return signer, err
}
