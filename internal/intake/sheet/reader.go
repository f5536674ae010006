package sheet

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// Row is one row of a table.
type Row struct {
	Line   int   // its first, from 1
	Offset int64 // of its first byte, in UTF-8
	End    int64 // of the first byte behind it
	Cells  []string
	Raw    []byte // as it stands, in UTF-8, cut at MaxRow
	Size   int64
	Err    error // why it is none; the next goes on
}

// Reader hands out the rows of a table in UTF-8. Its memory is bounded by
// MaxRow.
type Reader struct {
	r      io.Reader
	delim  byte
	buf    []byte
	start  int // of what is not handed out yet
	eof    error
	line   int
	offset int64
	lossy  bool // U+FFFD stands for what could not be decoded
}

// NewReader reads a table of a delimiter, in UTF-8.
func NewReader(r io.Reader, delimiter byte) *Reader {
	return &Reader{r: r, delim: delimiter, line: 1}
}

// Rows reads a table as it is written.
func (d *Dialect) Rows(r io.Reader) *Reader {
	t := NewReader(d.Decode(r), d.Delimiter[0])
	t.lossy = d.Encoding != "utf-8"
	return t
}

// fillBytes is how much is read at once.
const fillBytes = 256 << 10

// Next returns the next row that says something; io.EOF at the end, any other
// error is that of the input.
func (t *Reader) Next() (Row, error) {
	for {
		row, err := t.row()
		if err != nil {
			return Row{}, err
		}
		if row.Err != nil || !silent(row.Cells) {
			return row, nil
		}
	}
}

// silent reports whether a row is empty or a comment.
func silent(cells []string) bool {
	if len(cells) > 0 && strings.HasPrefix(cells[0], "#") {
		return true
	}
	for _, c := range cells {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}

func (t *Reader) row() (Row, error) {
	for {
		b := t.buf[t.start:]
		cells, n, err := scan(b, t.delim, t.eof != nil || len(b) > MaxRow)
		if n < 0 {
			if err := t.fill(); err != nil {
				return Row{}, err
			}
			continue
		}
		if n == 0 {
			return Row{}, t.eof
		}
		if n > MaxRow {
			return t.skip(), nil
		}
		return t.take(cells, n, err), nil
	}
}

// take hands out n bytes as a row.
func (t *Reader) take(cells []string, n int, err error) Row {
	raw := bytes.Clone(t.buf[t.start : t.start+n])
	row := Row{Line: t.line, Offset: t.offset, End: t.offset + int64(n), Cells: cells, Raw: bytes.TrimRight(raw, "\r\n"), Size: int64(n), Err: err}
	if row.Err == nil {
		row.Err = t.judge(cells, raw)
	}
	t.start += n
	t.offset += int64(n)
	t.line += lineEnds(raw)
	return row
}

// judge says what is wrong with cells that were read.
func (t *Reader) judge(cells []string, raw []byte) error {
	if len(cells) > MaxColumns {
		return errWide
	}
	for _, c := range cells {
		if len(c) > MaxCell {
			return errCell
		}
	}
	if !utf8.Valid(raw) || t.lossy && bytes.ContainsRune(raw, utf8.RuneError) || bytes.IndexByte(raw, 0) >= 0 {
		return errText
	}
	return nil
}

// skip passes over a row that is longer than is read.
func (t *Reader) skip() Row {
	row := Row{Line: t.line, Offset: t.offset, Raw: bytes.Clone(t.buf[t.start : t.start+MaxRow]), Err: errLong}
	for {
		b := t.buf[t.start:]
		n := lineEnd(b)
		found := n > 0 && (n < len(b) || b[n-1] == '\n' || t.eof != nil) // a CR may have its LF behind the buffer
		if n == 0 || !found {
			n = len(b)
		}
		row.Size += int64(n)
		t.start += n
		if found || t.fill() != nil || t.eof != nil && t.start == len(t.buf) {
			break
		}
	}
	t.line++
	t.offset += row.Size
	row.End = t.offset
	return row
}

// fill reads more; what was handed out makes room.
func (t *Reader) fill() error {
	if t.eof != nil {
		if errors.Is(t.eof, io.EOF) {
			return nil
		}
		return t.eof
	}
	t.buf = append(t.buf[:0], t.buf[t.start:]...)
	t.start = 0
	have := len(t.buf)
	t.buf = append(t.buf, make([]byte, fillBytes)...)
	n, err := t.r.Read(t.buf[have:])
	t.buf = t.buf[:have+n]
	if err != nil {
		t.eof = err
		if !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

// scan reads a row at the beginning of b: its cells and length, or -1 when more
// is needed, or 0 when there is nothing. Of a row that is none the length is
// that of its first line.
func scan(b []byte, delim byte, whole bool) (cells []string, n int, err error) {
	if len(b) == 0 {
		if whole {
			return nil, 0, nil
		}
		return nil, -1, nil
	}
	for i := 0; ; {
		var text string
		var next int
		if i < len(b) && b[i] == '"' {
			text, next, err = quotedCell(b, i, delim)
		} else {
			text, next = bareCell(b, i, delim)
		}
		if next >= len(b) && !whole {
			return nil, -1, nil
		}
		if n := lineEnd(b); err != nil && !whole && (n == 0 || n == len(b) && b[n-1] == '\r') {
			return nil, -1, nil
		}
		if err != nil {
			return nil, firstLine(b), err
		}
		cells = append(cells, text)
		if next < len(b) && b[next] == delim {
			i = next + 1
			continue
		}
		end := next + endAt(b, next)
		if end == len(b) && !whole && b[end-1] == '\r' {
			return nil, -1, nil
		}
		return cells, end, nil
	}
}

// bareCell reads a cell without quotes and returns where it ends.
func bareCell(b []byte, i int, delim byte) (string, int) {
	n := bytes.IndexFunc(b[i:], func(r rune) bool { return r == rune(delim) || r == '\n' || r == '\r' })
	if n < 0 {
		n = len(b) - i
	}
	return string(b[i : i+n]), i + n
}

// quotedCell reads a cell in quotes, in which a quote is doubled.
func quotedCell(b []byte, i int, delim byte) (string, int, error) {
	var text []byte
	for i++; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return "", len(b), errOpen
		}
		text = append(text, b[i:i+n]...)
		i += n + 1
		if i < len(b) && b[i] == '"' {
			text = append(text, '"')
			i++
			continue
		}
		if i < len(b) && b[i] != delim && b[i] != '\n' && b[i] != '\r' {
			return "", i, errAfter
		}
		return string(text), i, nil
	}
}

// endAt returns how many bytes the line end at i has.
func endAt(b []byte, i int) int {
	switch {
	case i >= len(b):
		return 0
	case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
		return 2
	case b[i] == '\r' || b[i] == '\n':
		return 1
	}
	return 0
}

// lineEnd returns the length of the first line with its end, 0 when it has none.
func lineEnd(b []byte) int {
	i := bytes.IndexAny(b, "\r\n")
	if i < 0 {
		return 0
	}
	return i + endAt(b, i)
}

func firstLine(b []byte) int {
	if n := lineEnd(b); n > 0 {
		return n
	}
	return len(b)
}

// lineEnds counts the line ends in b.
func lineEnds(b []byte) int {
	n := bytes.Count(b, []byte("\n"))
	for i, c := range b {
		if c == '\r' && (i+1 == len(b) || b[i+1] != '\n') {
			n++
		}
	}
	return n
}
