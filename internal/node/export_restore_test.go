package node

import (
	"context"
	"errors"
)

// Gone is what is left of a process that was killed before anybody signed.
func (x *Restoring) Gone() error { return errors.Join(x.store.Close(), x.lock.Close()) }

// Interrupted does what Commit does until a number of moves are made, and then
// is gone like a process that was killed; with less than none, before a database
// that is no file was filled. Nobody has signed.
func (x *Restoring) Interrupted(ctx context.Context, made int) error {
	m, err := x.ready(ctx, nil)
	if err != nil {
		return err
	}
	if made >= 0 {
		if err := m.fillDatabase(ctx, x.dir); err != nil {
			return err
		}
	}
	for _, move := range m.Moves[:min(max(made, 0), len(m.Moves))] {
		if err := m.carry(x.dir, move); err != nil {
			return err
		}
	}
	if x.lock == nil {
		return nil
	}
	return x.lock.Close()
}
