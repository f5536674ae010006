package web

import (
	"context"

	"github.com/noroshi-cti/noroshi"
)

// OrderRef is an order with a person's signature over it.
type OrderRef struct {
	Order noroshi.Order  `json:"order"`
	By    noroshi.Signed `json:"by"`
}

// orderDraw returns an order to be signed: a new one, or the one that says the
// same and waits for a further signature.
func orderDraw(ctx context.Context, c *Call) (any, error) {
	var in noroshi.Order
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return c.Office.Draw(ctx, in)
}

func orderWaiting(ctx context.Context, c *Call) (any, error) { return c.Office.Waiting(ctx) }

// orderGive makes the operation by which orders of one action are signed.
func orderGive(action noroshi.Action) Op {
	return Op{action, true, func(ctx context.Context, c *Call) (any, error) {
		var in OrderRef
		if err := c.Bind(&in); err != nil {
			return nil, err
		}
		if in.Order.Action != action {
			return nil, noroshi.Errorf(noroshi.Invalid, "order.unknown", "%s is no order", string(in.Order.Action))
		}
		return c.Office.Give(ctx, in.Order, in.By)
	}}
}

func standingList(ctx context.Context, c *Call) (any, error) { return c.Office.Rules(ctx) }
