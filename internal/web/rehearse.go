package web

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// RehearseRef asks what an agreement file would change. It need not have been
// proposed.
type RehearseRef struct {
	File []byte    `json:"file"`
	AsOf time.Time `json:"as_of,omitzero"` // the moment to decide for; zero = now, or when it begins
}

// Rehearsing says how far a rehearsal is.
type Rehearsing struct {
	Objects int `json:"objects"`
}

func agreementRehearse(ctx context.Context, c *Call) (any, error) {
	var in RehearseRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	a, err := noroshi.ParseAgreement(in.File)
	if err != nil {
		return nil, err
	}
	return c.Desk.Rehearse(ctx, a, in.AsOf, func(n int) { c.Progress(Rehearsing{n}) })
}
