package sheet

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/noroshi-cti/noroshi"
)

// delimiters are what may stand between cells, the likelier first.
const delimiters = ",\t;|"

// Dialect is how a table is written.
type Dialect struct {
	Encoding  string `json:"encoding"` // utf-8, utf-16le, utf-16be, shift_jis
	Delimiter string `json:"delimiter"`
	Header    bool   `json:"header"`

	Guessed bool `json:"-"` // that there is a header was guessed

	Heads []string `json:"heads,omitempty"` // of its columns, where it has a header

	column map[string]int // of each mapped field, from 0
}

// codecOf returns an encoding a table may have, nil for another. Shift_JIS is
// read as Windows code page 932, which is what Japanese spreadsheets mean by it.
func codecOf(name string) encoding.Encoding {
	switch strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name)) {
	case "utf8":
		return unicode.UTF8BOM
	case "utf16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case "utf16be":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	case "shiftjis", "sjis", "cp932", "windows31j", "ms932":
		return japanese.ShiftJIS
	}
	return nil
}

// Decode returns a table as UTF-8, without a byte order mark.
func (d *Dialect) Decode(r io.Reader) io.Reader {
	if d.Encoding == "utf-8" { // as it is, so that bad bytes show as a fault of their row
		return &bomReader{r: r}
	}
	return transform.NewReader(r, codecOf(d.Encoding).NewDecoder())
}

// bomReader steps over a byte order mark of UTF-8.
type bomReader struct {
	r    io.Reader
	past bool
}

func (b *bomReader) Read(p []byte) (int, error) {
	if b.past {
		return b.r.Read(p)
	}
	b.past = true
	first := make([]byte, 3)
	n, err := io.ReadFull(b.r, first)
	rest := bytes.TrimPrefix(first[:n], []byte("\ufeff"))
	b.r = io.MultiReader(bytes.NewReader(rest), b.r)
	if err == io.EOF {
		return 0, io.EOF
	}
	return b.r.Read(p)
}

// Sniff tells how a table is written by its beginning and a mapping, whose word
// goes first. whole says that the beginning is all of it.
func Sniff(head []byte, m *Mapping, whole bool) (*Dialect, error) {
	d := &Dialect{Encoding: m.Encoding}
	var err error
	if d.Encoding == "" {
		d.Encoding, err = sniffEncoding(head, whole)
	}
	if err != nil {
		return nil, err
	}
	d.Encoding = canonicalEncoding(d.Encoding)
	text, _ := io.ReadAll(d.Decode(bytes.NewReader(head))) // a cut rune at the end becomes U+FFFD
	delim, err := m.delimiter()
	if err != nil {
		return nil, err
	}
	if delim == 0 {
		delim = sniffDelimiter(text, whole)
	}
	d.Delimiter = string(rune(delim))
	rows := firstRows(text, delim, whole)
	if len(rows) == 0 {
		d.column = map[string]int{}
		return d, nil
	}
	return d, d.columns(m, rows[0])
}

func canonicalEncoding(name string) string {
	switch codecOf(name) {
	case unicode.UTF8BOM:
		return "utf-8"
	case japanese.ShiftJIS:
		return "shift_jis"
	}
	if strings.HasSuffix(strings.ToLower(name), "le") {
		return "utf-16le"
	}
	return "utf-16be"
}

func sniffEncoding(head []byte, whole bool) (string, error) {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return "utf-16le", nil
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return "utf-16be", nil
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return sniffUTF16(head)
	}
	if validUTF8(head, whole) {
		return "utf-8", nil
	}
	if validShiftJIS(head, whole) {
		return "shift_jis", nil
	}
	return "", noroshi.Errorf(noroshi.Invalid, "sheet.encoding", "the encoding of the table cannot be told: save it as UTF-8, or name its encoding in a mapping file")
}

// sniffUTF16 tells UTF-16 without a mark: of text that is mostly ASCII every
// other byte is zero.
func sniffUTF16(head []byte) (string, error) {
	var zeros [2]int
	for i, c := range head {
		if c == 0 {
			zeros[i%2]++
		}
	}
	switch {
	case zeros[1] > len(head)/32 && zeros[0] == 0:
		return "utf-16le", nil
	case zeros[0] > len(head)/32 && zeros[1] == 0:
		return "utf-16be", nil
	}
	return "", noroshi.Errorf(noroshi.Invalid, "sheet.binary", "what has zero bytes and is no UTF-16 text is no table")
}

// validUTF8 is utf8.Valid, but for a character that the beginning cuts.
func validUTF8(head []byte, whole bool) bool {
	for cut := 0; cut < utf8.UTFMax && cut <= len(head); cut++ {
		if utf8.Valid(head[:len(head)-cut]) {
			return cut == 0 || !whole && !utf8.FullRune(head[len(head)-cut:])
		}
	}
	return false
}

func validShiftJIS(head []byte, whole bool) bool {
	text, err := japanese.ShiftJIS.NewDecoder().Bytes(head)
	if err != nil {
		return false
	}
	if !whole {
		text = bytes.TrimSuffix(text, []byte("\ufffd"))
	}
	for _, r := range string(text) {
		if r == utf8.RuneError || r < ' ' && r != '\t' && r != '\r' && r != '\n' {
			return false
		}
	}
	return true
}

// SniffRows are so many rows of a beginning looked at.
const SniffRows = 20

// Heads returns the first row of a text that is a table by its beginning: whose
// rows have as many cells, and more than one; nil of any other. whole says that
// the beginning is all of it.
func Heads(head []byte, whole bool) []string {
	encoding, err := sniffEncoding(head, whole)
	if err != nil {
		return nil
	}
	d := &Dialect{Encoding: canonicalEncoding(encoding)}
	text, _ := io.ReadAll(d.Decode(bytes.NewReader(head))) // a cut rune at the end becomes U+FFFD
	rows := firstRows(text, sniffDelimiter(text, whole), whole)
	for _, r := range rows {
		if len(r) < 2 || len(r) != len(rows[0]) {
			return nil
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return rows[0]
}

// firstRows returns the first rows of a beginning, not one that it cuts.
func firstRows(text []byte, delim byte, whole bool) [][]string {
	t := NewReader(bytes.NewReader(text), delim)
	var rows [][]string
	for len(rows) < SniffRows {
		row, err := t.Next()
		if err != nil || !whole && len(rows) > 0 && row.End == int64(len(text)) {
			break
		}
		if row.Err == nil {
			rows = append(rows, row.Cells)
		}
	}
	return rows
}

// sniffDelimiter takes the delimiter under which the most rows have as many
// cells as the first, of those the one that makes the most cells.
func sniffDelimiter(text []byte, whole bool) byte {
	best, bestEven, bestCells := delimiters[0], 0, 1
	for i := range len(delimiters) {
		rows := firstRows(text, delimiters[i], whole)
		if len(rows) == 0 || len(rows[0]) < 2 {
			continue
		}
		even := 0
		for _, r := range rows {
			if len(r) == len(rows[0]) {
				even++
			}
		}
		if even > bestEven || even == bestEven && len(rows[0]) > bestCells {
			best, bestEven, bestCells = delimiters[i], even, len(rows[0])
		}
	}
	return best
}
