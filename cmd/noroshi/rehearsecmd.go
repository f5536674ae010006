package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// textOf returns the exact text of an agreement that is named by a file or by
// the start of its hash. A file comes first.
func (c *cli) textOf(name string) ([]byte, error) {
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return readFile(name)
	}
	h, err := agreementArg{name}.hash(c)
	if err != nil {
		return nil, err
	}
	var a web.AgreementText
	if err := c.call("agreement.show", web.AgreementRef{Hash: h}, &a); err != nil {
		return nil, err
	}
	return []byte(a.Text), nil
}

func (c *cli) agreement(name string) (*noroshi.Agreement, error) {
	text, err := c.textOf(name)
	if err != nil {
		return nil, err
	}
	return noroshi.ParseAgreement(text)
}

type agreementDiffCmd struct {
	Old string `arg:"" placeholder:"HASH|FILE" help:"help.agreement-old"`
	New string `arg:"" placeholder:"HASH|FILE" help:"help.agreement-new"`
}

// Run shows what differs, key by key and clause by clause.
func (x *agreementDiffCmd) Run(c *cli) error {
	old, err := c.agreement(x.Old)
	if err != nil {
		return err
	}
	now, err := c.agreement(x.New)
	if err != nil {
		return err
	}
	found := noroshi.DiffAgreements(old, now)
	if c.Output != "table" {
		return list(c, found,
			column[noroshi.AgreementChange]{"of", func(a noroshi.AgreementChange) string { return a.Of }},
			column[noroshi.AgreementChange]{"name", func(a noroshi.AgreementChange) string { return a.Name }},
			column[noroshi.AgreementChange]{"item", func(a noroshi.AgreementChange) string { return a.Key }},
			column[noroshi.AgreementChange]{"before", func(a noroshi.AgreementChange) string { return a.Old }},
			column[noroshi.AgreementChange]{"after", func(a noroshi.AgreementChange) string { return a.New }})
	}
	for _, a := range found {
		fmt.Fprintln(c.io.out, clean(c.termOf(a)))
		c.side("-", a.Old)
		c.side("+", a.New)
	}
	return nil
}

// termOf says in the user's language which key of the file differs.
func (c *cli) termOf(a noroshi.AgreementChange) string {
	key := c.t("term."+a.Key) + " (" + a.Key + ")"
	if a.Of == "" {
		return key
	}
	return c.t("term."+a.Of) + " " + a.Name + ": " + key
}

// side prints a value behind its sign, line by line.
func (c *cli) side(sign, text string) {
	if text == "" {
		return
	}
	for l := range strings.Lines(text) {
		fmt.Fprintf(c.io.out, "  %s %s\n", sign, clean(strings.TrimRight(l, "\n")))
	}
}

type agreementRehearseCmd struct {
	Agreement string `arg:"" placeholder:"HASH|FILE" help:"help.agreement-new"`
	AsOf      string `placeholder:"TIME" help:"help.agreement-as-of"`
}

// Run decides again over what the store holds and shows what would change.
func (x *agreementRehearseCmd) Run(c *cli) error {
	text, err := c.textOf(x.Agreement)
	if err != nil {
		return err
	}
	at, err := moment(x.AsOf)
	if err != nil {
		return err
	}
	var r release.Rehearsal
	if err := c.call("agreement.rehearse", web.RehearseRef{File: text, AsOf: at}, &r); err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(c.io.out, r)
	}
	rows := rehearsedRows(r)
	if c.Output != "table" {
		return list(c, rows, rehearsedColumns(c)...)
	}
	line := func(key string, args ...string) { fmt.Fprintln(c.io.out, clean(c.t(key, args...))) }
	inForce := "-"
	if !r.InForce.IsZero() {
		inForce = r.InForce.String()[:12]
	}
	line("cli.rehearsed", n(r.Objects), fmt.Sprint(r.From), fmt.Sprint(r.To), utc(r.FromTime), utc(r.ToTime))
	line("cli.rehearsed-terms", r.Agreement.String()[:12], inForce, utc(r.At))
	if len(rows) == 0 {
		line("cli.rehearsed-same")
		return nil
	}
	if err := list(c, rows, rehearsedColumns(c)...); err != nil {
		return err
	}
	for _, row := range rows {
		for _, s := range row.Samples {
			fmt.Fprintf(c.io.out, "%s  %s  %s → %s\n", s.ID, row.partner, c.answer(s.Was, s.WasKey), c.answer(row.Outcome, row.Key))
			for _, why := range s.Reasons {
				fmt.Fprintf(c.io.out, "  * %s\n", clean(c.reason(why)))
			}
		}
	}
	return nil
}

// rehearsedRow is a change with the partner it is for.
type rehearsedRow struct {
	partner noroshi.CallSign
	release.RehearsalChange
}

func rehearsedRows(r release.Rehearsal) (rows []rehearsedRow) {
	for _, p := range r.Partners {
		for _, k := range p.Changes {
			rows = append(rows, rehearsedRow{p.CallSign, k})
		}
	}
	return rows
}

func rehearsedColumns(c *cli) []column[rehearsedRow] {
	return []column[rehearsedRow]{
		{"partner", func(r rehearsedRow) string { return string(r.partner) }},
		{"becomes", func(r rehearsedRow) string { return c.answer(r.Outcome, r.Key) }},
		{"count", func(r rehearsedRow) string { return n(r.Count) }},
		{"gone", func(r rehearsedRow) string { return n(r.Gone) }},
	}
}

// answer says what an object's answer is, with the key of a hold.
func (c *cli) answer(outcome string, key noroshi.HoldKey) string {
	if key == "" {
		return c.t("outcome." + outcome)
	}
	return c.t("outcome."+outcome) + " (" + c.t("hold."+string(key)) + ")"
}

// moment reads a time that a person gave, "" as none.
func moment(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, noroshi.Errorf(noroshi.Invalid, "cli.time", "%q is no time such as 2026-11-30T09:00:00+09:00", text)
	}
	return t, nil
}

func utc(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
