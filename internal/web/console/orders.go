package console

import (
	"slices"
	"strconv"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// Orders are signed by two release officers, one after the other, each at their
// own screen: the second finds the same form, and what is signed is the order that
// waits.

// orderTerms are what can be ordered about the agreement with a partner.
type orderTerms struct {
	partner.AgreementRow
	Terms web.AgreementTerms
	Here  bool // this node has suspended it
	There bool // the partner has
}

// Suspend reports whether this node can suspend the agreement.
func (o orderTerms) Suspend() bool {
	return !o.Here && (o.State == "in-force" || o.State == "suspended")
}

// waitingOrder is an order that a first officer signed.
type waitingOrder struct {
	partner.Ordered
	Path string // that signs it
	With noroshi.CallSign
	Text string
	Mine bool // the reader has signed it
}

// orderOps are the operations that sign orders, by action. Those about keys have a
// screen of their own.
var orderOps = map[noroshi.Action]string{
	noroshi.ActSuspendAgreement: "agreement.suspend", noroshi.ActResumeAgreement: "agreement.resume", noroshi.ActDeclareEmergency: "agreement.emergency",
	noroshi.ActStandingRule: "standing.add", noroshi.ActEndStandingRule: "standing.end",
}

// waiting are the orders that wait for a signature, of those that are asked for.
func (v *visit) waiting(is func(noroshi.Order) bool) ([]partner.Ordered, error) {
	all, err := ask[[]partner.Ordered](v, "order.waiting", struct{}{})
	return slices.DeleteFunc(all, func(o partner.Ordered) bool { return !is(o.Order) }), err
}

// waitingOrders lists the orders that wait for a second officer, those of a
// partner alone where one is named.
func (v *visit) waitingOrders(of *partner.Row, rules []partner.RuleRow, agreements []agreementLine) (list []waitingOrder, err error) {
	all, err := v.waiting(func(o noroshi.Order) bool {
		return orderOps[o.Action] != "" && (of == nil || aboutPartner(o, *of, rules))
	})
	for _, o := range all {
		w := waitingOrder{o, "/partners/orders", "", v.orderText(o.Order), slices.Contains(o.SignedBy, v.person.ID)}
		if i := slices.IndexFunc(agreements, func(a agreementLine) bool { return a.Hash == o.Order.Agreement }); i >= 0 {
			w.With = agreements[i].CallSign
		}
		if of != nil {
			w.Path = partnerPath(*of) + "/orders"
		}
		list = append(list, w)
	}
	return list, err
}

func aboutPartner(o noroshi.Order, p partner.Row, rules []partner.RuleRow) bool {
	ends := slices.ContainsFunc(rules, func(r partner.RuleRow) bool { return r.ID == o.Ends && r.Partner == p.Node })
	return !o.Agreement.IsZero() && o.Agreement == p.Agreement || o.Ends != "" && ends
}

// orderText says what an order orders.
func (v *visit) orderText(o noroshi.Order) string {
	switch {
	case o.Hours > 0:
		return v.t("console.partners.order-hours", o.Hours)
	case o.Rule != nil:
		return v.ruleText(*o.Rule)
	case o.Ends != "":
		return o.Ends
	}
	return ""
}

// ruleText says what a standing rule lets go.
func (v *visit) ruleText(r noroshi.StandingRule) string {
	what := v.t("cli.standing-warnings")
	if len(r.Types) > 0 {
		what = locale.List(v.lang, v.typeNames(r.Types))
	}
	return v.t("console.partners.rule-text", what, r.MaxTLP.String(), r.PerHour, locale.Date(v.lang, r.Until, locale.JST))
}

// signOrder adds the reader's signature to an order that waits.
func signOrder(v *visit) error {
	back, form := "/partners", partners
	if v.r.PathValue("partner") != "" {
		p, err := v.named()
		if err != nil {
			return err
		}
		back, form = partnerPath(p), partnerPage
	}
	list, err := v.waiting(func(o noroshi.Order) bool {
		return orderOps[o.Action] != "" && o.Bound().String() == v.r.PostFormValue("order")
	})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return v.again(noroshi.Errorf(noroshi.Conflict, "order.done", "the order is carried out already: draw up another"), form)
	}
	done, err := v.give(orderOps[list[0].Order.Action], list[0].Order)
	if err != nil {
		return v.again(err, form)
	}
	return v.goTo(back, signedWord(done))
}

// order has the reader sign an order and says whether it is done.
func (v *visit) order(op string, want noroshi.Order) (done bool, err error) {
	drawn, err := ask[partner.Ordered](v, "order.draw", want)
	if err != nil {
		return false, err
	}
	o := drawn.Order
	if at, err := time.Parse(time.RFC3339, v.r.PostFormValue("at")); err == nil && len(drawn.SignedBy) == 0 {
		o.At = at.UTC() // of the form: a passkey signs what the form comes to, and the form is sent twice
	}
	return v.give(op, o)
}

func (v *visit) give(op string, o noroshi.Order) (done bool, err error) {
	by, err := v.sign(o.Action, o.Subject(), o.Bound())
	if err != nil {
		return false, err
	}
	given, err := ask[partner.Ordered](v, op, web.OrderRef{Order: o, By: by})
	return given.Waiting == 0, err
}

// agreed gives an order about the agreement with the partner of the path, which
// make fills in.
func (v *visit) agreed(op string, fill func(partner.Row) (noroshi.Order, error)) error {
	p, err := v.named()
	if err != nil {
		return err
	}
	if p.Agreement.IsZero() {
		return nowhere(v)
	}
	want, err := fill(p)
	if err != nil {
		return v.again(err, partnerPage)
	}
	done, err := v.order(op, want)
	if err != nil {
		return v.again(err, partnerPage)
	}
	return v.goTo(partnerPath(p), signedWord(done))
}

// orderTime is the time of an order, as its form has it.
func (v *visit) orderTime() string { return v.now.UTC().Format(time.RFC3339) }

func signedWord(done bool) string {
	if done {
		return "ordered"
	}
	return "second-officer"
}

func suspend(v *visit) error {
	return v.agreed("agreement.suspend", func(p partner.Row) (noroshi.Order, error) {
		return noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: p.Agreement}, nil
	})
}

func resume(v *visit) error {
	return v.agreed("agreement.resume", func(p partner.Row) (noroshi.Order, error) {
		return noroshi.Order{Action: noroshi.ActResumeAgreement, Agreement: p.Agreement}, nil
	})
}

func emergency(v *visit) error {
	return v.agreed("agreement.emergency", func(p partner.Row) (noroshi.Order, error) {
		hours, _ := strconv.Atoi(v.r.PostFormValue("hours")) // of no number: the operation says what it may be
		return noroshi.Order{Action: noroshi.ActDeclareEmergency, Agreement: p.Agreement, Hours: hours}, nil
	})
}

func standing(v *visit) error {
	return v.agreed("standing.add", func(p partner.Row) (noroshi.Order, error) {
		until, err := v.lastDay("until")
		if err != nil {
			return noroshi.Order{}, err
		}
		tlp, err := noroshi.ParseTLP(v.r.PostFormValue("max-tlp"))
		if err != nil {
			return noroshi.Order{}, err
		}
		perHour, _ := strconv.Atoi(v.r.PostFormValue("per-hour")) // likewise
		rule := noroshi.StandingRule{Partner: p.Node, Agreement: p.Agreement, Types: fieldWords(v.r.PostFormValue("types")), MaxTLP: tlp, PerHour: perHour, Until: until}
		return noroshi.Order{Action: noroshi.ActStandingRule, Agreement: p.Agreement, Rule: &rule}, nil
	})
}

func endStanding(v *visit) error {
	return v.agreed("standing.end", func(partner.Row) (noroshi.Order, error) {
		return noroshi.Order{Action: noroshi.ActEndStandingRule, Ends: v.r.PostFormValue("rule")}, nil
	})
}

// lastDay reads a day of a form and returns when it ends in Japan: both officers
// fill in the same day and so sign the same order.
func (v *visit) lastDay(field string) (time.Time, error) {
	day, err := dayOf(v.r.PostFormValue(field))
	return day.AddDate(0, 0, 1).UTC(), err
}

// dayOf reads a day as the time when it begins in Japan.
func dayOf(text string) (time.Time, error) {
	day, err := time.ParseInLocation(time.DateOnly, text, locale.JST)
	if err != nil {
		err = noroshi.Errorf(noroshi.Invalid, "console.day", "%q is no day: write it as 2026-11-29", text)
	}
	return day, err
}
