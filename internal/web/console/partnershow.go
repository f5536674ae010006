package console

import (
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// partnerData is the page of one partner.
type partnerData struct {
	partnerLine
	Paths      []pathLine
	Waiting    []string // messages on their way, by precedence: "Z 1"
	Missing    string   // sequences that have not come
	LastError  string
	Changes    []changeLine
	Older      string // link to older changes
	Keys       []partner.KeyRow
	Held       *partner.HeldRow
	Body       *agreementBody  // of the agreement both signed last, where it can be read
	Agreements []agreementLine // all with this partner
	Shared     []sharedLine
	Objects    int // shared in all
	Rules      []ruleLine
	Order      orderTerms
	Orders     []waitingOrder
	At         string // now: an order that is drawn up here is of that time

	Tested   string // round trip that link.test measured
	Compared *comparison
}

// pathLine is one channel to the partner.
type pathLine struct {
	courier.PathStatus
	Way   string
	Shown stateWord
	InUse bool
	Says  string   // why it is as it is
	Run   []string // commands that carry on where it is down
}

// changeLine is one change of path.
type changeLine struct {
	web.ChangeOfPath
	Text string
}

// sharedLine is what was released under one clause with one label.
type sharedLine struct {
	web.SharedRow
	Article string
}

// ruleLine is a standing rule.
type ruleLine struct {
	partner.RuleRow
	Text string
}

// comparison is what link.compare found.
type comparison struct {
	courier.Comparison
	Shown stateWord
}

func partnerPage(v *visit) error {
	d, err := v.partnerData()
	if err != nil {
		return err
	}
	return v.show("partners-show", d)
}

func (v *visit) partnerData() (d partnerData, err error) {
	d.At = v.orderTime()
	p, err := v.named()
	if err != nil {
		return d, err
	}
	rows, err := ask[[]partner.AgreementRow](v, "agreement.list", struct{}{})
	if err != nil {
		return d, err
	}
	for _, a := range rows {
		if a.Partner == p.Node {
			d.Agreements = append(d.Agreements, v.agreementLine(a))
		}
	}
	links, err := ask[[]courier.LinkStatus](v, "link.list", struct{}{})
	if err != nil {
		return d, err
	}
	d.partnerLine = v.partnerLine(p, links, d.Agreements)
	if d.Link != nil {
		v.linkIn(&d, d.Link.LinkStatus)
	}
	if v.part() == "link" {
		return d, nil
	}
	for _, add := range []func(*partnerData) error{v.changesIn, v.keysIn, v.agreedIn, v.sharedIn, v.rulesIn} {
		if err := add(&d); err != nil {
			return d, err
		}
	}
	return d, nil
}

// linkIn adds the channels and what is on its way.
func (v *visit) linkIn(d *partnerData, l courier.LinkStatus) {
	for p := noroshi.Flash; p >= noroshi.Routine; p-- {
		if n := l.Waiting[p.String()]; n > 0 {
			d.Waiting = append(d.Waiting, p.Prosign()+" "+strconv.Itoa(n))
		}
	}
	var gaps []string
	for _, r := range l.Missing[:min(len(l.Missing), shownGaps)] {
		gap := strconv.FormatUint(r.A, 10)
		if r.B > r.A {
			gap += "–" + strconv.FormatUint(r.B, 10)
		}
		gaps = append(gaps, gap)
	}
	d.Missing = locale.List(v.lang, gaps)
	if len(l.Missing) > shownGaps {
		d.Missing += " …"
	}
	if l.LastError.Message != "" && !l.Up {
		d.LastError = v.told(l.LastError)
	}
	for _, p := range l.Paths {
		d.Paths = append(d.Paths, v.pathLine(l, p))
	}
}

// shownGaps is how many runs of missing sequences a page names.
const shownGaps = 8

func (v *visit) pathLine(l courier.LinkStatus, p courier.PathStatus) pathLine {
	state := p.State
	if !p.Listed {
		state = "unlisted"
	}
	shape := map[string]string{"proven": "ok", "unproven": "stby", "silent": "cau", "down": "crit"}[state]
	if shape == "" {
		shape = "off"
	}
	line := pathLine{PathStatus: p, Way: wayName(v.lang, p.Channel), Shown: stateWord{shape, v.t("path." + state)}, InUse: p.Channel == l.Channel}
	if p.Why.Message != "" {
		line.Says = v.told(p.Why)
	}
	if shape == "crit" || shape == "cau" {
		to := string(l.CallSign)
		line.Run = []string{"noroshi media pack --to " + to + " --out /media/stick", "noroshi media qr --to " + to + " --show"}
	}
	return line
}

// told is an error that was kept, in the reader's language where there are words
// for it.
func (v *visit) told(t noroshi.Told) string {
	return locale.Or(v.lang, "error."+t.Code, t.Message, locale.Strings(t.Args)...)
}

func (v *visit) changesIn(d *partnerData) error {
	if !linked(d.Row) {
		return nil
	}
	before, _ := strconv.ParseUint(v.r.FormValue("before"), 10, 64) // of no number: from the end
	out, err := ask[web.ChangesOfPath](v, "link.changes", web.ChangesRef{Partner: noroshi.CallSign(d.Node.String()), Before: before, Limit: shownChanges})
	if err != nil {
		return err
	}
	for _, c := range out.Changes {
		ways := v.path(c.From) + " → " + v.path(c.To)
		d.Changes = append(d.Changes, changeLine{c, locale.Or(v.lang, "switch."+c.Why, ways, ways)})
	}
	if out.Next > 0 {
		d.Older = d.Path + "?before=" + strconv.FormatUint(out.Next, 10) + "#changes"
	}
	return nil
}

// path is a channel of a change, or that there was none.
func (v *visit) path(channel string) string {
	if channel == "" {
		return v.t("console.partners.no-path")
	}
	return wayName(v.lang, channel)
}

// shownChanges is how many changes of path a page shows.
const shownChanges = 10

func (v *visit) keysIn(d *partnerData) error {
	list, err := ask[partner.KeyList](v, "key.list", struct{}{})
	if err != nil {
		return err
	}
	for _, k := range list.Keys {
		if k.Node == d.Node {
			d.Keys = append(d.Keys, k)
		}
	}
	if i := slices.IndexFunc(list.Held, func(h partner.HeldRow) bool { return h.Partner == d.Node }); i >= 0 {
		d.Held = &list.Held[i]
	}
	return nil
}

// agreedIn adds what the agreement says that both signed last.
func (v *visit) agreedIn(d *partnerData) error {
	if d.Now == nil {
		return nil
	}
	text, err := ask[web.AgreementText](v, "agreement.show", web.AgreementRef{Hash: d.Agreement})
	if err != nil {
		return err
	}
	body, err := v.body([]byte(text.Text))
	if err != nil || body.Problem != nil {
		return err // the list says that it cannot be read
	}
	d.Body = &body
	d.Order = orderTerms{text.AgreementRow, body.Terms, slices.Contains(d.Suspended, v.Node), slices.Contains(d.Suspended, d.Node)}
	return nil
}

// sharedIn adds what was shared in thirty days.
func (v *visit) sharedIn(d *partnerData) error {
	rows, err := ask[[]web.SharedRow](v, "partner.shared", web.SharedRef{Partner: noroshi.CallSign(d.Node.String()), Days: 30})
	for _, r := range rows {
		article := v.either(r.ArticleEN, r.ArticleJA)
		d.Shared, d.Objects = append(d.Shared, sharedLine{r, article}), d.Objects+r.Objects
	}
	return err
}

// rulesIn adds the standing rules, and the orders that wait.
func (v *visit) rulesIn(d *partnerData) error {
	rules, err := ask[[]partner.RuleRow](v, "standing.list", struct{}{})
	if err != nil {
		return err
	}
	for _, r := range rules {
		if r.Partner == d.Node {
			d.Rules = append(d.Rules, ruleLine{r, v.ruleText(r.StandingRule)})
		}
	}
	d.Orders, err = v.waitingOrders(&d.Row, rules, d.Agreements)
	return err
}

// linkTest asks the partner for an answer, by all channels or by one.
func linkTest(v *visit) error {
	p, err := v.named()
	if err != nil {
		return err
	}
	tested, err := ask[web.Tested](v, "link.test", web.LinkTest{Partner: noroshi.CallSign(p.Node.String()), Channel: v.r.PostFormValue("channel")})
	if err != nil {
		return v.again(err, partnerPage)
	}
	d, err := v.partnerData()
	if err != nil {
		return err
	}
	d.Tested = tested.RoundTrip
	return v.show("partners-show", d)
}

// linkCompare compares what both sides hold of each other's streams.
func linkCompare(v *visit) error {
	p, err := v.named()
	if err != nil {
		return err
	}
	found, err := ask[courier.Comparison](v, "link.compare", web.PartnerRef{Partner: noroshi.CallSign(p.Node.String())})
	if err != nil {
		return v.again(err, partnerPage)
	}
	d, err := v.partnerData()
	if err != nil {
		return err
	}
	d.Compared = &comparison{found, stateWord{"ok", v.t("console.partners.alike")}}
	if !found.Equal {
		d.Compared.Shown = stateWord{"ser", v.t("console.partners.differ", len(found.Differences))}
	}
	return v.show("partners-show", d)
}

// goOn lets a link that was put back go on without its partner.
func goOn(v *visit) error {
	p, err := v.named()
	if err != nil {
		return err
	}
	back := v.r.PostFormValue("take-back") != ""
	by, err := v.sign(noroshi.ActGoOn, p.Node.String(), courier.GoOnBound(p.Node, back))
	if err != nil {
		return v.again(err, partnerPage)
	}
	if _, err := ask[any](v, "link.go-on", web.GoOnRef{Partner: p.Node, TakeBack: back, By: by}); err != nil {
		return v.again(err, partnerPage)
	}
	return v.goTo(partnerPath(p), "going-on")
}

// fieldWords splits what a person typed into a field for several words.
func fieldWords(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,、，\t\r\n　", r) })
}
