package console_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// tour is a node on which every page has something to show to one of the readers.
type tour struct {
	*nodetest.Party
	with   string                      // path of the page of its partner
	draft  string                      // text of an agreement to change
	starts map[noroshi.Role][]string   // pages of a reader that no link leads to
	enrol  map[noroshi.Role]func()     // gives the reader a passkey, once they are signed in
	forms  map[noroshi.Role][]answered // forms whose answers they look at
	sso    *signOn
}

// answered is a form whose answer is a page that no link leads to: what is signed
// next, what is shown once, and what was wrong.
type answered struct {
	path   string
	fields url.Values
}

// filledIn is a form of names and values.
func filledIn(path string, fields ...string) answered {
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return answered{path, form}
}

// toured furnishes a node with one of everything.
func toured(t *testing.T) *tour {
	t.Helper()
	v := &tour{Party: furnished(t), with: "/partners/USA-01", sso: newSignOn(t)}
	v.sso.subject = "sato.t"
	v.sso.configure(v.Party)
	staff(t, v.Party, readers...)
	admin, duty, officer := seat(t, v.Party, "only-administrator"), seat(t, v.Party, "only-duty"), seat(t, v.Party, "release1")
	v.fed(t)
	v.met(t, duty)
	v.joining(t, admin)
	quarantined(t, v.Party)
	admin.post("/settings/taxii/collections", "name", "list", "select", "type=indicator")
	_, order := officer.post("/settings/delegate", "person", "duty", "day", time.Now().AddDate(0, 0, 3).Format(time.DateOnly))
	officer.post("/settings/orders", "order", hidden(t, order, "order"), "passphrase", nodetest.Passphrase)
	_, token, err := newToken(t, v.Party, "only-duty", time.Hour, "read")
	if err != nil {
		t.Fatal(err)
	}
	duty.bring("/indicators/import", "brought.txt", "brought.example\n!!!\n", "marking", "TLP:GREEN", "format", "")
	v.Must("agreement.draft", web.DraftRef{With: "USA-01", Days: 365}, &v.draft)
	link := web.SignOnSubject(v.sso.URL, v.sso.subject)
	v.enrols(t, "release2", "admin", partner.Enrolment{SignOn: &link})()
	v.enrols(t, "liaison", "liaison", partner.Enrolment{Add: v.passkey(t, 1)})()
	v.enrol = map[noroshi.Role]func(){
		noroshi.Duty:          v.enrols(t, "only-duty", "only-duty", partner.Enrolment{Add: v.passkey(t, 2)}),
		noroshi.Administrator: v.enrols(t, "only-administrator", "only-administrator", partner.Enrolment{Add: v.passkey(t, 3)}),
	}
	v.starts = map[noroshi.Role][]string{
		noroshi.Duty: append(v.odd(t), "/me/second", duty.at, "/me/token/"+token.ID, "/indicators/quarantine", "/no-such-page", "/release?state=returned", "/partners/AUS-01/introduce",
			"/translations/"+string(objectOf("language-content", 20))+"?lang=ja", "/translate/"+string(objectOf("indicator", 0))+"?lang=ja"),
		noroshi.Administrator: {"/account/liaison/remove/" + hex.EncodeToString([]byte{1}), "/settings/people/release2/remove"},
	}
	v.forms = v.answers(t)
	return v
}

// fed adds a feed of a folder, and reads it once.
func (v *tour) fed(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "list.txt"), []byte("fed.example\nwww.google.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.Must("feed.add", web.FeedAdd{Name: "list", Kind: "folder", Path: dir, Marking: "tlp:green", Every: "24h", Paused: true}, nil)
	v.Must("feed.run", web.FeedName{Name: "list"}, nil)
}

// met hands in the card of a node whose fingerprint nobody has heard yet.
func (v *tour) met(t *testing.T, liaison *reader) {
	t.Helper()
	aus := nodetest.New(t, "AUS-01", noroshi.Real)
	r := seat(t, aus, "liaison")
	body := r.signed("/partners/card", "AUS-01", "for", string(v.Sign))
	if _, body = liaison.upload("/partners/receive", "text", html.UnescapeString(cards.FindStringSubmatch(body)[1])); !strings.Contains(body, "AUS-01/heard") {
		t.Fatalf("the card is not here:\n%s", body)
	}
}

// joining has somebody invited who has come, and somebody who has not.
func (v *tour) joining(t *testing.T, admin *reader) {
	t.Helper()
	admin.post("/settings/people/invite", "person", "suzuki", "name", "鈴木", "role", "analyst")
	_, body := admin.post("/settings/people/invite", "person", "newcomer", "name", "New", "role", "analyst")
	code := codes.FindString(body)
	if _, body = newReader(t, v.Party).post("/join", "code", code, "new-passphrase", nodetest.Passphrase, "new-passphrase-again", nodetest.Passphrase); !strings.Contains(body, "newcomer") {
		t.Fatalf("nobody has come:\n%s", body)
	}
}

// odd brings what no marking says anything of, and one that says what is not
// understood; what is translated; and returns the pages of that.
func (v *tour) odd(t *testing.T) (pages []string) {
	t.Helper()
	const head = `"spec_version":"2.1","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",`
	const strange = "tool--00000000-0000-4000-8000-0000000000c2"
	v.Import("odd.json", "", strings.NewReader(`[{"type":"tool","id":"tool--00000000-0000-4000-8000-0000000000c1",`+head+`"name":"two bare"},`+
		`{"type":"tool","id":"`+strange+`",`+head+`"name":"two strange","object_marking_refs":["marking-definition--00000000-0000-4000-8000-0000000000c3"]}]`))
	v.Import("coloured.json", "", strings.NewReader(coloured()+"\n"+translated()))
	v.Settle()
	for _, h := range open(t, v.Party) {
		pages = append(pages, "/release/"+h.ID)
		if h.Key == noroshi.NotUnderstood {
			pages = append(pages, "/release/"+h.ID+"/redraft/"+strange)
		}
	}
	if !slices.ContainsFunc(pages, func(p string) bool { return strings.Contains(p, "redraft") }) {
		t.Fatalf("nothing waits that is not understood: %v", pages)
	}
	return pages
}

// passkey makes one of no authenticator, with a credential id of one byte.
func (v *tour) passkey(t *testing.T, id byte) *noroshi.Passkey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	at, err2 := url.Parse(consoleOf(v.Party))
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return &noroshi.Passkey{ID: []byte{id}, Key: der, RP: at.Hostname(), Origin: "https://" + at.Host, Name: "desk 4", Added: time.Now().UTC()}
}

// enrols signs a change to how a person signs in, and returns what makes it.
func (v *tour) enrols(t *testing.T, person, by string, e partner.Enrolment) func() {
	t.Helper()
	e.Person, e.Number = person, 1
	signed, err := v.Signed(t.Context(), by, noroshi.ActEnrol, e.Person, e.Bound())
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := v.Do(t.Context(), "person.enrol", web.EnrolRef{Enrolment: e, By: signed}, nil); err != nil {
			t.Errorf("%s: %v", person, err)
		}
	}
}

// answers are the forms that the readers send.
func (v *tour) answers(t *testing.T) map[noroshi.Role][]answered {
	t.Helper()
	pass := []string{"passphrase", nodetest.Passphrase}
	agreement := v.agreement(t)
	backup := filepath.Join(t.TempDir(), "backup")
	return map[noroshi.Role][]answered{
		noroshi.Duty: {
			{"/warnings/new", url.Values{"do": {"preview"}, "action": {"check"}, "severity": {"high"}, "precedence": {"priority"}, "marking": {"tlp:green"}, "about": {"indicator--f387e1ad-3efc-592e-8a55-c563485b4323"},
				"title_en": {endless(190)}, "title_ja": {"監視" + endless(180)}, "text_en": {endless(1000)}, "text_ja": {endless(1000)}}},
			filledIn("/warnings/new", "do", "preview", "title_en", endless(190)),
			filledIn("/me/token", append(pass, "name", endless(50), "days", "9", "scope", "read")...),
			filledIn("/me/token", "name", endless(50), "days", "9", "scope", "read", "passphrase", "another passphrase"),
			filledIn(v.with+"/draft", "do", "edit:2", "file", v.draft),
			filledIn(v.with+"/draft", "do", "rehearse", "file", strings.Replace(v.draft, "version = 1", "version = 7", 1)),
			filledIn(v.with+"/draft", "do", "review", "file", strings.Replace(v.draft, "version = 1", "version = 7", 1)),
			filledIn(v.with+"/draft", "do", "read", "file", "no agreement"),
			filledIn(v.with + "/compare"),
			filledIn(v.with + "/test"),
			filledIn(v.with+"/standing", append(pass, "max", "TLP:GREEN", "per-hour", "3", "until", "never")...),
			filledIn(agreement + "/rehearse"),
			filledIn("/settings/delegate", "person", "duty", "day", time.Now().AddDate(0, 0, 4).Format(time.DateOnly)),
			filledIn("/partners/card", append(pass, "for", "AUS-01")...),
			filledIn("/indicators/import"),
			filledIn("/audit/verify"),
			filledIn("/warnings/new?%zz"),
		},
		noroshi.Administrator: {
			filledIn("/settings/people/invite", "person", "sato", "name", endless(60), "role", "analyst"),
			filledIn("/settings/people/invite", "person", "s", "name", endless(60)),
			filledIn("/settings/people/new", "person", "tanaka", "name", "田中", "role", "release", "new-passphrase", nodetest.Passphrase, "new-passphrase-again", nodetest.Passphrase),
			filledIn("/settings/keys/rotate", "use", "kem"),
			filledIn("/settings/sensors/export", "format", "rpz"),
			filledIn("/settings/taxii/clients", "client", "list", "read", "list", "max", "TLP:AMBER"),
			filledIn("/settings/feeds", "name", "other", "kind", "https", "url", "https://elsewhere.example/list", "every", "1h"),
			filledIn("/settings/backup", "file", backup, "new-passphrase", nodetest.Passphrase, "new-passphrase-again", nodetest.Passphrase),
		},
	}
}

// agreement is the path of the one in force.
func (v *tour) agreement(t *testing.T) string {
	t.Helper()
	var rows []partner.AgreementRow
	v.Must("agreement.list", nil, &rows)
	if len(rows) == 0 {
		t.Fatal("no agreement")
	}
	return fmt.Sprint(v.with, "/agreements/", rows[0].Hash)
}
