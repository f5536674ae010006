package console

import (
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/web"
)

var feedRoutes = []Route{
	{"GET /settings/feeds", noroshi.ActRead, false, feeds},
	{"GET /settings/feeds/new", noroshi.ActConfigure, false, feedNew},
	{"POST /settings/feeds", noroshi.ActConfigure, false, feedAdd},
	{"GET /settings/feeds/{feed}", noroshi.ActRead, false, feedShow},
	{"POST /settings/feeds/{feed}/run", noroshi.ActImport, false, feedRun},
	{"POST /settings/feeds/{feed}/accept", noroshi.ActImport, false, feedAccept},
	{"POST /settings/feeds/{feed}/pause", noroshi.ActConfigure, false, feedPause},
	{"POST /settings/feeds/{feed}/remove", noroshi.ActConfigure, false, feedRemove},
}

// feedLine is a feed and how it stands.
type feedLine struct {
	feed.Status
	Shape, Word string
	From        string // where it is read
	Why         string // why its last run did not go well, or waits
	Path        string
}

func (v *visit) feedLines() (list []feedLine, err error) {
	all, err := ask[[]feed.Status](v, "feed.list", struct{}{})
	for _, f := range all {
		list = append(list, v.feedLine(f))
	}
	return list, err
}

func (v *visit) feedLine(f feed.Status) feedLine {
	l := feedLine{Status: f, From: strings.TrimSpace(f.URL + f.Feed.Path + " " + f.Collection), Path: "/settings/feeds/" + f.Name}
	if l.From == "" { // a folder, which administrators alone are told
		l.From = v.t("console.feed.kind." + string(f.Kind))
	}
	word := ""
	l.Shape, word = feedState(f)
	l.Word = v.t("feed." + word)
	if s := f.State; s.Code != "" {
		l.Why = v.toldText(noroshi.Told{Code: s.Code, Message: s.Code, Args: s.Args, Cause: s.Cause})
	}
	return l
}

// feedState is how a feed stands, as a shape and as the end of a word's key.
func feedState(f feed.Status) (shape, word string) {
	switch {
	case f.Reading:
		return "stby", "reading"
	case f.State.Waiting > 0:
		return "cau", "waits"
	case f.Silent && (f.State.Failures > 0 || !f.Paused):
		return "crit", "silent"
	case f.State.Failures > 0:
		return "cau", "failing"
	case f.Paused:
		return "off", "paused"
	case f.State.Ended.Before(f.State.Started):
		return "cau", "broke-off"
	case f.State.Good.IsZero():
		return "off", "new"
	}
	return "ok", "good"
}

func feeds(v *visit) error {
	list, err := v.feedLines()
	if err != nil {
		return err
	}
	return v.show("settings-feeds", list)
}

func feedShow(v *visit) error {
	list, err := v.feedLines()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(f feedLine) bool { return f.Name == v.r.PathValue("feed") })
	if i < 0 {
		return nowhere(v)
	}
	return v.show("settings-feed", list[i])
}

func feedNew(v *visit) error {
	return v.show("settings-feed-new", feedForm{Kinds: []feed.Kind{feed.TAXII, feed.MISP, feed.HTTPS}})
}

// feedForm has what can be chosen in the form of a new feed. What names files of
// the machine is no part of it: the command line adds that.
type feedForm struct{ Kinds []feed.Kind }

func feedAdd(v *visit) error {
	p := func(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }
	in := web.FeedAdd{Name: p("name"), Kind: feed.Kind(p("kind")), URL: p("url"), Collection: p("collection"), Every: p("every"),
		Format: p("format"), Marking: p("marking"), Profile: p("profile"), Paused: p("paused") != "", RevokeVanished: p("revoke-vanished") != ""}
	if _, err := ask[feed.Feed](v, "feed.add", in); err != nil {
		return v.again(err, feedNew)
	}
	return v.goTo("/settings/feeds", "feed-added")
}

// feedRun reads a feed now. What does not go well stands with the feed.
func feedRun(v *visit) error {
	name := v.r.PathValue("feed")
	s, err := ask[feed.State](v, "feed.run", web.FeedName{Name: name})
	if err != nil {
		return v.again(err, feedShow)
	}
	if s.Waiting > 0 {
		return v.goTo("/settings/feeds/"+name, "feed-waits")
	}
	return v.goTo("/settings/feeds/"+name, "feed-read")
}

// feedAccept lets in what waits: the person signs for what they were told of it.
func feedAccept(v *visit) error {
	name := v.r.PathValue("feed")
	list, err := v.feedLines()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(f feedLine) bool { return f.Name == name })
	if i < 0 {
		return nowhere(v)
	}
	if bound := feed.AcceptBound(list[i].State); v.r.PostFormValue("bound") != bound.String() {
		return v.again(noroshi.Errorf(noroshi.Conflict, "console.settings-feed-changed", "the feed was read again meanwhile: look at it once more"), feedShow)
	}
	by, err := v.sign(noroshi.ActImport, feed.AcceptSubject(name), feed.AcceptBound(list[i].State))
	if err != nil {
		return v.again(err, feedShow)
	}
	if _, err := ask[feed.State](v, "feed.run", web.FeedName{Name: name, Accept: true, By: &by}); err != nil {
		return v.again(err, feedShow)
	}
	return v.goTo("/settings/feeds/"+name, "feed-read")
}

// Bound is what the signature of who lets in what waits is bound to.
func (f feedLine) Bound() string { return feed.AcceptBound(f.State).String() }

func feedPause(v *visit) error {
	resume := v.r.PostFormValue("resume") != ""
	if _, err := ask[any](v, "feed.pause", web.FeedName{Name: v.r.PathValue("feed"), Resume: resume}); err != nil {
		return v.again(err, feedShow)
	}
	said := "feed-paused"
	if resume {
		said = "feed-resumed"
	}
	return v.goTo("/settings/feeds/"+v.r.PathValue("feed"), said)
}

func feedRemove(v *visit) error {
	if _, err := ask[any](v, "feed.remove", web.FeedName{Name: v.r.PathValue("feed")}); err != nil {
		return v.again(err, feedShow)
	}
	return v.goTo("/settings/feeds", "feed-removed")
}

// Often is how often the feed is read.
func (f feedLine) Often() time.Duration { return f.Every }
