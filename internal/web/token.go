package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// A token lets a program call operations as a person, within a scope and until a
// day. Whoever makes one draws its text and hands the node its hash, so that the
// text is nowhere but with the program. It signs nothing: what a person must sign
// the program brings signed.
const docToken = "token" // key: Token.ID

// Bounds of tokens.
const (
	tokenMark    = "noroshi_" // how the text of each begins: scanners of code find it
	maxTokens    = 32         // of a person, that are good
	maxTokenLife = 366 * 24 * time.Hour
	maxScope     = 64
	maxTokenName = 64
)

// Token is one, as the node keeps it.
type Token struct {
	ID      string    `json:"id"` // hash of its text, hex
	Person  string    `json:"person"`
	Name    string    `json:"name"`
	Scope   []string  `json:"scope"` // operations such as "warning.list", and actions such as "read" for all their operations
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
	Revoked time.Time `json:"revoked,omitzero"`
}

// NewTokenText draws the text of a token and returns it with its id.
func NewTokenText() (text, id string) {
	text = tokenMark + strings.ToLower(rand.Text())
	return text, tokenID(text)
}

func tokenID(text string) string { return noroshi.Sum([]byte(text)).String() }

// Bound is what the signature over a new token covers beside its id.
func (t Token) Bound() noroshi.Hash {
	b, _ := json.Marshal(t) // strings and times: cannot fail
	return noroshi.Sum(b)
}

// Good reports whether a token may be used.
func (t Token) Good(now time.Time) bool { return t.Revoked.IsZero() && now.Before(t.Expires) }

// Covers reports whether an operation is within the token's scope: by its name,
// or by its action where the operation's shape does not say otherwise.
func (t Token) Covers(name string, op Op) bool {
	switch shape := Shapes[name]; {
	case shape.Own:
		return false
	case shape.Named:
		return slices.Contains(t.Scope, name)
	}
	return slices.Contains(t.Scope, name) || slices.Contains(t.Scope, string(op.Action))
}

// valid says what is wrong with a new token.
func (t Token) valid(now time.Time) error {
	switch {
	case len(t.ID) != 2*len(noroshi.Hash{}) || !t.Revoked.IsZero() || t.Made.After(now.Add(time.Minute)):
		return noroshi.Errorf(noroshi.Invalid, "token.invalid", "a token has the hash of its text, and was made now")
	case strings.TrimSpace(t.Name) == "" || len(t.Name) > maxTokenName:
		return noroshi.Errorf(noroshi.Invalid, "token.name", "a token needs a name of at most %d bytes", maxTokenName)
	case !t.Expires.After(now) || t.Expires.After(now.Add(maxTokenLife)):
		return noroshi.Errorf(noroshi.Invalid, "token.expires", "a token ends within %d days from now", int(maxTokenLife.Hours()/24))
	case len(t.Scope) == 0 || len(t.Scope) > maxScope:
		return noroshi.Errorf(noroshi.Invalid, "token.scope-empty", "a token has a scope of 1 to %d operations or actions", maxScope)
	}
	for _, s := range t.Scope {
		if _, ok := Shapes[s]; !ok && !slices.Contains(noroshi.PersonActions(), noroshi.Action(s)) {
			return noroshi.Errorf(noroshi.Invalid, "token.scope", "%q is no operation and no action of a person", s)
		}
	}
	return nil
}

// TokenAdd carries a new token and the signature of its person over ActToken on
// the token's id, bound to its Bound.
type TokenAdd struct {
	Token Token          `json:"token"`
	By    noroshi.Signed `json:"by"`
}

func tokenAdd(ctx context.Context, c *Call) (any, error) {
	var in TokenAdd
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	t := in.Token
	if err := t.valid(c.Now()); err != nil {
		return nil, err
	}
	if in.By.Person != t.Person {
		return nil, noroshi.Errorf(noroshi.Forbidden, "token.own", "a token of %s is made by themself", t.Person)
	}
	return nil, c.keepToken(ctx, t, in.By, t.Bound(), func(all map[string]Token) error {
		n := 0
		for _, other := range all {
			switch {
			case other.ID == t.ID, other.Person == t.Person && other.Name == t.Name && other.Good(c.Now()):
				return noroshi.Errorf(noroshi.Conflict, "token.exists", "%s has a token %q already", t.Person, t.Name)
			case other.Person == t.Person && other.Good(c.Now()):
				n++
			}
		}
		if n >= maxTokens {
			return noroshi.Errorf(noroshi.Refused, "token.too-many", "%s has %d tokens already: revoke one first", t.Person, n)
		}
		return nil
	})
}

// keepToken checks who signed for a token and keeps it.
func (c *Call) keepToken(ctx context.Context, t Token, by noroshi.Signed, bound noroshi.Hash, fits func(map[string]Token) error) error {
	act := noroshi.Act{Action: noroshi.ActToken, Persons: []noroshi.Signed{by}, Subject: t.Person + " " + t.Name, Precedence: noroshi.Immediate}
	_, err := c.Store.Do(ctx, act, func(tx *store.Tx) error {
		register, err := tx.Persons(ctx)
		if err != nil {
			return err
		}
		digest := noroshi.ActDigest(c.Realm, c.Node, noroshi.ActToken, t.ID, bound)
		if err := register.At(by.Person, c.Now()).Check(by, noroshi.ActToken, digest); err != nil {
			return err
		}
		all, err := store.DocsOf[Token](ctx, tx.Reads, docToken)
		if err != nil {
			return err
		}
		if err := fits(all); err != nil {
			return err
		}
		return tx.PutJSON(docToken, t.ID, t)
	})
	return err
}

// TokenRef names a token and carries the signature over ActToken on its id, of
// its person or an administrator.
type TokenRef struct {
	ID string         `json:"id"`
	By noroshi.Signed `json:"by"`
}

func tokenRevoke(ctx context.Context, c *Call) (any, error) {
	var in TokenRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	register, err := c.Store.Persons(ctx)
	if err != nil {
		return nil, err
	}
	t, err := store.DocOrZero[Token](ctx, c.Store.Reads, docToken, in.ID)
	switch {
	case err != nil:
		return nil, err
	case t.ID == "" || !t.Revoked.IsZero() || in.By.Person != t.Person && !register[in.By.Person].Has(noroshi.Administrator):
		return nil, noroshi.Errorf(noroshi.NotFound, "token.unknown", "there is no such token")
	}
	t.Revoked = c.Now().UTC()
	return nil, c.keepToken(ctx, t, in.By, noroshi.Hash{}, func(map[string]Token) error { return nil })
}

// TokensRef asks for the tokens of a person, of everybody where none is named.
type TokensRef struct {
	Person string `json:"person,omitempty"`
}

func tokenList(ctx context.Context, c *Call) (any, error) {
	var in TokensRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if err := ownOrAdministrator(ctx, in.Person); err != nil {
		return nil, err
	}
	all, err := store.DocsOf[Token](ctx, c.Store.Reads, docToken)
	rows := []Token{}
	for _, t := range all {
		if (in.Person == "" || in.Person == t.Person) && t.Good(c.Now()) {
			rows = append(rows, t)
		}
	}
	slices.SortFunc(rows, func(a, b Token) int {
		return cmp.Or(strings.Compare(a.Person, b.Person), strings.Compare(a.Name, b.Name))
	})
	return rows, err
}

// TokenBearer returns the token with a text and its person with the roles they
// have now; Forbidden when it is none, or no more.
func (s *Services) TokenBearer(ctx context.Context, text string) (Token, noroshi.Person, error) {
	no := noroshi.Errorf(noroshi.Forbidden, "token.refused", "this token is not known here, or is no more")
	if !strings.HasPrefix(text, tokenMark) || len(text) > 64 {
		return Token{}, noroshi.Person{}, no
	}
	t, err := store.DocOrZero[Token](ctx, s.Store.Reads, docToken, tokenID(text))
	if err != nil {
		return t, noroshi.Person{}, err
	}
	if t.ID == "" || !t.Good(s.Now()) {
		return t, noroshi.Person{}, no
	}
	p, err := s.person(ctx, t.Person)
	if noroshi.KindOf(err) == noroshi.Forbidden {
		err = no
	}
	return t, p, err
}
