package web

import (
	"context"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
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
	if err := own(ctx, in.Person); err != nil {
		return nil, err
	}
	p, err := c.person(ctx, in.Person)
	return SealedPerson{c.Realm, c.Node, p}, err
}

// PersonAdd carries a new person and the signatures of partner.Office.AddPerson.
type PersonAdd struct {
	Person noroshi.Person  `json:"person"`
	By     *noroshi.Signed `json:"by,omitempty"`   // administrator; none for the first person
	With   *noroshi.Signed `json:"with,omitempty"` // release officer
}

func personAdd(ctx context.Context, c *Call) (any, error) {
	var in PersonAdd
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Office.AddPerson(ctx, in.Person, in.By, in.With)
}

// PersonRemove carries a removal and the signatures of
// partner.Office.RemovePerson.
type PersonRemove struct {
	Removal partner.Removal `json:"removal"`
	By      noroshi.Signed  `json:"by"`
	With    *noroshi.Signed `json:"with,omitempty"`
}

func personRemove(ctx context.Context, c *Call) (any, error) {
	var in PersonRemove
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Office.RemovePerson(ctx, in.Removal, in.By, in.With)
}

// PersonRow is one person as lists show it.
type PersonRow struct {
	ID    string         `json:"id"`
	Name  string         `json:"name"`
	Roles []noroshi.Role `json:"roles"` // of their own

	Delegated []noroshi.Delegation `json:"delegated,omitempty"` // those that last
	Changes   int                  `json:"changes,omitempty"`   // of how they sign in, until now
}

func personList(ctx context.Context, c *Call) (any, error) {
	register, err := c.Store.Persons(ctx)
	rows := []PersonRow{}
	for _, p := range register {
		if !p.Removed {
			last := slices.DeleteFunc(p.Delegated, func(d noroshi.Delegation) bool { return !register.Lasts(d, c.Now()) })
			rows = append(rows, PersonRow{p.ID, p.Name, p.Roles, last, p.Changes})
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
