package audit

import (
	"context"
	"encoding/binary"
	"encoding/json"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Asked says what a proof file is to show: exactly one thing, and of which link
// where that matters.
type Asked struct {
	Message noroshi.Hash // a message, sent or received
	Batch   string       // the decision by which a batch was released
	Recall  string       // the recall of an object, or the RECALL message of this id
	Receipt noroshi.Hash // the partner's receipt of a message

	Partner noroshi.NodeID // whose link it is on; zero = any: of RECALLs of one object the latest
}

// Prove makes a file that shows one thing to anyone, offline: the act's leaf
// in the ledger of the link, its path to a head that the node signed and, where
// it is old enough, the partner countersigned, the row the act wrote, what is
// signed, and the keys of both nodes from the first that is on record.
func Prove(ctx context.Context, r store.Reads, realm noroshi.Realm, node noroshi.NodeID, a Asked) ([]byte, error) {
	l := lines{}
	at, err := locate(ctx, r, realm, a, l)
	if err != nil {
		return nil, err
	}
	if a.Partner != (noroshi.NodeID{}) && a.Partner != at.Partner {
		return nil, noroshi.Errorf(noroshi.NotFound, "audit.not-on-link", "that is not on the link with %s", a.Partner)
	}
	if err := proveHead(ctx, r, realm, node, at, l); err != nil {
		return nil, err
	}
	l.add("realm", []byte(realm.String()))
	if err := addKeysets(ctx, r, node, "keyset", l); err != nil {
		return nil, err
	}
	if err := addKeysets(ctx, r, at.Partner, "partner", l); err != nil {
		return nil, err
	}
	return proofForm.encode(l), nil
}

// locate finds the row that shows what is asked, and what is signed about it.
func locate(ctx context.Context, r store.Reads, realm noroshi.Realm, a Asked, l lines) (store.Place, error) {
	switch {
	case a.Batch != "":
		return r.BatchAt(ctx, a.Batch)
	case a.Recall != "":
		m, err := findRecall(ctx, r, realm, a)
		l.add("message", m.Signed)
		l.add("content", m.Content)
		return m.Place, err
	case !a.Receipt.IsZero():
		m, err := r.FindMessage(ctx, a.Receipt)
		if err != nil {
			return m.Place, err
		}
		l.add("message", m.Signed)
		return findReceipt(ctx, r, realm, m, l)
	}
	m, err := r.FindMessage(ctx, a.Message)
	l.add("message", m.Signed)
	return m.Place, err
}

// findRecall looks for the RECALL of an object, the latest of them.
func findRecall(ctx context.Context, r store.Reads, realm noroshi.Realm, a Asked) (store.MessageAt, error) {
	for _, out := range []bool{true, false} {
		for before := int64(0); ; {
			list, err := r.RecallMessages(ctx, out, before, 256)
			if err != nil {
				return store.MessageAt{}, err
			}
			for _, m := range list {
				before = m.Key
				if (a.Partner == noroshi.NodeID{} || a.Partner == m.Partner) && recalls(realm, m, a.Recall) {
					return m, nil
				}
			}
			if len(list) < 256 {
				break
			}
		}
	}
	return store.MessageAt{}, noroshi.Errorf(noroshi.NotFound, "audit.no-recall", "no RECALL of %s was sent or received", a.Recall)
}

func recalls(realm noroshi.Realm, m store.MessageAt, what string) bool {
	entries, err := message.DecodeRecall(m.Content)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if string(e.Object) == what {
			return true
		}
	}
	signed, err := message.DecodeSigned(realm, m.Signed)
	return err == nil && signed.ID().String() == what
}

// findReceipt looks for the first STATE of the partner that says the most of a
// message: applied, else stored.
func findReceipt(ctx context.Context, r store.Reads, realm noroshi.Realm, m store.MessageAt, l lines) (at store.Place, err error) {
	if !m.Out {
		return at, noroshi.Errorf(noroshi.Invalid, "audit.not-sent", "a message that was received has no receipt here: its receipt is the partner's to prove")
	}
	best := 0
	for before := int64(0); ; {
		rows, err := r.EvidenceOf(ctx, m.Partner, uint8(message.StateKind), before, 256)
		if err != nil {
			return at, err
		}
		for _, row := range rows {
			before = row.N
			st, err := message.DecodeStatement(realm, row.Signed)
			if err != nil {
				return at, err
			}
			if has := holds(st, m.Epoch, m.Seq); has >= best && has > 0 {
				best, at = has, store.Place{Partner: m.Partner, Table: "evidence", Key: row.N}
				l["state"] = [][]byte{row.Signed}
			}
		}
		if len(rows) < 256 {
			break
		}
	}
	if best == 0 {
		return at, noroshi.Errorf(noroshi.NotFound, "audit.no-receipt", "the partner has given no receipt of it yet")
	}
	return at, nil
}

// holds reads out of a STATE how far a message has got: 0 not there, 1 stored,
// 2 applied.
func holds(st *message.Statement, epoch [16]byte, seq uint64) int {
	body, err := message.DecodeState(st.Body)
	if err != nil {
		return 0
	}
	for _, in := range body.In {
		if in.Epoch != message.Epoch(epoch) {
			continue
		}
		stored := seq <= in.Cum
		for _, x := range in.Ranges {
			stored = stored || x.A <= seq && seq <= x.B
		}
		for _, o := range in.Open {
			if o == seq && stored {
				return 1
			}
		}
		if stored {
			return 2
		}
	}
	return 0
}

// proveHead adds leaf, row and paths up to the head countersigned last, or to
// the present one where what is shown came after it.
func proveHead(ctx context.Context, r store.Reads, realm noroshi.Realm, node noroshi.NodeID, at store.Place, l lines) error {
	note, cosign, size, err := countersigned(ctx, r, realm, node, at.Partner)
	if err != nil {
		return err
	}
	var p store.LinkProof
	if size > 0 {
		p, err = r.ProveLink(ctx, at, size)
	}
	if size == 0 || noroshi.KindOf(err) == noroshi.Invalid {
		cosign = nil
		if note, size, err = r.LinkNote(ctx, at.Partner); err != nil {
			return err
		}
		p, err = r.ProveLink(ctx, at, size)
	}
	if err != nil {
		return err
	}
	l.add("leaf", p.Leaf)
	l.hash("path", p.Path)
	l.add("checkpoint", note)
	if cosign != nil {
		l.add("cosign", cosign)
	}
	l.add("row", p.Row)
	l.add("place", binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, p.At), p.Rows))
	l.hash("row-path", p.RowPath)
	return nil
}

// countersigned returns the head of the link's ledger that the partner
// countersigned last, as it was issued, and the COSIGN.
func countersigned(ctx context.Context, r store.Reads, realm noroshi.Realm, node, partner noroshi.NodeID) (note, cosign []byte, size uint64, err error) {
	rows, err := r.EvidenceOf(ctx, partner, uint8(message.CosignKind), 0, 1)
	if err != nil || len(rows) == 0 {
		return nil, nil, 0, err
	}
	st, err := message.DecodeStatement(realm, rows[0].Signed)
	if err != nil {
		return nil, nil, 0, err
	}
	body, err := message.DecodeCosign(st.Body)
	if err != nil {
		return nil, nil, 0, err
	}
	docs, err := r.DocLatest(ctx, store.DocIssued, partner.String(), store.MaxPage)
	for _, d := range docs {
		var x Issued
		if json.Unmarshal(d, &x) != nil || x.Size != body.Size {
			continue
		}
		if head, err := ledger.Peek(x.Note); err == nil && noroshi.Sum(head.Text()) == body.Checkpoint {
			return x.Note, rows[0].Signed, x.Size, nil
		}
	}
	return nil, nil, 0, err
}
