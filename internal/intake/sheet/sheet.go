// Package sheet reads tables of values as spreadsheets write them: CSV, TSV and
// what goes by those names. A Mapping says which column means what; Sniff tells
// the encoding, the delimiter and whether the first row has the heads; a Reader
// hands out row by row, however long the table, and goes on behind a row that
// is none; Mapping.Read says what one row means.
//
// The grammar is RFC 4180 with what spreadsheets do besides: a row ends with
// CR, LF or both; a quote inside an unquoted cell is a quote; a row whose first
// cell begins with # is a comment; an empty row says nothing.
package sheet

import (
	"bytes"
	"errors"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/noroshi-cti/noroshi"
)

// Bounds of a table.
const (
	MaxColumns = 256
	MaxCell    = 64 << 10
	MaxRow     = 1 << 20
	MaxRows    = 2_000_000

	maxMapping = 64 << 10 // a mapping's file
)

// Fields are what a column may mean, in the order they are shown.
var Fields = []string{"value", "kind", "name", "description", "valid_from", "valid_until", "confidence", "marking", "labels", "reference"}

// Mapping says what the columns of a kind of table mean. Its file is TOML;
// unknown keys are errors.
type Mapping struct {
	// Columns names, for each field, the column by its head or by its number
	// from 1. Only value is needed.
	Columns map[string]string `toml:"columns" json:"columns,omitempty"`

	// Encoding is utf-8, utf-16le, utf-16be or shift_jis (also cp932); "" = told
	// by the table's beginning, or refused.
	Encoding string `toml:"encoding" json:"encoding,omitempty"`

	// Delimiter is one of , ; | and tab; "" = told by the beginning.
	Delimiter string `toml:"delimiter" json:"delimiter,omitempty"`

	// Header is yes or no; "" = yes where a column is named by its head or the
	// first row has no value where the values are.
	Header string `toml:"header" json:"header,omitempty"`

	// Zone is that of times that name none, such as +09:00; "" = UTC.
	Zone string `toml:"zone" json:"zone,omitempty"`

	// Kinds say which kind a word of the kind column means, Markings which TLP
	// level one of the marking column does. Case and what is neither letter nor
	// digit do not count.
	Kinds    map[string]string `toml:"kinds" json:"kinds,omitempty"`
	Markings map[string]string `toml:"markings" json:"markings,omitempty"`
}

// bad is an error of a mapping's field.
func bad(field, want string) error {
	return noroshi.Errorf(noroshi.Invalid, "sheet.field", "column mapping: %s: %s", field, want)
}

// ParseMapping reads a mapping's file and checks it.
func ParseMapping(file []byte) (*Mapping, error) {
	if len(file) > maxMapping {
		return nil, bad("file", "is larger than 64 KiB")
	}
	m := &Mapping{}
	md, err := toml.NewDecoder(bytes.NewReader(file)).Decode(m)
	if err != nil {
		return nil, bad("file", err.Error())
	}
	if u := md.Undecoded(); len(u) > 0 {
		return nil, bad(u[0].String(), "is no key of a mapping")
	}
	return m, m.Check()
}

// ParseColumns adds columns written as field=column to a mapping; they go
// before those it has.
func (m *Mapping) ParseColumns(columns []string) error {
	for _, c := range columns {
		field, column, ok := strings.Cut(c, "=")
		if !ok {
			return bad(c, "must be field=column, such as value=2")
		}
		if m.Columns == nil {
			m.Columns = map[string]string{}
		}
		m.Columns[strings.TrimSpace(field)] = strings.TrimSpace(column)
	}
	return m.Check()
}

// Check reports what is wrong with a mapping by itself.
func (m *Mapping) Check() error {
	for field, column := range m.Columns {
		if !known(field) {
			return bad(field, "is no field; there are "+strings.Join(Fields, ", "))
		}
		if column == "" {
			return bad(field, "names no column")
		}
	}
	if _, err := m.delimiter(); err != nil {
		return err
	}
	if m.Encoding != "" && codecOf(m.Encoding) == nil {
		return bad("encoding", "must be utf-8, utf-16le, utf-16be or shift_jis")
	}
	if m.Header != "" && m.Header != "yes" && m.Header != "no" {
		return bad("header", "must be yes or no")
	}
	if _, err := zoneOf(m.Zone); err != nil {
		return bad("zone", "must be an offset such as +09:00")
	}
	for word, kind := range m.Kinds {
		if _, ok := kindWords[fold(kind)]; !ok {
			return bad("kinds."+word, "names no kind: "+kind)
		}
	}
	for word, level := range m.Markings {
		if _, err := noroshi.ParseTLP(level); err != nil {
			return bad("markings."+word, "must be a TLP level")
		}
	}
	return nil
}

func (m *Mapping) delimiter() (byte, error) {
	switch m.Delimiter {
	case "":
		return 0, nil
	case "tab", `\t`:
		return '\t', nil
	}
	if len(m.Delimiter) == 1 && strings.Contains(delimiters, m.Delimiter) {
		return m.Delimiter[0], nil
	}
	return 0, bad("delimiter", "must be one of , ; | and tab")
}

func known(field string) bool {
	for _, f := range Fields {
		if f == field {
			return true
		}
	}
	return false
}

// errWide and its like are faults of one row.
var (
	errWide  = errors.New("more than 256 cells")
	errLong  = errors.New("a row above 1 MiB")
	errOpen  = errors.New("a quote that does not end")
	errAfter = errors.New("something follows a closing quote")
	errCell  = errors.New("a cell above 64 KiB")
	errText  = errors.New("bytes that are none of the table's encoding")
)
