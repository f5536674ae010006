package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type importCmd struct {
	File    string `arg:"" optional:"" placeholder:"FILE" help:"help.import-file"`
	Marking string `placeholder:"TLP" help:"help.import-marking"`
	profileFlag
	Profiles bool   `help:"help.import-profiles"`
	Format   string `default:"" placeholder:"FORMAT" help:"help.import-format"`
	tableFlags
	Name   string `placeholder:"NAME" help:"help.import-name"`
	Strict bool   `help:"help.import-strict"`
	Yes    bool   `hidden:""`

	As             string `placeholder:"PERSON" help:"help.import-as"`
	PassphraseFile string `placeholder:"FILE" help:"help.passphrase-file"`
}

// Run imports a file through the entry gate and prints what came of it.
func (x *importCmd) Run(c *cli) error {
	if x.Profiles {
		return c.profiles()
	}
	if x.File == "" {
		return noroshi.Errorf(noroshi.Invalid, "cli.usage", "%s", c.t("usage.missing-argument", "<file>"))
	}
	profile, err := x.ref()
	if err != nil {
		return err
	}
	f, size, err := c.openInput(x.File)
	if err != nil {
		return err
	}
	defer f.Close()
	columns, err := x.mapping()
	if err != nil {
		return err
	}
	if x.Preview {
		return x.preview(c, f, columns)
	}
	name := cmp.Or(x.Name, fileName(x.File))
	ref := web.ImportRef{Name: name, Format: x.Format, Marking: x.Marking, Strict: x.Strict, Size: size, ProfileRef: profile, Columns: columns}
	body, err := x.sign(c, &ref, f)
	if err != nil {
		return err
	}
	bar := newProgress(c)
	var r intake.Report
	err = c.callBody("import", ref, body,
		func(b json.RawMessage) {
			var p intake.Progress
			if json.Unmarshal(b, &p) == nil {
				bar.show(p.Bytes, p.Size, p.Objects)
			}
		}, &r)
	bar.end()
	if err != nil {
		return err
	}
	pairs := [][2]string{{"run", r.Run}, {"new", n(r.New)}, {"updated", n(r.Updated)}, {"unchanged", n(r.Unchanged)}, {"older", c.some(r.Older)},
		{"foreign", c.some(r.Foreign)}, {"conflicts", c.some(r.Conflicts)}, {"marked", c.some(r.Marked)}, {"marked-otherwise", c.some(r.Otherwise)}, {"quarantined", n(r.Quarantined)}, {"flagged", c.some(r.Flagged)}, {"not-armed", c.some(r.NotArmed)}, {"resumed", c.some(r.Resumed)}}
	for _, m := range r.Mapped {
		pairs = append(pairs, [2]string{"mapped", c.mapped(m)})
	}
	for _, m := range r.Notes {
		pairs = append(pairs, [2]string{"noted", c.noted(m)})
	}
	for _, q := range r.Faults {
		pairs = append(pairs, [2]string{"fault", c.line("cli.fault", n(q.Line), c.whyFault(q), strconv.Quote(q.Value))})
	}
	if r.Otherwise > 0 {
		c.say("cli.marked-otherwise", n(r.Otherwise))
	}
	if err := one(c, r, pairs...); err != nil {
		return err
	}
	if r.Quarantined > 0 || r.Conflicts > 0 {
		return errPartly
	}
	return nil
}

// fileName is what a file is known by: not where it lies, for it becomes a name
// that partners read.
func fileName(path string) string {
	if path == "-" {
		return "stdin"
	}
	return filepath.Base(path)
}

// noted says what was changed or could not be carried when a document was
// lifted, how often, and where first.
func (c *cli) noted(m intake.Noted) string {
	where := m.Path
	if where == "" {
		where = c.t("cli.noted-line", n(m.Line))
	}
	return c.t("cli.noted", n(m.Count), c.textOr("note."+m.Code, m.Code, m.Args...), where)
}

// sign has a person sign for what is imported, when one is named, and returns
// what to send.
func (x *importCmd) sign(c *cli, ref *web.ImportRef, f io.Reader) (io.Reader, error) {
	if x.As == "" {
		return f, nil
	}
	file, err := io.ReadAll(io.LimitReader(f, web.MaxSignedImport+1)) // the node refuses what is longer
	if err != nil {
		return nil, err
	}
	by, err := asPerson{x.As, x.PassphraseFile}.sign(c, noroshi.ActImport, ref.Name, web.ImportBound(*ref, noroshi.Sum(file)))
	ref.By = &by
	return bytes.NewReader(file), err
}

// whyFault says why a part of an input waits in quarantine.
func (c *cli) whyFault(p intake.Placed) string {
	return c.whyQuarantined(p.Code, noroshi.Told{Code: p.Reason, Message: p.Msg, Args: p.Args})
}

// whyQuarantined says why something waits in quarantine: what was found wrong, and
// in another language than English before it what is said of its kind.
func (c *cli) whyQuarantined(code string, found noroshi.Told) string {
	kind := c.textOr("quarantine."+code, code)
	switch {
	case c.forScripts():
		return strings.TrimSuffix(code+": "+found.Message, ": ")
	case found.Message == "":
		return kind
	case c.lang == locale.EN:
		return found.Message
	}
	return c.t("cli.found", kind, c.told(found))
}

// textOr is the text of a key, or a fallback when it has none: codes come from
// many rooms and an unknown one must still be shown.
func (c *cli) textOr(key, fallback string, args ...string) string {
	return locale.Or(c.lang, key, fallback, locale.Strings(args)...)
}

func n[T int | int64 | uint64](v T) string { return strconv.FormatInt(int64(v), 10) }

// some is n, but "" (not shown to people) for zero.
func (c *cli) some(v int) string {
	if v == 0 && !c.forScripts() {
		return ""
	}
	return n(v)
}

// progress is a bar on a terminal's stderr, or a line every ten seconds.
type progress struct {
	c     *cli
	tty   bool
	start time.Time
	last  time.Time
}

func newProgress(c *cli) *progress {
	f, ok := c.io.err.(*os.File)
	return &progress{c: c, tty: ok && term.IsTerminal(int(f.Fd())), start: time.Now(), last: time.Now()}
}

func (p *progress) show(done, size int64, objects int) {
	every := 10 * time.Second
	if p.tty {
		every = 100 * time.Millisecond
	}
	now := time.Now()
	if p.c.Quiet || now.Sub(p.last) < every {
		return
	}
	p.last = now
	rate := strconv.Itoa(int(float64(objects) / now.Sub(p.start).Seconds()))
	text := p.c.t("cli.progress", strconv.Itoa(objects), rate)
	if size > 0 && done > 0 && done <= size {
		left := time.Duration(float64(now.Sub(p.start)) * float64(size-done) / float64(done)).Round(time.Second)
		cells := int(20 * done / size)
		text = "[" + strings.Repeat("#", cells) + strings.Repeat(".", 20-cells) + "] " + text + " " + p.c.t("cli.time-left", left.String())
	}
	if p.tty {
		fmt.Fprintf(p.c.io.err, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintln(p.c.io.err, text)
}

func (p *progress) end() {
	if p.tty && !p.c.Quiet {
		fmt.Fprint(p.c.io.err, "\r\x1b[K")
	}
}
