package release

import (
	"context"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// docDeferred is the kind of the documents that say why a hold is left waiting;
// key: the hold's id.
const docDeferred = "hold-deferred"

// maxDefer bounds how far off the time is until which a hold is left waiting.
const maxDefer = 90 * 24 * time.Hour

// Deferred is who left a hold waiting, when, why and until when, in their own
// words: it stays inside and hinders nobody.
type Deferred struct {
	Person string    `json:"person"`
	Time   time.Time `json:"time"`
	Why    string    `json:"why"`
	Until  time.Time `json:"until,omitzero"` // zero = no time is said
}

// DeferBound is what a signature over a hold that is left waiting is bound to,
// beside the hold: its digest, the reason and the time.
func DeferBound(digest noroshi.Hash, why string, until time.Time) noroshi.Hash {
	at := ""
	if !until.IsZero() {
		at = until.UTC().Format(time.RFC3339Nano)
	}
	return noroshi.Sum(append(digest[:], "defer "+at+" "+why...))
}

// Deferred returns what was said when a hold was last left waiting since it was
// opened, nil where nothing was.
func (d *Desk) Deferred(ctx context.Context, g store.HoldGroup) (*Deferred, error) {
	r, err := store.DocOf[Deferred](ctx, d.store.Reads, docDeferred, g.ID)
	if noroshi.KindOf(err) == noroshi.NotFound || err == nil && r.Time.Before(g.Opened) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// Defer leaves a hold waiting, for a reason and perhaps until a time, on record:
// s is a signature over ActDigest(ActDefer, hold, DeferBound(Outline.Digest, why,
// until)). What was said before is replaced. Nothing is decided by it: the hold is
// approved or returned as before, also when the time is over.
func (d *Desk) Defer(ctx context.Context, hold, why string, until time.Time, s noroshi.Signed) error {
	d.turn.Lock()
	defer d.turn.Unlock()
	if strings.TrimSpace(why) == "" {
		return noroshi.Errorf(noroshi.Invalid, "release.defer-why", "who leaves a hold waiting says why")
	}
	if err := aReason(why); err != nil {
		return err
	}
	if now := d.o.Now(); !until.IsZero() && (!until.After(now) || until.Sub(now) > maxDefer) {
		return noroshi.Errorf(noroshi.Invalid, "release.defer-until", "a hold is left waiting until a time within the next %d days", int(maxDefer/(24*time.Hour)))
	}
	p, act, err := d.said(ctx, hold, s, noroshi.ActDefer, func(digest noroshi.Hash) noroshi.Hash { return DeferBound(digest, why, until) })
	if err != nil {
		return err
	}
	_, err = d.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := tx.PutJSON(docDeferred, act.Subject, Deferred{p.ID, tx.Time().UTC(), why, until.UTC()}); err != nil {
			return err
		}
		return tx.Notice(store.HoldChanged, act.Subject)
	})
	return err
}
