package web

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Worded says how a translation came about and how it stands. Persons are named
// of this node's own alone: of others their node speaks.
type Worded struct {
	Machine    bool   `json:"machine,omitempty"`    // a program's words
	Checked    bool   `json:"checked,omitempty"`    // a person has held them against the original
	Translator string `json:"translator,omitempty"` // person who wrote them, where it was no program
	Checker    string `json:"checker,omitempty"`    // person who checked them
	Own        bool   `json:"own,omitempty"`        // this node's: it renews, checks and withdraws it
}

// Unchecked reports whether no person has answered for a program's words.
func (w Worded) Unchecked() bool { return w.Machine && !w.Checked }

// worded says how a language-content object came about. What a version that says
// it was checked follows, with the same words and not checked, is its writer's.
func (c *Call) worded(ctx context.Context, r store.Record) (s Worded, err error) {
	says, _ := noroshi.TranslationOf(r.Object)
	s = Worded{Machine: says.Machine, Checked: says.Checked, Own: r.Source.Kind == noroshi.FromSelf}
	if !s.Own {
		return s, nil
	}
	switch {
	case s.Checked:
		s.Checker = r.Source.Person
	case !s.Machine:
		s.Translator = r.Source.Person
	}
	if s.Machine || !s.Checked {
		return s, nil
	}
	versions, err := c.Store.Versions(ctx, r.Object.ID)
	for _, v := range slices.Backward(versions) {
		if before, _ := noroshi.TranslationOf(v.Object); v.Seq < r.Seq && !before.Checked {
			s.Translator = v.Source.Person
			break
		}
	}
	return s, err
}

// TranslationService is the machine-translation service a node has, if any.
type TranslationService struct {
	On        bool     `json:"on"`
	Host      string   `json:"host,omitempty"`
	UpTo      string   `json:"up_to,omitempty"` // the highest label of what it may get
	Languages []string `json:"languages,omitempty"`
}

// Puts reports whether it puts texts of one language into another.
func (s TranslationService) Puts(from, to string) bool {
	return s.On && from != to && slices.Contains(s.Languages, from) && slices.Contains(s.Languages, to)
}

func translationService(_ context.Context, c *Call) (any, error) {
	if c.Translator == nil {
		return TranslationService{}, nil
	}
	return TranslationService{true, c.Translator.Host(), c.Translator.UpTo().String(), c.Translator.Languages()}, nil
}

// SuggestRef asks the translation service for words: of an object that is here,
// or of texts that are being written.
type SuggestRef struct {
	Of      stix.ID           `json:"of,omitempty"`      // the object, all of whose texts are put
	Texts   map[string]string `json:"texts,omitempty"`   // or texts by name,
	Marking string            `json:"marking,omitempty"` // of this TLP level
	About   []stix.ID         `json:"about,omitempty"`   // and about these, whose labels count too
	From    string            `json:"from,omitempty"`    // language of texts
	To      string            `json:"to"`
}

// Suggested are a program's words, by the names of the texts. They are nobody's
// until a person has checked them.
type Suggested struct {
	Texts map[string]string `json:"texts"`
	Host  string            `json:"host"` // of the service
}

// maxSuggested bounds the texts of one question.
const maxSuggested = 8

// translationSuggest asks the service. That a text goes to it is on record before
// it goes.
func translationSuggest(ctx context.Context, c *Call) (any, error) {
	var in SuggestRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if c.Translator == nil {
		return nil, noroshi.Errorf(noroshi.NotFound, "translate.none", "no translation service is named in noroshi.toml")
	}
	label, err := c.suggestible(ctx, &in)
	if err != nil {
		return nil, err
	}
	if len(in.Texts) == 0 || len(in.Texts) > maxSuggested {
		return nil, noroshi.Errorf(noroshi.Invalid, "translate.nothing", "there are %d texts to translate; 1 to %d are asked for at once", len(in.Texts), maxSuggested)
	}
	if err := c.Translator.May(label, in.From, in.To); err != nil {
		return nil, err
	}
	about := string(in.Of)
	if about == "" && len(in.About) > 0 {
		about = string(in.About[0])
	}
	act := noroshi.Act{Action: noroshi.ActMachineTranslate, Label: label.String(), Count: len(in.Texts), Precedence: noroshi.Immediate,
		Subject: strings.Join(strings.Fields(strings.Join([]string{c.Translator.Host(), in.From, in.To, about}, " ")), " ")}
	asked, err := c.Store.Do(ctx, act, func(*store.Tx) error { return nil })
	if err != nil {
		return nil, err
	}
	out := Suggested{Texts: map[string]string{}, Host: c.Translator.Host()}
	for _, name := range slices.Sorted(maps.Keys(in.Texts)) {
		if out.Texts[name], err = c.Translator.Translate(ctx, label, in.From, in.To, in.Texts[name]); err != nil {
			return nil, err
		}
	}
	act.Action, act.Previous = noroshi.ActMachineWords, asked.Index+1
	return out, c.keepGiven(ctx, act, in.Texts, out.Texts)
}

// suggestible fills in what is to be put and says under which label it is: of an
// object its own, of what is being written the join of what its writer says and of
// all it is about. What is not here says nothing, so the text says nothing either.
func (c *Call) suggestible(ctx context.Context, in *SuggestRef) (l noroshi.Label, err error) {
	labels := c.Store.Labels(nil)
	if in.Of != "" {
		r, err := c.Store.Current(ctx, in.Of)
		if err != nil {
			return l, err
		}
		in.From, in.Texts = intake.Original(r.Object)
		return labels.Of(ctx, r)
	}
	if l.TLP, err = noroshi.ParseTLP(in.Marking); err != nil {
		return l, err
	}
	if len(in.About) == 0 {
		return l, noroshi.Errorf(noroshi.Invalid, "warning.field", "warning: %s: %s", "refs", "1-100")
	}
	for _, id := range in.About {
		r, err := c.Store.Current(ctx, id)
		if err != nil {
			return l, err
		}
		of, err := labels.Of(ctx, r)
		if err != nil {
			return l, err
		}
		if !of.Handled() { // unmarked: the level of the text does not make it less so
			of.Unknown = append(of.Unknown, "unmarked "+string(id))
		}
		l = l.Join(of)
	}
	return l, nil
}

// TranslationDrawn is a wording with what the node chose, and the exact object it
// comes to: what a person signs.
type TranslationDrawn struct {
	intake.Wording
	JSON string `json:"json"`
}

func translationDraw(ctx context.Context, c *Call) (any, error) {
	var in intake.Wording
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	t, err := c.drawTranslation(ctx, &in)
	if err != nil {
		return nil, err
	}
	return TranslationDrawn{in, string(t.Object.Bytes())}, nil
}

// drawTranslation makes the object of a wording that does not pass a program's
// words as a person's.
func (c *Call) drawTranslation(ctx context.Context, w *intake.Wording) (*intake.TranslationDrawn, error) {
	given, err := c.Verbatim(ctx, slices.Collect(maps.Values(w.Texts))...)
	if err == nil && given && !w.Machine {
		err = staysMarked()
	}
	if err != nil {
		return nil, err
	}
	return c.Gate.DrawTranslation(ctx, w)
}

// TranslateRef is a wording as translation.draw gave it, and the signature of a
// person: ActTranslate over the translation's id bound to the hash of its bytes.
type TranslateRef struct {
	intake.Wording
	By noroshi.Signed `json:"by"`
}

func translationWrite(ctx context.Context, c *Call) (any, error) {
	var in TranslateRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	t, err := c.drawTranslation(ctx, &in.Wording)
	if err != nil {
		return nil, err
	}
	if err := c.signed(ctx, in.By, noroshi.ActTranslate, string(in.ID), t.Bound()); err != nil {
		return nil, err
	}
	return nil, c.Gate.Translate(ctx, t, in.By)
}

// translationCheck: a person says that a translation says what its original says.
// They sign the version that they saw: ActCheckTranslation over its id bound to
// its hash.
func translationCheck(ctx context.Context, c *Call) (any, error) {
	var in SignedRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	t, shown, err := c.Gate.DrawCheck(ctx, stix.ID(in.Subject), in.By.Person)
	if err != nil {
		return nil, err
	}
	if err := c.signed(ctx, in.By, noroshi.ActCheckTranslation, in.Subject, shown); err != nil {
		return nil, err
	}
	return nil, c.Gate.CheckTranslation(ctx, t, in.By)
}

// TranslationDetail is a translation beside its original, text by text.
type TranslationDetail struct {
	Worded
	ID       stix.ID      `json:"id"`
	Of       ObjectRow    `json:"of"`
	Warning  bool         `json:"warning,omitempty"` // the original is one
	Version  string       `json:"version"`           // modified of the original that is current
	From     string       `json:"from"`              // language of the original
	Lang     string       `json:"lang"`
	Texts    []SideBySide `json:"texts"`
	By       string       `json:"by"` // the node or source whose translation it is
	Stale    bool         `json:"stale,omitempty"`
	Revoked  bool         `json:"withdrawn,omitempty"`
	Made     time.Time    `json:"made"` // modified of the translation
	Hash     noroshi.Hash `json:"hash"` // of its exact bytes: what a check is bound to
	Label    string       `json:"label"`
	JSON     string       `json:"json"`
	Versions int          `json:"versions"`
}

// SideBySide is one text in both languages; either may be missing.
type SideBySide struct {
	Name     string `json:"name"` // property
	Original string `json:"original,omitempty"`
	Words    string `json:"words,omitempty"`
}

// TranslationRef names a translation, or an object and a language: the translation
// is then the one that this node has or could write.
type TranslationRef struct {
	ID   stix.ID `json:"id,omitempty"`
	Of   stix.ID `json:"of,omitempty"`
	Lang string  `json:"lang,omitempty"`
}

func translationShow(ctx context.Context, c *Call) (any, error) {
	var in TranslationRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	var words store.Record
	if in.ID != "" {
		var err error
		if words, err = c.Store.Current(ctx, in.ID); err != nil {
			return nil, err
		}
		says, ok := noroshi.TranslationOf(words.Object)
		if !ok {
			return nil, noroshi.Errorf(noroshi.NotFound, "translation.none", "no translation %s", string(in.ID))
		}
		in.Of = says.Of
	}
	of, err := c.Store.Current(ctx, in.Of)
	if err != nil {
		return nil, err
	}
	if in.ID == "" {
		own, err := c.Gate.OwnTranslation(ctx, in.Of, in.Lang)
		if err != nil {
			return nil, err
		}
		if own != nil {
			words = *own
		}
	}
	return c.besides(ctx, of, words, in.Lang)
}

// besides lays a translation beside its original.
func (c *Call) besides(ctx context.Context, of, words store.Record, lang string) (d TranslationDetail, err error) {
	rows, err := c.foundRows(ctx, []store.Record{of})
	if err != nil {
		return d, err
	}
	from, texts := intake.Original(of.Object)
	d = TranslationDetail{Of: rows[0], Version: of.Object.Modified.String(), From: from, Lang: lang, Label: rows[0].Label, Texts: []SideBySide{}}
	_, d.Warning = noroshi.WarningOf(of.Object)
	said := map[string]string{}
	if words.Object != nil {
		says, _ := noroshi.TranslationOf(words.Object)
		if d.Worded, err = c.worded(ctx, words); err != nil {
			return d, err
		}
		label, err := c.Store.Labels(nil).Of(ctx, words)
		if err != nil {
			return d, err
		}
		d.ID, d.Hash, d.JSON, d.Made, d.By = words.Object.ID, words.Hash, string(words.Object.Bytes()), words.Object.Modified.Time(), c.maker(ctx, words)
		d.Stale, d.Revoked = says.Stale(of.Object), words.Withdrawn || words.Object.Revoked
		d.Label = joined(rows[0].Label, label)
		d.Lang, said = wordsIn(words.Object, lang)
		versions, err := c.Store.Versions(ctx, d.ID)
		if err != nil {
			return d, err
		}
		d.Versions = len(versions)
	}
	for _, p := range intake.Translatable() {
		if texts[p] != "" || said[p] != "" {
			d.Texts = append(d.Texts, SideBySide{p, texts[p], said[p]})
		}
	}
	return d, nil
}

// wordsIn returns what a language-content says in a language, or in the first it
// has where none is asked for.
func wordsIn(o *stix.Object, lang string) (string, map[string]string) {
	said := map[string]string{}
	for l, texts := range o.Property("contents").Members() {
		if lang != "" && l != lang {
			continue
		}
		for p, v := range texts.Members() {
			said[p] = v.Text()
		}
		return l, said
	}
	return lang, said
}

// joined is the label of two things on one page.
func joined(kept string, l noroshi.Label) string {
	k, err := noroshi.KeptLabel(kept)
	if err != nil {
		return kept
	}
	return k.Join(l).String()
}
