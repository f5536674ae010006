package sheet_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/noroshi-cti/noroshi/internal/intake/sheet"
)

// rows reads a whole table; a row that is none is shown as its error.
func rows(t testing.TB, text string, delim byte) (list []string) {
	t.Helper()
	r := sheet.NewReader(strings.NewReader(text), delim)
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("%q", row.Cells)
		if row.Err != nil {
			what = row.Err.Error()
		}
		list = append(list, fmt.Sprintf("%d: %s", row.Line, what))
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", sheet.MaxRow+10)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"plain":           {"a,b\nc,d\n", []string{`1: ["a" "b"]`, `2: ["c" "d"]`}},
		"no end":          {"a,b", []string{`1: ["a" "b"]`}},
		"line ends":       {"a\r\nb\rc\nd\r", []string{`1: ["a"]`, `2: ["b"]`, `3: ["c"]`, `4: ["d"]`}},
		"quotes":          {"\"a,\"\"b\"\"\nc\",d\ne\n", []string{`1: ["a,\"b\"\nc" "d"]`, `3: ["e"]`}},
		"quote inside":    {"5\" disk,b\n", []string{`1: ["5\" disk" "b"]`}},
		"empty cells":     {",,\na,,\n,b\n", []string{`2: ["a" "" ""]`, `3: ["" "b"]`}},
		"comments":        {"# made by\n\n#,x\na\n", []string{`4: ["a"]`}},
		"open quote":      {"\"a,b\nc,d\ne\n", []string{"1: a quote that does not end", `2: ["c" "d"]`, `3: ["e"]`}},
		"behind a quote":  {"\"a\"b,c\nd\n", []string{"1: something follows a closing quote", `2: ["d"]`}},
		"too long":        {long + "\na\n", []string{"1: a row above 1 MiB", `2: ["a"]`}},
		"long quote":      {"\"" + strings.Repeat("y\n", sheet.MaxRow) + "z\n", nil},
		"cell too long":   {strings.Repeat("x", sheet.MaxCell+1) + ",b\na\n", []string{"1: a cell above 64 KiB", `2: ["a"]`}},
		"too many cells":  {strings.Repeat(",", sheet.MaxColumns) + "x\na\n", []string{"1: more than 256 cells", `2: ["a"]`}},
		"bad encoding":    {"a\xff\nb\n", []string{"1: bytes that are none of the table's encoding", `2: ["b"]`}},
		"odd character":   {"a\ufffd\n", []string{"1: [\"a�\"]"}},
		"zero byte":       {"a\x00\nb\n", []string{"1: bytes that are none of the table's encoding", `2: ["b"]`}},
		"nothing at all":  {"", nil},
		"nothing but end": {"\n\r\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := rows(t, c.text, ',')
			if name == "long quote" {
				if len(got) != sheet.MaxRow+1 || got[0] != "1: a quote that does not end" {
					t.Errorf("%d rows, the first %s; want every line for itself", len(got), got[0])
				}
				return
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSniff(t *testing.T) {
	t.Parallel()
	encode := func(text string, e interface{ Bytes([]byte) ([]byte, error) }) string {
		b, err := e.Bytes([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	table := "種別,値\nドメイン,悪い.example\nドメイン,b.example\n"
	utf16le := encode(table, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder())
	for name, c := range map[string]struct {
		head, want string
		m          sheet.Mapping
	}{
		"UTF-8":             {head: table, want: "utf-8 , true 種別"},
		"UTF-8 with mark":   {head: "\ufeff" + table, want: "utf-8 , true 種別"},
		"UTF-16LE":          {head: utf16le, want: "utf-16le , true 種別"},
		"UTF-16BE":          {head: encode(table, unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder()), want: "utf-16be , true 種別"},
		"UTF-16 no mark":    {head: encode("value,kind\na.example,domain\n", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder()), want: "utf-16le , true value"},
		"Shift_JIS":         {head: encode(table, japanese.ShiftJIS.NewEncoder()), want: "shift_jis , true 種別"},
		"Shift_JIS cut":     {head: encode(table, japanese.ShiftJIS.NewEncoder()) + strings.Repeat("x,\x82\xa0\n", 20) + "\x82", want: "shift_jis , true 種別"},
		"semicolons":        {head: "value;kind;x\na.example;domain;1,2\n", want: "utf-8 ; true value"},
		"tabs":              {head: "value\tkind\na.example\tdomain\n", want: "utf-8 \t true value"},
		"quoted delimiters": {head: "value,note\na.example,\"a;b;c\"\nb.example,\"d;e;f\"\n", want: "utf-8 , true value"},
		"one column":        {head: "a.example\nb.example\n", want: "utf-8 , false "},
		"head guessed":      {head: "x,when\na.example,2026\n", m: sheet.Mapping{Columns: map[string]string{"value": "1"}}, want: "utf-8 , true x"},
		"no head":           {head: "b.example,2025\na.example,2026\n", m: sheet.Mapping{Columns: map[string]string{"value": "1"}}, want: "utf-8 , false "},
		"as told":           {head: "a|b,c\n", m: sheet.Mapping{Delimiter: "|", Header: "yes", Columns: map[string]string{"value": "2"}}, want: "utf-8 | true a"},
		"head by case":      {head: "Value,Note\n", m: sheet.Mapping{Columns: map[string]string{"value": "value", "description": "note"}}, want: "utf-8 , true Value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(c.want, "utf-8 , true 種別") || strings.Contains(c.want, "種別") {
				c.m.Columns = map[string]string{"value": "値", "kind": "種別"}
			}
			d, err := sheet.Sniff([]byte(c.head), &c.m, !strings.HasSuffix(name, "cut"))
			if err != nil {
				t.Fatal(err)
			}
			head := ""
			if len(d.Heads) > 0 {
				head = d.Heads[0]
			}
			if got := fmt.Sprintf("%s %s %v %s", d.Encoding, d.Delimiter, d.Header, head); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			text, err := io.ReadAll(d.Decode(strings.NewReader(c.head)))
			if err != nil || !utf8.Valid(text) || bytes.HasPrefix(text, []byte("\ufeff")) {
				t.Errorf("decoded to %q, error %v", text, err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	columns := func(c ...string) *sheet.Mapping {
		m := &sheet.Mapping{Columns: map[string]string{}}
		for _, one := range c {
			field, column, _ := strings.Cut(one, "=")
			m.Columns[field] = column
		}
		return m
	}
	for name, c := range map[string]struct {
		head string
		m    *sheet.Mapping
		want string
	}{
		"no value":       {"a,b\n1,2\n", columns(), "which column has the values"},
		"no such head":   {"a,b\n1,2\n", columns("value=c"), `"c" for value`},
		"beyond":         {"a,b\n", columns("value=3"), "no column"},
		"too far":        {"a,b\n", columns("value=999"), "from 1 to 256"},
		"binary":         {"\x7fELF\x00\x01\x02\x00\x00", columns("value=1"), "no table"},
		"some encoding":  {"value\n\xff\xff\xff\n", columns(), "cannot be told"},
		"heads but none": {"a,b\n", &sheet.Mapping{Columns: map[string]string{"value": "a"}, Header: "no"}, "named by their heads"},
	} {
		if _, err := sheet.Sniff([]byte(c.head), c.m, true); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	for text, want := range map[string]string{
		"x = 1":                            "x: is no key",
		"[columns]\nvalue = 1":             "file",
		"[columns]\nworth = \"1\"":         "worth: is no field",
		"[columns]\nvalue = \"\"":          "names no column",
		"delimiter = \":\"":                "delimiter",
		"encoding = \"ebcdic\"":            "encoding",
		"header = \"perhaps\"":             "header",
		"zone = \"JST\"":                   "zone",
		"[kinds]\nx = \"nonsense\"":        "kinds.x",
		"[markings]\nx = \"tlp:purple\"":   "markings.x",
		"[columns]\nvalue = \"a\"\nbroken": "file",
		strings.Repeat("#", 65<<10):        "64 KiB",
	} {
		if _, err := sheet.ParseMapping([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("mapping %.40q: error %v, want %q", text, err, want)
		}
	}
	if err := (&sheet.Mapping{}).ParseColumns([]string{"value"}); err == nil || !strings.Contains(err.Error(), "field=column") {
		t.Errorf("columns without =: %v", err)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	m, err := sheet.ParseMapping([]byte(`zone = "+09:00"
[columns]
value = "1"
kind = "2"
name = "3"
valid_from = "4"
valid_until = "5"
confidence = "6"
marking = "7"
labels = "8"
reference = "9"
[kinds]
"C2 host" = "domain-name"
[markings]
"社外秘" = "tlp:amber"
`))
	if err != nil {
		t.Fatal(err)
	}
	d, err := sheet.Sniff([]byte("a.example,,,,,,,,\n"), m, true)
	if err != nil {
		t.Fatal(err)
	}
	for row, want := range map[string]string{
		"a.example":                     "domain-name a.example   - NoTLP",
		"hxxp://a[.]example/x|URL|A  b": "url http://a.example/x   - NoTLP A b",
		"192.0.2.7|IP アドレス":             "ipv4-addr 192.0.2.7   - NoTLP",
		"A.example|c2-HOST":             "domain-name a.example   - NoTLP",
		"a.example|||2026/11/01|2026-11-02 09:30|high|社外秘": "domain-name a.example 2026-10-31T15:00:00.000Z 2026-11-02T00:30:00.000Z 85 tlp:amber",
		"a.example|||2026-11-01T00:00:00Z||0|red":          "domain-name a.example 2026-11-01T00:00:00.000Z  0 red",
		"a.example||||||for friends|x; y、z":                "domain-name a.example   - for friends [x y z]",
		"a.example||||||||https://a.example/report":        "domain-name a.example   - NoTLP https://a.example/report",
		"||":                                "value: the cell is empty",
		"a.example|colour":                  `kind: "colour" is not known; a mapping file can say what it means`,
		"a.example|IP":                      `value: "a.example" is no IP`,
		"a.example|md5":                     `value: "a.example" is no md5 in hexadecimal`,
		"a.example|||yesterday":             `valid_from: "yesterday" is no time such as 2026-01-31 or 2026-01-31T15:04:05Z`,
		"a.example||||2026-13-01":           `valid_until: "2026-13-01" is no time such as 2026-01-31 or 2026-01-31T15:04:05Z`,
		"a.example|||2026-11-02|2026-11-01": "valid_until: 2026-10-31T15:00:00.000Z is not after valid_from 2026-11-01T15:00:00.000Z",
		"a.example|||||101":                 `confidence: "101" is no whole number from 0 to 100`,
		"a.example||||||||javascript:x":     `reference: "javascript:x" is no URL`,
		"a.example|||||||" + strings.Repeat("x,", 51): "labels: more than 50",
	} {
		e, err := m.Read(d, strings.Split(row, "|"))
		got := fmt.Sprint(err)
		if err == nil {
			confidence, tlp := "-", "NoTLP"
			if e.Confidence >= 0 {
				confidence = fmt.Sprint(e.Confidence)
			}
			if e.Marking != "" {
				tlp = e.Marking
			}
			got = fmt.Sprintf("%s %s %s %s %s %s", e.Value.Kind, e.Value, e.ValidFrom, e.ValidUntil, confidence, tlp)
			for _, more := range []string{e.Name, e.Reference} {
				got = strings.TrimRight(got+" "+more, " ")
			}
			if len(e.Labels) > 0 {
				got += fmt.Sprintf(" %s", e.Labels)
			}
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", row, got, want)
		}
	}
}

// FuzzTable: whatever the input, rows come one behind the other and cover it
// without gap, and what is read of one is bounded.
func FuzzTable(f *testing.F) {
	for _, s := range []string{"", "value,kind\na.example,domain\n", "\"a\n\"\"b\",c\r\nd", "\xff\xfea\x00,\x00b\x00\n\x00", "\x92\x6c,\x8e\xed\n", "#x\n\"", "\"\"a\"", "a;b\rc;d\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &sheet.Mapping{Columns: map[string]string{"value": "1", "kind": "2", "valid_from": "3", "labels": "4"}}
		d, err := sheet.Sniff(b, m, true)
		if err != nil {
			if d, err = sheet.Sniff([]byte("a,b,c,d\n"), m, true); err != nil {
				t.Fatal(err)
			}
		}
		r := d.Rows(bytes.NewReader(b))
		at, line := int64(0), 0
		for {
			row, err := r.Next()
			if err != nil {
				return
			}
			if row.Offset < at || row.End <= row.Offset || row.Line <= line || len(row.Raw) > sheet.MaxRow {
				t.Fatalf("row %+v behind byte %d, line %d", row, at, line)
			}
			at, line = row.End, row.Line
			if row.Err != nil {
				continue
			}
			e, err := m.Read(d, row.Cells)
			if err == nil && (e.Value.Text == "" || len(e.Labels) > 50 || !e.ValidFrom.IsZero() && e.ValidFrom.Time().Year() < 1969) {
				t.Fatalf("%q reads as %+v", row.Cells, e)
			}
		}
	})
}
