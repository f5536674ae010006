package console

import (
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// warnData is a warning being written.
type warnData struct {
	Draft      watch.Draft
	About      string // ids as the form has them
	Within     string // until when the action is asked, from now
	Template   string
	Filled     []string // hashes of the texts that a template gave: as long as they stand, nobody has written them
	Templates  []string
	Actions    []string
	Severities []noroshi.Severity
	Precedence []noroshi.Precedence
	Levels     []string
	Waits      []string
	Partners   []audience
	Preview    bool
	Suggests   bool       // there is a service that puts either language into the other
	Verbatim   bool       // the words of the draft's language are as the service gave them, though their mark was taken off
	Missing    stix.ID    // what it is about or to replace, and is not here
	Earlier    *watch.Row // what it is to replace
}

// audience is a partner that may be named.
type audience struct {
	CallSign string
	Chosen   bool
}

// warnWaits are the times that a form offers.
var warnWaits = []string{"", "30m", "1h", "2h", "6h", "12h", "24h", "72h"}

// warnLevels are the levels that a form offers, as the command spells them: the
// one a warning begins with is the command's.
func warnLevels() (list []string) {
	for _, t := range noroshi.TLPs() {
		list = append(list, strings.ToLower(t.String()))
	}
	return list
}

// newWarning shows the form, filled from a template or from the warning that is
// to be replaced.
func newWarning(v *visit) error {
	d, err := v.drafted()
	if err != nil {
		return err
	}
	switch id := stix.ID(v.r.FormValue("replaces")); {
	case v.problem != nil:
	case v.r.FormValue("template") != "":
		if err := v.fill(&d); err != nil {
			return v.typed(err, newWarning)
		}
	case id != "":
		if err := v.succeed(&d, id); err != nil {
			return err
		}
	}
	return v.show("warnings-new", d)
}

// signWarning shows a warning as it would be signed, and signs it when that was
// asked for. Its id is made for the preview: sent twice, it is made once.
func signWarning(v *visit) error {
	d, err := v.drafted()
	if err != nil {
		return v.again(err, newWarning)
	}
	if d.Draft.ID == "" {
		d.Draft.ID = stix.NewID("report")
	}
	switch v.r.PostFormValue("do") {
	case "edit":
		return v.show("warnings-new", d)
	case "fill":
		if err := v.fill(&d); err != nil {
			return v.typed(err, newWarning)
		}
		return v.show("warnings-new", d)
	case "suggest-en", "suggest-ja":
		if err := v.suggestWords(&d, locale.Lang(strings.TrimPrefix(v.r.PostFormValue("do"), "suggest-"))); err != nil {
			return v.unsuggested(err, newWarning)
		}
		return v.show("warnings-new", d)
	}
	if err := d.checked(v.r.PostFormValue("do") == "sign"); err != nil {
		return v.again(err, newWarning)
	}
	if v.r.PostFormValue("do") == "sign" {
		by, err := v.sign(noroshi.ActWarn, string(d.Draft.ID), d.Draft.Bound())
		if err == nil {
			_, err = ask[any](v, "warning.new", web.NewWarning{Draft: d.Draft, By: by})
		}
		if err == nil {
			return v.goTo("/warnings/"+string(d.Draft.ID), "warned")
		}
		return v.again(err, func(v *visit) error { return v.preview(d) })
	}
	return v.preview(d)
}

// checked is what is wrong with the draft; that a program's words were checked is
// said where it is signed.
func (d warnData) checked(signing bool) error {
	w := d.Draft
	w.Checked = w.Machine != "" && (w.Checked || !signing)
	err := w.Check()
	if err == nil && d.Missing != "" {
		err = noroshi.Errorf(noroshi.Invalid, "warning.ref", "warning refers to %s, which is not here", d.Missing)
	}
	return err
}

func (v *visit) preview(d warnData) error {
	d.Preview = true
	return v.show("warnings-new", d)
}

// drafted reads the form.
func (v *visit) drafted() (d warnData, err error) {
	f := v.r.FormValue
	d = warnData{About: f("about"), Within: f("within"), Template: f("template"), Filled: v.r.Form["filled"], Templates: watch.Templates(), Actions: watch.Actions(),
		Severities: []noroshi.Severity{noroshi.Critical, noroshi.High, noroshi.Medium, noroshi.Low},
		Precedence: []noroshi.Precedence{noroshi.Flash, noroshi.Immediate, noroshi.Priority, noroshi.Routine}, Levels: warnLevels(), Waits: warnWaits}
	d.Draft = watch.Draft{ID: stix.ID(f("id")), TitleEN: line(f("title_en")), TitleJA: line(f("title_ja")), TextEN: text(f("text_en")), TextJA: text(f("text_ja")),
		Severity: noroshi.Severity(or(f("severity"), string(noroshi.High))), Action: or(f("action"), "check"), Marking: or(f("marking"), "tlp:amber"),
		Replaces: stix.ID(f("replaces")), Audience: v.r.Form["audience"], Machine: locale.Lang(f("machine"))}
	given, err := v.VerbatimIn(v.ctx, d.Draft)
	if err != nil {
		return d, err
	}
	if d.Verbatim = given != "" && d.Draft.Machine == ""; d.Verbatim { // the mark was taken off, and stays
		d.Draft.Machine = given
	}
	d.Draft.Checked = d.Draft.Machine != "" && f("checked") != ""
	service, err := ask[web.TranslationService](v, "translation.service", struct{}{})
	if err != nil {
		return d, err
	}
	d.Suggests = service.Puts(string(locale.EN), string(locale.JA))
	for _, id := range strings.Fields(strings.ReplaceAll(d.About, ",", " ")) {
		d.Draft.Refs = append(d.Draft.Refs, stix.ID(id))
	}
	if err := v.audience(&d); err != nil {
		return d, err
	}
	if d.Missing, err = v.markDraft(d.Draft); err != nil {
		return d, err
	}
	if d.Draft.Precedence, err = noroshi.ParsePrecedence(or(f("precedence"), noroshi.Immediate.String())); err != nil {
		return d, err
	}
	d.Draft.Due, err = dueOf(f("due"), d.Within, v.now)
	if d.Draft.Replaces != "" {
		if w, err := ask[web.WarningDetail](v, "warning.show", web.ObjectRef{ID: d.Draft.Replaces}); err == nil {
			d.Earlier = &w.Row
		} else {
			d.Missing = d.Draft.Replaces
		}
	}
	return d, err
}

// markDraft adds the marking of a draft that says something, and those of what it
// is about, whose names it may say; missing is the first of that which is not here.
func (v *visit) markDraft(d watch.Draft) (missing stix.ID, err error) {
	for _, id := range d.Refs[:min(len(d.Refs), watch.MaxRefs)] {
		_, err := ask[web.ObjectDetail](v, "indicator.show", web.ObjectRef{ID: id})
		if noroshi.KindOf(err) == noroshi.NotFound {
			missing = or(missing, id)
		} else if err != nil {
			return "", err
		}
	}
	return missing, v.markWords(d)
}

// markWords adds the marking of a draft that says something.
func (v *visit) markWords(d watch.Draft) error {
	level, err := noroshi.ParseTLP(d.Marking)
	if err != nil || d.TitleEN+d.TitleJA+d.TextEN+d.TextJA == "" {
		return nil // what is no level the draft's check refuses
	}
	return v.mark(noroshi.Label{TLP: level}.String())
}

// dueOf is until when an action is asked: as the preview fixed it, or so long from
// now.
func dueOf(fixed, within string, now time.Time) (time.Time, error) {
	bad := func(err error) error {
		return noroshi.Errorf(noroshi.Invalid, "warning.field", "warning: %s: %s (%w)", "due", strings.Join(warnWaits[1:], ", "), err)
	}
	if fixed != "" {
		t, err := time.Parse(time.RFC3339, fixed)
		if err != nil {
			return t, bad(err)
		}
		return t, nil
	}
	if within == "" {
		return time.Time{}, nil
	}
	d, err := time.ParseDuration(within)
	if err != nil || d <= 0 {
		return time.Time{}, bad(err)
	}
	return now.UTC().Add(d).Truncate(time.Second), nil
}

// audience lists whom a warning may name.
func (v *visit) audience(d *warnData) error {
	rows, err := ask[[]partner.Row](v, "partner.list", struct{}{})
	for _, p := range rows {
		sign := string(p.Organisation.CallSign)
		d.Partners = append(d.Partners, audience{sign, slices.Contains(d.Draft.Audience, sign)})
	}
	return err
}

// fill takes texts from a template, where there are none or those of a template:
// what a person wrote stays. Words that a program drew stay marked as such until
// the last of them is gone.
func (v *visit) fill(d *warnData) error {
	t, err := ask[watch.Draft](v, "warning.draft", web.WarningDraftRef{Template: d.Template, Action: d.Draft.Action, About: d.Draft.Refs})
	if err != nil {
		return err
	}
	var filled []string
	put := func(to *string, given string) bool {
		if *to != "" && !slices.Contains(d.Filled, textHash(*to)) {
			return false
		}
		*to, filled = given, append(filled, textHash(given))
		return true
	}
	for _, l := range []struct {
		lang                locale.Lang
		title, text         *string
		titleGiven, written string
	}{{locale.EN, &d.Draft.TitleEN, &d.Draft.TextEN, line(t.TitleEN), text(t.TextEN)}, {locale.JA, &d.Draft.TitleJA, &d.Draft.TextJA, line(t.TitleJA), text(t.TextJA)}} {
		title, words := put(l.title, l.titleGiven), put(l.text, l.written)
		if title && words && d.Draft.Machine == l.lang {
			d.Draft.Machine = ""
		}
	}
	d.Filled = filled
	return v.markWords(d.Draft)
}

// textHash names a text that a template gave.
func textHash(s string) string { return noroshi.Sum([]byte(s)).String() }

// succeed begins with what a warning says that is to be replaced.
func (v *visit) succeed(d *warnData, id stix.ID) error {
	w, err := ask[web.WarningDetail](v, "warning.show", web.ObjectRef{ID: id})
	if err != nil {
		return err
	}
	if !w.Mine {
		return noroshi.Errorf(noroshi.NotFound, "warning.none", "no warning %s of this node", id)
	}
	var about []string
	for _, r := range w.Refs {
		if r != w.Replaces {
			about = append(about, string(r))
		}
	}
	d.About = strings.Join(about, "\n")
	var drawnEN, drawnJA bool
	d.Draft.TitleEN, d.Draft.TextEN, drawnEN = wordsOf(w, locale.EN)
	d.Draft.TitleJA, d.Draft.TextJA, drawnJA = wordsOf(w, locale.JA)
	switch { // whoever writes on with a program's words says so too
	case drawnEN:
		d.Draft.Machine = locale.EN
	case drawnJA:
		d.Draft.Machine = locale.JA
	}
	d.Draft.Severity, d.Draft.Precedence, d.Draft.Action = w.Severity, w.Precedence, w.Action
	if l, err := noroshi.KeptLabel(w.Exact); err == nil && l.TLP != noroshi.NoTLP && v.r.FormValue("marking") == "" {
		d.Draft.Marking = strings.ToLower(l.TLP.String())
	}
	for i, p := range d.Partners {
		d.Partners[i].Chosen = slices.Contains(w.Audience, p.CallSign)
	}
	return nil
}

// wordsOf are the words of a warning in a language, for which a person answers, and
// whether a program drew them.
func wordsOf(w web.WarningDetail, l locale.Lang) (title, text string, drawn bool) {
	if or(w.Lang, string(locale.EN)) == string(l) {
		return w.Title, w.Text, w.Drawn
	}
	for _, t := range w.Translations {
		if t.Lang == string(l) && !t.Stale && !t.Unchecked() {
			return t.Title, t.Text, t.Machine
		}
	}
	return "", "", false
}

// line is a field of one line, text one of several: browsers send CR LF.
func line(s string) string { return strings.Join(strings.Fields(s), " ") }

func text(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }

func or[S ~string](s, other S) S {
	if s == "" {
		return other
	}
	return s
}
