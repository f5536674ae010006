package store

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// maxFaults bounds what Verify reports; the first has the lowest index.
const maxFaults = 100

// Verify re-derives every leaf from its rows, both kinds of trees from their
// leaves, checks the signed checkpoints, the partners' cosignatures of the links'
// ledgers and the signatures of approved batches (by the register as it was at that
// act), and rebuilds and compares derived tables. progress may be nil.
//
// A fault names what was changed: an act and the tables it wrote (its leaf has one
// root over all their rows, so which of them it is nothing tells); a row of a table
// that is made from the record by what it stands for, with the index one past the
// last act: no act is bad, the table is.
//
// What it cannot see is a follower's place that was removed (the follower
// starts anew and does nothing twice), and a whole database put back to an earlier state, or cut
// to one whose checkpoint is kept (1,000 k - 1 acts): that only a partner finds,
// who holds a later head.
func (s *Store) Verify(ctx context.Context, progress func(done, total uint64)) (Verified, error) {
	var out Verified
	err := s.pool.read(ctx, func(c *conn) error {
		v := &verifier{s: s, c: c, ctx: ctx, replay: newReplay(s, c)}
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
	keysets map[noroshi.NodeID][]*message.Keyset // of partners, each version on record
	cosigns map[noroshi.NodeID][]cosignRow
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
	acted   []int64 // time of a leaf of class act, 0 of one of class evidence
}

func (v *verifier) fault(index int64, code, why, table, format string, args ...any) {
	if len(v.out.Faults) >= 20*maxFaults {
		return
	}
	f := Fault{Index: uint64(max(index, 0)), Code: code, Why: why, Table: table, Msg: fmt.Sprintf(format, args...)}
	for _, a := range args {
		f.Args = append(f.Args, fmt.Sprint(a))
	}
	v.out.Faults = append(v.out.Faults, f)
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
			v.fault(want, "leaf", "gone", "act", "act %d is not in the ledger: the next is %d", want, idx)
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
		v.fault(idx, "leaf", "unreadable", "act", "leaf: %v", lerr)
	case int64(l.Index) != idx:
		v.fault(idx, "leaf", "other", "act", "the leaf is that of act %d", l.Index)
	case l.Time != at:
		v.fault(idx, "leaf", "time", "act", "the time is not the leaf's")
	case derr != nil:
		v.fault(idx, "leaf", "detail-unreadable", "act", "detail: %v", derr)
	case d.Commitment() != l.Detail:
		v.fault(idx, "leaf", "detail", "act", "subject or persons are not those the leaf commits to")
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
				v.fault(s.act, "row-extra", "late", s.t.name, "row %d of %s says it belongs to act %d but comes after later ones", s.key, s.t.name, s.act)
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
			v.fault(s.act, "row-changed", "hash", s.t.name, "the bytes of version %d do not have its hash", s.key)
		}
	case signerTable:
		x := signerAt{act: s.act, key: slices.Clone(s.bytes("pubkey"))}
		copy(x.node[:], s.bytes("node"))
		v.signers = append(v.signers, x)
	case docTable:
		v.keysetRow(s)
		v.issuedRow(s)
	case evidenceTable:
		v.cosignRow(s)
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
			v.fault(idx, "row-missing", "count", t.name, "act %d wrote %d rows into %s, %d are there", idx, n, t.name, counts[i])
			good = false
		case counts[i] > n:
			v.fault(idx, "row-extra", "count", t.name, "act %d wrote %d rows into %s, %d are there", idx, n, t.name, counts[i])
			good = false
		}
	}
	if good && ledger.Root(hashes) != l.Root {
		var names, rows []string
		for _, r := range l.Rows {
			names, rows = append(names, r.Table), append(rows, fmt.Sprintf("%d in %s", r.Rows, r.Table))
		}
		v.fault(idx, "row-changed", "rows", strings.Join(names, ", "), "the rows of act %d are not those it wrote: one at least of %s", idx, strings.Join(rows, ", "))
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
	at := l.Time
	if noroshi.Action(l.Action).Evidence() {
		at = 0
	}
	k.acted = append(k.acted, at)
	root := k.edge.Root()
	if l.LinkSize != k.edge.Size() || string(l.LinkRoot) != string(root[:]) {
		v.fault(idx, "link", "order", "act", "act %d does not follow in the ledger of link %s", idx, p)
	}
}

// finish checks what stands after the last act, the trees and what is derived.
func (v *verifier) finish(acts int64) error {
	for _, s := range v.rows {
		for s.ok {
			v.fault(s.act, "row-extra", "unowned", s.t.name, "row %d of %s belongs to no act of the ledger", s.key, s.t.name)
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
	o.Key = v.s.signs.Load().key
	if n := len(v.signers); n > 0 && o.Key != nil {
		known := func(key []byte) bool { return string(key) == string(v.signers[n-1].key) }
		if last := v.signers[n-1]; !known(o.Key) && !slices.ContainsFunc(o.Former, known) || o.Node != (noroshi.NodeID{}) && last.node != o.Node {
			v.fault(last.act, "checkpoint", "signer", "signer", "the ledger is signed by another key or node than this one")
		}
	} else if o.Key != nil && acts > 0 {
		v.fault(0, "checkpoint", "unsigned", "signer", "the ledger names no signer")
	}
	keys := [][]byte{}
	for _, x := range append(v.signers, signerAt{key: o.Key}) {
		if len(x.key) == ed25519.PublicKeySize {
			keys = append(keys, x.key)
		}
	}
	differs := func(why, table, format string, args ...any) { v.fault(acts, "derived", why, table, format, args...) }
	err := v.replay.compare(v.ctx, v.c, o, keys, differs)
	if err != nil && len(v.out.Faults) > 0 && v.ctx.Err() == nil { // what was changed cannot be read: it is named
		differs("unfinished", "", "what is made from the record could not be compared to the end: %v", err)
		return nil
	}
	return err
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
	for _, k := range v.links {
		v.cosigned(k)
		delete(v.cosigns, k.partner)
	}
	for p, list := range v.cosigns {
		v.fault(list[0].act, "cosignature", "no-link", "evidence", "%s countersigned the ledger of a link that has none", p.String())
	}
	if err := v.linkRows(acts); err != nil {
		return err
	}
	var extra int64
	_, err := v.c.one(to(&extra), "SELECT (SELECT count(*) FROM tree_hash WHERE id >= $1 OR id < 0) + (SELECT count(*) FROM checkpoint WHERE id >= $1 OR id < 0)",
		int64(len(v.links)+1)<<treeShift)
	if extra > 0 {
		v.fault(acts, "tree", "unowned", "tree_hash", "%d rows of hashes or checkpoints belong to no tree", extra)
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
		for ; n < len(v.links) && int64(n+1) < id; n++ {
			v.noTree(n)
		}
		switch {
		case n == len(v.links) || id != int64(n+1):
			v.fault(acts, "link", "no-entry", "tree", "tree %d is not that of a link with an act", id)
			return err
		case string(p) != string(v.links[n].partner[:]):
			v.fault(v.links[n].acts[0], "link", "named", "tree", "tree %d is not named as that of link %s", id, v.links[n].partner)
		}
		n++
		return err
	}, "SELECT id, partner FROM tree ORDER BY id")
	if err != nil {
		return err
	}
	for ; n < len(v.links); n++ {
		v.noTree(n)
	}
	return v.linkLeaves()
}

// noTree says that a link's tree has no row.
func (v *verifier) noTree(i int) {
	v.fault(v.links[i].acts[0], "link", "missing", "tree", "tree %d, that of link %s, is missing", i+1, v.links[i].partner)
}

// linkLeaves compares the rows that say which act each leaf of a link's tree is.
func (v *verifier) linkLeaves() error {
	i, j := 0, 0
	var id, act int64 // of the leaf that must come next
	next := func() bool {
		for i < len(v.links) && j == len(v.links[i].acts) {
			i, j = i+1, 0
		}
		if i == len(v.links) {
			return false
		}
		id, act, j = int64(i+1)<<treeShift|int64(j), v.links[i].acts[j], j+1
		return true
	}
	leaf := func(id int64) string {
		return fmt.Sprintf("leaf %d of tree %d", id&(1<<treeShift-1), id>>treeShift)
	}
	more := next()
	err := v.c.each(v.ctx, func(rows *sql.Rows) error {
		var have, names int64
		err := rows.Scan(&have, &names)
		for more && id < have {
			v.fault(act, "link", "leaf-missing", "link_leaf", "%s is missing: it is that of act %d", leaf(id), act)
			more = next()
		}
		switch {
		case !more || id != have:
			v.fault(names, "link", "leaf-extra", "link_leaf", "%s is none: it names act %d", leaf(have), names)
			return err
		case act != names:
			v.fault(min(act, names), "link", "leaf-other", "link_leaf", "%s names act %d and is that of act %d", leaf(id), names, act)
		}
		more = next()
		return err
	}, "SELECT id, act FROM link_leaf ORDER BY id")
	for ; more; more = next() {
		v.fault(act, "link", "leaf-missing", "link_leaf", "%s is missing: it is that of act %d", leaf(id), act)
	}
	return err
}
