package web

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// PersonRef names a person.
type PersonRef struct {
	Person string `json:"person"`
}

// SealedPerson is a person's record with the sealed key, and what an act's
// digest is bound to: enough for whoever knows the passphrase to sign.
type SealedPerson struct {
	Realm  noroshi.Realm  `json:"realm"`
	Node   noroshi.NodeID `json:"node"`
	Person noroshi.Person `json:"person"`
}

func personSealed(ctx context.Context, c *Call) (any, error) {
	var in PersonRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p, err := c.person(ctx, in.Person)
	return SealedPerson{c.Realm, c.Node, p}, err
}

// PersonAdd carries a new person, made where the passphrase was typed, and the
// administrator's signature. The first person of a node needs none, and must
// be an administrator.
type PersonAdd struct {
	Person noroshi.Person  `json:"person"`
	By     *noroshi.Signed `json:"by,omitempty"`
}

// personAdd decides inside the act, so that of two first persons at once one
// comes first. A key stands for one person: two accounts with one key would be
// two persons in name only.
func personAdd(ctx context.Context, c *Call) (any, error) {
	var in PersonAdd
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if err := in.Person.Valid(); err != nil {
		return nil, err
	}
	body, err := json.Marshal(in.Person)
	if err != nil {
		return nil, err
	}
	act := noroshi.Act{Action: noroshi.ActAddPerson, Subject: in.Person.ID, Precedence: noroshi.Immediate}
	if in.By != nil {
		act.Persons = []noroshi.Signed{*in.By}
	}
	_, err = c.Store.Do(ctx, act, func(tx *store.Tx) error {
		all, err := tx.Docs(ctx, noroshi.DocPerson)
		if err != nil {
			return err
		}
		if err := c.mayAdd(all, in); err != nil {
			return err
		}
		return tx.PutDoc(noroshi.DocPerson, in.Person.ID, body)
	})
	return nil, err
}

// mayAdd reports why a person may not join those who are there.
func (c *Call) mayAdd(all map[string][]byte, in PersonAdd) error {
	if all[in.Person.ID] != nil {
		return noroshi.Errorf(noroshi.Conflict, "person.exists", "person %q is there already", in.Person.ID)
	}
	var by noroshi.Person
	for id, body := range all {
		var p noroshi.Person
		if err := json.Unmarshal(body, &p); err != nil {
			return err
		}
		if bytes.Equal(p.Key, in.Person.Key) {
			return noroshi.Errorf(noroshi.Conflict, "person.exists", "person %q has this key already", id)
		}
		if in.By != nil && id == in.By.Person {
			by = p
		}
	}
	switch {
	case len(all) == 0 && in.By != nil:
		return noroshi.Errorf(noroshi.Forbidden, "person.unknown", "person %q is not known here", in.By.Person)
	case len(all) == 0 && !slices.Contains(in.Person.Roles, noroshi.Administrator):
		return noroshi.Errorf(noroshi.Invalid, "person.first", "the first person must be an administrator")
	case len(all) == 0:
		return nil
	case in.By == nil:
		return noroshi.Errorf(noroshi.Forbidden, "person.needs-administrator", "adding a person needs an administrator's signature: --as")
	}
	return by.Check(*in.By, noroshi.ActAddPerson, noroshi.ActDigest(c.Realm, c.Node, noroshi.ActAddPerson, in.Person.ID, PersonBound(in.Person)))
}

// PersonBound is what an administrator's signature over a new person covers:
// id, name, roles and key.
func PersonBound(p noroshi.Person) noroshi.Hash {
	p.Sealed = nil
	b, _ := json.Marshal(p) // strings and bytes only: cannot fail
	return noroshi.Sum(b)
}

// PersonRow is one person as lists show it.
type PersonRow struct {
	ID    string         `json:"id"`
	Name  string         `json:"name"`
	Roles []noroshi.Role `json:"roles"` // of their own

	Delegated []noroshi.Delegation `json:"delegated,omitempty"` // those that last
}

func personList(ctx context.Context, c *Call) (any, error) {
	register, err := c.Store.Persons(ctx)
	rows := []PersonRow{}
	for _, p := range register {
		if !p.Removed {
			last := slices.DeleteFunc(p.Delegated, func(d noroshi.Delegation) bool { return !register.Lasts(d, c.Now()) })
			rows = append(rows, PersonRow{p.ID, p.Name, p.Roles, last})
		}
	}
	slices.SortFunc(rows, func(a, b PersonRow) int { return strings.Compare(a.ID, b.ID) })
	return rows, err
}

// CountRole counts the persons of a role.
func CountRole(ctx context.Context, s *store.Store, role noroshi.Role) (int, error) {
	register, err := s.Persons(ctx)
	n := 0
	for _, p := range register {
		if p.Has(role) {
			n++
		}
	}
	return n, err
}
