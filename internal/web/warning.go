package web

import (
	"context"

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

func warningShow(ctx context.Context, c *Call) (any, error) {
	var in ObjectRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return c.Watch.Show(ctx, in.ID)
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
	return nil, c.Watch.New(ctx, in.Draft, in.By)
}

func warningAck(ctx context.Context, c *Call) (any, error) {
	var in SignedRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Watch.Ack(ctx, stix.ID(in.Subject), in.By)
}
