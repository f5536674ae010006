package console

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// toSignin sends who is not signed in to where they can, and from there back; who
// sent a form keeps it.
func toSignin(v *visit) error {
	if v.r.Header.Get("HX-Request") != "" { // a part of a page whose session is over
		v.w.Header().Set("HX-Redirect", v.signinFor(v.r.Header.Get("HX-Current-URL")))
		v.w.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	if v.r.Method == http.MethodPost && v.r.URL.Path != "/signout" {
		return ended(v)
	}
	to := ""
	if v.r.Method == http.MethodGet {
		to = v.r.URL.RequestURI()
	}
	http.Redirect(v.w, v.r, v.signinFor(to), http.StatusSeeOther)
	return nil
}

// signinFor is where somebody signs in to go on to an address. Who was signed in
// before is told that this is over.
func (v *visit) signinFor(address string) string {
	q := url.Values{}
	if u, err := url.Parse(address); err == nil && within(u.RequestURI()) != "/" {
		q.Set("to", u.RequestURI())
	}
	if _, err := v.r.Cookie(v.cookie(sessionCookie)); err == nil {
		v.say("session-over")
	}
	return strings.TrimSuffix("/signin?"+q.Encode(), "?")
}

func signinForm(v *visit) error {
	if empty, err := v.unpeopled(); err != nil {
		return err
	} else if empty {
		return v.goTo("/first", "")
	}
	q := v.r.URL.Query()
	if l, ok := locale.Parse(q.Get("lang")); ok { // a link to sign in may say in which language, and as whom
		v.prefer(v.cookie(langCookie), string(l))
		q.Del("lang")
		http.Redirect(v.w, v.r, "/signin?"+q.Encode(), http.StatusSeeOther)
		return nil
	}
	return v.show("signin", nil)
}

// signin opens a session for who signs for it: with the key that their
// passphrase opens, and the code of their generator if they have one, or with a
// passkey. An unknown person, a removed one, a wrong passphrase and a wrong code
// look and take the same.
func signin(v *visit) error {
	switch {
	case v.asking():
		nonce := v.challenges.ask(v.now)
		digest := v.challenged(noroshi.ActSignIn, "", nonce)
		return asked{Get: &wantAssertion{Text: unpadded(digest[:])}, Nonce: nonce}
	case v.r.PostFormValue("passkey") != "":
		return v.finish(v.signinByPasskey())
	}
	return v.finish(v.signinByPassphrase())
}

// entrance is somebody who was found to be who they say, and how.
type entrance struct {
	person noroshi.Person
	way    string
	in     web.SignIn
}

// finish begins the session, and sends who should think of a second factor to
// where they get one.
func (v *visit) finish(e entrance, err error) error {
	if err == nil {
		err = v.remember(&e)
	}
	if err == nil {
		err = v.begin(e.person.ID, e.way, e.in)
	}
	if err != nil {
		return v.again(err, signinForm)
	}
	to := within(v.r.FormValue("to"))
	if e.way == wayPassphrase && !v.SignInRules.PassphraseOnly {
		to = "/me/second?to=" + url.QueryEscape(to)
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// The ways to sign in, as sessions keep them.
const (
	wayPassphrase = "passphrase"
	wayCode       = "code" // and the passphrase
	wayPasskey    = "passkey"
	wayOIDC       = "oidc"
)

var errSignin = noroshi.Errorf(noroshi.Forbidden, "console.signin", "person, passphrase or code is wrong")

// signinByPassphrase checks passphrase and code. That the passphrase was right and
// the second factor is missing is on record, where it says that a passphrase is out;
// whoever tries is told the one thing they are always told, which names all that
// may be missing.
func (v *visit) signinByPassphrase() (e entrance, err error) {
	register, err := v.Store.Persons(v.ctx)
	if err != nil {
		return e, err
	}
	id := strings.TrimSpace(v.r.PostFormValue("person"))
	p, known := register[id]
	if known = known && !p.Removed; !known {
		p = stranger
	}
	x, err := v.tryingAs(id)
	if err != nil {
		return e, err
	}
	err = v.try(x, func() (err error) {
		if e, err = v.opened(p); err == nil && !known {
			err = errSignin
		}
		return err
	})
	if noroshi.KindOf(err) == noroshi.Forbidden {
		if !known {
			id, err = "?", errSignin // it may be a passphrase, typed into the wrong field
		}
		v.Refusals.Note(v.ctx, "sign-in", v.address(), id, noroshi.CodeOf(err))
		err = errSignin
	}
	return e, err
}

// tryingAs returns what a try in a name counts under: from a browser that the
// person signed in with before, the two together. Who shares the browser then
// neither delays them nor, by signing in, ends their wait.
func (v *visit) tryingAs(id string) (trying, error) {
	if b := v.browser(); b != "" {
		known, err := v.KnowsBrowser(v.ctx, id, b)
		if err != nil || known {
			return trying{name: "browser " + b + " " + id}, err
		}
	}
	return trying{"name " + cut(id, 64), "address " + v.network()}, nil
}

// opened opens a person's key with the passphrase, and with it the secret of
// their code generator, and signs for signing in.
func (v *visit) opened(p noroshi.Person) (e entrance, err error) {
	key, err := v.unseal(p, "passphrase")
	if err != nil {
		if noroshi.KindOf(err) == noroshi.Forbidden {
			err = errSignin
		}
		return e, err
	}
	defer clear(key)
	e = entrance{person: p, way: wayPassphrase}
	e.in.By = noroshi.SignAct(p.ID, key, v.challenged(noroshi.ActSignIn, "", rand.Text()))
	if v.SignInRules.PassphraseOnly {
		return e, nil
	}
	code := v.r.PostFormValue("code")
	switch {
	case len(p.Code) == 0 && !hasPasskey(p):
		return e, nil
	case len(p.Code) == 0:
		return e, noroshi.Errorf(noroshi.Forbidden, "console.needs-passkey", "%s signs in with a passkey", p.ID)
	case noroshi.Digits(code) == "":
		return e, noroshi.Errorf(noroshi.Forbidden, "console.needs-code", "%s signs in with the code of their generator too", p.ID)
	}
	secret, err := p.CodeSecret(key)
	if err != nil {
		return e, err
	}
	defer clear(secret)
	used, err := web.CodeUsed(v.ctx, v.Store.Reads, p.ID)
	if err != nil {
		return e, err
	}
	step, ok := noroshi.MatchCode(secret, code, v.now, used)
	if !ok {
		return e, errSignin
	}
	e.way, e.in.Code = wayCode, step
	return e, nil
}

func hasPasskey(p noroshi.Person) bool {
	for _, k := range p.Passkeys {
		if k.Removed.IsZero() {
			return true
		}
	}
	return false
}

// signinByPasskey finds whose passkey has signed the challenge.
func (v *visit) signinByPasskey() (e entrance, err error) {
	a, err := v.assertion()
	if err != nil {
		return e, err
	}
	register, err := v.Store.Persons(v.ctx)
	if err != nil {
		return e, err
	}
	nonce := v.r.PostFormValue("nonce")
	refused := noroshi.Errorf(noroshi.Forbidden, "console.passkey-refused", "this passkey does not sign in here")
	digest := v.challenged(noroshi.ActSignIn, "", nonce)
	for id, p := range register {
		s := noroshi.Signed{Person: id, Digest: digest, Signature: a.Pack()}
		if p.Check(s, noroshi.ActSignIn, digest) == nil {
			if !v.challenges.take(nonce, v.now) {
				return e, refused
			}
			return entrance{p, wayPasskey, web.SignIn{By: s, Passkey: &a}}, nil
		}
	}
	v.Refusals.Note(v.ctx, "sign-in", v.address(), "?", refused.Code)
	return e, refused
}

// stranger stands for who is not here: opening their key takes as long as
// opening anybody's.
var stranger = noroshi.Person{ID: "-", Sealed: make([]byte, 16+12+32+16)}

// browser is the hash of the browser's cookie, "" when it has none.
func (v *visit) browser() string {
	k, err := v.r.Cookie(v.cookie(browserCookie))
	if err != nil || len(k.Value) > 64 {
		return ""
	}
	return sessionID(k.Value)
}

// remember has the sign-in note the browser.
func (v *visit) remember(e *entrance) error {
	if e.in.Browser = v.browser(); e.in.Browser != "" {
		return nil
	}
	token := rand.Text()
	e.in.Browser = sessionID(token)
	v.keep(browserCookie, token, int((90 * 24 * time.Hour).Seconds()))
	return nil
}

// within returns a path of this console, "/" for any other address.
func within(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, `\`) {
		return "/"
	}
	return to
}

func signout(v *visit) error {
	if err := v.end(); err != nil {
		return err
	}
	return v.goTo("/signin", "")
}

// prefer keeps a person's language or theme in their browser and shows the page
// they were on again.
func prefer(v *visit) error {
	for name, cookie := range map[string]string{"lang": v.cookie(langCookie), "theme": "theme"} {
		if value := v.r.PostFormValue(name); value != "" && len(value) < 8 {
			v.prefer(cookie, value)
		}
	}
	return v.goTo(within(v.r.PostFormValue("to")), "")
}

// prefer leaves a preference in the browser.
func (v *visit) prefer(cookie, value string) {
	http.SetCookie(v.w, &http.Cookie{Name: cookie, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: 365 * 24 * 3600})
}
