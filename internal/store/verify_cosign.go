package store

import (
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// LinkWitness says how far the ledger of a link is countersigned by the
// partner.
type LinkWitness struct {
	Partner noroshi.NodeID
	Leaves  uint64    // of the ledger now
	Size    uint64    // of it when it was countersigned last; 0 = never
	At      time.Time // when that was, by the partner's clock
	Since   time.Time // since when an act waits to be countersigned; zero = none does
}

// cosignRow is a cosignature of the partner over our ledger of the link.
type cosignRow struct {
	act  int64
	size uint64
	text noroshi.Hash // of what it is over
	line []byte
}

// cosignRow takes an evidence row that may speak of the ledgers.
func (v *verifier) cosignRow(s *scan) {
	p, signed := s.partner(), s.bytes("signed")
	switch uint8(s.int("kind")) {
	case ForeignCosign:
		v.fault(s.act, "cosignature", "foreign", s.t.name, "the partner %s countersigned a ledger that this is not", p.String())
		return
	case uint8(message.CosignKind):
	default:
		return
	}
	st, err := message.DecodeStatement(v.s.options.Realm, signed)
	var body message.CosignBody
	if err == nil {
		body, err = message.DecodeCosign(st.Body)
	}
	if err == nil {
		err = v.verified(p, st)
	}
	if err != nil {
		v.fault(s.act, "cosignature", "unreadable", s.t.name, "a cosignature of %s: %v", p.String(), err)
		return
	}
	if v.cosigns == nil {
		v.cosigns = map[noroshi.NodeID][]cosignRow{}
	}
	v.cosigns[p] = append(v.cosigns[p], cosignRow{s.act, body.Size, body.Checkpoint, body.Signature})
}

// verified checks a statement against the partner's keys, the present ones and
// former: of a key that was taken back later, what it signed before stands.
func (v *verifier) verified(p noroshi.NodeID, st *message.Statement) error {
	var err error = noroshi.Errorf(noroshi.Broken, "store.no-keyset", "no keys of %s are on record", p.String())
	sets := v.keysets[p]
	for i := len(sets) - 1; i >= 0; i-- {
		if e := st.Verify(sets[i]); e == nil {
			return nil
		} else if i == len(sets)-1 {
			err = e
		}
	}
	return err
}

// keysetRow takes a partner's keys.
func (v *verifier) keysetRow(s *scan) {
	if s.text("kind") != noroshi.DocKeyset {
		return
	}
	id, err := hex.DecodeString(s.text("id"))
	var p noroshi.NodeID
	if err != nil || len(id) != len(p) {
		return
	}
	copy(p[:], id)
	ks, err := message.ParseKeyset(v.s.options.Realm, append([]byte(nil), s.bytes("body")...))
	if err != nil {
		return // whoever put it there read it; a changed row is reported as such
	}
	if v.keysets == nil {
		v.keysets = map[noroshi.NodeID][]*message.Keyset{}
	}
	v.keysets[p] = append(v.keysets[p], ks)
}

// issuedRow holds the heads that were issued to a partner against the ledgers as
// they are at that act.
func (v *verifier) issuedRow(s *scan) {
	if s.text("kind") != DocIssued {
		return
	}
	var x Issued
	if err := json.Unmarshal(s.bytes("body"), &x); err != nil {
		v.fault(s.act, "cosignature", "issued-unreadable", s.t.name, "the head issued to %s cannot be read: %v", s.text("id"), err)
		return
	}
	if x.Whole.Size != v.node.edge.Size() || x.Whole.Root != noroshi.Hash(v.node.edge.Root()) {
		v.fault(s.act, "cosignature", "acts", s.t.name, "the first %d acts are not those that were committed to before %s", x.Whole.Size, s.text("id"))
	}
	own := ledger.Tree{}
	for _, k := range v.links {
		if k.partner.String() == s.text("id") {
			own = k.edge
		}
	}
	if head, err := ledger.Peek(x.Note); err != nil || head.Size != own.Size() || head.Root != own.Root() {
		v.fault(s.act, "cosignature", "issued", s.t.name, "the head issued to %s is not that of the link's ledger", s.text("id"))
	}
}

// cosigned checks the partner's cosignatures against the ledger of its link.
func (v *verifier) cosigned(k *linkCheck) {
	roots := v.roots(k)
	w := LinkWitness{Partner: k.partner, Leaves: k.edge.Size()}
	node := v.s.options.Node
	if n := len(v.signers); n > 0 {
		node = v.signers[n-1].node
	}
	name := ledger.Origin(v.s.options.Realm.String(), k.partner.String(), "")
	for _, c := range v.cosigns[k.partner] {
		root, there := roots[c.size]
		head := ledger.Checkpoint{Origin: origin(v.s.options.Realm, node, k.partner), Size: c.size, Root: root}
		at, signed := v.signedLine(head, c.line, name, k.partner)
		switch {
		case !there:
			v.fault(c.act, "cosignature", "short", "evidence", "%s countersigned %d entries of the link, %d are there", k.partner.String(), c.size, w.Leaves)
		case noroshi.Sum(head.Text()) != c.text:
			v.fault(c.act, "cosignature", "entries", "evidence", "%s countersigned other first %d entries of the link than are there", k.partner.String(), c.size)
		case !signed:
			v.fault(c.act, "cosignature", "by-other", "evidence", "the cosignature of %d entries of the link is not signed by %s", c.size, k.partner.String())
		case c.size >= w.Size:
			w.Size, w.At = c.size, at
		}
	}
	for i := w.Size; i < w.Leaves && w.Since.IsZero(); i++ {
		if t := k.acted[i]; t != 0 {
			w.Since = fromMicros(t)
		}
	}
	v.out.Cosigned = append(v.out.Cosigned, w)
}

func (v *verifier) signedLine(head ledger.Checkpoint, line []byte, name string, p noroshi.NodeID) (time.Time, bool) {
	for _, ks := range v.keysets[p] {
		for _, key := range ks.Keys {
			if key.Use != message.UseControl {
				continue
			}
			if at, err := head.OpenCosignature(line, name, key.Key); err == nil {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

// roots returns the roots a link's ledger had at the sizes countersigned.
func (v *verifier) roots(k *linkCheck) map[uint64]ledger.Hash {
	wanted := map[uint64]bool{}
	for _, c := range v.cosigns[k.partner] {
		wanted[c.size] = true
	}
	roots := map[uint64]ledger.Hash{0: ledger.Empty}
	if len(wanted) == 0 {
		return roots
	}
	var edge ledger.Tree
	for _, leaf := range k.leaves {
		if edge, _ = edge.Append(leaf); wanted[edge.Size()] {
			roots[edge.Size()] = edge.Root()
		}
	}
	return roots
}
