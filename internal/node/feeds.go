package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/door/fetch"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// FeedsConfig says what feeds may ask and what of them waits for a person. The
// feeds themselves are added by command.
type FeedsConfig struct {
	// AllowHosts are the hosts that feeds may be read from, each a name or an
	// address, with a port where it is not 443, such as "feeds.example.org".
	// Empty (the default): none, and only folders are read.
	AllowHosts []string `toml:"allow_hosts,omitempty"`
	// AllowNets are networks beyond the public internet in which these hosts may
	// lie, each within one special range, such as "10.1.0.0/16". Empty (the
	// default): none. What is named here can be asked by whoever may add a feed.
	AllowNets []netip.Prefix `toml:"allow_nets,omitempty"`
	// OwnDomains are the organisation's own domains, such as "example.mil": an
	// indicator of one, of a name in it or above it waits for a person. Missing
	// ones can be blocked by a poisoned feed.
	OwnDomains []string `toml:"own_domains,omitempty"`
	// OwnNets are the organisation's own networks, such as "192.0.2.0/24": an
	// indicator of an address or network that meets one waits for a person.
	OwnNets []netip.Prefix `toml:"own_nets,omitempty"`
	// KnownGood names the warning-lists whose values wait for a person when a
	// feed brings them; those of other lists are taken and flagged. Default:
	// those of special addresses, of names and hashes that everybody meets, and
	// of public resolvers. Lists that say only whose something is, such as a
	// cloud's addresses, keep good indicators waiting.
	KnownGood []string `toml:"known_good,omitempty"`
}

// knownGood is the default of FeedsConfig.KnownGood.
var knownGood = []string{"common-ioc-false-positive", "empty-hashes", "google", "microsoft", "microsoft-office365",
	"microsoft-win10-connection-endpoints", "multicast", "public-dns-v4", "public-dns-v6", "public-dns-hostname", "rfc1918", "rfc5735", "rfc6598", "rfc6761",
	"second-level-tlds", "tlds"}

// check returns the first field that is wrong, and why.
func (c FeedsConfig) check() (field string, err error) {
	for _, x := range []struct {
		field string
		o     fetch.Options
	}{{"allow_hosts", fetch.Options{Hosts: c.AllowHosts}}, {"allow_nets", fetch.Options{Nets: c.AllowNets}}} {
		door, err := fetch.New(x.o)
		if err != nil {
			return x.field, err
		}
		door.Close()
	}
	if _, err := feed.NewGuard(c.OwnDomains, nil, nil); err != nil {
		return "own_domains", err
	}
	if _, err := feed.NewGuard(nil, c.OwnNets, nil); err != nil {
		return "own_nets", err
	}
	return "", nil
}

// rules are what the door holds feeds to.
func (c FeedsConfig) rules(lists func() *intake.WarningLists) (r feed.Rules, err error) {
	named := c.KnownGood
	if named == nil {
		named = knownGood
	}
	for _, name := range c.KnownGood {
		if !slices.ContainsFunc(lists().Lists(), func(l intake.WarningList) bool { return l.Name == name }) {
			return r, fmt.Errorf("there is no warning-list %q", name)
		}
	}
	r = feed.Rules{Hosts: c.AllowHosts, Nets: c.AllowNets}
	r.Guard, err = feed.NewGuard(c.OwnDomains, c.OwnNets, func(v noroshi.Value) []string {
		return slices.DeleteFunc(lists().Check(v), func(name string) bool { return !slices.Contains(named, name) })
	})
	return r, err
}

// openDoor makes the door and the reader of feeds, with what they are held to.
func (n *Node) openDoor() error {
	rules, err := n.Config.Feeds.rules(n.Lists)
	if err != nil {
		return noroshi.Errorf(noroshi.Invalid, "config.field", "%s: %s: %w", filepath.Join(n.Dir, configName), "feeds.known_good", err)
	}
	rules.Temp = filepath.Join(n.Dir, n.Realm.File()+".feeds") // of what is being read
	n.Door = door.New(n.Store, n.Gate, n.Desk, door.Options{Realm: n.Realm, Name: string(n.Self.CallSign), Now: n.opts.Now, Log: n.opts.Log, Words: bothWords, MayLeave: n.MayArm})
	n.Feeds = feed.New(n.Store, n.Gate, feed.Options{Now: n.opts.Now, Log: n.opts.Log, Rules: rules})
	return nil
}

// bothWords says an error in both languages: who reads it is not known.
func bothWords(err error) string {
	var e *noroshi.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	args := locale.Strings(e.Args)
	return locale.Or(locale.EN, "error."+e.Code, e.Msg, args...) + "\n" + locale.Or(locale.JA, "error."+e.Code, e.Msg, args...)
}

// checkFeeds says of each feed whether it brings what it should.
func (n *Node) checkFeeds(ctx context.Context) (out []web.Check) {
	list, err := n.Feeds.Statuses(ctx)
	if err != nil {
		return []web.Check{{Name: "feed", State: "fail", Code: "store-unreadable", Args: []string{err.Error()}, Why: noroshi.Tell(err)}}
	}
	for _, f := range list {
		c := web.Check{Name: "feed", State: "ok", Code: "feed-read", Args: []string{f.Name, since(f.State.Good)}}
		switch {
		case f.State.Waiting > 0:
			c.State, c.Code, c.Args = "warn", "feed-waits", []string{f.Name, strconv.Itoa(f.State.Waiting)}
		case f.Silent:
			c.State, c.Code = "warn", "feed-silent"
		case f.State.Failures > 0:
			c.State, c.Code, c.Args = "warn", "feed-failing", []string{f.Name, strconv.Itoa(f.State.Failures)}
		case f.Paused:
			c.Code = "feed-paused"
		case f.State.Good.IsZero():
			c.Code = "feed-new"
		}
		out = append(out, c)
	}
	return out
}

// since is a time as checks tell it.
func since(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
