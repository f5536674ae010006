package main

import (
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type linkCmd struct {
	List linkListCmd `cmd:"" help:"${help_link_list}"`
	Test linkTestCmd `cmd:"" help:"${help_link_test}"`
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
	if m := missing(l); m != "" {
		parts = append(parts, c.line("link.missing", m))
	}
	return strings.Join(parts, " · ")
}

type linkTestCmd struct {
	Partner string `arg:"" placeholder:"CALLSIGN" help:"${help_partner_arg}"`
}

func (x *linkTestCmd) Run(c *cli) error {
	var r web.Tested
	if err := c.call("link.test", web.PartnerRef{Partner: noroshi.CallSign(x.Partner)}, &r); err != nil {
		return err
	}
	return one(c, r, [2]string{"partner", x.Partner}, [2]string{"round-trip", r.RoundTrip})
}
