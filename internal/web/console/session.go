package console

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

const sessionWarn = 5 * time.Minute // before a session ends, the page says so

// What browsers keep for a console.
const (
	sessionCookie = ""         // the session
	browserCookie = "-browser" // names a browser to the node from one sign-in to the next
	oidcCookie    = "-oidc"    // a trip to the sign-on server
	saidCookie    = "-said"    // a word about what the last form did, for the next page
	langCookie    = "-lang"    // the language: who has two nodes side by side reads each in its own
)

// cookie is the name under which a browser keeps something for this console: ports
// do not keep cookies apart (RFC 6265 §8.5), so those of two nodes or realms on
// one host are told apart by their names. The theme is the person's and not a
// node's, and is shared.
func (c *Console) cookie(kind string) string {
	of := noroshi.Sum(slices.Concat(c.Node[:], []byte(c.Realm.String())))
	return "__Host-noroshi-" + hex.EncodeToString(of[:4]) + kind
}

// keep leaves something in the browser that goes with no request from elsewhere; a
// negative age, in seconds, takes it away.
func (v *visit) keep(kind, value string, age int) {
	http.SetCookie(v.w, &http.Cookie{Name: v.cookie(kind), Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: age})
}

// instant is when something was last seen.
type instant = time.Time

// idle is when each session was last used; lost at a start, from which the
// sessions then count. A page that is open uses its session: a picture that is
// watched must not go dark. Where noroshi.toml says how long a session may be
// idle, only its person does.
type idle struct {
	mu      sync.Mutex
	seen    map[string]instant // by session id
	from    instant            // of the first question
	most    time.Duration      // a session lasts without use
	persons bool               // only what a person asks for is use
}

// newIdle returns one that knows of no session, by what noroshi.toml says.
func newIdle(rules web.SignInRules) *idle {
	return &idle{seen: map[string]instant{}, most: cmp.Or(rules.Idle, web.SessionIdle), persons: rules.Idle != 0}
}

// over reports whether a session has been idle for too long, and else notes that
// it is not.
func (i *idle) over(key string, now time.Time, person bool) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.from.IsZero() {
		i.from = now
	}
	last, known := i.seen[key]
	if !known {
		last = i.from
	}
	if now.Sub(last) > i.most {
		return true // and stays so: its entry goes with prune
	}
	if person || !i.persons || !known {
		i.seen[key] = now
	}
	return false
}

// begin notes a new session, and forgets those that cannot last any more.
func (i *idle) begin(key string, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k, seen := range i.seen {
		if now.Sub(seen) > web.SessionLasts {
			delete(i.seen, k)
		}
	}
	if i.from.IsZero() {
		i.from = now
	}
	i.seen[key] = now
}

// begin makes a session for a person who was found to be who they say, and hands
// its token to the browser.
func (v *visit) begin(person, way string, in web.SignIn) error {
	token := rand.Text()
	s := web.Session{ID: sessionID(token), Person: person, Way: way, Browser: browserName(v.r.UserAgent()), Address: v.address(), Began: v.now.UTC()}
	if err := v.BeginSession(v.ctx, s, in); err != nil {
		return err
	}
	v.idle.begin(s.ID, v.now)
	v.keep(sessionCookie, token, int(web.SessionLasts.Seconds()))
	return nil
}

// address is where the visit comes from, without its port.
func (v *visit) address() string {
	host, _, err := net.SplitHostPort(v.r.RemoteAddr)
	if err != nil {
		return v.r.RemoteAddr
	}
	return host
}

// network is what wrong tries are counted by: the address, or of IPv6 the /64 that
// a site hands to one host as a whole (RFC 6177, 8981).
func (v *visit) network() string {
	a, err := netip.ParseAddr(v.address())
	if err != nil {
		return v.address()
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a.String()
	}
	return p.String()
}

// browserName says in short which browser and system a request comes from, as far
// as it tells (RFC 9110 §10.1.5): the first name of each list that stands there.
func browserName(agent string) string {
	name := func(marks ...[2]string) string {
		for _, m := range marks {
			if strings.Contains(agent, m[0]) {
				return m[1]
			}
		}
		return ""
	}
	browser := name([2]string{"Edg/", "Edge"}, [2]string{"Firefox/", "Firefox"}, [2]string{"Chrome/", "Chrome"}, [2]string{"Safari/", "Safari"})
	system := name([2]string{"Windows", "Windows"}, [2]string{"Android", "Android"}, [2]string{"iPhone", "iOS"}, [2]string{"iPad", "iOS"}, [2]string{"Macintosh", "macOS"}, [2]string{"Linux", "Linux"})
	if browser == "" {
		return cut(agent, 60)
	}
	return strings.TrimSuffix(browser+", "+system, ", ")
}

// cut returns the beginning of a text that a browser sent.
func cut(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }

// end ends the visit's own session.
func (v *visit) end() error {
	v.keep(sessionCookie, "", -1)
	_, err := ask[any](v, "session.end", web.SessionRef{Person: v.person.ID, Session: v.session.ID})
	return err
}

func sessionID(token string) string {
	h := noroshi.Sum([]byte(token))
	return hex.EncodeToString(h[:])
}

// recognise fills in who asks, from the cookie. A session that is over is as
// none; a person has the roles they have now.
func (c *Console) recognise(v *visit) error {
	k, err := v.r.Cookie(c.cookie(sessionCookie))
	if err != nil || len(k.Value) > 64 {
		return nil
	}
	s, err := c.SessionOf(v.ctx, sessionID(k.Value))
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if !s.Lasts(v.now) || c.idle.over(s.ID, v.now, v.byPerson()) {
		return nil
	}
	register, err := c.Store.Persons(v.ctx)
	if err != nil {
		return err
	}
	if p := register.At(s.Person, v.now); p.ID != "" && !p.Removed {
		v.session, v.person = s, p
	}
	return nil
}

// byPerson reports whether a person asks, and not a page that updates itself:
// beside whole pages and forms they open the drawer.
func (v *visit) byPerson() bool {
	alone := v.r.Header.Get("HX-Request") != "" && v.r.Method == http.MethodGet && v.r.URL.Query().Get("part") != "drawer"
	return v.r.URL.Path != "/live" && !alone
}

// ending is what a page says of the end of its session.
type ending struct {
	In   int       // seconds until the page must say so
	At   time.Time // when it ends, if nobody uses it before
	Last bool      // whether it is used or not
}

// Ending is when the session of the page ends while it is open; nil when nobody is
// signed in.
func (p page) Ending() *ending { return p.ending(false) }

// Unattended is when it ends where no script keeps the page up to date.
func (p page) Unattended() *ending { return p.ending(true) }

func (p page) ending(alone bool) *ending {
	s := p.visit.session
	if s.ID == "" {
		return nil
	}
	e := ending{At: s.Began.Add(web.SessionLasts), Last: true}
	if at := p.visit.now.Add(p.visit.idle.most); (alone || p.visit.idle.persons) && at.Before(e.At) {
		e.At, e.Last = at, false
	}
	e.In = max(0, int(e.At.Sub(p.visit.now.Add(sessionWarn)).Seconds()))
	return &e
}
