package web

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/stix"
)

// WarningsRef selects warnings.
type WarningsRef struct {
	All bool `json:"all,omitempty"` // also those acknowledged, withdrawn or replaced
}

func warningList(ctx context.Context, c *Call) (any, error) {
	var in WarningsRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	rows, err := c.Watch.List(ctx, !in.All)
	if rows == nil {
		rows = []watch.Row{}
	}
	return rows, err
}

// NewWarning is a draft and its author's signature.
type NewWarning struct {
	Draft watch.Draft    `json:"draft"`
	By    noroshi.Signed `json:"by"`
}

func warningNew(ctx context.Context, c *Call) (any, error) {
	var in NewWarning
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	given, err := c.VerbatimIn(ctx, in.Draft)
	if err == nil && given != "" {
		err = staysMarked()
	}
	if err != nil {
		return nil, err
	}
	err = c.Watch.New(ctx, in.Draft, in.By)
	if noroshi.CodeOf(err) == "warning.exists" && c.madeBy(ctx, in) {
		return nil, nil
	}
	return nil, err
}

// madeBy reports whether the act that made a warning has the same signature, over
// the same words: a form that was sent twice did what it says, and once.
func (c *Call) madeBy(ctx context.Context, in NewWarning) bool {
	r, err := c.Store.Current(ctx, in.Draft.ID)
	if err != nil || r.Source.Kind != noroshi.FromSelf {
		return false
	}
	e, err := c.entry(ctx, r.Act)
	return err == nil && e.Act.Action == noroshi.ActWarn && slices.ContainsFunc(e.Act.Persons, func(s noroshi.Signed) bool { return s.Person == in.By.Person && s.Digest == in.By.Digest })
}

func warningAck(ctx context.Context, c *Call) (any, error) {
	var in SignedRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Watch.Ack(ctx, stix.ID(in.Subject), in.By)
}
