package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestFirstRun: the console of a node without persons makes the first
// administrator for who has the code that the node drew, then the first release
// officer, and nothing more after that.
func TestFirstRun(t *testing.T) {
	t.Parallel()
	p := nodetest.Bare(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	if _, body := r.get("/"); !strings.Contains(body, `action="/first"`) {
		t.Fatalf("a node without persons shows:\n%s", body)
	}
	_, code := p.Node.FirstRun()
	fields := func(code, person string) []string {
		return []string{"code", code, "person", person, "new-passphrase", nodetest.Passphrase, "new-passphrase-again", nodetest.Passphrase}
	}
	guesser := newReader(t, p)
	guesser.from("127.0.0.2")
	for range 26 {
		guesser.post("/first", fields("AAAA-AAAA-AAAA", "admin")...)
	}
	if _, body := guesser.post("/first", fields(code, "guesser")...); !strings.Contains(body, "Too many") {
		t.Errorf("who guesses does not wait:\n%s", body)
	}
	r.post("/first", fields("AAAA-AAAA-AAAA", "admin")...)
	var people []web.PersonRow
	if p.Must("person.list", nil, &people); len(people) != 0 {
		t.Fatalf("a wrong code makes %+v", people)
	}
	if _, body := r.post("/first", "code", code, "person", "admin", "new-passphrase", nodetest.Passphrase, "new-passphrase-again", "another-passphrase"); !strings.Contains(body, "differ") {
		t.Errorf("two passphrases that differ:\n%s", body)
	}
	if _, body := r.post("/first", fields(strings.ToLower(strings.ReplaceAll(code, "-", " ")), "admin")...); !strings.Contains(body, `action="/first/officer"`) {
		t.Fatalf("the code makes no administrator:\n%s", body)
	}
	if _, body := r.post("/first/officer", append(fields("", "officer"), "passphrase", nodetest.Passphrase)...); strings.Contains(body, `class="problem"`) {
		t.Errorf("the administrator makes no officer:\n%s", body)
	}
	p.Must("person.list", nil, &people)
	if len(people) != 2 || people[0].Roles[0] != noroshi.Administrator || people[1].Roles[0] != noroshi.ReleaseOffice {
		t.Errorf("persons: %+v", people)
	}
	stranger := newReader(t, p)
	if status, _ := r.get("/first"); status != http.StatusNotFound {
		t.Errorf("the first run is there still: %d", status)
	}
	if _, body := r.get("/first/officer"); strings.Contains(body, "new-passphrase") {
		t.Errorf("a second first officer is offered:\n%s", body)
	}
	if _, body := stranger.post("/first", fields(code, "second")...); !strings.Contains(body, "Nothing here") {
		t.Errorf("the code is good twice:\n%s", body)
	}
}
