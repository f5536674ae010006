package console

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

var indicatorRoutes = []Route{
	{"GET /indicators", noroshi.ActRead, false, indicators},
	{"GET /indicators/{id}", noroshi.ActRead, false, indicatorShow},
	{"GET /indicators/graph/{id}", noroshi.ActRead, false, indicatorGraph},
	{"POST /indicators/withdraw/{id}", noroshi.ActWithdraw, false, indicatorWithdraw},
	{"POST /indicators/mark/{id}", noroshi.ActAssignMarking, false, indicatorMark},
	{"GET /indicators/import", noroshi.ActImport, false, importForm},
	{"POST /indicators/import", noroshi.ActImport, false, importUpload},
	{"GET /indicators/import/{token}", noroshi.ActImport, false, importPreview},
	{"POST /indicators/import/{token}", noroshi.ActImport, false, importConfirm},
	{"POST /indicators/drop/{token}", noroshi.ActImport, false, importDrop},
	{"GET /indicators/quarantine", noroshi.ActRead, false, quarantine},
	{"POST /indicators/quarantine/{seq}", noroshi.ActImport, false, quarantineLetIn},
	{"POST /indicators/held/{message}", noroshi.ActDecideHeld, false, heldDecide},
}

// files are the bounds of what is sent to the addresses that take a file.
var files = map[string]int64{"POST /indicators/import": web.MaxSignedImport + maxForm}

// foundRows is how many objects one page of a search shows.
const foundRows = 50

// indicatorsData is a page of a search.
type indicatorsData struct {
	Query    string
	How      string
	Rows     []foundRow
	First    string // address of the first page, "" on it
	Next     string // of the next one, "" on the last
	About    string // about how many indicators are in effect here
	Behind   string // how many texts cannot be found yet, in words; "" = none
	Sifting  string // address under which the search goes on by itself, having found nothing yet
	Looked   string // how far it has looked
	Partial  bool   // not all was looked through yet
	Textless bool   // sought by value: texts were not looked through
}

// foundRow is one object found.
type foundRow struct {
	web.ObjectRow
	Value string // what is shown first
	More  int    // further values
	State string // as shape and colour
	Word  string // and in words
	Over  bool   // its validity has ended
}

// indicators is the search. What is an id leads to the object itself.
func indicators(v *visit) error {
	d := indicatorsData{Query: v.r.FormValue("q")}
	after, _ := strconv.ParseInt(v.r.FormValue("after"), 10, 64)
	f, err := ask[web.Found](v, "indicator.find", web.FindRef{Query: d.Query, After: max(after, 0), Limit: foundRows, Newest: true})
	if err != nil {
		return v.again(err, func(v *visit) error { return v.show("indicators", d) })
	}
	if (f.How == web.FoundID || f.How == web.FoundNumber) && len(f.Data) == 1 {
		return v.goTo(v.placeOf(f.Data[0].ID), "")
	}
	for _, r := range f.Data {
		d.Rows = append(d.Rows, v.foundRow(r))
	}
	d.How, d.Partial = f.How, f.Rest > 0
	switch {
	case f.Behind >= store.MaxBehind:
		d.Behind = v.t("console.indicators.behind-many", grouped(store.MaxBehind))
	case f.Behind > 0:
		d.Behind = v.t("console.indicators.behind", f.Behind)
	}
	d.Textless = f.How == web.FoundWildcard
	if f.About > 0 {
		d.About = aboutMany(v.lang, f.About)
	}
	if after > 0 {
		d.First = searchPath(d.Query, 0)
	}
	if f.Next > 0 {
		d.Next = searchPath(d.Query, f.Next)
	}
	return v.sifting(d, f)
}

// sifting shows a page, or, where a search by hand through everything has found
// nothing yet, lets the page ask on until it has: then it is shown whole, with
// its marking.
func (v *visit) sifting(d indicatorsData, f web.Found) error {
	if d.Partial {
		head, err := v.Store.Head(v.ctx)
		if err != nil {
			return err
		}
		d.Looked = strconv.FormatInt(100-100*f.Rest/max(head, 1), 10)
		if len(d.Rows) == 0 {
			d.Sifting = d.Next
		}
	}
	if v.r.FormValue("part") == "sift" && d.Sifting == "" {
		v.w.Header().Set("HX-Redirect", searchPath(d.Query, 0)+"&after="+url.QueryEscape(v.r.FormValue("after")))
		v.w.WriteHeader(http.StatusOK)
		return nil
	}
	return v.show("indicators", d)
}

func searchPath(query string, after int64) string {
	q := url.Values{"q": {query}}
	if after > 0 {
		q.Set("after", strconv.FormatInt(after, 10))
	}
	return "/indicators?" + q.Encode()
}

// placeOf is where an object is shown: a warning on the warnings' screen.
func (v *visit) placeOf(id stix.ID) string {
	if id.Type() == "report" {
		if _, err := v.Watch.Row(v.ctx, id); err == nil {
			return "/warnings/" + string(id)
		}
	}
	return "/indicators/" + string(id)
}

func (v *visit) foundRow(r web.ObjectRow) foundRow {
	f := foundRow{ObjectRow: r, Over: !r.Until.IsZero() && r.Until.Before(v.now)}
	switch {
	case len(r.Values) > 0:
		f.Value, f.More = r.Values[0], len(r.Values)-1
	case r.Pattern != "":
		f.Value = r.Pattern
	default:
		f.Value = r.Name
	}
	f.From = v.owner(r.From)
	f.State, f.Word = v.standing(r)
	return f
}

// Owner is whose an object is, in words.
func (p page) Owner(from string) string { return p.visit.owner(from) }

// owner is whose an object is in words: this node's own has its call sign.
func (v *visit) owner(from string) string {
	if from == "self" {
		return string(v.Self.CallSign)
	}
	return from
}

// standing is how an object stands, as shape and word.
func (v *visit) standing(r web.ObjectRow) (state, word string) {
	switch {
	case r.Withdrawn:
		return "crit", v.t("state.withdrawn")
	case r.Revoked:
		return "crit", v.t("state.revoked")
	case r.Type != "indicator":
		return "off", v.t("console.indicators.kept")
	case r.Armed:
		return "ok", v.t("state.armed")
	case !v.Watch.Loaded():
		return "stby", v.t("console.indicators.starting")
	}
	return "cau", v.t("console.indicators.unarmed")
}

// aboutMany says a large count as people say it.
func aboutMany(l locale.Lang, n int) string {
	switch {
	case l == locale.JA && n >= 10_000:
		digits := 1
		if n >= 100_000 {
			digits = 0
		}
		return locale.T(l, "console.indicators.about-large", strconv.FormatFloat(float64(n)/10_000, 'f', digits, 64))
	case l == locale.EN && n >= 1_000_000:
		return locale.T(l, "console.indicators.about-large", strconv.FormatFloat(float64(n)/1_000_000, 'f', 1, 64))
	case n >= 10_000:
		return locale.T(l, "console.indicators.about", grouped(n/1000*1000))
	}
	return locale.T(l, "console.indicators.exactly", grouped(n))
}

// grouped writes a count with its thousands apart.
func grouped(n int) string { return thousands(strconv.Itoa(n)) }
