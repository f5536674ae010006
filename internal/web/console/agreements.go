package console

import (
	"errors"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// agreementData is the page of one agreement.
type agreementData struct {
	agreementLine
	PartnerPath string
	Body        agreementBody
	File        string
	Rehearsed   *rehearsedData
	Signed      bool // the reader has signed
}

// agreementBody is an agreement as people read it: before it is proposed, and
// before and after it is signed.
type agreementBody struct {
	web.AgreementRead
	Articles []article
	Changed  []changedKey
	Problem  *noroshi.Error // why the file cannot be read; then the rest is empty
}

// article is one clause in both languages, with what it says to the exit gate.
type article struct {
	noroshi.Clause
	Heading string // its article in the reader's language
	Forms   []formLine
	Shaped  bool // forms can say it
}

// formLine is one permission of a clause in words.
type formLine struct {
	Permits string   // released alone, or with two officers
	When    []string // everything that must hold
	Whole   string   // both in one line
}

// changedKey is one thing that differs from the agreement in force.
type changedKey struct {
	noroshi.AgreementChange
	Of string // in words: "clause 2", or ""
}

// rehearsedData is what an agreement would change for what is held here.
type rehearsedData struct {
	release.Rehearsal
	Partners []rehearsedPartner
}

type rehearsedPartner struct {
	CallSign noroshi.CallSign
	Changes  []rehearsedChange
}

type rehearsedChange struct {
	release.RehearsalChange
	Becomes string // in words
	Shown   string // state of the shape
	Samples []rehearsedSample
}

type rehearsedSample struct {
	release.RehearsalSample
	Before  string
	Because string
}

// body reads an agreement file into what people read. A file that cannot be read
// is no error: the page says why.
func (v *visit) body(file []byte) (b agreementBody, err error) {
	b.AgreementRead, err = ask[web.AgreementRead](v, "agreement.read", web.FileRef{File: file})
	var e *noroshi.Error
	if errors.As(err, &e) && (e.Kind == noroshi.Invalid || e.Kind == noroshi.NotFound) {
		b.Problem = e
		return b, nil
	}
	for _, c := range b.Clauses {
		forms, shaped := b.AgreementRead.Forms[c.ID]
		a := article{Clause: c, Heading: v.either(c.ArticleEN, c.ArticleJA), Shaped: shaped}
		for _, f := range forms {
			a.Forms = append(a.Forms, v.formLine(f))
		}
		b.Articles = append(b.Articles, a)
	}
	for _, c := range b.AgreementRead.Changes {
		of := ""
		if c.Of != "" {
			of = v.t("console.agreement.of."+c.Of, c.Name)
		}
		b.Changed = append(b.Changed, changedKey{c, of})
	}
	return b, err
}

// formLine says a permission in words.
func (v *visit) formLine(f release.ClauseForm) formLine {
	line := formLine{Permits: v.t("console.form.alone")}
	if f.TwoPersons {
		line.Permits = v.t("console.form.two-persons")
	}
	add := func(is bool, key string, args ...any) {
		if is {
			line.When = append(line.When, v.t("console.form."+key, args...))
		}
	}
	add(f.EmergencyOnly, "when-emergency")
	switch {
	case f.MinTLP > 0 && f.MinTLP == f.MaxTLP:
		add(true, "when-tlp", f.MinTLP.String())
	case f.MinTLP > 0 && f.MaxTLP > 0:
		add(true, "when-tlp-range", f.MinTLP.String(), f.MaxTLP.String())
	default:
		add(f.MinTLP > 0, "when-min-tlp", f.MinTLP.String())
		add(f.MaxTLP > 0, "when-max-tlp", f.MaxTLP.String())
	}
	add(f.MaxLevel > 0, "when-max-level", f.MaxLevel.String())
	switch top := max(f.MinPrecedence, f.MaxPrecedence); {
	case f.MinPrecedence > 0 && (f.MinPrecedence == f.MaxPrecedence || f.MinPrecedence == noroshi.Flash): // nothing is above
		add(true, "when-precedence", v.precedence(top))
	default:
		add(f.MinPrecedence > 0, "when-min-precedence", v.precedence(f.MinPrecedence))
		add(f.MaxPrecedence > 0, "when-max-precedence", v.precedence(f.MaxPrecedence))
	}
	add(f.Warnings == release.OnlyWarnings, "when-warnings")
	add(f.Warnings == release.NoWarnings, "when-no-warnings")
	add(len(f.Types) > 0, "when-types", locale.List(v.lang, v.typeNames(f.Types)))
	add(len(f.Sources) > 0, "when-sources", locale.List(v.lang, v.sources(f.Sources)))
	add(len(f.Sectors) > 0, "when-sectors", locale.List(v.lang, f.Sectors))
	line.Whole = line.Permits
	if len(line.When) > 0 {
		line.Whole = v.t("console.form.whole", line.Permits, locale.List(v.lang, line.When))
	}
	return line
}

func (v *visit) precedence(p noroshi.Precedence) string {
	return p.Prosign() + " " + v.t("precedence."+p.String())
}

func (v *visit) sources(list []string) (said []string) {
	for _, s := range list {
		said = append(said, v.t("console.form.source."+s))
	}
	return said
}

// agreementHash is the hash in the path.
func (v *visit) agreementHash() (h noroshi.Hash, err error) {
	if h.UnmarshalText([]byte(v.r.PathValue("hash"))) != nil {
		err = noroshi.Errorf(noroshi.NotFound, "agreement.none", "no agreement %s", v.r.PathValue("hash"))
	}
	return h, err
}

// agreementText is the agreement of the path, which must be one with the partner
// of the path.
func (v *visit) agreementText() (a web.AgreementText, p partner.Row, err error) {
	h, err := v.agreementHash()
	if err != nil {
		return a, p, err
	}
	if p, err = v.named(); err != nil {
		return a, p, err
	}
	if a, err = ask[web.AgreementText](v, "agreement.show", web.AgreementRef{Hash: h}); err == nil && a.Partner != p.Node {
		err = noroshi.Errorf(noroshi.NotFound, "agreement.none", "no agreement %s", h)
	}
	return a, p, err
}

func (v *visit) agreementData() (d agreementData, err error) {
	a, p, err := v.agreementText()
	if err != nil {
		return d, err
	}
	d = agreementData{agreementLine: v.agreementLine(a.AgreementRow), PartnerPath: partnerPath(p), File: a.Text, Signed: slices.Contains(a.SignedBy, v.person.ID)}
	if v.part() != "signatures" {
		d.Body, err = v.body([]byte(a.Text))
	}
	return d, err
}

func agreementPage(v *visit) error {
	d, err := v.agreementData()
	if err != nil {
		return err
	}
	return v.show("partners-agreement", d)
}

// agreementFile hands the exact text out that is signed.
func agreementFile(v *visit) error {
	a, p, err := v.agreementText()
	if err != nil {
		return err
	}
	return v.handOut(string(p.Organisation.CallSign)+"-agreement-"+a.Hash.String()[:12]+".toml", "application/toml", []byte(a.Text))
}

// rehearseAgreement shows what an agreement would change for what is held here.
func rehearseAgreement(v *visit) error {
	d, err := v.agreementData()
	if err != nil {
		return err
	}
	if d.Rehearsed, err = v.rehearse([]byte(d.File)); err != nil {
		return v.again(err, agreementPage)
	}
	return v.show("partners-agreement", d)
}

func (v *visit) rehearse(file []byte) (*rehearsedData, error) {
	r, err := ask[release.Rehearsal](v, "agreement.rehearse", web.RehearseRef{File: file})
	if err != nil {
		return nil, err
	}
	out := &rehearsedData{Rehearsal: r}
	for _, p := range r.Partners {
		x := rehearsedPartner{CallSign: p.CallSign}
		for _, c := range p.Changes {
			line, err := v.rehearsedChange(c)
			if err != nil {
				return nil, err
			}
			x.Changes = append(x.Changes, line)
		}
		out.Partners = append(out.Partners, x)
	}
	return out, nil
}

func (v *visit) rehearsedChange(c release.RehearsalChange) (rehearsedChange, error) {
	line := rehearsedChange{RehearsalChange: c, Becomes: v.decided(c.Outcome, c.Key), Shown: map[string]string{"release": "ok", "redact": "ok", "hold": "cau"}[c.Outcome]}
	if line.Shown == "" {
		line.Shown = "off"
	}
	for _, s := range c.Samples {
		var why []string
		for _, r := range s.Reasons {
			why = append(why, ruleText(v.lang, nil, web.Spoken{Reason: r}))
		}
		line.Samples = append(line.Samples, rehearsedSample{s, v.decided(s.Was, s.WasKey), strings.Join(why, " · ")})
	}
	return line, nil
}

// decided is what the exit gate says, in words.
func (v *visit) decided(outcome string, key noroshi.HoldKey) string {
	said := v.t("outcome." + outcome)
	if key != "" {
		said += aside(v.lang, v.t("hold."+string(key)))
	}
	return said
}

// signAgreement adds the reader's signature as a release officer.
func signAgreement(v *visit) error {
	a, p, err := v.agreementText()
	if err != nil {
		return err
	}
	by, err := v.sign(noroshi.ActSignAgreement, a.Hash.String(), a.Hash)
	if err != nil {
		return v.again(err, agreementPage)
	}
	s, err := ask[partner.Signing](v, "agreement.sign", web.SignRef{Hash: a.Hash, By: by})
	if err != nil {
		return v.again(err, agreementPage)
	}
	said := "agreement-partner"
	switch {
	case s.InForce:
		said = "agreement-in-force"
	case s.Waiting > 0:
		said = "second-officer"
	case s.Waits:
		said = "agreement-begins"
	}
	return v.goTo(partnerPath(p)+"/agreements/"+a.Hash.String(), said)
}
