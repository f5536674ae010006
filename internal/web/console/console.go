// Package console is the screens of a node: HTML that the server writes, in the
// reader's language, for whoever is signed in. It decides nothing: each page and
// each form is an operation of web.Ops, asked through web.Invoke like a command,
// after noroshi.May said that one of the person's roles may.
//
// Every page works without JavaScript as plain links and forms. With it, one
// stream of events (GET /live) says which parts of a page are out of date, and
// the page fetches those.
//
// What a person may not know looks to them exactly like what does not exist.
package console

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// Console serves the screens of one realm of one node.
type Console struct {
	*web.Services

	views  func() views // parsed when the first page is asked for
	idle   *idle
	hub    hub
	shared shared
	tries  tries

	uploads    uploads
	signOn     *SignOn // nil = none
	challenges *challenges
	unsealing  chan struct{} // one place for each passphrase that is tried
	pages      http.Handler
	stopping   context.Context // ends when the node stops, and live streams with it
}

// New returns the console over a node's services, to which persons may also sign
// in through a sign-on server, unless that is nil. Its streams end with ctx.
func New(ctx context.Context, s *web.Services, on *SignOn) *Console {
	c := &Console{Services: s, views: sync.OnceValue(func() views { return parse(s.Now) }), idle: newIdle(s.SignInRules), tries: tries{wrong: map[string]wrong{}},
		signOn: on, challenges: newChallenges(), unsealing: make(chan struct{}, unseals), stopping: ctx,
		uploads: uploads{scratch: s.Scratch, by: map[string]*upload{}}}
	c.hub.c = c
	mux := http.NewServeMux()
	for _, r := range Routes() {
		mux.HandleFunc(r.Pattern, c.serve(r))
	}
	mux.HandleFunc("GET /static/{file}", static)
	mux.HandleFunc("POST /api/v1/{op}", c.api)
	mux.HandleFunc("GET /api/v1/openapi.json", c.described)
	mux.HandleFunc("/", c.serve(Route{Serve: nowhere})) // an action that no role may do: answered where all of those are
	c.pages = mux
	return c
}

// Handler returns the whole console: headers that forbid everything but our own
// files, the check against requests that other sites make a browser send, answers
// packed for their way, and the pages.
func (c *Console) Handler() http.Handler {
	return paced(secured(http.NewCrossOriginProtection().Handler(packed(c.pages))))
}

// policy is the Content-Security-Policy of every answer: nothing inline, nothing
// from elsewhere, no frame around a page, and no text that becomes HTML but by the
// one policy of static/js/00-trusted.js.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types noroshi"

func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Strict-Transport-Security", "max-age=31536000")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// Route is one address of the console.
type Route struct {
	Pattern string         // of http.ServeMux
	Action  noroshi.Action // what it does, in the words of the role table: who may not, is told that there is nothing
	Open    bool           // also for who is not signed in
	Serve   func(*visit) error
}

// Routes lists every address: the frame's, then one screen after the other in
// the order of the rail.
func Routes() []Route {
	return slices.Concat(frameRoutes, pictureRoutes, warningRoutes, indicatorRoutes, translateRoutes, releaseRoutes, partnerRoutes, auditRoutes, settingRoutes, inviteRoutes, meRoutes, tokenRoutes, firstRoutes, oidcRoutes)
}

var frameRoutes = []Route{
	{"GET /signin", "", true, signinForm},
	{"POST /signin", "", true, signin},
	{"POST /signout", noroshi.ActRead, false, signout},
	{"POST /prefer", "", true, prefer},
	{"GET /stay", noroshi.ActRead, false, stay},
	{"GET /live", noroshi.ActRead, false, live},
	{"GET /rail", noroshi.ActRead, false, railAlone},
	{"GET /help", noroshi.ActRead, false, help},
}

// serve is what happens around every page: who is it, may they, and what they
// are told when it fails.
func (c *Console) serve(route Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		v, err := c.visit(w, r)
		switch {
		case err != nil:
		case v.person.ID == "" && !route.Open:
			err = toSignin(v)
		case !route.Open && !v.person.May(route.Action):
			err = nowhere(v)
		default:
			if err = v.read(body, files[route.Pattern]); err == nil {
				err = route.Serve(v)
			}
		}
		if err != nil {
			v.fail(err)
		}
	}
}
