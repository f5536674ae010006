package console_test

import (
	"crypto/tls"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// reader is a browser without a screen and without JavaScript.
type reader struct {
	t    *testing.T
	http http.Client
	base string
	at   string // path of the page that answered the last file
	last string // address of the last page

	strays bool // forms are sent to addresses of what is not there
}

func newReader(t *testing.T, p *nodetest.Party) *reader {
	t.Helper()
	var st web.Status
	p.Must("status", nil, &st)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &reader{t: t, http: http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: insecure(), ForceAttemptHTTP2: true}}, base: strings.TrimSuffix(st.Console, "/")}
}

// insecure believes any certificate: a console's is its own.
func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// from has the reader's connections come from another address of this machine.
func (r *reader) from(address string) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	r.http.Transport.(*http.Transport).DialContext = d.DialContext
}

// get asks for a page and returns status and body.
func (r *reader) get(path string) (int, string) {
	r.t.Helper()
	res, err := r.http.Get(r.base + path)
	return r.read(res, err)
}

// post sends a form.
func (r *reader) post(path string, fields ...string) (int, string) {
	r.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return r.send(path, form)
}

// send sends a form as a page has it.
func (r *reader) send(path string, form url.Values) (int, string) {
	r.t.Helper()
	res, err := r.http.PostForm(r.base+path, form)
	return r.read(res, err)
}

func (r *reader) read(res *http.Response, err error) (int, string) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	r.last = res.Request.URL.RequestURI()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if res.StatusCode == http.StatusUnprocessableEntity && res.Request.Method == http.MethodPost && !r.strays {
		r.leadsBack(string(b))
	}
	return res.StatusCode, string(b)
}

var hereField = regexp.MustCompile(`name="to" value="([^"]*)">\s*<div class="seg"`)

// leadsBack fails unless the links of a page that answered a form lead to one that
// is there.
func (r *reader) leadsBack(body string) {
	r.t.Helper()
	m := hereField.FindStringSubmatch(body)
	if m == nil {
		return
	}
	to := html.UnescapeString(m[1])
	res, err := r.http.Get(r.base + to)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		r.t.Errorf("the page that answers a form leads to %s: %d", to, res.StatusCode)
	}
}

func (r *reader) signIn(person string) {
	r.t.Helper()
	if status, body := r.post("/signin", "person", person, "passphrase", nodetest.Passphrase); status != http.StatusOK || strings.Contains(body, `name="passphrase"`) {
		r.t.Fatalf("%s is not signed in: %d\n%s", person, status, body)
	}
}

// TestSignIn: nobody sees a page without signing in; who is unknown and who has
// a wrong passphrase are told the same; after signing out nothing is seen.
func TestSignIn(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	if _, body := r.get("/"); !strings.Contains(body, `action="/signin"`) {
		t.Fatalf("without signing in:\n%s", body)
	}
	id := regexp.MustCompile(`name="person"[^>]*>`)
	_, unknown := r.post("/signin", "person", "nobody", "passphrase", nodetest.Passphrase)
	status, wrong := r.post("/signin", "person", "duty", "passphrase", "wrong-passphrase")
	clock := regexp.MustCompile(`<b data-offset="[^"]*">[^<]*</b>`)
	same := func(s string) string { return clock.ReplaceAllString(id.ReplaceAllString(s, ""), "") }
	if status != http.StatusUnprocessableEntity || same(unknown) != same(wrong) {
		t.Errorf("unknown and wrong differ, or %d:\n%s\n%s", status, unknown, wrong)
	}
	r.signIn("duty")
	if status, body := r.get("/"); status != http.StatusOK || !strings.Contains(body, "INTERNAL TO JPN-01") {
		t.Errorf("picture: %d\n%s", status, body)
	}
	if status, _ := r.get("/no-such-page"); status != http.StatusNotFound {
		t.Errorf("an address that is none: %d", status)
	}
	r.post("/signout")
	if _, body := r.get("/"); !strings.Contains(body, `action="/signin"`) {
		t.Error("signed out, and the picture is seen")
	}
}

// TestTwoConsolesOnOneHost: who is signed in at two nodes of one machine is so at
// both, and signs out of one alone.
func TestTwoConsolesOnOneHost(t *testing.T) {
	t.Parallel()
	jpn, usa := newReader(t, nodetest.New(t, "JPN-01", noroshi.Real)), newReader(t, nodetest.New(t, "USA-01", noroshi.Real))
	usa.http.Jar = jpn.http.Jar
	jpn.signIn("duty")
	usa.signIn("duty")
	if !jpn.signedIn() || !usa.signedIn() {
		t.Fatalf("signed in here %v, there %v", jpn.signedIn(), usa.signedIn())
	}
	jpn.post("/signout")
	if jpn.signedIn() || !usa.signedIn() {
		t.Errorf("after signing out here: here %v, there %v", jpn.signedIn(), usa.signedIn())
	}
}
