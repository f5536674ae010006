package intake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/intake/lift"
	"github.com/noroshi-cti/noroshi/internal/intake/sheet"
	"github.com/noroshi-cti/noroshi/stix"
)

// table is a list whose rows have several columns.
type table struct {
	list    *list
	mapping *sheet.Mapping
	dialect *sheet.Dialect
}

func (im *importing) beginTable() (err error) {
	if err = im.beginLift(); err != nil {
		return err
	}
	t := &table{}
	if t.mapping, t.dialect, err = dialectOf(im.in, im.o.Columns); err != nil {
		return err
	}
	if t.list, err = im.gate.listOf(im); err != nil {
		return err
	}
	im.table = t
	return nil
}

// dialectOf tells how a table is written.
func dialectOf(in *input, m *sheet.Mapping) (*sheet.Mapping, *sheet.Dialect, error) {
	if m == nil {
		m = &sheet.Mapping{}
	}
	d, err := sheet.Sniff(in.head, m, len(in.head) < headBytes)
	if noroshi.CodeOf(err) == "sheet.binary" {
		err = noroshi.Errorf(noroshi.Invalid, "import.no-table", "%s is no table: it has zero bytes and is no UTF-16 text", in.name)
	}
	return m, d, err
}

// told is what is said of how a table was read, where that was a guess.
func (t *table) told() []lift.Note {
	var notes []lift.Note
	at := lift.Place{Line: 1}
	if t.mapping.Encoding == "" && t.dialect.Encoding != "utf-8" {
		notes = append(notes, lift.Note{Place: at, Code: "sheet-encoding", Args: []string{t.dialect.Encoding}})
	}
	if t.dialect.Guessed {
		notes = append(notes, lift.Note{Place: at, Code: "sheet-header"})
	}
	return notes
}

func (p *pipe) readTable(ctx context.Context) error {
	t := p.im.table
	p.im.notes(nil, t.told())
	rows := t.dialect.Rows(p.im.in)
	c := &chunk{}
	for n := 0; ; n++ {
		row, err := rows.Next()
		switch {
		case err != nil:
			return errors.Join(p.send(ctx, c), err)
		case n > sheet.MaxRows:
			err := noroshi.Errorf(noroshi.Invalid, "import.rows", "the table has more than %d rows: nothing beyond is read", sheet.MaxRows)
			return errors.Join(p.send(ctx, c), err)
		case n == 0 && t.dialect.Header:
			continue
		case row.Offset < p.im.from:
			p.im.report.Resumed++
			continue
		}
		c.rows, c.bytes = append(c.rows, row), c.bytes+len(row.Raw)
		if len(c.rows) == chunkElements || c.bytes >= chunkBytes {
			if err := p.send(ctx, c); err != nil {
				return err
			}
			c = &chunk{}
		}
	}
}

// prepareTable reads rows and checks what they become.
func (im *importing) prepareTable(rows []sheet.Row) []element {
	elements := make([]element, len(rows))
	for i, row := range rows {
		e := im.lifted(liftedItem{Item: im.table.item(row)})
		e.index, e.raw = i, row.Raw
		e.place = place{line: row.Line, offset: row.Offset, end: row.End}
		im.complete(&e, row.Raw)
		if e.refused != nil {
			e.refused.size = row.Size
		}
		elements[i] = e
	}
	return elements
}

// item makes what is lifted of a row.
func (t *table) item(row sheet.Row) lift.Item {
	e, err := sheet.Entry{}, row.Err
	if err == nil {
		e, err = t.mapping.Read(t.dialect, row.Cells)
	}
	if err != nil {
		return lift.Item{Fault: &lift.Fault{Code: codeMalformed, Msg: err.Error(), Why: err}}
	}
	return t.entry(e, 1)
}

// entry is what is lifted of a row's entry, the nth time it is new.
func (t *table) entry(e sheet.Entry, nth int) lift.Item {
	level, held := levelOf(e)
	again := e
	if held != "" {
		e.Labels = append(slices.Clone(e.Labels), lift.HeldLabel(held))
	}
	item := lift.Item{Own: true, TLP: level, Held: held, Make: func(created, modified stix.Time) (*stix.Object, error) {
		return t.list.indicatorOf(e, nth, created, modified)
	}, Next: func() lift.Item { return t.entry(again, nth+1) }}
	if e.ValidFrom.IsZero() && !e.ValidUntil.IsZero() && e.ValidUntil.Compare(t.list.first) <= 0 {
		item.Stale = "valid_until: " + e.ValidUntil.String() + " has passed, and no valid_from says since when it held"
	}
	return item
}

// levelOf reads a row's marking; what is no level is returned as it stands.
func levelOf(e sheet.Entry) (level noroshi.TLP, held string) {
	if e.Marking == "" {
		return noroshi.NoTLP, ""
	}
	level, err := lift.ParseTLP(e.Marking)
	if err != nil {
		return noroshi.NoTLP, e.Marking
	}
	return level, ""
}

// indicatorOf makes the indicator of a row. One that says no more than a list's
// entry is that entry's, byte for byte.
func (l *list) indicatorOf(e sheet.Entry, nth int, created, modified stix.Time) (*stix.Object, error) {
	name, from := e.Name, e.ValidFrom
	if name == "" {
		name = l.name
	}
	if from.IsZero() {
		from = created
	}
	var confidence any
	if e.Confidence >= 0 {
		confidence = e.Confidence
	}
	var refs []any
	if e.Reference != "" {
		refs = []any{[]stix.Member{{Name: "source_name", Value: l.name}, {Name: "url", Value: e.Reference}}}
	}
	return stix.Make(
		stix.Member{Name: "type", Value: "indicator"},
		stix.Member{Name: "spec_version", Value: "2.1"},
		stix.Member{Name: "id", Value: l.id(e.Value, nth)},
		stix.Member{Name: "created_by_ref", Value: l.self},
		stix.Member{Name: "created", Value: created},
		stix.Member{Name: "modified", Value: modified},
		stix.Member{Name: "labels", Value: e.Labels},
		stix.Member{Name: "confidence", Value: confidence},
		stix.Member{Name: "external_references", Value: refs},
		stix.Member{Name: "name", Value: name},
		stix.Member{Name: "description", Value: e.Description},
		stix.Member{Name: "indicator_types", Value: []string{"malicious-activity"}},
		stix.Member{Name: "pattern", Value: detect.PatternOf(e.Value)},
		stix.Member{Name: "pattern_type", Value: "stix"},
		stix.Member{Name: "pattern_version", Value: "2.1"},
		stix.Member{Name: "valid_from", Value: from},
		stix.Member{Name: "valid_until", Value: e.ValidUntil},
	)
}

// Preview is how the first rows of a table would be imported.
type Preview struct {
	Dialect *sheet.Dialect `json:"dialect"`
	Rows    []PreviewRow   `json:"rows"`
}

// PreviewRow is what a row would become, or what is wrong with it.
type PreviewRow struct {
	Line       int      `json:"line"`
	Kind       string   `json:"kind,omitempty"`
	Value      string   `json:"value,omitempty"`
	Name       string   `json:"name,omitempty"`
	ValidFrom  string   `json:"valid_from,omitempty"`
	ValidUntil string   `json:"valid_until,omitempty"`
	Confidence string   `json:"confidence,omitempty"`
	Marking    string   `json:"marking,omitempty"` // "" = unmarked: it would be held
	Held       string   `json:"held,omitempty"`    // a marking that is not understood: it would be held
	Labels     []string `json:"labels,omitempty"`
	Wrong      string   `json:"wrong,omitempty"` // why it would be quarantined

	Reason string   `json:"reason,omitempty"` // its code, "" = it has none, and arguments
	Args   []string `json:"args,omitempty"`
}

// PreviewTable reads the first rows of a table as Import would, and writes
// nothing.
func PreviewTable(r io.Reader, o ImportOptions, rows int) (Preview, error) {
	in, err := openInput(r, o.Name, o.MaxBytes)
	if err != nil {
		return Preview{}, err
	}
	m, d, err := dialectOf(in, o.Columns)
	if err != nil {
		return Preview{}, err
	}
	p := Preview{Dialect: d}
	t := d.Rows(in)
	for n := 0; len(p.Rows) < rows; n++ {
		row, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return p, err
		}
		if n > 0 || !d.Header {
			p.Rows = append(p.Rows, previewRow(m, d, row, o.Marking))
		}
	}
	return p, nil
}

func previewRow(m *sheet.Mapping, d *sheet.Dialect, row sheet.Row, marking noroshi.TLP) PreviewRow {
	e, err := sheet.Entry{}, row.Err
	if err == nil {
		e, err = m.Read(d, row.Cells)
	}
	if err != nil {
		p := PreviewRow{Line: row.Line, Value: Beginning(bytes.ReplaceAll(row.Raw, []byte("\t"), []byte(" "))), Wrong: err.Error()}
		if r := refuseFor(codeMalformed, err); r.why != nil {
			p.Reason, p.Args = r.why.Code, r.why.Args
		}
		return p
	}
	level, held := levelOf(e)
	p := PreviewRow{Line: row.Line, Kind: string(e.Value.Kind), Value: e.Value.String(), Name: e.Name, Labels: e.Labels,
		ValidFrom: e.ValidFrom.String(), ValidUntil: e.ValidUntil.String(), Held: held}
	if t := max(level, marking); t != noroshi.NoTLP {
		p.Marking = t.String()
	}
	if e.Confidence >= 0 {
		p.Confidence = strconv.Itoa(e.Confidence)
	}
	return p
}
