package partner

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// longestDelegation bounds for how long a role may be passed on.
const longestDelegation = 92 * 24 * time.Hour

// person reads one person's record as it is kept.
func person(ctx context.Context, r store.Reads, id string) (p noroshi.Person, err error) {
	body, err := r.Doc(ctx, noroshi.DocPerson, id)
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if noroshi.KindOf(err) == noroshi.NotFound || err == nil && p.Removed {
		return p, noroshi.Errorf(noroshi.Forbidden, "person.unknown", "person %q is not known here", id)
	}
	return p, err
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
	case slices.Contains(p.Roles, order.Role):
		return noroshi.Errorf(noroshi.Conflict, "person.has-role", "%s has the role already", p.ID)
	case slices.Contains(p.Roles, noroshi.Administrator):
		return noroshi.Errorf(noroshi.Refused, "person.administrator", "%s is an administrator, who may not release", p.ID)
	}
	return nil
}

// delegate passes a role on. Only who has the role of their own may sign for
// it: a delegate cannot make further delegates.
func (o *Office) delegate(ctx context.Context, tx *store.Tx, order noroshi.Order, by []string) error {
	for _, id := range by {
		if p, err := person(ctx, tx.Reads, id); err != nil || !slices.Contains(p.Roles, order.Role) {
			return noroshi.Errorf(noroshi.Forbidden, "person.delegate-may-not", "%s has the role by delegation and cannot pass it on", id)
		}
	}
	p, err := person(ctx, tx.Reads, order.Person)
	if err != nil {
		return err
	}
	now := o.o.Now().UTC()
	p.Delegated = slices.DeleteFunc(p.Delegated, func(d noroshi.Delegation) bool { return d.Role == order.Role })
	p.Delegated = append(p.Delegated, noroshi.Delegation{Role: order.Role, From: now, Until: order.Until.UTC(), By: by})
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return tx.PutDoc(noroshi.DocPerson, p.ID, body)
}
