package console

import (
	"strconv"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

var tokenRoutes = []Route{
	{"GET /me/token", noroshi.ActToken, false, tokenForm},
	{"POST /me/token", noroshi.ActToken, false, tokenAdd},
	{"GET /me/token/{token}", noroshi.ActToken, false, tokenRevoke},
	{"POST /me/token/{token}", noroshi.ActToken, false, tokenRevokeDo},
}

// tokenForm offers the actions that the reader's roles may do, as what a token
// may be for.
func tokenForm(v *visit) error {
	var may []noroshi.Action
	for _, a := range noroshi.PersonActions() {
		if v.person.May(a) && !signedOnly(a) {
			may = append(may, a)
		}
	}
	chosen := map[noroshi.Action]bool{noroshi.ActRead: v.r.Method == "GET"}
	for _, s := range v.r.PostForm["scope"] {
		chosen[noroshi.Action(s)] = true
	}
	return v.show("me-token", struct {
		May    []noroshi.Action
		Chosen map[noroshi.Action]bool
	}{may, chosen})
}

// signedOnly reports whether everything of an action must be signed by a person,
// or is no operation: nothing that a program does by its token alone.
func signedOnly(a noroshi.Action) bool {
	for name, op := range web.Ops {
		if op.Action == a && !op.Signed && !web.Shapes[name].Local {
			return false
		}
	}
	return true
}

// tokenAdd makes a token and shows its text, once.
func tokenAdd(v *visit) error {
	text, id := web.NewTokenText()
	days, err := strconv.Atoi(strings.TrimSpace(v.r.PostFormValue("days")))
	if err != nil {
		days = 0
	}
	now := v.now.UTC().Truncate(time.Second)
	t := web.Token{ID: id, Person: v.person.ID, Name: strings.TrimSpace(v.r.PostFormValue("name")), Scope: v.r.PostForm["scope"], Made: now, Expires: now.AddDate(0, 0, days)}
	by, err := v.sign(noroshi.ActToken, t.ID, t.Bound())
	if err == nil {
		_, err = ask[any](v, "token.add", web.TokenAdd{Token: t, By: by})
	}
	if err != nil {
		return v.again(err, tokenForm)
	}
	return v.show("me-token-made", struct {
		web.Token
		Text string
	}{t, text})
}

// token is the one in the path: of the reader, or for an administrator anybody's.
func (v *visit) token() (web.Token, error) {
	all, err := v.tokens()
	for _, t := range all {
		if t.ID == v.r.PathValue("token") {
			return t, err
		}
	}
	if err == nil {
		err = noroshi.Errorf(noroshi.NotFound, "token.unknown", "there is no such token")
	}
	return web.Token{}, err
}

func tokenRevoke(v *visit) error {
	t, err := v.token()
	if err != nil {
		return err
	}
	return v.show("me-token-revoke", t)
}

func tokenRevokeDo(v *visit) error {
	t, err := v.token()
	if err != nil {
		return err
	}
	by, err := v.sign(noroshi.ActToken, t.ID, noroshi.Hash{})
	if err == nil {
		_, err = ask[any](v, "token.revoke", web.TokenRef{ID: t.ID, By: by})
	}
	if err != nil {
		return v.again(err, tokenRevoke)
	}
	path := "/me"
	if t.Person != v.person.ID {
		path = "/account/" + t.Person
	}
	return v.goTo(path, "revoked")
}
