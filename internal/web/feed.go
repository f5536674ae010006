package web

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/intake/sheet"
)

// FeedAdd is a feed to be added, as a person writes it.
type FeedAdd struct {
	Name           string         `json:"name"`
	Kind           feed.Kind      `json:"kind"`
	URL            string         `json:"url,omitempty"`
	Path           string         `json:"path,omitempty"`
	Collection     string         `json:"collection,omitempty"`
	Access         feed.Access    `json:"access,omitzero"`
	Format         string         `json:"format,omitempty"`
	Columns        *sheet.Mapping `json:"columns,omitempty"`
	Marking        string         `json:"marking,omitempty"`
	Profile        string         `json:"profile,omitempty"`
	Every          string         `json:"every"` // as time.ParseDuration reads it
	Paused         bool           `json:"paused,omitempty"`
	RevokeVanished bool           `json:"revoke_vanished,omitempty"`
}

func feedAdd(ctx context.Context, c *Call) (any, error) {
	var in FeedAdd
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if callerOf(ctx) != "" && (in.Path != "" || in.Access != (feed.Access{})) {
		return nil, noroshi.Errorf(noroshi.Refused, "feed.local", "a feed that names a folder or a file of credentials is added at the command line of the node: noroshi feed add")
	}
	every, err := time.ParseDuration(in.Every)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "feed.every", "a feed is read every minute to every 31 days, not every %v", in.Every)
	}
	return c.Feeds.Add(ctx, feed.Feed{Name: in.Name, Kind: in.Kind, URL: in.URL, Path: in.Path, Collection: in.Collection, Access: in.Access,
		Format: in.Format, Columns: in.Columns, Marking: in.Marking, Profile: in.Profile, Every: every, Paused: in.Paused, RevokeVanished: in.RevokeVanished})
}

// feedList lists the feeds; where files of the machine are is told to
// administrators, and to whoever has the data folder.
func feedList(ctx context.Context, c *Call) (any, error) {
	all, err := c.Feeds.Statuses(ctx)
	if err != nil || ownOrAdministrator(ctx, "") == nil {
		return all, err
	}
	for i := range all {
		all[i] = pathless(all[i])
	}
	return all, nil
}

// pathless is a feed without where files of the machine are: in what it names, and
// in what is said of a run that failed. What waits for a signature names none.
func pathless(s feed.Status) feed.Status {
	hide := pathsOf(s.Feed)
	s.Path, s.Access = "", feed.Access{User: s.Access.User}
	if s.State.Waiting > 0 {
		return s
	}
	s.State.Args = hidden(s.State.Args, hide)
	s.State.Cause = toldWithout(s.State.Cause, hide)
	return s
}

// pathsOf hides where the files of a feed are.
func pathsOf(f feed.Feed) *strings.Replacer {
	var pairs []string
	for _, p := range []string{f.Path, f.Access.TokenFile, f.Access.PasswordFile, f.Access.CertFile, f.Access.KeyFile, f.Access.CAFile} {
		if p != "" {
			pairs = append(pairs, p, "…")
		}
	}
	return strings.NewReplacer(pairs...)
}

// pathlessError is why a run failed, without paths for whom they are not for.
func (c *Call) pathlessError(ctx context.Context, name string, failed error) error {
	var e *noroshi.Error
	if !errors.As(failed, &e) || ownOrAdministrator(ctx, "") == nil {
		return failed // what is not told by a code, nobody outside is told
	}
	f, err := c.Feeds.Status(ctx, name)
	if err != nil {
		return err
	}
	told := noroshi.Tell(failed)
	return toldWithout(&told, pathsOf(f.Feed)).Error(e.Kind)
}

func hidden(words []string, hide *strings.Replacer) []string {
	words = slices.Clone(words)
	for i, w := range words {
		words[i] = hide.Replace(w)
	}
	return words
}

func toldWithout(t *noroshi.Told, hide *strings.Replacer) *noroshi.Told {
	if t == nil {
		return nil
	}
	return &noroshi.Told{Code: t.Code, Message: hide.Replace(t.Message), Args: hidden(t.Args, hide), Cause: toldWithout(t.Cause, hide)}
}

// FeedName names a feed.
type FeedName struct {
	Name   string          `json:"name"`
	Accept bool            `json:"accept,omitempty"` // run: let in what waits
	By     *noroshi.Signed `json:"by,omitempty"`     // who does, signed for feed.AcceptBound; nil = nobody signs
	Resume bool            `json:"resume,omitempty"` // pause: the other way
}

func feedRun(ctx context.Context, c *Call) (any, error) {
	var in FeedName
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	accept, err := c.accept(ctx, in)
	if err != nil {
		return nil, err
	}
	s, err := c.Feeds.Run(ctx, in.Name, accept)
	if err != nil && s.Waiting > 0 {
		return s, nil // it went as it should: a person is asked
	}
	return s, c.pathlessError(ctx, in.Name, err)
}

// accept says who lets in what waits, nil where nobody is asked to.
func (c *Call) accept(ctx context.Context, in FeedName) (*feed.Accept, error) {
	if !in.Accept {
		return nil, nil
	}
	if err := signedFor(ctx, in.By); err != nil {
		return nil, err
	}
	if in.By == nil {
		return &feed.Accept{}, nil
	}
	f, err := c.Feeds.Status(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	return &feed.Accept{By: *in.By}, c.signed(ctx, *in.By, noroshi.ActImport, feed.AcceptSubject(in.Name), feed.AcceptBound(f.State))
}

func feedPause(ctx context.Context, c *Call) (any, error) {
	var in FeedName
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Feeds.Pause(ctx, in.Name, !in.Resume)
}

func feedRemove(ctx context.Context, c *Call) (any, error) {
	var in FeedName
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Feeds.Remove(ctx, in.Name)
}
