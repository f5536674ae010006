package console

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

var auditRoutes = []Route{
	{"GET /audit", noroshi.ActReadAudit, false, audit},
	{"GET /audit/entries/{index}", noroshi.ActReadAudit, false, auditShow},
	{"GET /audit/entries/{index}/proof", noroshi.ActReadAudit, false, auditProof},
	{"POST /audit/verify", noroshi.ActReadAudit, false, auditVerify},
	{"POST /audit/stop", noroshi.ActReadAudit, false, auditStop},
	{"GET /audit/checkpoint", noroshi.ActReadAudit, false, auditCheckpoint},
	{"GET /audit/links/{partner}/checkpoint", noroshi.ActReadAudit, false, auditCheckpoint},
	{"GET /audit/links/{partner}/export", noroshi.ActReadAudit, false, auditExport},
	{"POST /audit/witness", noroshi.ActWitness, false, auditWitness},
}

// auditData is the record: its head, what verifying found, and a page of entries.
type auditData struct {
	Head    web.AuditHead
	Check   check
	Apart   bool // the part that says how far verifying is was asked for alone
	Rows    []auditLine
	Looked  bool   // some were looked for
	Next    string // address of the page of earlier entries, "" when there are none
	First   bool   // the page has the latest
	Actions []choice
	People  []string
}

// choice is one value of a field with its text.
type choice struct{ Value, Text string }

// auditLine is an entry as a list shows it.
type auditLine struct {
	web.ActRow
	At    time.Time
	Act   string // what was done, in words
	About string // what about, in words where there are
	Day   string // of the first entry of a day in a list
	State string // shape of what a person should look at, "" of what is as usual
}

// audit is the record, the latest entries first. While it is being verified, the
// part that says so is asked for again and again.
func audit(v *visit) error {
	c, err := v.check()
	if err != nil {
		return err
	}
	if v.r.FormValue("part") == "check" {
		return v.show("audit", auditData{Check: c, Apart: true})
	}
	d, err := v.record()
	if err != nil {
		return err
	}
	d.Check = c
	return v.show("audit", d)
}

func (v *visit) record() (d auditData, err error) {
	if d.Head, err = ask[web.AuditHead](v, "audit.head", struct{}{}); err != nil {
		return d, err
	}
	people, err := ask[[]web.PersonRow](v, "person.list", struct{}{})
	if err != nil {
		return d, err
	}
	for _, p := range people {
		d.People = append(d.People, p.ID)
	}
	d.Actions = v.actions()
	sift, err := v.sift()
	if err != nil {
		v.problem = problemOf(err)
		return d, nil
	}
	found, err := ask[web.AuditFound](v, "audit.find", sift)
	if err != nil {
		return d, err
	}
	day := ""
	for _, r := range found.Rows {
		l := v.auditLine(r)
		if l.Day = locale.Day(v.lang, l.At.In(locale.JST)); l.Day == day {
			l.Day = ""
		} else {
			day = l.Day
		}
		d.Rows = append(d.Rows, l)
	}
	d.First = sift.Before == nil
	d.Looked = sift.Action != "" || sift.Person != "" || sift.Partner != "" || !sift.From.IsZero()
	if found.Next != nil {
		d.Next = v.auditPage(*found.Next)
	}
	return d, nil
}

// problemOf is an error as a page tells it above a form.
func problemOf(err error) *noroshi.Error {
	told := noroshi.Tell(err)
	return told.Error(noroshi.KindOf(err))
}

// sift reads what entries are looked for. A day is one of Japan.
func (v *visit) sift() (in web.AuditSift, err error) {
	in = web.AuditSift{Action: noroshi.Action(v.r.FormValue("action")), Person: v.r.FormValue("person"), Partner: noroshi.CallSign(v.r.FormValue("partner"))}
	if day := v.r.FormValue("day"); day != "" {
		if in.From, err = dayOf(day); err != nil {
			return in, err
		}
		in.Until = in.From.AddDate(0, 0, 1)
	}
	if before, err := strconv.ParseUint(v.r.FormValue("before"), 10, 63); err == nil {
		in.Before = &before
	}
	return in, nil
}

// auditPage is the address of the entries below an index, looked for alike.
func (v *visit) auditPage(before uint64) string {
	q := url.Values{"before": {strconv.FormatUint(before, 10)}}
	for _, name := range []string{"action", "person", "partner", "day"} {
		if s := v.r.FormValue(name); s != "" {
			q.Set(name, s)
		}
	}
	return "/audit?" + q.Encode()
}

// actions are all there are words for, in the order of the words.
func (v *visit) actions() (list []choice) {
	for key := range maps.Keys(locale.Keys(v.lang)) {
		if name, ok := strings.CutPrefix(key, "act."); ok && noroshi.Action(name) != noroshi.ActRead {
			list = append(list, choice{name, v.t(key)})
		}
	}
	slices.SortFunc(list, func(a, b choice) int { return strings.Compare(a.Text, b.Text) })
	return list
}

func (v *visit) auditLine(r web.ActRow) auditLine {
	l := auditLine{ActRow: r, At: instantOf(r.Time), Act: locale.Or(v.lang, "act."+string(r.Action), string(r.Action)), About: r.Subject}
	if kind, name, ok := strings.Cut(r.Subject, " "); ok && slices.Contains([]string{"epoch", "feed", "client", "quarantine"}, kind) {
		l.About = v.t("console.audit."+kind, name)
	}
	switch r.Action {
	case noroshi.ActAlarm:
		l.State, l.About = "crit", v.alarm(r.Subject)
	case noroshi.ActCosign:
		if size, ok := strings.CutPrefix(r.Subject, "checkpoint "); ok {
			l.About = v.t("console.audit.checkpoint-at", size)
		}
	case noroshi.ActChangePath:
		l.About = v.pathChange(r.Subject)
	case noroshi.ActRefuse:
		l.State = "cau"
		if w := strings.Fields(r.Subject); len(w) == 4 { // operation, about what, in whose name, why
			l.About = v.refused(w[0], w[1], w[2], w[3])
		}
	}
	return l
}

// refused says what somebody was refused: an operation by its action and what it was
// about, or what they did at the door of the console and from where; and why.
func (v *visit) refused(op, about, person, why string) string {
	key, what := "console.audit.refused-from", locale.Or(v.lang, "console.audit.at."+op, locale.Or(v.lang, "act."+op, op))
	if o, ok := web.Ops[op]; ok {
		key, what = "console.audit.refused", locale.Or(v.lang, "act."+string(o.Action), op)
	}
	return v.t(key, person, what, about, locale.Or(v.lang, "console.why."+why, why))
}

// alarm says what should not have happened, and whom to ask.
func (v *visit) alarm(code string) string {
	return locale.Or(v.lang, "alarm."+code, locale.Or(v.lang, "alarm.link."+code, code))
}

// pathChange says a change of path on record in words. What reads otherwise stays
// as it is.
func (v *visit) pathChange(subject string) string {
	x, ok := courier.SwitchedOf(subject)
	if !ok {
		return subject
	}
	return locale.Or(v.lang, "switch."+x.Why, subject, v.path(x.From)+" → "+v.path(x.To))
}

// ids are what a list shows by its beginning and end: the entry has the whole.
var ids = regexp.MustCompile(`[0-9a-f]{24,}`)

// Brief is what the entry is about, with long ids cut.
func (l auditLine) Brief() string {
	return ids.ReplaceAllStringFunc(l.About, func(id string) string { return id[:8] + "…" + id[len(id)-4:] })
}

// short is a hash as a glance compares it.
func short(h noroshi.Hash) string {
	s := h.String()
	return s[:4] + "…" + s[len(s)-4:]
}
