package console_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
	"github.com/noroshi-cti/noroshi/stix"
)

// canary is text that runs where it is not shown as text.
const canary = `<script>document.title='ran'</script><img src=x onerror="document.title='ran'">`

func objectOf(typ string, n int) stix.ID {
	return stix.DeriveID(typ, [16]byte{6}, fmt.Sprint(n))
}

// known are objects that hang together, in both languages, with the canary in
// every text.
func known() string {
	head := func(typ string, n int) string {
		return fmt.Sprintf(`{"type":%q,"spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"],`, typ, objectOf(typ, n))
	}
	indicator := func(n int, name, description, pattern string) string {
		return head("indicator", n) + fmt.Sprintf(`"name":%q,"description":%q,"pattern":%q,"pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","valid_until":"2030-01-01T00:00:00Z","labels":[%q]}`, name, description, pattern, canary)
	}
	return strings.Join([]string{
		indicator(1, "港湾端末への遠隔接続", "港湾事業者の監視装置で観測した"+canary, "[domain-name:value = 'c2.port.example' OR ipv4-addr:value = '198.51.100.9']"),
		indicator(2, "Loader of the port campaign "+canary, "Seen at two terminals "+canary, "[url:value = 'https://load.port.example/a?x=<script>']"),
		indicator(3, "Another claim", "The same address again", "[ipv4-addr:value = '198.51.100.9']"),
		head("malware", 1) + fmt.Sprintf(`"name":%q,"is_family":false,"description":%q,"aliases":[%q]}`, "錨ローダー"+canary, canary, canary),
		head("relationship", 1) + fmt.Sprintf(`"relationship_type":"indicates","source_ref":%q,"target_ref":%q,"description":%q}`, objectOf("indicator", 1), objectOf("malware", 1), canary),
		head("relationship", 2) + fmt.Sprintf(`"relationship_type":"indicates","source_ref":%q,"target_ref":%q}`, objectOf("indicator", 2), objectOf("malware", 1)),
		head("note", 1) + fmt.Sprintf(`"abstract":%q,"content":%q,"authors":[%q],"object_refs":[%q]}`, canary, canary, canary, objectOf("indicator", 1)),
		strings.Replace(head("sighting", 1), string(noroshi.Amber.MarkingID()), string(noroshi.Red.MarkingID()), 1) + fmt.Sprintf(`"sighting_of_ref":%q,"count":4,"first_seen":"2026-02-01T03:00:00Z","last_seen":"2026-02-02T04:00:00Z","description":%q}`, objectOf("indicator", 1), canary),
		head("language-content", 1) + fmt.Sprintf(`"object_ref":%q,"contents":{"en":{"name":"Remote logins to a port terminal"}}}`, objectOf("indicator", 1)),
	}, "\n")
}

// bring sends a file with a form, its fields first.
func (r *reader) bring(path, name, content string, fields ...string) (int, string) {
	r.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		_ = w.WriteField(fields[i], fields[i+1])
	}
	f, err := w.CreateFormFile("file", name)
	if err != nil {
		r.t.Fatal(err)
	}
	_, _ = f.Write([]byte(content))
	_ = w.Close()
	res, err := r.http.Post(r.base+path, w.FormDataContentType(), &b)
	if err == nil {
		r.at = res.Request.URL.Path
	}
	return r.read(res, err)
}

// worded waits until what is here is matched, and found by its words.
func worded(p *nodetest.Party) {
	p.Settle()
	p.Until("all texts are found", func() (bool, error) {
		var f web.Found
		p.Must("indicator.find", web.FindRef{Query: "loader port"}, &f)
		return f.Behind == 0, nil
	})
}

// rows are the ids of the objects a page of a search lists.
func rows(body string) (ids []string) {
	for _, m := range regexp.MustCompile(`<a class="mono vl" href="/indicators/([a-z0-9-]+)"`).FindAllStringSubmatch(body, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

// TestIndicators: a person without JavaScript finds what is here by whatever they
// have of it, page by page, sees what hangs on it, signs for it, and brings a
// file which they look at first. Nothing of what is shown runs.
func TestIndicators(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	p.Import("port.json", "", strings.NewReader(known()))
	var list strings.Builder
	for i := range 120 {
		fmt.Fprintf(&list, "h%d.paged.example\n", i)
	}
	p.Import("paged.txt", "tlp:green", strings.NewReader(list.String()))
	worded(p)
	r := newReader(t, p)
	r.signIn("duty")
	t.Run("find", func(t *testing.T) { findIndicators(t, r) })
	t.Run("pages", func(t *testing.T) { pageIndicators(t, r) })
	t.Run("dossier", func(t *testing.T) { readDossier(t, r) })
	t.Run("sign", func(t *testing.T) { signDossier(t, r) })
	t.Run("import", func(t *testing.T) { importFile(t, p, r) })
}

func findIndicators(t *testing.T, r *reader) {
	first, second, third := string(objectOf("indicator", 1)), string(objectOf("indicator", 2)), string(objectOf("indicator", 3))
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"c2.port.example", []string{first}}, {"ｃ２.ｐｏｒｔ.ｅｘａｍｐｌｅ", []string{first}}, {"C2.PORT.EXAMPLE", []string{first}}, {"c2[.]port[.]example", []string{first}},
		{"198.51.100.9", []string{third, first}}, {"198.51.100.0/24", []string{third, first}}, {"hxxps://load.port.example/a?x=<script>", []string{second}},
		{"*.port.example", []string{first}}, {"*port*", []string{second, first}}, {"遠隔接続", []string{first}}, {"えんかくせつぞく", nil}, {"loader port", []string{second}},
		{"ＬＯＡＤＥＲ ｐｏｒｔ", []string{second}}, {"nothing.example", nil}, {strings.Repeat("x", 100), nil},
	} {
		status, body := r.get("/indicators?q=" + url.QueryEscape(c.query))
		if got := rows(body); status != http.StatusOK || !slices.Equal(got, c.want) {
			t.Errorf("%q: %d, %v, want %v", c.query, status, got, c.want)
		}
		shownAsText(t, c.query, body)
	}
	if _, body := r.get("/indicators?q=" + url.QueryEscape("ろーだー")); !strings.Contains(body, string(objectOf("malware", 1))) {
		t.Error("what is written in katakana is not found in hiragana")
	}
	if status, body := r.get("/indicators?q=" + strings.ToUpper(first)); status != http.StatusOK || !strings.Contains(body, `<h1 tabindex="-1" class="vl">`) {
		t.Errorf("an id does not lead to its object: %d", status)
	}
	if status, body := r.get("/indicators?q=" + strings.Repeat("y", 2100)); status != http.StatusUnprocessableEntity || !strings.Contains(body, `class="problem"`) {
		t.Errorf("a search that is too long: %d", status)
	}
}

// shownAsText fails where the canary stands in a page as markup.
func shownAsText(t *testing.T, what, body string) {
	t.Helper()
	if strings.Contains(body, "<script>document") || strings.Contains(body, "<img src=x") {
		t.Errorf("%s: the canary is markup", what)
	}
}

func pageIndicators(t *testing.T, r *reader) {
	seen, path := []string{}, "/indicators"
	for n := 0; path != "" && n < 10; n++ {
		_, body := r.get(path)
		seen = append(seen, rows(body)...)
		path = ""
		if m := regexp.MustCompile(`href="([^"]*)" rel="next"`).FindStringSubmatch(body); m != nil {
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	twice := len(seen)
	slices.Sort(seen)
	if seen = slices.Compact(seen); len(seen) != 123 || twice != 123 {
		t.Errorf("%d indicators on all pages, %d of them different, want 123", twice, len(seen))
	}
}

func readDossier(t *testing.T, r *reader) {
	for _, c := range []struct {
		path string
		want []string
	}{
		{"/indicators/" + string(objectOf("indicator", 1)), []string{"port.json", "TLP:AMBER", "198.51.100.9", "4 times elsewhere", "Remote logins to a port terminal", string(objectOf("indicator", 3)), "SHA-256", "2030"}},
		{"/indicators/" + string(objectOf("malware", 1)), []string{"錨ローダー"}},
		{"/indicators/graph/" + string(objectOf("indicator", 1)), []string{"<svg", string(objectOf("malware", 1)), "names the same value as", "indicates"}},
		{"/indicators/graph/" + string(objectOf("indicator", 1)) + "?open=" + string(objectOf("malware", 1)), []string{string(objectOf("indicator", 2))}},
	} {
		status, body := r.get(c.path)
		for _, w := range c.want {
			if status != http.StatusOK || !strings.Contains(body, w) {
				t.Errorf("%s: %d without %q", c.path, status, w)
			}
		}
		shownAsText(t, c.path, body)
	}
	_, nowhere := r.get("/no-such-page")
	for _, path := range []string{"/indicators/x", "/indicators/" + string(objectOf("indicator", 99)), "/indicators/graph/" + string(objectOf("indicator", 99)), "/indicators/import/NOSUCHTOKEN"} {
		if status, body := r.get(path); status != http.StatusNotFound || len(body) < len(nowhere)-200 || len(body) > len(nowhere)+200 {
			t.Errorf("%s: %d, not like an address that is none", path, status)
		}
	}
}

func signDossier(t *testing.T, r *reader) {
	path := func(n int) string { return "/indicators/" + string(objectOf("indicator", n)) }
	hash := func(n int) string {
		_, body := r.get(path(n))
		m := regexp.MustCompile(`name="hash" value="([0-9a-f]+)"`).FindStringSubmatch(body)
		if m == nil {
			t.Fatalf("no form on %s", path(n))
		}
		return m[1]
	}
	mark := "/indicators/mark/" + string(objectOf("indicator", 3))
	for _, c := range []struct {
		what  string
		form  []string
		want  int
		shows string
	}{
		{"wrong passphrase", []string{"act", "mark", "hash", hash(3), "marking", "TLP:RED", "passphrase", "wrong"}, http.StatusUnprocessableEntity, `class="problem"`},
		{"another version", []string{"act", "mark", "hash", strings.Repeat("0", 64), "marking", "TLP:RED", "passphrase", nodetest.Passphrase}, http.StatusUnprocessableEntity, "changed meanwhile"},
		{"no marking", []string{"act", "mark", "hash", hash(3), "marking", "", "passphrase", nodetest.Passphrase}, http.StatusUnprocessableEntity, `class="problem"`},
		{"well", []string{"act", "mark", "hash", hash(3), "marking", "TLP:RED", "passphrase", nodetest.Passphrase}, http.StatusOK, "TLP:RED"},
	} {
		if status, body := r.post(mark, c.form...); status != c.want || !strings.Contains(body, c.shows) {
			t.Errorf("marking, %s: %d without %q", c.what, status, c.shows)
		}
	}
	withdraw := "/indicators/withdraw/" + string(objectOf("indicator", 3))
	if status, body := r.post(withdraw, "hash", hash(3), "passphrase", nodetest.Passphrase); status != http.StatusOK || !strings.Contains(body, "It is not matched: it was withdrawn.") {
		t.Errorf("withdrawing: %d", status)
	}
}

func importFile(t *testing.T, p *nodetest.Party, r *reader) {
	const file = "new1.import.example\nnew2.import.example\nh1.paged.example\n!!!" + canary + "\n"
	for what, fields := range map[string][]string{"no marking": {}, "a marking that is none": {"marking", "tlp:blue"}} {
		if status, body := r.bring("/indicators/import", "x.txt", file, fields...); status != http.StatusUnprocessableEntity || !strings.Contains(body, `class="problem"`) {
			t.Errorf("%s: %d", what, status)
		}
	}
	for _, choice := range []string{"TLP:AMBER", "none", "profile:" + intake.Profiles()[0].Name} {
		if status, body := r.bring("/indicators/import", "", "", "marking", choice, "format", "csv"); status != http.StatusUnprocessableEntity || !strings.Contains(body, `value="`+choice+`" required checked`) || !strings.Contains(body, "<option selected>csv</option>") {
			t.Errorf("%s is not chosen any more: %d\n%s", choice, status, body)
		}
	}
	status, body := r.bring("/indicators/import", "broken.json", `[{"type":"indicator",`, "marking", "TLP:GREEN")
	if status != http.StatusOK || !strings.Contains(body, "<dt>Elements</dt><dd>1</dd>") || !strings.Contains(body, "<dt>Here already</dt><dd>0</dd>") || strings.Contains(body, `name="passphrase"`) {
		t.Errorf("what nothing can be taken of: %d\n%s", status, body)
	}
	if status, body := r.post(r.at, "passphrase", nodetest.Passphrase); status != http.StatusUnprocessableEntity || !strings.Contains(body, "broken.json") {
		t.Errorf("it is imported: %d\n%s", status, body)
	}
	status, body = r.bring("/indicators/import", "x.txt", file, "marking", "TLP:GREEN", "format", "")
	preview := r.at
	for _, w := range []string{"What x.txt would bring", "<dt>Elements</dt><dd>4</dd>", "<dt>New</dt><dd>3</dd>", "<dt>To quarantine</dt><dd>1</dd>", "TLP:GREEN"} {
		if status != http.StatusOK || !strings.Contains(body, w) {
			t.Errorf("the preview: %d without %q\n%s", status, w, body)
		}
	}
	shownAsText(t, "preview", body)
	if _, body := r.get("/indicators?q=new1.import.example"); len(rows(body)) != 0 {
		t.Error("it was let in before anybody signed")
	}
	other := newReader(t, p)
	other.signIn("release1")
	for _, path := range []string{"/indicators/import", preview} {
		if status, _ := other.get(path); status != http.StatusNotFound {
			t.Errorf("who may not import sees %s: %d", path, status)
		}
	}
	if _, body := other.get("/indicators"); strings.Contains(body, "/indicators/import") {
		t.Error("who may not import sees the way there")
	}
	if status, body := r.post(preview, "passphrase", "wrong"); status != http.StatusUnprocessableEntity || !strings.Contains(body, "What x.txt would bring") {
		t.Errorf("a wrong passphrase: %d", status)
	}
	status, body = r.post(preview, "passphrase", nodetest.Passphrase)
	for _, w := range []string{"x.txt was imported", "<dt>New</dt><dd>3</dd>", "<dt>In quarantine</dt><dd>1</dd>"} {
		if status != http.StatusOK || !strings.Contains(body, w) {
			t.Errorf("the report: %d without %q", status, w)
		}
	}
	if status, _ := r.post(preview, "passphrase", nodetest.Passphrase); status != http.StatusUnprocessableEntity {
		t.Errorf("imported twice: %d", status)
	}
	if _, body := r.get("/indicators?q=new1.import.example"); len(rows(body)) != 1 {
		t.Error("what was imported is not found")
	}
	status, body = r.get("/indicators/quarantine")
	if status != http.StatusOK || !strings.Contains(body, "x.txt") {
		t.Errorf("the quarantine: %d\n%s", status, body)
	}
	shownAsText(t, "quarantine", body)
}

// TestIndicatorsInABrowser: an officer finds an indicator from the head of any
// page, looks at it beside the list and on a page, and goes on to what hangs on
// it, in either language.
func TestIndicatorsInABrowser(t *testing.T) {
	t.Parallel()
	party := nodetest.New(t, "JPN-01", noroshi.Real)
	party.Import("port.json", "", strings.NewReader(known()))
	worded(party)
	file := filepath.Join(t.TempDir(), "brought.json")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(known(), "0-4", "1-4")+"\n{\"type\":\"indicator\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for lang, words := range map[string][3]string{"en": {"loader port", "Seen at two terminals", "TLP:AMBER "}, "ja": {"港湾端末", "港湾事業者の監視装置", "TLP:RED "}} {
		t.Run(lang, func(t *testing.T) {
			p := consoletest.Open(t, consoleOf(party))
			p.SignIn("duty", nodetest.Passphrase, lang)
			p.Do(chromedp.KeyEvent("/"))
			p.Until(`document.activeElement.name === "q"`)
			p.Type(".search input", words[0]+"\r")
			p.Shows(".ft .vl")
			look(t, p, "indicators-"+lang)
			p.Until(`document.getElementById("band").textContent.startsWith("TLP:AMBER")`)
			p.Click(".ft .vl")
			p.Shows("#drawer h1")
			p.Until(`document.activeElement === document.querySelector("#drawer h1")`)
			if text := p.Text("#drawer"); !strings.Contains(text, words[1]) || !strings.Contains(text, "TLP:AMBER") {
				t.Errorf("the drawer says %s", text)
			}
			p.Until(`[...document.querySelectorAll("#band,#band-foot")].every(b => b.textContent.startsWith("` + words[2] + `"))`)
			look(t, p, "indicators-drawer-"+lang)
			p.Do(chromedp.KeyEvent("\x1b"))
			p.Until(`document.activeElement.classList.contains("vl")`)
			p.Go("/indicators?q=" + url.QueryEscape("*port*"))
			p.Go("/indicators/" + string(objectOf("indicator", 1)))
			look(t, p, "indicators-show-"+lang)
			p.Click(`a[href^="/indicators/graph/"]`)
			p.Shows("svg.graph")
			p.Click("a.gx")
			p.Shows("svg.graph")
			look(t, p, "indicators-graph-"+lang)
			p.Go("/indicators/import")
			look(t, p, "indicators-import-"+lang)
			p.Click(`input[value="TLP:AMBER"]`)
			p.Do(chromedp.SetUploadFiles(chromedp.CSS("input[type=file]"), []string{file}))
			p.Click(".fi .btn.pri")
			p.Shows(".kp")
			look(t, p, "indicators-preview-"+lang)
			p.Type("input[name=passphrase]", nodetest.Passphrase+"\r")
			p.Shows(".said")
			look(t, p, "indicators-report-"+lang)
			p.Go("/indicators/quarantine")
			look(t, p, "indicators-quarantine-"+lang)
			p.Size(390, 844)
			p.Go("/indicators/" + string(objectOf("indicator", 1)))
			p.Until(`document.documentElement.scrollWidth <= 390`)
			look(t, p, "indicators-show-phone-"+lang)
			p.Go("/indicators")
			p.Until(`document.documentElement.scrollWidth <= 390`)
			look(t, p, "indicators-phone-"+lang)
			if title := p.Text("title"); title == "ran" {
				t.Error("a script of what was shown ran")
			}
		})
	}
}
