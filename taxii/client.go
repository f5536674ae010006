package taxii

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/noroshi-cti/noroshi/stix"
)

// ClientOptions says where a Client goes and how patient it is. Zero values
// mean the defaults named.
type ClientOptions struct {
	// Base is the URL of the discovery resource or of an API root, https or
	// http. Every request goes to its scheme, host and port; what a server
	// names elsewhere is refused, so credentials never travel.
	Base string

	// Transport makes the connections, a client certificate included. There is
	// no default: who makes a client says by which door it goes out.
	Transport http.RoundTripper

	// Final reports an error of Transport that asking again will not mend. nil:
	// none is.
	Final func(error) bool

	Token          string // bearer token; or else
	User, Password string // Basic. Neither goes over http beyond loopback.

	Limit     int           // records asked for at once; 1000
	MaxAnswer int64         // bytes of one answer, unpacked; 64 MiB
	Timeout   time.Duration // of one request with its answer; 2 min

	// Overlap is how far behind the last date seen a new walk begins: what a
	// server dated before it let it be seen comes late by so much. 10 s.
	Overlap time.Duration

	// Remember is how many records a walk knows again; 65,536, which is the most.
	// Beyond it something may be handed out again, never left out.
	Remember int

	Tries            int           // of one request; 5
	MinWait, MaxWait time.Duration // between tries; 1 s and 2 min

	Now    func() time.Time                                 // time.Now
	Wait   func(ctx context.Context, d time.Duration) error // until d has passed or ctx ends
	Jitter func() float64                                   // in [0,1); random
}

// Client speaks to one TAXII 2.1 server. It may be used by several goroutines
// at once.
type Client struct {
	o    ClientOptions
	base *url.URL

	mu     sync.Mutex
	accept int // guarded by mu: the spelling of the media type the server takes
}

// NewClient returns a client, or says which option is wrong. It opens no
// connection.
func NewClient(o ClientOptions) (*Client, error) {
	base, err := url.Parse(o.Base)
	switch {
	case err != nil:
		return nil, fmt.Errorf("taxii: base: %w", err)
	case base.Scheme != "https" && base.Scheme != "http" || base.Hostname() == "":
		return nil, errors.New("taxii: base must be an https or http URL with a host")
	case base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("taxii: base must have no user, query or fragment")
	case o.Transport == nil:
		return nil, errors.New("taxii: a transport is needed")
	case o.Token != "" && o.User != "":
		return nil, errors.New("taxii: a token or a user, not both")
	case o.Token+o.User != "" && base.Scheme != "https" && !loopback(base.Hostname()):
		return nil, errors.New("taxii: credentials go over https only")
	}
	if !strings.HasSuffix(base.Path, "/") {
		base.Path += "/"
		base.RawPath = ""
	}
	return &Client{o: o.filled(), base: base}, nil
}

func (o ClientOptions) filled() ClientOptions {
	o.Limit = max(cmp.Or(o.Limit, 1000), 1)
	o.MaxAnswer = cmp.Or(o.MaxAnswer, 64<<20)
	o.Timeout = cmp.Or(o.Timeout, 2*time.Minute)
	o.Overlap = cmp.Or(o.Overlap, 10*time.Second)
	o.Remember = min(max(cmp.Or(o.Remember, maxSeen), 1), maxSeen)
	o.Tries = max(cmp.Or(o.Tries, 5), 1)
	o.MinWait = cmp.Or(o.MinWait, time.Second)
	o.MaxWait = cmp.Or(o.MaxWait, 2*time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = waitFor
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	return o
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// Discovery reads the discovery resource at Base (section 4.1).
func (c *Client) Discovery(ctx context.Context) (Discovery, error) {
	var d Discovery
	return d, c.read(ctx, c.base, &d)
}

// APIRoot reads an API root (section 4.2): a URL as Discovery gave it, on the
// same host, a path relative to Base, or "" for Base itself.
func (c *Client) APIRoot(ctx context.Context, root string) (APIRoot, error) {
	var r APIRoot
	u, err := c.at(root)
	if err != nil {
		return r, err
	}
	return r, c.read(ctx, u, &r)
}

// Collections lists the collections of an API root (section 5.1).
func (c *Client) Collections(ctx context.Context, root string) ([]Collection, error) {
	u, err := c.at(root, "collections")
	if err != nil {
		return nil, err
	}
	var list struct {
		Collections []Collection `json:"collections"`
	}
	return list.Collections, c.read(ctx, u, &list)
}

// Collection reads one collection by id or alias (section 5.2).
func (c *Client) Collection(ctx context.Context, root, collection string) (Collection, error) {
	var one Collection
	u, err := c.at(root, "collections", collection)
	if err != nil {
		return one, err
	}
	return one, c.read(ctx, u, &one)
}

// Status reads the status of an earlier Post (section 4.3).
func (c *Client) Status(ctx context.Context, root, id string) (Status, error) {
	var s Status
	u, err := c.at(root, "status", id)
	if err != nil {
		return s, err
	}
	return s, c.read(ctx, u, &s)
}

// Delete takes versions of an object off a collection: those q.Version names,
// else whatever the server takes for all (section 5.7).
func (c *Client) Delete(ctx context.Context, root, collection string, id stix.ID, q Query) error {
	u, err := c.at(root, "collections", collection, "objects", string(id))
	if err != nil {
		return err
	}
	u.RawQuery = q.filters().Encode()
	_, err = c.call(ctx, http.MethodDelete, u, nil)
	return err
}

// read asks for one resource and decodes it into v.
func (c *Client) read(ctx context.Context, u *url.URL, v any) error {
	r, err := c.call(ctx, http.MethodGet, u, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		return r.unreadable(err)
	}
	return nil
}

// ErrElsewhere is returned for an API root on another scheme, host or port.
var ErrElsewhere = errors.New("taxii: not on the server this client speaks to")

// at returns the URL of a resource below an API root.
func (c *Client) at(root string, segments ...string) (*url.URL, error) {
	ref, err := url.Parse(root)
	if err != nil {
		return nil, fmt.Errorf("taxii: API root: %w", err)
	}
	u := c.base.ResolveReference(ref)
	if !sameOrigin(u, c.base) || u.User != nil {
		return nil, fmt.Errorf("API root %q: %w", root, ErrElsewhere)
	}
	u.RawQuery, u.Fragment = "", ""
	path := strings.TrimSuffix(u.EscapedPath(), "/") + "/"
	for _, s := range segments {
		if s == "" || s == "." || s == ".." {
			return nil, fmt.Errorf("taxii: %q is no id", s)
		}
		path += url.PathEscape(s) + "/"
	}
	u.RawPath = path
	if u.Path, err = url.PathUnescape(path); err != nil {
		return nil, fmt.Errorf("taxii: API root: %w", err)
	}
	return u, nil
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// filters writes the match fields of a query (section 3.4).
func (q Query) filters() url.Values {
	v := url.Values{}
	put := func(field string, values []string) {
		if len(values) > 0 {
			v.Set("match["+field+"]", strings.Join(values, ","))
		}
	}
	var ids, versions []string
	for _, id := range q.IDs {
		ids = append(ids, string(id))
	}
	for _, m := range q.Version {
		versions = append(versions, m.value())
	}
	put("id", ids)
	put("type", q.Types)
	put("spec_version", q.Specs)
	put("version", versions)
	return v
}

func (m VersionMatch) value() string {
	switch m.Kind {
	case First:
		return "first"
	case All:
		return "all"
	case Exactly:
		return m.At.String()
	}
	return "last"
}
