package main

import (
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type linkCmd struct {
	List    linkListCmd    `cmd:"" help:"help.link-list"`
	Show    linkShowCmd    `cmd:"" help:"help.link-show"`
	Test    linkTestCmd    `cmd:"" help:"help.link-test"`
	Compare linkCompareCmd `cmd:"" help:"help.link-compare"`
	GoOn    linkGoOnCmd    `cmd:"" help:"help.link-go-on"`
}

type linkListCmd struct{}

// Run shows for each link what was sent, what the partner holds of it, what
// came, and what is missing.
func (x *linkListCmd) Run(c *cli) error {
	var rows []courier.LinkStatus
	if err := c.call("link.list", nil, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[courier.LinkStatus]{"partner", func(l courier.LinkStatus) string { return string(l.CallSign) }},
		column[courier.LinkStatus]{"state", func(l courier.LinkStatus) string { return linkState(c, l) }},
		column[courier.LinkStatus]{"trust", func(l courier.LinkStatus) string { return c.word("trust." + string(l.Trust)) }},
		column[courier.LinkStatus]{"path", func(l courier.LinkStatus) string { return l.Channel }},
		column[courier.LinkStatus]{"last-change", func(l courier.LinkStatus) string { return c.lastSwitch(l.LastSwitch) }},
		column[courier.LinkStatus]{"round-trip", func(l courier.LinkStatus) string { return l.RoundTrip.Round(100 * time.Microsecond).String() }},
		column[courier.LinkStatus]{"sent", func(l courier.LinkStatus) string { return n(l.OutHead) }},
		column[courier.LinkStatus]{"stored-there", func(l courier.LinkStatus) string { return n(l.OutStored) }},
		column[courier.LinkStatus]{"applied-there", func(l courier.LinkStatus) string { return n(l.OutApplied) }},
		column[courier.LinkStatus]{"waiting", func(l courier.LinkStatus) string { return waiting(l) }},
		column[courier.LinkStatus]{"late", func(l courier.LinkStatus) string { return n(l.Late) }},
		column[courier.LinkStatus]{"came", func(l courier.LinkStatus) string { return n(l.InHead) }},
		column[courier.LinkStatus]{"applied-here", func(l courier.LinkStatus) string { return n(l.InApplied) }},
		column[courier.LinkStatus]{"missing", missing})
}

// lastSwitch says in the user's language why another path was taken: what is on
// record is "https > mail, silent".
func (c *cli) lastSwitch(text string) string {
	ways, why, ok := strings.Cut(text, ", ")
	if !ok {
		return text
	}
	return c.wordOr("switch."+why, text, ways)
}

// missing writes the gaps as runs, "3-5 9".
func missing(l courier.LinkStatus) string {
	var s []string
	for _, r := range l.Missing {
		if r.A == r.B {
			s = append(s, n(r.A))
		} else {
			s = append(s, n(r.A)+"-"+n(r.B))
		}
	}
	return join(s)
}

// waiting writes the queue by precedence, "Z1 R20".
func waiting(l courier.LinkStatus) string {
	var s []string
	for p := noroshi.Flash; p >= noroshi.Routine; p-- {
		if k := l.Waiting[p.String()]; k > 0 {
			s = append(s, p.Prosign()+n(k))
		}
	}
	return join(s)
}

func linkState(c *cli, l courier.LinkStatus) string {
	if c.forScripts() {
		return map[bool]string{true: "up", false: "down"}[l.Up]
	}
	if l.Up {
		return "● " + c.line("link.up")
	}
	return "■ " + c.line("link.down")
}

// linkLine is a link in one line for status.
func linkLine(c *cli, l courier.LinkStatus) string {
	parts := []string{string(l.CallSign), linkState(c, l), c.word("trust." + string(l.Trust)), c.line("link.out", n(l.OutHead), n(l.OutApplied)), c.line("link.in", n(l.InHead), n(l.InApplied))}
	if w := waiting(l); w != "" {
		parts = append(parts, c.line("link.waiting", w))
	}
	if l.Late > 0 {
		parts = append(parts, "▲ "+c.line("link.late", n(l.Late)))
	}
	if l.Unheard {
		parts = append(parts, "▲ "+c.line("link.unheard"))
	}
	if l.Recovering != "" {
		parts = append(parts, "▲ "+c.line("link.recovering."+l.Recovering))
	}
	if m := missing(l); m != "" {
		parts = append(parts, c.line("link.missing", m))
	}
	if l.Lost > 0 {
		parts = append(parts, c.line("link.lost", n(l.Lost), utc(l.LostUntil)))
	}
	if !l.KeysStale.IsZero() {
		parts = append(parts, "▲ "+c.line("link.keys-stale", utc(l.KeysStale)))
	}
	if len(l.NewKeys) > 0 {
		parts = append(parts, "▲ "+c.line("link.new-keys", join(l.NewKeys)))
	}
	return strings.Join(parts, " · ")
}

type linkShowCmd struct {
	Partner string `arg:"" placeholder:"CALLSIGN" help:"help.partner-arg"`
}

// Run shows how each channel to a partner does, and what was lost and may still come.
func (x *linkShowCmd) Run(c *cli) error {
	var l courier.LinkStatus
	if err := c.call("link.show", web.PartnerRef{Partner: noroshi.CallSign(x.Partner)}, &l); err != nil {
		return err
	}
	if l.Lost > 0 {
		c.say("link.lost", n(l.Lost), utc(l.LostUntil))
	}
	return list(c, l.Paths,
		column[courier.PathStatus]{"path", func(p courier.PathStatus) string { return p.Channel }},
		column[courier.PathStatus]{"kind", func(p courier.PathStatus) string { return p.Kind }},
		column[courier.PathStatus]{"state", func(p courier.PathStatus) string { return pathState(c, l, p) }},
		column[courier.PathStatus]{"reason", func(p courier.PathStatus) string { return c.told(p.Why) }},
		column[courier.PathStatus]{"round-trip", func(p courier.PathStatus) string { return p.RoundTrip.Round(100 * time.Microsecond).String() }},
		column[courier.PathStatus]{"answered", func(p courier.PathStatus) string { return timeOrDash(p.Heard) }},
		column[courier.PathStatus]{"cost", func(p courier.PathStatus) string { return n(p.Cost) }},
		column[courier.PathStatus]{"up-to", func(p courier.PathStatus) string { return p.UpTo }},
		column[courier.PathStatus]{"sending", func(p courier.PathStatus) string { return n(p.Flying) }},
		column[courier.PathStatus]{"no-receipt", func(p courier.PathStatus) string { return n(p.Open) }})
}

// pathState says how a channel does, and with a sign which one is in use.
func pathState(c *cli, l courier.LinkStatus, p courier.PathStatus) string {
	state := p.State
	if !p.Listed {
		state = "unlisted"
	}
	if c.forScripts() {
		return state
	}
	sign := map[string]string{"proven": "●", "unproven": "○", "silent": "▲"}[state]
	if sign == "" {
		sign = "■"
	}
	text := sign + " " + c.line("path."+state)
	if p.Channel == l.Channel {
		text += " " + c.line("path.in-use")
	}
	return text
}

type linkTestCmd struct {
	Partner string `arg:"" placeholder:"CALLSIGN" help:"help.partner-arg"`
	Channel string `placeholder:"NAME" help:"help.link-channel"`
}

func (x *linkTestCmd) Run(c *cli) error {
	var r web.Tested
	if err := c.call("link.test", web.LinkTest{Partner: noroshi.CallSign(x.Partner), Channel: x.Channel}, &r); err != nil {
		return err
	}
	return one(c, r, [2]string{"partner", x.Partner}, [2]string{"round-trip", r.RoundTrip})
}

type linkGoOnCmd struct {
	Partner  string `arg:"" placeholder:"CALLSIGN" help:"help.partner-arg"`
	TakeBack bool   `help:"help.link-take-back"`
	asPerson
}

// Run has a person let a link that was put back go on without its partner, or
// say that it was.
func (x *linkGoOnCmd) Run(c *cli) error {
	var p partner.Row
	if err := c.call("partner.show", web.PartnerRef{Partner: noroshi.CallSign(x.Partner)}, &p); err != nil {
		return err
	}
	by, err := x.sign(c, noroshi.ActGoOn, p.Node.String(), courier.GoOnBound(p.Node, x.TakeBack))
	if err != nil {
		return err
	}
	return c.call("link.go-on", web.GoOnRef{Partner: p.Node, TakeBack: x.TakeBack, By: by}, nil)
}

type linkCompareCmd struct {
	Partner string `arg:"" placeholder:"CALLSIGN" help:"help.partner-arg"`
}

// compareRow is an epoch whose roots are equal, or one difference.
type compareRow struct {
	stream, epoch, seq, what, id string
}

// Run compares what both sides hold of each other's streams: equal roots, or
// every difference.
func (x *linkCompareCmd) Run(c *cli) error {
	var r courier.Comparison
	if err := c.call("link.compare", web.PartnerRef{Partner: noroshi.CallSign(x.Partner)}, &r); err != nil {
		return err
	}
	var err error
	if c.Output == "json" || c.Output == "jsonl" {
		err = printJSON(c.io.out, r)
	} else {
		err = list(c, compareRows(c, r), compareColumns()...)
	}
	if err != nil || r.Equal {
		return err
	}
	for _, d := range r.Differences {
		if d.What == courier.SecondID {
			return noroshi.Errorf(noroshi.Broken, "cli.second-id", "the two sides hold different messages under sequence %d of epoch %s", d.Seq, d.Epoch)
		}
	}
	return errPartly
}

func compareRows(c *cli, r courier.Comparison) (rows []compareRow) {
	for _, e := range r.Epochs {
		if e.Equal {
			rows = append(rows, compareRow{c.word("stream." + e.Stream), e.Epoch, "1-" + n(e.Head), c.word("held.equal"), e.Root})
		}
	}
	for _, d := range r.Differences {
		rows = append(rows, compareRow{c.word("stream." + d.Stream), d.Epoch, n(d.Seq), c.word("held." + d.What), d.ID.String()})
	}
	return rows
}

func compareColumns() []column[compareRow] {
	return []column[compareRow]{
		{"stream", func(r compareRow) string { return r.stream }},
		{"epoch", func(r compareRow) string { return r.epoch }},
		{"sequences", func(r compareRow) string { return r.seq }},
		{"held", func(r compareRow) string { return r.what }},
		{"root", func(r compareRow) string { return r.id }},
	}
}
