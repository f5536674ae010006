package courier

import (
	"context"
	"fmt"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// SendRecall tells a partner to take back what nobody here ordered, as a hostile
// node would.
func (c *Courier) SendRecall(ctx context.Context, to noroshi.NodeID, entries []message.RecallEntry) error {
	p := pendingMessage{Key: fmt.Sprintf("%s/recall/hostile", to), Kind: message.Recall, Prec: noroshi.Priority, Content: message.EncodeRecall(entries)}
	_, err := c.s.Do(ctx, noroshi.Act{Action: noroshi.ActRecall, Subject: "hostile"}, func(tx *store.Tx) error { return keepPending(tx, p) })
	if err == nil {
		c.settle([]reach{{node: to, pending: []pendingMessage{p}}})
	}
	return err
}
