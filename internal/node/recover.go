package node

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
)

// MayArm refuses while nothing may be armed or handed out: a link that was put back
// to an earlier state has not yet got its partner's recalls and the messages of its
// own that it lost, so that what is here may have been recalled since, by either
// side.
func (n *Node) MayArm(ctx context.Context) error {
	if n.opts.ReadOnly { // who may write has done them again by now
		switch lines, _, err := n.Store.ForgottenRecalls(ctx); {
		case err != nil:
			return err
		case len(lines) > 0:
			return noroshi.Errorf(noroshi.Refused, "node.recalls-first", "the recall list in %s has recalls that the database does not know of: start the node once, or ask for its status", n.Dir)
		}
	}
	list, err := courier.RecoveringLinks(ctx, n.Store.Reads)
	if err != nil {
		return err
	}
	for _, x := range list {
		if !x.Bars(n.opts.Now()) {
			continue
		}
		return noroshi.Errorf(noroshi.Refused, "node.not-armed",
			"this node was put back from a backup and waits for what %s has of it, recalls above all: until that is here nothing is armed or handed out (noroshi link go-on)", x.Partner)
	}
	return nil
}

// awaitRecovery waits until MayArm, or ctx ends.
func (n *Node) awaitRecovery(ctx context.Context) error {
	for told := false; ; told = true {
		head, err := n.Store.Head(ctx)
		if err != nil {
			return err
		}
		if err = n.MayArm(ctx); noroshi.KindOf(err) != noroshi.Refused {
			return err
		}
		if !told {
			n.opts.Log.Warn("nothing is armed yet", "err", err)
		}
		if err := n.waitFor(ctx, head); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// onceRecovered runs fn once things may be armed or told to others.
func (n *Node) onceRecovered(fn func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := n.awaitRecovery(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		return fn(ctx)
	}
}
