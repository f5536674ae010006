package main

import (
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type tokenCmd struct {
	Add    tokenAddCmd    `cmd:"" help:"help.token-add"`
	List   tokenListCmd   `cmd:"" help:"help.token-list"`
	Revoke tokenRevokeCmd `cmd:"" help:"help.token-revoke"`
}

type tokenAddCmd struct {
	Name  string   `arg:"" help:"help.token-name"`
	Scope []string `required:"" placeholder:"OPERATION" help:"help.token-scope"`
	Days  int      `default:"90" help:"help.token-days"`
	asPerson
}

// newToken is a token as it is shown, once.
type newToken struct {
	Name    string `json:"name"`
	Expires string `json:"expires"`
	Token   string `json:"token"`
}

// Run draws a token here and hands the node its hash.
func (x *tokenAddCmd) Run(c *cli) error {
	text, id := web.NewTokenText()
	now := time.Now().UTC().Truncate(time.Second)
	t := web.Token{ID: id, Person: x.As, Name: x.Name, Scope: x.Scope, Made: now, Expires: now.AddDate(0, 0, x.Days)}
	by, err := x.sign(c, noroshi.ActToken, t.ID, t.Bound())
	if err != nil {
		return err
	}
	if err := c.call("token.add", web.TokenAdd{Token: t, By: by}, nil); err != nil {
		return err
	}
	return one(c, newToken{t.Name, utc(t.Expires), text}, [2]string{"name", t.Name}, [2]string{"until", utc(t.Expires)}, [2]string{"token", text})
}

type tokenListCmd struct {
	Of string `placeholder:"PERSON" help:"help.token-of"`
}

func (x *tokenListCmd) Run(c *cli) error {
	var rows []web.Token
	if err := c.call("token.list", web.TokensRef{Person: x.Of}, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[web.Token]{"id", func(t web.Token) string { return t.ID[:12] }},
		column[web.Token]{"person", func(t web.Token) string { return t.Person }},
		column[web.Token]{"name", func(t web.Token) string { return t.Name }},
		column[web.Token]{"covers", func(t web.Token) string { return strings.Join(t.Scope, " ") }},
		column[web.Token]{"until", func(t web.Token) string { return utc(t.Expires) }})
}

type tokenRevokeCmd struct {
	ID string `arg:"" help:"help.token-id"`
	asPerson
}

// Run revokes a token, which may be named by the beginning of its id.
func (x *tokenRevokeCmd) Run(c *cli) error {
	var rows []web.Token
	if err := c.call("token.list", web.TokensRef{}, &rows); err != nil {
		return err
	}
	id := ""
	for _, t := range rows {
		if strings.HasPrefix(t.ID, x.ID) && len(x.ID) >= 8 {
			id = t.ID
		}
	}
	if id == "" {
		return noroshi.Errorf(noroshi.NotFound, "token.unknown", "there is no such token")
	}
	by, err := x.sign(c, noroshi.ActToken, id, noroshi.Hash{})
	if err != nil {
		return err
	}
	return c.call("token.revoke", web.TokenRef{ID: id, By: by}, nil)
}
