package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/audit"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type auditCmd struct {
	Log        auditLogCmd        `cmd:"" help:"help.audit-log"`
	Verify     auditVerifyCmd     `cmd:"" help:"help.audit-verify"`
	Prove      auditProveCmd      `cmd:"" help:"help.audit-prove"`
	Check      auditCheckCmd      `cmd:"" help:"help.audit-check"`
	Export     auditExportCmd     `cmd:"" help:"help.audit-export"`
	Compare    auditCompareCmd    `cmd:"" help:"help.audit-compare"`
	Checkpoint auditCheckpointCmd `cmd:"" help:"help.audit-checkpoint"`
	Witness    auditWitnessCmd    `cmd:"" help:"help.audit-witness"`
}

type auditLogCmd struct {
	From  *uint64 `placeholder:"INDEX" help:"help.audit-from"`
	Limit int     `default:"100" help:"help.limit"`
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
		column[web.ActRow]{"persons", signers},
		column[web.ActRow]{"partner", func(r web.ActRow) string { return string(r.Partner) }},
		column[web.ActRow]{"subject", func(r web.ActRow) string { return c.subject(r) }},
		column[web.ActRow]{"count", func(r web.ActRow) string { return c.some(r.Count) }},
		column[web.ActRow]{"rows", func(r web.ActRow) string { return n(r.Rows) }})
}

// signers are who signed an act; where nobody did, who called it.
func signers(r web.ActRow) string {
	if len(r.Persons) == 0 {
		return r.Caller.String()
	}
	return join(r.Persons)
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

type auditVerifyCmd struct {
	Witness []string `sep:"none" placeholder:"FILE" help:"help.audit-verify-witness"`
}

// Run verifies the whole record; exit code 7 and the first bad index when it
// does not hold.
func (x *auditVerifyCmd) Run(c *cli) error {
	var in web.VerifyRef
	for _, name := range x.Witness {
		b, err := readFile(name)
		if err != nil {
			return err
		}
		in.Witness = append(in.Witness, b)
	}
	var v web.Audited
	bar := newProgress(c)
	err := c.callBody("audit.verify", in, nil, func(b json.RawMessage) {
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
	for _, r := range v.Cosigned {
		pairs = append(pairs, [2]string{"cosigned", c.cosigned(r)})
	}
	for _, w := range v.Witnesses {
		pairs = append(pairs, [2]string{"witness", c.line("audit.witnessed", w.By.Node.String(), n(w.Size), w.Ledger, at(w.At)) + "\n" + w.By.Fingerprints[0]})
	}
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
	Index   *uint64 `arg:"" optional:"" placeholder:"INDEX" help:"help.audit-index"`
	Message string  `xor:"what" placeholder:"ID" help:"help.audit-message"`
	Batch   string  `xor:"what" placeholder:"BATCH" help:"help.audit-batch"`
	Recall  string  `xor:"what" placeholder:"ID" help:"help.audit-recall"`
	Receipt string  `xor:"what" placeholder:"ID" help:"help.audit-receipt"`
	Partner string  `placeholder:"PARTNER" help:"help.audit-prove-partner"`
	Out     string  `placeholder:"FILE" help:"help.audit-out"`
}

// Run writes a proof file to standard output, or where --out says.
func (x *auditProveCmd) Run(c *cli) error {
	what := x.Message + x.Batch + x.Recall + x.Receipt
	if (x.Index != nil) == (what != "") {
		return noroshi.Errorf(noroshi.Invalid, "audit.what", "say what to prove: an index, or one of --message, --batch, --recall and --receipt")
	}
	if x.Index != nil {
		var proof string
		if err := c.call("audit.prove", web.ProveRef{Index: *x.Index}, &proof); err != nil {
			return err
		}
		return c.toFile(x.Out, []byte(proof))
	}
	in := web.ShowRef{Batch: x.Batch, Recall: x.Recall, Partner: x.Partner}
	for _, h := range []struct {
		text string
		to   *noroshi.Hash
	}{{x.Message, &in.Message}, {x.Receipt, &in.Receipt}} {
		if h.text == "" {
			continue
		}
		if err := messageID(h.text, h.to); err != nil {
			return err
		}
	}
	return c.made("audit.show", in, x.Out)
}

// messageID reads the id of a message.
func messageID(text string, to *noroshi.Hash) error {
	if to.UnmarshalText([]byte(text)) != nil {
		return noroshi.Errorf(noroshi.Invalid, "audit.message-id", "%s is no id of a message: 64 hexadecimal digits", text)
	}
	return nil
}

type auditCheckCmd struct {
	File string `arg:"" placeholder:"FILE" help:"help.audit-file"`
}

// Run checks a proof file alone, without a node.
func (x *auditCheckCmd) Run(c *cli) error {
	b, err := readFile(x.File)
	if err != nil {
		return err
	}
	if audit.Is(b) {
		return c.shown(b)
	}
	p, err := store.CheckProof(b)
	if err != nil {
		return err
	}
	return one(c, p, [][2]string{{"index", n(p.Index)}, {"action", c.word("act." + string(p.Action))}, {"time", p.Time.UTC().Format(time.RFC3339Nano)},
		{"rows", n(p.Rows)}, {"ledger", p.Ledger}, {"acts", n(p.Acts)}, {"signed-with", p.Key}, {"shows", strings.Join(p.Shows, "\n")}}...)
}

type quarantineCmd struct {
	List    quarantineListCmd    `cmd:"" help:"help.quarantine-list"`
	Held    quarantineHeldCmd    `cmd:"" help:"help.quarantine-held"`
	Decide  quarantineDecideCmd  `cmd:"" help:"help.quarantine-decide"`
	Release quarantineReleaseCmd `cmd:"" help:"help.quarantine-release"`
}

type quarantineReleaseCmd struct {
	Seq int64 `arg:"" placeholder:"SEQ" help:"help.quarantine-seq"`
	asPerson
}

// Run shows what a guard held back, and lets it in on a person's signature.
func (x *quarantineReleaseCmd) Run(c *cli) error {
	var rows []web.QuarantineRow
	if err := c.call("quarantine.list", web.ListRef{After: x.Seq - 1, Limit: 1}, &rows); err != nil {
		return err
	}
	if len(rows) == 0 || rows[0].Seq != x.Seq {
		return noroshi.Errorf(noroshi.NotFound, "quarantine.none", "there is no entry %d in quarantine", x.Seq)
	}
	r := rows[0]
	c.say("cli.quarantine-release", r.From, c.place(r.Place), c.whyQuarantined(r.Code, r.Why))
	by, err := x.sign(c, noroshi.ActImport, intake.QuarantineSubject(x.Seq), r.Bound)
	if err != nil {
		return err
	}
	var in web.LetIn
	if err := c.call("quarantine.release", web.QuarantineRef{Seq: x.Seq, By: by}, &in); err != nil {
		return err
	}
	return one(c, in, [2]string{"object", string(in.Object)})
}

type quarantineListCmd struct {
	After int64 `help:"help.after"`
	Limit int   `default:"100" help:"help.limit"`
}

func (x *quarantineListCmd) Run(c *cli) error {
	var rows []web.QuarantineRow
	if err := c.call("quarantine.list", web.ListRef{After: x.After, Limit: x.Limit}, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[web.QuarantineRow]{"seq", func(r web.QuarantineRow) string { return n(r.Seq) }},
		column[web.QuarantineRow]{"time", func(r web.QuarantineRow) string { return r.Time }},
		column[web.QuarantineRow]{"from", func(r web.QuarantineRow) string { return r.From }},
		column[web.QuarantineRow]{"place", func(r web.QuarantineRow) string { return c.place(r.Place) }},
		column[web.QuarantineRow]{"reason", func(r web.QuarantineRow) string { return c.whyQuarantined(r.Code, r.Why) }},
		column[web.QuarantineRow]{"released", func(r web.QuarantineRow) string { return r.Released }},
		column[web.QuarantineRow]{"by", func(r web.QuarantineRow) string { return r.By }})
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
