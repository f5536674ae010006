package console

import (
	"encoding/base32"
	"encoding/hex"
	"html/template"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	qr "github.com/piglig/go-qr"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// A person's account: how they sign in, and where they are signed in. Everybody
// has their own at /me; an administrator takes ways and sessions away from others
// at /account/PERSON, and adds nothing there.
var meRoutes = []Route{
	{"GET /me", noroshi.ActRead, false, me},
	{"GET /me/second", noroshi.ActRead, false, meSecond},
	{"GET /me/code", noroshi.ActEnrol, false, meCode},
	{"POST /me/code", noroshi.ActEnrol, false, meCodeAdd},
	{"GET /me/passkey", noroshi.ActEnrol, false, mePasskey},
	{"POST /me/passkey", noroshi.ActEnrol, false, mePasskeyAdd},
	{"GET /me/remove/{way}", noroshi.ActEnrol, false, meRemove},
	{"POST /me/remove/{way}", noroshi.ActEnrol, false, meRemoveDo},
	{"POST /me/session", noroshi.ActRead, false, meSessionEnd},
	{"GET /account/{person}", noroshi.ActAddPerson, false, me},
	{"GET /account/{person}/remove/{way}", noroshi.ActAddPerson, false, meRemove},
	{"POST /account/{person}/remove/{way}", noroshi.ActAddPerson, false, meRemoveDo},
	{"POST /account/{person}/session", noroshi.ActAddPerson, false, meSessionEnd},
}

// account is whose account a page shows: the reader's own, or at /account that of
// the person in the path; NotFound when there is none.
func (v *visit) account() (p noroshi.Person, path string, err error) {
	id := v.r.PathValue("person")
	if id == "" {
		return v.person, "/me", nil
	}
	register, err := v.Store.Persons(v.ctx)
	if p = register.At(id, v.now); err == nil && (p.ID == "" || p.Removed) {
		err = noroshi.Errorf(noroshi.NotFound, "person.unknown", "person %q is not known here", id)
	}
	return p, "/account/" + url.PathEscape(id), err
}

// meData is an account.
type meData struct {
	Of       noroshi.Person
	Own      bool
	Path     string
	Passkeys []passkeyLine
	Sessions []sessionLine
	Tokens   []web.Token
	Asks     bool // the console asks for a second factor
	Second   bool // and the person has one
}

type passkeyLine struct {
	noroshi.Passkey
	Hex  string
	Here bool // for this address of the console
}

type sessionLine struct {
	web.Session
	Own bool
}

// me shows how a person signs in, where they are signed in, and their tokens.
func me(v *visit) error {
	p, path, err := v.account()
	if err != nil {
		return err
	}
	d := meData{Of: p, Own: p.ID == v.person.ID, Path: path, Asks: !v.SignInRules.PassphraseOnly, Second: len(p.Code) > 0 || hasPasskey(p)}
	for _, k := range p.Passkeys {
		if k.Removed.IsZero() {
			d.Passkeys = append(d.Passkeys, passkeyLine{k, hex.EncodeToString(k.ID), k.Origin == v.origin()})
		}
	}
	all, err := ask[[]web.Session](v, "session.list", web.PersonRef{Person: p.ID})
	if err != nil {
		return err
	}
	for _, s := range all {
		d.Sessions = append(d.Sessions, sessionLine{s, s.ID == v.session.ID})
	}
	if d.Tokens, err = ask[[]web.Token](v, "token.list", web.TokensRef{Person: p.ID}); err != nil {
		return err
	}
	return v.show("me", d)
}

// meSecond leads who signed in with the passphrase alone to a second factor.
func meSecond(v *visit) error {
	return v.show("me-second", struct {
		To      string
		Address bool
	}{within(v.r.FormValue("to")), v.byAddress()})
}

// hostname is the console's as the browser has it.
func (v *visit) hostname() string {
	u, err := url.Parse(v.origin())
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func (v *visit) byAddress() bool {
	_, err := netip.ParseAddr(v.hostname())
	return err == nil
}

// codeData is a new secret for a code generator, as text and as picture.
type codeData struct {
	Secret string
	Shown  string // in groups, for typing
	Link   template.URL
	Size   int
	Path   string // the dark modules of the QR code
}

var secretText = base32.StdEncoding.WithPadding(base32.NoPadding)

// meCode offers a secret, or the one that was offered when the form is shown
// again.
func meCode(v *visit) error {
	secret, ok := v.offered()
	if !ok {
		secret = noroshi.NewCodeSecret()
	}
	d := codeData{Secret: secretText.EncodeToString(secret)}
	for i := 0; i < len(d.Secret); i += 4 {
		d.Shown += d.Secret[i:i+4] + " "
	}
	d.Shown = strings.TrimSpace(d.Shown)
	issuer := "Noroshi " + string(v.Self.CallSign)
	if x := v.Realm.Exercise(); x != "" {
		issuer += " " + x
	}
	link := "otpauth://totp/" + url.PathEscape(issuer+":"+v.person.ID) + "?secret=" + d.Secret + "&issuer=" + url.PathEscape(issuer) + "&algorithm=SHA1&digits=6&period=30"
	code, err := qr.EncodeText(link, qr.Medium)
	if err != nil {
		return err
	}
	d.Link, d.Size, d.Path = template.URL(link), code.Size()+8, modules(code) // #nosec: made here of a secret, a call sign and an id
	return v.show("me-code", d)
}

// modules draws the dark modules of a QR code, a row's runs at a time, within
// the quiet zone of four modules that readers need.
func modules(code *qr.QrCode) string {
	var b strings.Builder
	for y := range code.Size() {
		for x := 0; x < code.Size(); x++ {
			from := x
			for x < code.Size() && code.Module(x, y) {
				x++
			}
			if n := x - from; n > 0 {
				b.WriteString("M" + strconv.Itoa(from+4) + " " + strconv.Itoa(y+4) + "h" + strconv.Itoa(n) + "v1h-" + strconv.Itoa(n) + "z")
			}
		}
	}
	return b.String()
}

// offered is the secret in the form.
func (v *visit) offered() ([]byte, bool) {
	secret, err := secretText.DecodeString(v.r.PostFormValue("secret"))
	return secret, err == nil && len(secret) == noroshi.CodeSecretSize
}

// meCodeAdd seals the secret under the reader's key, once a code shows that their
// generator has it.
func meCodeAdd(v *visit) error {
	if err := v.codeAdd(); err != nil {
		return v.again(err, meCode)
	}
	return v.goTo("/me", "code")
}

func (v *visit) codeAdd() error {
	secret, ok := v.offered()
	if !ok {
		return noroshi.Errorf(noroshi.Invalid, "console.secret", "the secret in the form is none")
	}
	if _, ok := noroshi.MatchCode(secret, v.r.PostFormValue("code"), v.now, 0); !ok {
		return noroshi.Errorf(noroshi.Invalid, "console.code-wrong", "the code does not fit the secret: is the clock of the generator right?")
	}
	key, err := v.unsealOwn()
	if err != nil {
		return err
	}
	defer clear(key)
	sealed, err := noroshi.SealCode(v.person.ID, key, secret)
	if err != nil {
		return err
	}
	e := partner.Enrolment{Person: v.person.ID, Number: v.person.Changes + 1, Code: sealed}
	by := noroshi.SignAct(v.person.ID, key, noroshi.ActDigest(v.Realm, v.Node, noroshi.ActEnrol, e.Person, e.Bound()))
	_, err = ask[any](v, "person.enrol", web.EnrolRef{Enrolment: e, By: by})
	return err
}

func mePasskey(v *visit) error { return v.show("me-passkey", v.byAddress()) }

// mePasskeyAdd adds the passkey that the reader's authenticator made.
func mePasskeyAdd(v *visit) error {
	if v.asking() {
		return v.askPasskey()
	}
	if err := v.passkeyAdd(); err != nil {
		return v.again(err, mePasskey)
	}
	return v.goTo("/me", "passkey")
}

func (v *visit) passkeyAdd() error {
	key, err := v.unsealOwn()
	if err != nil {
		return err
	}
	defer clear(key)
	k, err := v.madePasskey()
	if err != nil {
		return err
	}
	e := partner.Enrolment{Person: v.person.ID, Number: v.person.Changes + 1, Add: &k}
	by := noroshi.SignAct(v.person.ID, key, noroshi.ActDigest(v.Realm, v.Node, noroshi.ActEnrol, e.Person, e.Bound()))
	_, err = ask[any](v, "person.enrol", web.EnrolRef{Enrolment: e, By: by})
	return err
}

// removal is what the path says is taken away from an account: a passkey by its
// id, or "code", the code generator; NotFound where it is not there.
func (v *visit) removal() (e partner.Enrolment, name, path string, err error) {
	p, path, err := v.account()
	if err != nil {
		return e, "", "", err
	}
	e.Person, e.Number = p.ID, p.Changes+1
	gone := noroshi.Errorf(noroshi.NotFound, "passkey.unknown", "%s has no such passkey or code generator", p.ID)
	way := v.r.PathValue("way")
	if way == "code" {
		if e.NoCode = true; len(p.Code) == 0 {
			err = gone
		}
		return e, "", path, err
	}
	e.Remove, err = hex.DecodeString(way)
	k, ok := p.Passkey(e.Remove)
	if err != nil || !ok || !k.Removed.IsZero() {
		err = gone
	}
	return e, k.Name, path, err
}

func meRemove(v *visit) error {
	e, name, path, err := v.removal()
	if err != nil {
		return err
	}
	return v.show("me-remove", struct{ Of, Name, Way, Path string }{e.Person, name, v.r.PathValue("way"), path})
}

func meRemoveDo(v *visit) error {
	e, _, path, err := v.removal()
	if err != nil {
		return err
	}
	by, err := v.sign(noroshi.ActEnrol, e.Person, e.Bound())
	if err == nil {
		_, err = ask[any](v, "person.enrol", web.EnrolRef{Enrolment: e, By: by})
	}
	if err != nil {
		return v.again(err, meRemove)
	}
	return v.goTo(path, "removed")
}

func meSessionEnd(v *visit) error {
	p, path, err := v.account()
	if err != nil {
		return err
	}
	id := v.r.PostFormValue("session")
	if id == v.session.ID {
		return signout(v)
	}
	if _, err := ask[any](v, "session.end", web.SessionRef{Person: p.ID, Session: id}); err != nil {
		return err
	}
	return v.goTo(path, "session")
}
