package web

import (
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// RecallPlanned is what a recall would do, and from whom.
type RecallPlanned struct {
	courier.RecallPlan
	From []noroshi.CallSign `json:"from"` // partners that have it or may have it
}

func recallPlan(ctx context.Context, c *Call) (any, error) {
	var in courier.RecallOrder
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p, err := c.Courier.RecallPlan(ctx, in)
	out := RecallPlanned{RecallPlan: p, From: []noroshi.CallSign{}}
	for _, node := range p.Has {
		out.From = append(out.From, c.callSign(ctx, node))
	}
	return out, err
}

// RecallSend is an order as recall.plan gave it, and the person's signature.
type RecallSend struct {
	Order courier.RecallOrder `json:"order"`
	By    noroshi.Signed      `json:"by"`
}

// RecallSent says what came of an order: without an id it waits for a second
// person.
type RecallSent struct {
	ID       string             `json:"id,omitempty"`
	From     []noroshi.CallSign `json:"from,omitempty"`     // partners that are told
	Withheld int                `json:"withheld,omitempty"` // messages that will not leave any more
}

func recallSend(ctx context.Context, c *Call) (any, error) {
	var in RecallSend
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	state, err := c.Courier.Recall(ctx, in.Order, in.By)
	out := RecallSent{ID: state.ID}
	for _, to := range state.To {
		out.Withheld += to.Withheld
		if len(to.Entries) > 0 {
			out.From = append(out.From, c.callSign(ctx, to.Partner))
		}
	}
	return out, err
}

// RecallRefuse refuses what more than stopping the use a partner's RECALL asks.
type RecallRefuse struct {
	Message noroshi.Hash    `json:"message"` // the RECALL, or its first bytes as recall.list shows them
	Why     message.Refusal `json:"why"`
	By      noroshi.Signed  `json:"by"`
}

func recallRefuse(ctx context.Context, c *Call) (any, error) {
	var in RecallRefuse
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Courier.RefuseRecall(ctx, in.Message, in.Why, in.By)
}

// Directions of a recall.
const (
	recallOut = "sent"
	recallIn  = "came"
)

// States of a recall at one partner: it ends in one of the first three.
const (
	recallConfirmed = "confirmed"
	recallRefused   = "refused"
	recallSilent    = "silent"
	recallUnsigned  = "unsigned" // waits for a second person here
	recallNotLeft   = "not-left" // nothing ever left for this partner: nobody to ask
)

// RecallRow is a recall and one partner: told and answering, or asking us.
type RecallRow struct {
	Recall    string               `json:"recall"`    // its id; of one that came, that of the message
	Direction string               `json:"direction"` // "sent", "came"
	Partner   noroshi.CallSign     `json:"partner,omitempty"`
	Objects   []stix.ID            `json:"objects"`
	Reason    message.RecallReason `json:"reason"`
	Scope     message.RecallScope  `json:"scope"`
	Deadline  time.Time            `json:"deadline,omitzero"`
	State     string               `json:"state"`
	Late      bool                 `json:"late,omitempty"`     // no answer and past the deadline
	Delivery  string               `json:"delivery,omitempty"` // of the RECALL: released, sent, stored, applied
	Since     time.Time            `json:"since"`              // in this state
	Refusal   message.Refusal      `json:"refusal"`
	Found     int                  `json:"found"` // versions there, or here of one that came
	InUse     int                  `json:"in_use"`
	Onward    int                  `json:"onward"`
	Answered  int                  `json:"answered"`
	Withheld  int                  `json:"withheld,omitempty"`
	By        []string             `json:"by,omitempty"`
	For       noroshi.CallSign     `json:"for,omitempty"` // passed on for this partner
}

// RecallListRef selects recalls: those that are open and what came of late, or
// all.
type RecallListRef struct {
	All bool `json:"all,omitempty"`
}

// recallDays is so long a RECALL that came is shown without asking for all.
const recallDays = 7

func recallList(ctx context.Context, c *Call) (any, error) {
	var in RecallListRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	rows, err := c.recallRows(ctx)
	if err != nil {
		return nil, err
	}
	if !in.All {
		rows = slices.DeleteFunc(rows, func(r RecallRow) bool {
			if r.Direction == recallIn {
				return r.Since.Before(c.Now().AddDate(0, 0, -recallDays))
			}
			return !r.open()
		})
	}
	return rows, nil
}

// open reports whether a person waits for somebody, or somebody for a person.
func (r RecallRow) open() bool {
	return r.Direction == recallOut && (r.State == recallSilent || r.State == recallUnsigned || r.Refusal == message.RefusedReview)
}

func (s *Services) openRecalls(ctx context.Context) (n int, err error) {
	waiting, err := s.Courier.WaitingRecalls(ctx)
	if err != nil {
		return 0, err
	}
	sent, err := s.Courier.Recalls(ctx)
	n = len(waiting)
	for _, r := range sent {
		for _, to := range r.To {
			if to.Open() {
				n++
			}
		}
	}
	return n, err
}

// recallRows lists what waits for a signature, what was sent, what came.
func (s *Services) recallRows(ctx context.Context) ([]RecallRow, error) {
	rows := []RecallRow{}
	waiting, err := s.Courier.WaitingRecalls(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range waiting {
		rows = append(rows, RecallRow{Direction: recallOut, Objects: []stix.ID{p.Order.Object}, Reason: p.Order.Reason, Scope: p.Order.Scope,
			Deadline: p.Order.Deadline, State: recallUnsigned, By: p.Signed})
	}
	sent, err := s.Courier.Recalls(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range sent {
		if len(r.To) == 0 && r.Came.IsZero() && r.Only != s.Node { // withdrawn before it left for anybody
			row := rowOf(recallOut, r.ID, r.Entries)
			row.State, row.Since, row.By = recallNotLeft, r.Made, r.By
			rows = append(rows, row)
		}
		for _, to := range r.To {
			row, err := s.sentRow(ctx, r.Recall, to)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
	}
	came, err := s.Courier.RecalledHere(ctx)
	for _, in := range came {
		rows = append(rows, s.cameRow(ctx, in))
	}
	return rows, err
}

func rowOf(direction, id string, entries []message.RecallEntry) RecallRow {
	r := RecallRow{Direction: direction, Recall: id}
	for _, e := range entries {
		r.Objects = append(r.Objects, e.Object)
		r.Reason, r.Scope, r.Deadline = e.Reason, e.Scope, e.Deadline
	}
	return r
}

func (r *RecallRow) count(results []message.RecallResult) {
	for _, x := range results {
		r.Found, r.InUse = r.Found+int(x.Found), r.InUse+int(x.ActiveAfter)
		r.Onward, r.Answered = max(r.Onward, int(x.Onward)), max(r.Answered, int(x.Answered))
		if x.Refusal != message.NotRefused {
			r.Refusal = x.Refusal
		}
	}
}

func (s *Services) sentRow(ctx context.Context, r courier.Recall, to courier.RecallTo) (RecallRow, error) {
	entries := to.Entries
	if len(entries) == 0 {
		entries = r.Entries
	}
	row := rowOf(recallOut, r.ID, entries)
	row.Partner, row.Withheld, row.By = s.callSign(ctx, to.Partner), to.Withheld, r.By
	if r.From != (noroshi.NodeID{}) {
		row.For = s.callSign(ctx, r.From)
	}
	state, since, err := s.Courier.Delivery(ctx, r, to)
	if err != nil {
		return row, err
	}
	row.Delivery, row.Since = deliveries[state], since
	switch {
	case len(to.Entries) == 0:
		row.State, row.Delivery, row.Since = recallNotLeft, "", r.Made
	case to.Answer == nil:
		row.State, row.Late = recallSilent, !row.Deadline.IsZero() && s.Now().After(row.Deadline)
	default:
		row.count(to.Answer.Results)
		row.State, row.Since = recallConfirmed, to.Answer.Time
		if row.Refusal != message.NotRefused {
			row.State = recallRefused
		}
	}
	return row, nil
}

func (s *Services) cameRow(ctx context.Context, in courier.RecallIn) RecallRow {
	row := rowOf(recallIn, in.Message.String(), in.Entries)
	row.Partner, row.State, row.Since = s.callSign(ctx, in.From), recallConfirmed, in.Time
	row.count(in.Results)
	if row.Refusal != message.NotRefused {
		row.State = recallRefused
	}
	if in.By != "" {
		row.By = []string{in.By}
	}
	return row
}

// deliveries are the words for how far a message has got.
var deliveries = map[store.OutState]string{store.Committed: "released", store.Attempted: "sent", store.StoredThere: "stored",
	store.AppliedThere: "applied", store.ReadThere: "read", store.Withheld: "withheld", store.Expired: "expired"}
