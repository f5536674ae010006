package feed

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/intake/sheet"
)

// Doc and DocState are the kinds of documents that keep a Feed and its
// State; the key is the feed's name.
const (
	Doc      = "feed"
	DocState = "feed-state"
)

// Kind says how a feed is read.
type Kind string

// The kinds.
const (
	TAXII  Kind = "taxii"  // a collection of a TAXII 2.1 server, what is new since the last run
	MISP   Kind = "misp"   // a MISP feed: manifest and events, at a URL or in a folder
	HTTPS  Kind = "https"  // one file at a URL, whole each time
	Folder Kind = "folder" // the files in a folder
)

// Bounds of Feed.Every.
const (
	MinEvery = time.Minute
	MaxEvery = 31 * 24 * time.Hour
)

// Feed is a source outside that is read on a schedule, as an operator wrote it.
// No field of it ever comes out of data.
type Feed struct {
	Name string `json:"name"` // unique; also the name of the source of what it brings
	Kind Kind   `json:"kind"`

	URL        string `json:"url,omitempty"`        // taxii: the API root; misp: the folder of its manifest; https: the file
	Path       string `json:"path,omitempty"`       // folder, and misp in place of a URL; absolute
	Collection string `json:"collection,omitempty"` // taxii: id or alias

	Access Access `json:"access,omitzero"`

	Format  string         `json:"format,omitempty"`  // https, folder: one of intake.Formats; "" = told by content
	Columns *sheet.Mapping `json:"columns,omitempty"` // of a table: what its columns mean

	Marking string `json:"marking,omitempty"` // TLP level assigned to what has no handling marking; or
	Profile string `json:"profile,omitempty"` // what stands for markings in it; neither = what has none is held

	Every  time.Duration `json:"every"` // between the starts of two runs
	Paused bool          `json:"paused,omitempty"`

	// RevokeVanished revokes what this feed brought and no longer lists. Not of
	// taxii, which lists only what is new.
	RevokeVanished bool `json:"revoke_vanished,omitempty"`

	Added   time.Time `json:"added,omitzero"`    // when it was added; another of the name begins anew
	Removed bool      `json:"removed,omitempty"` // it is read no more, and its name is free
}

// Access names the files of credentials; none of them is kept in the store.
// Paths are absolute.
type Access struct {
	TokenFile    string `json:"token_file,omitempty"` // a bearer token; or
	User         string `json:"user,omitempty"`       // Basic, with
	PasswordFile string `json:"password_file,omitempty"`
	CertFile     string `json:"cert_file,omitempty"` // a client certificate in PEM, with
	KeyFile      string `json:"key_file,omitempty"`  // its key
	CAFile       string `json:"ca_file,omitempty"`   // those who may sign the server's certificate, in PEM; "" = whom the system trusts
}

// Check says what of a feed is wrong. It looks at no file and asks no host.
func (f Feed) Check() error {
	if err := noroshi.CheckName(f.Name); err != nil {
		return err
	}
	for _, check := range []func() error{f.checkPlace, f.checkAccess, f.checkMarking, f.checkFormat} {
		if err := check(); err != nil {
			return err
		}
	}
	if f.Every < MinEvery || f.Every > MaxEvery {
		return noroshi.Errorf(noroshi.Invalid, "feed.every", "a feed is read every minute to every 31 days, not every %v", f.Every)
	}
	if f.RevokeVanished && f.Kind == TAXII {
		return noroshi.Errorf(noroshi.Invalid, "feed.vanished", "a TAXII collection lists only what is new: what vanished from it cannot be told")
	}
	return nil
}

func (f Feed) checkPlace() error {
	hasURL, hasPath, hasCollection := f.URL != "", f.Path != "", f.Collection != ""
	switch f.Kind {
	case TAXII:
		if !hasURL || hasPath || !hasCollection {
			return noroshi.Errorf(noroshi.Invalid, "feed.place-taxii", "a feed of kind taxii has a URL and a collection, and no path")
		}
	case HTTPS:
		if !hasURL || hasPath || hasCollection {
			return noroshi.Errorf(noroshi.Invalid, "feed.place-https", "a feed of kind https has a URL, and no path or collection")
		}
	case Folder:
		if hasURL || !hasPath || hasCollection {
			return noroshi.Errorf(noroshi.Invalid, "feed.place-folder", "a feed of kind folder has a path, and no URL or collection")
		}
	case MISP:
		if hasURL == hasPath || hasCollection {
			return noroshi.Errorf(noroshi.Invalid, "feed.place-misp", "a feed of kind misp has a URL or a path, and no collection")
		}
	default:
		return noroshi.Errorf(noroshi.Invalid, "feed.kind", "%q is no kind of feed: there are taxii, misp, https and folder", f.Kind)
	}
	if hasURL {
		return checkURL(f.URL)
	}
	return checkPath(f.Path)
}

// checkURL looks at the form; which hosts may be asked is the configuration's
// to say and fetch's to hold.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		host := ""
		if err == nil {
			host = u.Host
		}
		return noroshi.Errorf(noroshi.Invalid, "feed.url", "the address of a feed on %q must have the form https://host/path, without a user name", host)
	}
	if u.Scheme != "https" && u.Scheme != "http" { // http to loopback is for fetch to allow
		return noroshi.Errorf(noroshi.Invalid, "feed.scheme", "the feed on %s is read by https only, not by %q", u.Host, u.Scheme)
	}
	return nil
}

func checkPath(paths ...string) error {
	for _, p := range paths {
		if p != "" && (!filepath.IsAbs(p) || filepath.Clean(p) != p) {
			return noroshi.Errorf(noroshi.Invalid, "feed.path", "%q is not a whole path without . and .. in it", p)
		}
	}
	return nil
}

func (f Feed) checkAccess() error {
	a := f.Access
	switch {
	case a == Access{}:
		return nil
	case f.URL == "":
		return noroshi.Errorf(noroshi.Invalid, "feed.access-folder", "a folder is read without credentials")
	case a.TokenFile != "" && a.User+a.PasswordFile != "" || (a.User == "") != (a.PasswordFile == "") || (a.CertFile == "") != (a.KeyFile == ""):
		return noroshi.Errorf(noroshi.Invalid, "feed.access", "a feed has a token file, or a user and a password file, and a certificate only with its key file")
	}
	return checkPath(a.TokenFile, a.PasswordFile, a.CertFile, a.KeyFile, a.CAFile)
}

func (f Feed) checkMarking() error {
	if f.Marking != "" && f.Profile != "" {
		return noroshi.Errorf(noroshi.Invalid, "feed.marking", "a feed has a marking or a profile, not both")
	}
	if f.Marking != "" {
		_, err := intake.Assignable(f.Marking)
		return err
	}
	if f.Profile != "" {
		_, err := intake.ProfileNamed(f.Profile)
		return err
	}
	return nil
}

func (f Feed) checkFormat() error {
	if f.Format == "" && f.Columns == nil {
		return nil
	}
	if f.Kind != HTTPS && f.Kind != Folder {
		return noroshi.Errorf(noroshi.Invalid, "feed.format", "only files of kind https and folder have a format: %s has its own", string(f.Kind))
	}
	if f.Format != "" && !slices.Contains(intake.Formats(), f.Format) {
		return noroshi.Errorf(noroshi.Invalid, "import.format-unknown", "format %q must be one of %s", f.Format, strings.Join(intake.Formats(), ", "))
	}
	if f.Columns != nil {
		return f.Columns.Check()
	}
	return nil
}

// State is how a feed's last run went.
type State struct {
	Started  time.Time     `json:"started,omitzero"`  // of the last run, that goes on or is over
	Ended    time.Time     `json:"ended,omitzero"`    // of it; before Started while it goes on, or broke off
	Good     time.Time     `json:"good,omitzero"`     // end of the last run that went well
	Failures int           `json:"failures,omitzero"` // runs in a row that did not
	Lasting  bool          `json:"lasting,omitempty"` // the last failure is one that an operator has to mend
	NotUntil time.Time     `json:"not_until,omitzero"`
	Code     string        `json:"code,omitempty"` // of the last failure, or why something waits, with its arguments
	Args     []string      `json:"args,omitempty"`
	Cause    *noroshi.Told `json:"cause,omitempty"`  // of the failure, where it has a code too
	Waiting  int           `json:"waiting,omitzero"` // elements, new or vanished, that wait for a person
	Days     []Volume      `json:"days,omitempty"`   // see Guard

	Read Counts `json:"read,omitzero"` // what the last run that went well came to
}

// Counts is what a run came to.
type Counts struct {
	New         int `json:"new,omitzero"` // versions that were not here
	Unchanged   int `json:"unchanged,omitzero"`
	Quarantined int `json:"quarantined,omitzero"` // protected ones among them
	Vanished    int `json:"vanished,omitzero"`    // indicators that were taken out of use
}

// staleAfter is after how many intervals without success a feed is silent.
const staleAfter = 3

// Silent reports whether a feed has not been read well for three intervals.
func (s State) Silent(f Feed, now time.Time) bool {
	since := f.Added
	if s.Good.After(since) {
		since = s.Good
	}
	return !f.Paused && now.Sub(since) > staleAfter*f.Every
}

// Waits between tries after failures: twice as long each time, up to Every.
const firstRetry = 5 * time.Minute

// Due says when a feed is to be read next, and whether that is now. After a
// failure that may pass it is tried again sooner than Every, never before the
// server said. A run that never ended counts as one that failed.
func (s State) Due(f Feed, now time.Time) (at time.Time, due bool) {
	if f.Paused {
		return time.Time{}, false
	}
	// A clock that was set back must not silence a feed.
	if s.Started.IsZero() || s.Started.After(now) {
		return now, true
	}
	wait := f.Every
	if failures := s.failures(); failures > 0 && !s.Lasting {
		retry := firstRetry
		for n := 1; n < failures && retry < f.Every; n++ {
			retry *= 2
		}
		wait = min(wait, retry)
	}
	at = s.Started.Add(wait)
	if s.NotUntil.After(at) {
		at = s.NotUntil
	}
	// Nobody is kept away for longer than the longest interval.
	if limit := s.Started.Add(MaxEvery); at.After(limit) {
		at = limit
	}
	return at, !now.Before(at)
}

func (s State) failures() int {
	if s.Ended.Before(s.Started) {
		return s.Failures + 1
	}
	return s.Failures
}
