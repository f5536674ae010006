package console_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console"
)

// TestTheWaitGrows: a few wrong tries cost nothing, each further one doubles the
// wait up to a quarter of an hour, and two hours later all is forgotten; what is
// remembered is bounded, whoever tries.
func TestTheWaitGrows(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	tries := console.NewTries()
	last := time.Duration(0)
	for n := 1; n <= 30; n++ {
		tries.Failed("duty", "192.0.2.1", now)
		wait := tries.Wait("duty", "198.51.100.1", now)
		switch {
		case n < 5 && wait != 0, n >= 5 && wait < last, n == 5 && wait == 0, wait > 15*time.Minute:
			t.Errorf("after %d tries: wait %s, before it %s", n, wait, last)
		}
		if tries.Wait("duty", "198.51.100.1", now.Add(wait)) > 0 {
			t.Errorf("after %d tries and the wait there is another wait", n)
		}
		last = wait
	}
	if last != 15*time.Minute {
		t.Errorf("the longest wait is %s", last)
	}
	if tries.Wait("liaison", "198.51.100.1", now) > 0 || tries.Wait("liaison", "192.0.2.1", now) == 0 {
		t.Error("another name from elsewhere waits, or from the address of the guesses does not")
	}
	if wait := tries.Wait("duty", "192.0.2.1", now.Add(3*time.Hour)); wait > 0 {
		t.Errorf("three hours later: wait %s", wait)
	}
	for n := range 10_000 {
		tries.Failed("name "+strconv.Itoa(n), "address "+strconv.Itoa(n), now.Add(time.Duration(n)*time.Second))
	}
	if n := tries.Known(); n > 4096 {
		t.Errorf("%d names and addresses are remembered", n)
	}
}

// TestGuessesAreCountedByNetwork: who has a network of IPv6 addresses has one count
// for all of them; one address of IPv4 has one, however it is written.
func TestGuessesAreCountedByNetwork(t *testing.T) {
	t.Parallel()
	for _, x := range [][2]string{
		{"192.0.2.7:443", "192.0.2.7"},
		{"[::ffff:192.0.2.7]:443", "192.0.2.7"},
		{"[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::/64"},
		{"[2001:db8:1:2:ffff::1]:9", "2001:db8:1:2::/64"},
		{"[2001:db8:1:3::1]:9", "2001:db8:1:3::/64"},
		{"[fe80::1%eth0]:9", "fe80::/64"},
	} {
		if got := console.Network(x[0]); got != x[1] {
			t.Errorf("%s counts under %s, want %s", x[0], got, x[1])
		}
	}
}

// TestGuessesAtOnceWait: guesses that come all at once wait as those one after
// another do.
func TestGuessesAtOnceWait(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	const guesses = 24 // as many as an address may try for nothing
	var looked, waited atomic.Int64
	var all sync.WaitGroup
	for range guesses {
		all.Go(func() {
			res, err := r.http.PostForm(r.base+"/signin", url.Values{"person": {"duty"}, "passphrase": {"a guess, wrong"}})
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			switch {
			case err != nil:
				t.Error(err)
			case strings.Contains(string(b), "Too many wrong tries"):
				waited.Add(1)
			default:
				looked.Add(1)
			}
		})
	}
	all.Wait()
	if looked.Load() > 12 || looked.Load()+waited.Load() != guesses { // five are free; a slow machine lets a wait or two end meanwhile
		t.Errorf("of %d guesses at once %d were looked at, and %d had to wait", guesses, looked.Load(), waited.Load())
	}
}

// TestASharedBrowserCountsEachPerson: of two persons who sign in from one browser,
// wrong tries in one's name neither delay the other nor are forgotten when the
// other signs in.
func TestASharedBrowserCountsEachPerson(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	for _, person := range []string{"duty", "liaison"} {
		r.signIn(person)
		r.post("/signout")
	}
	guess := func() bool {
		_, body := r.post("/signin", "person", "liaison", "passphrase", "a guess, wrong")
		return strings.Contains(body, "Too many wrong tries")
	}
	waits := false
	for i := 0; i < 14 && !waits; i++ {
		waits = guess()
	}
	r.signIn("duty")
	r.post("/signout")
	still := false
	for range 2 { // a wait may end meanwhile; the next is twice as long
		still = guess() || still
	}
	if !waits || !still {
		t.Error("who guesses in a name from a shared browser does not wait")
	}
}

// TestAnOfficersPassphraseIsNotGuessed: an administrator who signs rightly each time
// does not get rid of what was wrong in the name of the officer beside them.
func TestAnOfficersPassphraseIsNotGuessed(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	admin := newReader(t, p)
	admin.signIn("admin")
	_, body := admin.post("/settings/people/new", "person", "yuki", "name", "Yuki", "role", string(noroshi.ReleaseOffice), "new-passphrase", nodetest.Passphrase, "new-passphrase-again", nodetest.Passphrase)
	record := hidden(t, body, "record")
	for range 12 {
		_, body := admin.post("/settings/people", "record", record, "passphrase", nodetest.Passphrase, "officer", "release1", "officer-passphrase", "a guess, wrong")
		if strings.Contains(body, "Too many wrong tries") {
			return
		}
	}
	t.Error("twelve guesses of an officer's passphrase, and no wait")
}

// TestIdleSessionsEnd: a session lasts while a page of it is open, which asks for
// its parts; where noroshi.toml says how long it may be idle, while its person asks.
func TestIdleSessionsEnd(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	whole, strict := console.NewIdle(web.SignInRules{}), console.NewIdle(web.SignInRules{Idle: 30 * time.Minute})
	for _, step := range []struct {
		at            time.Duration
		person        bool
		whole, strict bool
	}{{0, true, false, false}, {29 * time.Minute, true, false, false}, {58 * time.Minute, false, false, false}, {60 * time.Minute, false, false, true}, {89 * time.Minute, true, false, true}, {120 * time.Minute, false, true, true}} {
		if got := whole.Over("a", now.Add(step.at), step.person); got != step.whole {
			t.Errorf("at %s: over %v, want %v", step.at, got, step.whole)
		}
		if got := strict.Over("a", now.Add(step.at), step.person); got != step.strict {
			t.Errorf("at %s, where it may be idle for so long: over %v, want %v", step.at, got, step.strict)
		}
	}
}

// TestWhoIsAtWork: pages, forms and the drawer are asked for by a person; parts that
// a page fetches by itself, and its stream, are not.
func TestWhoIsAtWork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path string
		part, person bool
	}{
		{http.MethodGet, "/warnings", false, true},
		{http.MethodPost, "/prefer", true, true},
		{http.MethodGet, "/indicators/indicator--1?part=drawer", true, true},
		{http.MethodGet, "/?part=need", true, false},
		{http.MethodGet, "/rail?here=picture", true, false},
		{http.MethodGet, "/live", false, false},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		if c.part {
			r.Header.Set("HX-Request", "true")
		}
		if got := console.ByPerson(r); got != c.person {
			t.Errorf("%s %s: %v", c.method, c.path, got)
		}
	}
}

// TestAnEndedSessionSaysSo: whoever was signed in is told why they are no more, and
// comes back to where they were; a page that is open is led there too.
func TestAnEndedSessionSaysSo(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r, other := newReader(t, p), newReader(t, p)
	said := locale.T(locale.EN, "console.said.session-over")
	if _, body := r.get("/indicators?q=port"); strings.Contains(body, said) {
		t.Error("who never signed in is told that their session ended")
	}
	r.signIn("duty")
	_, body := r.get("/me")
	session := regexp.MustCompile(`name="session" value="([0-9a-f]+)"`).FindStringSubmatch(body)
	if session == nil {
		t.Fatalf("no session is listed:\n%s", body)
	}
	other.signIn("duty")
	other.post("/me/session", "session", session[1])
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+"/?part=need", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("HX-Request", "true")
	q.Header.Set("HX-Current-URL", r.base+"/indicators?q=port")
	res, err := r.http.Do(q)
	if status, _ := r.read(res, err); status != http.StatusUnauthorized {
		t.Fatalf("a part of a page whose session is over: %d", status)
	}
	to := res.Header.Get("HX-Redirect")
	for _, path := range []string{to, "/indicators?q=port"} {
		if _, body := r.get(path); !strings.Contains(body, said) || !strings.Contains(body, `name="to" value="/indicators?q=port"`) {
			t.Errorf("%s does not say that the session is over, or forgets where it was:\n%s", path, body)
		}
	}
}

var endingShown = regexp.MustCompile(`id="ending" data-in="[0-9]+">`)

// TestSessionsEndWithAWarning: minutes before the end of a session each page says
// so, and after it nobody is signed in.
func TestSessionsEndWithAWarning(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	r.signIn("duty")
	shown := func(page string) bool { return endingShown.MatchString(page) }
	if _, page := r.get("/"); !regexp.MustCompile(`<noscript><p class="lost">[^<]* \d\d:\d\d JST`).MatchString(page) {
		t.Errorf("who has no scripts is not told when the session ends:\n%s", page)
	}
	if _, page := r.get("/"); shown(page) {
		t.Errorf("a new session is about to end:\n%s", page)
	}
	later := func(d time.Duration) string {
		t.Helper()
		p.Stop()
		p.Ahead = d
		p.Start()
		r.base = newReader(t, p).base
		_, page := r.get("/")
		return page
	}
	if page := later(12*time.Hour - 3*time.Minute); !shown(page) {
		t.Errorf("three minutes before its end a session says nothing:\n%s", page)
	}
	if later(12*time.Hour + time.Minute); r.signedIn() {
		t.Error("a session goes on after its end")
	}
}

// TestTheDoorConfirmsNothing: an unknown person, a wrong passphrase, and a right one
// without the code or the passkey that it takes too, are told the same; which of
// them it was is on record.
func TestTheDoorConfirmsNothing(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	duty, officer := newReader(t, p), newReader(t, p)
	duty.signIn("duty")
	_, form := duty.get("/me/code")
	secret := regexp.MustCompile(`name="secret" value="([A-Z2-7]+)"`).FindStringSubmatch(form)[1]
	if _, body := duty.post("/me/code", "secret", secret, "code", codeNow(t, secret), "passphrase", nodetest.Passphrase); !strings.Contains(body, `class="said"`) {
		t.Fatal(body)
	}
	officer.signIn("release1")
	officer.addPasskey(newSoftKey(t, officer.base))
	var first string
	for _, x := range [][2]string{{"nobody", nodetest.Passphrase}, {"duty", "wrong-passphrase"}, {"duty", nodetest.Passphrase}, {"release1", "wrong-passphrase"}, {"release1", nodetest.Passphrase}} {
		status, body := newReader(t, p).post("/signin", "person", x[0], "passphrase", x[1])
		body = strings.ReplaceAll(still(body), `value="`+x[0]+`"`, "")
		if first == "" {
			first = body
		}
		if status != 422 || body != first || !strings.Contains(body, "is wrong or missing") {
			t.Errorf("%s with %q: %d\n%s", x[0], x[1], status, cmp.Diff(first, body))
		}
	}
	p.Node.Services().Refusals.Settle(t.Context())
	var log []web.ActRow
	p.Must("audit.log", web.AuditRef{Limit: 500}, &log)
	for _, want := range []string{"duty console.needs-code", "duty console.signin", "release1 console.needs-passkey"} {
		if !slices.ContainsFunc(log, func(r web.ActRow) bool { return strings.HasSuffix(r.Subject, want) }) {
			t.Errorf("not on record: %s", want)
		}
	}
}
