package sheet

import (
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
)

// valueHeads are heads under which a table without a mapping has its values.
var valueHeads = []string{"value", "indicator", "indicatorvalue", "ioc", "iocvalue", "observable"}

// columns finds the mapped columns in the first row, and tells whether that is
// a header.
func (d *Dialect) columns(m *Mapping, first []string) error {
	d.column = map[string]int{}
	named := false
	for _, field := range Fields {
		column, mapped := m.Columns[field]
		if !mapped {
			continue
		}
		n, err := strconv.Atoi(column)
		if err != nil {
			named = true
			if n = headOf(first, column); n == 0 {
				return noroshi.Errorf(noroshi.Invalid, "sheet.no-column", "no column has the head %q for %s; the first row has %s", column, field, headList(first))
			}
		}
		if n < 1 || n > MaxColumns {
			return bad(field, "a column's number is from 1 to 256")
		}
		d.column[field] = n - 1
	}
	if err := d.valueColumn(first, &named); err != nil {
		return err
	}
	for _, field := range Fields {
		if d.column[field] >= len(first) {
			return noroshi.Errorf(noroshi.Invalid, "sheet.no-column", "no column has the head %q for %s; the first row has %s", m.Columns[field], field, headList(first))
		}
	}
	switch {
	case m.Header == "no" && named:
		return bad("header", "is no, but columns are named by their heads")
	case m.Header != "":
		d.Header = m.Header == "yes"
	case named:
		d.Header = true
	default:
		_, err := detect.ParseValue(strings.TrimSpace(first[d.column["value"]]))
		d.Header, d.Guessed = err != nil, err != nil
	}
	if d.Header {
		d.Heads = first
	}
	return nil
}

// valueColumn finds the values where the mapping does not name them: under a
// usual head, or in the only column.
func (d *Dialect) valueColumn(first []string, named *bool) error {
	if _, ok := d.column["value"]; ok {
		return nil
	}
	for i, head := range first {
		if slices.Contains(valueHeads, fold(head)) {
			d.column["value"], *named = i, true
			return nil
		}
	}
	if len(first) == 1 {
		d.column["value"] = 0
		return nil
	}
	return noroshi.Errorf(noroshi.Invalid, "sheet.no-value", "which column has the values? name it, as value=HEAD or value=NUMBER; the first row has %s", headList(first))
}

// headOf returns the number of a column by its head, 0 when there is none.
// Space around it does not count, nor case where nothing else fits.
func headOf(first []string, head string) int {
	for i, h := range first {
		if strings.TrimSpace(h) == head {
			return i + 1
		}
	}
	for i, h := range first {
		if strings.EqualFold(strings.TrimSpace(h), head) {
			return i + 1
		}
	}
	return 0
}

// headList shows the cells of a first row.
func headList(first []string) string {
	var list []string
	for i, h := range first {
		if i == 20 {
			list = append(list, "…")
			break
		}
		list = append(list, strconv.Quote(clip(strings.TrimSpace(h))))
	}
	return strings.Join(list, ", ")
}

// clip keeps a text short for a message.
func clip(s string) string {
	r := []rune(s)
	if len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
