package intake

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Bounds of what a person writes into a translation.
const (
	maxWords        = 20_000 // characters of one property
	maxTranslations = 100    // of one object that are looked through for one to renew
	translationDays = 1      // how long what was drawn may be carried out
)

// Translatable lists the properties that can be translated.
func Translatable() []string { return slices.Clone(translatable) }

// translatable are the properties of texts (STIX 2.1 §4): what else an object
// says is no language.
var translatable = []string{"name", "description", "abstract", "content", "explanation"}

// Wording is what a person writes of an object in another language. What the
// node chooses is filled in by DrawTranslation where it is empty.
type Wording struct {
	Of      stix.ID           `json:"of"`
	Version string            `json:"version"` // modified of the version it translates
	Lang    string            `json:"lang"`    // BCP 47
	Texts   map[string]string `json:"texts"`   // by property of the original
	Machine bool              `json:"machine,omitempty"`
	Checked bool              `json:"checked,omitempty"` // of a program's words: who signs has held them against the original
	ID      stix.ID           `json:"id"`                // this node's translation into the language, renewed, or a new one
	Made    time.Time         `json:"made"`
}

// TranslationDrawn is what a wording comes to.
type TranslationDrawn struct {
	Object *stix.Object

	original store.Record
	former   *store.Record // the version it renews, nil for a first one
	beside   []stix.ID     // markings to be assigned
}

// Bound is what a person's signature covers, beside the translation's id: exactly
// its bytes.
func (t *TranslationDrawn) Bound() noroshi.Hash { return noroshi.Sum(t.Object.Bytes()) }

// Original returns the language and the texts of an object that can be
// translated (STIX 2.1 §3.2, lang: what says nothing is in English).
func Original(o *stix.Object) (lang string, texts map[string]string) {
	texts = map[string]string{}
	for _, p := range translatable {
		if t := o.Text(p); strings.TrimSpace(t) != "" {
			texts[p] = t
		}
	}
	if o.Lang == "" {
		return "en", texts
	}
	return o.Lang, texts
}

// DrawTranslation makes the translation of a wording, and fills in what it leaves
// to the node. The same wording gives the same bytes, as long as the original is
// marked the same: it bears all that the original is marked with, as a whole and
// in part.
//
// It is of the version that its writer saw: a Conflict when another one is
// current by now.
func (g *Gate) DrawTranslation(ctx context.Context, d *Wording) (*TranslationDrawn, error) {
	t := &TranslationDrawn{}
	var err error
	if t.original, err = g.store.Current(ctx, d.Of); err != nil {
		return nil, err
	}
	if err := d.check(t.original); err != nil {
		return nil, err
	}
	if t.former, err = g.renews(ctx, d); err != nil {
		return nil, err
	}
	now := g.o.Now()
	if d.ID == "" {
		d.ID = stix.NewID("language-content")
	}
	if d.Made.IsZero() {
		d.Made = now.UTC().Truncate(time.Millisecond)
		if t.former != nil && !d.Made.After(t.former.Object.Modified.Time()) {
			d.Made = t.former.Object.Modified.Time().UTC().Truncate(time.Millisecond).Add(time.Millisecond)
		}
	}
	if age := now.Sub(d.Made); d.ID.Type() != "language-content" || max(age, -age) > translationDays*24*time.Hour {
		return nil, noroshi.Errorf(noroshi.Refused, "translation.order", "the translation of %s was drawn up another day or under another id: begin again", string(d.Of))
	}
	if t.former != nil && !d.Made.After(t.former.Object.Modified.Time()) {
		return nil, changedTranslation(d.ID)
	}
	return t, t.draw(*d, g.o.Self.Identity)
}

// check says what is wrong with a wording of an object.
func (d *Wording) check(of store.Record) error {
	o := of.Object
	if o.Type == "language-content" || o.Type == "marking-definition" || of.Withdrawn || o.Revoked {
		return noroshi.Errorf(noroshi.Invalid, "translation.type", "%s is not translated: it is withdrawn, a marking or a translation itself", string(o.ID))
	}
	if d.Version != o.Modified.String() {
		return noroshi.Errorf(noroshi.Conflict, "translation.original", "%s has another version by now: look at it again", string(o.ID))
	}
	lang, texts := Original(o)
	tag, err := language.Parse(d.Lang)
	if err != nil || tag.String() != d.Lang || d.Lang == lang {
		return noroshi.Errorf(noroshi.Invalid, "translation.language", "%q is no language to translate into, such as ja: the original is in %s", d.Lang, lang)
	}
	if len(d.Texts) == 0 {
		return noroshi.Errorf(noroshi.Invalid, "translation.words", "a translation says something of the original: %s", strings.Join(slices.Sorted(maps.Keys(texts)), ", "))
	}
	for p, words := range d.Texts {
		switch n := utf8.RuneCountInString(words); {
		case texts[p] == "":
			return noroshi.Errorf(noroshi.Invalid, "translation.property", "%q is no text of %s", p, string(o.ID))
		case strings.TrimSpace(words) == "" || n > maxWords:
			return noroshi.Errorf(noroshi.Invalid, "translation.long", "%s must have 1 to %d characters, has %d", p, maxWords, n)
		}
	}
	if d.Checked && !d.Machine {
		return noroshi.Errorf(noroshi.Invalid, "translation.self", "a person's own words are checked by another person")
	}
	return nil
}

// renews finds the version that a wording is to follow: of this node's own
// translation of the same object into the same language alone.
func (g *Gate) renews(ctx context.Context, d *Wording) (*store.Record, error) {
	if d.ID != "" {
		r, err := g.store.Current(ctx, d.ID)
		if noroshi.KindOf(err) == noroshi.NotFound {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if !ownTranslation(r, d.Of, d.Lang) {
			return nil, theirsTranslation(d.ID)
		}
		return &r, nil
	}
	r, err := g.OwnTranslation(ctx, d.Of, d.Lang)
	if r != nil {
		d.ID = r.Object.ID
	}
	return r, err
}

// OwnTranslation returns this node's own translation of an object into a
// language, and into no other, that is in use; nil where there is none.
func (g *Gate) OwnTranslation(ctx context.Context, of stix.ID, lang string) (*store.Record, error) {
	list, err := g.store.Referring(ctx, of, "language-content", maxTranslations)
	for _, r := range list {
		if ownTranslation(r, of, lang) {
			return &r, nil
		}
	}
	return nil, err
}

// ownTranslation reports whether a version is in use, made by this node, and says
// an object in one language and no other.
func ownTranslation(r store.Record, of stix.ID, lang string) bool {
	says, ok := noroshi.TranslationOf(r.Object)
	if !ok || says.Of != of || r.Source.Kind != noroshi.FromSelf || r.Withdrawn || r.Object.Revoked {
		return false
	}
	n := 0
	for l := range r.Object.Property("contents").Members() {
		if n++; l != lang {
			return false
		}
	}
	return n == 1
}

// draw makes the object.
func (t *TranslationDrawn) draw(d Wording, self stix.ID) (err error) {
	marks := append(slices.Clone(t.original.Object.Markings), noroshi.GranularMarkings(t.original.Object)...)
	for _, id := range t.original.Assigned {
		if noroshi.TLPOf(id) != noroshi.NoTLP {
			marks = append(marks, id)
		} else {
			t.beside = append(t.beside, id)
		}
	}
	slices.Sort(marks)
	at := stix.TimeOf(d.Made)
	created := at
	if t.former != nil {
		created = t.former.Object.Created
	}
	var words []stix.Member
	for _, p := range translatable {
		if w := d.Texts[p]; w != "" {
			words = append(words, stix.Member{Name: p, Value: w})
		}
	}
	t.Object, err = stix.Make(
		stix.Member{Name: "type", Value: "language-content"},
		stix.Member{Name: "spec_version", Value: "2.1"},
		stix.Member{Name: "id", Value: d.ID},
		stix.Member{Name: "created_by_ref", Value: self},
		stix.Member{Name: "created", Value: created},
		stix.Member{Name: "modified", Value: at},
		stix.Member{Name: "labels", Value: noroshi.TranslationLabels(d.Machine, d.Checked)},
		stix.Member{Name: "object_ref", Value: d.Of},
		stix.Member{Name: "object_modified", Value: t.original.Object.Modified},
		stix.Member{Name: "contents", Value: []stix.Member{{Name: d.Lang, Value: words}}},
		stix.Member{Name: "object_marking_refs", Value: slices.Compact(marks)},
	)
	return err
}

// Translate takes a translation in, in one act, on the order of a person whose
// signature over its Bound the caller has checked. A Conflict when it was done
// already, or anything has changed meanwhile.
func (g *Gate) Translate(ctx context.Context, t *TranslationDrawn, by noroshi.Signed) error {
	return g.putTranslation(ctx, noroshi.ActTranslate, t, by)
}

// DrawCheck makes the version of a translation that says it was checked: the same
// words. Refused for who wrote them themself, for what translates another version
// than the current one, and for what this node did not make.
func (g *Gate) DrawCheck(ctx context.Context, id stix.ID, person string) (*TranslationDrawn, noroshi.Hash, error) {
	var shown noroshi.Hash
	r, err := g.store.Current(ctx, id)
	if err != nil {
		return nil, shown, err
	}
	says, ok := noroshi.TranslationOf(r.Object)
	if !ok {
		return nil, shown, noroshi.Errorf(noroshi.NotFound, "translation.none", "no translation %s", string(id))
	}
	t := &TranslationDrawn{former: &r, beside: slices.DeleteFunc(slices.Clone(r.Assigned), func(m stix.ID) bool { return noroshi.TLPOf(m) != noroshi.NoTLP })}
	if t.original, err = g.store.Current(ctx, says.Of); err != nil {
		return nil, shown, err
	}
	switch {
	case r.Source.Kind != noroshi.FromSelf || r.Withdrawn || r.Object.Revoked:
		return nil, shown, theirsTranslation(id)
	case says.Stale(t.original.Object):
		return nil, shown, noroshi.Errorf(noroshi.Refused, "translation.stale", "%s translates another version than the current one: renew or withdraw it", string(id))
	case says.Checked:
		return nil, shown, noroshi.Errorf(noroshi.Conflict, "translation.checked", "%s was checked already", string(id))
	case !says.Machine && r.Source.Person == person:
		return nil, shown, noroshi.Errorf(noroshi.Refused, "translation.self", "a person's own words are checked by another person")
	}
	t.Object, err = g.checked(r, says.Machine)
	return t, r.Hash, err
}

// checked makes the next version of a translation, with the label.
func (g *Gate) checked(r store.Record, machine bool) (*stix.Object, error) {
	at := g.o.Now().UTC().Truncate(time.Millisecond)
	if last := r.Object.Modified.Time(); !at.After(last) {
		at = last.UTC().Truncate(time.Millisecond).Add(time.Millisecond)
	}
	var members []stix.Member
	labelled := false
	for name, v := range r.Object.Root().Members() {
		m := stix.Member{Name: name, Value: v}
		switch name {
		case "modified":
			m.Value = stix.TimeOf(at)
		case "labels":
			m.Value, labelled = noroshi.TranslationLabels(machine, true), true
		}
		members = append(members, m)
	}
	if !labelled {
		members = append(members, stix.Member{Name: "labels", Value: noroshi.TranslationLabels(machine, true)})
	}
	return stix.Make(members...)
}

// CheckTranslation takes in what DrawCheck made, on the order of a person whose
// signature over the version that was shown the caller has checked.
func (g *Gate) CheckTranslation(ctx context.Context, t *TranslationDrawn, by noroshi.Signed) error {
	return g.putTranslation(ctx, noroshi.ActCheckTranslation, t, by)
}

func (g *Gate) putTranslation(ctx context.Context, action noroshi.Action, t *TranslationDrawn, by noroshi.Signed) error {
	p, err := g.PrepareObjects(noroshi.Source{Kind: noroshi.FromSelf, Person: by.Person}, "", []*stix.Object{t.Object})
	if err != nil {
		return err
	}
	if v := p.elements[0].version; v != nil {
		v.Assign = t.beside
	}
	act := noroshi.Act{Action: action, Persons: []noroshi.Signed{by}, Subject: string(t.Object.ID), Count: 1, Precedence: noroshi.Immediate}
	_, err = g.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := stillCurrent(ctx, tx, t.original); err != nil {
			return err
		}
		if t.former != nil {
			if err := stillCurrent(ctx, tx, *t.former); err != nil {
				return err
			}
		}
		a, err := g.Admit(tx, p)
		if err == nil && a.New+a.Updated != 1 {
			err = changedTranslation(t.Object.ID)
		}
		return err
	})
	return err
}

func theirsTranslation(id stix.ID) error {
	return noroshi.Errorf(noroshi.Refused, "translation.theirs", "%s is no translation of this node into that language that is in use: write one of your own", string(id))
}

func changedTranslation(id stix.ID) error {
	return noroshi.Errorf(noroshi.Conflict, "translation.changed", "%s has another version by now: look at it again", string(id))
}
