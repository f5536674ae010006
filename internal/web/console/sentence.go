package console

import (
	"strings"
	"unicode"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// sentence says what needs the reader, why, and where they do it.
type sentence struct {
	Text, Detail string
	Path, Button string
	State        string // "ok", "cau", "crit"
}

// sentence composes the one sentence of the picture: the most urgent thing, and
// what is the matter with the links where anything is.
func (v *visit) sentence(d pictureData) sentence {
	link := v.trouble(d)
	for _, p := range []noroshi.Precedence{noroshi.Flash, noroshi.Immediate} {
		if n := d.Warnings.Open[p]; n > 0 {
			s := v.aboutWarning(d, p, n)
			s.Text = v.both(s.Text, link.text)
			return s
		}
	}
	holds := d.Holds.Open > 0 && v.person.May(noroshi.ActApprove)
	if holds && link.state != "crit" {
		return sentence{v.both(v.t("console.need.release", d.Holds.Open), link.text), v.t("console.need.release.why", locale.Duration(v.lang, v.now.Sub(d.Holds.Oldest)), d.Holds.Signed),
			"/release", v.t("console.need.review"), "cau"}
	}
	switch open := d.Total(); {
	case link.text != "":
		return sentence{link.text, link.why, "/partners", v.t("console.need.partners"), link.state}
	case open > 0:
		return sentence{v.t("console.need.open", open), "", "/warnings", v.t("console.need.list"), "cau"}
	}
	return sentence{v.t("console.need.nothing"), v.calm(d), "", "", "ok"}
}

// aboutWarning says that warnings of a precedence wait, and of the most urgent of
// them until when.
func (v *visit) aboutWarning(d pictureData, p noroshi.Precedence, n int) sentence {
	key := "console.need.warning"
	if !v.person.May(noroshi.ActAck) {
		key = "console.need.unacknowledged"
	}
	s := sentence{Text: v.t(key, n, v.t("precedence."+p.String())), State: "crit"}
	if d.Urgent == nil || d.Urgent.Precedence != p {
		return s
	}
	r := lineOf(v.lang, *d.Urgent, v.now)
	s.Path, s.Button = "/warnings/"+string(r.ID), v.t("console.need.read")
	switch {
	case r.AckDue.IsZero():
		s.Detail = v.t("console.need.arrived", r.Shown, r.CallSign, locale.Date(v.lang, r.Received, locale.JST))
	case r.Late:
		s.Detail = v.t("console.need.overdue", r.Shown, r.CallSign, locale.Duration(v.lang, v.now.Sub(r.AckDue)))
	default:
		s.Detail = v.t("console.need.due", r.Shown, r.CallSign, locale.Duration(v.lang, r.AckDue.Sub(v.now)))
	}
	return s
}

// trouble is what is the matter with a link, and what it means.
type trouble struct{ text, why, state string }

// trouble says what is the matter with the links, the worst of it.
func (v *visit) trouble(d pictureData) trouble {
	for _, l := range d.Partners {
		switch {
		case l.Trust != noroshi.InForce:
		case l.Recovering != "":
			return trouble{v.t("console.need.recovering", l.CallSign), v.t("console.link.recovering"), "crit"}
		case !l.Up:
			return trouble{v.t("console.need.link", l.CallSign), v.t("console.need.link.why"), "crit"}
		}
	}
	for _, l := range d.Partners {
		switch better := l.better(); {
		case l.Trust != noroshi.InForce:
		case l.Late > 0:
			return trouble{v.t("console.need.late", l.CallSign, l.Late), v.t("console.need.link.why"), "cau"}
		case better != "":
			return trouble{v.t("console.need.fallback", l.CallSign, v.way(l.Channel)), v.t("console.need.fallback.why", v.way(better)), "cau"}
		}
	}
	return trouble{}
}

// better is the channel by which a partner would rather be reached than by the
// one in use, "" when there is none.
func (l linkLine) better() (name string) {
	cost := -1
	for _, p := range l.Paths {
		if p.Listed && p.Channel == l.Channel {
			cost = p.Cost
		}
	}
	for _, p := range l.Paths {
		if p.Listed && p.Cost < cost && p.State != message.PathAbsent.String() {
			name, cost = p.Channel, p.Cost
		}
	}
	return name
}

// calm is what there is to say when nothing is wrong.
func (v *visit) calm(d pictureData) string {
	n := 0
	for _, l := range d.Partners {
		if l.Up {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return v.t("console.need.calm", n)
}

// both puts two sentences one after the other; either may be empty.
func (v *visit) both(a, b string) string {
	if a == "" || b == "" || v.lang == locale.JA {
		return a + b
	}
	return a + " " + b
}

// way is a channel in words.
func (v *visit) way(channel string) string {
	name := wayName(v.lang, channel)
	if r := []rune(name); len(r) > 1 && unicode.IsLower(r[1]) { // a word, not letters
		return strings.ToLower(string(r[:1])) + string(r[1:])
	}
	return name
}
