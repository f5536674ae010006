package web

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// HoldPageRef asks for a part of a hold: its members after a sequence.
type HoldPageRef struct {
	Hold    string `json:"hold"`
	After   int64  `json:"after,omitempty"`
	Limit   int    `json:"limit,omitempty"`   // 1..50; 0 = 50
	Changed bool   `json:"changed,omitempty"` // only what the partner gets less of than is held
	Narrow  bool   `json:"narrow,omitempty"`  // also what it becomes on a narrow line, where it is no more than 16 KiB
}

// HoldPage is a part of a hold, field by field.
type HoldPage struct {
	Objects []Compared        `json:"objects"`
	Stays   []Compared        `json:"stays"`             // of the same run and between those: nothing of them goes with them
	More    bool              `json:"more,omitempty"`    // Stays is not all
	Next    int64             `json:"next,omitempty"`    // After of the next page; 0 = this is the last
	Named   map[stix.ID]Named `json:"named,omitempty"`   // what all these, and what they refer to, are called
	Checks  []Finding         `json:"checks"`            // over the final bytes of this page
	Bytes   int               `json:"bytes"`             // of them
	Narrow  []byte            `json:"narrow,omitempty"`  // as content of one message on a narrow line
	OnLine  int               `json:"on_line,omitempty"` // bytes that would take there, sealed; 0 = not worked out
}

// Compared is an object beside what the partner gets of it.
type Compared struct {
	Previewed
	Name    string       `json:"name,omitempty"`
	Pattern string       `json:"pattern,omitempty"`
	Hash    noroshi.Hash `json:"hash"` // of the version held
	Marking string       `json:"marking"`
	From    string       `json:"from"`
	Lang    string       `json:"lang,omitempty"` // of its texts, as it says itself
	Hold    string       `json:"hold,omitempty"` // of what stays: the hold it waits in
	Fields  []Field      `json:"fields,omitempty"`

	record store.Record
	view   *stix.Object // what the partner gets, nil for nothing
}

// Changes counts the fields of which the partner gets less.
func (c Compared) Changes() (n int) {
	for _, f := range c.Fields {
		if f.State != FieldSame {
			n++
		}
	}
	return n
}

// Bounds of a page.
const (
	maxHoldPage  = 50       // members
	maxStays     = 50       // shown with them
	staysSought  = 100      // versions of the run looked at for those
	narrowAtOnce = 4 << 10  // bytes whose narrow form is worked out unasked
	narrowAsked  = 16 << 10 // and when it is asked for
)

func releasePage(ctx context.Context, c *Call) (any, error) {
	var in HoldPageRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	g, err := c.Store.Hold(ctx, in.Hold)
	if err != nil {
		return nil, err
	}
	if in.Limit < 1 || in.Limit > maxHoldPage {
		in.Limit = maxHoldPage
	}
	p := HoldPage{Objects: []Compared{}, Stays: []Compared{}, Checks: []Finding{}}
	if g.State == store.HoldApproved {
		return p, nil // its members are in the batch
	}
	shown, err := c.shownOf(ctx, g, in)
	if err != nil {
		return nil, err
	}
	if p.Objects, err = c.compared(ctx, g, shown); err != nil {
		return nil, err
	}
	if n := len(shown); n > 0 && membersIn(shown) == in.Limit {
		beyond := in
		beyond.After, beyond.Limit = shown[n-1].Record.Seq, 1
		more, err := c.shownOf(ctx, g, beyond)
		if err != nil {
			return nil, err
		}
		if membersIn(more) > 0 {
			p.Next = beyond.After
		}
	}
	if err := c.stays(ctx, g, in, &p); err != nil {
		return nil, err
	}
	if err := c.named(ctx, g, &p); err != nil {
		return nil, err
	}
	if p.Checks, err = c.checks(ctx, g, p.Objects); err != nil {
		return nil, err
	}
	return p, c.narrow(ctx, g, in, shown, &p)
}

func (c *Call) shownOf(ctx context.Context, g store.HoldGroup, in HoldPageRef) ([]release.Preview, error) {
	if in.Changed && g.State == store.HoldOpen {
		return c.Desk.ShownChanged(ctx, g, in.After, in.Limit)
	}
	return c.Desk.Shown(ctx, g, in.After, in.Limit)
}

// membersIn counts the members among what is shown: definitions come on top.
func membersIn(shown []release.Preview) (n int) {
	for _, p := range shown {
		if p.Record.Object.Type != "marking-definition" {
			n++
		}
	}
	return n
}

// compared sets what a hold shows beside what is held, with the rules that speak
// of it now.
func (c *Call) compared(ctx context.Context, g store.HoldGroup, shown []release.Preview) ([]Compared, error) {
	var seqs []int64
	for _, p := range shown {
		if p.Record.Object.Type != "marking-definition" {
			seqs = append(seqs, p.Record.Seq)
		}
	}
	now, err := c.Desk.Previews(ctx, seqs, g.Partner)
	if err != nil {
		return nil, err
	}
	reasons := map[int64][]noroshi.Reason{}
	for _, p := range now {
		reasons[p.Record.Seq] = p.Decision.Reasons
	}
	list := make([]Compared, 0, len(shown))
	for _, p := range shown {
		p.Decision.Reasons, p.Decision.Outcome, p.Decision.Key = reasons[p.Record.Seq], noroshi.Hold, g.Key
		x, err := c.comparedTo(ctx, p)
		if err != nil {
			return nil, err
		}
		x.Label = g.Label
		list = append(list, x)
	}
	return list, nil
}

func (c *Call) comparedTo(ctx context.Context, p release.Preview) (x Compared, err error) {
	seen, err := c.heldBeside(ctx, p)
	x = Compared{Previewed: seen, Name: shownText(nameOf(p.Record.Object)), Pattern: shownText(p.Record.Object.Text("pattern")), Hash: p.Record.Hash, Marking: markingOf(p.Record), From: c.from(ctx, p.Record.Source), Lang: p.Record.Object.Text("lang"), record: p.Record, view: p.View}
	x.Fields = fieldsOf(p.Record.Object, p.View, p.Decision.Cut, x.Rules)
	return x, err
}

// stays fills in what came in the same run as the members shown, lies between
// them, and does not go with them: withheld, or waiting in another hold.
func (c *Call) stays(ctx context.Context, g store.HoldGroup, in HoldPageRef, p *HoldPage) error {
	if g.Run == "" || len(p.Objects) == 0 {
		return nil
	}
	recs, err := c.Store.List(ctx, store.Filter{Run: g.Run, After: in.After, Limit: staysSought})
	if err != nil {
		return err
	}
	p.More = len(recs) == staysSought && (p.Next == 0 || recs[len(recs)-1].Seq < p.Next)
	with := map[int64]bool{}
	for _, o := range p.Objects {
		with[o.Seq] = true
	}
	var seqs []int64
	for _, r := range recs {
		if !with[r.Seq] && (p.Next == 0 || r.Seq <= p.Next) && r.Object.Type != "marking-definition" {
			seqs = append(seqs, r.Seq)
		}
	}
	if len(seqs) > maxStays {
		seqs, p.More = seqs[:maxStays], true
	}
	now, err := c.Desk.Previews(ctx, seqs, g.Partner)
	if err != nil {
		return err
	}
	for _, v := range now {
		waits := waitsIn(v.Decision.Reasons)
		if waits == g.ID || v.Decision.Outcome < noroshi.Hold {
			continue // on another page of this hold, or gone
		}
		v.View = nil
		x, err := c.comparedTo(ctx, v)
		if err != nil {
			return err
		}
		x.Sees, x.Fields, x.Hold = "", nil, waits
		p.Stays = append(p.Stays, x)
	}
	return nil
}

// waitsIn returns the open hold that reasons name, "" for none.
func waitsIn(reasons []noroshi.Reason) string {
	i := slices.IndexFunc(reasons, func(r noroshi.Reason) bool { return r.Code == "hold."+store.HoldOpen })
	if i < 0 {
		return ""
	}
	return reasons[i].Args[0]
}

// narrow fills in what the page weighs, and on a narrow line.
func (c *Call) narrow(ctx context.Context, g store.HoldGroup, in HoldPageRef, shown []release.Preview, p *HoldPage) error {
	var objects []message.Object
	for _, s := range shown {
		p.Bytes += len(s.View.Bytes())
		objects = append(objects, message.Object{Bytes: s.View.Bytes()})
	}
	if len(objects) == 0 || p.Bytes > narrowAsked || p.Bytes > narrowAtOnce && !in.Narrow {
		return nil
	}
	a, err := c.agreement(ctx, g.Agreement)
	if err != nil {
		return err
	}
	form := message.NarrowForm(message.EncodeObjects(objects), a)
	p.OnLine = message.NarrowCost + len(g.Label) + len(form)
	if in.Narrow {
		p.Narrow = form
	}
	return nil
}

// agreement returns an agreement this node keeps, nil where it cannot be read.
func (c *Call) agreement(ctx context.Context, h noroshi.Hash) (*noroshi.Agreement, error) {
	file, err := c.Store.Doc(ctx, noroshi.DocAgreement, h.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil // nothing is agreed
	}
	if err != nil {
		return nil, err
	}
	a, err := noroshi.ParseAgreement(file)
	if err != nil {
		return nil, nil // what cannot be read says nothing
	}
	return a, nil
}
