package partner

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Codes of alarms about keys, and of what waits under them.
const (
	alarmFork    = "keyset.fork"     // two KEYSETs of one version: key changes stop
	alarmNewRoot = "keyset.new-root" // a new root that waits to be confirmed by voice
)

// docRootHeard names who heard the new root of a partner; key: NodeID.
const docRootHeard = "keyset-heard"

// rootHeard is the body of docRootHeard. It counts for the root, whichever
// version under it waits when the last person has heard it.
type rootHeard struct {
	Root noroshi.Hash `json:"root"`
	By   []string     `json:"by"`
}

// frozen reports whether the keys of a partner change no more until a new root
// is confirmed by voice.
func frozen(ctx context.Context, r store.Reads, node noroshi.NodeID) (bool, error) {
	doc, err := waitingKeyset(ctx, r, node, alarmFork)
	return len(doc) > 0, err
}

func waitingKeyset(ctx context.Context, r store.Reads, node noroshi.NodeID, code string) ([]byte, error) {
	doc, err := r.Doc(ctx, docPendingKeyset, node.String()+"/"+code)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil
	}
	return doc, err
}

// confirmRoot takes what a person heard of a partner that is introduced: the
// fingerprint of the new root that waits. With the last person needed its KEYSET
// is believed, and what was frozen goes on. ok is false when none waits.
func (o *Office) confirmRoot(ctx context.Context, tx *store.Tx, node noroshi.NodeID, fingerprint, person string, all map[string]noroshi.Person) (waiting int, ok bool, err error) {
	doc, err := waitingKeyset(ctx, tx.Reads, node, alarmNewRoot)
	if err != nil || len(doc) == 0 {
		return 0, false, err
	}
	ks, err := message.ParseKeyset(o.o.Realm, doc)
	if err != nil {
		return 0, true, err
	}
	if noroshi.Digits(fingerprint) != noroshi.Digits(ks.Fingerprint()) {
		return 0, true, noroshi.Errorf(noroshi.Broken, "partner.fingerprint", "that is not the fingerprint of node %s: check the card, do not go on", node)
	}
	h, err := store.DocOrZero[rootHeard](ctx, tx.Reads, docRootHeard, node.String())
	if err != nil {
		return 0, true, err
	}
	if root := noroshi.Sum(ks.Root); h.Root != root {
		h = rootHeard{Root: root}
	}
	if slices.Contains(h.By, person) || sameKey(all, h.By, person) != "" {
		return 0, true, noroshi.Errorf(noroshi.Refused, "partner.second-person", "%s has confirmed already: a second person must hear it too", person)
	}
	h.By = append(h.By, person)
	waiting = max(0, needed(all, noroshi.ActIntroduce)-len(distinct(all, h.By, noroshi.ActIntroduce)))
	if err := tx.PutJSON(docRootHeard, node.String(), h); err != nil || waiting > 0 {
		return waiting, true, err
	}
	return 0, true, o.believe(tx, node, doc)
}

// believe takes the place of a partner's KEYSET and clears what waited.
func (o *Office) believe(tx *store.Tx, node noroshi.NodeID, doc []byte) error {
	for _, code := range []string{alarmFork, alarmNewRoot} {
		if err := tx.PutDoc(docPendingKeyset, node.String()+"/"+code, nil); err != nil {
			return err
		}
	}
	if err := tx.PutDoc(noroshi.DocKeyset, node.String(), doc); err != nil {
		return err
	}
	return tx.Notice(store.PartnerChanged, node.String())
}
