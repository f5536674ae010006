package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type auditCmd struct {
	Log    auditLogCmd    `cmd:"" help:"${help_audit_log}"`
	Verify auditVerifyCmd `cmd:"" help:"${help_audit_verify}"`
	Prove  auditProveCmd  `cmd:"" help:"${help_audit_prove}"`
	Check  auditCheckCmd  `cmd:"" help:"${help_audit_check}"`
}

type auditLogCmd struct {
	From  *uint64 `placeholder:"INDEX" help:"${help_audit_from}"`
	Limit int     `default:"100" help:"${help_limit}"`
}

func (x *auditLogCmd) Run(c *cli) error {
	var rows []web.ActRow
	if err := c.call("audit.log", web.AuditRef{From: x.From, Limit: x.Limit}, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[web.ActRow]{"index", func(r web.ActRow) string { return n(r.Index) }},
		column[web.ActRow]{"time", func(r web.ActRow) string { return r.Time }},
		column[web.ActRow]{"action", func(r web.ActRow) string { return c.word("act." + string(r.Action)) }},
		column[web.ActRow]{"persons", func(r web.ActRow) string { return join(r.Persons) }},
		column[web.ActRow]{"partner", func(r web.ActRow) string { return string(r.Partner) }},
		column[web.ActRow]{"subject", func(r web.ActRow) string { return c.subject(r) }},
		column[web.ActRow]{"count", func(r web.ActRow) string { return c.some(r.Count) }},
		column[web.ActRow]{"rows", func(r web.ActRow) string { return n(r.Rows) }})
}

// subject is what an act is about; an alarm says it in words.
func (c *cli) subject(r web.ActRow) string {
	if r.Action != noroshi.ActAlarm {
		return r.Subject
	}
	return c.alarm(r.Subject)
}

// alarm says what an alarm is about, and what to do.
func (c *cli) alarm(code string) string {
	return c.wordOr("alarm."+code, c.wordOr("alarm.link."+code, code))
}

type auditVerifyCmd struct{}

// Run verifies the whole record; exit code 7 and the first bad index when it
// does not hold.
func (x *auditVerifyCmd) Run(c *cli) error {
	var v web.Audited
	bar := newProgress(c)
	err := c.callBody("audit.verify", nil, nil, func(b json.RawMessage) {
		var p web.AuditProgress
		if json.Unmarshal(b, &p) == nil {
			bar.show(int64(p.Done), int64(p.Total), int(p.Done))
		}
	}, &v)
	bar.end()
	if err != nil {
		return err
	}
	pairs := [][2]string{{"acts", n(v.Acts)}, {"rows", n(v.Rows)}, {"links", n(v.Links)}, {"head", v.Head.String()}}
	for _, f := range v.Faults {
		text := c.line("audit.fault", n(f.Index), c.wordOr("fault."+f.Code, f.Code), f.Table)
		if c.cellLang() == locale.EN {
			text += ": " + f.Msg
		}
		pairs = append(pairs, [2]string{"fault", text})
	}
	if err := one(c, v, pairs...); err != nil {
		return err
	}
	if len(v.Faults) > 0 {
		return noroshi.Errorf(noroshi.Broken, "audit.broken", "the record does not verify: first bad index %d", v.Faults[0].Index)
	}
	c.say("cli.audit-intact")
	return nil
}

type auditProveCmd struct {
	Index uint64 `arg:"" placeholder:"INDEX" help:"${help_audit_index}"`
}

// Run writes a proof file to stdout.
func (x *auditProveCmd) Run(c *cli) error {
	var proof string
	if err := c.call("audit.prove", web.ProveRef{Index: x.Index}, &proof); err != nil {
		return err
	}
	_, err := io.WriteString(c.io.out, proof)
	return err
}

type auditCheckCmd struct {
	File string `arg:"" placeholder:"FILE" help:"${help_audit_file}"`
}

// Run checks a proof file alone, without a node.
func (x *auditCheckCmd) Run(c *cli) error {
	b, err := readFile(x.File)
	if err != nil {
		return err
	}
	p, err := store.CheckProof(b)
	if err != nil {
		return err
	}
	return one(c, p, [][2]string{{"index", n(p.Index)}, {"action", c.word("act." + string(p.Action))}, {"time", p.Time.UTC().Format(time.RFC3339Nano)},
		{"rows", n(p.Rows)}, {"ledger", p.Ledger}, {"acts", n(p.Acts)}, {"signed-with", p.Key}, {"shows", strings.Join(p.Shows, "\n")}}...)
}

type quarantineCmd struct {
	List quarantineListCmd `cmd:"" help:"${help_quarantine_list}"`
}

type quarantineListCmd struct {
	After int64 `help:"${help_after}"`
	Limit int   `default:"100" help:"${help_limit}"`
}

func (x *quarantineListCmd) Run(c *cli) error {
	var rows []web.QuarantineRow
	if err := c.call("quarantine.list", web.ListRef{After: x.After, Limit: x.Limit}, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[web.QuarantineRow]{"time", func(r web.QuarantineRow) string { return r.Time }},
		column[web.QuarantineRow]{"from", func(r web.QuarantineRow) string { return r.From }},
		column[web.QuarantineRow]{"place", func(r web.QuarantineRow) string { return c.place(r.Place) }},
		column[web.QuarantineRow]{"reason", func(r web.QuarantineRow) string { return c.whyQuarantined(r.Code, r.Detail) }})
}

// place says in the user's language where in a file something stood.
func (c *cli) place(s string) string {
	var line, offset int64
	if k, _ := fmt.Sscanf(s, "line %d, byte %d", &line, &offset); k == 2 {
		return c.line("cli.place", n(line), n(offset))
	}
	return s
}

func join[S ~string](s []S) string {
	list := make([]string, len(s))
	for i, x := range s {
		list[i] = string(x)
	}
	return strings.Join(list, " ")
}
