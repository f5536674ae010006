package console_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// signOn is a sign-on server on loopback: discovery, keys, codes with PKCE and
// tokens. It signs whoever it is told to in without asking.
type signOn struct {
	*httptest.Server
	t   *testing.T
	key *ecdsa.PrivateKey

	mu      sync.Mutex
	subject string
	spoil   func(claims map[string]any) // what it does wrong, nil = nothing
	asked   map[string]url.Values       // by code

	described func() // before it describes itself, nil = nothing
}

func newSignOn(t *testing.T) *signOn {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &signOn{t: t, key: key, asked: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if s.described != nil {
			s.described()
		}
		answer(w, map[string]any{"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256"}, "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Error(err)
		}
		answer(w, map[string]any{"keys": []any{map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": text(point[1:33]), "y": text(point[33:])}}})
	})
	mux.HandleFunc("GET /authorize", s.authorize)
	mux.HandleFunc("POST /token", s.token)
	s.Server = httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	return s
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (s *signOn) authorize(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	code := rand.Text()
	s.asked[code] = r.URL.Query()
	http.Redirect(w, r, r.FormValue("redirect_uri")+"?"+url.Values{"code": {code}, "state": {r.FormValue("state")}}.Encode(), http.StatusSeeOther)
}

func (s *signOn) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, ok := s.asked[r.PostFormValue("code")]
	id, secret, _ := r.BasicAuth()
	verifier := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || id != "noroshi" || secret != "between-us" || asked.Get("code_challenge") != text(verifier[:]) {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	delete(s.asked, r.PostFormValue("code"))
	now := time.Now()
	claims := map[string]any{"iss": s.URL, "sub": s.subject, "aud": "noroshi", "nonce": asked.Get("nonce"), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	if s.spoil != nil {
		s.spoil(claims)
	}
	answer(w, map[string]any{"access_token": "none", "token_type": "Bearer", "id_token": s.sign(claims)})
}

// sign makes a JWT (RFC 7515 §7.1, ES256).
func (s *signOn) sign(claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		s.t.Error(err)
	}
	signed := text([]byte(`{"alg":"ES256","kid":"1"}`)) + "." + text(body)
	sum := sha256.Sum256([]byte(signed))
	a, b, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		s.t.Error(err)
	}
	return signed + "." + text(append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...))
}

// configure puts the server into a node's noroshi.toml and starts it anew.
func (s *signOn) configure(p *nodetest.Party) {
	s.t.Helper()
	dir := s.t.TempDir()
	secret, ca := filepath.Join(dir, "secret"), filepath.Join(dir, "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for file, b := range map[string][]byte{secret: []byte("between-us\n"), ca: cert} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	p.Stop()
	f, err := os.OpenFile(filepath.Join(p.Dir, "noroshi.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(f, "\n[sign_in.oidc]\nissuer = %q\nclient = \"noroshi\"\nsecret_file = %q\nca_file = %q\nnets = [\"127.0.0.0/8\"]\nname = \"MOD sign-on\"\n", s.URL, secret, ca)
	if err := f.Close(); err != nil {
		s.t.Fatal(err)
	}
	p.Start()
}

// TestSignOn: a person whom an administrator linked to a subject signs in through
// the sign-on server, and signs acts no other way than before; who is not linked,
// and whatever the server says wrong, does not sign in.
func TestSignOn(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	s := newSignOn(t)
	s.subject = "sato.t"
	s.configure(p)
	link := web.SignOnSubject(s.URL, "sato.t")
	e := partner.Enrolment{Person: "duty", Number: 1, SignOn: &link}
	for person, want := range map[string]string{"duty": "person.link", "admin": ""} {
		by, err := p.Signed(t.Context(), person, noroshi.ActEnrol, e.Person, e.Bound())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Do(t.Context(), "person.enrol", web.EnrolRef{Enrolment: e, By: by}, nil); noroshi.CodeOf(err) != want {
			t.Errorf("%s links duty: %v, want %q", person, err, want)
		}
	}
	r := newReader(t, p)
	if _, body := r.get("/signin?to=/warnings"); !strings.Contains(body, "Sign in through MOD sign-on") {
		t.Errorf("the sign-in page does not name it:\n%s", body)
	}
	if _, body := r.get("/oidc?to=/warnings"); !strings.Contains(body, `content="0;url=/warnings"`) || !r.signedIn() {
		t.Fatalf("duty is not signed in:\n%s", body)
	}
	if _, body := r.get("/me"); !strings.Contains(body, "Single sign-on") {
		t.Errorf("the session does not say how it began:\n%s", body)
	}
	if status, _ := r.get("/oidc/back?code=x&state=y"); status == http.StatusOK {
		t.Error("what was not begun is taken back")
	}
	for name, x := range map[string]func(map[string]any){
		"a subject that nobody is linked to": func(c map[string]any) { c["sub"] = "yamada" },
		"another client":                     func(c map[string]any) { c["aud"] = "other" },
		"another issuer":                     func(c map[string]any) { c["iss"] = "https://other.example" },
		"another sign-on":                    func(c map[string]any) { c["nonce"] = "other" },
		"one of yesterday":                   func(c map[string]any) { c["exp"] = time.Now().Add(-24 * time.Hour).Unix() },
	} {
		s.mu.Lock()
		s.spoil = x
		s.mu.Unlock()
		other := newReader(t, p)
		if other.get("/oidc"); other.signedIn() {
			t.Errorf("a token of %s signs in", name)
		}
	}
}

// TestSignOnIsNotHeldUp: while one visit waits for the description of a server that
// does not answer, others are told so at once.
func TestSignOnIsNotHeldUp(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	s := newSignOn(t)
	reached, answered := make(chan struct{}), make(chan struct{})
	s.described = func() {
		close(reached)
		<-answered
	}
	s.configure(p)
	first, second := newReader(t, p), newReader(t, p)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, err := first.http.Get(first.base + "/oidc"); err == nil {
			res.Body.Close()
		}
	}()
	<-reached
	if _, body := second.get("/oidc"); !strings.Contains(body, "being asked just now") {
		t.Errorf("the second visit is told:\n%s", body)
	}
	close(answered)
	<-done
}

// TestATripIsUsedUpByWhoComesBack: coming back with a code that is none, as
// anybody can, uses nothing up: the trip is good until its person is back, once.
func TestATripIsUsedUpByWhoComesBack(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	s := newSignOn(t)
	s.subject = "sato.t"
	s.configure(p)
	link := web.SignOnSubject(s.URL, "sato.t")
	e := partner.Enrolment{Person: "duty", Number: 1, SignOn: &link}
	by, err := p.Signed(t.Context(), "admin", noroshi.ActEnrol, e.Person, e.Bound())
	if err != nil {
		t.Fatal(err)
	}
	p.Must("person.enrol", web.EnrolRef{Enrolment: e, By: by}, nil)
	r := newReader(t, p)
	var backs []string
	r.http.CheckRedirect = func(q *http.Request, _ []*http.Request) error {
		if q.URL.Path == "/oidc/back" {
			backs = append(backs, q.URL.RequestURI())
			return http.ErrUseLastResponse
		}
		return nil
	}
	r.get("/oidc")
	at, err := url.Parse(r.base)
	if err != nil || len(backs) != 1 {
		t.Fatalf("sent back %d times, %v", len(backs), err)
	}
	trip := r.http.Jar.Cookies(at)
	for _, x := range []struct {
		path string
		in   bool
	}{{strings.Replace(backs[0], "code=", "code=x", 1), false}, {backs[0], true}, {backs[0], false}} {
		other := newReader(t, p)
		other.http.Jar.SetCookies(at, trip)
		if other.get(x.path); other.signedIn() != x.in {
			t.Errorf("%s signs in: %v", x.path, !x.in)
		}
	}
}
