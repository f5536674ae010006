package console_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
)

var (
	problem = regexp.MustCompile(`<p class="problem" role="alert">([^<]*)</p>`)
	code    = regexp.MustCompile(`[a-z]_[a-z]|--[a-z]|noroshi [a-z]+ [a-z]+|\brefs\b|\bdue\b`)
)

// TestErrorsNameWhatTheFormNames: what is wrong with a form is said by the names
// its fields have on the screen, and by what can be done there, in either language.
func TestErrorsNameWhatTheFormNames(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	p.Import("list.txt", "tlp:green", strings.NewReader("c2.port.example\n"))
	id := string(warnOf(t, p, noroshi.Flash, "Of a port", "港湾の警報"))
	old := noroshi.Sum([]byte("another version")).String()
	duty, admin := newReader(t, p), newReader(t, p)
	duty.signIn("duty")
	admin.signIn("admin")
	draft := func(more ...string) []string {
		return append([]string{"do", "preview", "action", "check", "severity", "high", "precedence", "priority", "marking", "tlp:green",
			"title_en", "A", "title_ja", "あ", "text_en", "A", "text_ja", "あ", "about", id}, more...)
	}
	for _, c := range []struct {
		by     *reader
		path   string
		fields []string
		key    string
	}{
		{duty, "/warnings/new", draft("title_ja", ""), "console.error.warning.field.title_en"},
		{duty, "/warnings/new", draft("text_en", ""), "console.error.warning.field.text_en"},
		{duty, "/warnings/new", draft("about", ""), "console.error.warning.field.refs"},
		{duty, "/warnings/new", draft("within", "soon"), "console.error.warning.field.due"},
		{duty, "/warnings/" + id + "/acknowledge", []string{"shown", old, "passphrase", nodetest.Passphrase}, "console.error.person.signature"},
		{duty, "/me/token", []string{"name", "x", "days", "9", "passphrase", nodetest.Passphrase}, "console.error.token.scope-empty"},
		{admin, "/settings/people/invite", []string{"person", "sato", "role", "general"}, "console.error.person.role"},
	} {
		for _, l := range locale.Langs {
			c.by.post("/prefer", "lang", string(l), "to", "/warnings")
			status, body := c.by.post(c.path, c.fields...)
			said := ""
			if m := problem.FindStringSubmatch(body); m != nil {
				said = html.UnescapeString(m[1])
			}
			if status != http.StatusUnprocessableEntity || code.MatchString(said) || said == "" {
				t.Errorf("%s %v in %s: %d %q", c.path, c.fields, l, status, said)
			}
			if want := locale.T(l, c.key, "general"); c.key != "console.error.token.scope-empty" && said != want {
				t.Errorf("%s %v: %q, want %q", c.path, c.fields, said, want)
			}
		}
	}
}
