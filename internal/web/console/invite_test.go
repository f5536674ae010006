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
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// TestInvitation: who is invited makes their key at a browser of their own, with
// a code that is good once, and is a person when an administrator has signed for
// that key.
func TestInvitation(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	en := func(key string, args ...any) string { return locale.T(locale.EN, key, args...) }
	admin, they := newReader(t, p), newReader(t, p)
	admin.signIn("admin")
	if status, _ := admin.post("/settings/people/invite", "person", "Newcomer", "role", "duty"); status != http.StatusUnprocessableEntity {
		t.Errorf("an id that is none: %d", status)
	}
	for want, who := range map[string][]string{locale.T(locale.EN, "error.person.exists", "duty"): {"person", "duty", "role", "duty"}, en("error.console.settings-no-role"): {"person", "newcomer"}} {
		if status, body := admin.post("/settings/people/invite", who...); status != http.StatusUnprocessableEntity || !strings.Contains(html.UnescapeString(body), want) {
			t.Errorf("%q: %d, want %q\n%s", who, status, want, body)
		}
	}
	_, body := admin.post("/settings/people/invite", "person", "newcomer", "name", "New", "role", "duty")
	code := regexp.MustCompile(`[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}`).FindString(body)
	if code == "" {
		t.Fatalf("no code:\n%s", body)
	}
	restart := func() {
		p.Stop()
		p.Start()
		admin.base = strings.TrimSuffix(consoleOf(p), "/")
		they.base = admin.base
	}
	restart()
	if _, body = admin.get("/settings/people"); !strings.Contains(body, en("console.invite.not-yet")) || strings.Contains(body, code) {
		t.Errorf("who was invited:\n%s", body)
	}
	if status, _ := admin.get("/settings/people/newcomer/join"); status != http.StatusNotFound {
		t.Errorf("signing for who has not come: %d", status)
	}
	const theirs = "a-passphrase-of-their-own"
	come := func(code, passphrase string) (int, string) {
		return they.post("/join", "code", code, "new-passphrase", passphrase, "new-passphrase-again", passphrase)
	}
	for _, wrong := range []string{"", "AAAA-AAAA-AAAA"} {
		if status, body := come(wrong, theirs); status != http.StatusUnprocessableEntity || !strings.Contains(body, en("error.console.join-code")) {
			t.Errorf("code %q: %d\n%s", wrong, status, body)
		}
	}
	stranger := newReader(t, p)
	stranger.from("127.0.0.9")
	for range 10 { // whose guesses delay nobody elsewhere
		stranger.post("/join", "code", "AAAA-AAAA-AAAA", "new-passphrase", theirs, "new-passphrase-again", theirs)
	}
	if status, _ := come(code, "short"); status != http.StatusUnprocessableEntity {
		t.Errorf("a short passphrase: %d", status)
	}
	_, body = come(strings.ToLower(strings.ReplaceAll(code, "-", " ")), theirs)
	key := regexp.MustCompile(`[0-9a-f]{64}`).FindString(body)
	if !strings.Contains(body, en("console.join.came", "newcomer")) || key == "" {
		t.Fatalf("they came:\n%s", body)
	}
	if status, _ := come(code, theirs); status != http.StatusUnprocessableEntity {
		t.Errorf("the code again: %d", status)
	}
	if status, _ := they.post("/signin", "person", "newcomer", "passphrase", theirs); status != http.StatusUnprocessableEntity {
		t.Errorf("signed in before anybody signed: %d", status)
	}
	restart()
	if _, body = admin.get("/settings/people"); !strings.Contains(body, key) {
		t.Errorf("the fingerprint is not shown:\n%s", body)
	}
	_, body = admin.get("/settings/people/newcomer/join")
	record := html.UnescapeString(field(t, body, "record"))
	if _, body = admin.post("/settings/people", "record", record, "passphrase", nodetest.Passphrase); !strings.Contains(body, en("console.said.person-added")) || strings.Contains(body, en("console.invite.waiting")) {
		t.Errorf("the administrator signs:\n%s", body)
	}
	if status, body := they.post("/signin", "person", "newcomer", "passphrase", theirs); status != http.StatusOK {
		t.Errorf("they sign in: %d\n%s", status, body)
	}
	b := consoletest.Open(t, consoleOf(p))
	b.Size(390, 900)
	b.Go("/join")
	look(t, b, "join-phone")
	if wrong := append(b.Axe(), b.Layout()...); len(wrong) > 0 {
		t.Errorf("%v", wrong)
	}
}
