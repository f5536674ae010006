package console_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// call calls an operation at the console's address, with a token or, without one,
// as whoever is signed in.
func (r *reader) call(op, token, input string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.base+"/api/v1/"+op, strings.NewReader(input+"\n"))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/jsonl")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := r.http.Do(req)
	return r.read(res, err)
}

// newToken makes a token of a person.
func newToken(t *testing.T, p *nodetest.Party, person string, lasts time.Duration, scope ...string) (text string, made web.Token, err error) {
	t.Helper()
	text, id := web.NewTokenText()
	now := time.Now().UTC().Truncate(time.Second)
	made = web.Token{ID: id, Person: person, Name: "of " + t.Name() + strings.Join(scope, " "), Scope: scope, Made: now, Expires: now.Add(lasts)}
	by, err := p.Signed(t.Context(), person, noroshi.ActToken, id, made.Bound())
	if err != nil {
		t.Fatal(err)
	}
	return text, made, p.Do(t.Context(), "token.add", web.TokenAdd{Token: made, By: by}, nil)
}

// TestAPIByRole plays every operation as every role: who may is answered by the
// operation, and who may not as if it did not exist.
func TestAPIByRole(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	people := map[string][]noroshi.Role{"admin": {noroshi.Administrator}, "liaison": {noroshi.Liaison}, "duty": {noroshi.Duty, noroshi.Analyst}, "release1": {noroshi.ReleaseOffice}}
	_, missing := newReader(t, p).call("no.such", "", "{}")
	if !strings.Contains(missing, `"api.nobody"`) {
		t.Errorf("nobody signed in: %s", missing)
	}
	for person, roles := range people {
		r := newReader(t, p)
		r.signIn(person)
		_, nothing := r.call("no.such", "", "{}")
		for _, op := range slices.Sorted(maps.Keys(web.Ops)) {
			may := slices.ContainsFunc(roles, func(role noroshi.Role) bool { return noroshi.May(role, web.Ops[op].Action) }) && !web.Shapes[op].Local
			status, body := r.call(op, "", `{"no_such_field":1}`)
			hidden := body == strings.ReplaceAll(nothing, "no.such", op)
			if hidden == may || (status == http.StatusNotFound) == may {
				t.Errorf("%s calls %s: %d %s", person, op, status, body)
			}
		}
	}
	r := newReader(t, p)
	r.signIn("duty")
	for person, want := range map[string]bool{"duty": true, "release1": false} {
		if _, body := r.call("person.sealed", "", `{"person":"`+person+`"}`); strings.Contains(body, `"result"`) != want {
			t.Errorf("duty asks for the sealed key of %s: %s", person, body)
		}
		if _, body := r.call("session.list", "", `{"person":"`+person+`"}`); strings.Contains(body, `"result"`) != want {
			t.Errorf("duty asks for the sessions of %s: %s", person, body)
		}
	}
}

// TestAnAdministratorEndsSessions: an administrator sees where somebody is signed
// in, and ends it; it is on record who did.
func TestAnAdministratorEndsSessions(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	duty, admin := newReader(t, p), newReader(t, p)
	duty.signIn("duty")
	admin.signIn("admin")
	var sessions []web.Session
	p.Must("session.list", web.PersonRef{Person: "duty"}, &sessions)
	if len(sessions) != 1 {
		t.Fatalf("sessions of duty: %+v", sessions)
	}
	if _, body := admin.call("session.end", "", `{"person":"duty","session":"`+sessions[0].ID+`"}`); !strings.Contains(body, `"result"`) || duty.signedIn() {
		t.Errorf("the session goes on: %s", body)
	}
	var log []web.ActRow
	p.Must("audit.log", web.AuditRef{Limit: 500}, &log)
	if !slices.ContainsFunc(log, func(r web.ActRow) bool { return r.Action == noroshi.ActSignOut && r.Subject == "duty admin" }) {
		t.Error("who ended it is not on record")
	}
}

// TestTokens: a token calls what its scope says, as its person, until it ends, is
// revoked or its person may no more; nothing that was made from elsewhere in a
// browser is called at all.
func TestTokens(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	read, made, err := newToken(t, p, "duty", time.Hour, "read", "audit.log")
	if err != nil {
		t.Fatal(err)
	}
	for op, want := range map[string]int{"status": 200, "warning.list": 200, "warning.ack": 403, "import": 403, "audit.log": 404, "backup": 404,
		"person.sealed": 403, "session.end": 403, "export": 403, "key.drill": 403, "link.compare": 403} {
		if status, body := r.call(op, read, ""); status != want {
			t.Errorf("%s: %d, want %d: %s", op, status, want, body)
		}
	}
	named, _, err := newToken(t, p, "duty", time.Hour, "person.sealed", "export")
	if err != nil {
		t.Fatal(err)
	}
	for op, want := range map[string]int{"person.sealed": 403, "export": 200} {
		if status, body := r.call(op, named, `{"no_such_field":1}`); status != want {
			t.Errorf("%s, named: %d, want %d: %s", op, status, want, body)
		}
	}
	soon, _, err := newToken(t, p, "duty", time.Second, "status")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		want  string
		lasts time.Duration
		scope []string
	}{{"token.expires", 367 * 24 * time.Hour, []string{"read"}}, {"token.expires", 0, []string{"read"}}, {"token.scope", time.Hour, []string{"everything"}}, {"token.scope-empty", time.Hour, nil}} {
		if _, _, err := newToken(t, p, "duty", bad.lasts, bad.scope...); noroshi.CodeOf(err) != bad.want {
			t.Errorf("a token with %v for %s: %v, want %s", bad.scope, bad.lasts, err, bad.want)
		}
	}
	if status, _ := r.call("status", read+"x", ""); status != http.StatusUnauthorized {
		t.Errorf("a token that is none: %d", status)
	}
	by, err := p.Signed(t.Context(), "liaison", noroshi.ActToken, made.ID, noroshi.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Do(t.Context(), "token.revoke", web.TokenRef{ID: made.ID, By: by}, nil); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("somebody else revokes it: %v", err)
	}
	if by, err = p.Signed(t.Context(), "admin", noroshi.ActToken, made.ID, noroshi.Hash{}); err != nil {
		t.Fatal(err)
	}
	p.Must("token.revoke", web.TokenRef{ID: made.ID, By: by}, nil)
	if status, _ := r.call("status", read, ""); status != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", status)
	}
	if err := crew.Until(t.Context(), time.Minute, "the token's time is over", func() (bool, error) {
		status, _ := r.call("status", soon, "")
		return status == http.StatusUnauthorized, nil
	}); err != nil {
		t.Error(err)
	}
}

// TestTheMachineIsNotReachedFromOutside: who is signed in names no file of the
// node's machine and lets nothing in unsigned, be they an administrator; and where
// files are is told to administrators alone.
func TestTheMachineIsNotReachedFromOutside(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	admin, duty := newReader(t, p), newReader(t, p)
	admin.signIn("admin")
	duty.signIn("duty")
	dir := t.TempDir()
	p.Must("feed.add", web.FeedAdd{Name: "drop", Kind: feed.Folder, Path: filepath.Join(dir, "gone"), Every: "1h", Paused: true}, nil)
	if err := p.Do(t.Context(), "feed.run", web.FeedName{Name: "drop"}, nil); err == nil {
		t.Fatal("a folder that is not there was read")
	}
	for _, c := range []struct {
		by              *reader
		op, input, want string
	}{
		{admin, "feed.add", `{"name":"x","kind":"folder","path":"/etc","every":"1h"}`, "feed.local"},
		{admin, "feed.add", `{"name":"x","kind":"misp","path":"/etc","every":"1h"}`, "feed.local"},
		{admin, "feed.add", `{"name":"x","kind":"https","url":"https://feeds.example/x","access":{"token_file":"/etc/passwd"},"every":"1h"}`, "feed.local"},
		{admin, "feed.add", `{"name":"x","kind":"https","url":"https://feeds.example/x","access":{"ca_file":"/etc/passwd"},"every":"1h"}`, "feed.local"},
		{duty, "import", `{"name":"x","marking":"tlp:green"}` + "\nunsigned.example\n", "import.unsigned"},
		{duty, "feed.run", `{"name":"drop","accept":true}`, "import.unsigned"},
	} {
		if _, body := c.by.call(c.op, "", c.input); !strings.Contains(body, `"code":"`+c.want+`"`) {
			t.Errorf("%s %s: %s", c.op, c.input, body)
		}
	}
	for r, told := range map[*reader]bool{admin: true, duty: false} {
		_, body := r.call("feed.list", "", "{}")
		_, page := r.get("/settings/feeds/drop")
		if strings.Contains(body, dir) != told || strings.Contains(page, dir) != told || !strings.Contains(body, `"feed.folder"`) {
			t.Errorf("the path of a folder is told: %v, want %v\n%s", !told, told, body)
		}
	}
	_, ran := duty.call("feed.run", "", `{"name":"drop"}`)
	_, page := duty.post("/settings/feeds/drop/run")
	if strings.Contains(ran+page, dir) || !strings.Contains(ran, `"feed.folder"`) || !strings.Contains(page, "cannot be read") {
		t.Errorf("who runs the feed is told:\n%s\n%s", ran, page)
	}
	if _, page := admin.get("/settings/feeds/new"); strings.Contains(page, `name="path"`) || !strings.Contains(page, "noroshi feed add") {
		t.Errorf("the form of a new feed:\n%s", page)
	}
}

// TestAPIFromElsewhere: a request that another site makes a browser send is
// refused, although the browser is signed in.
func TestAPIFromElsewhere(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	r.signIn("duty")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base+"/api/v1/status", strings.NewReader("\n"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := r.http.Do(req)
	if status, body := r.read(res, err); status != http.StatusForbidden {
		t.Errorf("from elsewhere: %d %s", status, body)
	}
	res, err = r.http.Get(r.base + "/api/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(b), `"openapi": "3.1.0"`) {
		t.Errorf("the description: %v %.100s", err, b)
	}
}

// TestOperationsAnswerAsTheySay: what operations that take nothing give is of the
// type that the description of the API is drawn from.
func TestOperationsAnswerAsTheySay(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	n := 0
	for op, shape := range web.Shapes {
		if web.Ops[op].Signed || shape.Local || shape.Body != "" || op == "feed" {
			continue
		}
		got, err := web.Invoke(t.Context(), p.Node.Services(), op, nil, nil, nil)
		if err == nil && shape.Out == nil && got != nil || err == nil && shape.Out != nil && reflect.TypeOf(got) != reflect.TypeOf(shape.Out) {
			t.Errorf("%s answers with %T, its shape says %T", op, got, shape.Out)
		}
		if err == nil {
			n++
		}
	}
	if n < 25 {
		t.Errorf("only %d operations were held against their shape", n)
	}
}

// everythingInSettings: people, tokens, feeds, sensors, TAXII clients and exports
// are one step from the settings, and the account of each person one from the list
// of people; tokens are the reader's own, for an administrator everybody's.
func everythingInSettings(t *testing.T, admin, duty *reader) {
	t.Helper()
	_, body := admin.get("/settings")
	for path, says := range map[string][]string{"people": {`href="/account/duty"`}, "tokens": {"duty", "wallboard"}, "feeds": nil,
		"sensors": {"console.settings.sensors", "console.settings.exports"}, "taxii": {"console.taxii.clients"}, "keys": nil, "backup": nil} {
		if !strings.Contains(body, `<a href="/settings/`+path+`"`) {
			t.Errorf("the settings do not lead to %s", path)
		}
		status, page := admin.get("/settings/" + path)
		for _, want := range says {
			if !strings.Contains(page, locale.Or(locale.EN, want, want)) {
				t.Errorf("%s does not say %s:\n%s", path, want, page)
			}
		}
		if status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
	}
	if _, page := duty.get("/settings/tokens"); !strings.Contains(page, "wallboard") {
		t.Errorf("a person's own token:\n%s", page)
	}
	if _, page := duty.get("/settings/people"); strings.Contains(page, "/account/") {
		t.Errorf("a duty officer is led to accounts of others:\n%s", page)
	}
}

var tokenText = regexp.MustCompile(`noroshi_[a-z2-7]+`)

// TestAccountsAndTokensOnScreen: a person makes a token on their account and sees
// its text once; an administrator sees accounts of others and takes away there,
// and nobody else does.
func TestAccountsAndTokensOnScreen(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	duty, admin := newReader(t, p), newReader(t, p)
	duty.signIn("duty")
	admin.signIn("admin")
	if _, body := duty.get("/me/token"); !strings.Contains(body, `value="read" checked`) || strings.Contains(body, `value="approve"`) {
		t.Errorf("a duty officer's token is for:\n%s", body)
	}
	if _, body := duty.post("/me/token", "name", "wallboard", "days", "30", "passphrase", nodetest.Passphrase); !strings.Contains(body, `class="problem"`) {
		t.Errorf("a token for nothing is made:\n%s", body)
	}
	_, body := duty.post("/me/token", "name", "wallboard", "scope", "read", "days", "30", "passphrase", nodetest.Passphrase)
	text := tokenText.FindString(body)
	if status, _ := newReader(t, p).call("status", text, ""); status != http.StatusOK {
		t.Fatalf("the token %q is not good: %d\n%s", text, status, body)
	}
	if _, body := duty.get("/me"); !strings.Contains(body, "wallboard") || strings.Contains(body, text) {
		t.Errorf("the account:\n%s", body)
	}
	if status, _ := duty.get("/account/admin"); status != http.StatusNotFound {
		t.Errorf("duty sees the administrator's account: %d", status)
	}
	everythingInSettings(t, admin, duty)
	_, body = admin.get("/account/duty")
	link := regexp.MustCompile(`/me/token/[0-9a-f]+`).FindString(body)
	if link == "" || strings.Contains(body, "/me/passkey") {
		t.Fatalf("the account that the administrator sees:\n%s", body)
	}
	if status, _ := admin.get("/account/nobody"); status != http.StatusNotFound {
		t.Errorf("an account of nobody: %d", status)
	}
	if _, body := admin.post(link, "passphrase", nodetest.Passphrase); !strings.Contains(body, "The token is revoked") {
		t.Errorf("not revoked:\n%s", body)
	}
	if status, _ := newReader(t, p).call("status", text, ""); status != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", status)
	}
	k := newSoftKey(t, duty.base)
	duty.addPasskey(k)
	if _, body := admin.post(fmt.Sprintf("/account/duty/remove/%x", k.id), "passphrase", nodetest.Passphrase); !strings.Contains(body, "It is removed") {
		t.Errorf("the passkey is not taken away:\n%s", body)
	}
}

// TestWhoCallsIsOnRecord: what nobody signed for names who had it done, by which
// token; what is done from the data folder names nobody, and all of it verifies.
func TestWhoCallsIsOnRecord(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	text, made, err := newToken(t, p, "admin", time.Hour, "configure")
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(t, p)
	r.signIn("admin")
	add := func(name string) string { return `{"name":"` + name + `","title":"` + name + `"}` }
	if _, body := r.call("collection.add", text, add("by-token")); !strings.Contains(body, `"result"`) {
		t.Fatal(body)
	}
	if _, body := r.call("collection.add", "", add("signed-in")); !strings.Contains(body, `"result"`) {
		t.Fatal(body)
	}
	p.Must("collection.add", map[string]string{"name": "by-folder", "title": "x"}, nil)
	var log []web.ActRow
	p.Must("audit.log", web.AuditRef{Limit: 500}, &log)
	callers := map[noroshi.Caller]int{}
	for _, row := range log {
		if row.Action == noroshi.ActConfigure && len(row.Persons) == 0 {
			callers[row.Caller]++
		}
	}
	if callers[noroshi.Caller{Person: "admin", Token: made.Name}] != 1 || callers[noroshi.Caller{Person: "admin"}] != 1 || callers[noroshi.Caller{}] == 0 {
		t.Errorf("callers on record: %v", callers)
	}
	var found web.AuditFound
	p.Must("audit.find", web.AuditSift{Person: "admin", Action: noroshi.ActConfigure}, &found)
	if len(found.Rows) != 2 {
		t.Errorf("%d acts of admin are found", len(found.Rows))
	}
	if _, body := r.get("/audit?action=configure"); !strings.Contains(body, "admin:"+made.Name) {
		t.Errorf("the log does not name the token:\n%s", body)
	}
	var whole web.Audited
	p.Must("audit.verify", nil, &whole)
	if len(whole.Faults) > 0 {
		t.Errorf("the record does not verify: %v", whole.Faults)
	}
}

// TestSignedImportsHaveTheirBound: so many files that persons signed for are taken
// in at a time, each in the node's folder and not in its memory; nothing of them
// stays there.
func TestSignedImportsHaveTheirBound(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	r.signIn("duty")
	file := strings.Repeat("c2.port.example\n", 1000)
	ref := web.ImportRef{Name: "list.txt", Marking: "tlp:green"}
	by, err := p.Signed(t.Context(), "duty", noroshi.ActImport, ref.Name, web.ImportBound(ref, noroshi.Sum([]byte(file))))
	if err != nil {
		t.Fatal(err)
	}
	ref.By = &by
	in, err := json.Marshal(ref)
	if err != nil {
		t.Fatal(err)
	}
	places := p.Node.Services().Imports
	for range cap(places) {
		places <- struct{}{}
	}
	if _, body := r.call("import", "", string(in)+"\n"+strings.TrimSuffix(file, "\n")); !strings.Contains(body, `"import.busy"`) {
		t.Errorf("one file more than there are places for: %s", body)
	}
	<-places
	if _, body := r.call("import", "", string(in)+"\n"+strings.TrimSuffix(file, "\n")); !strings.Contains(body, `"result"`) {
		t.Errorf("with a place for it: %s", body)
	}
	if _, body := r.call("import", "", string(in)+"\n"+file+"other.example"); !strings.Contains(body, `"person.signature"`) {
		t.Errorf("another file than was signed for: %s", body)
	}
	if len(places) != cap(places)-1 {
		t.Errorf("%d places are taken", len(places))
	}
	if left, err := filepath.Glob(filepath.Join(p.Dir, ".upload-*", "file")); err != nil || len(left) > 0 {
		t.Errorf("files stay: %v %v", left, err)
	}
}
