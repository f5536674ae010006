package main

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type feedCmd struct {
	Add    feedAddCmd    `cmd:"" help:"help.feed.add"`
	List   feedListCmd   `cmd:"" help:"help.feed.list"`
	Run    feedRunCmd    `cmd:"" help:"help.feed.run"`
	Pause  feedPauseCmd  `cmd:"" help:"help.feed.pause"`
	Resume feedResumeCmd `cmd:"" help:"help.feed.resume"`
	Remove feedRemoveCmd `cmd:"" help:"help.feed.remove"`
}

type feedAddCmd struct {
	Name           string   `arg:"" placeholder:"NAME" help:"help.feed.name"`
	Kind           string   `required:"" placeholder:"taxii|misp|https|folder" help:"help.feed.kind"`
	URL            string   `name:"url" placeholder:"URL" help:"help.feed.url"`
	Path           string   `placeholder:"DIR" help:"help.feed.path"`
	Collection     string   `placeholder:"ID" help:"help.feed.collection"`
	Every          string   `default:"1h" placeholder:"TIME" help:"help.feed.every"`
	Marking        string   `placeholder:"TLP" help:"help.feed.marking"`
	Profile        string   `placeholder:"NAME" help:"help.feed.profile"`
	Format         string   `placeholder:"FORMAT" help:"help.feed.format"`
	Columns        []string `sep:"," placeholder:"FIELD=COLUMN" help:"help.import-columns"`
	Mapping        string   `placeholder:"FILE" help:"help.import-mapping"`
	RevokeVanished bool     `help:"help.feed.revoke-vanished"`
	Paused         bool     `help:"help.feed.paused"`
	TokenFile      string   `placeholder:"FILE" help:"help.feed.token-file"`
	User           string   `placeholder:"USER" help:"help.feed.user"`
	PasswordFile   string   `placeholder:"FILE" help:"help.feed.password-file"`
	Cert           string   `placeholder:"FILE" help:"help.feed.cert"`
	Key            string   `placeholder:"FILE" help:"help.feed.key"`
	CA             string   `name:"ca" placeholder:"FILE" help:"help.feed.ca"`
}

// Run adds a feed; a running node reads it at once.
func (x *feedAddCmd) Run(c *cli) error {
	in := web.FeedAdd{Name: x.Name, Kind: feed.Kind(x.Kind), URL: x.URL, Path: x.Path, Collection: x.Collection, Every: x.Every, Format: x.Format,
		Marking: x.Marking, Profile: x.Profile, Paused: x.Paused, RevokeVanished: x.RevokeVanished,
		Access: feed.Access{TokenFile: x.TokenFile, User: x.User, PasswordFile: x.PasswordFile, CertFile: x.Cert, KeyFile: x.Key, CAFile: x.CA}}
	var err error
	if in.Columns, err = (tableFlags{Columns: x.Columns, Mapping: x.Mapping}).mapping(); err != nil {
		return err
	}
	a := &in.Access
	for _, path := range []*string{&in.Path, &a.TokenFile, &a.PasswordFile, &a.CertFile, &a.KeyFile, &a.CAFile} {
		if *path != "" {
			if *path, err = filepath.Abs(*path); err != nil {
				return err
			}
		}
	}
	return c.call("feed.add", in, nil)
}

type feedListCmd struct{}

// Run shows each feed and how it stands.
func (x *feedListCmd) Run(c *cli) error {
	var rows []feed.Status
	if err := c.call("feed.list", nil, &rows); err != nil {
		return err
	}
	type row = feed.Status
	return list(c, rows,
		column[row]{"name", func(r row) string { return r.Name }},
		column[row]{"kind", func(r row) string { return string(r.Kind) }},
		column[row]{"read-from", func(r row) string { return feedPlace(r) }},
		column[row]{"every", func(r row) string { return shortTime(r.Every) }},
		column[row]{"state", func(r row) string { return feedState(c, r) }},
		column[row]{"last-good", func(r row) string { return timeOrDash(r.State.Good) }},
		column[row]{"next-read", func(r row) string { return timeOrDash(r.Due) }},
		column[row]{"text", func(r row) string { return feedWhy(c, r.State) }})
}

func feedPlace(f feed.Status) string {
	return strings.TrimSpace(f.URL + f.Path + " " + f.Collection)
}

// shortTime is a duration without its zero parts: 1h for 1h0m0s.
func shortTime(d time.Duration) string {
	s := strings.TrimSuffix(d.String(), "0s")
	if s, ok := strings.CutSuffix(s, "h0m"); ok {
		return s + "h"
	}
	if s == "" || strings.HasSuffix(s, "0s") {
		return d.String()
	}
	return s
}

func timeOrDash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// feedState is how a feed stands in one word.
func feedState(c *cli, f feed.Status) string {
	switch {
	case f.Reading:
		return c.word("feed.reading")
	case f.State.Waiting > 0:
		return c.word("feed.waits")
	case f.State.Failures > 0 && f.Silent:
		return c.word("feed.silent")
	case f.State.Failures > 0:
		return c.word("feed.failing")
	case f.Paused:
		return c.word("feed.paused")
	case f.Silent:
		return c.word("feed.silent")
	case f.State.Ended.Before(f.State.Started):
		return c.word("feed.broke-off")
	case f.State.Good.IsZero():
		return c.word("feed.new")
	}
	return c.word("feed.good")
}

// feedWhy says why a feed's last run did not go well; "" when it did.
func feedWhy(c *cli, s feed.State) string {
	if s.Code == "" {
		return ""
	}
	why := s.Code
	if !c.forScripts() && locale.Has("error."+s.Code) {
		why = c.errorText(noroshi.Told{Code: s.Code, Args: s.Args, Cause: s.Cause}.Error(noroshi.Other))
	}
	if s.Waiting > 0 && !c.forScripts() {
		return c.t("cli.feed-waits", n(s.Waiting), why)
	}
	return why
}

type feedRunCmd struct {
	Name   string `arg:"" placeholder:"NAME" help:"help.feed.name"`
	Accept bool   `help:"help.feed.accept"`

	As             string `placeholder:"PERSON" help:"help.feed.as"`
	PassphraseFile string `placeholder:"FILE" help:"help.passphrase-file"`
}

// Run reads a feed now and prints what came of it; exit code 8 where it waits
// for a person.
func (x *feedRunCmd) Run(c *cli) error {
	in := web.FeedName{Name: x.Name, Accept: x.Accept}
	if err := x.sign(c, &in); err != nil {
		return err
	}
	var s feed.State
	if err := c.call("feed.run", in, &s); err != nil {
		return err
	}
	if s.Waiting > 0 {
		if err := one(c, s, [2]string{"waiting", n(s.Waiting)}, [2]string{"text", feedWhy(c, s)}); err != nil {
			return err
		}
		c.say("cli.feed-accept", x.Name)
		return errPartly
	}
	r := s.Read
	return one(c, s, [2]string{"new", n(r.New)}, [2]string{"unchanged", n(r.Unchanged)}, [2]string{"quarantined", n(r.Quarantined)}, [2]string{"vanished", c.some(r.Vanished)})
}

// sign has a person sign for what waits, when one is named.
func (x *feedRunCmd) sign(c *cli, in *web.FeedName) error {
	if x.As == "" {
		return nil
	}
	if !x.Accept {
		return noroshi.Errorf(noroshi.Invalid, "feed.as", "nothing is signed for without --accept")
	}
	var all []feed.Status
	if err := c.call("feed.list", nil, &all); err != nil {
		return err
	}
	for _, f := range all {
		if f.Name == x.Name {
			by, err := asPerson{x.As, x.PassphraseFile}.sign(c, noroshi.ActImport, feed.AcceptSubject(x.Name), feed.AcceptBound(f.State))
			in.By = &by
			return err
		}
	}
	return nil // the node says that there is none
}

type feedPauseCmd struct {
	Name string `arg:"" placeholder:"NAME" help:"help.feed.name"`
}

func (x *feedPauseCmd) Run(c *cli) error {
	return c.call("feed.pause", web.FeedName{Name: x.Name}, nil)
}

type feedResumeCmd struct {
	Name string `arg:"" placeholder:"NAME" help:"help.feed.name"`
}

func (x *feedResumeCmd) Run(c *cli) error {
	return c.call("feed.pause", web.FeedName{Name: x.Name, Resume: true}, nil)
}

type feedRemoveCmd struct {
	Name string `arg:"" placeholder:"NAME" help:"help.feed.name"`
}

func (x *feedRemoveCmd) Run(c *cli) error {
	return c.call("feed.remove", web.FeedName{Name: x.Name}, nil)
}

// feedLine says in one line how a feed stands.
func feedLine(c *cli, f feed.Status) string {
	shape := "●"
	if f.State.Waiting > 0 || f.Silent || f.State.Failures > 0 {
		shape = "▲"
	}
	parts := []string{shape + " " + f.Name, string(f.Kind), feedState(c, f), c.line("feed.last-good", timeOrDash(f.State.Good))}
	if why := feedWhy(c, f.State); why != "" {
		parts = append(parts, why)
	}
	return strings.Join(parts, " · ")
}
