package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
)

// TestSignInLink: a link may say as whom and in which language; the language
// stays until the person chooses the other. Two nodes on one machine leave each
// other's persons signed in, each in their own language.
func TestSignInLink(t *testing.T) {
	t.Parallel()
	jpn := newReader(t, nodetest.New(t, "JPN-01", noroshi.Real))
	usa := newReader(t, nodetest.New(t, "USA-01", noroshi.Real))
	usa.http.Jar = jpn.http.Jar // one browser
	for r, lang := range map[*reader]string{jpn: "ja", usa: "en"} {
		_, body := r.get("/signin?lang=" + lang + "&person=duty&to=%2Fwarnings")
		for _, want := range []string{`<html lang="` + lang + `"`, `value="duty"`, `name="to" value="/warnings"`, `autocomplete="current-password" required autofocus`} {
			if !strings.Contains(body, want) {
				t.Errorf("the page has no %s:\n%s", want, body)
			}
		}
		r.signIn("duty")
	}
	for r, lang := range map[*reader]string{jpn: "ja", usa: "en"} {
		if status, body := r.get("/warnings"); status != http.StatusOK || !strings.Contains(body, `<html lang="`+lang+`"`) || strings.Contains(body, `action="/signin"`) {
			t.Errorf("%s after signing in at both: %d\n%s", lang, status, body)
		}
	}
	jpn.post("/prefer", "lang", "en", "to", "/signin")
	if _, body := jpn.get("/signin?person=duty"); !strings.Contains(body, `<html lang="en"`) {
		t.Error("the language that was chosen did not stay")
	}
}
