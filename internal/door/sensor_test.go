package door_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/stix"
)

// fetched counts the acts that say a client fetched something.
func (o *office) fetched() (n int) {
	o.t.Helper()
	acts, err := o.store.Acts(o.ctx, 0, 1000)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, a := range acts {
		if a.Act.Action == noroshi.ActServe {
			n++
		}
	}
	return n
}

// TestSensor: what a sensor is answered, and that whatever goes is on record,
// and nothing else.
func TestSensor(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	o.shelf("tools")
	o.put(made, indicator(1, noroshi.Green, ""), indicator(2, noroshi.Red, ""))
	o.settle(jpn)
	tool := o.letIn(door.NewClient{Name: "tool", Write: []string{"tools"}, Read: []string{"tools"}})
	blind := o.letIn(door.NewClient{Name: "blind", Write: []string{"tools"}})
	soc := o.letPartner("soc", jpn)
	tool.post("tools", indicator(1, noroshi.Green, ""), indicator(3, noroshi.Green, ""))
	tag := tool.ask("HEAD", "/export/tools/domains", "").Header().Get("ETag")
	for name, c := range map[string]struct {
		who    visitor
		method string
		path   string
		head   string
		code   int
		noted  int
		has    string
	}{
		"all":                      {tool, "GET", "tools/domains", "", 200, 1, "d1.example\nd3.example\n"},
		"its head":                 {tool, "HEAD", "tools/domains", "", 200, 0, ""},
		"a part":                   {tool, "GET", "tools/domains", "Range: bytes=-11", 206, 1, "lines\n"},
		"no such part":             {tool, "GET", "tools/domains", "Range: bytes=100000-", 416, 0, ""},
		"has it":                   {tool, "GET", "tools/domains", "If-None-Match: " + tag, 304, 0, ""},
		"has it, weakly":           {tool, "GET", "tools/domains", "If-None-Match: W/" + tag, 304, 0, ""},
		"has it among others":      {tool, "GET", "tools/domains", `If-None-Match: "x", ` + tag, 304, 0, ""},
		"has whatever there is":    {tool, "GET", "tools/domains", "If-None-Match: *", 304, 0, ""},
		"has another":              {tool, "GET", "tools/domains", `If-None-Match: "x"`, 200, 1, "d1.example"},
		"has it, ill written":      {tool, "GET", "tools/domains", "If-None-Match: x" + tag, 200, 1, "d1.example"},
		"wants what it has":        {tool, "GET", "tools/domains", "If-Match: " + tag, 200, 1, "d1.example"},
		"wants another":            {tool, "GET", "tools/domains", `If-Match: "x"`, 412, 0, ""},
		"posts":                    {tool, "POST", "tools/domains", "", 405, 0, ""},
		"no format":                {tool, "GET", "tools/pdf", "", 404, 0, "hosts, domains"},
		"no zone":                  {tool, "GET", "tools/rpz", "", 404, 0, "zone"},
		"no format, not allowed":   {blind, "GET", "tools/pdf", "", 404, 0, "Not Found\n"},
		"no format, no collection": {tool, "GET", "shelf/pdf", "", 404, 0, "Not Found\n"},
		"no format, a partner's":   {soc, "GET", "tools/pdf", "", 404, 0, "Not Found\n"},
		"no format, nobody":        {o.at(true, nil), "GET", "tools/pdf", "", 401, 0, "Unauthorized\n"},
		"no name for a zone":       {tool, "GET", "tools/rpz?zone=a%0Ab", "", 404, 0, ""},
		"zone":                     {tool, "GET", "tools/rpz?zone=rpz.example", "", 200, 1, "d1.example"},
		"zone of another format":   {tool, "GET", "tools/csv?zone=rpz.example", "", 404, 0, ""},
		"sinkhole":                 {tool, "GET", "tools/hosts?sinkhole=192.0.2.1", "", 200, 1, "192.0.2.1"},
		"no address":               {tool, "GET", "tools/hosts?sinkhole=x%0Aevil", "", 404, 0, ""},
		"sinkhole of another":      {tool, "GET", "tools/csv?sinkhole=192.0.2.1", "", 404, 0, ""},
		"no file":                  {tool, "GET", "tools/domains/x", "", 404, 0, ""},
		"too deep":                 {tool, "GET", "tools/domains/x/y", "", 404, 0, ""},
		"no collection":            {tool, "GET", "shelf/domains", "", 404, 0, ""},
		"writes only":              {blind, "GET", "tools/domains", "", 404, 0, ""},
		"the partner's":            {soc, "GET", "partner.0200000000000000/domains", "", 200, 1, "d1.example"},
		"a shelf for the partner":  {soc, "GET", "tools/domains", "", 404, 0, ""},
		"the partner's by a tool":  {tool, "GET", "partner.0200000000000000/domains", "", 404, 0, ""},
		"nobody":                   {o.at(true, nil), "GET", "tools/domains", "", 401, 0, ""},
		"a tool outside":           {o.at(false, tool.change), "GET", "tools/domains", "", 401, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var head []string
			if c.head != "" {
				head = append(head, c.head)
			}
			before := o.fetched()
			w := c.who.ask(c.method, "/export/"+c.path, "", head...)
			if w.Code != c.code || o.fetched()-before != c.noted || !strings.Contains(w.Body.String(), c.has) {
				t.Errorf("got %d, %d on record: %s", w.Code, o.fetched()-before, w.Body)
			}
			if strings.Contains(w.Body.String(), "d2.example") || c.code != 200 && c.code != 206 && strings.Contains(w.Body.String(), "example") {
				t.Errorf("more than may be: %s", w.Body)
			}
		})
	}
}

// TestSensorsAtOnce: sensors that ask at once get the same bytes of one edition,
// and one that reads slowly keeps nobody waiting.
func TestSensorsAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "tool", Write: []string{"tools"}, Read: []string{"tools"}})
	tool.post("tools", indicator(1, noroshi.Green, ""))
	var wg sync.WaitGroup
	bodies := make([]string, 8)
	for i := range bodies {
		wg.Go(func() { bodies[i] = tool.ask("GET", "/export/tools/csv", "").Body.String() })
	}
	wg.Wait()
	if slices.Sort(bodies); bodies[0] != bodies[7] || !strings.Contains(bodies[0], "d1.example") {
		t.Errorf("got %q and %q", bodies[0], bodies[7])
	}
	if docs, err := o.store.Docs(o.ctx, door.DocExport); err != nil || len(docs) != 1 {
		t.Errorf("%d editions are on record, want 1: %v", len(docs), err)
	}
	free := make(chan struct{})
	begun := make(chan struct{}, 3)
	for range 3 {
		wg.Go(func() {
			r := httptest.NewRequestWithContext(o.ctx, "GET", "/export/tools/csv", nil)
			tool.change(r)
			o.inner.ServeHTTP(slow{httptest.NewRecorder(), begun, free}, r)
		})
	}
	for range 3 {
		<-begun
	}
	if w := tool.ask("GET", "/export/tools/csv", ""); w.Code != http.StatusOK {
		t.Errorf("while others read: %d", w.Code)
	}
	close(free)
	wg.Wait()
}

// slow takes no byte until it is freed.
type slow struct {
	http.ResponseWriter
	begun chan<- struct{}
	free  <-chan struct{}
}

func (s slow) Write(b []byte) (int, error) {
	select {
	case s.begun <- struct{}{}:
	default:
	}
	<-s.free
	return s.ResponseWriter.Write(b)
}

// hostile are values that try to break out of their field.
var hostile = []string{"x.example\nevil.example", "x.example\r\nevil", `x.example"; evil`, "x.example; evil", "x.example\tevil", "=evil(1)", "x.example\u2028evil", "x.example' evil", `x.example\`, "$INCLUDE evil", "例え.テスト"}

// TestEveryFormat: each format goes through the door with hostile values, without
// a line of theirs, and is the same again as long as nothing changed.
func TestEveryFormat(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	var list []string
	for i, value := range hostile {
		for k, form := range []string{"[domain-name:value = '%s']", "[url:value = 'https://h.example/%s']", "[file:name = '%s']"} {
			pattern := fmt.Sprintf(form, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value))
			list = append(list, object("indicator", 10*i+k+1, noroshi.Green, fmt.Sprintf(`,"name":%s,"description":%s,"pattern":%s,"pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z"`,
				quote(value), quote(value), quote(pattern))))
		}
	}
	o.put(made, append(list, indicator(900, noroshi.Green, ""))...)
	o.settle(jpn)
	soc := o.letPartner("soc", jpn)
	for _, format := range door.Formats() {
		t.Run(format, func(t *testing.T) {
			path := "/export/partner.0200000000000000/" + format
			if format == "rpz" {
				path += "?zone=rpz.example"
			}
			first := soc.ask("GET", path, "")
			o.pass(time.Hour)
			again := soc.ask("GET", path, "")
			if first.Code != http.StatusOK || first.Body.String() != again.Body.String() || !sameHeader(first.Header(), again.Header()) {
				t.Errorf("%d, later %d: %s\nlater %s", first.Code, again.Code, first.Body, again.Body)
			}
			if !slices.Contains([]string{"navigator", "suricata", "addresses", "urls", "hashes", "emails"}, format) && !strings.Contains(first.Body.String(), "d900.example") {
				t.Errorf("what is not hostile is not there: %s", first.Body)
			}
			for line := range strings.FieldsFuncSeq(first.Body.String(), func(r rune) bool { return r == '\n' || r == '\r' }) {
				if line = strings.TrimSpace(line); strings.HasPrefix(line, "evil") || strings.HasPrefix(line, "=") || strings.HasPrefix(line, "$INCLUDE") {
					t.Errorf("a line of its own: %q", line)
				}
			}
		})
	}
}

func quote(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < ' ' || r == '"' || r == '\\' {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return `"` + b.String() + `"`
}

// TestEditions: a file changes when what is in it does, and when something in it
// is over; a zone's serial grows with each change, a removal too, within one
// second as well.
func TestEditions(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "tool", Write: []string{"tools"}, Read: []string{"tools"}})
	serial := regexp.MustCompile(`SOA [^\n]*?(\d{9,10}) `)
	last := 0
	step := func(what, names string, changed bool) {
		t.Helper()
		zone := tool.get("/export/tools/rpz?zone=rpz.example")
		m := serial.FindStringSubmatch(strings.ReplaceAll(zone, "\n", " "))
		if m == nil {
			t.Fatalf("no serial in %s", zone)
		}
		n, _ := strconv.Atoi(m[1])
		if (n > last) != changed || n < last {
			t.Errorf("%s: serial %d after %d", what, n, last)
		}
		last = n
		if got := o.lines(tool, "tools/domains"); got != names {
			t.Errorf("%s: %s, want %s", what, got, names)
		}
	}
	step("empty", "", true)
	tool.post("tools", indicator(1, noroshi.Green, ""), indicator(2, noroshi.Green, fmt.Sprintf(`,"valid_until":%q`, stix.TimeOf(began.Add(time.Hour)).String())))
	step("two in the same second", "d1.example d2.example", true)
	step("again", "d1.example d2.example", false)
	tool.post("tools", indicator(3, noroshi.Green, ""))
	step("one more", "d1.example d2.example d3.example", true)
	o.withdraw(id("indicator", 3))
	step("withdrawn", "d1.example d2.example", true)
	o.set(began.Add(59 * time.Minute))
	step("nearly over", "d1.example d2.example", false)
	o.set(began.Add(61 * time.Minute))
	step("over", "d1.example", true)
	o.restart()
	step("after a restart", "d1.example", false)
	for i := range 3 {
		tool.post("tools", on(2+i, indicator(1, noroshi.Green, fmt.Sprintf(`,"name":"n%d"`, i))))
	}
	if got := o.lines(tool, "tools/domains"); got != "d1.example" {
		t.Errorf("later versions: %s", got)
	}
}

// TestPartnersEditions: a partner has no more different exports than the bound.
func TestPartnersEditions(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	soc := o.letPartner("soc", jpn)
	refused := 0
	for i := range 70 {
		switch w := soc.ask("GET", fmt.Sprintf("/export/partner.0200000000000000/rpz?zone=z%d.example", i), ""); w.Code {
		case http.StatusOK:
		case http.StatusTooManyRequests:
			refused++
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if refused != 70-64 {
		t.Errorf("%d of 70 were refused", refused)
	}
	if w := soc.ask("GET", "/export/partner.0200000000000000/rpz?zone=z0.example", ""); w.Code != http.StatusOK {
		t.Errorf("one it had: %d", w.Code)
	}
}

// TestRefresh: scheduled files are there, whole, anew when something changed, and
// those that are none any more are gone, whoever else asks for the same export.
func TestRefresh(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	shelf := o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "tool", Write: []string{"tools"}, Read: []string{"tools"}})
	dir, other := t.TempDir(), t.TempDir()
	refresh := func(dir string, want bool) {
		t.Helper()
		changed, err := o.door.Refresh(o.ctx, door.Scheduled{Export: door.Export{Format: "suricata", Collection: shelf}, File: filepath.Join(dir, "n.rules")})
		if err != nil || changed != want {
			t.Errorf("changed %v %v, want %v", changed, err, want)
		}
	}
	files := func(dir string) string {
		t.Helper()
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range list {
			names = append(names, f.Name())
		}
		return strings.Join(names, " ")
	}
	tool.post("tools", indicator(1, noroshi.Green, ""), object("indicator", 2, noroshi.Green, `,"pattern":"[file:hashes.MD5 = '00000000000000000000000000000001']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z"`))
	tool.get("/export/tools/suricata") // a sensor was faster
	refresh(dir, true)
	refresh(dir, false)
	refresh(other, true)
	both := files(dir)
	if strings.Count(both, " ") != 2 || files(other) != both {
		t.Errorf("files: %s; %s", both, files(other))
	}
	o.withdraw(id("indicator", 2))
	tool.get("/export/tools/suricata")
	refresh(dir, true)
	if got := files(dir); strings.Count(got, " ") != 1 || strings.Contains(got, ".noroshi") {
		t.Errorf("files after a removal: %s", got)
	}
	refresh(other, true)
	if files(other) != files(dir) {
		t.Errorf("files: %s; %s", files(dir), files(other))
	}
	if err := os.Remove(filepath.Join(dir, "n.rules")); err != nil {
		t.Fatal(err)
	}
	refresh(dir, true)
	_, err := o.door.Refresh(o.ctx, door.Scheduled{Export: door.Export{Format: "csv"}, File: filepath.Join(dir, "no", "x.csv")})
	if err == nil || !strings.Contains(err.Error(), "x.csv") {
		t.Errorf("in no folder: %v", err)
	}
}

// TestRefreshIsWhole: who reads a file while it is made anew gets all of one
// edition.
func TestRefreshIsWhole(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "tool", Write: []string{"tools"}})
	s := door.Scheduled{Export: door.Export{Format: "domains"}, File: filepath.Join(t.TempDir(), "d.txt")}
	const editions, each = 12, 40
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range editions {
			var list []string
			for i := range each {
				list = append(list, indicator(1+e*each+i, noroshi.Green, ""))
			}
			tool.ask("POST", inColl+"tools/objects/", `{"objects":[`+strings.Join(list, ",")+`]}`)
			if _, err := o.door.Refresh(o.ctx, s); err != nil {
				t.Error(err)
			}
		}
	}()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		body, err := os.ReadFile(s.File)
		if os.IsNotExist(err) {
			continue
		}
		names := strings.Count(string(body), "\nd")
		if err != nil || names%each != 0 || names == 0 || !strings.HasSuffix(string(body), "\n") {
			t.Fatalf("%d names: %v", names, err)
		}
	}
	if body, err := os.ReadFile(s.File); err != nil || strings.Count(string(body), "\nd") != editions*each {
		t.Errorf("%d names: %v", strings.Count(string(body), "\nd"), err)
	}
}
