package courier

import (
	"context"
	"fmt"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// docDisavowed is the kind of the documents that say that a revoked key of ours
// was dealt with on a link; key: NodeID + "/" + key id.
const docDisavowed = "key-disavowed"

// disavow puts what a revoked key of ours signed behind the last good message
// into the stream again, under the key in its place, once for each key: the
// partner believes it no more, or never will. What has no receipt yet is closed
// by a tombstone.
func (l *link) disavow(ctx context.Context) error {
	ks := l.c.o.Keys.Keyset()
	for i := range ks.Revoked {
		r := &ks.Revoked[i]
		key := l.node().String() + "/" + kid(r.ID)
		if _, err := l.c.s.Doc(ctx, docDisavowed, key); noroshi.KindOf(err) != noroshi.NotFound {
			if err != nil {
				return err
			}
			continue
		}
		list, err := l.signedBy(ctx, r.ID, goodOf(r))
		if err != nil {
			return err
		}
		var done []reach
		act := noroshi.Act{Action: noroshi.ActWithhold, Subject: "revoked " + kid(r.ID), Partner: l.node(), Count: len(list), Precedence: noroshi.Immediate}
		if _, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error {
			ours, back, err := l.parted(ctx, tx, list)
			if err != nil {
				return err
			}
			sent, err := l.again(ctx, tx, ours)
			if err != nil {
				return err
			}
			if done, err = l.unmake(ctx, tx, kid(r.ID), back); err != nil {
				return err
			}
			done = append(done, sent)
			return tx.PutDoc(docDisavowed, key, []byte{1})
		}); err != nil {
			return err
		}
		l.c.settle(done)
	}
	return nil
}

// reopen begins a new log where a crash came between the revocation of a key of
// ours and Reopen, or what that began. A link that was put back and has yet to begin
// anew does so anyhow, and one that has said nothing has no log that a thief could have
// gone on with.
func (l *link) reopen() {
	disowned := l.c.o.Keys.Keyset().Disowned()
	l.mu.Lock()
	m := l.memo
	l.mu.Unlock()
	if silent := len(m.Mine) == 0 || m.Recover.holdsUp() && !m.Recover.Opened; !silent && disowned > *m.Disowns {
		l.step(message.Reopen{})
	}
}

// signedBy returns what a key signed that is not to be believed.
func (l *link) signedBy(ctx context.Context, id [4]byte, believed good) (list []store.OutMessage, err error) {
	l.mu.Lock()
	epochs := slices.Clone(l.memo.Mine)
	l.mu.Unlock()
	for _, e := range epochs {
		for from := uint64(1); ; {
			out, err := l.c.s.Out(ctx, l.node(), e, from, store.MaxPage)
			if err != nil {
				return nil, err
			}
			for _, o := range out {
				if from = o.Seq + 1; len(o.Signed) == 0 {
					continue // lost, and nobody has it
				}
				m, err := message.DecodeSigned(l.c.o.Realm, o.Signed)
				if err != nil {
					return nil, err
				}
				if m.KeyID == id && !believed(o.Epoch, o.Seq) {
					list = append(list, o)
				}
			}
			if len(out) < store.MaxPage {
				break
			}
		}
	}
	return list, nil
}

// parted tells what this node sent itself from what a partner gave back: that we
// made the latter is the word of the key alone.
func (l *link) parted(ctx context.Context, tx *store.Tx, list []store.OutMessage) (ours, back []store.OutMessage, err error) {
	for _, o := range list {
		switch _, err := tx.Doc(ctx, docTakenBack, takenBackKey(l.node(), o.ID)); noroshi.KindOf(err) {
		case noroshi.NotFound:
			ours = append(ours, o)
		default:
			if err != nil {
				return nil, nil, err
			}
			back = append(back, o)
		}
	}
	return ours, back, nil
}

// unmake takes out of use what messages brought back that a thief may have
// signed, and recalls it from whoever has it from here. Other versions stand, and so
// does what a message brought back too that is believed. The
// partner that gave it back does the same by the KEYSET: a RECALL would take the good
// version before it too.
func (l *link) unmake(ctx context.Context, tx *store.Tx, key string, back []store.OutMessage) ([]reach, error) {
	r := Recall{ID: newRecallID("own key", l.node().String(), key), Made: tx.Time().UTC(), From: l.node(), Owners: []string{selfOwner, fileOwner}}
	said := l.givenBelieved(tx.Reads)
	var list []taken
	for _, m := range back {
		objects, err := message.DecodeObjects(m.Content)
		if message.Kind(m.Kind) != message.Data || err != nil {
			continue
		}
		for _, o := range objects {
			x, err := stix.Parse(o.Bytes)
			if err != nil {
				continue // it was not taken in
			}
			t := taken{entry: message.RecallEntry{Object: x.ID, Modified: modifiedText(x.Modified), Reason: message.RecallMistaken, Scope: message.RecallReMark}}
			if t.versions, err = tx.Versions(ctx, x.ID); err != nil {
				return nil, err
			}
			t.versions = slices.DeleteFunc(t.versions, func(v store.Record) bool { return v.Run != runReturned || v.Hash != x.Hash() })
			if len(t.versions) == 0 {
				continue
			}
			if stands, err := said(ctx, x); err != nil {
				return nil, err
			} else if !stands {
				list = append(list, t)
				r.ends(t)
			}
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	_, done, err := l.c.recall(ctx, tx, r, list)
	return done, err
}

// givenBelieved returns what says of an object whether a partner gave back, in a message
// of ours that is believed, just these bytes.
func (l *link) givenBelieved(r store.Reads) func(context.Context, *stix.Object) (bool, error) {
	all, ks := givenByIt{r: r}, l.c.o.Keys.Keyset()
	return func(ctx context.Context, x *stix.Object) (bool, error) {
		if err := all.readAll(ctx); err != nil {
			return false, err
		}
		for _, o := range all.shown[x.ID] {
			if o.view > 0 || o.object.Hash() != x.Hash() {
				continue
			}
			if m, err := message.DecodeSigned(l.c.o.Realm, o.signed); err != nil || behind(m, ks) == nil {
				return err == nil, err
			}
		}
		return false, nil
	}
}

// again closes what has no receipt and queues all of it anew, inside the act.
func (l *link) again(ctx context.Context, tx *store.Tx, list []store.OutMessage) (reach, error) {
	r := reach{node: l.node(), closed: map[message.Epoch][]uint64{}}
	var tombs []message.TombstoneBody
	for _, o := range list {
		if o.State < store.StoredThere {
			r.closed[o.Epoch] = append(r.closed[o.Epoch], o.Seq)
			tombs = append(tombs, message.TombstoneBody{Epoch: o.Epoch, Seq: o.Seq, ID: o.ID, Reason: tombWithheld})
		}
		if message.Kind(o.Kind) == message.Data && o.State > store.ReadThere { // withheld or expired already
			continue
		}
		p, goes, err := l.anew(ctx, tx, o)
		if err != nil {
			return r, err
		}
		if goes {
			r.pending = append(r.pending, p)
		}
	}
	for part := range slices.Chunk(tombs, 1024) {
		r.pending = append(r.pending, pendingMessage{Key: fmt.Sprintf("%s/tombstone/%s", l.node(), part[0].ID), Kind: message.Tombstone,
			Prec: noroshi.Priority, Content: message.EncodeTombstones(part)})
	}
	for e, seqs := range r.closed {
		slices.Sort(seqs)
		if err := tx.SetOutState(l.node(), e, seqs, store.Withheld, "key"); err != nil {
			return r, err
		}
	}
	for _, p := range r.pending {
		if err := keepPending(tx, p); err != nil {
			return r, err
		}
	}
	return r, nil
}

// anew is what goes in the place of a message that was closed. An epoch and a LINK
// are not repeated: new ones take their place. DATA of no batch came back from the
// partner, and nothing cleared it since.
func (l *link) anew(ctx context.Context, tx *store.Tx, o store.OutMessage) (p pendingMessage, goes bool, err error) {
	switch kind := message.Kind(o.Kind); kind {
	case 0, message.EpochStart, message.Link:
		return p, false, nil
	case message.Data:
		return restOf(l.node(), o), o.Batch != "", nil
	case message.Recall: // its answer names the message that goes now
		key, err := tx.Doc(ctx, docRecalls, o.ID.String())
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			return p, false, err
		}
		p.Recall = string(key)
	}
	p.Key, p.Kind, p.Prec, p.Content = fmt.Sprintf("%s/again/%s", l.node(), o.ID), message.Kind(o.Kind), o.Prec, o.Content
	return p, true, nil
}
