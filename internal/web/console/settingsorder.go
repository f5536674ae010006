package console

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/partner"
)

// An order is shown before it is signed, and the form brings back exactly what
// was shown: so the second person, at their own screen, signs the same.

// giving are the operations by which orders of the settings are signed.
var giving = map[noroshi.Action]string{noroshi.ActDelegate: "person.delegate", noroshi.ActRotateKey: "key.rotate", noroshi.ActRevokeKey: "key.revoke"}

// orderData is one order to be signed.
type orderData struct {
	orderLine
	JSON string // the order, as the form brings it back
	May  bool   // the reader may sign, and has not
}

// orderLine is an order that waits for a signature.
type orderLine struct {
	partner.Ordered
	Path    string
	What    string // in words
	About   string
	Expires time.Time
	Mine    bool // the reader has signed
}

// orders lists those of some actions that wait for a signature.
func (v *visit) orders(actions ...noroshi.Action) (list []orderLine, err error) {
	waiting, err := v.waiting(func(o noroshi.Order) bool { return slices.Contains(actions, o.Action) })
	for _, o := range waiting {
		list = append(list, v.orderLine(o))
	}
	return list, err
}

func (v *visit) orderLine(o partner.Ordered) orderLine {
	l := orderLine{Ordered: o, Path: "/settings/orders/" + o.Order.Bound().String(), What: v.t("act." + string(o.Order.Action)), About: o.Order.Subject(),
		Expires: o.Order.At.Add(noroshi.OrderLife), Mine: slices.Contains(o.SignedBy, v.person.ID)}
	switch k := o.Order.Key; {
	case o.Order.Action == noroshi.ActDelegate:
		l.About = v.t("console.order.delegate", o.Order.Person, v.t("role."+string(o.Order.Role)), locale.Date(v.lang, o.Order.Until, locale.JST))
	case k != nil && k.ID == "":
		l.About = v.t("console.order.rotate", v.t("key.use-"+string(k.Use)))
	case k != nil && k.Stranger:
		l.About = v.t("console.order.stranger", k.ID)
	case k != nil && !k.Since.IsZero():
		l.About = v.t("console.order.since", k.ID, locale.Date(v.lang, k.Since, locale.JST))
	case k != nil:
		l.About = v.t("console.order.revoke", k.ID)
	}
	return l
}

// showOrder shows an order to be signed.
func (v *visit) showOrder(o partner.Ordered) error {
	b, err := json.Marshal(o.Order)
	if err != nil {
		return err
	}
	d := orderData{orderLine: v.orderLine(o), JSON: string(b)}
	d.May = v.person.May(o.Order.Action) && !d.Mine && o.Waiting > 0
	return v.show("settings-order", d)
}

// draw shows a new order, or the one that says the same and waits.
func (v *visit) draw(want noroshi.Order) error {
	o, err := ask[partner.Ordered](v, "order.draw", want)
	if err != nil {
		return err
	}
	return v.showOrder(o)
}

func settingOrder(v *visit) error {
	list, err := v.waiting(func(o noroshi.Order) bool {
		return giving[o.Action] != "" && o.Bound().String() == v.r.PathValue("bound")
	})
	if err != nil || len(list) == 0 {
		return nowhereOr(v, err)
	}
	return v.showOrder(list[0])
}

// settingOrderSign signs the order that was shown.
func settingOrderSign(v *visit) error {
	var o noroshi.Order
	d := json.NewDecoder(strings.NewReader(v.r.PostFormValue("order")))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return noroshi.Errorf(noroshi.Invalid, "console.form", "the form cannot be read: %w", err)
	}
	op := giving[o.Action]
	if op == "" || !v.person.May(o.Action) {
		return nowhere(v)
	}
	done, err := v.give(op, o)
	if err != nil {
		return v.again(err, func(v *visit) error { return v.showOrder(partner.Ordered{Order: o, Waiting: 1}) })
	}
	to := "/settings/keys"
	if o.Action == noroshi.ActDelegate {
		to = "/settings/people"
	}
	if !done {
		return v.goTo(to, "order-waits")
	}
	return v.goTo(to, "order-done")
}
