package courier

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// keyRevoked says of a message that its key is revoked, and that it is above the last
// good point.
const keyRevoked = "key-revoked"

// errRekeyed ends an act on what was decided under a KEYSET before the one kept, which
// says something else of the key that signed it.
var errRekeyed = errors.New("the key was revoked since")

// isRekeyed reports whether an act ended because a KEYSET came before it.
func isRekeyed(err error) bool { return errors.Is(err, errRekeyed) || message.IsRevoked(err) }

// stillSigned refuses inside an act what was decided before a KEYSET came that revokes
// the key of the message. What the key signed has been gone over by then, or is being:
// what is done after that would stand for ever. An error of message.IsRevoked says
// that the message is above the last good point, errRekeyed that it is not. What is
// to be held may be, up to that point; what is held for its key, whatever comes.
func (l *link) stillSigned(ctx context.Context, tx *store.Tx, m *message.Message, v verdict) error {
	if v.keys == nil {
		return nil
	}
	doc, err := tx.Doc(ctx, noroshi.DocKeyset, l.node().String())
	if err != nil || bytes.Equal(doc, v.keys.Bytes()) {
		return err
	}
	now, err := message.ParseKeyset(l.c.o.Realm, doc)
	if err != nil {
		return err
	}
	if err := behind(m, now); err != nil {
		return err
	}
	if v.standing == message.Applied && !sameWord(now.RevokedKey(m.KeyID), v.keys.RevokedKey(m.KeyID)) {
		return errRekeyed
	}
	return nil
}

// behind returns an error of message.IsRevoked for a message above the last good point
// of its key.
func behind(m *message.Message, keys *message.Keyset) error {
	if r := keys.RevokedKey(m.KeyID); r == nil || goodOf(r)(m.Context.Epoch, m.Header.Seq) {
		return nil
	}
	return noroshi.Errorf(noroshi.Broken, "message.key-revoked", "message %d is signed with key %s, revoked before it", m.Header.Seq, kid(m.KeyID))
}

// sameWord reports whether two KEYSETs say the same of a key.
func sameWord(a, b *message.Revocation) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.Last, b.Last)
}

// commitNew is commitIn of a message that has just come, and returns what it came to.
// Where its key was revoked after it was unsealed it is as if it had come after that:
// up to the last good point it is held, and above that it is kept in quarantine and
// binds no sequence.
func (l *link) commitNew(ctx context.Context, in message.In, a arrived, v verdict) (message.Kept, []message.In, verdict, error) {
	var kept message.Kept
	var tombs []message.In
	err := behind(a.m, v.keys)
	if err == nil {
		kept, tombs, err = l.commitIn(ctx, in, a, v)
	}
	switch {
	case errors.Is(err, errRekeyed):
		v = verdict{standing: message.Held, why: keyChain}
		kept, tombs, err = l.commitIn(ctx, in, a, v)
	case message.IsRevoked(err):
		l.distrust(ctx, a.m)
	}
	return kept, tombs, v, err
}
