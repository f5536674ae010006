package watch

import (
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// maxFlash is how many warnings of an hour one person may make FLASH: what
// everybody sends at the highest precedence has none. Others may give theirs
// meanwhile, and this person may warn at IMMEDIATE.
const maxFlash = 10

// docFlashUse holds when a person made warnings FLASH in the last hour; key: the
// person's id; body: the times as JSON.
const docFlashUse = "flash-use"

// useFlash counts one FLASH of a person inside the act that warns, or refuses it.
func (w *Watch) useFlash(ctx context.Context, tx *store.Tx, person string) error {
	at, err := store.DocOrZero[[]time.Time](ctx, tx.Reads, docFlashUse, person)
	if err != nil {
		return err
	}
	now := w.o.Now()
	at = slices.DeleteFunc(at, func(t time.Time) bool { return !t.After(now.Add(-time.Hour)) })
	if len(at) >= maxFlash {
		return noroshi.Errorf(noroshi.Refused, "warning.flash-limit", "%s made %d warnings FLASH within an hour; the next may be at %s", person, maxFlash,
			at[0].Add(time.Hour).UTC().Format(time.RFC3339))
	}
	return tx.PutJSON(docFlashUse, person, append(at, now))
}
