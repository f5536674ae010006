package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// A draft lives in the form alone: each button sends the whole text, and the page
// shows what became of it. Nothing is kept before it is proposed.

// draftData is the page on which an agreement is drawn up.
type draftData struct {
	PartnerPath string
	CallSign    noroshi.CallSign
	File        string
	Body        agreementBody
	Rehearsed   *rehearsedData
	Edit        *clauseEdit
	Review      bool // it is to be read once more and proposed
	Based       bool // its text is that of an agreement that is there
}

// clauseEdit is the editor of one clause.
type clauseEdit struct {
	ID      string
	Heading string
	Forms   []editForm
}

// editForm is one permission as a form.
type editForm struct {
	release.ClauseForm
	N       int    // its number in the clause, from 1
	Name    string // of its fields
	Written string // what it says as a policy

	MinLevels, MaxLevels, Classes, MinPrecedences, MaxPrecedences, Kinds, Origins []fieldChoice
}

// fieldChoice is one of several values of a field.
type fieldChoice struct {
	Value, Text string
	On          bool
}

// TypeWords are the types as a person types them.
func (f editForm) TypeWords() string { return strings.Join(f.Types, " ") }

// SectorWords are the sectors as a person types them.
func (f editForm) SectorWords() string { return strings.Join(f.Sectors, " ") }

// maxForms bounds the permissions that one clause can have in the editor.
const maxForms = 20

// draftForm begins a draft: from the agreement in force, from another one that is
// named, or from the template.
func draftForm(v *visit) error {
	p, err := v.named()
	if err != nil {
		return err
	}
	in := web.DraftRef{With: noroshi.CallSign(p.Node.String()), Days: 365}
	switch from := v.r.FormValue("from"); from {
	case "template":
	case "":
		if in.From, err = v.lasting(p.Agreement); err != nil {
			return err
		}
	default:
		if in.From.UnmarshalText([]byte(from)) != nil {
			return nowhere(v)
		}
	}
	text, err := ask[string](v, "agreement.draft", in)
	if err != nil {
		return err
	}
	d, err := v.draftData(p, text)
	if err != nil {
		return err
	}
	d.Based = !in.From.IsZero()
	return v.show("partners-draft", d)
}

// lasting returns the hash of an agreement that is worth going on from, else the
// zero hash: one that is over would give a draft that is over.
func (v *visit) lasting(h noroshi.Hash) (noroshi.Hash, error) {
	if h.IsZero() {
		return h, nil
	}
	a, err := ask[web.AgreementText](v, "agreement.show", web.AgreementRef{Hash: h})
	if err != nil || a.State == "over" || a.State == "unreadable" {
		return noroshi.Hash{}, err
	}
	return h, nil
}

func (v *visit) draftData(p partner.Row, file string) (d draftData, err error) {
	d = draftData{PartnerPath: partnerPath(p), CallSign: p.Organisation.CallSign, File: file}
	d.Body, err = v.body([]byte(file))
	return d, err
}

// fileOf is the text of the form, with the line ends of a file: browsers send
// others.
func (v *visit) fileOf() string {
	return strings.ReplaceAll(v.r.PostFormValue("file"), "\r\n", "\n")
}

// draft does what a button of the draft asks: "read", "rehearse", "review", or
// with a clause behind a colon "edit", "add" and "put".
func draft(v *visit) error {
	p, err := v.named()
	if err != nil {
		return err
	}
	file, do := v.fileOf(), v.r.PostFormValue("do")
	verb, clause, _ := strings.Cut(do, ":")
	var forms []release.ClauseForm
	if verb == "put" || verb == "add" {
		if forms, err = v.forms(); err == nil && verb == "put" {
			var text string
			if text, err = ask[string](v, "agreement.clause", web.ClauseRef{File: []byte(file), Clause: clause, Forms: forms}); err == nil {
				file = text
			}
		}
	}
	show := func(v *visit) error { return v.showDraft(p, file, verb, clause, forms) }
	if err != nil {
		return v.again(err, show)
	}
	return show(v)
}

func (v *visit) showDraft(p partner.Row, file, verb, clause string, forms []release.ClauseForm) error {
	d, err := v.draftData(p, file)
	if err != nil {
		return err
	}
	if d.Body.Problem != nil {
		return v.showAs(http.StatusUnprocessableEntity, "partners-draft", d)
	}
	switch {
	case verb == "rehearse" && v.problem == nil:
		if d.Rehearsed, err = v.rehearse([]byte(file)); err != nil {
			return v.again(err, func(v *visit) error { return v.showDraft(p, file, verb, clause, forms) })
		}
	case verb == "review":
		d.Review = true
	case verb == "edit", verb == "add", verb == "put" && v.problem != nil:
		v.edit(&d, clause, verb == "add", forms)
	}
	return v.show("partners-draft", d)
}

// edit opens the editor of a clause: with the forms that were sent, else with
// those its policies say.
func (v *visit) edit(d *draftData, clause string, add bool, forms []release.ClauseForm) {
	i := slices.IndexFunc(d.Body.Articles, func(a article) bool { return a.ID == clause && a.Shaped })
	if i < 0 {
		return
	}
	if forms == nil {
		forms = d.Body.AgreementRead.Forms[clause]
	}
	if add && len(forms) < maxForms {
		forms = append(forms, release.ClauseForm{TwoPersons: true})
	}
	d.Edit = &clauseEdit{ID: clause, Heading: d.Body.Articles[i].Heading}
	for n, f := range forms {
		d.Edit.Forms = append(d.Edit.Forms, v.editForm(n, f))
	}
}

func (v *visit) editForm(n int, f release.ClauseForm) editForm {
	e := editForm{ClauseForm: f, N: n + 1, Name: "f" + strconv.Itoa(n) + ".", Written: f.Cedar()}
	none := v.t("console.form.any")
	e.MinLevels, e.MaxLevels = tlpChoices(none, f.MinTLP), tlpChoices(none, f.MaxTLP)
	e.Classes = []fieldChoice{{"0", none, f.MaxLevel == noroshi.NoLevel}}
	for l := noroshi.Unclassified; l <= noroshi.TopSecret; l++ {
		e.Classes = append(e.Classes, fieldChoice{number(l), l.String(), l == f.MaxLevel})
	}
	e.MinPrecedences, e.MaxPrecedences = v.precedenceChoices(none, f.MinPrecedence), v.precedenceChoices(none, f.MaxPrecedence)
	for _, w := range []release.Warnings{release.AllObjects, release.NoWarnings, release.OnlyWarnings} {
		e.Kinds = append(e.Kinds, fieldChoice{string(w), v.t("console.form.warnings." + or(string(w), "all")), w == f.Warnings})
	}
	for _, s := range []string{"self", "partner", "other"} {
		e.Origins = append(e.Origins, fieldChoice{s, v.t("console.form.source." + s), slices.Contains(f.Sources, s)})
	}
	return e
}

func number[T ~uint8](n T) string { return strconv.Itoa(int(n)) }

func tlpChoices(none string, at noroshi.TLP) []fieldChoice {
	list := []fieldChoice{{"0", none, at == noroshi.NoTLP}}
	for _, l := range noroshi.TLPs() {
		list = append(list, fieldChoice{number(l), l.String(), l == at})
	}
	return list
}

func (v *visit) precedenceChoices(none string, at noroshi.Precedence) []fieldChoice {
	list := []fieldChoice{{"0", none, at == 0}}
	for p := noroshi.Routine; p <= noroshi.Flash; p++ {
		list = append(list, fieldChoice{number(p), v.precedence(p), p == at})
	}
	return list
}

// forms reads the forms of a clause that were sent, without those to be dropped. A
// field that cannot be read is an error: it would limit nothing.
func (v *visit) forms() (list []release.ClauseForm, err error) {
	for n := range maxForms {
		name := "f" + strconv.Itoa(n) + "."
		if !v.r.PostForm.Has(name + "min-tlp") {
			break
		}
		if v.r.PostFormValue(name+"drop") != "" {
			continue
		}
		f, err := v.form(name)
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

func (v *visit) form(name string) (f release.ClauseForm, err error) {
	field := func(of string) uint8 {
		n, e := strconv.ParseUint(v.r.PostFormValue(name+of), 10, 4)
		if e != nil {
			err = noroshi.Errorf(noroshi.Invalid, "agreement.forms", "the forms cannot be read: %w", e)
		}
		return uint8(n)
	}
	f = release.ClauseForm{
		TwoPersons: v.r.PostFormValue(name+"two") != "", EmergencyOnly: v.r.PostFormValue(name+"emergency") != "",
		MinTLP: noroshi.TLP(field("min-tlp")), MaxTLP: noroshi.TLP(field("max-tlp")), MaxLevel: noroshi.Level(field("max-level")),
		MinPrecedence: noroshi.Precedence(field("min-prec")), MaxPrecedence: noroshi.Precedence(field("max-prec")),
		Warnings: release.Warnings(v.r.PostFormValue(name + "warnings")), Sources: v.r.PostForm[name+"sources"],
		Types: fieldWords(v.r.PostFormValue(name + "types")), Sectors: fieldWords(v.r.PostFormValue(name + "sectors")),
	}
	return f, err
}

// propose proposes the text that was read once more.
func propose(v *visit) error {
	p, err := v.named()
	if err != nil {
		return err
	}
	file := v.fileOf()
	form := func(v *visit) error { return v.showDraft(p, file, "review", "", nil) }
	read, err := ask[web.AgreementRead](v, "agreement.read", web.FileRef{File: []byte(file)})
	if err == nil && read.Partner != p.Organisation.CallSign {
		err = noroshi.Errorf(noroshi.Invalid, "agreement.not-party", "this node is no party of the agreement")
	}
	if err != nil {
		return v.again(err, form)
	}
	by, err := v.sign(noroshi.ActProposeAgreement, read.Hash.String(), read.Hash)
	if err != nil {
		return v.again(err, form)
	}
	if _, err := ask[noroshi.Hash](v, "agreement.propose", web.ProposeRef{File: []byte(file), By: by}); err != nil {
		return v.again(err, form)
	}
	return v.goTo(partnerPath(p)+"/agreements/"+read.Hash.String(), "proposed")
}
