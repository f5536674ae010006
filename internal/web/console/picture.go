package console

import (
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
)

var pictureRoutes = []Route{
	{"GET /{$}", noroshi.ActRead, false, picture},
}

// pictureData is what a duty officer needs first.
type pictureData struct {
	web.Picture
	Sentence sentence
	Open     []openCount
	Reach    web.Reach // to the partner that is slowest to reach
	Undone   undelivered
	Rows     []warningLine
	Partners []linkLine
	Flow     flow
	Told     []alarmLine
}

// alarmLine is an alarm in words.
type alarmLine struct {
	web.Alarm
	At   time.Time
	Text string
}

// Total is how many warnings are open.
func (d pictureData) Total() (n int) {
	for _, k := range d.Warnings.Open {
		n += k
	}
	return n
}

// openCount is how many warnings of a precedence are open.
type openCount struct {
	Precedence noroshi.Precedence
	Count      int
}

// undelivered is what partners have given no receipt for.
type undelivered struct {
	Count, Late int
	To          []string
}

// warningLine is one warning in a list.
type warningLine struct {
	watch.Row
	Shown string // its title in the reader's language
	Late  bool
	Hot   bool // FLASH, and nobody has acknowledged it
}

// picture is the first screen: one sentence, the figures, warnings, links. Its
// parts are asked for by every page that is open.
func picture(v *visit) error {
	if part := v.r.FormValue("part"); part != "" && v.r.Header.Get("HX-Request") != "" {
		if v.view("picture").Lookup("part-"+part) == nil {
			return nowhere(v)
		}
		return v.share("picture", part, func(v *visit) (any, error) { return v.picture() })
	}
	d, err := v.picture()
	if err != nil {
		return err
	}
	return v.show("picture", d)
}

func (v *visit) picture() (d pictureData, err error) {
	if d.Picture, err = ask[web.Picture](v, "picture", web.PictureRef{}); err != nil {
		return d, err
	}
	d.Rows = v.lines(d.Warnings.Rows)
	for p := noroshi.Flash; p >= noroshi.Routine; p-- {
		d.Open = append(d.Open, openCount{p, d.Warnings.Open[p]})
	}
	for _, l := range d.Links {
		d.Partners = append(d.Partners, v.linkLine(l))
		if l.Reach.Median > d.Reach.Median {
			d.Reach = l.Reach
		}
		if n := waitingIn(l); n > 0 {
			d.Undone.Count, d.Undone.Late, d.Undone.To = d.Undone.Count+n, d.Undone.Late+l.Late, append(d.Undone.To, string(l.CallSign))
		}
	}
	for _, a := range d.Alarms {
		d.Told = append(d.Told, alarmLine{a, instantOf(a.Time), v.alarm(a.Code)})
	}
	d.Flow = flowOf(d.Hours)
	d.Sentence = v.sentence(d)
	return d, nil
}

// lines are warnings as lists show them.
func (v *visit) lines(rows []watch.Row) (lines []warningLine) {
	for _, r := range rows {
		lines = append(lines, lineOf(v.lang, r, v.now))
	}
	return lines
}

func lineOf(l locale.Lang, r watch.Row, now time.Time) warningLine {
	title, _ := r.In(l)
	return warningLine{r, title, r.Late(now), r.Open() && r.Precedence == noroshi.Flash}
}

func waitingIn(l web.PictureLink) (n int) {
	for _, k := range l.Waiting {
		n += k
	}
	return n
}

// linkLine is one partner and the channels to it.
type linkLine struct {
	web.PictureLink
	Ways    []wayCell
	Gaps    uint64
	Strip   []stripCell
	Told    string // the strip in words
	Note    string // by which way it goes, and until when
	Trouble string // what is wrong with the link, "" when nothing is
}

// wayCell is one kind of channel to a partner.
type wayCell struct {
	State string // of the "state" template
	Word  string
	Trip  time.Duration
	InUse bool
}

// wayKinds are the columns of the links, in their order.
var wayKinds = []string{noroshi.ChannelHTTPS, noroshi.ChannelMail, noroshi.ChannelMedia, noroshi.ChannelLine}

func (v *visit) linkLine(l web.PictureLink) linkLine {
	line := linkLine{PictureLink: l}
	for _, kind := range wayKinds {
		line.Ways = append(line.Ways, v.wayCell(l, kind))
	}
	for _, r := range l.Missing {
		line.Gaps += r.B - r.A + 1
	}
	line.Strip, line.Told = v.strip(l.Strip)
	switch {
	case l.Recovering != "":
		line.Trouble = v.t("console.link.recovering")
	case !l.Up && l.LastHeard.IsZero():
		line.Trouble = v.t("console.link.never")
	case !l.Up:
		line.Trouble = v.t("console.link.silent", locale.Date(v.lang, l.LastHeard, locale.JST))
	default:
		if better := line.better(); better != "" {
			line.Note = v.t("console.link.fallback", v.way(l.Channel), v.way(better))
		}
	}
	return line
}

// slow is from which round trip on a network counts as slow.
const slow = 2 * time.Second

// wayCell is the best of the channels of a kind; one in use is the best.
func (v *visit) wayCell(l web.PictureLink, kind string) wayCell {
	order := []string{"ok", "cau", "stby", "crit", "off"}
	best := wayCell{State: "off", Word: v.t("console.way.unset")}
	for _, p := range l.Paths {
		if p.Kind != kind {
			continue
		}
		c := wayCell{Trip: p.RoundTrip, InUse: l.Up && p.Channel == l.Channel}
		switch {
		case !p.Listed:
			c.State, c.Word = "off", v.t("path.unlisted")
		case p.State == message.PathProven.String() && kind == noroshi.ChannelHTTPS && p.RoundTrip > slow:
			c.State, c.Word = "cau", v.t("console.way.slow")
		case p.State == message.PathProven.String():
			c.State, c.Word = "ok", v.t("console.way.normal")
		case p.State == message.PathUnproven.String():
			c.State, c.Word = "stby", v.t("console.way.ready")
		case p.State == message.PathAbsent.String():
			c.State, c.Word = "off", v.t("console.way.unset")
		default:
			c.State, c.Word, c.Trip = "crit", v.t("path."+p.State), 0
		}
		if c.InUse || !best.InUse && slices.Index(order, c.State) < slices.Index(order, best.State) {
			best = c
		}
	}
	return best
}

// stripCell is one half hour of a link.
type stripCell struct {
	X     int
	Class string
}

var stripClasses = map[string]string{web.StripUp: "", web.StripChanged: "q", web.StripDown: "dn", web.StripUnknown: "un"}

// strip draws a link's last day, and says it.
func (v *visit) strip(cells []string) (list []stripCell, told string) {
	count := map[string]int{}
	for i, c := range cells {
		list = append(list, stripCell{i * 10, stripClasses[c]})
		count[c]++
	}
	half := func(state string) string { return locale.Duration(v.lang, time.Duration(count[state])*30*time.Minute) }
	return list, v.t("console.strip", half(web.StripUp), half(web.StripChanged), half(web.StripDown))
}

// flow is what went both ways in each hour of a day, as a chart.
type flow struct {
	Bars           []flowBar
	Received, Sent int
	Top            int // what the scale ends at, each way
}

// flowBar is one hour; heights are in the chart's own units.
type flowBar struct {
	web.Hour
	X, In, Out, Y int
	Label         string // the hour in JST, on some of them
}

// The chart: each way so high, each hour so wide.
const (
	flowHeight = 92
	flowWidth  = 13
	flowLeft   = 40
)

func flowOf(hours []web.Hour) (f flow) {
	most := 1
	for _, h := range hours {
		most = max(most, h.Received, h.Sent)
		f.Received, f.Sent = f.Received+h.Received, f.Sent+h.Sent
	}
	f.Top = scale(most)
	for i, h := range hours {
		b := flowBar{Hour: h, X: flowLeft + i*flowWidth, In: height(h.Received, f.Top), Out: height(h.Sent, f.Top)}
		if b.Y = flowHeight + 8 - b.In; i%6 == 5 || i == 0 {
			b.Label = h.Start.In(locale.JST).Format("15")
		}
		f.Bars = append(f.Bars, b)
	}
	return f
}

// scale is the next of 4, 10, 20, 40, 100 ... not below n.
func scale(n int) int {
	for unit := 1; ; unit *= 10 {
		for _, k := range []int{4, 10, 20} {
			if k*unit >= n {
				return k * unit
			}
		}
	}
}

// height is a bar's: something is seen wherever there is something.
func height(n, top int) int {
	if n == 0 {
		return 0
	}
	return max(2, n*flowHeight/top)
}
