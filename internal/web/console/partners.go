package console

import (
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/partner"
)

var partnerRoutes = []Route{
	{"GET /partners", noroshi.ActRead, false, partners},
	{"POST /partners/orders", noroshi.ActSuspendAgreement, false, signOrder},
	{"POST /partners/{partner}/orders", noroshi.ActSuspendAgreement, false, signOrder},
	{"GET /partners/introduce", noroshi.ActIntroduce, false, introduceForm},
	{"POST /partners/card", noroshi.ActIntroduce, false, makeCard},
	{"POST /partners/receive", noroshi.ActIntroduce, false, receiveCard},
	{"GET /partners/{partner}/introduce", noroshi.ActIntroduce, false, introduction},
	{"GET /partners/{partner}/card", noroshi.ActIntroduce, false, cardFile},
	{"POST /partners/{partner}/heard", noroshi.ActIntroduce, false, heard},
	{"GET /partners/{partner}", noroshi.ActRead, false, partnerPage},
	{"POST /partners/{partner}/test", noroshi.ActRead, false, linkTest},
	{"POST /partners/{partner}/compare", noroshi.ActRead, false, linkCompare},
	{"POST /partners/{partner}/go-on", noroshi.ActGoOn, false, goOn},
	{"POST /partners/{partner}/suspend", noroshi.ActSuspendAgreement, false, suspend},
	{"POST /partners/{partner}/resume", noroshi.ActResumeAgreement, false, resume},
	{"POST /partners/{partner}/emergency", noroshi.ActDeclareEmergency, false, emergency},
	{"POST /partners/{partner}/standing", noroshi.ActStandingRule, false, standing},
	{"POST /partners/{partner}/standing/end", noroshi.ActEndStandingRule, false, endStanding},
	{"GET /partners/{partner}/draft", noroshi.ActProposeAgreement, false, draftForm},
	{"POST /partners/{partner}/draft", noroshi.ActProposeAgreement, false, draft},
	{"POST /partners/{partner}/propose", noroshi.ActProposeAgreement, false, propose},
	{"GET /partners/{partner}/agreements/{hash}", noroshi.ActRead, false, agreementPage},
	{"GET /partners/{partner}/agreements/{hash}/file", noroshi.ActRead, false, agreementFile},
	{"POST /partners/{partner}/agreements/{hash}/rehearse", noroshi.ActRead, false, rehearseAgreement},
	{"POST /partners/{partner}/agreements/{hash}/sign", noroshi.ActSignAgreement, false, signAgreement},
}

// partnersData is the list of partners, of agreements and of orders that wait.
type partnersData struct {
	Partners   []partnerLine
	Agreements []agreementLine
	Orders     []waitingOrder
}

// partnerLine is a partner in the list.
type partnerLine struct {
	partner.Row
	Path  string // of its page
	Trust stateWord
	Link  *linkWord
	Now   *agreementLine // in force, or suspended, over or unreadable
	Keys  stateWord
}

// stateWord is a state as shape and word.
type stateWord struct{ State, Word string }

// linkWord is a link as a list shows it.
type linkWord struct {
	stateWord
	courier.LinkStatus
	Way string // channel in use, in words
}

// agreementLine is an agreement in a list.
type agreementLine struct {
	partner.AgreementRow
	Path  string
	Title string // in the reader's language
	Shown stateWord
	Asks  bool // the reader's signature is missing
}

func partners(v *visit) error {
	d, err := v.partners()
	if err != nil {
		return err
	}
	return v.show("partners", d)
}

func (v *visit) partners() (d partnersData, err error) {
	rows, err := ask[[]partner.Row](v, "partner.list", struct{}{})
	if err != nil {
		return d, err
	}
	links, err := ask[[]courier.LinkStatus](v, "link.list", struct{}{})
	if err != nil {
		return d, err
	}
	agreements, err := ask[[]partner.AgreementRow](v, "agreement.list", struct{}{})
	if err != nil {
		return d, err
	}
	for _, a := range agreements {
		d.Agreements = append(d.Agreements, v.agreementLine(a))
	}
	for _, r := range rows {
		d.Partners = append(d.Partners, v.partnerLine(r, links, d.Agreements))
	}
	d.Orders, err = v.waitingOrders(nil, nil, d.Agreements)
	return d, err
}

func (v *visit) partnerLine(r partner.Row, links []courier.LinkStatus, agreements []agreementLine) partnerLine {
	line := partnerLine{Row: r, Path: partnerPath(r), Trust: v.trust(r), Keys: stateWord{"ok", v.t("console.partners.keys-fresh")}}
	if !r.KeysFresh {
		line.Keys = stateWord{"cau", v.t("console.partners.keys-stale")}
	}
	for _, l := range links {
		if l.Partner == r.Node && linked(r) {
			line.Link = &linkWord{v.linkShape(l), l, wayName(v.lang, l.Channel)}
		}
	}
	for i, a := range agreements {
		if a.Hash == r.Agreement {
			line.Now = &agreements[i]
		}
	}
	return line
}

// linked reports whether there can be a link with a partner.
func linked(r partner.Row) bool {
	return r.Trust == noroshi.Introduced || r.Trust == noroshi.InForce
}

// partnerPath is the address of a partner's page. One that another took the place
// of is found by its node id only.
func partnerPath(r partner.Row) string {
	if r.Trust == noroshi.Suspended {
		return "/partners/" + r.Node.String()
	}
	return "/partners/" + string(r.Organisation.CallSign)
}

func (v *visit) trust(r partner.Row) stateWord {
	state := map[noroshi.Trust]string{noroshi.CardHeld: "off", noroshi.Introduced: "stby", noroshi.InForce: "ok"}[r.Trust]
	word := v.t("trust." + string(r.Trust))
	switch {
	case r.Trust == noroshi.CardHeld && len(r.ConfirmedBy) > 0:
		state, word = "stby", v.t("console.partners.second-person")
	case len(r.Suspended) > 0:
		state, word = "cau", v.t("state.suspended")
	case state == "":
		state = "crit"
	}
	return stateWord{state, word}
}

func (v *visit) linkShape(l courier.LinkStatus) stateWord {
	switch {
	case !l.Up && l.LastHeard.IsZero():
		return stateWord{"off", v.t("console.partners.never-heard")}
	case !l.Up:
		return stateWord{"crit", v.t("link.down")}
	case l.Recovering != "" || l.Late > 0 || len(l.Missing) > 0 || quiet(l, v.now):
		return stateWord{"cau", v.t("link.up")}
	}
	return stateWord{"ok", v.t("link.up")}
}

func (v *visit) agreementLine(a partner.AgreementRow) agreementLine {
	state := map[string]string{"proposed": "stby", "countersigned": "stby", "in-force": "ok", "suspended": "cau", "unreadable": "crit"}[a.State]
	if state == "" {
		state = "off"
	}
	line := agreementLine{AgreementRow: a, Path: "/partners/" + string(a.CallSign) + "/agreements/" + a.Hash.String(), Title: v.either(a.TitleEN, a.TitleJA),
		Shown: stateWord{state, v.t("state." + a.State)}}
	line.Asks = a.State == "proposed" && a.Waiting > 0 && v.person.May(noroshi.ActSignAgreement) && !slices.Contains(a.SignedBy, v.person.ID)
	return line
}

// either is a text of a document in the reader's language.
func (v *visit) either(en, ja string) string {
	if v.lang == locale.JA && ja != "" {
		return ja
	}
	return en
}
