package console

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

var warningRoutes = []Route{
	{"GET /warnings", noroshi.ActRead, false, warnings},
	{"GET /warnings/new", noroshi.ActWarn, false, newWarning},
	{"POST /warnings/new", noroshi.ActWarn, false, signWarning},
	{"GET /warnings/{id}", noroshi.ActRead, false, showWarning},
	{"POST /warnings/{id}/acknowledge", noroshi.ActAck, false, ackWarning},
	{"POST /warnings/{id}/withdraw", noroshi.ActWithdraw, false, withdrawWarning},
}

// warningsData is a page of the list.
type warningsData struct {
	Rows []warningLine
	Open []openCount
	All  bool
	Next string // address of the next page, "" at the end
	Late int
}

// warnings lists warnings, those first that wait for somebody.
func warnings(v *visit) error {
	all := v.r.FormValue("all") != ""
	p, err := ask[watch.Page](v, "warning.page", web.WarningPageRef{All: all, After: v.r.FormValue("after"), Limit: warningsPage})
	if err != nil {
		return err
	}
	d := warningsData{All: all, Late: p.Late}
	d.Rows, v.whole = v.lines(p.Rows), true
	for x := noroshi.Flash; x >= noroshi.Routine; x-- {
		d.Open = append(d.Open, openCount{x, p.Open[x]})
	}
	if p.Next != "" {
		q := url.Values{"after": {p.Next}}
		if all {
			q.Set("all", "1")
		}
		d.Next = "/warnings?" + q.Encode()
	}
	return v.show("warnings", d)
}

// warningsPage is how many warnings a page shows: an open page fetches all of them
// again with each that comes.
const warningsPage = 25

// warningData is one warning.
type warningData struct {
	web.WarningDetail
	Late       bool
	Texts      []wording   // in both languages, the reader's first
	Stale      []staleness // translations of other versions
	Seen       string      // what the page showed of it when it was asked for
	Changed    bool        // and it is otherwise by now
	Deliveries []delivery
}

// wording is a warning in one language.
type wording struct {
	Lang        locale.Lang
	Title, Text string
	By          string // who translated it, "" for the original
	Original    bool   // whoever made the warning wrote it in this language too
	Missing     bool
	How         web.Worded // how the words came about
	ID          stix.ID    // of the translation, "" for the original
}

// staleness is a translation that is not of the version shown.
type staleness struct {
	Lang, By, Of, Now string
	ID                stix.ID
}

// delivery is a partner and how far the warning has got there.
type delivery struct {
	watch.Delivery
	State string // of the "state" template
	Link  *courier.LinkStatus
}

// showWarning shows one warning.
func showWarning(v *visit) error {
	d, err := v.warning(stix.ID(v.r.PathValue("id")))
	if err != nil {
		return err
	}
	return v.show("warnings-show", d)
}

func (v *visit) warning(id stix.ID) (d warningData, err error) {
	if d.WarningDetail, err = ask[web.WarningDetail](v, "warning.show", web.ObjectRef{ID: id}); err != nil {
		return d, err
	}
	d.Late = d.Row.Late(v.now)
	now := fmt.Sprint(d.Hash.String()[:16], "-", len(d.Acks), "-", d.Withdrawn, "-", d.Replaced)
	d.Seen = or(v.r.FormValue("seen"), now)
	d.Changed = d.Seen != now
	d.words(v.lang)
	links, err := ask[[]courier.LinkStatus](v, "link.list", struct{}{})
	if err != nil {
		return d, err
	}
	for _, x := range d.Detail.Deliveries {
		line := delivery{Delivery: x, State: deliveryState(x)}
		if i := slices.IndexFunc(links, func(l courier.LinkStatus) bool { return l.Partner == x.Partner }); i >= 0 && !links[i].Up {
			line.Link = &links[i]
		}
		d.Deliveries = append(d.Deliveries, line)
	}
	return d, nil
}

// Step is when the partner said a thing, the zero time when it has not.
func (d delivery) Step(state string) time.Time {
	for _, s := range d.Steps {
		if s.State == state {
			return s.Time
		}
	}
	return time.Time{}
}

func deliveryState(d watch.Delivery) string {
	switch d.State {
	case "applied", "read":
		return "ok"
	case "withheld", "expired":
		return "off"
	}
	if d.Late {
		return "crit"
	}
	return "cau"
}

// words puts the two languages side by side, the reader's first, and a third where
// the warning was written in that.
func (d *warningData) words(reader locale.Lang) {
	original := locale.Lang(d.Lang)
	if original == "" {
		original = locale.EN
	}
	langs := slices.Clone(locale.Langs)
	if !slices.Contains(langs, original) {
		langs = append(langs, original)
	}
	for _, l := range langs {
		w := wording{Lang: l, Missing: true}
		if l == original {
			w = wording{Lang: l, Title: d.Title, Text: d.WarningDetail.Text, How: web.Worded{Machine: d.Drawn, Checked: d.Drawn}}
		}
		for _, t := range d.Translations {
			switch {
			case t.Lang != string(l) || l == original:
			case t.Stale:
				d.Stale = append(d.Stale, staleness{t.Lang, t.By, locale.Date(reader, t.Of, locale.JST), locale.Date(reader, d.Published, locale.JST), t.ID})
			case w.ID == "" || w.How.Unchecked() && !t.Unchecked():
				w = wording{Lang: l, Title: t.Title, Text: t.Text, By: t.By, Original: t.Original, How: t.Worded, ID: t.ID}
			}
		}
		d.Texts = append(d.Texts, w)
	}
	slices.SortStableFunc(d.Texts, func(a, b wording) int { return boolOrder(b.Lang == reader) - boolOrder(a.Lang == reader) })
}

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ackWarning acknowledges a warning as it was shown: the signature is over those
// bytes.
func ackWarning(v *visit) error {
	id := v.r.PathValue("id")
	by, err := v.signShown(noroshi.ActAck, id)
	if err == nil {
		_, err = ask[any](v, "warning.ack", web.SignedRef{Subject: id, By: by})
	}
	if err != nil {
		return v.again(err, showWarning)
	}
	return v.goTo("/warnings/"+id, "acknowledged")
}

// withdrawWarning withdraws a warning of this node, here and where it went.
func withdrawWarning(v *visit) error {
	id := v.r.PathValue("id")
	if _, err := v.warning(stix.ID(id)); err != nil { // of warnings alone: other objects have screens of their own
		return err
	}
	by, err := v.signShown(noroshi.ActWithdraw, id)
	if err == nil {
		_, err = ask[web.Withdrawn](v, "indicator.withdraw", web.SignedRef{Subject: id, By: by})
	}
	if err != nil {
		return v.again(err, showWarning)
	}
	return v.goTo("/warnings/"+id, "withdrawn")
}

// signShown signs an act about an object as the form showed it.
func (v *visit) signShown(a noroshi.Action, id string) (by noroshi.Signed, err error) {
	var shown noroshi.Hash
	if err := shown.UnmarshalText([]byte(v.r.PostFormValue("shown"))); err != nil {
		return by, noroshi.Errorf(noroshi.Invalid, "console.form", "the form does not say what was shown: %w", err)
	}
	return v.sign(a, id, shown)
}
