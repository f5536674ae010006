package console

import (
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

var translateRoutes = []Route{
	{"GET /translate/{id}", noroshi.ActTranslate, false, translateForm},
	{"POST /translate/{id}", noroshi.ActTranslate, false, translate},
	{"GET /translations/{id}", noroshi.ActRead, false, showTranslation},
	{"POST /translations/{id}/check", noroshi.ActCheckTranslation, false, checkTranslation},
	{"POST /translations/{id}/withdraw", noroshi.ActWithdraw, false, withdrawTranslation},
}

// translateData is a translation being written, beside its original.
type translateData struct {
	web.TranslationDetail
	Back    string // address of the original
	ID      stix.ID
	Made    string // RFC 3339: with the id, what makes the same form the same object
	Drawn   bool   // the words are a program's
	Fields  []translateField
	Service web.TranslationService
	Asks    bool // the service can be asked for this
}

// translateField is one text, and what is written of it.
type translateField struct{ Name, Original, Words string }

// translateForm shows an object's texts and fields for them in another language,
// filled with what the form had or what the translation says so far.
func translateForm(v *visit) error {
	d, err := v.translating()
	if err != nil {
		return err
	}
	return v.show("translations-new", d)
}

func (v *visit) translating() (d translateData, err error) {
	of := stix.ID(v.r.PathValue("id"))
	lang := or(v.r.FormValue("lang"), string(locale.JA))
	if d.TranslationDetail, err = ask[web.TranslationDetail](v, "translation.show", web.TranslationRef{Of: of, Lang: lang}); err != nil {
		return d, err
	}
	if d.From == lang && v.r.FormValue("lang") == "" { // the other one
		if d.TranslationDetail, err = ask[web.TranslationDetail](v, "translation.show", web.TranslationRef{Of: of, Lang: string(locale.EN)}); err != nil {
			return d, err
		}
	}
	if d.Service, err = ask[web.TranslationService](v, "translation.service", struct{}{}); err != nil {
		return d, err
	}
	d.Asks = d.Service.Puts(d.From, d.Lang)
	d.Back, d.ID = v.placeOf(d.Of.ID), or(d.TranslationDetail.ID, stix.ID(or(v.r.PostFormValue("id"), string(stix.NewID("language-content")))))
	d.Made, d.Drawn = v.r.PostFormValue("made"), d.Machine && d.TranslationDetail.ID != ""
	if v.r.Method == "POST" {
		d.Drawn = v.r.PostFormValue("machine") != "" || v.problem != nil && v.problem.Code == "translation.verbatim"
	}
	if v.problem != nil || d.Made == "" {
		d.Made = v.now.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
	}
	for _, t := range d.Texts {
		if t.Original == "" {
			continue
		}
		f := translateField{t.Name, t.Original, t.Words}
		if v.r.Method == "POST" {
			f.Words = text(v.r.PostFormValue("text-" + t.Name))
		}
		d.Fields = append(d.Fields, f)
	}
	return d, nil
}

// translate asks the service for words, or signs what was written.
func translate(v *visit) error {
	d, err := v.translating()
	if err != nil {
		return err
	}
	if v.r.PostFormValue("do") == "suggest" {
		s, err := ask[web.Suggested](v, "translation.suggest", web.SuggestRef{Of: d.Of.ID, To: d.Lang})
		if err != nil {
			return v.unsuggested(err, translateForm)
		}
		for i, f := range d.Fields {
			d.Fields[i].Words = or(s.Texts[f.Name], f.Words)
		}
		d.Drawn = true
		return v.show("translations-new", d)
	}
	w := intake.Wording{Of: d.Of.ID, Version: v.r.PostFormValue("version"), Lang: d.Lang, Texts: map[string]string{}, ID: d.ID,
		Machine: d.Drawn, Checked: d.Drawn && v.r.PostFormValue("checked") != ""}
	for _, f := range d.Fields {
		if f.Words != "" {
			w.Texts[f.Name] = f.Words
		}
	}
	if w.Made, err = time.Parse(time.RFC3339Nano, d.Made); err != nil {
		return v.again(noroshi.Errorf(noroshi.Invalid, "console.form", "the form does not say what was shown: %w", err), translateForm)
	}
	drawn, err := ask[web.TranslationDrawn](v, "translation.draw", w)
	if err != nil {
		return v.again(err, translateForm)
	}
	by, err := v.sign(noroshi.ActTranslate, string(drawn.ID), noroshi.Sum([]byte(drawn.JSON)))
	if err == nil {
		_, err = ask[any](v, "translation.write", web.TranslateRef{Wording: drawn.Wording, By: by})
	}
	if err != nil {
		return v.again(err, translateForm)
	}
	return v.goTo("/translations/"+string(drawn.ID), "translated")
}

// unsuggested shows a form again as it was typed, with why the service gave no
// words: that there is none is no page that is not there.
func (v *visit) unsuggested(err error, form func(*visit) error) error {
	if noroshi.CodeOf(err) == "translate.none" {
		err = noroshi.Errorf(noroshi.Refused, "translate.none", "no translation service is named in noroshi.toml")
	}
	return v.again(err, form)
}

// translationData is a translation beside its original.
type translationData struct {
	web.TranslationDetail
	Back        string
	Original    string // what it is of, as its page names it
	MayCheck    bool
	MayWithdraw bool
	MayRenew    bool
}

func showTranslation(v *visit) error {
	d := translationData{}
	var err error
	if d.TranslationDetail, err = ask[web.TranslationDetail](v, "translation.show", web.TranslationRef{ID: stix.ID(v.r.PathValue("id")), Lang: v.r.FormValue("lang")}); err != nil {
		return err
	}
	d.Back = v.placeOf(d.Of.ID)
	d.Original = or(d.Of.Name, or(d.Of.Pattern, string(d.Of.ID)))
	used := d.Own && !d.Revoked
	d.MayCheck = used && !d.Stale && !d.Checked && d.Translator != v.person.ID && v.person.May(noroshi.ActCheckTranslation)
	d.MayWithdraw = used && v.person.May(noroshi.ActWithdraw)
	d.MayRenew = !d.Of.Withdrawn && !d.Of.Revoked && v.person.May(noroshi.ActTranslate)
	return v.show("translations-show", d)
}

func checkTranslation(v *visit) error {
	return v.actOnTranslation(noroshi.ActCheckTranslation, "translation.check", "translation-checked")
}

func withdrawTranslation(v *visit) error {
	return v.actOnTranslation(noroshi.ActWithdraw, "indicator.withdraw", "translation-withdrawn")
}

// actOnTranslation signs an act about a translation as the form showed it, and
// does it.
func (v *visit) actOnTranslation(a noroshi.Action, op, said string) error {
	id := v.r.PathValue("id")
	if _, err := ask[web.TranslationDetail](v, "translation.show", web.TranslationRef{ID: stix.ID(id)}); err != nil {
		return err // of translations alone: other objects have screens of their own
	}
	by, err := v.signShown(a, id)
	if err == nil {
		_, err = ask[any](v, op, web.SignedRef{Subject: id, By: by})
	}
	if err != nil {
		return v.again(err, showTranslation)
	}
	return v.goTo("/translations/"+id, said)
}

// others are the languages of the screens that a text is not in.
func others(lang string) (list []string) {
	for _, l := range locale.Langs {
		if string(l) != or(lang, "en") {
			list = append(list, string(l))
		}
	}
	return list
}

// suggestWords fills the texts of a warning in one language with a program's words
// for those in the other.
func (v *visit) suggestWords(d *warnData, to locale.Lang) error {
	w := &d.Draft
	from, title, body := locale.EN, w.TitleEN, w.TextEN
	if to == locale.EN {
		from, title, body = locale.JA, w.TitleJA, w.TextJA
	}
	if w.Machine == from { // of two drawn texts a warning says one
		return noroshi.Errorf(noroshi.Refused, "translate.drawn", "the %s text is a machine translation itself: a translation is suggested of a person's words alone", from)
	}
	texts := map[string]string{}
	for name, s := range map[string]string{"title": title, "text": body} {
		if strings.TrimSpace(s) != "" {
			texts[name] = s
		}
	}
	about := slices.Clone(w.Refs)
	if w.Replaces != "" { // whose texts the form began with
		about = append(about, w.Replaces)
	}
	s, err := ask[web.Suggested](v, "translation.suggest", web.SuggestRef{Texts: texts, Marking: w.Marking, About: about, From: string(from), To: string(to)})
	if err != nil {
		return err
	}
	title, body = line(s.Texts["title"]), s.Texts["text"]
	if to == locale.EN {
		w.TitleEN, w.TextEN = or(title, w.TitleEN), or(body, w.TextEN)
	} else {
		w.TitleJA, w.TextJA = or(title, w.TitleJA), or(body, w.TextJA)
	}
	w.Machine, w.Checked = to, false
	return nil
}
