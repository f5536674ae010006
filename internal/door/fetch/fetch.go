// Package fetch is the one door to the outside for feeds: an http.RoundTripper
// that reaches only the hosts an operator named, and of them only addresses that
// are public or in networks an operator named.
//
// It resolves names itself and checks every address it is about to dial, and
// once more the address of the socket, so a name that resolves otherwise the
// second time gains nothing. It speaks https; http only to loopback addresses in
// a named network. It uses no proxy and no environment, keeps no cookies, sends
// no Referer, and calls itself by one name that says nothing of the node. Sizes
// and times are bounded.
//
// It follows no redirect by itself. Client follows what stays on the scheme, host
// and port. No address out of data is ever given to it: who calls takes it from
// the feed that an operator wrote.
package fetch

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// UserAgent is what every request says.
const UserAgent = "noroshi"

// Resolver finds the addresses of a name; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options of a Transport. Zero limits mean the defaults named.
type Options struct {
	// Hosts are the hosts that may be asked ([feeds] allow_hosts): a name or an
	// address, with a port where it is not that of the scheme. None means none.
	Hosts []string

	// Nets are networks beyond the public internet that may be reached ([feeds]
	// allow_nets), each in one special range, such as 10.1.0.0/16.
	Nets []netip.Prefix

	Roots        *x509.CertPool    // nil = the system's
	Certificates []tls.Certificate // shown to servers that ask for one
	Resolver     Resolver          // nil = the system's

	MaxBody int64         // bytes of an answer, as read; 256 MiB
	Timeout time.Duration // of one request with its answer; 10 min
	Silence time.Duration // without a byte of an answer, and until its head has come; 30 s
	Dial    time.Duration // to reach one address, without TLS; 10 s
}

// Transport is the door. It may be used by several goroutines at once.
type Transport struct {
	o      Options
	hosts  []string // "host:port", or "host" for the port of the scheme
	secure *http.Transport
	plain  *http.Transport // reaches loopback only
}

// New returns a Transport, or says which option is wrong.
func New(o Options) (*Transport, error) {
	if err := checkNets(o.Nets); err != nil {
		return nil, err
	}
	o.MaxBody = cmp.Or(o.MaxBody, 256<<20)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Minute)
	o.Silence = cmp.Or(o.Silence, 30*time.Second)
	o.Dial = cmp.Or(o.Dial, 10*time.Second)
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	t := &Transport{o: o}
	for _, h := range o.Hosts {
		name, err := hostOf(h)
		if err != nil {
			return nil, err
		}
		t.hosts = append(t.hosts, name)
	}
	t.secure, t.plain = t.transport(false), t.transport(true)
	return t, nil
}

func (t *Transport) transport(loopback bool) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return t.dial(ctx, addr, loopback) },
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: t.o.Roots, Certificates: t.o.Certificates,
		},
		TLSHandshakeTimeout:    time.Minute, // of one that nobody waits for any more
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    1,
		MaxConnsPerHost:        4,
		IdleConnTimeout:        time.Minute,
		ForceAttemptHTTP2:      true,
	}
}

// hostOf reads an entry of allow_hosts.
func hostOf(s string) (string, error) {
	bad := noroshi.Errorf(noroshi.Invalid, "feed.allow-host", "allow_hosts: %q is not a host name in ASCII or an address, with or without a port", s)
	u, err := url.Parse("https://" + s)
	if err != nil || u.Host != s || u.Hostname() == "" || !ascii(s) || strings.ContainsAny(s, "*% ") {
		return "", bad
	}
	if u.Port() == "" && !strings.HasSuffix(s, ":") {
		return canonical(u.Hostname()), nil
	}
	if u.Port() == "" {
		return "", bad
	}
	return net.JoinHostPort(canonical(u.Hostname()), u.Port()), nil
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// canonical is how two spellings of a host are the same.
func canonical(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// Close closes connections that are kept for later.
func (t *Transport) Close() {
	t.secure.CloseIdleConnections()
	t.plain.CloseIdleConnections()
}

// maxRedirects that Client follows.
const maxRedirects = 3

// Client returns an HTTP client over the door. It follows redirects that stay on
// the scheme, host and port, and keeps no cookies.
func (t *Transport) Client() *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if from := via[0].URL; req.URL.Scheme != from.Scheme || addressOf(req.URL) != addressOf(from) || len(via) > maxRedirects {
			return noroshi.Errorf(noroshi.Refused, "feed.redirect", "%s redirects to %s, or too often: that is not followed", from.Host, req.URL.Scheme+"://"+req.URL.Host)
		}
		return nil
	}}
}

// addressOf is a URL's host and port in one spelling.
func addressOf(u *url.URL) string {
	return net.JoinHostPort(canonical(u.Hostname()), cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme]))
}

// Check says why a URL may not be asked, before anything is resolved.
func (t *Transport) Check(u *url.URL) error {
	if u.User != nil || u.Opaque != "" || u.Hostname() == "" {
		return noroshi.Errorf(noroshi.Invalid, "feed.url", "the address of a feed on %q must have the form https://host/path, without a user name", u.Host)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && slices.ContainsFunc(t.o.Nets, loopbackNet)) {
		return noroshi.Errorf(noroshi.Invalid, "feed.scheme", "the feed on %s is read by https only, not by %q", u.Host, u.Scheme)
	}
	if bare := canonical(u.Hostname()); !slices.Contains(t.hosts, addressOf(u)) && !(onUsualPort(u) && slices.Contains(t.hosts, bare)) {
		return noroshi.Errorf(noroshi.Refused, "feed.host", "%s is not in allow_hosts of noroshi.toml, section [feeds]", u.Host)
	}
	return nil
}

func onUsualPort(u *url.URL) bool {
	return u.Port() == "" || u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80"
}

func loopbackNet(p netip.Prefix) bool { return p.Addr().IsLoopback() }

// RoundTrip sends a request and returns the answer, whose body is bounded. Its
// errors are *noroshi.Error with a code of feed.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.Check(req.URL); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	ctx, watch := t.watch(req.Context(), req.URL.Host)
	out := req.Clone(ctx)
	out.Host = "" // the one in the URL, which was checked
	for _, name := range []string{"Cookie", "Referer", "From", "Forwarded", "X-Forwarded-For", "Via"} {
		out.Header.Del(name)
	}
	out.Header.Set("User-Agent", UserAgent)
	through := t.secure
	if req.URL.Scheme == "http" {
		through = t.plain
	}
	res, err := through.RoundTrip(out)
	if err == nil && res.ContentLength > t.o.MaxBody {
		res.Body.Close()
		err = t.tooLarge(req.URL.Host)
	}
	if err != nil {
		watch.end()
		return nil, watch.explain(err)
	}
	res.Request = req
	res.Body = &body{ReadCloser: res.Body, watch: watch, left: t.o.MaxBody, large: t.tooLarge(req.URL.Host)}
	return res, nil
}

func (t *Transport) tooLarge(host string) error {
	return noroshi.Errorf(noroshi.Invalid, "feed.too-large", "the answer of %s is larger than %d bytes", host, t.o.MaxBody)
}

// Final reports whether an error of a Transport is one that asking again does not
// mend: an operator has to change something.
func Final(err error) bool {
	var e *noroshi.Error
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) ||
		errors.As(err, &e) && strings.HasPrefix(e.Code, "feed.") && (e.Kind == noroshi.Invalid || e.Kind == noroshi.Refused)
}
