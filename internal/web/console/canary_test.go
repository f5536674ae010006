package console_test

import (
	"bytes"
	"fmt"
	"html"
	"maps"
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
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// script is what a page would run that shows what was typed into it as it stands:
// in a text, in a value in quotes of either kind, and in a text field; scriptFile the
// same as the name of a file, which has no slash.
const (
	script     = `c"'></textarea></title><script>canary()</script>`
	scriptFile = `c"'><img src=x onerror=canary()>.txt`
)

var (
	valued     = regexp.MustCompile(`\b([a-z-]+)="([^"]*)"`)
	formed     = regexp.MustCompile(`(?s)<form\b([^>]*)>(.*?)</form>`)
	fields     = regexp.MustCompile(`(?s)<(input|select|button|textarea)\b([^>]*)>`)
	option     = regexp.MustCompile(`(?s)<select\b[^>]*>.*?</select>`)
	optionText = regexp.MustCompile(`<option(?: value="([^"]*)")?[^>]*>([^<]*)`)
	written    = regexp.MustCompile(`(?s)<textarea\b([^>]*)>\n?(.*?)</textarea>`)
)

// valuesOf are the attributes of a tag, as far as they have a value.
func valuesOf(tag string) map[string]string {
	list := map[string]string{}
	for _, m := range valued.FindAllStringSubmatch(tag, -1) {
		list[m[1]] = html.UnescapeString(m[2])
	}
	return list
}

// kindOf says what a field takes: "text", "measure", which is text that must read as a
// number or a day, "file", or "" for what nobody types.
func kindOf(tag, typ string) string {
	switch {
	case tag == "textarea" || tag == "input" && slices.Contains([]string{"", "text", "search"}, typ):
		return "text"
	case tag == "input" && slices.Contains([]string{"number", "date"}, typ):
		return "measure"
	case tag == "input" && typ == "file":
		return "file"
	}
	return ""
}

// form is one of a page, with the fields that stand elsewhere on it.
type form struct {
	to, method string
	parted     bool // multipart/form-data
	inside     string
	values     url.Values // of what nobody types, with the right passphrase
	own        url.Values // what stands in the text fields
	kinds      map[string]string
	buttons    [][2]string
}

// formsOf are the forms of a page.
func formsOf(page, body string) (list []form) {
	for _, m := range formed.FindAllStringSubmatch(body, -1) {
		a := valuesOf(m[1])
		f := form{to: or(a["action"], page), method: a["method"], parted: a["enctype"] != "", inside: m[2], values: url.Values{}, own: url.Values{}, kinds: map[string]string{}}
		if id := a["id"]; id != "" {
			for _, tag := range append(fields.FindAllString(body, -1), option.FindAllString(body, -1)...) {
				if head, _, _ := strings.Cut(tag, ">"); valuesOf(head)["form"] == id {
					f.inside += tag
				}
			}
		}
		f.read()
		list = append(list, f)
	}
	return list
}

func (f *form) read() {
	for _, m := range fields.FindAllStringSubmatch(f.inside, -1) {
		a := valuesOf(m[2])
		name := a["name"]
		switch kind := kindOf(m[1], a["type"]); {
		case name == "" || strings.HasSuffix(name, "drop"): // would take away what is typed
		case kind != "":
			f.kinds[name] = kind
			if m[1] == "input" {
				f.own.Set(name, a["value"])
			}
		case a["type"] == "password":
			f.values.Set(name, nodetest.Passphrase)
		case m[1] == "input":
			f.values.Set(name, a["value"])
		case m[1] == "button" && !slices.ContainsFunc(f.buttons, func(b [2]string) bool { return like(b[1]) == like(a["value"]) }):
			f.buttons = append(f.buttons, [2]string{name, a["value"]})
		}
	}
	for _, m := range written.FindAllStringSubmatch(f.inside, -1) {
		if text := html.UnescapeString(m[2]); text != "" {
			f.own.Set(valuesOf(m[1])["name"], text)
		}
	}
	for _, m := range option.FindAllString(f.inside, -1) {
		if o := optionText.FindAllStringSubmatch(m, -1); len(o) > 0 {
			last := o[len(o)-1]
			head, _, _ := strings.Cut(m, ">")
			f.values.Set(valuesOf(head)["name"], html.UnescapeString(or(last[1], last[2])))
		}
	}
}

// names are the form's fields, of a clause's permissions those of the first.
func (f *form) names() (list []string) {
	for _, name := range slices.Sorted(maps.Keys(f.kinds)) {
		if !later.MatchString(name) {
			list = append(list, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		if !later.MatchString(name) {
			list = append(list, name)
		}
	}
	return list
}

var later = regexp.MustCompile(`^f[1-9]`)

// like is what buttons have in common that do the same to one thing and another.
func like(value string) string {
	what, _, _ := strings.Cut(value, ":")
	return what
}

// typed are the ways in which somebody types the script into the form: into all
// texts; into all but those that are filled in already and must stay, to come
// further; and where a number or a day belongs.
func (f *form) typed() (ways []map[string]string) {
	all, rest, measures := map[string]string{}, map[string]string{}, map[string]string{}
	for name, kind := range f.kinds {
		switch kind {
		case "text":
			all[name], rest[name], measures[name] = script, script, script
			if long := f.own.Get(name); strings.Contains(long, "\n") || name == "about" {
				rest[name] = long
			}
		case "measure":
			all[name], measures[name] = or(f.own.Get(name), map[bool]string{true: "3", false: "2099-01-01"}[name != "day" && name != "until"]), script
			rest[name] = all[name]
		case "file":
			all[name], rest[name], measures[name] = scriptFile, scriptFile, scriptFile
		}
	}
	return []map[string]string{all, rest, measures}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// TestNoTextBecomesScript: what is typed into any text field that a template has, or
// is the name of a file, is run by nothing, neither in the answer nor on a page later.
func TestNoTextBecomesScript(t *testing.T) {
	t.Parallel()
	v := toured(t)
	bare := nodetest.Bare(t, "JPN-01", noroshi.Real)
	typed := map[string]bool{}
	var walks []*canaryWalk
	walk := func(p *nodetest.Party, person string, starts ...string) {
		w := &canaryWalk{t: t, r: newReader(t, p), node: p, person: person, typed: typed, known: map[string]bool{}, answers: map[string]string{}}
		if person != "" {
			w.r.signIn(person)
		}
		w.walk(starts, true)
		walks = append(walks, w)
	}
	for _, roles := range readers {
		walk(v.Party, "only-"+string(roles[0]), append([]string{"/"}, v.starts[roles[0]]...)...)
		for _, f := range v.forms[roles[0]] {
			walks[len(walks)-1].answered(f)
		}
	}
	walk(v.Party, "", "/signin", "/join")
	walk(bare, "", "/first")
	_, code := bare.Node.FirstRun()
	first := newReader(t, bare)
	first.post("/first", "code", code, "person", "admin", "new-passphrase", nodetest.Passphrase, "new-passphrase-again", nodetest.Passphrase)
	walk(bare, "admin", "/first/officer")
	for _, f := range templateFields(t) {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(typed)), regexp.MustCompile("^"+strings.ReplaceAll(regexp.QuoteMeta(f), `\*`, ".*")+"$").MatchString) {
			t.Errorf("nothing was typed into %s", f)
		}
	}
	runNothing(t, walks)
}

// runNothing opens in a browser every page that shows what was typed, whether it was
// answered or is kept: nothing may run, with no policy to forbid it.
func runNothing(t *testing.T, walks []*canaryWalk) {
	t.Helper()
	opened := map[string]int{}
	for _, w := range walks {
		p := consoletest.Open(t, consoleOf(w.node))
		p.Bare("window.canary = () => { sessionStorage.canary = 1 + Number(sessionStorage.canary || 0) }")
		p.Go("/signin")
		p.Content("<main><script>canary()</script><img src=x onerror=canary()></main>")
		p.Until(`sessionStorage.canary === "2"`)
		if w.person != "" {
			p.SignIn(w.person, nodetest.Passphrase, "en")
		}
		for _, path := range w.kept() {
			p.Go(path)
			w.ran(p, path)
			opened["kept"]++
		}
		for of, body := range w.answers {
			p.Content(goesOn.ReplaceAllString(body, ""))
			w.ran(p, of)
			opened["answered"]++
		}
	}
	t.Logf("opened: %v", opened)
	if opened["kept"] < 8 || opened["answered"] < 30 {
		t.Errorf("opened in the browser: %v", opened)
	}
}

// canaryWalk follows the links of pages, one of each address, and sends their forms.
type canaryWalk struct {
	t       *testing.T
	r       *reader
	node    *nodetest.Party
	person  string
	typed   map[string]bool   // fields, by the address of their form
	known   map[string]bool   // addresses and forms
	answers map[string]string // pages that showed what was typed, by what they answered
	starts  []string
	about   string // an indicator, to warn of
}

func (w *canaryWalk) walk(starts []string, send bool) (shows []string) {
	w.t.Helper()
	w.starts = starts
	queue := slices.Clone(starts)
	for ; len(queue) > 0; queue = queue[1:] {
		_, body := w.r.get(queue[0])
		w.judge("GET "+queue[0], body)
		if shown(body) {
			shows = append(shows, queue[0])
		}
		for _, m := range hrefs.FindAllStringSubmatch(body, -1) {
			link := html.UnescapeString(m[1])
			if id, ok := strings.CutPrefix(link, "/indicators/indicator--"); ok {
				w.about = "indicator--" + id
			}
			if pattern := patternOf(link); pattern != "" && pattern != "GET /oidc" && !w.known[pattern] { // which would make somebody else of the reader
				w.known[pattern] = true
				queue = append(queue, link)
			}
		}
		if send {
			w.sendAll(queue[0], body)
		}
	}
	return shows
}

// kept are the pages that show what was typed before.
func (w *canaryWalk) kept() []string {
	w.t.Helper()
	clear(w.known)
	return w.walk(w.starts, false)
}

// answered sends a form and then those of the answer.
func (w *canaryWalk) answered(f answered) {
	w.t.Helper()
	_, body := w.r.send(f.path, f.fields)
	path, _, _ := strings.Cut(f.path, "?")
	w.sendAll(path, body)
}

func (w *canaryWalk) sendAll(page, body string) {
	w.t.Helper()
	for _, f := range formsOf(page, body) {
		w.send(f)
	}
}

// send sends a form with text fields by each of its buttons, and then those in the
// answer: with further fields, or with what was typed in fields that are not seen.
func (w *canaryWalk) send(f form) {
	w.t.Helper()
	to, _, _ := strings.Cut(f.to, "?")
	again := shown(f.inside)
	if key := fmt.Sprint("form ", wild.ReplaceAllString(to, "*"), f.names(), again); len(f.kinds) == 0 && !again || w.known[key] || to == "/signout" {
		return
	} else {
		w.known[key] = true
	}
	for name := range f.kinds {
		w.typed[to+" "+name] = true
	}
	if f.values.Has("about") {
		f.values.Set("about", w.about)
	}
	sent := map[string]bool{}
	for n, texts := range f.typed() {
		for _, button := range append(f.buttons, [2]string{"-", ""}) {
			values := url.Values{button[0]: {button[1]}}
			for name, list := range f.values {
				values[name] = list
			}
			for name, text := range texts {
				values.Set(name, text)
			}
			if key := values.Encode(); sent[key] {
				continue
			} else {
				sent[key] = true
			}
			status, body := w.post(f, to, values)
			of := fmt.Sprint(or(f.method, "get"), " ", to, " ", button, n)
			if status >= http.StatusInternalServerError {
				w.t.Errorf("%s: %d", of, status)
			}
			w.judge(of, body)
			if key := wild.ReplaceAllString(fmt.Sprint(to, status, like(button[1])), "*"); shown(body) {
				w.answers[key] = body
			}
			w.sendAll(to, body)
		}
	}
}

func (w *canaryWalk) post(f form, to string, values url.Values) (int, string) {
	w.t.Helper()
	if f.method != "post" {
		return w.r.get(to + "?" + values.Encode())
	}
	if !f.parted {
		return w.r.send(to, values)
	}
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	files := ""
	for name := range values {
		if f.kinds[name] == "file" {
			files = name
			continue
		}
		_ = m.WriteField(name, values.Get(name))
	}
	if files != "" { // comes last
		part, err := m.CreateFormFile(files, values.Get(files))
		if err != nil {
			w.t.Fatal(err)
		}
		_, _ = part.Write([]byte("canary.example\n!!!\n"))
	}
	_ = m.Close()
	res, err := w.r.http.Post(w.r.base+to, m.FormDataContentType(), &b)
	return w.r.read(res, err)
}

// wild are the ids in an address.
var wild = regexp.MustCompile(`[a-z-]+--[0-9a-f-]{36}|[0-9a-f]{8,}`)

// shown reports whether a page shows what was typed, as text.
func shown(body string) bool {
	return strings.Contains(body, html.EscapeString(script)) || strings.Contains(body, html.EscapeString(scriptFile))
}

func (w *canaryWalk) judge(of, body string) {
	w.t.Helper()
	for _, what := range []string{"<script>canary", "<img src=x"} {
		if i := strings.Index(body, what); i >= 0 {
			w.t.Errorf("%s shows what was typed as it stands: %s", of, body[max(0, i-200):i+60])
		}
	}
}

// ran fails where a page ran something.
func (w *canaryWalk) ran(p *consoletest.Page, of string) {
	w.t.Helper()
	p.Until(`document.readyState === "complete"`)
	if n := consoletest.Value(p, chromedp.Evaluate[string](`sessionStorage.canary`)); n != "2" {
		w.t.Errorf("%s runs what was typed: %s", of, n)
	}
}

var (
	defined   = regexp.MustCompile(`\{\{define "([^"]+)"\}\}`)
	included  = regexp.MustCompile(`\{\{template "([^"]+)"[^}]*\}\}`)
	action    = regexp.MustCompile(`(?:\{\{[^}]*\}\})+`)
	formOrTag = regexp.MustCompile(`(?s)<(form|/form|input|textarea)\b([^>]*)>`)
)

// templateFields are all fields of the templates that somebody types into, as the
// address of their form and their name, with * for what the page fills in.
func templateFields(t *testing.T) (list []string) {
	t.Helper()
	names, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	shared := blocksOf(t, "templates/parts.html")
	for _, name := range names {
		if name != "templates/parts.html" {
			list = append(list, fieldsOf(whole(blocksOf(t, name), shared))...)
		}
	}
	if len(list) < 50 {
		t.Errorf("only %d fields were found in the templates: %v", len(list), list)
	}
	return list
}

// blocksOf are the blocks that a file defines.
func blocksOf(t *testing.T, file string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]string{}
	at := defined.FindAllSubmatchIndex(b, -1)
	for i, m := range at {
		end := len(b)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		blocks[string(b[m[2]:m[3]])] = string(b[m[1]:end])
	}
	return blocks
}

// whole is a file with what its blocks include, each block once.
func whole(own, shared map[string]string) string {
	text, from := "", map[string]bool{}
	var put func(block string) string
	put = func(block string) string {
		return included.ReplaceAllStringFunc(block, func(tag string) string {
			name := included.FindStringSubmatch(tag)[1]
			from[name] = true
			return put(or(own[name], shared[name]))
		})
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		own[name+" whole"] = put(own[name])
	}
	for name, block := range own {
		if short, ok := strings.CutSuffix(name, " whole"); ok && !from[short] {
			text += block
		}
	}
	return text
}

func fieldsOf(text string) (list []string) {
	text = action.ReplaceAllString(text, "*")
	byID, to := map[string]string{}, ""
	tags := formOrTag.FindAllStringSubmatch(text, -1)
	for _, m := range tags {
		if a := valuesOf(m[2]); m[1] == "form" && a["id"] != "" {
			byID[a["id"]] = a["action"]
		}
	}
	for _, m := range tags {
		a := valuesOf(m[2])
		switch m[1] {
		case "form":
			to = or(a["action"], "*")
		case "/form":
			to = ""
		default:
			if at := or(byID[a["form"]], to); a["name"] != "" && kindOf(m[1], a["type"]) != "" && !strings.Contains(m[2], "hidden") {
				list = append(list, at+" "+a["name"])
			}
		}
	}
	return list
}
