package console_test

import (
	"encoding/base32"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// codeNow is what a code generator with the secret shows.
func codeNow(t *testing.T, secret string) string {
	t.Helper()
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return noroshi.CodeAt(b, noroshi.CodeStep(time.Now()))
}

// TestSecondFactorsInABrowser: an officer who signed in with a passphrase alone is
// led to a second factor, adds a passkey and a code generator, signs in with
// either, signs an act with the passkey, and ends a session elsewhere; the record
// verifies.
func TestSecondFactorsInABrowser(t *testing.T) {
	t.Parallel()
	party := nodetest.New(t, "JPN-01", noroshi.Real)
	elsewhere := newReader(t, party)
	elsewhere.signIn("duty")
	p := consoletest.Open(t, consoleOf(party))
	p.Authenticator()
	p.Go("/signin?to=/warnings")
	p.Type(`input[name=person]`, "duty")
	p.Type(`input[name=passphrase]`, nodetest.Passphrase+"\r")
	p.Shows(`a[href="/me/passkey"]`)
	look(t, p, "me-second")

	p.Click(`a[href="/me/passkey"]`)
	p.Type(`input[name=name]`, "desk 4")
	p.Type(`input[name=passphrase]`, nodetest.Passphrase)
	look(t, p, "me-passkey")
	p.Click(`button[data-passkey]`)
	p.Shows(`p.said ~ section a[href^="/me/remove/"]`)

	p.Click(`a[href="/me/code"]`)
	p.Shows(`svg.me-qr`)
	look(t, p, "me-code")
	secret := consoletest.Value(p, chromedp.Value(chromedp.CSS(`input[name=secret]`)))
	p.Type(`input[name=code]`, codeNow(t, secret))
	p.Type(`input[name=passphrase]`, nodetest.Passphrase+"\r")
	p.Shows(`p.said ~ section a[href="/me/remove/code"]`)
	look(t, p, "me")

	p.Click(`form.who button`)
	p.Shows(`input[name=person]`)
	p.Type(`input[name=person]`, "duty")
	p.Type(`input[name=passphrase]`, nodetest.Passphrase+"\r")
	p.Shows(`p.problem[role=alert]`)
	look(t, p, "signin-needs-code")
	p.Type(`input[name=passphrase]`, nodetest.Passphrase)
	p.Type(`input[name=code]`, codeNow(t, secret)+"\r")
	p.Shows(`nav.nav`)

	p.Click(`form.who button`)
	p.Click(`button[data-passkey]`)
	p.Shows(`nav.nav`)
	p.Go("/me")
	var sessions []web.Session
	party.Must("session.list", web.PersonRef{Person: "duty"}, &sessions)
	if len(sessions) != 2 || sessions[0].Way != "passkey" || sessions[1].Way != "passphrase" {
		t.Errorf("sessions: %+v", sessions)
	}
	p.Click(`form[action="/me/session"]:has(input[value="` + sessions[1].ID + `"]) button`)
	p.Shows(`main:not(:has(input[value="` + sessions[1].ID + `"])) p.said`)
	if _, body := elsewhere.get("/"); !strings.Contains(body, `action="/signin"`) {
		t.Error("a session that was ended elsewhere goes on")
	}
	p.Go("/me/remove/code")
	look(t, p, "me-remove")
	p.Click(`button[data-passkey]`)
	p.Shows(`main:not(:has(a[href="/me/remove/code"])) p.said`)
	if text := p.Text("main"); strings.Contains(text, "Code generator") {
		t.Errorf("the code generator is there still:\n%s", text)
	}

	var verified web.Audited
	party.Must("audit.verify", nil, &verified)
	if len(verified.Faults) > 0 {
		t.Errorf("the record does not verify: %+v", verified.Faults)
	}
}
