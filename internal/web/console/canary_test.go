package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
)

// script is what a page would run that shows what was typed into it as it stands:
// in a text, in a value in quotes of either kind, and in a text field.
const script = `c"'></textarea></title><script>canary()</script>`

var (
	forms      = regexp.MustCompile(`(?s)<form[^>]*>.*?</form>`)
	valued     = regexp.MustCompile(`\b([a-z-]+)="([^"]*)"`)
	fields     = regexp.MustCompile(`(?s)<(input|select|button)\b([^>]*)>|<textarea\b([^>]*)>`)
	option     = regexp.MustCompile(`(?s)<select\b[^>]*>.*?</select>`)
	optionText = regexp.MustCompile(`<option(?: value="([^"]*)")?[^>]*>([^<]*)`)
)

// valuesOf are the attributes of a tag, as far as they have a value.
func valuesOf(tag string) map[string]string {
	list := map[string]string{}
	for _, m := range valued.FindAllStringSubmatch(tag, -1) {
		list[m[1]] = html.UnescapeString(m[2])
	}
	return list
}

// filled is a form as somebody sends it who types the script into every text field,
// with their right passphrase, the names of those fields, and what its buttons say.
func filled(form string) (values url.Values, typed []string, buttons [][2]string) {
	values = url.Values{}
	for _, m := range fields.FindAllStringSubmatch(form, -1) {
		a := valuesOf(m[2] + m[3])
		name := a["name"]
		switch {
		case name == "":
		case a["type"] == "password":
			values.Set(name, nodetest.Passphrase)
		case m[1] == "" || m[1] == "input" && (a["type"] == "" || a["type"] == "text" || a["type"] == "search"):
			values.Set(name, script)
			typed = append(typed, name)
		case m[1] == "input" && a["type"] != "file":
			values.Set(name, a["value"])
		case m[1] == "button":
			buttons = append(buttons, [2]string{name, a["value"]})
		}
	}
	for _, m := range option.FindAllString(form, -1) {
		if o := optionText.FindAllStringSubmatch(m, -1); len(o) > 0 {
			last := o[len(o)-1]
			values.Set(valuesOf(m)["name"], html.UnescapeString(or(last[1], last[2])))
		}
	}
	return values, typed, buttons
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// TestNoTextBecomesScript: what is typed into any text field of any form that can be
// come to stands nowhere as HTML, neither in the answer nor on a page later.
func TestNoTextBecomesScript(t *testing.T) {
	t.Parallel()
	party := furnished(t)
	staff(t, party, readers...)
	typed := map[string]bool{}
	for _, roles := range readers {
		w := canaryWalk{t: t, r: newReader(t, party), typed: typed, known: map[string]bool{}}
		w.r.signIn("only-" + string(roles[0]))
		w.walk(true)
		clear(w.known)
		w.walk(false)
	}
	if len(typed) < 25 {
		t.Errorf("only %d text fields were found: %v", len(typed), typed)
	}
	duty := newReader(t, party)
	duty.signIn("duty")
	if _, body := duty.get("/warnings"); !strings.Contains(body, html.EscapeString(script)) {
		t.Error("no warning was written of what was typed: nothing kept was looked at")
	}
}

// canaryWalk follows the links of pages, one of each address, and sends their forms.
type canaryWalk struct {
	t     *testing.T
	r     *reader
	typed map[string]bool // fields, by the address of their form
	known map[string]bool
	about string // an indicator, to warn of
}

func (w *canaryWalk) walk(send bool) {
	w.t.Helper()
	queue := []string{"/"}
	for ; len(queue) > 0; queue = queue[1:] {
		_, body := w.r.get(queue[0])
		w.judge("GET "+queue[0], body)
		for _, m := range hrefs.FindAllStringSubmatch(body, -1) {
			link := html.UnescapeString(m[1])
			if id, ok := strings.CutPrefix(link, "/indicators/indicator--"); ok {
				w.about = "indicator--" + id
			}
			if pattern := patternOf(link); pattern != "" && !w.known[pattern] {
				w.known[pattern] = true
				queue = append(queue, link)
			}
		}
		if send {
			for _, form := range forms.FindAllString(body, -1) {
				w.send(queue[0], form, false)
			}
		}
	}
}

// send sends a form with text fields by each of its buttons, and then the form in
// the answer, which may have what was typed in fields that are not seen.
func (w *canaryWalk) send(page, form string, answer bool) {
	w.t.Helper()
	head, _, _ := strings.Cut(form, ">")
	a := valuesOf(head)
	to := or(a["action"], page)
	values, typed, buttons := filled(form)
	if key := fmt.Sprint("form ", wild.ReplaceAllString(to, "*"), typed, len(values)); len(typed) == 0 && !answer || w.known[key] {
		return
	} else {
		w.known[key] = true
	}
	for _, name := range typed {
		w.typed[wild.ReplaceAllString(to, "*")+" "+name] = true
	}
	if a["method"] != "post" {
		_, body := w.r.get(to + "?" + values.Encode())
		w.judge("GET "+to, body)
		return
	}
	if values.Has("about") {
		values.Set("about", w.about)
	}
	for _, button := range append(buttons, [2]string{"-", ""}) {
		values.Set(button[0], button[1])
		res, err := w.r.http.PostForm(w.r.base+to, values)
		status, body := w.r.read(res, err)
		if status >= http.StatusInternalServerError {
			w.t.Errorf("POST %s: %d", to, status)
		}
		w.judge("POST "+to, body)
		for _, form := range forms.FindAllString(body, -1) {
			if strings.Contains(form, html.EscapeString(script)) {
				w.send(to, form, true)
			}
		}
	}
}

// wild are the ids in an address.
var wild = regexp.MustCompile(`[a-z-]+--[0-9a-f-]{36}|[0-9a-f]{8,}`)

func (w *canaryWalk) judge(of, body string) {
	w.t.Helper()
	if i := strings.Index(body, "<script>canary"); i >= 0 {
		w.t.Errorf("%s shows what was typed as it stands: %s", of, body[max(0, i-200):i+60])
	}
}
