package detect_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/noroshi-cti/noroshi/internal/detect"
)

// oracle reads a line with jsontext: whether it is one JSON object, but for
// duplicate names, and the texts that are wanted.
func oracle(line []byte) (many, one []string, duplicates, ok bool) {
	v := jsontext.Value(bytes.Clone(line))
	if !v.IsValid(jsontext.AllowDuplicateNames(true)) || v.Kind() != '{' {
		return nil, nil, false, false
	}
	if !v.IsValid() {
		return nil, nil, true, true
	}
	var m map[string]any
	if err := json.Unmarshal(line, &m, json.WithUnmarshalers(numbers)); err != nil {
		return nil, nil, false, false
	}
	want(detect.Schema(), m, &many, &one)
	slices.Sort(many)
	return many, one, false, true
}

// numbers reads numbers of any size as their text.
var numbers = json.UnmarshalFromFunc(func(d *jsontext.Decoder, v *any) error {
	if d.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	raw, err := d.ReadValue()
	*v = raw.Clone()
	return err
})

func want(sc map[string]detect.Wanted, m map[string]any, many, one *[]string) {
	for name, w := range sc {
		if v, ok := m[name]; ok {
			wantValue(w, v, many, one)
		}
	}
}

func wantValue(w detect.Wanted, v any, many, one *[]string) {
	switch v := v.(type) {
	case string:
		switch text := w.Field + "=" + v; {
		case v == "" || !w.Text:
		case w.Many:
			*many = append(*many, text)
		default:
			*one = append(*one, text)
		}
	case []any:
		for _, e := range v {
			wantValue(w, e, many, one)
		}
	case map[string]any:
		if w.Sub != nil {
			want(w.Sub, v, many, one)
		}
	}
}

// judge compares the scanner with jsontext over one line.
func judge(t *testing.T, line []byte) {
	t.Helper()
	gotMany, gotOne, code := detect.Scan(line)
	wantMany, wantOne, duplicates, ok := oracle(line)
	switch {
	case code == "" && !ok:
		t.Fatalf("%q: the scanner accepts what jsontext refuses", line)
	case code != "" && ok && code != "depth" && (code != "duplicate-key" || !duplicates):
		t.Fatalf("%q: the scanner refuses (%s) what jsontext accepts", line, code)
	case code != "" || duplicates:
		return
	}
	if slices.Sort(gotMany); !slices.Equal(gotMany, wantMany) {
		t.Fatalf("%q: got %q, want %q", line, gotMany, wantMany)
	}
	for _, s := range gotOne {
		if !slices.Contains(wantOne, s) {
			t.Fatalf("%q: got %q, want one of %q", line, s, wantOne)
		}
	}
}

var hardLines = []string{
	`{}`, ` { "a" : [ ] , "b" : { } } `, `[]`, `null`, `{"query":"a"}x`, `{"query":"a","query":"b"}`, `{"x":1,"x":2}`,
	`{"quer\u0079":"a","query":"b"}`, `{"query":"\ud800"}`, `{"query":"\ud83d\ude00"}`, `{"query":"\udc00"}`, "{\"query\":\"\xff\"}",
	"{\"\xc0\x80\":1}", `{"query":"日本語"}`, `{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":1e+}`, `{"a":-0.0e-1}`, `{"a":tru}`, `{"a":nul}`,
	`{"a":"` + "\x01" + `"}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a"}`, `{"a":}`, `{,}`, `{"a":1,}`, `{"a":[1,]}`, `{"a":[1 2]}`, `{`, ``, `"`,
	`{"dns":{"answers":[{"rrname":"a","rdata":"b"},{"rrname":"c"}],"grouped":{"A":["1.2.3.4"]}},"event_type":"dns"}`,
	`{"answers":[["a",["b"]],{"x":"c"},1,null,"d"]}`, `{"id":{"orig_h":"1.2.3.4"}}`, `{"id":7}`, `{"id.orig_p":99999999999}`,
	`{"query":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
	"\xef\xbb\xbf{}", "{\"a\":\"\u2028\"}", `{"a":"` + strings.Repeat("x", 7) + `\"` + strings.Repeat("y", 9) + `"}`,
}

func TestScanAgainstOracle(t *testing.T) {
	for _, l := range hardLines {
		judge(t, []byte(l))
		for i := range len(l) {
			judge(t, []byte(l[:i]))
		}
	}
	for _, name := range []string{"zeek/dns", "zeek/ssl", "zeek/smtp", "zeek/x509", "zeek/notice", "zeek/rdp", "zeek/modbus", "suricata/first-2015-alerts", "suricata/wrccdc-2018-alerts"} {
		s := bufio.NewScanner(open(t, "telemetry/"+name+".json.gz"))
		for n := 0; s.Scan() && n < 300; n++ {
			judge(t, s.Bytes())
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, l := range hardLines {
		f.Add([]byte(l))
	}
	for _, name := range []string{"zeek/dns", "zeek/smtp", "zeek/x509", "suricata/first-2015-alerts"} {
		s := bufio.NewScanner(open(f, "telemetry/"+name+".json.gz"))
		for n := 0; s.Scan() && n < 3; n++ {
			f.Add(bytes.Clone(s.Bytes()))
		}
	}
	x := detect.NewIndex(detect.Options{})
	put(x, 1, "evil.example", "192.0.2.0/24", "http://evil.example/a", "/a", "a@b.example")
	f.Fuzz(func(t *testing.T, line []byte) {
		judge(t, line)
		if _, err := x.Run(bytes.NewReader(line), func(detect.Hit) error { return nil }); err != nil && !bytes.HasPrefix(line, []byte{0x1f, 0x8b}) {
			t.Fatalf("%q: %v", line, err)
		}
	})
}

func FuzzAddr(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "01.2.3.4", "256.1.1.1", "::", "1::2:3", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::1.2.3", ":1", "1:", "1:::2", "fe80::1%eth0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := detect.ParseAddr(s)
		want, err := netip.ParseAddr(s)
		valid := err == nil && want.Zone() == ""
		if ok != valid || ok && got != want.Unmap().String() {
			t.Fatalf("%q: got %s, %t, want %s, %t", s, got, ok, want, valid)
		}
		if ok && want.Is4() && !detect.Dotted(s) {
			t.Fatalf("%q is not looked up as an address", s)
		}
	})
}

func TestRun(t *testing.T) {
	long := `{"query":"` + strings.Repeat("x", detect.MaxLineBytes) + `"}`
	in := "{\"query\":\"a.evil.example\"}\r\n\n\r\n[]\n{\"query\":1}}\n" + long + "\n{\"query\":\"evil.example\"}\n{\"query\":\"evil.example\",\"query\":\"b\"}\n{\"query\":\"evil.example\"}"
	x := detect.NewIndex(detect.Options{})
	put(x, 1, "evil.example")
	for _, packed := range []bool{false, true} {
		var r io.Reader = strings.NewReader(in)
		if packed {
			r = pack(t, in)
		}
		var got []int
		rep, err := x.Run(r, func(h detect.Hit) error {
			if !strings.HasPrefix(in[h.Offset:], `{"query":"`) {
				t.Errorf("offset %d is no line's begin", h.Offset)
			}
			got = append(got, h.Line)
			return nil
		})
		if err != nil || !slices.Equal(got, []int{1, 7, 9}) {
			t.Errorf("packed %t: got lines %v, %v, want 1 7 9", packed, got, err)
		}
		if rep.Events != 3 || rep.Bad != 4 || rep.Bytes != int64(len(in)) {
			t.Errorf("packed %t: got %+v, want 3 events, 4 bad, %d bytes", packed, rep, len(in))
		}
		var codes []string
		for _, p := range rep.Problems {
			codes = append(codes, p.Code)
		}
		if want := []string{"no-object", "trailing", "too-long", "duplicate-key"}; !slices.Equal(codes, want) {
			t.Errorf("packed %t: got problems %v, want %v", packed, codes, want)
		}
	}
}

func pack(t testing.TB, s string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestRunErrors(t *testing.T) {
	x := detect.NewIndex(detect.Options{})
	put(x, 1, "evil.example")
	line := `{"query":"evil.example"}` + "\n"
	wrong := errors.New("wrong")
	none := func(detect.Hit) error { return nil }

	rep, err := x.Run(strings.NewReader(line+line), func(detect.Hit) error { return wrong })
	if !errors.Is(err, wrong) || rep.Hits != 1 {
		t.Errorf("got %v after %d hits, want the caller's error after one", err, rep.Hits)
	}
	rep, err = x.Run(io.MultiReader(strings.NewReader(line), failing{wrong}), none)
	if !errors.Is(err, wrong) || rep.Hits != 1 {
		t.Errorf("got %v after %d hits, want the reader's error after one", err, rep.Hits)
	}
	packed, _ := io.ReadAll(pack(t, strings.Repeat(line, 1000)))
	if _, err = x.Run(bytes.NewReader(packed[:len(packed)-9]), none); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v for a cut gz, want unexpected EOF", err)
	}
	if rep, err = x.Run(strings.NewReader(""), none); err != nil || rep.Events != 0 {
		t.Errorf("got %+v, %v for nothing", rep, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestBomb unpacks 256 MiB of zeros: one line too long, and little memory.
func TestBomb(t *testing.T) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 256 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	x := detect.NewIndex(detect.Options{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rep, err := x.Run(bytes.NewReader(b.Bytes()), func(detect.Hit) error { return nil })
	runtime.ReadMemStats(&after)
	if err != nil || rep.Bad != 1 || rep.Bytes != 256<<20 {
		t.Errorf("got %+v, %v, want one bad line of 256 MiB", rep, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("got %d bytes allocated, want at most 16 MiB", got)
	}
}

// TestNoAllocations holds that an event without a hit allocates nothing, names,
// both families, requests and hashes included.
func TestNoAllocations(t *testing.T) {
	x := whole(t)
	lines := []string{
		`{"_path":"dns","ts":"2018-03-24T17:15:20.865716Z","id.orig_h":"10.47.1.100","id.orig_p":41772,"id.resp_h":"10.0.0.100","id.resp_p":53,"query":"ISE.wrccdc.org","answers":["ise.wrccdc.cpp.edu","134.71.3.16","2001:db8::1:2"]}`,
		`{"ts":1521911720.6,"id.orig_h":"fe80::1","id.resp_h":"2001:db8::9","host":"www.example.org:8080","uri":"/a/b/c/d.php?x=1&y=2","md5":"d41d8cd98f00b204e9800998ecf8427f"}`,
		`{"timestamp":"2018-03-24T14:37:19.037299-0600","event_type":"alert","src_ip":"10.0.0.1","src_port":26078,"http":{"hostname":"ui.example.org","url":"/ui/0/7.2.0?v=7\u0026u=1"},"email":{"from":"A <a@example.org>"}}`,
	}
	step := detect.Stepper(x)
	for _, l := range lines {
		b := []byte(l)
		if n := testing.AllocsPerRun(1000, func() { step(b) }); n != 0 {
			t.Errorf("got %v allocations for %s", n, l)
		}
	}
}
