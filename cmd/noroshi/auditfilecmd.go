package main

import (
	"os"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/audit"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// auditFiles writes to standard output for "" and "-", else where out says.
func (c *cli) auditFiles(out string) *exportFiles {
	if out == "-" {
		out = ""
	}
	return &exportFiles{c: c, out: out, name: "noroshi-audit"}
}

// made puts the file that an operation tells where out says.
func (c *cli) made(op string, in any, out string) error {
	w := c.auditFiles(out)
	var done web.FileMade
	err := c.callBody(op, in, nil, w.part, &done)
	if e := w.close(err == nil); err == nil {
		err = e
	}
	return err
}

// toFile puts a file where out says.
func (c *cli) toFile(out string, b []byte) error {
	w := c.auditFiles(out)
	f, err := w.open("")
	if err == nil {
		_, err = f.Write(b)
	}
	w.err = err
	return w.close(err == nil)
}

type auditExportCmd struct {
	Partner string `required:"" placeholder:"PARTNER" help:"help.audit-export-partner"`
	Out     string `placeholder:"FILE" help:"help.audit-out"`
}

// Run writes what this node has on record of a link, for a joint inquiry.
func (x *auditExportCmd) Run(c *cli) error {
	return c.made("audit.export", web.LedgerRef{Partner: x.Partner}, x.Out)
}

type auditCheckpointCmd struct {
	Partner string `placeholder:"PARTNER" help:"help.audit-checkpoint-partner"`
	From    uint64 `placeholder:"SIZE" help:"help.audit-checkpoint-from"`
	Out     string `placeholder:"FILE" help:"help.audit-out"`
}

// Run writes the head of a ledger for a third witness.
func (x *auditCheckpointCmd) Run(c *cli) error {
	return c.made("audit.checkpoint", web.LedgerRef{Partner: x.Partner, From: x.From}, x.Out)
}

type auditWitnessCmd struct {
	File string `arg:"" placeholder:"FILE" help:"help.audit-witness-file"`
	Out  string `placeholder:"FILE" help:"help.audit-out"`
}

// Run countersigns the head of another node's ledger.
func (x *auditWitnessCmd) Run(c *cli) error {
	b, err := readFile(x.File)
	if err != nil {
		return err
	}
	return c.made("audit.witness", web.WitnessRef{File: b}, x.Out)
}

type auditCompareCmd struct {
	First  string `arg:"" placeholder:"FILE" help:"help.audit-compare-file"`
	Second string `arg:"" placeholder:"FILE" help:"help.audit-compare-file"`
}

// Run compares two exports, without a node; exit code 7 when both cannot be
// true.
func (x *auditCompareCmd) Run(c *cli) error {
	var files [2]*os.File
	for i, name := range []string{x.First, x.Second} {
		f, _, err := c.openInput(name)
		if err != nil {
			return err
		}
		defer f.Close()
		files[i] = f
	}
	out, err := audit.Compare(x.First, files[0], x.Second, files[1])
	if err != nil {
		return err
	}
	pairs := [][2]string{{"entries", n(out.Entries[0]) + " / " + n(out.Entries[1])}, {"sent", n(out.Sent[0]) + " / " + n(out.Sent[1])},
		{"agreed", n(out.Agreed)}, {"heads", n(out.Heads)}, {"contradictions", n(out.Contradictions)}, {"one-sided", n(out.OneSided)}}
	for _, d := range out.Differences {
		pairs = append(pairs, [2]string{"difference", c.difference(d)})
	}
	if err := one(c, out, pairs...); err != nil {
		return err
	}
	if out.Contradictions > 0 {
		return noroshi.Errorf(noroshi.Broken, "audit.differ", "the two exports contradict each other: first %s", c.difference(out.Differences[0]))
	}
	c.say("cli.audit-agree")
	return nil
}

// difference says what two exports differ in: where, and what each has.
func (c *cli) difference(d audit.Difference) string {
	where := c.line("audit.at-entry", n(d.Index))
	if d.Seq > 0 {
		where = c.line("audit.at-message", n(d.Seq), d.Epoch)
	}
	text := c.line("audit.difference", d.Of.String(), where, c.wordOr("audit.diff."+d.Code, d.Code))
	if d.First+d.Then != "" {
		text += " (" + orDash(d.First) + " / " + orDash(d.Then) + ")"
	}
	return text
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// cosigned says how far the ledger of a link is countersigned.
func (c *cli) cosigned(r web.CosignedRow) string {
	text := c.line("audit.cosigned", string(r.Partner), n(r.Size), n(r.Entries), r.At)
	if r.Size == 0 {
		text = c.line("audit.never-cosigned", string(r.Partner), n(r.Entries))
	}
	if r.Since != "" {
		text += " " + c.line("audit.waits", r.Since)
	}
	return text
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// shown checks a proof file and says what it shows, in both languages: whoever
// gets one may read either.
func (c *cli) shown(file []byte) error {
	x, err := audit.Check(file)
	if err != nil {
		return err
	}
	var text []string
	for _, l := range locale.Langs {
		text = append(text, sentence(l, x))
	}
	pairs := [][2]string{{"shows", strings.Join(text, "\n")}, {"ledger", x.Ledger}, {"index", n(x.Index)}, {"time", x.Time.Format(time.RFC3339Nano)},
		{"action", c.word("act." + string(x.Action))}, {"label", x.Label}}
	if !x.Agreement.IsZero() {
		pairs = append(pairs, [2]string{"agreement", x.Agreement.String()})
	}
	if m := x.Message; m != nil {
		pairs = append(pairs, [2]string{"message", m.ID.String()}, [2]string{"content", m.Content.String()})
	}
	for _, p := range []struct {
		key string
		audit.Party
	}{{"fingerprint", x.Node}, {"partner", x.Partner}} {
		pairs = append(pairs, [2]string{p.key, p.Node.String() + "\n" + strings.Join(p.Fingerprints, "\n")})
	}
	return one(c, x, pairs...)
}

// sentence is what a proof file shows, in words.
func sentence(l locale.Lang, x audit.Shown) string {
	node, partner := x.Node.Node.String(), x.Partner.Node.String()
	var s []string
	if m := x.Message; m != nil {
		kind := locale.T(l, "audit.kind.other")
		switch message.Kind(m.Kind) {
		case message.Data:
			kind = locale.T(l, "audit.kind.data")
		case message.Recall:
			kind = locale.T(l, "audit.kind.recall")
		}
		s = append(s, locale.T(l, "audit.shows.signed", m.From.String(), m.To.String(), kind, m.Seq, at(m.Created), m.ID.String()))
	}
	switch x.Shows {
	case audit.ShowsSent:
		s = append(s, locale.T(l, "audit.shows.sent", node, at(x.Time)))
	case audit.ShowsReceived:
		s = append(s, locale.T(l, "audit.shows.received", node, at(x.Time)))
	case audit.ShowsReleased:
		s = append(s, locale.T(l, "audit.shows.released", node, x.Batch.Count, partner, at(x.Time), x.Batch.ID))
	case audit.ShowsReceipt:
		key := "audit.shows.stored"
		if x.Receipt.Applied {
			key = "audit.shows.applied"
		}
		s = append(s, locale.T(l, key, partner, at(x.Receipt.Time)))
	}
	for _, r := range x.Recall {
		s = append(s, locale.T(l, "audit.shows.recall", r.Object))
	}
	if x.Countersigned.IsZero() {
		s = append(s, locale.T(l, "audit.shows.not-countersigned", x.Entries))
	} else {
		s = append(s, locale.T(l, "audit.shows.countersigned", partner, x.Entries, at(x.Countersigned)))
	}
	if l == locale.JA {
		return strings.Join(s, "")
	}
	return strings.Join(s, " ")
}
