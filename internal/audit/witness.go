package audit

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/ledger"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Seen is a head of the partner's ledger of the link that was countersigned
// here, and the CHECKPOINT it came in.
type Seen struct {
	Head    ledger.Checkpoint
	Epoch   message.Epoch // of the partner
	Counter uint64
}

// LastSeen returns the head of the partner's ledger countersigned last; false
// when none was.
func LastSeen(ctx context.Context, r store.Reads, realm noroshi.Realm, partner noroshi.NodeID) (x Seen, ok bool, err error) {
	err = eachSeen(ctx, r, realm, partner, func(s Seen) bool {
		x, ok = s, true
		return false
	})
	return x, ok, err
}

// SeenAt returns the head of a size that was countersigned; false when there is
// none.
func SeenAt(ctx context.Context, r store.Reads, realm noroshi.Realm, partner noroshi.NodeID, size uint64) (x Seen, ok bool, err error) {
	err = eachSeen(ctx, r, realm, partner, func(s Seen) bool {
		if s.Head.Size == size {
			x, ok = s, true
		}
		return !ok
	})
	return x, ok, err
}

// eachSeen goes through the heads countersigned, the latest first.
func eachSeen(ctx context.Context, r store.Reads, realm noroshi.Realm, partner noroshi.NodeID, fn func(Seen) bool) error {
	for before := int64(0); ; {
		rows, err := r.EvidenceOf(ctx, partner, uint8(message.CheckpointKind), before, 64)
		if err != nil {
			return err
		}
		for _, row := range rows {
			before = row.N
			st, err := message.DecodeStatement(realm, row.Signed)
			if err != nil {
				return err
			}
			head, err := headOf(st)
			if err != nil {
				return err
			}
			if !fn(Seen{Head: head, Epoch: st.Context.Epoch, Counter: st.Counter}) {
				return nil
			}
		}
		if len(rows) < 64 {
			return nil
		}
	}
}

// headOf reads the head out of a kept CHECKPOINT; its signature was checked
// when it was kept.
func headOf(st *message.Statement) (ledger.Checkpoint, error) {
	body, err := message.DecodeCheckpoint(st.Body)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	return ledger.Peek(body.Note)
}

// OpenHead reads the head in a CHECKPOINT of the partner: signed by one of its
// control keys, of its ledger of this link.
func OpenHead(n Names, keys *message.Keyset, body message.CheckpointBody) (ledger.Checkpoint, error) {
	c, _, err := ledger.OpenAny(body.Note, control(keys))
	if err == nil && c.Origin != n.Theirs() {
		return c, noroshi.Errorf(noroshi.Refused, "audit.origin", "a checkpoint of %s is not that of this link, %s", c.Origin, n.Theirs())
	}
	if err != nil {
		return c, noroshi.Errorf(noroshi.Broken, "audit.checkpoint", "the checkpoint is not signed by node %s: %w", n.Partner.String(), err)
	}
	return c, nil
}

// Verdict is what a CHECKPOINT comes to.
type Verdict int

// The verdicts.
const (
	Grown     Verdict = iota + 1 // the ledger grew: keep the head, countersign
	Same                         // it is the one countersigned last: countersign again
	Elsewhere                    // the proof begins elsewhere: say what was countersigned last
	Branch                       // another branch, after a restore: keep the head, countersign
	Rewritten                    // the ledger is not the one that was countersigned
)

// Told is a CHECKPOINT as it is judged.
type Told struct {
	Head     ledger.Checkpoint
	From     uint64
	Proof    []noroshi.Hash
	Restored bool               // it speaks in an epoch that says the node was put back, and not in the one of the last head
	Older    *ledger.Checkpoint // the head of size From that was countersigned, nil when there is none
}

// Judge compares a CHECKPOINT with the head countersigned last (nil = none).
// A ledger that got smaller or does not begin with what was countersigned was
// rewritten, unless its node says that it was put back from a backup: then it
// must begin with an older head that was countersigned, or with nothing.
func Judge(last *ledger.Checkpoint, x Told) Verdict {
	proof := make([]ledger.Hash, len(x.Proof))
	for i, h := range x.Proof {
		proof[i] = ledger.Hash(h)
	}
	if last == nil {
		return Grown
	}
	same := x.Head.Size == last.Size && x.Head.Root == last.Root && x.Head.Origin == last.Origin
	switch {
	case same && !x.Restored:
		return Same
	case x.From == last.Size && x.Head.Extends(*last, proof) == nil:
		return Grown
	case x.Restored && x.From == 0:
		return Branch
	case x.Restored && x.Older != nil && x.Head.Extends(*x.Older, proof) == nil:
		return Branch
	case x.Restored, x.Head.Size > last.Size && x.From != last.Size && !contradicts(x, proof):
		return Elsewhere
	}
	return Rewritten
}

// contradicts reports whether a CHECKPOINT that begins before the last head
// does not even continue the older one.
func contradicts(x Told, proof []ledger.Hash) bool {
	return x.Older != nil && x.Head.Extends(*x.Older, proof) != nil
}

// Cosign makes the body of the COSIGN over a head.
func Cosign(n Names, keys *message.Keyring, head ledger.Checkpoint, now time.Time) message.CosignBody {
	public, sign := keys.Control()
	return message.CosignBody{Checkpoint: noroshi.Sum(head.Text()), Size: head.Size, Signature: head.Cosign(n.Me(), public, now, sign)}
}
