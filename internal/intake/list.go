package intake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
)

// maxLine is the longest line of a list that is read; a longer one is
// quarantined, its beginning kept, and the next line goes on.
const maxLine = 1 << 20

// listLine is one line of a list that says something: not empty, no comment.
type listLine struct {
	line   int   // from 1
	offset int64 // of its first byte in the unpacked input
	end    int64 // of the first byte after it
	raw    []byte
	size   int64 // of the whole line; larger than len(raw) when it was cut
}

// lineReader reads the lines of a plain list: one entry a line; empty lines and
// comments ('#') are passed over.
type lineReader struct {
	r      *bufio.Reader
	line   int
	offset int64
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next line that says something, io.EOF at the end.
func (l *lineReader) next() (listLine, error) {
	for {
		e, err := l.readLine()
		if err != nil {
			return listLine{}, err
		}
		if l.line == 1 {
			e.raw = bytes.TrimPrefix(e.raw, []byte("\ufeff"))
		}
		if e.size <= maxLine {
			e.raw = entryText(e.raw)
		}
		if len(e.raw) > 0 {
			return e, nil
		}
	}
}

// readLine returns the next line without its end; of a line above maxLine only
// that much is kept.
func (l *lineReader) readLine() (listLine, error) {
	e := listLine{line: l.line + 1, offset: l.offset}
	for {
		part, err := l.r.ReadSlice('\n')
		e.size += int64(len(part))
		e.raw = append(e.raw, part[:min(len(part), maxLine+1-len(e.raw))]...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && e.size == 0:
			return listLine{}, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return listLine{}, err
		}
		l.line++
		l.offset += e.size
		e.end = l.offset
		return e, nil
	}
}

// entryText cuts comments and space off a line. Beyond the beginning of a line
// a '#' opens a comment only beside a space or tab: no value holds one.
func entryText(raw []byte) []byte {
	raw = bytes.TrimSpace(raw)
	for i, c := range raw {
		if c == '#' && (i == 0 || blank(raw[i-1]) || i+1 < len(raw) && blank(raw[i+1])) {
			return bytes.TrimSpace(raw[:i])
		}
	}
	return raw
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// value reads a line's entry: `kind<TAB>value`, or a bare value.
func (e listLine) value(format string) (noroshi.Value, *refusal) {
	if e.size > maxLine {
		return noroshi.Value{}, refuseFor(codeTooLarge, noroshi.Errorf(noroshi.Invalid, "intake.line-size", "line of %d bytes, at most %d are read", e.size, maxLine))
	}
	if !utf8.Valid(e.raw) {
		return noroshi.Value{}, refuseFor(codeMalformed, noroshi.Errorf(noroshi.Invalid, "intake.line-utf8", "the line is not UTF-8"))
	}
	kind, text, tabbed := bytes.Cut(e.raw, []byte("\t"))
	var v noroshi.Value
	var err error
	switch {
	case tabbed:
		v, err = detect.ParseKindValue(string(kind), string(bytes.TrimSpace(text)))
	case format == "tsv":
		err = noroshi.Errorf(noroshi.Invalid, "intake.line-tab", "no tab: the line must be kind, tab, value")
	default:
		v, err = detect.ParseValue(string(e.raw))
	}
	if err != nil {
		return noroshi.Value{}, refuseFor(codeMalformed, err)
	}
	return v, nil
}

// ReadList hands the entries of a plain list, or of kind<TAB>value lines, plain
// or gz, to fn without a store: for matching a file against a list. Ids are
// derived from the list's name and the value; entries are valid always. Lines
// that are no entries are reported together, in an error after the last entry.
func ReadList(r io.Reader, name string, fn func(detect.Entry) error) error {
	in, err := openInput(r, name, 0)
	if err != nil {
		return err
	}
	l := &list{name: listName(name)}
	refused, first, at := 0, "", 0
	for lines := newLineReader(in); ; {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		v, no := line.value("")
		if no != nil {
			if refused++; first == "" {
				first, at = no.msg, line.line
			}
			continue
		}
		if err := fn(detect.Entry{ID: l.id(v, 1), Values: []noroshi.Value{v}}); err != nil {
			return err
		}
	}
	if refused > 0 {
		return noroshi.Errorf(noroshi.Invalid, "list.lines", "%d lines of %s are no entries; the first is line %d: %s", refused, name, at, first)
	}
	return nil
}
