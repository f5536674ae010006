package web

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Invitations to join are kept as one document, each under the hash of its code:
// who has the database cannot come in place of who was invited. To invite and to
// come are acts; neither makes anybody a person of the node, which takes the
// administrator's signature over their key.
const (
	docInvited = "invited"
	allInvited = "all" // its key
)

// InvitationLasts is how long the code of an invitation is good.
const InvitationLasts = 24 * time.Hour

// maxInvitations is how many may wait at a time; the oldest goes.
const maxInvitations = 32

// Invitation is one person who was invited to join.
type Invitation struct {
	Code   noroshi.Hash   `json:"code"` // hash of it
	Until  time.Time      `json:"until"`
	Person noroshi.Person `json:"person"` // without a key until they have come
}

// InviteRef names who is to join.
type InviteRef struct {
	Person string         `json:"person"`
	Name   string         `json:"name,omitempty"`
	Roles  []noroshi.Role `json:"roles"`
}

// Invited is an invitation as its administrator hands it on, once: the node keeps
// the hash of its code alone.
type Invited struct {
	Code  string    `json:"code"`
	Link  string    `json:"link"` // where the person types it
	Until time.Time `json:"until"`
}

func personInvite(ctx context.Context, c *Call) (any, error) {
	var in InviteRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p := noroshi.Person{ID: in.Person, Name: in.Name, Roles: in.Roles}
	if err := c.invitable(ctx, p); err != nil {
		return nil, err
	}
	text := rand.Text()
	code := text[:4] + "-" + text[4:8] + "-" + text[8:12] // 60 bits, and who guesses waits
	return Invited{code, strings.TrimSuffix(c.Console, "/") + "/join", c.Now().Add(InvitationLasts).UTC()}, c.invite(ctx, CodeHash(code), p)
}

// invitable reports what would keep the administrator from signing for a person once
// they have come: then they would have come for nothing.
func (s *Services) invitable(ctx context.Context, p noroshi.Person) error {
	if err := noroshi.Invitable(p); err != nil {
		return err
	}
	if len(p.Roles) == 0 {
		return noroshi.Errorf(noroshi.Invalid, "console.settings-no-role", "no role was chosen")
	}
	register, err := s.Store.Persons(ctx)
	if _, known := register[p.ID]; err == nil && known {
		err = noroshi.Errorf(noroshi.Conflict, "person.exists", "person %q is there already", p.ID)
	}
	return err
}

// BareCode is a code without what makes it easier to read.
func BareCode(code string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
}

// CodeHash is what the node keeps of a code, however it is typed.
func CodeHash(code string) noroshi.Hash { return noroshi.Sum([]byte(BareCode(code))) }

// InvitationRow is an invitation that waits.
type InvitationRow struct {
	Person noroshi.Person `json:"person"` // without a key until they have come; then what the administrator signs for
	Until  time.Time      `json:"until"`
	Came   bool           `json:"came,omitempty"`
	Key    noroshi.Hash   `json:"key,omitzero"` // fingerprint of the key they made
}

func personInvitations(ctx context.Context, c *Call) (any, error) {
	all, err := c.Invitations(ctx)
	rows := []InvitationRow{}
	for _, i := range all {
		r := InvitationRow{Person: i.Person, Until: i.Until, Came: i.Came()}
		if r.Came {
			r.Key = i.Key()
		}
		rows = append(rows, r)
	}
	return rows, err
}

// Came reports whether the person has made their key.
func (i Invitation) Came() bool { return len(i.Person.Key) > 0 }

// Key is the fingerprint of their key.
func (i Invitation) Key() noroshi.Hash { return noroshi.Sum(i.Person.Key) }

// Invitations lists those that wait, the oldest first: not over, and of nobody who
// has become a person of the node.
func (s *Services) Invitations(ctx context.Context) ([]Invitation, error) {
	return invited(ctx, s.Store.Reads, s.Now())
}

func invited(ctx context.Context, r store.Reads, now time.Time) ([]Invitation, error) {
	all, err := store.DocOrZero[[]Invitation](ctx, r, docInvited, allInvited)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	register, err := r.Persons(ctx)
	return slices.DeleteFunc(all, func(i Invitation) bool {
		_, joined := register[i.Person.ID]
		return joined || !now.Before(i.Until)
	}), err
}

// invite keeps an invitation of which only the hash of the code is told; a further
// one of the same person takes the place of the former.
func (s *Services) invite(ctx context.Context, code noroshi.Hash, p noroshi.Person) error {
	return s.reinvite(ctx, p.ID, func(all []Invitation) ([]Invitation, error) {
		all = slices.DeleteFunc(all, func(o Invitation) bool { return o.Person.ID == p.ID })
		all = append(all, Invitation{code, s.Now().Add(InvitationLasts), p})
		return all[max(0, len(all)-maxInvitations):], nil
	})
}

// Join makes the person of the invitation with a code, which is good once:
// Forbidden where none waits.
func (s *Services) Join(ctx context.Context, code noroshi.Hash, person func(noroshi.Person) (noroshi.Person, error)) (p noroshi.Person, err error) {
	all, err := s.Invitations(ctx)
	if err != nil {
		return p, err
	}
	at, err := waits(all, code)
	if err != nil {
		return p, err
	}
	if p, err = person(all[at].Person); err != nil {
		return p, err
	}
	return p, s.reinvite(ctx, p.ID, func(all []Invitation) ([]Invitation, error) {
		at, err := waits(all, code)
		if err == nil {
			all[at].Person = p
		}
		return all, err
	})
}

// waits is the place of the invitation with a code that nobody has come with.
func waits(all []Invitation, code noroshi.Hash) (int, error) {
	at := slices.IndexFunc(all, func(i Invitation) bool { return i.Code == code && !i.Came() })
	if at < 0 {
		return at, noroshi.Errorf(noroshi.Forbidden, "console.join-code", "that is no code of an invitation that waits")
	}
	return at, nil
}

// reinvite changes the list in an act about a person.
func (s *Services) reinvite(ctx context.Context, person string, change func([]Invitation) ([]Invitation, error)) error {
	_, err := s.Store.Do(ctx, noroshi.Act{Action: noroshi.ActInvite, Subject: person, Precedence: noroshi.Immediate}, func(tx *store.Tx) error {
		all, err := invited(ctx, tx.Reads, s.Now())
		if err == nil {
			all, err = change(all)
		}
		if err != nil {
			return err
		}
		return tx.PutJSON(docInvited, allInvited, all)
	})
	return err
}
