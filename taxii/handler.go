package taxii

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// DiscoveryPath is where discovery is (section 8.2.1).
const DiscoveryPath = "/taxii2/"

// Options are what a Handler needs beside its Backend. The zero value serves.
type Options struct {
	Title       string // of discovery and of the API root; "" = "TAXII 2.1 server"
	Description string // of both
	Contact     string // of discovery

	// Root is the path of the one API root. It cannot be "/" or DiscoveryPath; they
	// and "" = "/taxii2/api1/".
	Root string
	// Origin, such as "https://cti.example.org", makes the API root in discovery an
	// absolute URL. What is not https gives a
	// relative URL (section 4.1.1), and so does "".
	Origin string
	// Realm stands in the challenges of a 401; "" = "taxii".
	Realm string

	// Key signs the cursors of next: 32 random bytes. Servers that share it take
	// each other's cursors; a new one ends them all. nil = a key of this handler's
	// own, with which cursors end when the process does.
	Key []byte

	MaxContent int64 // bytes of a request's body, unpacked too; 0 = 32 MiB
	Posts      int   // requests that are read and added at once, others wait; 0 = 16
	PageLimit  int   // records of a page when the client sets no limit; 0 = 1000
	PageMost   int   // records of a page whatever the client asks; 0 = 10000, at least PageLimit
	PageSize   int   // bytes of bodies after which a page may end early; 0 = 16 MiB

	Log *slog.Logger // hears internal errors; nil = slog.Default()
}

func (o Options) withDefaults() Options {
	o.Title = or(o.Title, "TAXII 2.1 server")
	if o.Root = "/" + strings.Trim(o.Root, "/") + "/"; o.Root == "//" || o.Root == DiscoveryPath {
		o.Root = "/taxii2/api1/"
	}
	o.Realm = strings.Map(quotable, or(o.Realm, "taxii"))
	o.MaxContent = or(max(o.MaxContent, 0), 32<<20)
	o.Posts = or(max(o.Posts, 0), 16)
	o.PageLimit = or(max(o.PageLimit, 0), 1000)
	o.PageMost = max(or(o.PageMost, 10_000), o.PageLimit)
	o.PageSize = or(max(o.PageSize, 0), 16<<20)
	o.Log = or(o.Log, slog.Default())
	if o.Key == nil {
		o.Key = make([]byte, 32)
		rand.Read(o.Key) // never fails (crypto/rand)
	}
	return o
}

func or[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// quotable leaves out what may not stand in a quoted string as it is.
func quotable(r rune) rune {
	if r == '"' || r == '\\' || r < ' ' || r > '~' {
		return -1
	}
	return r
}

// NewHandler returns the TAXII 2.1 server over a backend: discovery at
// DiscoveryPath and one API root. Mount it at both, or at DiscoveryPath alone when
// the root lies below it. TLS, time-outs and the number of connections are the
// http.Server's; up to Posts requests hold up to MaxContent bytes each.
//
// Every resource needs authentication, what does not exist too, so that who is
// not known learns nothing. Every answer that is an error has a TAXII error body.
func NewHandler(b Backend, o Options) http.Handler {
	o = o.withDefaults()
	return &handler{backend: b, opts: o, key: cursorKey(o.Key), posts: make(chan struct{}, o.Posts)}
}

type handler struct {
	backend Backend
	opts    Options
	key     cursorKey
	posts   chan struct{} // holds a token for each request whose body is in memory
}

// call is one request on its way.
type call struct {
	*handler
	w      *response
	r      *http.Request
	client string
	names  [2]string // of the path: the collection or status, the object
}

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{handler: h, w: newResponse(w, r), r: r}
	defer func() {
		p := recover()
		switch {
		case p == nil:
		case c.w.wrote || p == http.ErrAbortHandler:
			panic(http.ErrAbortHandler) // the client must not take the half for the whole
		default:
			c.fail(fmt.Errorf("panic: %v", p))
		}
	}()
	if err := c.serve(); err != nil {
		if c.w.wrote {
			panic(http.ErrAbortHandler)
		}
		c.fail(err)
	}
}

func (c *call) fail(err error) {
	// What cannot be written any more reaches nobody.
	_ = c.answerTo(c.r.Context(), err).send(c.w)
}

func (c *call) serve() error {
	client, err := c.backend.Authenticate(c.r.Context(), c.r)
	if err != nil {
		return err
	}
	c.client = client
	ep, ok := c.route()
	if !ok {
		return ErrNotFound
	}
	act, ok := ep.acts[c.r.Method]
	if c.r.Method == http.MethodHead {
		act, ok = ep.acts[http.MethodGet]
	}
	if !ok {
		return refuse(http.StatusMethodNotAllowed, "method not allowed", "").with("Allow", ep.allow)
	}
	if !acceptable(c.r.Header.Values("Accept"), ep.stix) {
		return refuse(http.StatusNotAcceptable, "not acceptable", "this server speaks "+MediaType)
	}
	return act(c)
}

// endpoint is a resource with what may be done to it.
type endpoint struct {
	acts  map[string]func(*call) error
	allow string
	stix  bool // its Accept may name STIX instead of TAXII (section 5.3)
}

func readOnly(get func(*call) error) *endpoint {
	return &endpoint{acts: map[string]func(*call) error{http.MethodGet: get}, allow: "GET, HEAD"}
}

// The endpoints of section 3.1.
var (
	discoveryEndpoint   = readOnly((*call).discovery)
	rootEndpoint        = readOnly((*call).apiRoot)
	statusEndpoint      = readOnly((*call).status)
	collectionsEndpoint = readOnly((*call).collections)
	collectionEndpoint  = readOnly((*call).collection)
	versionsEndpoint    = readOnly((*call).versions)
	manifestEndpoint    = &endpoint{
		acts:  map[string]func(*call) error{http.MethodGet: (*call).manifest},
		allow: "GET, HEAD", stix: true,
	}
	objectsEndpoint = &endpoint{
		acts:  map[string]func(*call) error{http.MethodGet: (*call).objects, http.MethodPost: (*call).add},
		allow: "GET, HEAD, POST",
	}
	objectEndpoint = &endpoint{
		acts:  map[string]func(*call) error{http.MethodGet: (*call).object, http.MethodDelete: (*call).remove},
		allow: "DELETE, GET, HEAD",
	}
)

// route finds the endpoint of the path and its names. A path has a slash at its
// end (section 3.1); a client that leaves it out is understood too.
func (c *call) route() (*endpoint, bool) {
	path := strings.TrimSuffix(c.r.URL.EscapedPath(), "/") + "/"
	if path == DiscoveryPath {
		return discoveryEndpoint, true
	}
	rest, ok := strings.CutPrefix(path, c.opts.Root)
	if !ok {
		return nil, false
	}
	if rest == "" {
		return rootEndpoint, true
	}
	parts := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	for i, p := range parts {
		part, err := url.PathUnescape(p)
		if err != nil {
			return nil, false
		}
		parts[i] = part
	}
	return c.below(parts)
}

// below finds an endpoint below the API root.
func (c *call) below(parts []string) (*endpoint, bool) {
	n := len(parts)
	if parts[0] == "status" && n == 2 {
		c.names[0] = parts[1]
		return statusEndpoint, true
	}
	if parts[0] != "collections" {
		return nil, false
	}
	if n > 1 {
		c.names[0] = parts[1]
	}
	if n > 3 {
		c.names[1] = parts[3]
	}
	switch {
	case n == 1:
		return collectionsEndpoint, true
	case n == 2:
		return collectionEndpoint, true
	case n == 3 && parts[2] == "manifest":
		return manifestEndpoint, true
	case parts[2] != "objects":
		return nil, false
	case n == 3:
		return objectsEndpoint, true
	case n == 4:
		return objectEndpoint, true
	case n == 5 && parts[4] == "versions":
		return versionsEndpoint, true
	}
	return nil, false
}
