package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/mattn/go-runewidth"

	"github.com/noroshi-cti/noroshi/internal/locale"
)

// column is one column of a table: the key of its heading and the cell of a
// row.
type column[T any] struct {
	key  string // stable English name in csv; "col."+key in locale for tables
	cell func(T) string
}

// list prints rows in the form asked for: json is {"data": […]}, jsonl one row
// a line, csv and table the columns.
func list[T any](c *cli, rows []T, cols ...column[T]) error {
	switch c.Output {
	case "json":
		if rows == nil {
			rows = []T{}
		}
		return printJSON(c.io.out, map[string]any{"data": rows})
	case "jsonl":
		enc := json.NewEncoder(c.io.out)
		for _, r := range rows {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		w := csv.NewWriter(c.io.out)
		_ = w.Write(cells(cols, func(k column[T]) string { return k.key }))
		for _, r := range rows {
			_ = w.Write(cells(cols, func(k column[T]) string { return k.cell(r) }))
		}
		w.Flush()
		return w.Error()
	}
	table := [][]string{}
	if !c.NoHeader {
		table = append(table, cells(cols, func(k column[T]) string { return c.t("col." + k.key) }))
	}
	for _, r := range rows {
		table = append(table, cells(cols, func(k column[T]) string { return oneLine(k.cell(r)) }))
	}
	return printTable(c.io.out, table)
}

// forScripts reports whether values are read by a program: they are codes and
// English then, the same in every language.
func (c *cli) forScripts() bool { return c.Output == "csv" }

// word is a value in the user's language; for scripts its code, what follows
// the first dot of the key.
func (c *cli) word(key string) string {
	if c.forScripts() {
		_, code, _ := strings.Cut(key, ".")
		return code
	}
	return c.t(key)
}

// wordOr is word where a code may have no text; for scripts it is the fallback.
func (c *cli) wordOr(key, fallback string, args ...string) string {
	if c.forScripts() {
		return fallback
	}
	return c.textOr(key, fallback, args...)
}

// line is a value of several words; for scripts in English.
func (c *cli) line(key string, args ...string) string {
	return locale.T(c.cellLang(), key, locale.Strings(args)...)
}

// cellLang is the language of values.
func (c *cli) cellLang() locale.Lang {
	if c.forScripts() {
		return locale.EN
	}
	return c.lang
}

func cells[T any](cols []column[T], f func(column[T]) string) []string {
	out := make([]string, len(cols))
	for i, k := range cols {
		out[i] = f(k)
	}
	return out
}

// one prints a single thing: its object under json and jsonl, else pairs of
// name and value, the names from locale.
func one(c *cli, v any, pairs ...[2]string) error {
	if c.Output == "json" || c.Output == "jsonl" {
		return printJSON(c.io.out, v)
	}
	if c.Output == "csv" {
		w := csv.NewWriter(c.io.out)
		for _, p := range pairs {
			_ = w.Write(p[:])
		}
		w.Flush()
		return w.Error()
	}
	var table [][]string
	for _, p := range pairs {
		if p[1] == "" {
			continue
		}
		for i, l := range strings.Split(p[1], "\n") {
			name := ""
			if i == 0 {
				name = c.t("col." + p[0])
			}
			table = append(table, []string{name, clean(l)})
		}
	}
	return printTable(c.io.out, table)
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func printTable(w io.Writer, rows [][]string) error {
	var width []int
	for _, r := range rows {
		for i, cell := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], runewidth.StringWidth(cell))
		}
	}
	for _, r := range rows {
		var b strings.Builder
		for i, cell := range r {
			if i == len(r)-1 {
				b.WriteString(cell)
				break
			}
			b.WriteString(runewidth.FillRight(cell, width[i]+2))
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// clean keeps a foreign text from driving the terminal and from hiding anything
// in it: control and format characters (Unicode Cc and Cf, and what parts lines
// and paragraphs) but the tab are shown as escapes, as JSON writes them.
func clean(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t' || !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// cleanLines is clean for a text of several lines.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = clean(strings.TrimSuffix(l, "\r"))
	}
	return strings.Join(lines, "\n")
}

func oneLine(s string) string {
	return clean(strings.NewReplacer("\r", " ", "\n", " ").Replace(s))
}
