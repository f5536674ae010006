package courier

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// docSecond is the kind of the documents that name messages that came when their
// sequence was closed under another id; key as of docTakenBack.
const docSecond = "courier-second"

// keepSecond keeps a message that came when its sequence was closed under another id,
// as one that its maker had forgotten and thought lost: signed, as evidence, and what
// is in it in quarantine, for it may be nowhere else any more. Nothing of it has an
// effect. Once, however often it comes.
func (l *link) keepSecond(ctx context.Context, tx *store.Tx, m *message.Message) error {
	key := takenBackKey(l.node(), m.ID())
	if had, err := tx.DocVersions(ctx, docSecond, key); err != nil || len(had) > 0 {
		return err
	}
	if err := tx.PutDoc(docSecond, key, []byte{1}); err != nil {
		return err
	}
	if err := tx.PutEvidence(l.node(), uint8(m.Header.Kind), m.Context.Epoch, m.Header.Seq, m.EncodeSigned()); err != nil {
		return err
	}
	for _, q := range l.secondOf(m) {
		if err := tx.Quarantine(q); err != nil {
			return err
		}
	}
	return nil
}

// secondOf is the content of such a message for quarantine: the objects of a DATA
// each, anything else as it is; nothing of a LINK, whose secrets are in the database
// at no time.
func (l *link) secondOf(m *message.Message) (list []store.Quarantined) {
	if m.Header.Kind == message.Link || len(m.Content) == 0 {
		return nil
	}
	q := store.Quarantined{Source: noroshi.Source{Kind: noroshi.FromPartner, Partner: l.node(), Message: m.ID()},
		Run: "link:" + string(l.view.Load().partner.Organisation.CallSign), Code: "message.second"}
	put := func(object int, raw []byte) {
		q.Place, q.Raw, q.Size = place(m, object), raw[:min(len(raw), maxUnread)], int64(len(raw))
		list = append(list, q)
	}
	objects, err := message.DecodeObjects(m.Content)
	if m.Header.Kind != message.Data || err != nil {
		put(0, m.Content)
		return list
	}
	for i, o := range objects {
		put(i+1, o.Bytes)
	}
	return list
}
