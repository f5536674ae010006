package main

import (
	"io"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/intake/sheet"
	"github.com/noroshi-cti/noroshi/internal/locale"
)

// tableFlags say how a table is read.
type tableFlags struct {
	Columns []string `sep:"," placeholder:"FIELD=COLUMN" help:"help.import-columns"`
	Mapping string   `placeholder:"FILE" help:"help.import-mapping"`
	Preview bool     `help:"help.import-preview"`
}

// mapping reads what the columns of a table mean, nil where nothing is said.
func (x tableFlags) mapping() (*sheet.Mapping, error) {
	if x.Mapping == "" && len(x.Columns) == 0 {
		return nil, nil
	}
	m := &sheet.Mapping{}
	if x.Mapping != "" {
		file, err := readFile(x.Mapping)
		if err != nil {
			return nil, err
		}
		if m, err = sheet.ParseMapping(file); err != nil {
			return nil, err
		}
	}
	return m, m.ParseColumns(x.Columns)
}

// previewRows are so many rows that a preview shows.
const previewRows = 20

// preview shows the first rows of a table as they would be imported.
func (x *importCmd) preview(c *cli, f io.Reader, columns *sheet.Mapping) error {
	if x.Format != "csv" && columns == nil {
		return noroshi.Errorf(noroshi.Invalid, "import.preview", "a preview is of a table: give --format csv or --columns")
	}
	o := intake.ImportOptions{Name: fileName(x.File), Columns: columns}
	if x.Marking != "" {
		var err error
		if o.Marking, err = noroshi.ParseTLP(x.Marking); err != nil {
			return err
		}
	}
	p, err := intake.PreviewTable(f, o, previewRows)
	if err != nil {
		return err
	}
	heads := strings.Join(p.Dialect.Heads, p.Dialect.Delimiter)
	if heads == "" {
		heads = c.t("cli.preview-no-heads")
	}
	c.say("cli.preview", p.Dialect.Encoding, delimiterName(p.Dialect.Delimiter), heads)
	type row = intake.PreviewRow
	return list(c, p.Rows,
		column[row]{"line", func(r row) string { return n(r.Line) }},
		column[row]{"kind", func(r row) string { return r.Kind }},
		column[row]{"value", func(r row) string { return r.Value }},
		column[row]{"name", func(r row) string { return r.Name }},
		column[row]{"valid-from", func(r row) string { return r.ValidFrom }},
		column[row]{"valid-until", func(r row) string { return r.ValidUntil }},
		column[row]{"confidence", func(r row) string { return r.Confidence }},
		column[row]{"marking", c.previewMarking},
		column[row]{"wrong", func(r row) string {
			if c.lang == locale.EN || c.forScripts() || r.Reason == "" {
				return r.Wrong
			}
			return c.textOr("error."+r.Reason, r.Wrong, r.Args...)
		}})
}

// previewMarking says how a row would be marked.
func (c *cli) previewMarking(r intake.PreviewRow) string {
	switch {
	case r.Held != "":
		return c.t("cli.preview-held", r.Held)
	case r.Marking == "" && r.Wrong == "":
		return c.t("cli.preview-unmarked")
	}
	return r.Marking
}

// delimiterName is a delimiter as a person reads it.
func delimiterName(d string) string {
	if d == "\t" {
		return "tab"
	}
	return d
}
