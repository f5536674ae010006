package web

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/stix"
)

// WarningDetail is a warning with all that hangs on it.
type WarningDetail struct {
	watch.Detail
	Exact        string        `json:"exact_label"` // of everything it says, in the kept form
	Banner       Banners       `json:"banner"`
	Mine         bool          `json:"mine"`            // this node's own word: it may withdraw and replace it
	Lang         string        `json:"lang"`            // of title and text
	Drawn        bool          `json:"drawn,omitempty"` // they are a program's, checked by who signed the warning
	Translations []Translation `json:"translations"`
	About        []ObjectRow   `json:"about"`             // what it refers to, in its order; what is not here has a type alone
	Earlier      *watch.Row    `json:"earlier,omitempty"` // the warning it replaces, where that is here
	Later        *watch.Row    `json:"later,omitempty"`   // the one that replaced it
}

// Translation is what a language-content object says of a warning (STIX 2.1
// §7.1), and who says it.
type Translation struct {
	Worded
	ID       stix.ID   `json:"id"`
	Lang     string    `json:"lang"`
	Title    string    `json:"title"`
	Text     string    `json:"text"`
	Label    string    `json:"label"`          // of the object that says it
	By       string    `json:"by"`             // who made the translation, as its created_by_ref says
	Original bool      `json:"original"`       // that is who made the warning
	Modified string    `json:"modified"`       // of the translation
	Of       time.Time `json:"of,omitzero"`    // version of the warning it translates
	Stale    bool      `json:"stale,omitzero"` // not the version that is shown
}

// maxTranslations bounds how many translations of an object are looked at,
// maxLangs how many languages of one are shown.
const (
	maxTranslations = 100
	maxLangs        = 8
)

func warningShow(ctx context.Context, c *Call) (any, error) {
	var in ObjectRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	id, err := c.Watch.Meant(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	shown, err := c.Watch.Show(ctx, id)
	if err != nil {
		return nil, err
	}
	d := WarningDetail{Detail: shown, Translations: []Translation{}, About: []ObjectRow{}}
	r, err := c.Store.Current(ctx, id)
	if err != nil {
		return nil, err
	}
	label, err := c.Store.Labels(nil).Of(ctx, r)
	if err != nil {
		return nil, err
	}
	d.Exact, d.Banner = label.String(), bannersOf(label.String(), nil)
	d.Mine, d.Lang, d.Drawn = r.Source.Kind != noroshi.FromPartner, r.Object.Text("lang"), noroshi.Drawn(r.Object)
	if d.Translations, err = c.translations(ctx, r); err != nil {
		return nil, err
	}
	if err := c.about(ctx, &d); err != nil {
		return nil, err
	}
	if d.Earlier, err = c.beforeOrAfter(ctx, d.Replaces); err != nil {
		return nil, err
	}
	d.Later, err = c.beforeOrAfter(ctx, d.Replaced)
	return d, err
}

// beforeOrAfter returns another warning, nil for one that is not here.
func (c *Call) beforeOrAfter(ctx context.Context, id stix.ID) (*watch.Row, error) {
	if id == "" {
		return nil, nil
	}
	row, err := c.Watch.Row(ctx, id)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rows := []watch.Row{row}
	return &rows[0], c.exactly(ctx, rows)
}

// about fills in what a warning refers to.
func (c *Call) about(ctx context.Context, d *WarningDetail) error {
	for _, id := range d.Refs {
		if id == d.Replaces {
			continue
		}
		r, err := c.Store.Current(ctx, id)
		switch {
		case noroshi.KindOf(err) == noroshi.NotFound:
			d.About = append(d.About, ObjectRow{ID: id, Type: id.Type()})
		case err != nil:
			return err
		default:
			row := c.row(ctx, r)
			if row.Label, err = c.wholeLabel(ctx, r); err != nil {
				return err
			}
			d.About = append(d.About, row)
		}
	}
	return nil
}

// translations reads what is said of a warning in other languages by whoever
// brought it and by this node: nobody else speaks for it.
func (c *Call) translations(ctx context.Context, of store.Record) ([]Translation, error) {
	list := []Translation{}
	all, err := c.translationsOf(ctx, of.Object.ID)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.Object.Text("object_ref") != string(of.Object.ID) || r.Source.Owner() != of.Source.Owner() && r.Source.Kind != noroshi.FromSelf {
			continue
		}
		label, err := c.wholeLabel(ctx, r)
		if err != nil {
			return nil, err
		}
		words, err := c.wordings(ctx, of, r)
		if err != nil {
			return nil, err
		}
		for _, t := range words {
			t.Label = label
			list = append(list, t)
		}
	}
	return list, nil
}

// wordings are the languages of one language-content.
func (c *Call) wordings(ctx context.Context, of, r store.Record) (list []Translation, err error) {
	t := Translation{ID: r.Object.ID, By: c.maker(ctx, r), Original: r.Object.CreatedBy == of.Object.CreatedBy, Modified: r.Object.Modified.String()}
	says, _ := noroshi.TranslationOf(r.Object)
	t.Of, t.Stale = says.Version.Time(), says.Stale(of.Object)
	if t.Worded, err = c.worded(ctx, r); err != nil {
		return nil, err
	}
	for lang, said := range noroshi.SaidIn(r.Object) {
		if said.Name == "" {
			continue
		}
		t.Lang, t.Title, t.Text = lang, said.Name, said.Description
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b Translation) int { return strings.Compare(a.Lang, b.Lang) })
	return list[:min(len(list), maxLangs)], nil
}

// maker is who made an object: the name of its created_by_ref where that is
// here, else who brought it.
func (c *Call) maker(ctx context.Context, r store.Record) string {
	if r.Object.CreatedBy != "" {
		if who, err := c.Store.Current(ctx, r.Object.CreatedBy); err == nil && nameOf(who.Object) != "" {
			return nameOf(who.Object)
		}
	}
	if r.Source.Kind == noroshi.FromSelf {
		return string(c.Self.CallSign)
	}
	return c.from(ctx, r.Source)
}

// exactly gives rows the label of everything they say, their translation
// included, where a list has what TLP alone says.
func (c *Call) exactly(ctx context.Context, rows []watch.Row) error {
	var seqs []int64
	for _, r := range rows {
		if seqs = append(seqs, r.Seq); r.Words != 0 {
			seqs = append(seqs, r.Words)
		}
	}
	records, err := c.Store.Records(ctx, seqs)
	if err != nil {
		return err
	}
	labels := c.Store.Labels(nil)
	by := map[int64]noroshi.Label{}
	for _, r := range records {
		l, err := labels.Of(ctx, r)
		if err != nil {
			return err
		}
		by[r.Seq] = l
	}
	for i := range rows {
		if l, ok := by[rows[i].Seq]; ok {
			rows[i].Label = l.Join(by[rows[i].Words]).String()
		}
	}
	return nil
}

// WarningDraftRef asks for the text of a warning, in both languages, from a template.
type WarningDraftRef struct {
	Template string    `json:"template"` // of watch.Templates
	Action   string    `json:"action"`   // of watch.Actions
	About    []stix.ID `json:"about"`    // what it is to be about; the first gives it its name
}

func warningDraft(ctx context.Context, c *Call) (any, error) {
	var in WarningDraftRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if len(in.About) == 0 {
		return nil, noroshi.Errorf(noroshi.Invalid, "warning.field", "warning: %s: %s", "refs", "1-100")
	}
	r, err := c.Store.Current(ctx, in.About[0])
	if err != nil {
		return nil, err
	}
	d := watch.Draft{ID: stix.NewID("report"), Action: in.Action, Refs: in.About, Severity: noroshi.High, Precedence: noroshi.Immediate}
	name := nameOf(r.Object)
	if name == "" {
		name = string(r.Object.ID)
	}
	if d.TitleEN, d.TextEN, err = watch.Template(locale.EN, in.Template, name, len(in.About)-1, in.Action); err != nil {
		return nil, err
	}
	d.TitleJA, d.TextJA, err = watch.Template(locale.JA, in.Template, name, len(in.About)-1, in.Action)
	return d, err
}
