package web

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// maxRefused bounds each word of a refusal on record.
const maxRefused = 80

// refused puts on record that an act of a person was refused: what, about what,
// in whose name, and why. The name is what the caller claimed. A refusal that
// cannot be recorded stays a refusal.
func (c *Call) refused(ctx context.Context, name string, op Op, err error) {
	var e *noroshi.Error
	kinds := []noroshi.Kind{noroshi.Forbidden, noroshi.Refused, noroshi.Conflict, noroshi.NotFound}
	if !op.Signed && op.Action != noroshi.ActAddPerson || !errors.As(err, &e) || !slices.Contains(kinds, noroshi.KindOf(err)) {
		return
	}
	var in struct {
		By      noroshi.Signed `json:"by"`
		Subject string         `json:"subject"`
		Hash    string         `json:"hash"`
		Order   noroshi.Order  `json:"order"`
		Person  noroshi.Person `json:"person"`
		Node    string         `json:"node"`
	}
	if json.Unmarshal(c.Input, &in) != nil {
		in.Subject = "?"
	}
	about := ""
	for _, s := range []string{in.Subject, in.Hash, in.Order.Subject(), in.Person.ID, in.Node} {
		if about == "" && strings.Trim(s, "0") != "" {
			about = s
		}
	}
	words := []string{name, about, in.By.Person, e.Code}
	for i, w := range words {
		w = strings.ToValidUTF8(w[:min(len(w), maxRefused)], "")
		if words[i] = strings.Join(strings.Fields(w), "_"); words[i] == "" {
			words[i] = "-"
		}
	}
	act := noroshi.Act{Action: noroshi.ActRefuse, Subject: strings.Join(words, " "), Precedence: noroshi.Immediate}
	if _, err := c.Store.Do(context.WithoutCancel(ctx), act, func(*store.Tx) error { return nil }); err != nil && c.Log != nil {
		c.Log.Warn("a refusal was not recorded", "op", name, "err", err)
	}
}
