package console

import (
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
	web.Invited
	Person noroshi.Person
}

// invitePerson makes an invitation and shows its code.
func invitePerson(v *visit) error {
	p := noroshi.Person{ID: strings.TrimSpace(v.r.PostFormValue("person")), Name: strings.TrimSpace(v.r.PostFormValue("name")), Roles: rolesOf(v.r.PostForm["role"])}
	made, err := ask[web.Invited](v, "person.invite", web.InviteRef{Person: p.ID, Name: p.Name, Roles: p.Roles})
	if err != nil {
		return v.again(err, personNew)
	}
	return v.show("settings-invited", invitedData{made, p})
}

// joinSign shows who has come, for the administrator to sign.
func joinSign(v *visit) error {
	list, err := ask[[]web.InvitationRow](v, "person.invitations", struct{}{})
	if err != nil {
		return err
	}
	for _, i := range list {
		if i.Person.ID == v.r.PathValue("person") && i.Came {
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
		p, err = v.Join(v.ctx, web.CodeHash(v.r.PostFormValue("code")), func(i noroshi.Person) (noroshi.Person, error) {
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
