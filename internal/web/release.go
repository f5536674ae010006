package web

import (
	"context"

	"github.com/noroshi-cti/noroshi"
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
}

// HoldRef names a hold; State filters lists ("" = open, "all").
type HoldRef struct {
	Hold  string `json:"hold,omitempty"`
	State string `json:"state,omitempty"`
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
	holds, err := c.Store.Holds(ctx, in.State)
	if err != nil {
		return nil, err
	}
	rows := []HoldRow{}
	for _, h := range holds {
		if emptied(h) {
			continue
		}
		r, err := c.holdRow(ctx, h)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// emptied reports whether everything that waited in an open hold has left it:
// relabelled, superseded, withdrawn. Nobody has to look at it.
func emptied(h store.HoldGroup) bool { return h.State == "open" && h.Count == 0 }

func (s *Services) holdRow(ctx context.Context, h store.HoldGroup) (HoldRow, error) {
	as, err := s.Store.Approvals(ctx, h.ID)
	if err != nil {
		return HoldRow{}, err
	}
	r := HoldRow{ID: h.ID, Partner: s.callSign(ctx, h.Partner), Key: h.Key, Label: h.Label, Clause: h.Clause,
		Precedence: h.Precedence, Count: h.Count, Run: h.Run, State: h.State, Opened: rfc(h.Opened), Reasons: h.Reasons}
	for _, a := range as {
		r.Approvals = append(r.Approvals, a.Person)
	}
	return r, nil
}

// HoldDetail is a hold with what the partner would get.
type HoldDetail struct {
	HoldRow
	Banner Banners      `json:"banner"`            // its label in words
	Digest noroshi.Hash `json:"digest"`            // what a release officer signs; zeros when it is decided
	Sample []Sample     `json:"sample"`            // definitions of its markings first
	CutOut int          `json:"cut_out,omitempty"` // objects of the hold out of which something is cut
	Less   int          `json:"less,omitempty"`    // and that say something less exactly
}

// Sample is one object of a hold.
type Sample struct {
	ID    stix.ID    `json:"id"`
	Type  string     `json:"type"`
	Name  string     `json:"name,omitempty"`
	Cut   []Withheld `json:"cut,omitempty"`   // what the partner would not get of it
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
	h, err := c.hold(ctx)
	if err != nil {
		return nil, err
	}
	var d HoldDetail
	if d.HoldRow, err = c.holdRow(ctx, h); err != nil {
		return nil, err
	}
	table, err := c.levels(ctx, h.Agreement)
	if err != nil {
		return nil, err
	}
	d.Banner = bannersOf(h.Label, table)
	if h.State == store.HoldOpen {
		if d.Digest, err = c.Desk.Digest(ctx, h.ID); err != nil {
			return nil, err
		}
	}
	shown, err := c.Desk.Shown(ctx, h, 0, sampleSize)
	if err != nil {
		return nil, err
	}
	for _, p := range shown {
		o := p.Record.Object
		s := Sample{o.ID, o.Type, nameOf(o), withheld(o, p.Decision.Cut), string(p.View.Bytes()), nil}
		if h.State == store.HoldOpen {
			now, err := c.Desk.Preview(ctx, p.Record.Seq, h.Partner)
			if err != nil {
				return nil, err
			}
			s.Rules = spoken(now.Decision.Reasons)
		}
		d.Sample = append(d.Sample, s)
	}
	d.CutOut, d.Less, err = c.Desk.Cuts(ctx, h.ID)
	return d, err
}

// sampleSize is how many objects of a hold are shown with it.
const sampleSize = 5

// PreviewRef asks what a partner would see: of one object, or of a hold's
// objects after a sequence.
type PreviewRef struct {
	Partner noroshi.CallSign `json:"partner"`
	Subject string           `json:"subject"` // an object's id or a hold
	After   int64            `json:"after,omitempty"`
}

// Previewed is one object as the partner would see it.
type Previewed struct {
	Seq     int64           `json:"seq"`
	ID      stix.ID         `json:"id"`
	Type    string          `json:"type"`
	Outcome string          `json:"outcome"`
	Key     noroshi.HoldKey `json:"key,omitempty"`
	Label   string          `json:"label"`
	Clause  string          `json:"clause,omitempty"`
	Held    string          `json:"held"`           // as it is held here
	Sees    string          `json:"sees,omitempty"` // as the partner would get it, "" when nothing leaves
	Cut     []Withheld      `json:"cut,omitempty"`
	Rules   []Spoken        `json:"rules"`
}

// Spoken is a rule that spoke, with its number in docs/release.md (0: the
// agreement, or the object's own state).
type Spoken struct {
	Rule int `json:"rule,omitempty"`
	noroshi.Reason
}

func releasePreview(ctx context.Context, c *Call) (any, error) {
	var in PreviewRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p, err := c.Office.Partner(ctx, string(in.Partner))
	if err != nil {
		return nil, err
	}
	seqs, err := c.previewed(ctx, in)
	if err != nil {
		return nil, err
	}
	list := make([]Previewed, 0, len(seqs))
	for _, seq := range seqs {
		v, err := c.Desk.Preview(ctx, seq, p.Node)
		if err != nil {
			return nil, err
		}
		list = append(list, previewed(v))
	}
	return list, nil
}

func previewed(v release.Preview) Previewed {
	o, d := v.Record.Object, &v.Decision
	row := Previewed{Seq: v.Record.Seq, ID: o.ID, Type: o.Type, Outcome: d.Outcome.String(), Key: d.Key, Label: d.Label.String(), Clause: d.Clause,
		Held: string(o.Bytes()), Cut: withheld(o, d.Cut), Rules: spoken(d.Reasons)}
	if v.View != nil {
		row.Sees = string(v.View.Bytes())
	}
	return row
}

func spoken(reasons []noroshi.Reason) []Spoken {
	list := make([]Spoken, 0, len(reasons))
	for _, r := range reasons {
		list = append(list, Spoken{release.RuleOf(r.Code), r})
	}
	return list
}

// previewAtOnce bounds one answer.
const previewAtOnce = 50

// previewed returns the versions a preview is about.
func (c *Call) previewed(ctx context.Context, in PreviewRef) ([]int64, error) {
	if _, err := stix.ParseID(in.Subject); err == nil {
		r, err := c.Store.Current(ctx, stix.ID(in.Subject))
		return []int64{r.Seq}, err
	}
	members, err := c.Store.HoldMembers(ctx, in.Subject, in.After, previewAtOnce)
	if err != nil {
		return nil, err
	}
	if len(members) == 0 && in.After == 0 {
		return nil, noroshi.Errorf(noroshi.NotFound, "hold.none", "no hold %q", in.Subject)
	}
	seqs := make([]int64, len(members))
	for i, m := range members {
		seqs[i] = m.Seq
	}
	return seqs, nil
}

// levels returns what an agreement sets Japanese classes equal to.
func (c *Call) levels(ctx context.Context, agreement noroshi.Hash) (noroshi.Kubuns, error) {
	file, err := c.Store.Doc(ctx, noroshi.DocAgreement, agreement.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil // nothing is agreed
	}
	if err != nil {
		return nil, err
	}
	if a, err := noroshi.ParseAgreement(file); err == nil {
		return a.Japanese, nil
	}
	return nil, nil // what cannot be read sets nothing equal
}

func (c *Call) hold(ctx context.Context) (store.HoldGroup, error) {
	var in HoldRef
	if err := c.Bind(&in); err != nil {
		return store.HoldGroup{}, err
	}
	holds, err := c.Store.Holds(ctx, "")
	if err != nil {
		return store.HoldGroup{}, err
	}
	for _, h := range holds {
		if h.ID == in.Hold {
			return h, nil
		}
	}
	return store.HoldGroup{}, noroshi.Errorf(noroshi.NotFound, "hold.none", "no hold %q", in.Hold)
}

// SignedRef is a subject and a person's signature over it.
type SignedRef struct {
	Subject string         `json:"subject"`
	By      noroshi.Signed `json:"by"`
}

// Approved says what an approval led to.
type Approved struct {
	Waiting int    `json:"waiting"`         // approvals still missing
	Batch   string `json:"batch,omitempty"` // the decision, once none is
}

func releaseApprove(ctx context.Context, c *Call) (any, error) {
	var in SignedRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	waiting, batch, err := c.Desk.Approve(ctx, in.Subject, in.By)
	return Approved{waiting, batch}, err
}

func releaseReturn(ctx context.Context, c *Call) (any, error) {
	var in SignedRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Desk.Return(ctx, in.Subject, in.By)
}

// ExplainRef asks why an object may or may not go to a partner.
type ExplainRef struct {
	Object  stix.ID          `json:"object"`
	Partner noroshi.CallSign `json:"partner"`
}

// Explained is the answer: the outcome and every rule that spoke.
type Explained struct {
	Outcome string           `json:"outcome"`
	Reasons []noroshi.Reason `json:"reasons"`
}

func releaseExplain(ctx context.Context, c *Call) (any, error) {
	var in ExplainRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	r, err := c.Store.Current(ctx, in.Object)
	if err != nil {
		return nil, err
	}
	p, err := c.Office.Partner(ctx, string(in.Partner))
	if err != nil {
		return nil, err
	}
	o, why, err := c.Desk.Explain(ctx, r.Seq, p.Node)
	return Explained{o.String(), why}, err
}
