package stix_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

// readAll returns the items of a stream and the error that ended it, nil at
// its end.
func readAll(r io.Reader) ([]stix.Item, error) {
	reader := stix.NewReader(r)
	var items []stix.Item
	for {
		item, err := reader.Next()
		if err == io.EOF {
			return items, nil
		}
		if err != nil {
			return items, err
		}
		items = append(items, item)
	}
}

// outline writes what came out of a stream: ok, or code@offset:line.
func outline(items []stix.Item, err error) string {
	var parts []string
	for _, item := range items {
		if item.Err == nil {
			parts = append(parts, fmt.Sprintf("ok@%d:%d", item.Offset, item.Line))
		} else {
			parts = append(parts, problemOf(item.Err))
		}
	}
	if err != nil {
		parts = append(parts, "end "+problemOf(err))
	}
	return strings.Join(parts, " ")
}

func problemOf(err error) string {
	var syntax *stix.SyntaxError
	if !errors.As(err, &syntax) {
		return err.Error()
	}
	return fmt.Sprintf("%s@%d:%d", syntax.Code, syntax.Offset, syntax.Line)
}

func TestReaderForms(t *testing.T) {
	d := domain("") // 99 bytes
	tests := []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"white space", " \r\n\t", ""},
		{"one object", d, "ok@0:1"},
		{"object with space", "\n " + d + "\n", "ok@2:2"},
		{"byte order mark", "\xef\xbb\xbf" + d, "ok@3:1"},
		{"UTF-16", "\xff\xfe{\x00", "end bom@0:1"},
		{"array", "[" + d + ",\n" + d + "]", "ok@1:1 ok@102:2"},
		{"empty array", "[ ]", ""},
		{"lines", d + "\n" + d + "\r\n\n" + d, "ok@0:1 ok@100:2 ok@202:4"},
		{"side by side", d + d, "ok@0:1 ok@99:1"},
		{"bundle", `{"type":"bundle","id":"bundle--1","objects":[` + d + "," + d + "]}", "ok@45:1 ok@145:1"},
		{"bundle, type last", "{\"objects\" :\n[" + d + `],"type":"bundle"}`, "ok@14:2"},
		{"bundle with more members", `{"type":"bundle","x":{"objects":[1]},"objects":[` + d + `],"spec_version":"2.0","y":[null]}`, "ok@48:1"},
		{"bundle without objects", `{"type":"bundle","id":"bundle--1"}`, ""},
		{"empty bundle", `{"type":"bundle","id":"bundle--1","objects":[]}`, ""},
		{"two bundles", `{"type":"bundle","objects":[` + d + `]}{"type":"bundle","objects":[` + d + `]}`, "ok@28:1 ok@157:1"},
		{"envelope", `{"more":false,"objects":[` + d + `]}`, "ok@25:1"},
		{"list of an object that is no bundle", `{"type":"x-a","id":"x-a--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5","objects":[1]}`, "ok@0:1"},
		{"dictionary of objects", `{"type":"observed-data","id":"observed-data--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5","objects":{"0":{"type":"url"}}}`, "ok@0:1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := outline(readAll(strings.NewReader(test.text))); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			if got := outline(readAll(iotest.OneByteReader(strings.NewReader(test.text)))); got != test.want {
				t.Errorf("byte by byte: %s, want %s", got, test.want)
			}
		})
	}
}

func TestReaderErrors(t *testing.T) {
	d := domain("")
	bundle := func(inside string) string { return `{"type":"bundle","objects":[` + inside + `]}` } // inside starts at 28
	tests := []struct{ name, text, want string }{
		{"type 5", bundle(`{"type":5},` + d), "type@36:1 ok@39:1"},
		{"numbers and words", bundle(`5,null,"a",[],` + d), "type@28:1 type@30:1 type@35:1 type@39:1 ok@42:1"},
		{"duplicate", bundle("\n" + domain("\n\"value\":1") + "," + d), "duplicate-key@129:3 ok@140:3"},
		{"deep", bundle(strings.Repeat("[", 3000) + strings.Repeat("]", 3000) + "," + d), "type@28:1 ok@6029:1"},
		{"deep inside", bundle(`{"a":` + strings.Repeat("[", 3000) + strings.Repeat("]", 3000) + "}," + d), "depth@96:1 ok@6035:1"},
		{"broken between its brackets", bundle(`{"a" 1},` + d), "syntax@33:1 ok@36:1"},
		{"bad UTF-8", bundle("{\"a\":\"\xff\"}," + d), "utf8@34:1 ok@38:1"},
		{"bundle in a bundle", bundle(bundle(d) + "," + d), "bundle@157:1 ok@158:1"},
		{"brackets", bundle(`{"a":[1}]},` + d), "end syntax@35:1"},
		{"comma missing", bundle(d + d), "ok@28:1 end syntax@127:1"},
		{"comma at the end", bundle(d + ","), "ok@28:1 end syntax@128:1"},
		{"comma at the start", bundle("," + d), "end syntax@28:1"},
		{"word", bundle("nil," + d), "end syntax@28:1"},
		{"not a number", bundle("NaN," + d), "end syntax@28:1"},
		{"colon", bundle(":" + d), "end syntax@28:1"},
		{"list not closed", `[` + d, "ok@1:1 end truncated@100:1"},
		{"list breaks off at a comma", `[` + d + ",", "ok@1:1 end truncated@101:1"},
		{"object not closed", `[` + d[:50], "end truncated@51:1"},
		{"bundle not closed", `{"type":"bundle","objects":[` + d + "]", "ok@28:1 end truncated@128:1"},
		{"bundle broken behind", `{"type":"bundle","objects":[` + d + "],\n}", "ok@28:1 end syntax@130:2"},
		{"bundle with two lists", `{"type":"bundle","objects":[` + d + `],"objects":[]}`, "ok@28:1 end duplicate-key@129:1"},
		{"bundle with a list in other case", `{"type":"bundle","objects":[` + d + `],"Objects":[]}`, "ok@28:1 end case-key@129:1"},
		{"bundle with a name twice before", "{\"a\":1,\n\"a\":1,\"objects\":[" + d + `]}`, "end duplicate-key@8:2"},
		{"no bundle after all", `{"objects":[` + d + `],"type":"report"}`, "ok@12:1 end type@0:1"},
		{"bundle type 5", `{"type":5,"objects":[` + d + `]}`, "end type@0:1"},
		{"objects no list", `{"type":"bundle","objects":{}}`, "bundle@30:1"},
		{"objects spelt by escape", `{"type":"bundle","\u006fbjects":[` + d + `]}`, "bundle@134:1"},
		{"garbage", "hello", "end syntax@0:1"},
		{"garbage behind", d + "\n}", "ok@0:1 end syntax@100:2"},
		{"zeros", "\x00\x00", "end syntax@0:1"},
		{"line breaks off", "{\"type\":\"url\",\"id\n" + d + "\n", "syntax@17:1 ok@18:2"},
		{"line breaks off behind a value", "{\"a\":1\n" + d + "\n", "syntax@7:2 ok@7:2"},
		{"last line breaks off", d + "\n" + d[:60], "ok@0:1 end truncated@160:2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := outline(readAll(strings.NewReader(test.text))); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			if got := outline(readAll(iotest.OneByteReader(strings.NewReader(test.text)))); got != test.want {
				t.Errorf("byte by byte: %s, want %s", got, test.want)
			}
		})
	}
}

func TestReaderKeepsItsError(t *testing.T) {
	broken := errors.New("the disk is gone")
	r := stix.NewReader(io.MultiReader(strings.NewReader("["+domain("")), iotest.ErrReader(broken)))
	if item, err := r.Next(); err != nil || item.Err != nil {
		t.Fatal(item.Err, err)
	}
	for range 2 {
		if _, err := r.Next(); !errors.Is(err, broken) {
			t.Errorf("error %v, want %v", err, broken)
		}
	}
	r = stix.NewReader(idle{})
	if _, err := r.Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a source that never says anything: %v", err)
	}
}

// idle is a source that returns nothing.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestReaderSkipsWhatIsTooLarge(t *testing.T) {
	large := domain(`"x_a":"` + strings.Repeat("a", stix.MaxObjectBytes) + `"`)
	text := `{"type":"bundle","objects":[` + large + ",\n" + domain("") + `]}`
	items, err := readAll(strings.NewReader(text))
	if got, want := outline(items, err), fmt.Sprintf("size@28:1 ok@%d:2", 30+len(large)); got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	if got := items[0].Raw; string(got) != large[:stix.MaxObjectBytes] {
		t.Errorf("raw of %d bytes, want the first %d", len(got), stix.MaxObjectBytes)
	}
}

// Every object of the corpus comes out byte for byte, and nothing else.
func TestReaderCorpus(t *testing.T) {
	for _, file := range corpusFiles(t) {
		text, want := readFile(t, file), rawObjects(t, file)
		items, err := readAll(bytes.NewReader(text))
		if err != nil || len(items) != len(want) {
			t.Fatalf("%s: %d items, want %d; %v", file, len(items), len(want), err)
		}
		for i, item := range items {
			if item.Err != nil {
				t.Fatalf("%s, object %d: %v", file, i, item.Err)
			}
			if !bytes.Equal(item.Object.Bytes(), want[i]) || !bytes.HasPrefix(text[item.Offset:], want[i]) {
				t.Fatalf("%s, object %d: other bytes", file, i)
			}
			if line := 1 + bytes.Count(text[:item.Offset], []byte("\n")); item.Line != line {
				t.Fatalf("%s, object %d: line %d, want %d", file, i, item.Line, line)
			}
		}
	}
}

// endless makes a bundle of n objects as it is read.
type endless struct {
	n    int
	rest string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rest == "" {
		switch {
		case e.n < 0:
			return 0, io.EOF
		case e.n == 0:
			e.rest = "]}"
		default:
			e.rest = "," + domain(`"x_text":"`+strings.Repeat("狼煙 ", 250)+`"`)
		}
		e.n--
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// A stream of any length is read in the memory of its largest object.
func TestReaderMemory(t *testing.T) {
	n := tier.N(30, 300) << 10 // about as many MiB
	r := stix.NewReader(&endless{n: n, rest: `{"type":"bundle","objects":[` + domain("")})
	var peak uint64
	count := 0
	for {
		item, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil || item.Err != nil {
			t.Fatal(err, item.Err)
		}
		if count%5000 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		count++
	}
	if count != n+1 {
		t.Errorf("%d objects, want %d", count, n+1)
	}
	if peak > 24<<20 {
		t.Errorf("%d bytes in use while reading", peak)
	}
}

// FuzzReader: however the input comes in pieces the same items come out, each
// with the bytes that stand at its offset; and a bundle that jsontext takes
// gives as many items as it has objects.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"type":"bundle","objects":[` + domain("") + `,{"type":5}]}`))
	f.Add([]byte("[" + domain("") + ",{}]\n" + domain("") + "\n{\"a\n{}"))
	f.Add([]byte(`{"a":[}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		items, err := readAll(bytes.NewReader(text))
		again, errAgain := readAll(iotest.OneByteReader(bytes.NewReader(text)))
		if outline(items, err) != outline(again, errAgain) {
			t.Fatalf("whole %s, byte by byte %s", outline(items, err), outline(again, errAgain))
		}
		for i, item := range items {
			if !bytes.HasPrefix(text[item.Offset:], item.Raw) || !bytes.Equal(item.Raw, again[i].Raw) {
				t.Fatalf("item %d: other bytes than those at its offset", i)
			}
			if (item.Object == nil) == (item.Err == nil) {
				t.Fatalf("item %d is both or neither", i)
			}
		}
		var bundle struct {
			Type    string           `json:"type"`
			Objects []jsontext.Value `json:"objects"`
		}
		if json.Unmarshal(text, &bundle) == nil && bundle.Type == "bundle" && !bytes.Contains(text, []byte(`\u`)) {
			// The reader also refuses what jsontext lets pass: names that
			// differ in case, and depth beyond its own.
			if err == nil && len(items) != len(bundle.Objects) {
				t.Fatalf("%d items of %d objects", len(items), len(bundle.Objects))
			}
		}
	})
}

func BenchmarkReader(b *testing.B) {
	text := readFile(b, "../testdata/attack/ics-attack-18.1.json.gz")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := readAll(bytes.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}
