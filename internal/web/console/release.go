package console

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/web"
)

var releaseRoutes = []Route{
	{"GET /release", noroshi.ActRead, false, releaseQueue},
	{"GET /release/{id}", noroshi.ActRead, false, releaseShow},
	{"GET /release/{id}/bytes", noroshi.ActRead, false, releaseBytes},
	{"POST /release/{id}/approve", noroshi.ActApprove, false, releaseApprove},
	{"POST /release/{id}/return", noroshi.ActReturn, false, releaseReturn},
	{"POST /release/{id}/defer", noroshi.ActDefer, false, releaseDefer},
	{"POST /release/{id}/mark", noroshi.ActAssignMarking, false, releaseMark},
	{"GET /release/{id}/redraft/{object}", noroshi.ActReauthor, false, redraftForm},
	{"POST /release/{id}/redraft/{object}", noroshi.ActReauthor, false, redraft},
	{"GET /release/recalls", noroshi.ActRead, false, recalls},
	{"GET /release/recalls/new", noroshi.ActRecall, false, recallForm},
	{"POST /release/recalls/new", noroshi.ActRecall, false, recallSend},
	{"POST /release/recalls/refuse", noroshi.ActRefuseRecall, false, recallRefuse},
}

// releaseData is the screen: what waits, and one hold of it.
type releaseData struct {
	State string // of the holds listed: "" = open
	Here  string // the hold that is open on the screen
	Queue []queueLine
	More  string // link to what follows in the queue

	Hold  *web.HoldDetail
	Page  web.HoldPage
	Tabs  []holdTab
	Link  *courier.LinkStatus
	Only  bool   // only what changes
	First bool   // nothing lies before this page
	Next  string // link to the next page
	Seen  string // digest the reader was shown, of a part that updates itself
}

// queueLine is one hold in the queue.
type queueLine struct {
	web.HoldRow
	Age  time.Duration
	Who  string // must do what
	Mine bool   // the reader can do it
	Here bool
}

// holdTab is the same run as it is held for a partner.
type holdTab struct {
	web.HoldRow
	Here bool
}

const (
	queueRows = 30 // holds the queue shows
	holdRows  = 15 // members of one that a page shows, field by field
)

// releaseQueue shows the queue; whoever comes without naming a hold is sent to the
// first one.
func releaseQueue(v *visit) error {
	part := v.part()
	if part != "" && part != "queue" {
		return nowhere(v)
	}
	rows := queueRows
	if part == "" {
		rows = 1 // the hold that is shown reads the queue
	}
	d, err := v.queue("", rows)
	if err != nil {
		return err
	}
	if len(d.Queue) > 0 && part == "" {
		to := url.URL{Path: "/release/" + d.Queue[0].ID, RawQuery: v.r.URL.RawQuery}
		return v.goTo(to.String(), "")
	}
	return v.show("release", d)
}

// part is the part of a page that a page asks for to update itself, "" for all of
// it.
func (v *visit) part() string {
	if v.r.Header.Get("HX-Request") == "" {
		return ""
	}
	return v.r.FormValue("part")
}

// queue reads so many of the queue, in which one hold is open on the screen.
func (v *visit) queue(here string, most int) (d releaseData, err error) {
	d.Here = here
	if d.State = v.r.FormValue("state"); d.State != "returned" && d.State != "approved" {
		d.State = ""
	}
	rows, err := ask[[]web.HoldRow](v, "release.list", web.HoldRef{State: d.State, Urgent: d.State == "", Limit: most + 1, After: v.r.FormValue("from")})
	if err != nil {
		return d, err
	}
	if len(rows) > most {
		rows = rows[:most]
		d.More = "/release/" + rows[most-1].ID + "?" + url.Values{"state": {d.State}, "from": {rows[most-1].ID}}.Encode()
	}
	for _, r := range rows {
		d.Queue = append(d.Queue, v.queueLine(r, here))
	}
	return d, nil
}

func (v *visit) queueLine(r web.HoldRow, here string) queueLine {
	q := queueLine{HoldRow: r, Here: r.ID == here}
	if opened := instantOf(r.Opened); !opened.IsZero() {
		q.Age = max(v.now.Sub(opened), time.Second)
	}
	mine := slices.Contains(r.Approvals, v.person.ID)
	q.Mine = !mine && r.State == "open" && (r.Needs > 0 && v.person.May(noroshi.ActApprove) || r.Needs == 0 && v.person.May(noroshi.ActAssignMarking))
	q.Who = v.t("console.release.who." + whoSigns(r, mine))
	if r.Needs == 0 && r.State == "open" {
		q.Who = v.t("hold." + string(r.Key))
	}
	return q
}

// whoSigns names who must act on a hold.
func whoSigns(r web.HoldRow, mine bool) string {
	switch {
	case r.State != "open":
		return r.State
	case r.Needs == 1:
		return "one"
	case mine:
		return "mine"
	case len(r.Approvals) > 0:
		return "second"
	}
	return "first"
}

func releaseShow(v *visit) error {
	id := v.r.PathValue("id")
	switch v.part() {
	case "queue":
		d, err := v.queue(id, queueRows)
		if err != nil {
			return err
		}
		return v.show("release", d)
	case "standing":
		return v.releaseStanding(id)
	}
	d, err := v.queue(id, queueRows)
	if err != nil {
		return err
	}
	if err := v.holdIn(&d, id, false); err != nil {
		return err
	}
	return v.show("release", d)
}

// releaseStanding updates who has signed: whether what the reader sees is still
// what there is, without touching what they type.
func (v *visit) releaseStanding(id string) error {
	h, err := ask[web.HoldDetail](v, "release.show", web.HoldRef{Hold: id, Reader: v.person.ID})
	if err != nil {
		return err
	}
	return v.show("release", releaseData{Hold: &h, Seen: v.r.FormValue("digest")})
}

// holdIn reads a hold and the page of it that is asked for; narrow is for the
// exact bytes alone.
func (v *visit) holdIn(d *releaseData, id string, narrow bool) error {
	h, err := ask[web.HoldDetail](v, "release.show", web.HoldRef{Hold: id, Reader: v.person.ID})
	if err != nil {
		return err
	}
	d.Hold, d.Only, d.Seen = &h, v.r.FormValue("only") != "", h.Digest.String()
	after, _ := strconv.ParseInt(v.r.FormValue("after"), 10, 64) // of no number: from the start
	d.First = after <= 0
	d.Page, err = ask[web.HoldPage](v, "release.page", web.HoldPageRef{Hold: id, After: max(after, 0), Limit: holdRows, Changed: d.Only, Narrow: narrow})
	if err != nil {
		return err
	}
	if d.Page.Next > 0 {
		d.Next = d.query("after", strconv.FormatInt(d.Page.Next, 10))
	}
	for _, r := range h.Beside {
		d.Tabs = append(d.Tabs, holdTab{r, r.ID == id})
	}
	d.Link, err = v.releaseLink(h.Partner)
	return err
}

// query is the address of the hold with one part of its query changed.
func (d *releaseData) query(name, value string) string {
	q := url.Values{}
	if d.Only {
		q.Set("only", "1")
	}
	q.Set(name, value)
	if value == "" {
		q.Del(name)
	}
	if len(q) == 0 {
		return "/release/" + d.Hold.ID
	}
	return "/release/" + d.Hold.ID + "?" + q.Encode()
}

// Switch is the address with only changes shown, or all again.
func (d releaseData) Switch() string {
	if d.Only {
		return d.query("only", "")
	}
	return d.query("only", "1")
}

// Same counts the members of which the partner gets all that is held.
func (d releaseData) Same() int { return d.Hold.Count - d.Hold.Change }

// Stays counts what stays here for good, and what waits in other holds.
func (d releaseData) Stays() (n struct{ Here, Waits int }) {
	for _, o := range d.Page.Stays {
		if o.Hold == "" {
			n.Here++
		} else {
			n.Waits++
		}
	}
	return n
}

// Changed reports whether the hold is not any more what the reader was shown.
func (d releaseData) Changed() bool {
	return d.Hold.State == "open" && d.Seen != d.Hold.Digest.String()
}

// releaseLink returns the link to a partner, nil where there is none yet.
func (v *visit) releaseLink(partner noroshi.CallSign) (*courier.LinkStatus, error) {
	l, err := ask[courier.LinkStatus](v, "link.show", web.PartnerRef{Partner: partner})
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil
	}
	return &l, err
}

// Path is the state of the path in use, and the round trip on it; 0 = not known.
func (d releaseData) Path() (p pathNow) {
	p.State = "off"
	if d.Link == nil {
		return p
	}
	p.RoundTrip, p.Number = d.Link.RoundTrip, d.Link.OutHead+1
	if d.Link.Channel != "" {
		p.Ways = []string{d.Link.Channel}
	}
	if p.State = "crit"; d.Link.Up {
		p.State = "ok"
	}
	for _, way := range d.Link.Paths {
		if way.Channel == d.Link.Channel && way.RoundTrip > 0 {
			p.RoundTrip = way.RoundTrip
		}
		if way.Channel != d.Link.Channel && way.Listed && way.State != "absent" {
			p.Ways = append(p.Ways, way.Channel)
		}
	}
	for _, n := range d.Link.Waiting {
		p.Waiting += n
	}
	return p
}

// pathNow is how what is approved now would go.
type pathNow struct {
	Ways      []string // the channel in use, if one is, then the others there are
	State     string
	RoundTrip time.Duration
	Number    uint64
	Waiting   int
}

// Findings counts the checks that found nothing, and those to read.
func (d releaseData) Findings() (n struct{ Passed, Read int }) {
	for _, f := range d.Page.Checks {
		if f.State == "ok" {
			n.Passed++
		} else {
			n.Read++
		}
	}
	return n
}

// Refusal is why the reader may not approve the hold, nil where they may.
func (d releaseData) Refusal() *noroshi.Error {
	if r := d.Hold.Refused; r != nil {
		return &noroshi.Error{Kind: r.Kind, Code: r.Code, Args: r.Args, Msg: r.Message}
	}
	return nil
}

// Slots are the signatures a hold takes: those there are, then those it waits for.
func (p page) Slots(h *web.HoldDetail) (list []slot) {
	for _, s := range h.Signed {
		list = append(list, slot{"ok", cmp.Or(s.Name, s.Person), instantOf(s.Time)})
	}
	for len(list) < h.Needs {
		s := slot{State: "off"}
		if h.Refused == nil && len(list) == len(h.Signed) && p.May(noroshi.ActApprove) {
			s.Name = cmp.Or(p.Person().Name, p.Person().ID)
		}
		list = append(list, s)
	}
	return list
}

// slot is one signature: given, or waited for, from the reader or anybody.
type slot struct {
	State string
	Name  string
	At    time.Time
}

func releaseBytes(v *visit) error {
	var d releaseData
	if err := v.holdIn(&d, v.r.PathValue("id"), true); err != nil {
		return err
	}
	return v.show("release-bytes", d)
}
