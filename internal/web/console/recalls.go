package console

import (
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// recallsData is the recalls that were sent and that came.
type recallsData struct {
	All  bool
	Rows []web.RecallRow
	More bool
}

// Came are the recalls that came and of which more than the stop may be refused.
func (d recallsData) Came() (list []web.RecallRow) {
	for _, r := range d.Rows {
		if r.Direction == "came" && r.State != "refused" {
			list = append(list, r)
		}
	}
	return list
}

// Whys are the reasons of a refusal, as words.
func (recallsData) Whys() []string { return []string{"law", "duty", "review", "other"} }

// recallRows is how many recalls the list shows.
const recallRows = 100

func recalls(v *visit) error {
	d := recallsData{All: v.r.FormValue("all") != ""}
	var err error
	if d.Rows, err = ask[[]web.RecallRow](v, "recall.list", web.RecallListRef{All: d.All}); err != nil {
		return err
	}
	if len(d.Rows) > recallRows {
		d.Rows, d.More = d.Rows[:recallRows], true
	}
	return v.show("release-recalls", d)
}

// recallData is a recall that is being ordered.
type recallData struct {
	Order   courier.RecallOrder
	Planned *web.RecallPlanned // nil until an object is named
	Mine    bool               // the reader has signed this order
}

// Reasons are those a person may order a recall for, as words.
func (recallData) Reasons() []string { return []string{"mistaken", "spill", "source", "over"} }

// Scopes are what a person may ask for, as words.
func (recallData) Scopes() []string { return []string{"stop-use", "delete"} }

// recallOrder reads the order out of the form or the query.
func (v *visit) recallOrder() (o courier.RecallOrder, err error) {
	o = courier.RecallOrder{Object: stix.ID(v.r.FormValue("object")), Reason: message.RecallMistaken, Scope: message.RecallStopUse}
	if s := v.r.FormValue("reason"); s != "" {
		if err := o.Reason.UnmarshalText([]byte(s)); err != nil {
			return o, err
		}
	}
	if s := v.r.FormValue("scope"); s != "" {
		if err := o.Scope.UnmarshalText([]byte(s)); err != nil {
			return o, err
		}
	}
	if s := v.r.FormValue("deadline"); s != "" {
		if o.Deadline, err = time.Parse(time.RFC3339, s); err != nil {
			return o, noroshi.Errorf(noroshi.Invalid, "console.time", "%q is no time with a zone", s)
		}
	}
	return o, nil
}

// recallForm shows what a recall would do before anybody signs it.
func recallForm(v *visit) error {
	o, err := v.recallOrder()
	d := recallData{Order: o}
	if err == nil && o.Object != "" {
		var p web.RecallPlanned
		if p, err = ask[web.RecallPlanned](v, "recall.plan", o); err == nil {
			d.Planned, d.Order = &p, p.Order
			for _, by := range p.Signed {
				d.Mine = d.Mine || by == v.person.ID
			}
		}
	}
	if err != nil && v.problem == nil {
		return v.typed(err, func(v *visit) error { return v.show("release-recall", d) })
	}
	return v.show("release-recall", d)
}

// recallSend signs the order that was shown.
func recallSend(v *visit) error {
	o, err := v.recallOrder()
	if err != nil {
		return v.again(err, recallForm)
	}
	p, err := ask[web.RecallPlanned](v, "recall.plan", o)
	if err != nil {
		return v.typed(err, recallForm)
	}
	if p.Bound.String() != v.r.PostFormValue("bound") {
		return v.again(noroshi.Errorf(noroshi.Conflict, "recall.changed", "what the recall would do has changed since it was shown"), recallForm)
	}
	by, err := v.sign(noroshi.ActRecall, string(o.Object), p.Bound)
	if err != nil {
		return v.again(err, recallForm)
	}
	sent, err := ask[web.RecallSent](v, "recall.send", web.RecallSend{Order: p.Order, By: by})
	if err != nil {
		return v.again(err, recallForm)
	}
	if sent.ID == "" {
		return v.goTo("/release/recalls", "recall-second")
	}
	return v.goTo("/release/recalls", "recalled")
}

func recallRefuse(v *visit) error {
	in := web.RecallRefuse{}
	err := in.Message.UnmarshalText([]byte(v.r.PostFormValue("recall")))
	if err == nil {
		err = in.Why.UnmarshalText([]byte(v.r.PostFormValue("why")))
	}
	if err != nil {
		return v.again(noroshi.Errorf(noroshi.Invalid, "console.form", "the form cannot be read: %w", err), recalls)
	}
	if in.By, err = v.sign(noroshi.ActRefuseRecall, in.Message.String(), courier.RefusalBound(in.Why)); err != nil {
		return v.again(err, recalls)
	}
	if _, err := ask[any](v, "recall.refuse", in); err != nil {
		return v.again(err, recalls)
	}
	return v.goTo("/release/recalls", "recall-refused")
}
