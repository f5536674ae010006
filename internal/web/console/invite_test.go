package console_test

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// codes are those of invitations.
var codes = regexp.MustCompile(`[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}`)

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
	code := codes.FindString(body)
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

// TestInvitingByAPI: what the screens do with invitations a program does too,
// with a token that names the operations.
func TestInvitingByAPI(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	tokens := map[string]string{}
	for _, scope := range []string{"add-person", "person.invite person.invitations"} {
		text, _, err := newToken(t, p, "admin", time.Hour, strings.Fields(scope)...)
		if err != nil {
			t.Fatal(err)
		}
		tokens[scope] = text
	}
	const asked = `{"person":"newcomer","name":"New","roles":["duty"]}`
	if status, body := r.call("person.invite", tokens["add-person"], asked); status != http.StatusForbidden {
		t.Errorf("a token for adding persons invites: %d\n%s", status, body)
	}
	token := tokens["person.invite person.invitations"]
	if _, body := r.call("person.invite", token, `{"person":"duty","roles":["duty"]}`); !strings.Contains(body, "person.exists") {
		t.Errorf("who is there already is invited:\n%s", body)
	}
	_, body := r.call("person.invite", token, asked)
	var invited struct{ Result web.Invited }
	if err := json.Unmarshal([]byte(body), &invited); err != nil || invited.Result.Code != codes.FindString(body) || !strings.HasSuffix(invited.Result.Link, "/join") {
		t.Fatalf("%v: %s", err, body)
	}
	const theirs = "a-passphrase-of-their-own"
	newReader(t, p).post("/join", "code", invited.Result.Code, "new-passphrase", theirs, "new-passphrase-again", theirs)
	_, body = r.call("person.invitations", token, "")
	var list struct{ Result []web.InvitationRow }
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Result) != 1 || !list.Result[0].Came || strings.Contains(body, `"code"`) {
		t.Fatalf("%v: %s", err, body)
	}
	person := list.Result[0].Person
	by, err := p.Signed(t.Context(), "admin", noroshi.ActAddPerson, person.ID, partner.PersonBound(person))
	if err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(web.PersonAdd{Person: person, By: &by})
	if err != nil {
		t.Fatal(err)
	}
	if status, body := r.call("person.add", tokens["add-person"], string(in)); status != http.StatusOK {
		t.Errorf("%d: %s", status, body)
	}
	if status, body := newReader(t, p).post("/signin", "person", "newcomer", "passphrase", theirs); status != http.StatusOK {
		t.Errorf("they sign in: %d\n%s", status, body)
	}
}
