package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync/atomic"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// SignOn is a sign-on server of the organisation (OpenID Connect Core 1.0, code
// flow with PKCE): it says who somebody is, and an administrator has said which
// person that is. It signs in and no more: acts are signed with the person's own
// key, which it does not have.
type SignOn struct {
	Issuer string       // its URL
	Client string       // client id it knows the console by
	Secret string       // of the client
	Name   string       // what the button calls it
	HTTP   *http.Client // reaches its hosts alone

	provider atomic.Pointer[oidc.Provider] // once it was reached
	asking   atomic.Bool                   // it is being reached
	vouching atomic.Int32                  // how many codes are just being exchanged
}

// maxVouching bounds how many codes are exchanged at a time: whoever comes to the
// console can bring one that is none.
const maxVouching = 8

var errSignOnBusy = noroshi.Errorf(noroshi.Busy, "console.oidc-busy", "the sign-on server is being asked: try again in some seconds")

// found returns the server's description, asked for once it is needed: a node
// starts without it. While one visit asks, which takes as long as the server lets
// it wait, the others are told so and do not wait too.
func (s *SignOn) found(ctx context.Context) (*oidc.Provider, error) {
	if p := s.provider.Load(); p != nil {
		return p, nil
	}
	if !s.asking.CompareAndSwap(false, true) {
		return nil, errSignOnBusy
	}
	defer s.asking.Store(false)
	p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), s.HTTP), s.Issuer)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Busy, "console.oidc-away", "the sign-on server cannot be asked: %w", err)
	}
	s.provider.Store(p)
	return p, nil
}

func (s *SignOn) flow(p *oidc.Provider, origin string) *oauth2.Config {
	return &oauth2.Config{ClientID: s.Client, ClientSecret: s.Secret, Endpoint: p.Endpoint(), RedirectURL: origin + "/oidc/back", Scopes: []string{oidc.ScopeOpenID}}
}

var oidcRoutes = []Route{
	{"GET /oidc", "", true, oidcBegin},
	{"GET /oidc/back", "", true, oidcBack},
}

// oidcTrip is what the browser keeps while the person is at the sign-on server.
type oidcTrip struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"` // of challenges: ends, and is good once
	Verifier string `json:"verifier"`
	To       string `json:"to"`
}

// SignOnName is what the button of the sign-on server says, "" when there is none.
func (p page) SignOnName() string {
	if p.visit.signOn == nil {
		return ""
	}
	return p.visit.signOn.Name
}

// oidcBegin sends the browser to the sign-on server.
func oidcBegin(v *visit) error {
	if v.signOn == nil {
		return nowhere(v)
	}
	provider, err := v.signOn.found(v.ctx)
	if err != nil {
		return v.again(err, signinForm)
	}
	trip := oidcTrip{rand.Text(), v.challenges.ask(v.now), oauth2.GenerateVerifier(), within(v.r.FormValue("to"))}
	b, err := json.Marshal(trip)
	if err != nil {
		return err
	}
	v.keepTrip(base64.RawURLEncoding.EncodeToString(b), int(challengeLasts.Seconds()))
	to := v.signOn.flow(provider, v.origin()).AuthCodeURL(trip.State, oidc.Nonce(trip.Nonce), oauth2.S256ChallengeOption(trip.Verifier))
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// keepTrip sets the cookie of a trip. It is Lax, since the sign-on server sends
// the browser back here.
func (v *visit) keepTrip(value string, age int) {
	http.SetCookie(v.w, &http.Cookie{Name: v.cookie(oidcCookie), Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: age})
}

// oidcBack takes the browser back. It answers with a page that goes on by itself:
// a redirect would still count as coming from elsewhere, and the session's cookie
// is for our own pages alone.
func oidcBack(v *visit) error {
	if v.signOn == nil {
		return nowhere(v)
	}
	trip, ok := v.trip()
	v.keepTrip("", -1)
	if !ok || subtle.ConstantTimeCompare([]byte(trip.State), []byte(v.r.FormValue("state"))) != 1 || !v.challenges.good(trip.Nonce, v.now) {
		return v.again(errTrip, signinForm)
	}
	p, err := v.broughtBack(trip)
	if err != nil {
		return v.again(err, signinForm)
	}
	e := entrance{person: p, way: wayOIDC}
	if err := v.remember(&e); err != nil {
		return err
	}
	if err := v.begin(p.ID, e.way, e.in); err != nil {
		return err
	}
	return v.show("oidc-back", trip.To)
}

// broughtBack returns who comes back from a trip. Only a trip that the server
// vouched for is noted as taken, so that nobody fills that list who is not signed
// in; and who brings codes that are none waits like who guesses.
func (v *visit) broughtBack(trip oidcTrip) (p noroshi.Person, err error) {
	x := trying{address: "sign-on " + v.network()}
	if err := v.mayTry(x); err != nil {
		return p, err
	}
	if v.signOn.vouching.Add(1) > maxVouching {
		v.signOn.vouching.Add(-1)
		return p, errSignOnBusy
	}
	p, err = v.vouched(trip)
	v.signOn.vouching.Add(-1)
	if err == nil && !v.challenges.take(trip.Nonce, v.now) {
		err = errTrip
	}
	if noroshi.KindOf(err) == noroshi.Forbidden {
		v.tries.failed(x, v.now)
	}
	if err != nil {
		v.Refusals.Note(v.ctx, "sign-in", v.address(), "?", noroshi.CodeOf(err))
	}
	return p, err
}

var errTrip = noroshi.Errorf(noroshi.Forbidden, "console.oidc-trip", "this sign-on was not begun here, or took too long")

func (v *visit) trip() (t oidcTrip, ok bool) {
	k, err := v.r.Cookie(v.cookie(oidcCookie))
	if err != nil {
		return t, false
	}
	b, err := base64.RawURLEncoding.DecodeString(k.Value)
	return t, err == nil && json.Unmarshal(b, &t) == nil && t.State != "" && t.Nonce != ""
}

// vouched returns the person whom the sign-on server vouches for.
func (v *visit) vouched(trip oidcTrip) (p noroshi.Person, err error) {
	refused := func(err error) error {
		return noroshi.Errorf(noroshi.Forbidden, "console.oidc-refused", "the sign-on server's answer is not good: %w", err)
	}
	provider, err := v.signOn.found(v.ctx)
	if err != nil {
		return p, err
	}
	ctx := oidc.ClientContext(v.ctx, v.signOn.HTTP)
	token, err := v.signOn.flow(provider, v.origin()).Exchange(ctx, v.r.FormValue("code"), oauth2.VerifierOption(trip.Verifier))
	if err != nil {
		return p, refused(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: v.signOn.Client, Now: v.Now}).Verify(ctx, raw)
	if err != nil {
		return p, refused(err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(trip.Nonce)) != 1 {
		return p, refused(errTrip)
	}
	register, err := v.Store.Persons(v.ctx)
	if err != nil {
		return p, err
	}
	for _, p := range register {
		if !p.Removed && p.SignOn == web.SignOnSubject(id.Issuer, id.Subject) {
			return p, nil
		}
	}
	return p, noroshi.Errorf(noroshi.Forbidden, "console.oidc-nobody", "no person here is linked to %s", id.Subject)
}
