package web

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

type callerKey struct{}

// WithCaller returns a context in which operations are called by a person who
// signed in or whose token was shown. Without one the caller is whoever has the
// data folder, through its socket, and what a person must sign they sign.
func WithCaller(ctx context.Context, p noroshi.Person) context.Context {
	return withCaller(ctx, p, noroshi.Caller{Person: p.ID})
}

// WithToken returns a context in which a program calls that showed a token of a
// person.
func WithToken(ctx context.Context, p noroshi.Person, t Token) context.Context {
	return withCaller(ctx, p, noroshi.Caller{Person: p.ID, Token: t.Name})
}

type sessionKey struct{}

// WithSession returns a context in which a person calls who is signed in, and from
// which session.
func WithSession(ctx context.Context, p noroshi.Person, session string) context.Context {
	return context.WithValue(WithCaller(ctx, p), sessionKey{}, session)
}

// sessionOf returns the id of the session that calls, "" for a token and for
// whoever has the folder.
func sessionOf(ctx context.Context) string {
	id, _ := ctx.Value(sessionKey{}).(string)
	return id
}

// withCaller has what is done name who called, whether or not it is signed.
func withCaller(ctx context.Context, p noroshi.Person, c noroshi.Caller) context.Context {
	return store.WithCaller(context.WithValue(ctx, callerKey{}, p), c)
}

// own refuses what is a person's own matter to everybody else who signed in.
func own(ctx context.Context, person string) error {
	if p, ok := ctx.Value(callerKey{}).(noroshi.Person); ok && p.ID != person {
		return noroshi.Errorf(noroshi.Forbidden, "person.unknown", "person %q is not known here", person)
	}
	return nil
}

// ownOrAdministrator refuses it to everybody but administrators.
func ownOrAdministrator(ctx context.Context, person string) error {
	if p, ok := ctx.Value(callerKey{}).(noroshi.Person); ok && p.Has(noroshi.Administrator) {
		return nil
	}
	return own(ctx, person)
}

// callerOf returns the id of the person who calls, "" for whoever has the folder.
func callerOf(ctx context.Context) string {
	p, _ := ctx.Value(callerKey{}).(noroshi.Person)
	return p.ID
}
