package partner

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// The register of persons is an administrator's to keep, but who may release is
// not theirs alone to say: once the node has a release officer, adding or
// removing one takes an officer's signature beside the administrator's, and the
// last one cannot be removed. Else one administrator could make themself two
// officers.

// AddPerson adds a person, made where the passphrase was typed. The
// administrator signs ActAddPerson over the person's id bound to PersonBound; the
// first person of a node needs nobody, and must be an administrator. The release
// officer, where one is needed, signs ActCountersign over the id bound to the
// digest the administrator signed. A key stands for one person: two accounts
// with one key would be two persons in name only.
func (o *Office) AddPerson(ctx context.Context, p noroshi.Person, by, with *noroshi.Signed) error {
	if err := p.Valid(); err != nil {
		return err
	}
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	act := noroshi.Act{Action: noroshi.ActAddPerson, Persons: given(by, with), Subject: p.ID, Precedence: noroshi.Immediate}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error { // decided inside, so that of two first persons one comes first
		all, err := tx.Persons(ctx)
		if err != nil {
			return err
		}
		if err := o.mayAdd(all, p, by, with); err != nil {
			return err
		}
		return tx.PutDoc(noroshi.DocPerson, p.ID, body)
	})
	return err
}

// PersonBound is what an administrator's signature over a new person covers:
// id, name, roles and key.
func PersonBound(p noroshi.Person) noroshi.Hash {
	p.Sealed = nil
	b, _ := json.Marshal(p) // strings and bytes only: cannot fail
	return noroshi.Sum(b)
}

// mayAdd says why a person may not join those who are there.
func (o *Office) mayAdd(all noroshi.Register, p noroshi.Person, by, with *noroshi.Signed) error {
	for id, other := range all {
		switch {
		case id == p.ID:
			return noroshi.Errorf(noroshi.Conflict, "person.exists", "person %q is there already", id)
		case bytes.Equal(other.Key, p.Key):
			return noroshi.Errorf(noroshi.Conflict, "person.exists", "person %q has this key already", id)
		}
	}
	switch {
	case len(all) == 0 && by != nil:
		return noroshi.Errorf(noroshi.Forbidden, "person.unknown", "person %q is not known here", by.Person)
	case len(all) == 0 && !p.Has(noroshi.Administrator):
		return noroshi.Errorf(noroshi.Invalid, "person.first", "the first person must be an administrator")
	case len(all) == 0:
		return nil
	case by == nil:
		return noroshi.Errorf(noroshi.Forbidden, "person.needs-administrator", "adding a person needs an administrator's signature: --as")
	}
	digest := o.digest(noroshi.ActAddPerson, p.ID, PersonBound(p))
	if err := all[by.Person].Check(*by, noroshi.ActAddPerson, digest); err != nil {
		return err
	}
	return o.countersigned(all, p.ID, *by, with, p.Has(noroshi.ReleaseOffice) && others(all, p.ID, noroshi.ReleaseOffice) > 0)
}

// Removal takes a person, or some of their roles, out of the register.
type Removal struct {
	Person string         `json:"person"`
	Roles  []noroshi.Role `json:"roles,omitempty"` // empty = the person
}

// Bound is what an administrator's signature over a removal covers beside the
// person's id.
func (r Removal) Bound() noroshi.Hash {
	b, _ := json.Marshal(r) // strings only: cannot fail
	return noroshi.Sum(b)
}

// RemovePerson does a removal. Who is removed signs nothing new; their record
// stays, so that what they signed verifies, and nobody else gets their id. What
// they delegated or allowed in advance ends. The administrator signs
// ActRemovePerson over the person's id bound to the removal's Bound, the release
// officer as for AddPerson. The last person of either role stays.
func (o *Office) RemovePerson(ctx context.Context, r Removal, by noroshi.Signed, with *noroshi.Signed) error {
	act := noroshi.Act{Action: noroshi.ActRemovePerson, Persons: given(&by, with), Subject: r.Person, Precedence: noroshi.Immediate}
	_, err := o.store.Do(ctx, act, func(tx *store.Tx) error {
		all, err := tx.Persons(ctx)
		if err != nil {
			return err
		}
		if err := o.mayRemove(all, r, by, with); err != nil {
			return err
		}
		p := all[r.Person]
		p.Removed = len(r.Roles) == 0
		p.Roles = slices.DeleteFunc(p.Roles, func(role noroshi.Role) bool { return slices.Contains(r.Roles, role) })
		return tx.PutJSON(noroshi.DocPerson, p.ID, p)
	})
	return err
}

// mayRemove says why a removal may not be done.
func (o *Office) mayRemove(all noroshi.Register, r Removal, by noroshi.Signed, with *noroshi.Signed) error {
	if err := all[by.Person].Check(by, noroshi.ActRemovePerson, o.digest(noroshi.ActRemovePerson, r.Person, r.Bound())); err != nil {
		return err
	}
	p := all[r.Person]
	if p.ID == "" || p.Removed {
		return noroshi.Errorf(noroshi.NotFound, "person.unknown", "person %q is not known here", r.Person)
	}
	lost := r.Roles
	if len(lost) == 0 {
		lost = p.Roles
	}
	for _, role := range lost {
		switch kept := role == noroshi.Administrator || role == noroshi.ReleaseOffice; {
		case !p.Has(role):
			return noroshi.Errorf(noroshi.Conflict, "person.has-not-role", "%s does not have the role %s", p.ID, string(role))
		case kept && others(all, p.ID, role) == 0:
			return noroshi.Errorf(noroshi.Refused, "person.last", "%s is the last one here with the role %s", p.ID, string(role))
		}
	}
	return o.countersigned(all, p.ID, by, with, slices.Contains(lost, noroshi.ReleaseOffice))
}

// countersigned checks a release officer's signature beside an administrator's:
// of somebody who has the role of their own, and is not the administrator.
func (o *Office) countersigned(all noroshi.Register, subject string, by noroshi.Signed, with *noroshi.Signed, needed bool) error {
	switch {
	case with == nil && needed:
		return noroshi.Errorf(noroshi.Forbidden, "person.needs-officer", "who may release changes: a release officer must sign too: --with")
	case with == nil:
		return nil
	case bytes.Equal(all[with.Person].Key, all[by.Person].Key):
		return noroshi.Errorf(noroshi.Refused, "order.second-person", "%s has signed already: a second person must sign too", by.Person)
	}
	return all[with.Person].Check(*with, noroshi.ActCountersign, o.digest(noroshi.ActCountersign, subject, by.Digest))
}

func (o *Office) digest(a noroshi.Action, subject string, bound noroshi.Hash) noroshi.Hash {
	return noroshi.ActDigest(o.o.Realm, o.o.Keys.NodeID(), a, subject, bound)
}

// others counts who else has a role of their own.
func others(all noroshi.Register, id string, role noroshi.Role) (n int) {
	for other, p := range all {
		if other != id && p.Has(role) {
			n++
		}
	}
	return n
}

func given(list ...*noroshi.Signed) (signed []noroshi.Signed) {
	for _, s := range list {
		if s != nil {
			signed = append(signed, *s)
		}
	}
	return signed
}
