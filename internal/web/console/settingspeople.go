package console

import (
	"crypto/ed25519"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

var peopleRoutes = []Route{
	{"GET /settings/people", noroshi.ActRead, false, people},
	{"GET /settings/people/new", noroshi.ActAddPerson, false, personNew},
	{"POST /settings/people/new", noroshi.ActAddPerson, false, personDraft},
	{"POST /settings/people", noroshi.ActAddPerson, false, personAdd},
	{"GET /settings/people/{person}/remove", noroshi.ActRemovePerson, false, personRemoval},
	{"POST /settings/people/{person}/remove", noroshi.ActRemovePerson, false, personRemove},
	{"GET /settings/delegate", noroshi.ActDelegate, false, delegation},
	{"POST /settings/delegate", noroshi.ActDelegate, false, delegationDraw},
}

// peopleData lists the persons of the node, what their roles may do, and the
// orders to pass a role on that wait.
type peopleData struct {
	People []personLine
	Roles  []roleLine
	Orders []orderLine
	Asked  []web.InvitationRow // to join, for who may add them
}

// personLine is one person.
type personLine struct {
	web.PersonRow
	Passed []passedLine
}

// passedLine is a role passed on to a person for a time.
type passedLine struct {
	Role  string
	Until time.Time
	By    string
}

// roleLine is a role and what it may do.
type roleLine struct {
	Role noroshi.Role
	May  string
}

func people(v *visit) error {
	list, err := ask[[]web.PersonRow](v, "person.list", struct{}{})
	if err != nil {
		return err
	}
	d := peopleData{Roles: v.roleLines()}
	for _, p := range list {
		l := personLine{PersonRow: p}
		for _, x := range p.Delegated {
			l.Passed = append(l.Passed, passedLine{v.t("role." + string(x.Role)), x.Until, locale.List(v.lang, x.By)})
		}
		d.People = append(d.People, l)
	}
	if v.person.May(noroshi.ActAddPerson) {
		if d.Asked, err = ask[[]web.InvitationRow](v, "person.invitations", struct{}{}); err != nil {
			return err
		}
	}
	if d.Orders, err = v.orders(noroshi.ActDelegate); err != nil {
		return err
	}
	return v.show("settings-people", d)
}

// roleLines say what each role may do, in words.
func (v *visit) roleLines() (list []roleLine) {
	for _, r := range noroshi.Roles {
		var may []string
		for _, a := range noroshi.PersonActions() {
			if noroshi.May(r, a) {
				may = append(may, v.t("act."+string(a)))
			}
		}
		list = append(list, roleLine{r, locale.List(v.lang, may)})
	}
	return list
}

// joinData is a person who is to join: first the form, then what is signed.
type joinData struct {
	Roles   []noroshi.Role // there are
	Given   []noroshi.Role // chosen
	Person  *noroshi.Person
	JSON    string // of the person, as the form brings it back
	Key     noroshi.Hash
	Officer bool // a release officer has to sign too
}

// personNew is the form for who is to join.
func personNew(v *visit) error {
	return v.show("settings-person", joinData{Roles: noroshi.Roles, Given: rolesOf(v.r.Form["role"])})
}

func rolesOf(names []string) (roles []noroshi.Role) {
	for _, name := range names {
		roles = append(roles, noroshi.Role(name))
	}
	return roles
}

// Chosen reports whether a role was chosen.
func (d joinData) Chosen(r noroshi.Role) bool { return slices.Contains(d.Given, r) }

// personDraft makes the person's key, sealed by the passphrase that they type
// here, and shows what the administrator signs. Nothing is kept of it yet.
func personDraft(v *visit) error {
	first, again := v.r.PostFormValue("new-passphrase"), v.r.PostFormValue("new-passphrase-again")
	if err := twice(first, again); err != nil {
		return v.again(err, personNew)
	}
	p, err := noroshi.NewPerson(strings.TrimSpace(v.r.PostFormValue("person")), strings.TrimSpace(v.r.PostFormValue("name")), rolesOf(v.r.PostForm["role"]), []byte(first))
	if err != nil {
		return v.again(err, personNew)
	}
	return v.showJoin(p)
}

func (v *visit) showJoin(p noroshi.Person) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	officers, err := web.CountRole(v.ctx, v.Store, noroshi.ReleaseOffice)
	if err != nil {
		return err
	}
	return v.show("settings-person", joinData{Person: &p, JSON: string(b), Key: noroshi.Sum(p.Key), Officer: officers > 0 && slices.Contains(p.Roles, noroshi.ReleaseOffice)})
}

// personAdd has the administrator sign for who joins, and a release officer
// beside them where it changes who may release.
func personAdd(v *visit) error {
	var p noroshi.Person
	if err := json.Unmarshal([]byte(v.r.PostFormValue("record")), &p); err != nil {
		return noroshi.Errorf(noroshi.Invalid, "console.form", "the form cannot be read: %w", err)
	}
	again := func(v *visit) error { return v.showJoin(p) }
	by, err := v.sign(noroshi.ActAddPerson, p.ID, partner.PersonBound(p))
	if err != nil {
		return v.again(err, again)
	}
	with, err := v.countersign(p.ID, by)
	if err != nil {
		return v.again(err, again)
	}
	if _, err := ask[any](v, "person.add", web.PersonAdd{Person: p, By: &by, With: with}); err != nil {
		return v.again(err, again)
	}
	return v.goTo("/settings/people", "person-added")
}

// countersign signs what an administrator signed as the release officer who
// stands beside them and typed their name and passphrase; nil when none did.
func (v *visit) countersign(subject string, by noroshi.Signed) (*noroshi.Signed, error) {
	id := strings.TrimSpace(v.r.PostFormValue("officer"))
	if id == "" {
		return nil, nil
	}
	register, err := v.Store.Persons(v.ctx)
	if err != nil {
		return nil, err
	}
	p := register.At(id, v.now)
	if p.ID == "" || p.Removed || !p.May(noroshi.ActCountersign) {
		p = stranger
	}
	var key ed25519.PrivateKey
	err = v.try(trying{name: "officer " + cut(id, 64) + " by " + v.person.ID}, func() (err error) {
		key, err = v.unseal(p, "officer-passphrase")
		return err
	})
	switch {
	case err != nil && noroshi.KindOf(err) != noroshi.Forbidden:
		return nil, err
	case err != nil:
		v.Refusals.Note(v.ctx, "sign", v.address(), id, "console.settings-officer")
		return nil, noroshi.Errorf(noroshi.Forbidden, "console.settings-officer", "%s is no release officer here, or the passphrase is wrong", id)
	}
	defer clear(key)
	s := noroshi.SignAct(p.ID, key, noroshi.ActDigest(v.Realm, v.Node, noroshi.ActCountersign, subject, by.Digest))
	return &s, nil
}

// removalData is a person who, or some of whose roles, are to go.
type removalData struct {
	web.PersonRow
	Lost    []noroshi.Role
	Officer bool // they are one: a release officer has to sign too
}

// Chosen reports whether a role was chosen.
func (d removalData) Chosen(r noroshi.Role) bool { return slices.Contains(d.Lost, r) }

func personRemoval(v *visit) error {
	list, err := ask[[]web.PersonRow](v, "person.list", struct{}{})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(p web.PersonRow) bool { return p.ID == v.r.PathValue("person") })
	if i < 0 {
		return nowhere(v)
	}
	return v.show("settings-remove", removalData{list[i], rolesOf(v.r.Form["role"]), slices.Contains(list[i].Roles, noroshi.ReleaseOffice)})
}

// personRemove takes a person, or the roles that were chosen, out of the register.
func personRemove(v *visit) error {
	r := partner.Removal{Person: v.r.PathValue("person")}
	if v.r.PostFormValue("what") == "roles" {
		if r.Roles = rolesOf(v.r.PostForm["role"]); len(r.Roles) == 0 {
			return v.again(noroshi.Errorf(noroshi.Invalid, "console.settings-no-role", "no role was chosen"), personRemoval)
		}
	}
	by, err := v.sign(noroshi.ActRemovePerson, r.Person, r.Bound())
	if err != nil {
		return v.again(err, personRemoval)
	}
	with, err := v.countersign(r.Person, by)
	if err != nil {
		return v.again(err, personRemoval)
	}
	if _, err := ask[any](v, "person.remove", web.PersonRemove{Removal: r, By: by, With: with}); err != nil {
		return v.again(err, personRemoval)
	}
	return v.goTo("/settings/people", "person-removed")
}

// delegateData is the form by which a release officer passes their role on.
type delegateData struct{ People []web.PersonRow }

func delegation(v *visit) error {
	list, err := ask[[]web.PersonRow](v, "person.list", struct{}{})
	if err != nil {
		return err
	}
	return v.show("settings-delegate", delegateData{slices.DeleteFunc(list, func(p web.PersonRow) bool {
		return slices.Contains(p.Roles, noroshi.ReleaseOffice) || slices.Contains(p.Roles, noroshi.Administrator)
	})})
}

// delegationDraw shows the order that two officers sign: until the end of a day
// of Japan, so that both ask for the same.
func delegationDraw(v *visit) error {
	until, err := v.lastDay("day")
	if err == nil {
		err = v.draw(noroshi.Order{Action: noroshi.ActDelegate, Person: v.r.PostFormValue("person"), Role: noroshi.ReleaseOffice, Until: until})
	}
	if err != nil {
		return v.again(err, delegation)
	}
	return nil
}
