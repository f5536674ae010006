package node

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
)

// Custody is what the office keeps keys with.
func (n *Node) Custody() partner.Custody { return n.custody() }

// SettleKeys is what a start does about a change of keys that a crash came into.
func (n *Node) SettleKeys(ctx context.Context) error { return n.settleKeys(ctx) }

// Peers are the pins of the TLS keys of whoever may connect now.
func (n *Node) Peers() map[noroshi.NodeID][][32]byte { return n.peers() }
