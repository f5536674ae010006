package console_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// chosen fills a form of several values a field.
func (r *reader) chosen(path string, form url.Values) (int, string) {
	r.t.Helper()
	res, err := r.http.PostForm(r.base+path, form)
	return r.read(res, err)
}

// hidden is a hidden field of a page.
func hidden(t *testing.T, body, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no field %s:\n%s", name, body)
	}
	return strings.NewReplacer("&#34;", `"`, "&#43;", "+", "&amp;", "&").Replace(m[1])
}

func must(t *testing.T, status int, body string, want ...string) {
	t.Helper()
	if status != http.StatusOK {
		t.Fatalf("%d:\n%s", status, body)
	}
	for _, w := range want {
		if !strings.Contains(body, w) {
			t.Fatalf("%q is not in:\n%s", w, body)
		}
	}
}

// join has the administrator add a person; a release officer signs where one is
// named.
func join(t *testing.T, admin *reader, person string, role noroshi.Role, officer string) (int, string) {
	t.Helper()
	status, body := admin.chosen("/settings/people/new", url.Values{"person": {person}, "name": {"佐藤 " + person}, "role": {string(role)},
		"new-passphrase": {nodetest.Passphrase}, "new-passphrase-again": {nodetest.Passphrase}})
	must(t, status, body, person)
	return admin.post("/settings/people", "record", hidden(t, body, "record"), "passphrase", nodetest.Passphrase, "officer", officer, "officer-passphrase", nodetest.Passphrase)
}

// verified asks for the page until the record has been verified.
func verified(t *testing.T, r *reader) (body string) {
	t.Helper()
	status, body := r.post("/audit/verify")
	for end := time.Now().Add(time.Minute); strings.Contains(body, `http-equiv="refresh"`) && time.Now().Before(end); {
		status, body = r.get("/audit")
	}
	must(t, status, body, `id="check"`)
	return body
}

// fedNode is a node that may read feeds of a server on loopback.
func fedNode(t *testing.T, server *httptest.Server) *nodetest.Party {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "jpn-01")
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "JPN-01", Tokens: []string{"JPN.MOD"}, Feeds: node.FeedsConfig{
		AllowHosts: []string{strings.TrimPrefix(server.URL, "http://")}, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}); err != nil {
		t.Fatal(err)
	}
	return nodetest.In(t, dir, "JPN-01", noroshi.Real)
}

// TestAuditAndSettings plays one node without JavaScript: persons join, a feed is
// read, keys are made anew by two persons, and the auditor sees all of it on
// record and can change nothing.
func TestAuditAndSettings(t *testing.T) {
	t.Parallel()
	var lines atomic.Int32
	lines.Store(2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range lines.Load() {
			fmt.Fprintf(w, "c2-%d.example.org\n", i)
		}
	}))
	t.Cleanup(server.Close)
	p := fedNode(t, server)
	admin := newReader(t, p)
	admin.signIn("admin")
	t.Run("persons", func(t *testing.T) { personsJoin(t, admin) })
	t.Run("feed", func(t *testing.T) { feedIsRead(t, p, admin, server.URL+"/list.txt") })
	t.Run("guard", func(t *testing.T) {
		lines.Store(152)
		guardWaits(t, p, admin)
	})
	t.Run("taxii", func(t *testing.T) { clientIsLetIn(t, admin) })
	t.Run("export", func(t *testing.T) { fileIsMade(t, p, admin) })
	t.Run("keys", func(t *testing.T) { keysTurn(t, p, admin) })
	t.Run("backup", func(t *testing.T) { backupIsMade(t, admin) })
	t.Run("auditor", func(t *testing.T) { auditorReads(t, p) })
	t.Run("analyst", func(t *testing.T) { analystSeesNothing(t, p) })
	t.Run("planted edit", func(t *testing.T) { editIsFound(t, p) })
}

func personsJoin(t *testing.T, admin *reader) {
	status, body := join(t, admin, "kansa", noroshi.Auditor, "")
	must(t, status, body, "kansa", "The person is added.")
	if status, body = join(t, admin, "release3", noroshi.ReleaseOffice, ""); status != http.StatusUnprocessableEntity || !strings.Contains(body, "release officer must sign too") {
		t.Fatalf("an officer joins by an administrator alone: %d\n%s", status, body)
	}
	if status, _ = join(t, admin, "release3", noroshi.ReleaseOffice, "duty"); status != http.StatusUnprocessableEntity {
		t.Fatalf("a duty officer countersigns: %d", status)
	}
	status, body = join(t, admin, "release3", noroshi.ReleaseOffice, "release1")
	must(t, status, body, "release3", "The person is added.")
	status, body = admin.post("/settings/people/release3/remove", "what", "person", "passphrase", nodetest.Passphrase, "officer", "release1", "officer-passphrase", nodetest.Passphrase)
	must(t, status, body, "Removed from the register.")
	if strings.Contains(body, ">release3<") {
		t.Error("who was removed is listed")
	}
}

func feedIsRead(t *testing.T, p *nodetest.Party, admin *reader, address string) {
	status, body := admin.post("/settings/feeds", "name", "list", "kind", "https", "url", "https://elsewhere.example/list", "every", "1h")
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, `value="https://elsewhere.example/list"`) {
		t.Fatalf("a host that is not allowed: %d\n%s", status, body)
	}
	status, body = admin.post("/settings/feeds", "name", "list", "kind", "https", "url", address, "every", "24h", "marking", "TLP:GREEN", "paused", "1")
	must(t, status, body, "The feed is added", address)
	if status, _ = admin.post("/settings/feeds/list/run"); status != http.StatusNotFound {
		t.Errorf("an administrator reads a feed: %d", status)
	}
	duty := newReader(t, p)
	duty.signIn("duty")
	status, body = duty.post("/settings/feeds/list/run")
	must(t, status, body, "The feed was read.", "2 new")
	if strings.Contains(body, "/settings/feeds/list/pause") {
		t.Error("a duty officer is shown the button that pauses a feed")
	}
	status, body = admin.post("/settings/feeds/list/pause", "resume", "1")
	must(t, status, body, "The feed is read again.")
}

// guardWaits has a feed bring far more than on the days before: an administrator
// sees that it waits, and an analyst signs for it.
func guardWaits(t *testing.T, p *nodetest.Party, admin *reader) {
	var list []feed.Status
	p.Must("feed.list", nil, &list)
	state := list[0].State
	for day := 4; day > 0; day-- {
		state.Days = feed.Counted(state.Days, time.Now().AddDate(0, 0, -day), 10)
	}
	if _, err := p.Node.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActFetch, Subject: "feed list"}, func(tx *store.Tx) error {
		return tx.PutJSON(feed.DocState, "list", state)
	}); err != nil {
		t.Fatal(err)
	}
	duty := newReader(t, p)
	duty.signIn("duty")
	status, body := duty.post("/settings/feeds/list/run")
	must(t, status, body, "What was read waits for a person.", "150 elements wait")
	bound := hidden(t, body, "bound")
	status, body = admin.get("/settings/feeds/list")
	must(t, status, body, "150 elements wait", "An analyst or duty officer lets it in.")
	if status, body = duty.post("/settings/feeds/list/accept", "bound", strings.Repeat("0", 64), "passphrase", nodetest.Passphrase); !strings.Contains(body, "look at it once more") {
		t.Errorf("what was not shown is let in: %d", status)
	}
	status, body = duty.post("/settings/feeds/list/accept", "bound", bound, "passphrase", nodetest.Passphrase)
	must(t, status, body, "150 new")
	status, body = admin.post("/settings/feeds/list/remove")
	must(t, status, body, "The feed is removed.", "No feeds.")
}

func clientIsLetIn(t *testing.T, admin *reader) {
	status, body := admin.post("/settings/taxii/collections", "name", "out", "select", "type=indicator")
	must(t, status, body, "The collection is there.", "type=indicator")
	status, body = admin.post("/settings/taxii/clients", "client", "soc", "read", "out", "max", "TLP:AMBER")
	must(t, status, body, "noroshi_", "This is shown once.")
	status, body = admin.get("/settings/taxii")
	must(t, status, body, "soc")
	if strings.Contains(body, "noroshi_") {
		t.Error("the token is shown again")
	}
	status, body = admin.post("/settings/taxii/clients/soc/revoke")
	must(t, status, body, "The client is revoked.", "revoked")
	status, body = admin.post("/settings/taxii/collections/out/remove")
	must(t, status, body, "The collection is removed.")
}

// fileIsMade has a file made for a sensor: of what may be in it alone, and on record. What
// cannot be made shows the form again as it was filled in.
func fileIsMade(t *testing.T, p *nodetest.Party, admin *reader) {
	p.Import("low.txt", "tlp:green", strings.NewReader("low.example\n"))
	p.Import("high.txt", "tlp:red", strings.NewReader("high.example\n"))
	form := url.Values{"format": {"domains"}, "max": {"TLP:AMBER"}}
	res, err := admin.http.PostForm(admin.base+"/settings/sensors/export", form)
	status, body := admin.read(res, err)
	must(t, status, body, "low.example")
	if name := res.Header.Get("Content-Disposition"); strings.Contains(body, "high.example") || !strings.Contains(name, "-domains.txt") || !strings.HasPrefix(name, "attachment") {
		t.Errorf("%s:\n%s", name, body)
	}
	status, body = admin.post("/settings/sensors/export", "format", "suricata", "max", "TLP:AMBER")
	must(t, status, body, "low.example", "alert ")
	status, body = admin.post("/settings/sensors/export", "format", "emails", "max", "TLP:CLEAR")
	if must(t, status, body); strings.Contains(body, "<html") || strings.Contains(body, ".example") {
		t.Errorf("a file of nothing is\n%s", body)
	}
	status, body = admin.post("/settings/sensors/export", "format", "rpz", "max", "TLP:AMBER")
	told(t, "a zone without a name", status, body, "error.export.zone")
	if !strings.Contains(body, `<option value="rpz" selected>`) {
		t.Errorf("the form is not kept:\n%s", body)
	}
	status, body = admin.post("/settings/sensors/export", "format", "domains", "max", "TLP:PURPLE")
	told(t, "up to what is no label", status, body, "error.ceiling.form", "TLP:PURPLE")
	status, body = admin.post("/settings/sensors/export", "format", "domains", "max", " ")
	told(t, "up to nothing said", status, body, "error.ceiling.empty")
	status, body = admin.get("/audit?action=export")
	if n := strings.Count(body, `href="/audit/entries/`); n != 3 {
		t.Errorf("%d of 3 files are on record: %d\n%s", n, status, body)
	}
}

// keysTurn has two persons at two browsers order new keys: the second signs what
// the first did.
func keysTurn(t *testing.T, p *nodetest.Party, admin *reader) {
	status, body := admin.post("/settings/keys/rotate", "use", "kem")
	must(t, status, body, "New keys for: sealing.")
	status, body = admin.post("/settings/orders", "order", hidden(t, body, "order"), "passphrase", nodetest.Passphrase)
	must(t, status, body, "A second person signs at their own screen.")
	path := regexp.MustCompile(`/settings/orders/[0-9a-f]{64}`).FindString(body)
	if status, body = admin.get(path); !strings.Contains(body, "You have signed.") || strings.Contains(body, `name="passphrase"`) {
		t.Fatalf("who has signed is asked again: %d\n%s", status, body)
	}
	officer := newReader(t, p)
	officer.signIn("release1")
	status, body = officer.get(path)
	must(t, status, body, "Signed by", "admin")
	if status, body := officer.post("/settings/orders", "order", hidden(t, body, "order"), "passphrase", "wrong-passphrase"); status != http.StatusUnprocessableEntity || !strings.Contains(body, "release1") {
		t.Errorf("a wrong passphrase: %d", status)
	}
	status, body = officer.post("/settings/orders", "order", hidden(t, body, "order"), "passphrase", nodetest.Passphrase)
	must(t, status, body, "Signed and done.")
	status, body = officer.post("/settings/delegate", "person", "duty", "day", time.Now().AddDate(0, 0, 3).Format(time.DateOnly))
	must(t, status, body, "duty gets the role release officer")
	if status, _ = admin.get("/settings/delegate"); status != http.StatusNotFound {
		t.Errorf("an administrator delegates: %d", status)
	}
}

func backupIsMade(t *testing.T, admin *reader) {
	file := filepath.Join(t.TempDir(), "backup")
	status, body := admin.post("/settings/backup", "file", file, "new-passphrase", nodetest.Passphrase, "new-passphrase-again", "something else")
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "Type the same one twice") {
		t.Fatalf("two passphrases: %d\n%s", status, body)
	}
	status, body = admin.post("/settings/backup", "file", file, "new-passphrase", nodetest.Passphrase, "new-passphrase-again", nodetest.Passphrase)
	must(t, status, body, "The backup is made.", file)
}

// writes are the forms that change something; verifying the record, signing out
// and choosing a language do not.
func writes(body string) (actions []string) {
	for _, m := range regexp.MustCompile(`<form[^>]*method="post"[^>]*action="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if !slices.Contains([]string{"/signout", "/prefer", "/audit/verify", "/audit/stop"}, m[1]) {
			actions = append(actions, m[1])
		}
	}
	return actions
}

func auditorReads(t *testing.T, p *nodetest.Party) {
	r := newReader(t, p)
	r.signIn("kansa")
	body := verified(t, r)
	must(t, http.StatusOK, body, "Verified ", "navfoot", "person added", "feed read")
	for _, path := range []string{"/", "/audit", "/settings", "/settings/people", "/settings/feeds", "/settings/taxii", "/settings/keys"} {
		status, body := r.get(path)
		must(t, status, body)
		if forms := writes(body); len(forms) > 0 {
			t.Errorf("an auditor is shown %v at %s", forms, path)
		}
	}
	status, body := r.get("/audit?action=add-person&person=release1")
	must(t, status, body, "person added", "admin, release1")
	if strings.Contains(body, `class="own">feed read`) {
		t.Error("the record was not looked through")
	}
	index := regexp.MustCompile(`/audit/entries/(\d+)`).FindStringSubmatch(body)
	status, body = r.get(index[0])
	must(t, status, body, "The signature is this key’s.", "release1", "release officer")
	status, proof := r.get(index[0] + "/proof")
	if got, err := store.CheckProof([]byte(proof)); status != http.StatusOK || err != nil || got.Action != noroshi.ActAddPerson {
		t.Errorf("proof: %d %v %+v", status, err, got)
	}
	status, body = r.get("/audit?action=refuse")
	must(t, status, body, "person.needs-officer")
	status, body = r.get("/audit?day=2001-01-01")
	must(t, status, body, "No entry fits.")
	if _, body := r.get("/audit?day=yesterday"); !strings.Contains(body, "is no day") {
		t.Error("a day that is none is not named")
	}
	status, body = r.get("/audit/checkpoint")
	must(t, status, body, "noroshi ")
	for _, path := range []string{"/audit/entries/99999999", "/audit/entries/x", "/audit/links/AUS-01/export", "/settings/people/new", "/settings/backup"} {
		if status, _ := r.get(path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := r.post("/settings/feeds", "name", "x"); status != http.StatusNotFound {
		t.Errorf("an auditor adds a feed: %d", status)
	}
	r.post("/prefer", "lang", "ja")
	status, body = r.get("/audit")
	must(t, status, body, `lang="ja"`, "検証済み", "要員")
	for _, path := range []string{"/settings", "/settings/people", "/settings/keys"} {
		if status, body := r.get(path); status != http.StatusOK || strings.Contains(body, ">Persons<") {
			t.Errorf("%s in Japanese: %d", path, status)
		}
	}
}

// analystSeesNothing: to who may not read the record, it is not there.
func analystSeesNothing(t *testing.T, p *nodetest.Party) {
	r := newReader(t, p)
	r.signIn("duty")
	status, audit := r.get("/audit")
	_, none := r.get("/no-such-page")
	if status != http.StatusNotFound || still(audit) != still(none) {
		t.Errorf("%d:\n%s", status, audit)
	}
	if strings.Contains(audit, "navfoot") || strings.Contains(still(audit), `href="/audit"`) {
		t.Error("the rail tells of the record")
	}
	for _, path := range []string{"/audit/verify", "/audit/witness", "/settings/people", "/settings/backup", "/settings/taxii/clients"} {
		if status, _ := r.post(path); status != http.StatusNotFound {
			t.Errorf("POST %s: %d", path, status)
		}
	}
}

// editIsFound changes a row of the database past the stopped node.
func editIsFound(t *testing.T, p *nodetest.Party) {
	var head web.AuditHead
	p.Must("audit.head", nil, &head)
	p.Stop()
	db := storetest.Raw(t, cmp.Or(p.Node.Config.Store.DSN, filepath.Join(p.Dir, noroshi.Real.File())))
	var act int64
	if err := db.QueryRow("SELECT act FROM doc WHERE kind = 'person' AND id = 'liaison'").Scan(&act); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE doc SET body = (SELECT body FROM doc WHERE kind = 'person' AND id = 'kansa') WHERE kind = 'person' AND id = 'liaison'"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	p.Start()
	r := newReader(t, p)
	r.signIn("kansa")
	_, body := r.get("/audit")
	must(t, http.StatusOK, body, "Not verified since start")
	body = verified(t, r)
	must(t, http.StatusOK, body, "Faults found", "a row was changed", "restore a backup that verifies", fmt.Sprintf(`href="/audit/entries/%d">Entry %d<`, act, act))
	if !regexp.MustCompile(`(?s)navfoot.*?class="st crit".*?Faults found`).MatchString(body) {
		t.Error("the foot of the rail does not say so")
	}
	r.post("/prefer", "lang", "ja")
	_, body = r.get("/audit")
	must(t, http.StatusOK, body, "行が改変されています", fmt.Sprintf("記録 %d で書き込んだ行と一致しません", act), `name="day" value="" placeholder="例：2026-11-29"`)
	if strings.Contains(body, "the rows of act") || strings.Contains(body, `type="date"`) {
		t.Errorf("a fault or a field is not in Japanese:\n%s", body)
	}
}

// TestAuditInABrowser: the record is verified while the page is open, in both
// languages, and a picture of each screen can be looked at.
func TestAuditInABrowser(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("list", "TLP:GREEN", strings.NewReader("c2-one.example.org\nc2-two.example.org\n"))
	admin := newReader(t, jpn)
	admin.signIn("admin")
	join(t, admin, "kansa", noroshi.Auditor, "")
	p := consoletest.Open(t, consoleOf(jpn))
	for _, lang := range []string{"en", "ja"} {
		p.SignIn("admin", nodetest.Passphrase, lang)
		p.Go("/audit")
		p.Leave(`#check .btn.pri`)
		p.Shows(`#check .st.ok`)
		look(t, p, "audit-"+lang)
		if os.Getenv("NOROSHI_PICTURES") != "" {
			pictures(t, p, lang)
		}
		p.Leave(".who .btn")
	}
}

func pictures(t *testing.T, p *consoletest.Page, lang string) {
	t.Helper()
	for _, path := range []string{"/settings", "/settings/people", "/settings/people/new", "/settings/feeds", "/settings/feeds/new", "/settings/taxii", "/settings/keys", "/settings/backup", "/audit/entries/12"} {
		p.Go(path)
		look(t, p, "set"+strings.ReplaceAll(path, "/", "-")+"-"+lang)
	}
	p.Leave(".iconb")
	for _, path := range []string{"/audit", "/settings/keys"} {
		p.Go(path)
		look(t, p, "dark"+strings.ReplaceAll(path, "/", "-")+"-"+lang)
	}
	p.Size(390, 844)
	for _, path := range []string{"/audit", "/settings", "/settings/people", "/settings/feeds/new", "/settings/taxii", "/settings/keys", "/audit/entries/12"} {
		p.Go(path)
		look(t, p, "narrow"+strings.ReplaceAll(path, "/", "-")+"-"+lang)
	}
	p.Size(1440, 900)
	p.Leave(".iconb")
}
