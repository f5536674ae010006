// Package audit provides what two nodes' records of one link say of each other:
// heads of the link's ledger that one issues and the other countersigns, files
// that prove one entry to anyone, and exports of both sides compared.
//
// A head is a C2SP checkpoint (origin, size, root) signed as a C2SP note; a
// countersignature is one of C2SP tlog-cosignature. Only the ledger of the link
// is told, never the node's whole one, whose size and pace would tell of
// traffic with others: each head carries but a salted commitment to its root,
// opened in an inquiry. Who countersigns checks that the ledger only grew.
//
// It decides and checks; who sends and when is the courier's.
package audit

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Issued is a head of a link's ledger as it was issued to the partner.
type Issued store.Issued

// LastIssued returns the head issued last to a partner, the zero one when none
// was.
func LastIssued(ctx context.Context, r store.Reads, partner noroshi.NodeID) (Issued, error) {
	return store.DocOrZero[Issued](ctx, r, store.DocIssued, partner.String())
}

// Issue makes the head of a link's ledger one that is issued, inside an act of
// evidence on that link.
func Issue(tx *store.Tx, partner noroshi.NodeID) (x Issued, err error) {
	own, err := tx.Head(partner)
	if err != nil {
		return x, err
	}
	whole, err := tx.Head(noroshi.NodeID{})
	if err != nil {
		return x, err
	}
	whole.Note = nil
	x = Issued{Size: own.Size, Note: own.Note, At: tx.Time(), Salt: make([]byte, 32), Whole: whole}
	rand.Read(x.Salt)
	return x, tx.PutJSON(store.DocIssued, partner.String(), x)
}

// Commitment is what stands for the node's whole ledger in what a partner gets.
func (x Issued) Commitment() noroshi.Hash {
	return noroshi.Sum(append(append([]byte(nil), x.Salt...), x.Whole.Root[:]...))
}

// Statement makes the body of the CHECKPOINT that tells a head, with the proof
// from a size the partner holds.
func (x Issued) Statement(ctx context.Context, r store.Reads, partner noroshi.NodeID, from uint64) (message.CheckpointBody, error) {
	from = min(from, x.Size)
	proof, err := r.LinkConsistency(ctx, partner, from, x.Size)
	return message.CheckpointBody{Note: x.Note, From: from, Proof: proof, Commitment: x.Commitment()}, err
}

// Names of one link's ledgers: of the one that this node keeps and of that the
// partner keeps, and whose cosignatures are under which name.
type Names struct {
	Realm         noroshi.Realm
	Node, Partner noroshi.NodeID
}

// Own is the origin of this node's ledger of the link, Theirs of the partner's.
func (n Names) Own() string {
	return ledger.Origin(n.Realm.String(), n.Node.String(), n.Partner.String())
}

// Theirs is the origin of the partner's ledger of the link.
func (n Names) Theirs() string {
	return ledger.Origin(n.Realm.String(), n.Partner.String(), n.Node.String())
}

// Me is the name this node countersigns under.
func (n Names) Me() string { return ledger.Origin(n.Realm.String(), n.Node.String(), "") }

// They is the name the partner countersigns under.
func (n Names) They() string { return ledger.Origin(n.Realm.String(), n.Partner.String(), "") }

// control returns a node's control keys, those that are no longer used too:
// they sign ledgers.
func control(sets ...*message.Keyset) (keys [][]byte) {
	for _, ks := range sets {
		for _, k := range ks.Keys {
			if k.Use == message.UseControl {
				keys = append(keys, k.Key)
			}
		}
	}
	return keys
}

// LastCosigned returns the size of the ledger of a link that the partner
// countersigned last, 0 when it never did.
func LastCosigned(ctx context.Context, r store.Reads, realm noroshi.Realm, partner noroshi.NodeID) (uint64, error) {
	rows, err := r.EvidenceOf(ctx, partner, uint8(message.CosignKind), 0, 1)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	st, err := message.DecodeStatement(realm, rows[0].Signed)
	if err != nil {
		return 0, err
	}
	body, err := message.DecodeCosign(st.Body)
	return body.Size, err
}

// Cosigned says how a COSIGN stands to the ledger here.
type Cosigned struct {
	Fits bool // it is over what the ledger was at that size
	Head ledger.Checkpoint
	At   time.Time // when it was signed
}

// OpenCosign compares a COSIGN with the ledger of the link and checks its
// signature. A COSIGN that fits and is not signed by the partner is an error.
func OpenCosign(ctx context.Context, r store.Reads, n Names, keys *message.Keyset, body message.CosignBody) (c Cosigned, err error) {
	root, ok, err := r.LinkRoot(ctx, n.Partner, body.Size)
	if err != nil || !ok {
		return c, err
	}
	c.Head = ledger.Checkpoint{Origin: n.Own(), Size: body.Size, Root: ledger.Hash(root)}
	if c.Fits = noroshi.Sum(c.Head.Text()) == body.Checkpoint; !c.Fits {
		return c, nil
	}
	c.At, err = openLine(c.Head, body.Signature, n.They(), control(keys))
	return c, err
}

func openLine(c ledger.Checkpoint, line []byte, name string, keys [][]byte) (at time.Time, err error) {
	if len(keys) == 0 {
		return at, noroshi.Errorf(noroshi.Broken, "audit.cosignature-key", "there is no key for the cosignature of %d leaves of %s", c.Size, c.Origin)
	}
	for _, k := range keys {
		if at, err = c.OpenCosignature(line, name, k); err == nil {
			return at, nil
		}
	}
	return at, noroshi.Errorf(noroshi.Broken, "audit.cosignature", "the cosignature of %d leaves of %s is not good: %w", c.Size, c.Origin, err)
}
