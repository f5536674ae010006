package intake_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/demodata"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

// take imports a text under a name.
func (h house) take(name, text string, o intake.ImportOptions) intake.Report {
	h.Helper()
	o.Name = name
	r, err := h.Import(h.Context(), strings.NewReader(text), o)
	if err != nil {
		h.Fatal(err)
	}
	return r
}

// takeFile imports a file of testdata.
func (h house) takeFile(path string, o intake.ImportOptions) intake.Report {
	h.Helper()
	f, err := os.Open(path)
	if err != nil {
		h.Fatal(err)
	}
	defer f.Close()
	o.Name = filepath.Base(path)
	r, err := h.Import(h.Context(), f, o)
	if err != nil {
		h.Fatal(err)
	}
	return r
}

// ledger returns every act.
func (h house) ledger() (all []store.Entry) {
	h.Helper()
	for {
		list, err := h.store.Acts(h.Context(), uint64(len(all)), 1000)
		if err != nil {
			h.Fatal(err)
		}
		if len(list) == 0 {
			return all
		}
		all = append(all, list...)
	}
}

func (h house) acts() int { h.Helper(); return len(h.ledger()) }

// sum is a report's counts without its run and lists.
func sum(r intake.Report) string {
	return fmt.Sprintf("new %d updated %d unchanged %d older %d foreign %d conflicts %d quarantined %d marked %d",
		r.New, r.Updated, r.Unchanged, r.Older, r.Foreign, r.Conflicts, r.Quarantined, r.Marked)
}

func bytesOf(t *testing.T, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	return body
}

// TestRealBundles takes the spyware bundles and ATT&CK for ICS in and out of the
// store: every object comes out byte for byte as it stands in its file, read
// here by another parser.
func TestRealBundles(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	total, spyware, unarmed := 0, 0, 0
	names := []string{"indicators/stix/rcs.json", "indicators/stix/wyrmspy_dragonegg.json", "indicators/stix/kingspawn.json",
		"indicators/stix/candiru.json", "indicators/stix/pegasus.json.gz", "attack/ics-attack-18.1.json.gz"}
	if tier.Raced {
		names = names[:2] // ten times slower; the small ones show the same
	}
	for _, name := range names {
		var bundle struct {
			Objects []json.RawMessage `json:"objects"`
		}
		if err := json.Unmarshal(bytesOf(t, testdata+name), &bundle); err != nil {
			t.Fatal(err)
		}
		r := h.takeFile(testdata+name, intake.ImportOptions{Marking: noroshi.Clear})
		if want := fmt.Sprintf("new %d updated 0 unchanged 0 older 0 foreign 0 conflicts 0 quarantined 0 marked 0", len(bundle.Objects)); sum(r) != want {
			t.Errorf("%s: %s, want %s", name, sum(r), want)
		}
		total += len(bundle.Objects)
		if unarmed += r.NotArmed; !strings.HasPrefix(name, "attack") {
			spyware += len(bundle.Objects)
		}
		for _, raw := range bundle.Objects {
			var header struct {
				ID      stix.ID   `json:"id"`
				Type    string    `json:"type"`
				Marking []stix.ID `json:"object_marking_refs"`
			}
			if err := json.Unmarshal(raw, &header); err != nil {
				t.Fatal(err)
			}
			got := h.current(header.ID)
			if !bytes.Equal(got.Object.Bytes(), raw) {
				t.Fatalf("%s came out as %s, want %s", header.ID, got.Object.Bytes(), raw)
			}
			if want := header.Type != "marking-definition"; (len(got.Assigned) == 1) != want {
				t.Errorf("%s has assigned %v, want one: %v", header.ID, got.Assigned, want)
			}
		}
	}
	if !tier.Raced && (spyware != 3873 || total != 3873+1826) {
		t.Errorf("%d spyware objects, %d in all; want 3873 and 5699", spyware, total)
	}
	t.Logf("%d of 1934 indicators are not of an armed form", unarmed)
	acts := h.acts()
	again := h.takeFile(testdata+names[0], intake.ImportOptions{Marking: noroshi.Clear})
	if again.New+again.Updated+again.Marked+again.Quarantined != 0 || h.acts() == acts {
		t.Errorf("the same bundle again: %s", sum(again))
	}
}

// TestRealLists imports the lists of the demo: the counts are those of
// testdata/SOURCES.md, together they make 100,000 indicators in about as many
// acts as thousands, every entry that meets the telemetry is among them, and a
// list twice adds nothing.
func TestRealLists(t *testing.T) {
	h := open(t, noroshi.Real, realLists(t))
	sources := map[string]int{"apt_kimsuky.txt.gz": 26_493, "apt_lazarus.txt.gz": 5_573, "apt_bluenoroff.txt.gz": 2_140,
		"apt_sandworm.txt.gz": 816, "apt_mustangpanda.txt.gz": 525, "trails.tsv.gz": 0}
	total, again := 0, 0
	for name, want := range sources {
		if tier.Raced && (want == 0 || want > 1000) { // ten times slower; the small ones show the same
			continue
		}
		r := h.takeDemo(name, intake.ImportOptions{Marking: noroshi.Amber})
		if got := r.New + r.Unchanged; want > 0 && got != want || r.NotArmed+r.Updated+r.Quarantined != 0 {
			t.Errorf("%s: %s, want %d entries", name, sum(r), want)
		}
		if total += r.New; want == 0 || want > 1000 {
			continue
		}
		before := h.acts()
		second := h.takeDemo(name, intake.ImportOptions{Marking: noroshi.Amber})
		if second.Unchanged != want || second.New+second.Updated+second.Marked+second.Quarantined != 0 || second.Flagged != r.Flagged {
			t.Errorf("%s again: %s, want %d unchanged", name, sum(second), want)
		}
		if n := h.acts() - before; n > 2 {
			t.Errorf("%s again takes %d acts, want at most 2", name, n)
		}
		again += h.acts() - before
	}
	if n := h.acts() - again; n > total/1000+3*len(sources) {
		t.Errorf("%d indicators take %d acts", total, n)
	}
	if tier.Raced {
		return
	}
	if total < 100_000 {
		t.Errorf("the lists make %d indicators, at least 100000 are promised", total)
	}
	for _, v := range []noroshi.Value{
		{Kind: noroshi.DomainName, Text: "whatismyipaddress.com"}, {Kind: noroshi.DomainName, Text: "mydomain.com"},
		{Kind: noroshi.DomainName, Text: "weebly.com"}, {Kind: noroshi.DomainName, Text: "freegeoip.net"},
		{Kind: noroshi.AddrPort, Text: "204.79.197.200", Port: 443}, {Kind: noroshi.AddrPort, Text: "204.79.197.200", Port: 8443},
		{Kind: noroshi.AddrPort, Text: "199.59.150.11", Port: 9003}, {Kind: noroshi.AddrPort, Text: "72.21.81.240", Port: 80},
	} {
		if found, err := h.store.ByValue(t.Context(), v, store.Along{Limit: 10}); err != nil || len(found) == 0 {
			t.Errorf("%s is not among them (%v)", v, err)
		}
	}
	t.Logf("%d indicators in %d acts", total, h.acts()-again)
}

// takeDemo imports a list of the demo.
func (h house) takeDemo(name string, o intake.ImportOptions) intake.Report {
	h.Helper()
	f, err := demodata.Lists().Open(name)
	if err != nil {
		h.Fatal(err)
	}
	defer f.Close()
	o.Name = name
	r, err := h.Import(h.Context(), f, o)
	if err != nil {
		h.Fatal(err)
	}
	return r
}

func TestListIndicatorIsDerivable(t *testing.T) {
	const want = `{"type":"indicator","spec_version":"2.1","id":"%s","created_by_ref":"identity--11111111-1111-4111-8111-111111111111",` +
		`"created":"2026-11-22T10:00:00.000Z","modified":"2026-11-22T10:00:00.000Z","name":"apt_x","indicator_types":["malicious-activity"],` +
		`"pattern":"[domain-name:value = 'bad.example']","pattern_type":"stix","pattern_version":"2.1","valid_from":"2026-11-22T10:00:00.000Z"}`
	id := stix.DeriveID("indicator", [16]byte{0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x41, 0x11, 0x81, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11}, "apt_x\ndomain-name\nbad.example")
	for range 2 {
		h := open(t, noroshi.Real, nil)
		r := h.take("apt_x.txt", "# who\nBad.Example\nbad.example\n", intake.ImportOptions{Person: noroshi.Signed{Person: "hana"}})
		if r.New != 1 || r.Unchanged != 1 {
			t.Errorf("%s, want one new and one unchanged", sum(r))
		}
		got := h.current(id)
		if text := string(got.Object.Bytes()); text != fmt.Sprintf(want, id) {
			t.Errorf("made %s, want %s", text, fmt.Sprintf(want, id))
		}
		src := noroshi.Source{Kind: noroshi.FromSelf, Name: "apt_x", Person: "hana"}
		if got.Source != src || !got.Creator || len(got.Assigned) != 0 || got.Run != r.Run {
			t.Errorf("kept as %+v of run %q, want source %+v", got.Source, got.Run, src)
		}
		if problems := stix.Validate(got.Object); len(problems) > 0 {
			t.Errorf("it departs from STIX: %v", problems)
		}
		if len(h.search("bad")) != 0 || len(h.search("apt_x")) != 1 {
			t.Error("the text index has the value, or not the list's name")
		}
	}
}

// TestMarkingIsAssigned where there is none, also by a second import.
func TestMarkingIsAssigned(t *testing.T) {
	marked := indicator(1, old, "[ipv4-addr:value='192.0.2.1']", fmt.Sprintf(`,"object_marking_refs":["%s"]`, noroshi.Red.MarkingID()))
	statement := `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000000-0000-4000-8000-000000000009","created":"2026-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"x"}}`
	stated := indicator(2, old, "[ipv4-addr:value='192.0.2.1']", `,"object_marking_refs":["marking-definition--00000000-0000-4000-8000-000000000009"]`)
	plain := indicator(3, old, "[ipv4-addr:value='192.0.2.1']", "")
	text := strings.Join([]string{marked, statement, stated, plain}, "\n")
	h := open(t, noroshi.Real, nil)
	check := func(when string, want map[stix.ID]int) {
		t.Helper()
		for id, n := range want {
			if got := h.current(id).Assigned; len(got) != n || n == 1 && got[0] != noroshi.Green.MarkingID() {
				t.Errorf("%s: %s has assigned %v, want %d", when, id, got, n)
			}
		}
	}
	h.take("a.json", text, intake.ImportOptions{})
	list := h.take("l.txt", "bad.example\n", intake.ImportOptions{})
	check("without", map[stix.ID]int{indicatorID(1): 0, indicatorID(2): 0, indicatorID(3): 0})
	r := h.take("a.json", text, intake.ImportOptions{Marking: noroshi.Green})
	if r.Marked != 2 || r.Unchanged != 4 {
		t.Errorf("the same import with a marking: %s, want 2 marked of 4", sum(r))
	}
	check("with", map[stix.ID]int{indicatorID(1): 0, indicatorID(2): 1, indicatorID(3): 1,
		"marking-definition--00000000-0000-4000-8000-000000000009": 0})
	if r.Otherwise != 0 {
		t.Errorf("%d keep another marking, want none", r.Otherwise)
	}
	if r := h.take("a.json", text, intake.ImportOptions{Marking: noroshi.Amber}); r.Marked != 0 || r.Otherwise != 2 {
		t.Errorf("a third import: %s and %d keep theirs, want nothing marked, 2 as they were", sum(r), r.Otherwise)
	}
	if r := h.take("l.txt", "bad.example\n", intake.ImportOptions{Marking: noroshi.Green}); list.New != 1 || r.Marked != 1 || r.Unchanged != 1 {
		t.Errorf("a list again with a marking: %s, want its entry marked", sum(r))
	}
	if r := h.take("l.txt", "bad.example\n", intake.ImportOptions{Marking: noroshi.Red}); r.Marked != 0 || r.Otherwise != 1 {
		t.Errorf("a list again with another marking: %s and %d keep theirs, want 1", sum(r), r.Otherwise)
	}
}

func TestFormatsAreTold(t *testing.T) {
	one := indicator(1, old, "[ipv4-addr:value='192.0.2.1']", "")
	two := indicator(2, old, "[ipv4-addr:value='192.0.2.2']", "")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, one+"\n"+two)
	z.Close()
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"bundle":       {`{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000001","objects":[` + one + "," + two + `]}`, 2},
		"array":        {" \n[" + one + ",\n" + two + "]", 2},
		"one object":   {one, 1},
		"JSON lines":   {one + "\n" + two + "\n", 2},
		"gz":           {packed.String(), 2},
		"list":         {"# bad\nbad.example\n192.0.2.7:80\n", 2},
		"tsv":          {"domain-name\tbad.example\nipv4-port\t192.0.2.7:80\n", 2},
		"IPv6 address": {"[2001:db8::1]:443\n", 1},
		"BOM":          {"\ufeffbad.example\n", 1},
		"empty":        {"", 0},
		"comments":     {"# nothing\n\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, noroshi.Real, nil)
			if r := h.take("x", c.text, intake.ImportOptions{}); r.New != c.want || r.Quarantined != 0 {
				t.Errorf("%s, want %d new; %+v", sum(r), c.want, r.Faults)
			}
		})
	}
	h := open(t, noroshi.Real, nil)
	for name, c := range map[string]struct {
		text, format, code string
	}{
		"binary":         {"\x7fELF\x00\x01", "", "import.format"},
		"UTF-16":         {"\xff\xfeb\x00a\x00", "", "import.format"},
		"no table":       {"\x00\x00ELF\x00\x00", "csv", "import.no-table"},
		"truncated":      {`{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000001","objects":[{"ty`, "", "import.broken"},
		"no KEV":         {"{}", "kev", "import.document"},
		"unknown format": {"bad.example", "xlsx", "import.format-unknown"},
		"broken gz":      {"\x1f\x8b\x00\x00", "", "import.gzip"},
	} {
		_, err := h.Import(t.Context(), strings.NewReader(c.text), intake.ImportOptions{Name: "x", Format: c.format})
		var e *noroshi.Error
		if !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%s: error %v, want code %s", name, err, c.code)
		}
		if c.code != "import.format-unknown" && (e == nil || !slices.Contains(e.Args, "x")) {
			t.Errorf("%s: %v does not say of which file", name, err)
		}
	}
}

// TestTableIsNoList: what is a table by its beginning is not read as a list, all
// of which would lie in quarantine; a list with some such lines is one.
func TestTableIsNoList(t *testing.T) {
	t.Parallel()
	h := open(t, noroshi.Real, nil)
	for name, c := range map[string]struct{ text, code string }{
		"with heads known":        {"date,indicator,type\n2026-01-01,a.example,domain\n", "import.table"},
		"with heads":              {"first seen;host\n2026-01-01;a.example\n2026-01-02;b.example\n", "import.table-columns"},
		"in Japanese":             {"初認,指標\n2026-01-01,a.example\n", "import.table-columns"},
		"in Shift_JIS":            {"\x8f\x89\x94F,\x8ew\x95W\n2026-01-01,a.example\n", "import.table-columns"},
		"without heads":           {"a.example,2026-01-01\nb.example,2026-01-02\n", "import.table-columns"},
		"with tabs":               {"seen\thost\tnote\n2026-01-01\ta.example\tx\n", "import.table-columns"},
		"only heads":              {"ioc,note\n", "import.table"},
		"quoted":                  {"\"seen\",\"host\"\r\n\"2026-01-01, noon\",\"a.example\"\r\n", "import.table-columns"},
		"named a list":            {"seen,host\n2026-01-01,a.example\n", ""},
		"a list":                  {"a.example\nb.example\n", ""},
		"kinds and values":        {"domain-name\ta.example\nurl\thttps://a.example/x\n", ""},
		"addresses with a comma":  {"https://a.example/x,1\nhttps://a.example/x,2\n", ""},
		"a title":                 {"Bad hosts, May 2026\na.example\nb.example\n", ""},
		"one odd line":            {"a.example\nb.example, really\n", ""},
		"a table with an address": {"https://a.example/x,y\nc,d\n", ""},
	} {
		o := intake.ImportOptions{Name: "feed.txt"}
		if name == "named a list" {
			o.Format = "list"
		}
		r, err := h.Import(t.Context(), strings.NewReader(c.text), o)
		if noroshi.CodeOf(err) != c.code || c.code != "" && (r.Quarantined > 0 || !strings.Contains(err.Error(), "feed.txt")) {
			t.Errorf("%s: %v, %s", name, err, sum(r))
		}
	}
}

// TestFaultsHaveTheirPlace: each hostile element is reported with line and
// offset, quarantined once, and what stands around it enters.
func TestFaultsHaveTheirPlace(t *testing.T) {
	before := indicator(1, old, "[ipv4-addr:value='192.0.2.1']", "")
	after := indicator(2, old, "[ipv4-addr:value='192.0.2.2']", "")
	good := indicator(3, old, "[ipv4-addr:value='192.0.2.3']", "")
	objects := map[string]struct{ text, code string }{
		"duplicate key": {strings.Replace(good, `{`, `{"type":"x",`, 1), "malformed"},
		"deep nesting":  {strings.Replace(good, `}`, `,"x":`+strings.Repeat("[", 70)+strings.Repeat("]", 70)+`}`, 1), "malformed"},
		"bad UTF-8":     {strings.Replace(good, "192", "\xff", 1), "malformed"},
		"type 5":        {`{"type": 5}`, "malformed"},
		"future":        {indicator(3, "2027-01-01T00:00:00.000Z", "[ipv4-addr:value='192.0.2.3']", ""), "future"},
		"too large":     {strings.Replace(good, `}`, `,"x":"`+strings.Repeat("a", stix.MaxObjectBytes)+`"}`, 1), "too-large"},
	}
	for name, c := range objects {
		for form, join := range map[string][3]string{"bundle": {`{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000001","objects":[` + "\n", ",\n", "]}"}, "lines": {"\n", "\n", "\n"}} {
			t.Run(name+" in "+form, func(t *testing.T) {
				h := open(t, noroshi.Real, nil)
				head := join[0] + before + join[1]
				text := head + c.text + join[1] + after + join[2]
				r := h.take("x.json", text, intake.ImportOptions{})
				if r.New != 2 || r.Quarantined != 1 || len(r.Faults) != 1 {
					t.Fatalf("%s, want 2 new, 1 quarantined; %+v", sum(r), r.Faults)
				}
				f := r.Faults[0]
				if f.Line != 3 || f.Offset != int64(len(head)) || f.Code != c.code || f.Msg == "" || len([]rune(f.Value)) > 81 {
					t.Errorf("fault %+v, want %s at line 3, byte %d", f, c.code, len(head))
				}
				if q := h.quarantine(); len(q) != 1 || q[0].Place != fmt.Sprintf("line 3, byte %d", len(head)) {
					t.Errorf("quarantine %+v, want one at line 3", q)
				}
				again := h.take("x.json", text, intake.ImportOptions{})
				if q := h.quarantine(); again.New != 0 || again.Quarantined != 1 || len(q) != 1 {
					t.Errorf("the same again: %s and %d in quarantine, want nothing added", sum(again), len(q))
				}
			})
		}
	}
	h := open(t, noroshi.Real, nil)
	r := h.take("l.txt", "a.example\nno value\n"+strings.Repeat("x", 2<<20)+"\nb.example\n\x01\xff\n", intake.ImportOptions{})
	want := []intake.Placed{
		{Line: 2, Offset: 10, Code: "malformed", Value: "no value", Reason: "value.characters"},
		{Line: 3, Offset: 19, Code: "too-large", Value: strings.Repeat("x", 80) + "…", Reason: "intake.line-size"},
		{Line: 5, Offset: 19 + 2<<20 + 11, Code: "malformed", Value: "\uFFFD\uFFFD", Reason: "intake.line-utf8"},
	}
	for i := range r.Faults {
		r.Faults[i].Msg, r.Faults[i].Args = "", nil
	}
	if r.New != 2 || !reflect.DeepEqual(r.Faults, want) {
		t.Errorf("%s, faults %+v, want %+v", sum(r), r.Faults, want)
	}
}

func TestBreaksOff(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	one := indicator(1, old, "[ipv4-addr:value='192.0.2.1']", "")
	r, err := h.Import(t.Context(), strings.NewReader("["+one+`,{"type":`), intake.ImportOptions{Name: "x.json"})
	if noroshi.KindOf(err) != noroshi.Invalid || r.New != 1 {
		t.Errorf("a truncated array: %s, error %v; want its object and an Invalid error", sum(r), err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, strings.Repeat("a.example\n", 5_000))
	z.Close()
	half := packed.Bytes()[:packed.Len()/2]
	if _, err := h.Import(t.Context(), bytes.NewReader(half), intake.ImportOptions{Name: "half.gz"}); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("half a gz: error %v, want Invalid", err)
	}
	r, err = h.Import(t.Context(), strings.NewReader("a.example\n"+strings.Repeat("#", 100)), intake.ImportOptions{Name: "l.txt", MaxBytes: 50})
	var e *noroshi.Error
	if !errors.As(err, &e) || e.Code != "import.too-large" || r.New != 1 {
		t.Errorf("beyond the cap: %s, error %v; want its first entry and import.too-large", sum(r), err)
	}
}

func TestStrict(t *testing.T) {
	odd := strings.Replace(indicator(1, old, "[ipv4-addr:value='192.0.2.1']", ""), `"valid_from":"2026-01-01T00:00:00Z"`, `"x_y":1`, 1)
	text := odd + "\n" + indicator(2, old, "[ipv4-addr:value='192.0.2.1']", "")
	h := open(t, noroshi.Real, nil)
	if r := h.take("x.json", text, intake.ImportOptions{Strict: true}); r.New != 1 || r.Quarantined != 1 || r.Faults[0].Code != "invalid" {
		t.Errorf("strict: %s %+v, want one invalid", sum(r), r.Faults)
	}
	if r := h.take("x.json", text, intake.ImportOptions{}); r.New != 1 || r.Quarantined != 0 {
		t.Errorf("not strict: %s, want the other too", sum(r))
	}
}

func TestNotArmedIsCounted(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	text := indicator(1, old, "[process:name='x']", "") + "\n" + indicator(2, old, "[", "") + "\n" +
		strings.Replace(indicator(3, old, "rule x", ""), `"stix"`, `"yara"`, 1) + "\n" +
		indicator(4, old, "[domain-name:value='"+strings.Repeat("a", 100_000)+"']", "") + "\n" + indicator(5, old, "[ipv4-addr:value='192.0.2.1']", "")
	r := h.take("x.json", text, intake.ImportOptions{})
	if r.New != 5 || r.NotArmed != 4 || len(r.Unarmed) != 4 || r.Quarantined != 0 {
		t.Fatalf("%s, %d not armed; want all kept and 4 not armed", sum(r), r.NotArmed)
	}
	for i, part := range []string{"form", "parse", "yara", "parse"} {
		if u := r.Unarmed[i]; u.Line != i+1 || u.Value != string(indicatorID(i+1)) || !strings.Contains(u.Msg, part) {
			t.Errorf("not armed %+v, want line %d and %q", u, i+1, part)
		}
	}
}

func TestEveryRefusalIsReported(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	r := h.take("x.txt", strings.Repeat("no value\n", 250)+"a.example\n", intake.ImportOptions{})
	if r.Quarantined != 250 || len(r.Faults) != 100 || r.New != 1 || len(h.quarantine()) != 250 {
		t.Errorf("%s, %d named, %d kept; want 250, 100, 250", sum(r), len(r.Faults), len(h.quarantine()))
	}
}

// TestConflictHasItsPlace: two bodies of one version in one file are both kept.
func TestConflictHasItsPlace(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	text := jsonLines(600) + indicator(5, old, "[domain-name:value='other.example']", "")
	r := h.take("x.json", text, intake.ImportOptions{})
	if r.New != 600 || r.Conflicts != 1 || len(r.Faults) != 1 {
		t.Fatalf("%s %+v, want 600 new and a conflict", sum(r), r.Faults)
	}
	if f := r.Faults[0]; f.Line != 601 || f.Code != "conflict" || f.Value != string(indicatorID(5)) {
		t.Errorf("fault %+v, want a conflict at line 601", f)
	}
}
