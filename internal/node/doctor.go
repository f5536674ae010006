package node

import (
	"cmp"
	"context"
	"crypto/fips140"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// doctor looks the node over: each line a check, its state and a code whose
// text says what it means and what to do.
func (n *Node) doctor(ctx context.Context) []web.Check {
	return slices.Concat([]web.Check{n.checkFolder(), n.checkSeal(), n.checkNextRoot(), checkCrypto(), n.checkListen(), n.checkWAL(), n.checkStore(ctx), n.checkPeople(ctx)},
		n.checkAgreements(ctx), n.checkLinks(ctx), n.checkMail(ctx), n.checkSIEMs(ctx), n.checkWords(), n.checkFeeds(ctx), n.checkExports())
}

func (n *Node) checkFolder() web.Check {
	c := web.Check{Name: "folder", State: "ok", Code: "folder-private", Args: []string{n.Dir}}
	if fi, err := os.Stat(n.Dir); err != nil || fi.Mode().Perm()&0o077 != 0 {
		c.State, c.Code = "warn", "folder-open"
	}
	return c
}

func (n *Node) checkSeal() web.Check {
	if n.Seal == SealFolder {
		return web.Check{Name: "seal", State: "warn", Code: "seal-folder"}
	}
	return web.Check{Name: "seal", State: "ok", Code: "seal-" + string(n.Seal)}
}

// checkNextRoot warns while the key that ends a theft of the root lies where the
// root may be stolen. It is in no backup.
func (n *Node) checkNextRoot() web.Check {
	if _, err := os.Stat(nextRootPath(n.Dir, n.Realm)); err == nil {
		return web.Check{Name: "next-root", State: "warn", Code: "next-root-here", Args: []string{nextRootPath(n.Dir, n.Realm)}}
	}
	return web.Check{Name: "next-root", State: "ok", Code: "next-root-away"}
}

// checkCrypto tells whether cryptography is done by Go's FIPS 140-3 module.
func checkCrypto() web.Check {
	if !fips140.Enabled() {
		return web.Check{Name: "crypto", State: "warn", Code: "fips-off"}
	}
	return web.Check{Name: "crypto", State: "ok", Code: "fips-on"}
}

// checkListen warns of an address that is another one after each start: cards
// that name it lead nowhere then.
func (n *Node) checkListen() web.Check {
	at := cmp.Or(n.Config.Listen, defaultListen)
	if _, port, err := net.SplitHostPort(at); err == nil && port == "0" && len(n.Config.Endpoints) == 0 {
		return web.Check{Name: "listen", State: "warn", Code: "listen-changes"}
	}
	return web.Check{Name: "listen", State: "ok", Code: "listen-fixed", Args: []string{at}}
}

// maxWAL is the size from which a write-ahead log says that its checkpoints do
// not keep up.
const maxWAL = 2 << 30

func (n *Node) checkWAL() web.Check {
	c := web.Check{Name: "wal", State: "ok", Code: "wal-size"}
	fi, err := os.Stat(filepath.Join(n.Dir, n.Realm.File()+"-wal"))
	if err != nil {
		return web.Check{Name: "wal", State: "ok", Code: "wal-none"}
	}
	c.Args = []string{strconv.FormatInt(fi.Size()>>20, 10)}
	if fi.Size() > maxWAL {
		c.State = "warn"
	}
	return c
}

func (n *Node) checkStore(ctx context.Context) web.Check {
	head, err := n.Store.Head(ctx)
	if err != nil {
		return web.Check{Name: "store", State: "fail", Code: "store-unreadable", Args: []string{err.Error()}, Why: noroshi.Tell(err)}
	}
	return web.Check{Name: "store", State: "ok", Code: "store-head", Args: []string{strconv.FormatInt(head, 10)}}
}

func (n *Node) checkPeople(ctx context.Context) web.Check {
	releasers, err := web.CountRole(ctx, n.Store, "release")
	if err != nil {
		return web.Check{Name: "people", State: "fail", Code: "store-unreadable", Args: []string{err.Error()}, Why: noroshi.Tell(err)}
	}
	if releasers < 2 {
		return web.Check{Name: "people", State: "warn", Code: "people-two-release", Args: []string{strconv.Itoa(releasers)}}
	}
	return web.Check{Name: "people", State: "ok", Code: "people-release", Args: []string{strconv.Itoa(releasers)}}
}

func (n *Node) checkAgreements(ctx context.Context) (out []web.Check) {
	unreadable, err := n.Services().Unreadable(ctx)
	if err != nil {
		return []web.Check{{Name: "agreement", State: "fail", Code: "store-unreadable", Args: []string{err.Error()}, Why: noroshi.Tell(err)}}
	}
	for _, p := range unreadable {
		out = append(out, web.Check{Name: "agreement", State: "fail", Code: "agreement-unreadable", Args: []string{string(p)}})
	}
	return out
}

func (n *Node) checkLinks(ctx context.Context) []web.Check {
	links, err := n.Courier.Links(ctx)
	if err != nil {
		return []web.Check{{Name: "links", State: "fail", Code: "store-unreadable", Args: []string{err.Error()}, Why: noroshi.Tell(err)}}
	}
	var out []web.Check
	for _, l := range links {
		name, p := "link", string(l.CallSign)
		switch {
		case l.Up:
			out = append(out, web.Check{Name: name, State: "ok", Code: "link-up", Args: []string{p, l.RoundTrip.Round(time.Millisecond / 10).String()}})
		case n.opts.Serving:
			out = append(out, web.Check{Name: name, State: "warn", Code: "link-down", Args: []string{p, l.LastError.Message}, Why: l.LastError})
		}
		if len(l.Missing) > 0 {
			out = append(out, web.Check{Name: name, State: "warn", Code: "link-gaps", Args: []string{p, strconv.Itoa(len(l.Missing))}})
		}
	}
	return out
}
