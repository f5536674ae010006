package store

import (
	"context"
	"errors"

	"github.com/noroshi-cti/noroshi"
)

// A lease is held by one process of a node at a time: it does what must be done
// once. It is an advisory lock of the database's, which ends with the
// connection that took it, and a term, one more at each taking, that is
// compared in every act: a leader that has not noticed its end yet writes
// nothing any more. A file has one process, which leads.

// leader is what engines give for leases.
type leader interface {
	// lead waits for the lock of a name, or only tries, and runs fn with it; the
	// context of fn ends when the lock is lost. held is false when another
	// process has the lock and it was only tried.
	lead(ctx context.Context, name string, wait bool, fn func(context.Context) error) (held bool, err error)
}

// term is a lease as the context of a leader's work carries it.
type term struct {
	name   string
	number int64
	lost   context.CancelCauseFunc
}

type termKey struct{}

// errLost says that the lease has ended under its holder.
func errLost(name string) error {
	return noroshi.Errorf(noroshi.Busy, "store.lease-lost", "another process of this node leads now (%s)", name)
}

// LeaseLost reports whether work ended because another process leads.
func LeaseLost(err error) bool {
	var e *noroshi.Error
	return errors.As(err, &e) && e.Code == "store.lease-lost"
}

// Shared reports whether other processes may have the realm open for writing.
func (s *Store) Shared() bool {
	_, ok := s.engine.(leader)
	return ok
}

// Lead waits until no other process holds the lease of this name, and runs fn as
// the one that does. The context that fn gets ends when the lease is lost, and
// an act done under it, or under one derived from it, is refused once another
// process holds the lease. The lease ends when fn returns; the error is fn's,
// or one that LeaseLost knows.
func (s *Store) Lead(ctx context.Context, name string, fn func(context.Context) error) error {
	_, err := s.lead(ctx, name, true, fn)
	return err
}

// TryLead is Lead where no other process leads; else it returns false at once.
func (s *Store) TryLead(ctx context.Context, name string, fn func(context.Context) error) (bool, error) {
	return s.lead(ctx, name, false, fn)
}

func (s *Store) lead(ctx context.Context, name string, wait bool, fn func(context.Context) error) (bool, error) {
	l, ok := s.engine.(leader)
	if !ok {
		return true, fn(ctx)
	}
	return l.lead(ctx, name, wait, func(held context.Context) error {
		held, lost := context.WithCancelCause(held)
		defer lost(nil)
		number, err := s.newTerm(held, name)
		if err != nil {
			return err
		}
		err = fn(context.WithValue(held, termKey{}, term{name, number, lost}))
		if cause := context.Cause(held); LeaseLost(cause) {
			return cause
		}
		return err
	})
}

// newTerm begins a term; whoever had the one before writes no more.
func (s *Store) newTerm(ctx context.Context, name string) (number int64, err error) {
	err = s.write(ctx, ordinary, noroshi.Act{}, func(t *Tx) error {
		t.derived = true
		_, err := t.c.one(to(&number), "INSERT INTO lease (name, term) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET term = lease.term + 1 RETURNING term", name)
		return err
	})
	return number, err
}

// leads refuses an act of a leader whose term is over.
func (t *Tx) leads(ctx context.Context) error {
	l, ok := ctx.Value(termKey{}).(term)
	if !ok || t.c.pg == nil {
		return nil
	}
	var now int64
	if _, err := t.c.one(to(&now), "SELECT term FROM lease WHERE name = $1", l.name); err != nil {
		return err
	}
	if now != l.number {
		err := errLost(l.name)
		l.lost(err)
		return err
	}
	return nil
}
