package web

import (
	"context"

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
