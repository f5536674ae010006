package web

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// OldWords is a translation of another version than the one of its object that
// waits. While there is one, the hold is approved only by who says expressly that
// the object goes without it.
type OldWords struct {
	ID        stix.ID  `json:"id"` // the translation
	Languages []string `json:"languages"`
	Version   string   `json:"version,omitempty"` // that it translates, as it says
	Of        stix.ID  `json:"of"`                // what waits,
	Name      string   `json:"name,omitempty"`
	Now       string   `json:"now"` // and its version
}

// oldWords lists the translations of other versions of a hold's members.
func (c *Call) oldWords(ctx context.Context, h store.HoldGroup) (list []OldWords, err error) {
	old, err := c.Desk.OldWords(ctx, h)
	for _, w := range old {
		says := w.Words.Object
		list = append(list, OldWords{says.ID, languages(says), shownText(says.Text("object_modified")), w.Of.Object.ID, shownText(nameOf(w.Of.Object)), w.Of.Object.Modified.String()})
	}
	return list, err
}

// without refuses an approval that does not name exactly the translations that
// would stay behind.
func (c *Call) without(ctx context.Context, in HoldSigned) error {
	if len(in.Without) == 0 {
		return nil // the desk says whether there are any
	}
	h, err := c.Store.Hold(ctx, in.Subject)
	if err != nil {
		return err
	}
	old, err := c.Desk.OldWords(ctx, h)
	if err != nil {
		return err
	}
	if err := release.Unsaid(h.ID, old, in.Without); err != nil {
		return err
	}
	for _, id := range in.Without {
		if !slices.ContainsFunc(old, func(w release.OldWords) bool { return w.Words.Object.ID == id }) {
			return noroshi.Errorf(noroshi.Conflict, "hold.without", "%s is not any more a translation of another version of what waits in hold %s: look at it again", string(id), h.ID)
		}
	}
	return nil
}
