package console

import (
	"net/http"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// The JSON API on the console's address is that of the socket (package web): the
// same operations, the same form of request and answer. Here the caller is a
// person: signed in, whose requests other sites cannot make their browser send,
// or by a token, which covers what its scope says. An operation that none of
// their roles may do, or that names files of the machine, is answered like one
// that does not exist.

// caller is who calls an operation.
type caller struct {
	person  noroshi.Person
	token   *web.Token // nil = signed in
	session string     // its id, "" = by token
}

// api runs the operation of a path.
func (c *Console) api(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("op")
	who, err := c.caller(w, r)
	if err != nil {
		c.refuse(w, err)
		return
	}
	op, known := web.Ops[name]
	if !known || web.Shapes[name].Local || !who.person.May(op.Action) {
		c.refuse(w, noroshi.Errorf(noroshi.NotFound, "api.unknown", "no operation %q", name))
		return
	}
	if who.token != nil && !who.token.Covers(name, op) {
		c.refuse(w, noroshi.Errorf(noroshi.Forbidden, "token.not-covered", "the token %s does not cover %s", who.token.Name, name))
		return
	}
	ctx := web.WithSession(r.Context(), who.person, who.session)
	if who.token != nil {
		ctx = web.WithToken(r.Context(), who.person, *who.token)
	}
	web.Serve(c.Services, w, r.WithContext(ctx), name)
}

// described hands out the description of the API.
func (c *Console) described(w http.ResponseWriter, r *http.Request) {
	if _, err := c.caller(w, r); err != nil {
		c.refuse(w, err)
		return
	}
	b, err := web.OpenAPI()
	if err != nil {
		c.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

var errNobody = noroshi.Errorf(noroshi.Forbidden, "api.nobody", "nobody is signed in, and there is no token: Authorization: Bearer")

// refuse answers a request that runs no operation.
func (c *Console) refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch noroshi.CodeOf(err) {
	case "api.nobody", "token.refused":
		w.Header().Set("WWW-Authenticate", "Bearer")
		status = http.StatusUnauthorized
	case "api.unknown":
		status = http.StatusNotFound
	case "token.not-covered":
		status = http.StatusForbidden
	}
	web.Fail(c.Services, w, status, err)
}

// caller finds out who calls: by the token, where there is one, else by the
// session.
func (c *Console) caller(w http.ResponseWriter, r *http.Request) (who caller, err error) {
	v := &visit{Console: c, w: w, r: r, ctx: r.Context(), now: c.Now()}
	text, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		if err := c.recognise(v); err != nil {
			return who, err
		}
		if v.person.ID == "" {
			return who, errNobody
		}
		return caller{person: v.person, session: v.session.ID}, nil
	}
	t, p, err := c.TokenBearer(v.ctx, text)
	if noroshi.CodeOf(err) == "token.refused" { // of 130 random bits: nobody guesses one, so nobody waits
		c.Refusals.Note(v.ctx, "token", v.address(), t.Person, noroshi.CodeOf(err))
	}
	return caller{person: p, token: &t}, err
}
