package console

import (
	"crypto/rand"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// Who joins types their passphrase at a browser of their own: an administrator
// invites them, they come with a code, and the administrator signs for the key
// that came of it.
var inviteRoutes = []Route{
	{"POST /settings/people/invite", noroshi.ActAddPerson, false, invitePerson},
	{"GET /settings/people/{person}/join", noroshi.ActAddPerson, false, joinSign},
	{"GET /join", "", true, joinForm},
	{"POST /join", "", true, join},
}

// invitedData is an invitation as its administrator hands it on, once.
type invitedData struct {
	Person noroshi.Person
	Code   string
	Link   string
}

// invitePerson makes an invitation and shows its code.
func invitePerson(v *visit) error {
	p := noroshi.Person{ID: strings.TrimSpace(v.r.PostFormValue("person")), Name: strings.TrimSpace(v.r.PostFormValue("name")), Roles: rolesOf(v.r.PostForm["role"])}
	if err := v.invitable(p); err != nil {
		return v.again(err, personNew)
	}
	text := rand.Text()
	code := text[:4] + "-" + text[4:8] + "-" + text[8:12] // 60 bits, and who guesses waits
	if err := v.Invite(web.WithSession(v.ctx, v.person, v.session.ID), codeHash(code), p); err != nil {
		return err
	}
	return v.show("settings-invited", invitedData{p, code, strings.TrimSuffix(v.Services.Console, "/") + "/join"})
}

// codeHash is what the node keeps of a code, however it is typed.
func codeHash(code string) noroshi.Hash { return noroshi.Sum([]byte(bare(code))) }

// invitable reports what would keep the administrator from signing for a person once
// they have come: then they would have come for nothing.
func (v *visit) invitable(p noroshi.Person) error {
	if err := noroshi.Invitable(p); err != nil {
		return err
	}
	if len(p.Roles) == 0 {
		return noroshi.Errorf(noroshi.Invalid, "console.settings-no-role", "no role was chosen")
	}
	register, err := v.Store.Persons(v.ctx)
	if _, known := register[p.ID]; err == nil && known {
		err = noroshi.Errorf(noroshi.Conflict, "person.exists", "person %q is there already", p.ID)
	}
	return err
}

// joinSign shows who has come, for the administrator to sign.
func joinSign(v *visit) error {
	list, err := v.Invitations(v.ctx)
	if err != nil {
		return err
	}
	for _, i := range list {
		if i.Person.ID == v.r.PathValue("person") && i.Came() {
			return v.showJoin(i.Person)
		}
	}
	return nowhere(v)
}

func joinForm(v *visit) error { return v.show("join", web.Invitation{}) }

// join makes the key of who was invited, sealed by the passphrase that they type
// at their own browser, and shows them its fingerprint.
func join(v *visit) error {
	first, again := v.r.PostFormValue("new-passphrase"), v.r.PostFormValue("new-passphrase-again")
	if err := twice(first, again); err != nil {
		return v.again(err, joinForm)
	}
	var p noroshi.Person
	x := trying{address: "join " + v.network()} // 60 bits: nobody guesses them from many addresses either
	err := v.try(x, func() (err error) {
		p, err = v.Join(v.ctx, codeHash(v.r.PostFormValue("code")), func(i noroshi.Person) (noroshi.Person, error) {
			return noroshi.NewPerson(i.ID, i.Name, i.Roles, []byte(first))
		})
		return err
	})
	if noroshi.KindOf(err) == noroshi.Forbidden {
		v.Refusals.Note(v.ctx, "join", v.address(), "?", noroshi.CodeOf(err))
	}
	if err != nil {
		return v.again(err, joinForm)
	}
	return v.show("join", web.Invitation{Person: p})
}
