package main

import (
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type personCmd struct {
	Add      personAddCmd      `cmd:"" help:"help.person-add"`
	List     personListCmd     `cmd:"" help:"help.person-list"`
	Roles    personRolesCmd    `cmd:"" help:"help.person-roles"`
	Delegate personDelegateCmd `cmd:"" help:"help.person-delegate"`
	Link     personLinkCmd     `cmd:"" help:"help.person-link"`
	Remove   personRemoveCmd   `cmd:"" help:"help.person-remove"`
}

type personAddCmd struct {
	ID               string   `arg:"" placeholder:"PERSON" help:"help.person-id"`
	Role             []string `required:"" placeholder:"ROLE" help:"help.person-role"`
	Name             string   `placeholder:"NAME" help:"help.person-name"`
	PassphraseFile   string   `placeholder:"FILE" help:"help.passphrase-file"`
	As               string   `placeholder:"PERSON" help:"help.person-as"`
	AsPassphraseFile string   `placeholder:"FILE" help:"help.person-as-passphrase"`
	withOfficer
}

// withOfficer is the pair of flags of a command that a release officer must sign
// beside an administrator where it changes who may release.
type withOfficer struct {
	With               string `placeholder:"PERSON" help:"help.person-with"`
	WithPassphraseFile string `placeholder:"FILE" help:"help.person-with-passphrase"`
}

// countersign signs for a person what an administrator signed; nil when no
// officer is named.
func (w withOfficer) countersign(c *cli, person string, by noroshi.Signed) (*noroshi.Signed, error) {
	if w.With == "" {
		return nil, nil
	}
	s, err := asPerson{w.With, w.WithPassphraseFile}.sign(c, noroshi.ActCountersign, person, by.Digest)
	return &s, err
}

// Run makes a person with a key of their own, sealed here by the passphrase
// they type.
func (x *personAddCmd) Run(c *cli) error {
	pass, err := c.passphrase(x.PassphraseFile, "cli.new-passphrase", x.ID)
	if err != nil {
		return err
	}
	roles := make([]noroshi.Role, len(x.Role))
	for i, r := range x.Role {
		roles[i] = noroshi.Role(r)
	}
	p, err := noroshi.NewPerson(x.ID, x.Name, roles, pass)
	if err != nil {
		return err
	}
	in := web.PersonAdd{Person: p}
	if x.As != "" {
		by, err := asPerson{x.As, x.AsPassphraseFile}.sign(c, noroshi.ActAddPerson, p.ID, partner.PersonBound(p))
		if err != nil {
			return err
		}
		in.By = &by
		if in.With, err = x.countersign(c, p.ID, by); err != nil {
			return err
		}
	}
	return c.call("person.add", in, nil)
}

type personRemoveCmd struct {
	ID   string   `arg:"" placeholder:"PERSON" help:"help.person-remove-id"`
	Role []string `placeholder:"ROLE" help:"help.person-remove-role"`
	asPerson
	withOfficer
}

func (x *personRemoveCmd) Run(c *cli) error {
	r := partner.Removal{Person: x.ID}
	for _, role := range x.Role {
		r.Roles = append(r.Roles, noroshi.Role(role))
	}
	by, err := x.sign(c, noroshi.ActRemovePerson, x.ID, r.Bound())
	if err != nil {
		return err
	}
	with, err := x.countersign(c, x.ID, by)
	if err != nil {
		return err
	}
	return c.call("person.remove", web.PersonRemove{Removal: r, By: by, With: with}, nil)
}

type personLinkCmd struct {
	ID      string `arg:"" placeholder:"PERSON" help:"help.person-id"`
	Issuer  string `required:"" placeholder:"URL" help:"help.person-link-issuer"`
	Subject string `placeholder:"SUBJECT" help:"help.person-link-subject"`
	asPerson
}

// Run links a person to a subject, or takes the link away.
func (x *personLinkCmd) Run(c *cli) error {
	on := ""
	if x.Subject != "" {
		on = web.SignOnSubject(x.Issuer, x.Subject)
	}
	var rows []web.PersonRow
	if err := c.call("person.list", nil, &rows); err != nil {
		return err
	}
	e := partner.Enrolment{Person: x.ID, Number: 1, SignOn: &on}
	if i := slices.IndexFunc(rows, func(r web.PersonRow) bool { return r.ID == x.ID }); i >= 0 {
		e.Number = rows[i].Changes + 1
	}
	by, err := x.sign(c, noroshi.ActEnrol, e.Person, e.Bound())
	if err != nil {
		return err
	}
	return c.call("person.enrol", web.EnrolRef{Enrolment: e, By: by}, nil)
}

type personListCmd struct{}

func (x *personListCmd) Run(c *cli) error {
	var rows []web.PersonRow
	if err := c.call("person.list", nil, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[web.PersonRow]{"id", func(r web.PersonRow) string { return r.ID }},
		column[web.PersonRow]{"name", func(r web.PersonRow) string { return r.Name }},
		column[web.PersonRow]{"roles", func(r web.PersonRow) string {
			var s []string
			for _, role := range r.Roles {
				s = append(s, c.word("role."+string(role)))
			}
			for _, d := range r.Delegated {
				s = append(s, c.t("cli.delegated", c.t("role."+string(d.Role)), utc(d.Until)))
			}
			return join(s)
		}})
}

type personRolesCmd struct{}

// roleRow is a role and what it may do.
type roleRow struct {
	Role noroshi.Role     `json:"role"`
	May  []noroshi.Action `json:"may"`
}

func (x *personRolesCmd) Run(c *cli) error {
	var rows []roleRow
	for _, r := range noroshi.Roles {
		row := roleRow{Role: r}
		for _, a := range noroshi.PersonActions() {
			if noroshi.May(r, a) {
				row.May = append(row.May, a)
			}
		}
		rows = append(rows, row)
	}
	return list(c, rows,
		column[roleRow]{"role", func(r roleRow) string { return string(r.Role) }},
		column[roleRow]{"name", func(r roleRow) string { return c.word("role." + string(r.Role)) }},
		column[roleRow]{"may", func(r roleRow) string {
			var s []string
			for _, a := range r.May {
				s = append(s, c.word("act."+string(a)))
			}
			return join(s)
		}})
}
