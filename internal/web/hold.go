package web

import (
	"cmp"
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// HoldRow is one hold as lists show it.
type HoldRow struct {
	ID         string             `json:"id"`
	Partner    noroshi.CallSign   `json:"partner"`
	Key        noroshi.HoldKey    `json:"key"`
	Label      string             `json:"label"`
	Clause     string             `json:"clause,omitempty"`
	Precedence noroshi.Precedence `json:"precedence"`
	Count      int                `json:"count"`
	Run        string             `json:"run,omitempty"`
	State      string             `json:"state"`
	Opened     string             `json:"opened"`
	Approvals  []string           `json:"approvals,omitempty"` // persons
	Reasons    []noroshi.Reason   `json:"reasons,omitempty"`
	Title      string             `json:"title,omitempty"`    // name of the first object in it
	Whole      string             `json:"held_label"`         // of everything that object says: a portion that stays may be stricter
	Type       string             `json:"type,omitempty"`     // and its type
	Needs      int                `json:"needs"`              // persons whose approval lifts it; 0 = none can as it is
	Returned   *release.Returned  `json:"returned,omitempty"` // of a returned one
	Deferred   *release.Deferred  `json:"deferred,omitempty"` // of an open one: who left it waiting, and why
}

// HoldRef names a hold; State filters lists ("" = open, "all").
type HoldRef struct {
	Hold   string `json:"hold,omitempty"`
	State  string `json:"state,omitempty"`
	Urgent bool   `json:"urgent,omitempty"` // by precedence, then the oldest first; else the newest first
	After  string `json:"after,omitempty"`  // a hold: those that follow it in the list
	Limit  int    `json:"limit,omitempty"`  // 0 = no limit
	Reader string `json:"reader,omitempty"` // the person who asks: may they approve it?
}

func releaseList(ctx context.Context, c *Call) (any, error) {
	var in HoldRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	switch in.State {
	case "":
		in.State = "open"
	case "all":
		in.State = ""
	}
	holds, err := in.holds(ctx, c)
	if err != nil {
		return nil, err
	}
	return c.holdRows(ctx, holds)
}

// holds reads the holds that are asked for. Decided ones are read as far as they
// are asked for: they become more for ever.
func (in HoldRef) holds(ctx context.Context, c *Call) ([]store.HoldGroup, error) {
	if in.Limit > 0 && !in.Urgent && in.State != store.HoldOpen {
		return c.Store.HoldsAfter(ctx, in.State, in.After, in.Limit)
	}
	holds, err := c.Store.Holds(ctx, in.State)
	holds = slices.DeleteFunc(holds, emptied)
	if in.Urgent {
		slices.SortStableFunc(holds, func(a, b store.HoldGroup) int {
			return cmp.Or(cmp.Compare(b.Precedence, a.Precedence), a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID))
		})
	}
	if i := slices.IndexFunc(holds, func(h store.HoldGroup) bool { return h.ID == in.After }); i >= 0 {
		holds = holds[i+1:]
	}
	if in.Limit > 0 {
		holds = holds[:min(in.Limit, len(holds))]
	}
	return holds, err
}

// emptied reports whether everything that waited in an open hold has left it:
// relabelled, superseded, withdrawn. Nobody has to look at it.
func emptied(h store.HoldGroup) bool { return h.State == "open" && h.Count == 0 }

func (s *Services) holdRow(ctx context.Context, h store.HoldGroup) (HoldRow, error) {
	rows, err := s.holdRows(ctx, []store.HoldGroup{h})
	if err != nil {
		return HoldRow{}, err
	}
	return rows[0], nil
}

// holdRows makes the rows of holds: what they have in common is read once.
func (s *Services) holdRows(ctx context.Context, holds []store.HoldGroup) ([]HoldRow, error) {
	rows, firsts, seqs := make([]HoldRow, len(holds)), make([]int64, len(holds)), make([]int64, 0, len(holds))
	signs := map[noroshi.NodeID]noroshi.CallSign{}
	for i, h := range holds {
		if _, ok := signs[h.Partner]; !ok {
			signs[h.Partner] = s.callSign(ctx, h.Partner)
		}
		var err error
		if rows[i], err = s.bareRow(ctx, h, signs[h.Partner]); err != nil {
			return nil, err
		}
		if firsts[i], err = s.Store.HoldFirst(ctx, h.ID); err != nil {
			return nil, err
		}
		if firsts[i] > 0 {
			seqs = append(seqs, firsts[i])
		}
	}
	records, err := s.Store.Records(ctx, seqs)
	if err != nil {
		return nil, err
	}
	labels, of := s.Store.Labels(nil), map[int64]store.Record{}
	for _, r := range records {
		of[r.Seq] = r
	}
	for i := range rows {
		r, ok := of[firsts[i]]
		if !ok {
			continue
		}
		l, err := labels.Of(ctx, r)
		if err != nil {
			return nil, err
		}
		rows[i].Title, rows[i].Type, rows[i].Whole = shownText(nameOf(r.Object)), r.Object.Type, l.String()
	}
	return rows, nil
}

// bareRow is the row of a hold without what is in it.
func (s *Services) bareRow(ctx context.Context, h store.HoldGroup, partner noroshi.CallSign) (HoldRow, error) {
	as, err := s.Store.Approvals(ctx, h.ID)
	if err == nil && len(as) > 0 && h.State == store.HoldOpen && h.Count > 0 {
		as, err = s.Desk.Counting(ctx, h) // those of what is not there any more count nothing
	}
	if err != nil {
		return HoldRow{}, err
	}
	r := HoldRow{ID: h.ID, Partner: partner, Key: h.Key, Label: h.Label, Clause: h.Clause,
		Precedence: h.Precedence, Count: h.Count, Run: h.Run, State: h.State, Opened: rfc(h.Opened), Reasons: h.Reasons}
	r.Needs, _ = release.Approvals(h.Key)
	for _, a := range as {
		r.Approvals = append(r.Approvals, a.Person)
	}
	switch h.State {
	case store.HoldReturned:
		r.Returned, err = s.Desk.WhyReturned(ctx, h.ID)
	case store.HoldOpen:
		r.Deferred, err = s.Desk.Deferred(ctx, h)
	}
	return r, err
}

// HoldDetail is a hold with what the partner would get.
type HoldDetail struct {
	HoldRow
	Banner Banners      `json:"banner"`            // its label in words
	Digest noroshi.Hash `json:"digest"`            // what a release officer signs; zeros when it is decided
	Sample []Sample     `json:"sample"`            // definitions of its markings first
	CutOut int          `json:"cut_out,omitempty"` // objects of the hold out of which something is cut
	Less   int          `json:"less,omitempty"`    // and that say something less exactly
	Change int          `json:"changed,omitempty"` // objects with either

	From    string     `json:"from,omitempty"`    // where the first object came from
	Person  string     `json:"person,omitempty"`  // who brought it
	Article *Article   `json:"article,omitempty"` // the clause it would go under
	Signed  []SignedBy `json:"signed,omitempty"`  // approvals that count
	Refused *Problem   `json:"refused,omitempty"` // why the reader may not approve it, whatever they sign
	Beside  []HoldRow  `json:"beside,omitempty"`  // open holds of the same run

	OldWords []OldWords `json:"old_words,omitempty"` // translations that stay behind: an approval says so of each
}

// Article is where a clause stands in its agreement, in both languages.
type Article struct {
	EN string `json:"en"`
	JA string `json:"ja"`
}

// In returns the article in a language.
func (a Article) In(l locale.Lang) string { return Banners(a).In(l) }

// Sample is one object of a hold.
type Sample struct {
	ID    stix.ID    `json:"id"`
	Type  string     `json:"type"`
	Name  string     `json:"name,omitempty"`
	Cut   []Withheld `json:"cut,omitempty"`   // what the partner would not get of it
	Whole string     `json:"held_label"`      // of everything it says, also what the partner would not get
	JSON  string     `json:"json"`            // the exact bytes the partner would get
	Rules []Spoken   `json:"rules,omitempty"` // that spoke of it, while the hold is open
}

// Withheld is one part of an object that is cut out or said less exactly, as it
// is held here.
type Withheld struct {
	Selector string      `json:"selector"`
	Value    string      `json:"value"`          // JSON
	How      noroshi.How `json:"how,omitempty"`  // it is said less exactly; "" = cut out
	Sees     string      `json:"sees,omitempty"` // what the partner sees in place of it
}

func withheld(o *stix.Object, cut []string) (list []Withheld) {
	for _, entry := range cut {
		s, how := release.Generalised(entry)
		w := Withheld{Selector: s, Value: string(stix.Select(o, s)), How: how}
		if how != "" {
			w.Sees, _ = how.Less(o, s)
		}
		list = append(list, w)
	}
	return list
}

func releaseShow(ctx context.Context, c *Call) (any, error) {
	var in HoldRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	h, err := c.Store.Hold(ctx, in.Hold)
	if err != nil {
		return nil, err
	}
	d, err := c.holdDetail(ctx, h)
	if err != nil || h.State != store.HoldOpen || h.Count == 0 {
		return d, err
	}
	o, err := c.Desk.Outline(ctx, h.ID)
	if err != nil {
		return nil, err
	}
	d.Digest, d.CutOut, d.Less, d.Change = o.Digest, o.Cut, o.Less, len(o.Changed)
	if d.OldWords, err = c.oldWords(ctx, h); err != nil {
		return nil, err
	}
	if d.Beside, err = c.ofRun(ctx, h); err != nil {
		return nil, err
	}
	return d, c.standing(ctx, h, in.Reader, &d)
}

// holdDetail says of a hold what does not depend on whether it is open.
func (c *Call) holdDetail(ctx context.Context, h store.HoldGroup) (d HoldDetail, err error) {
	if d.HoldRow, err = c.holdRow(ctx, h); err != nil {
		return d, err
	}
	a, err := c.agreement(ctx, h.Agreement)
	if err != nil {
		return d, err
	}
	if a != nil {
		d.Banner = bannersOf(h.Label, a.Japanese)
		d.article(a)
	} else {
		d.Banner = bannersOf(h.Label, nil)
	}
	shown, err := c.Desk.Shown(ctx, h, 0, sampleSize)
	if err != nil {
		return d, err
	}
	rules, err := c.rulesNow(ctx, h, shown)
	for _, p := range shown {
		o := p.Record.Object
		whole, err := c.wholeLabel(ctx, p.Record)
		if err != nil {
			return d, err
		}
		d.Sample = append(d.Sample, Sample{o.ID, o.Type, nameOf(o), withheld(o, p.Decision.Cut), whole, string(p.View.Bytes()), rules[p.Record.Seq]})
		d.From, d.Person = c.from(ctx, p.Record.Source), p.Record.Source.Person
	}
	return d, err
}

// article fills in where the hold's clause stands.
func (d *HoldDetail) article(a *noroshi.Agreement) {
	for _, cl := range a.Clauses {
		if cl.ID == d.Clause {
			d.Article = &Article{cl.ArticleEN, cl.ArticleJA}
		}
	}
}

// rulesNow returns the rules that speak now of what an open hold shows.
func (c *Call) rulesNow(ctx context.Context, h store.HoldGroup, shown []release.Preview) (map[int64][]Spoken, error) {
	rules := map[int64][]Spoken{}
	if h.State != store.HoldOpen {
		return rules, nil
	}
	seqs := make([]int64, len(shown))
	for i, p := range shown {
		seqs[i] = p.Record.Seq
	}
	now, err := c.Desk.Previews(ctx, seqs, h.Partner)
	for _, p := range now {
		rules[p.Record.Seq] = spoken(p.Decision.Reasons)
	}
	return rules, err
}

// maxBeside bounds the holds shown beside one of the same run.
const maxBeside = 12

// ofRun returns the open holds of the same run, for whichever partner, the one
// asked about among them.
func (c *Call) ofRun(ctx context.Context, h store.HoldGroup) (list []HoldRow, err error) {
	holds, err := c.Store.Holds(ctx, store.HoldOpen)
	if err != nil || h.Run == "" {
		return nil, err
	}
	slices.SortFunc(holds, func(a, b store.HoldGroup) int {
		return cmp.Or(slices.Compare(a.Partner[:], b.Partner[:]), a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID))
	})
	beside := slices.DeleteFunc(holds, func(o store.HoldGroup) bool { return o.Run != h.Run || emptied(o) })
	return c.holdRows(ctx, beside[:min(len(beside), maxBeside)])
}

// sampleSize is how many objects of a hold are shown with it.
const sampleSize = 5
