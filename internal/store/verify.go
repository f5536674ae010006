package store

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// maxFaults bounds what Verify reports; the first has the lowest index.
const maxFaults = 100

// Verify re-derives every leaf from its rows, both kinds of trees from their
// leaves, checks the signed checkpoints and the signatures of approved batches
// (persons' keys from their documents), and rebuilds and compares derived
// tables. progress may be nil. A derived table that differs has the index one
// past the last act: no act is bad, the table is.
//
// What it cannot see is a follower's place that was removed (the follower
// starts anew and does nothing twice), and a whole database put back to an earlier state, or cut
// to one whose checkpoint is kept (1,000 k - 1 acts): that only a partner finds,
// who holds a later head.
func (s *Store) Verify(ctx context.Context, progress func(done, total uint64)) (Verified, error) {
	var out Verified
	err := s.pool.read(ctx, func(c *conn) error {
		v := &verifier{s: s, c: c, ctx: ctx, replay: newReplay(s.key64, c)}
		defer v.close()
		err := v.run(progress)
		out = v.out
		return err
	})
	if err != nil {
		return out, fmt.Errorf("verify %s: %w", s.path, err)
	}
	slices.SortStableFunc(out.Faults, func(a, b Fault) int { return int(int64(a.Index) - int64(b.Index)) })
	out.Faults = out.Faults[:min(len(out.Faults), maxFaults)]
	return out, nil
}

// verifier walks all evidential tables and the acts side by side, in the order
// of acts, in memory that does not grow with the bytes kept.
type verifier struct {
	s       *Store
	c       *conn
	ctx     context.Context
	out     Verified
	rows    [tableCount]*scan
	node    *treeCheck
	links   []*linkCheck
	signers []signerAt
	replay  *replay
	row     ledger.Row
}

type signerAt struct {
	act  int64
	node noroshi.NodeID
	key  []byte
}

// linkCheck collects the leaves of one link; its tree is checked at the end.
type linkCheck struct {
	partner noroshi.NodeID
	edge    ledger.Tree
	leaves  []ledger.Hash
	acts    []int64
}

func (v *verifier) fault(index int64, code, table, format string, args ...any) {
	if len(v.out.Faults) < 20*maxFaults {
		v.out.Faults = append(v.out.Faults, Fault{uint64(max(index, 0)), code, table, fmt.Sprintf(format, args...)})
	}
}

func (v *verifier) close() {
	for _, r := range v.rows {
		if r != nil {
			r.close()
		}
	}
	if v.node != nil {
		v.node.close()
	}
}

func (v *verifier) run(progress func(done, total uint64)) error {
	var total int64
	if _, err := v.c.one(to(&v.replay.textTo), "SELECT seq FROM cursor WHERE follower = $1", textCursor); err != nil {
		return err
	}
	if _, err := v.c.one(to(&total), "SELECT coalesce(max(idx) + 1, 0) FROM act"); err != nil {
		return err
	}
	for i, t := range tables {
		var err error
		if v.rows[i], err = openScan(v.c, t); err != nil {
			return err
		}
	}
	var err error
	if v.node, err = v.openTree(0, noroshi.NodeID{}); err != nil {
		return err
	}
	want := int64(0)
	err = v.c.each(v.ctx, func(rows *sql.Rows) error {
		var idx, at int64
		var leaf, detail []byte
		if err := rows.Scan(&idx, &at, &leaf, &detail); err != nil {
			return err
		}
		if idx != want {
			v.fault(want, "leaf", "act", "act %d is not in the ledger: the next is %d", want, idx)
		}
		want = idx + 1
		if progress != nil && idx&1023 == 0 {
			progress(uint64(idx), uint64(total))
		}
		return v.act(idx, at, leaf, detail)
	}, "SELECT idx, time, leaf, detail FROM act ORDER BY idx")
	if err != nil {
		return err
	}
	v.out.Acts = uint64(want)
	return v.finish(want)
}

// act checks one act: its rows against its leaf, its leaf against the tree.
func (v *verifier) act(idx, at int64, leaf, detail []byte) error {
	l, lerr := ledger.Decode[ledger.Leaf](leaf)
	d, derr := ledger.Decode[ledger.Detail](detail)
	switch {
	case lerr != nil:
		v.fault(idx, "leaf", "act", "leaf: %v", lerr)
	case int64(l.Index) != idx:
		v.fault(idx, "leaf", "act", "the leaf is that of act %d", l.Index)
	case l.Time != at:
		v.fault(idx, "leaf", "act", "the time is not the leaf's")
	case derr != nil:
		v.fault(idx, "leaf", "act", "detail: %v", derr)
	case d.Commitment() != l.Detail:
		v.fault(idx, "leaf", "act", "subject or persons are not those the leaf commits to")
	}
	hashes, counts, err := v.actRows(idx, at)
	if err != nil {
		return err
	}
	if lerr == nil {
		v.compareRows(idx, &l, hashes, counts)
		if derr == nil {
			v.link(idx, &l, d)
		}
	}
	return v.node.add(ledger.LeafHash(leaf), idx)
}

// actRows takes the rows that say they belong to an act.
func (v *verifier) actRows(idx, at int64) (hashes []ledger.Hash, counts [tableCount]uint64, err error) {
	for i, s := range v.rows {
		for s.ok && s.act <= idx {
			if s.act < idx {
				v.fault(s.act, "row-extra", s.t.name, "row %d of %s says it belongs to act %d but comes after later ones", s.key, s.t.name, s.act)
			} else {
				counts[i]++
				hashes = append(hashes, s.hash(&v.row))
				v.out.Rows++
				if err := v.take(s, at); err != nil {
					return nil, counts, err
				}
			}
			if err := s.next(); err != nil {
				return nil, counts, err
			}
		}
	}
	return hashes, counts, nil
}

// take hands a row to what is derived from it.
func (v *verifier) take(s *scan, at int64) error {
	switch s.t {
	case objectTable:
		if sum(s.bytes("body")) != sha256Of(s.bytes("hash")) {
			v.fault(s.act, "row-changed", s.t.name, "the bytes of version %d do not have its hash", s.key)
		}
	case signerTable:
		x := signerAt{act: s.act, key: slices.Clone(s.bytes("pubkey"))}
		copy(x.node[:], s.bytes("node"))
		v.signers = append(v.signers, x)
	}
	return v.replay.row(s, at, v.fault)
}

func sha256Of(b []byte) (h [sha256.Size]byte) { copy(h[:], b); return h }

// compareRows compares what an act wrote with what its leaf says it wrote.
func (v *verifier) compareRows(idx int64, l *ledger.Leaf, hashes []ledger.Hash, counts [tableCount]uint64) {
	want := map[string]uint64{}
	for _, r := range l.Rows {
		want[r.Table] = r.Rows
	}
	good := true
	for i, t := range tables {
		switch n := want[t.name]; {
		case counts[i] < n:
			v.fault(idx, "row-missing", t.name, "act %d wrote %d rows into %s, %d are there", idx, n, t.name, counts[i])
			good = false
		case counts[i] > n:
			v.fault(idx, "row-extra", t.name, "act %d wrote %d rows into %s, %d are there", idx, n, t.name, counts[i])
			good = false
		}
	}
	if good && ledger.Root(hashes) != l.Root {
		table := ""
		if len(l.Rows) == 1 {
			table = l.Rows[0].Table
		}
		v.fault(idx, "row-changed", table, "the rows of act %d are not those it wrote", idx)
	}
}

// link collects the leaf an act has in its link's tree.
func (v *verifier) link(idx int64, l *ledger.Leaf, d ledger.Detail) {
	if len(l.Partner) == 0 {
		return
	}
	var p noroshi.NodeID
	copy(p[:], l.Partner)
	i := slices.IndexFunc(v.links, func(k *linkCheck) bool { return k.partner == p })
	if i < 0 {
		i = len(v.links)
		v.links = append(v.links, &linkCheck{partner: p})
	}
	k := v.links[i]
	own := ledger.LeafHash(ledger.Encode(linkLeaf(l, d, k.edge.Size())))
	k.edge, _ = k.edge.Append(own)
	k.leaves, k.acts = append(k.leaves, own), append(k.acts, idx)
	root := k.edge.Root()
	if l.LinkSize != k.edge.Size() || string(l.LinkRoot) != string(root[:]) {
		v.fault(idx, "link", "act", "act %d does not follow in the ledger of link %s", idx, p)
	}
}

// finish checks what stands after the last act, the trees and what is derived.
func (v *verifier) finish(acts int64) error {
	for _, s := range v.rows {
		for s.ok {
			v.fault(s.act, "row-extra", s.t.name, "row %d of %s belongs to no act of the ledger", s.key, s.t.name)
			if err := s.next(); err != nil {
				return err
			}
		}
	}
	if err := v.node.finish(acts); err != nil {
		return err
	}
	v.out.Head = noroshi.Hash(v.node.edge.Root())
	v.out.Links = len(v.links)
	if err := v.finishLinks(acts); err != nil {
		return err
	}
	o := v.s.options
	if n := len(v.signers); n > 0 && o.Key != nil {
		if last := v.signers[n-1]; string(last.key) != string(o.Key) || o.Node != (noroshi.NodeID{}) && last.node != o.Node {
			v.fault(last.act, "checkpoint", "signer", "the ledger is signed by another key or node than this one")
		}
	} else if o.Key != nil && acts > 0 {
		v.fault(0, "checkpoint", "signer", "the ledger names no signer")
	}
	keys := [][]byte{}
	for _, x := range append(v.signers, signerAt{key: o.Key}) {
		if len(x.key) == ed25519.PublicKeySize {
			keys = append(keys, x.key)
		}
	}
	return v.replay.compare(v.ctx, v.c, o, keys, func(table, format string, args ...any) {
		v.fault(acts, "derived", table, format, args...)
	})
}

func (v *verifier) finishLinks(acts int64) error {
	for i, k := range v.links {
		t, err := v.openTree(int64(i+1), k.partner)
		if err != nil {
			return err
		}
		for j, h := range k.leaves {
			if err := t.add(h, k.acts[j]); err != nil {
				t.close()
				return err
			}
		}
		err = t.finish(acts)
		t.close()
		if err != nil {
			return err
		}
	}
	if err := v.linkRows(acts); err != nil {
		return err
	}
	var extra int64
	_, err := v.c.one(to(&extra), "SELECT (SELECT count(*) FROM tree_hash WHERE id >= $1 OR id < 0) + (SELECT count(*) FROM checkpoint WHERE id >= $1 OR id < 0)",
		int64(len(v.links)+1)<<treeShift)
	if extra > 0 {
		v.fault(acts, "tree", "tree_hash", "%d rows of hashes or checkpoints belong to no tree", extra)
	}
	return err
}

// linkRows compares the trees' names and the places of acts in them.
func (v *verifier) linkRows(acts int64) error {
	n := 0
	err := v.c.each(v.ctx, func(rows *sql.Rows) error {
		var id int64
		var p []byte
		err := rows.Scan(&id, &p)
		if n >= len(v.links) || id != int64(n+1) || string(p) != string(v.links[n].partner[:]) {
			v.fault(acts, "link", "tree", "tree %d is not that of a link with an act", id)
		}
		n++
		return err
	}, "SELECT id, partner FROM tree ORDER BY id")
	if err != nil {
		return err
	}
	if n < len(v.links) {
		v.fault(v.links[n].acts[0], "link", "tree", "the tree of link %s is missing", v.links[n].partner)
	}
	i, j := 0, 0
	next := func() (id, act int64, ok bool) {
		for i < len(v.links) && j == len(v.links[i].acts) {
			i, j = i+1, 0
		}
		if i == len(v.links) {
			return 0, 0, false
		}
		j++
		return int64(i+1)<<treeShift | int64(j-1), v.links[i].acts[j-1], true
	}
	bad := false
	err = v.c.each(v.ctx, func(rows *sql.Rows) error {
		var id, act int64
		err := rows.Scan(&id, &act)
		wantID, wantAct, ok := next()
		if !bad && (!ok || id != wantID || act != wantAct) {
			bad = true
			v.fault(min(act, max(wantAct, 0)), "link", "link_leaf", "leaf %d of tree %d names act %d", id&(1<<treeShift-1), id>>treeShift, act)
		}
		return err
	}, "SELECT id, act FROM link_leaf ORDER BY id")
	if _, act, ok := next(); ok && !bad {
		v.fault(act, "link", "link_leaf", "the leaf of act %d in its link's tree is missing", act)
	}
	return err
}
