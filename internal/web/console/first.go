package console

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// A node without persons has nobody to sign in. Whoever started it was told a
// code, and with that makes the first administrator; with them, the first release
// officer. Nothing else is open, and nothing of it once there is a person.
var firstRoutes = []Route{
	{"GET /first", "", true, first},
	{"POST /first", "", true, firstAdd},
	{"GET /first/officer", noroshi.ActAddPerson, false, firstOfficer},
	{"POST /first/officer", noroshi.ActAddPerson, false, firstOfficerAdd},
}

// unpeopled reports whether the node waits for its first person.
func (v *visit) unpeopled() (bool, error) {
	if v.FirstCode == "" {
		return false, nil
	}
	all, err := v.Store.Persons(v.ctx)
	return len(all) == 0, err
}

func first(v *visit) error {
	if empty, err := v.unpeopled(); err != nil || !empty {
		return nowhereOr(v, err)
	}
	return v.show("first", nil)
}

func nowhereOr(v *visit, err error) error {
	if err != nil {
		return err
	}
	return nowhere(v)
}

// firstAdd makes the first administrator and signs them in.
func firstAdd(v *visit) error {
	if empty, err := v.unpeopled(); err != nil || !empty {
		return nowhereOr(v, err)
	}
	p, err := v.firstPerson()
	if err != nil {
		return v.again(err, first)
	}
	key, err := p.Unseal([]byte(v.r.PostFormValue("new-passphrase")))
	if err != nil {
		return err
	}
	defer clear(key)
	by := noroshi.SignAct(p.ID, key, v.challenged(noroshi.ActSignIn, "", p.ID))
	if err := v.begin(p.ID, wayPassphrase, web.SignIn{By: by}); err != nil {
		return err
	}
	return v.goTo("/first/officer", "first")
}

func (v *visit) firstPerson() (p noroshi.Person, err error) {
	x := trying{address: "first " + v.network()} // 60 bits: nobody guesses them from many addresses either
	if err := v.mayTry(x); err != nil {
		return p, err
	}
	typed, want := web.BareCode(v.r.PostFormValue("code")), web.BareCode(v.FirstCode)
	if subtle.ConstantTimeCompare([]byte(typed), []byte(want)) != 1 {
		v.tries.failed(x, v.now)
		v.Refusals.Note(v.ctx, "first", v.address(), "?", "console.first-code")
		return p, noroshi.Errorf(noroshi.Forbidden, "console.first-code", "that is not the code that noroshi serve showed when it started")
	}
	if p, err = v.newPerson(noroshi.Administrator); err != nil {
		return p, err
	}
	_, err = invoke[any](v.ctx, v, "person.add", web.PersonAdd{Person: p}, nil, nil)
	return p, err
}

// newPerson makes a person of the form's fields, who types their passphrase
// themself.
func (v *visit) newPerson(role noroshi.Role) (noroshi.Person, error) {
	passphrase := v.r.PostFormValue("new-passphrase")
	if err := twice(passphrase, v.r.PostFormValue("new-passphrase-again")); err != nil {
		return noroshi.Person{}, err
	}
	return noroshi.NewPerson(strings.TrimSpace(v.r.PostFormValue("person")), strings.TrimSpace(v.r.PostFormValue("name")), []noroshi.Role{role}, []byte(passphrase))
}

// officerless reports whether nobody may release yet.
func (v *visit) officerless() (bool, error) {
	n, err := web.CountRole(v.ctx, v.Store, noroshi.ReleaseOffice)
	return n == 0, err
}

func firstOfficer(v *visit) error {
	if none, err := v.officerless(); err != nil || !none {
		return onwardsOr(v, err)
	}
	return v.show("first-officer", nil)
}

// onwardsOr sends an administrator on where there is an officer already.
func onwardsOr(v *visit, err error) error {
	if err != nil {
		return err
	}
	return v.goTo("/", "")
}

// firstOfficerAdd makes the first release officer, whom the administrator signs
// for.
func firstOfficerAdd(v *visit) error {
	if none, err := v.officerless(); err != nil || !none {
		return onwardsOr(v, err)
	}
	p, err := v.newPerson(noroshi.ReleaseOffice)
	if err != nil {
		return v.again(err, firstOfficer)
	}
	by, err := v.sign(noroshi.ActAddPerson, p.ID, partner.PersonBound(p))
	if err == nil {
		_, err = ask[any](v, "person.add", web.PersonAdd{Person: p, By: &by})
	}
	if err != nil {
		return v.again(err, firstOfficer)
	}
	http.Redirect(v.w, v.r, "/me/second", http.StatusSeeOther)
	return nil
}
