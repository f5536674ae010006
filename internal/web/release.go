package web

import (
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

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
	Label   string          `json:"label"`                // of what would leave
	Whole   string          `json:"held_label,omitempty"` // of everything that is held, also the portions that stay; "" of what is not held
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
		row, err := c.heldBeside(ctx, v)
		if err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, nil
}

// heldBeside is an object that is held here beside what the partner would see.
func (s *Services) heldBeside(ctx context.Context, v release.Preview) (row Previewed, err error) {
	row = previewed(v)
	row.Whole, err = s.wholeLabel(ctx, v.Record)
	return row, err
}

// wholeLabel is the label of everything a version says, in the kept form.
func (s *Services) wholeLabel(ctx context.Context, r store.Record) (string, error) {
	l, err := s.Store.Labels(nil).Of(ctx, r)
	return l.String(), err
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

// HoldSigned is a hold, a person's signature over it, and what they were shown.
type HoldSigned struct {
	SignedRef
	Digest noroshi.Hash `json:"digest,omitzero"` // of the hold as it was shown; zeros = not said
	Why    string       `json:"why,omitempty"`   // of a return or of leaving it: bound into the signature by release.ReturnBound or release.DeferBound
	Until  time.Time    `json:"until,omitzero"`  // of leaving it waiting; zero = no time is said

	Without []stix.ID `json:"without,omitempty"` // of an approval: translations of other versions that stay, bound into the signature by release.ApproveBound
}

// unchanged refuses what is not any more what the person was shown: a signature
// over that would be refused too, without a word about the reason.
func (c *Call) unchanged(ctx context.Context, in HoldSigned) error {
	if in.Digest == (noroshi.Hash{}) {
		return nil
	}
	h, err := c.Store.Hold(ctx, in.Subject)
	if err != nil {
		return err
	}
	switch h.State {
	case store.HoldApproved:
		return noroshi.Errorf(noroshi.Conflict, "hold.is-approved", "hold %s is approved already", in.Subject)
	case store.HoldReturned:
		return noroshi.Errorf(noroshi.Conflict, "hold.is-returned", "hold %s was returned already", in.Subject)
	}
	o, err := c.Desk.Outline(ctx, h.ID)
	if err == nil && o.Digest != in.Digest {
		err = noroshi.Errorf(noroshi.Conflict, "hold.changed", "hold %s is not what was shown: it has digest %s now", in.Subject, o.Digest.String())
	}
	return err
}

func releaseApprove(ctx context.Context, c *Call) (any, error) {
	var in HoldSigned
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if err := c.unchanged(ctx, in); err != nil {
		if noroshi.CodeOf(err) == "hold.is-approved" && c.approvedBy(ctx, in) {
			return Approved{}, nil
		}
		return nil, err
	}
	waiting, batch, err := c.Desk.Approve(ctx, in.Subject, in.Without, in.By)
	return Approved{waiting, batch}, err
}

func releaseReturn(ctx context.Context, c *Call) (any, error) {
	var in HoldSigned
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if err := c.unchanged(ctx, in); err != nil {
		if noroshi.CodeOf(err) == "hold.is-returned" && c.returnedBy(ctx, in) {
			return nil, nil
		}
		return nil, err
	}
	return nil, c.Desk.Return(ctx, in.Subject, in.Why, in.By)
}

func releaseDefer(ctx context.Context, c *Call) (any, error) {
	var in HoldSigned
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if err := c.unchanged(ctx, in); err != nil {
		return nil, err
	}
	return nil, c.Desk.Defer(ctx, in.Subject, in.Why, in.Until, in.By)
}

// approvedBy reports whether the same signature is among those by which a hold went:
// a form that was sent twice did what it says, and once.
func (c *Call) approvedBy(ctx context.Context, in HoldSigned) bool {
	if c.signed(ctx, in.By, noroshi.ActApprove, in.Subject, release.ApproveBound(in.Digest, in.Without)) != nil {
		return false
	}
	as, err := c.Store.Approvals(ctx, in.Subject)
	return err == nil && slices.ContainsFunc(as, func(a store.Approval) bool { return a.Person == in.By.Person && a.Digest == in.By.Digest })
}

// returnedBy reports whether the person returned a hold for the same reason.
func (c *Call) returnedBy(ctx context.Context, in HoldSigned) bool {
	if c.signed(ctx, in.By, noroshi.ActReturn, in.Subject, release.ReturnBound(in.Digest, in.Why)) != nil {
		return false
	}
	r, err := c.Desk.WhyReturned(ctx, in.Subject)
	return err == nil && r != nil && r.Person == in.By.Person && r.Why == in.Why
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
