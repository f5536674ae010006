package partner

import (
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// longestDelegation bounds for how long a role may be passed on.
const longestDelegation = 92 * 24 * time.Hour

// person returns a person of the register as they are on record, with the roles
// of their own.
func person(ctx context.Context, r store.Reads, id string) (noroshi.Person, error) {
	register, err := r.Persons(ctx)
	if err != nil {
		return noroshi.Person{}, err
	}
	p, ok := register[id]
	if !ok || p.Removed {
		return p, noroshi.Errorf(noroshi.Forbidden, "person.unknown", "person %q is not known here", id)
	}
	return p, nil
}

// delegable refuses what may not be delegated: any role but that of a release
// officer, for no time or too long, to who has it, or to an administrator, who
// could give it to further persons.
func (o *Office) delegable(ctx context.Context, r store.Reads, order noroshi.Order) error {
	p, err := person(ctx, r, order.Person)
	if err != nil {
		return err
	}
	now := o.o.Now()
	switch {
	case order.Role != noroshi.ReleaseOffice:
		return noroshi.Errorf(noroshi.Refused, "person.not-delegable", "role %s cannot be delegated", string(order.Role))
	case !order.Until.After(now) || order.Until.After(now.Add(longestDelegation)):
		return noroshi.Errorf(noroshi.Invalid, "person.delegation-time", "a delegation must end within 92 days from now")
	case p.Has(order.Role):
		return noroshi.Errorf(noroshi.Conflict, "person.has-role", "%s has the role already", p.ID)
	case p.Has(noroshi.Administrator):
		return noroshi.Errorf(noroshi.Refused, "person.administrator", "%s is an administrator, who may not release", p.ID)
	}
	return nil
}

// delegate passes a role on. Only who has the role of their own may sign for
// it: a delegate cannot make further delegates.
func (o *Office) delegate(ctx context.Context, tx *store.Tx, order noroshi.Order, by []string) error {
	for _, id := range by {
		if p, err := person(ctx, tx.Reads, id); err != nil || !p.Has(order.Role) {
			return noroshi.Errorf(noroshi.Forbidden, "person.delegate-may-not", "%s has the role by delegation and cannot pass it on", id)
		}
	}
	p, err := person(ctx, tx.Reads, order.Person)
	if err != nil {
		return err
	}
	p.Delegated = slices.DeleteFunc(p.Delegated, func(d noroshi.Delegation) bool { return d.Role == order.Role })
	p.Delegated = append(p.Delegated, noroshi.Delegation{Role: order.Role, From: tx.Time(), Until: order.Until.UTC(), By: by})
	return tx.PutJSON(noroshi.DocPerson, p.ID, p)
}
