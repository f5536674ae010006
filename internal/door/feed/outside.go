package feed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/fetch"
	"github.com/noroshi-cti/noroshi/taxii"
)

// Rules say what feeds may ask and what of them waits for a person: the
// section [feeds] of the configuration.
type Rules struct {
	Hosts    []string       // fetch.Options.Hosts
	Nets     []netip.Prefix // fetch.Options.Nets
	Guard    *Guard         // nil = only the volume is looked at
	Resolver fetch.Resolver // nil = the system's
	Temp     string         // folder for what is being read, made when it is needed; "" = the system's
}

// outside is the way to one feed's server, with its credentials. What it asks
// for is the feed's own URL, or a name beside it that this node makes.
type outside struct {
	*fetch.Transport
	feed           Feed
	base           *url.URL
	token          string
	user, password string
}

// outside reads the credentials of a feed anew: they may change between runs.
func (rd *Reader) outside(f Feed) (*outside, error) {
	o := &outside{feed: f}
	var err error
	if o.base, err = url.Parse(f.URL); err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "feed.url", "the address of a feed on %q must have the form https://host/path, without a user name", "")
	}
	opts := fetch.Options{Hosts: rd.o.Rules.Hosts, Nets: rd.o.Rules.Nets, Resolver: rd.o.Rules.Resolver}
	if o.token, err = secretIn(f.Access.TokenFile); err != nil {
		return nil, err
	}
	o.user = f.Access.User
	if o.password, err = secretIn(f.Access.PasswordFile); err != nil {
		return nil, err
	}
	if f.Access.CertFile != "" {
		c, err := tls.LoadX509KeyPair(f.Access.CertFile, f.Access.KeyFile)
		if err != nil {
			return nil, noroshi.Errorf(noroshi.Invalid, "feed.certificate", "the certificate %s and its key cannot be read: %w", f.Access.CertFile, err)
		}
		opts.Certificates = []tls.Certificate{c}
	}
	if f.Access.CAFile != "" {
		pem, err := os.ReadFile(f.Access.CAFile)
		opts.Roots = x509.NewCertPool()
		if err != nil || !opts.Roots.AppendCertsFromPEM(pem) {
			return nil, noroshi.Errorf(noroshi.Invalid, "feed.ca", "%s has no certificate in PEM that can be read", f.Access.CAFile)
		}
	}
	o.Transport, err = fetch.New(opts)
	return o, err
}

// maxSecret bounds a file with a token or password.
const maxSecret = 64 << 10

func secretIn(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if b = bytes.TrimSpace(b); err != nil || len(b) == 0 || len(b) > maxSecret || bytes.ContainsAny(b, "\r\n") {
		return "", noroshi.Errorf(noroshi.Invalid, "feed.secret", "%s must be readable and hold the secret in one line", path)
	}
	return string(b), nil
}

// check says why the feed's address may not be asked.
func (o *outside) check() error { return o.Check(o.base) }

// get asks for a URL, unless it is as it was; was may be nil. The caller closes
// the body of an answer of 200; of any other status but 304 there is only the
// error.
func (o *outside) get(ctx context.Context, u *url.URL, was *part) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	switch {
	case o.token != "":
		req.Header.Set("Authorization", "Bearer "+o.token)
	case o.user != "":
		req.SetBasicAuth(o.user, o.password)
	}
	if was != nil && was.ETag != "" {
		req.Header.Set("If-None-Match", was.ETag)
	}
	if was != nil && was.Modified != "" {
		req.Header.Set("If-Modified-Since", was.Modified)
	}
	res, err := o.Client().Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusOK || res.StatusCode == http.StatusNotModified && was != nil {
		return res, nil
	}
	res.Body.Close()
	return nil, o.status(res.StatusCode, retryAfter(res.Header, time.Now()))
}

// busy is an error of a server that says when to come again.
type busy struct {
	error
	after time.Duration
}

// Unwrap returns the error with its code.
func (b busy) Unwrap() error { return b.error }

// retryAfter reads the header of that name (RFC 9110 section 10.2.3), 0 = none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	s := h.Get("Retry-After")
	if sec, err := strconv.Atoi(s); err == nil && sec > 0 {
		return time.Duration(min(sec, int(MaxEvery/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// status is what an answer of a status means.
func (o *outside) status(status int, after time.Duration) error {
	host := o.base.Host
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return noroshi.Errorf(noroshi.Refused, "feed.denied", "%s refuses the credentials of the feed (status %d)", host, status)
	case http.StatusNotFound, http.StatusGone:
		return noroshi.Errorf(noroshi.Invalid, "feed.missing", "%s has nothing at the address of the feed (status %d)", host, status)
	}
	err := noroshi.Errorf(noroshi.Busy, "feed.status", "%s answers with status %d", host, status)
	if after > 0 {
		return busy{err, after}
	}
	return err
}

// explain gives an error of a run its code.
func (o *outside) explain(err error) error {
	var coded *noroshi.Error
	var answer *taxii.Error
	var wait *taxii.BusyError
	var certificate *tls.CertificateVerificationError
	host := o.base.Host
	switch {
	case errors.As(err, &certificate):
		return noroshi.Errorf(noroshi.Refused, "feed.untrusted", "%s shows a certificate that is not trusted: %w", host, certificate.Err)
	case errors.As(err, &coded):
		return err
	case errors.As(err, &wait):
		return busy{noroshi.Errorf(noroshi.Busy, "feed.busy", "%s asks to be left alone for %v", host, wait.After.Round(time.Second)), wait.After}
	case errors.As(err, &answer):
		return o.status(answer.HTTPStatus, 0)
	case errors.Is(err, taxii.ErrElsewhere):
		return noroshi.Errorf(noroshi.Refused, "feed.elsewhere", "%s redirects to another server: that is not followed", host)
	case errors.Is(err, context.Canceled):
		return err
	}
	return noroshi.Errorf(noroshi.Busy, "feed.unreadable", "what %s answers cannot be read: %w", host, err)
}

// spool keeps what a server answers in a temporary file, and returns its path.
func (r *feeding) spool(body io.Reader, limit int64) (path string, size int64, sum noroshi.Hash, err error) {
	f, err := os.CreateTemp(r.temp, "part-")
	if err != nil {
		return "", 0, sum, err
	}
	h := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, h), io.LimitReader(body, limit+1))
	if err == nil && size > limit {
		err = noroshi.Errorf(noroshi.Invalid, "feed.too-large", "the answer of %s is larger than %d bytes", r.feed.place(), limit)
	}
	return f.Name(), size, noroshi.Hash(h.Sum(nil)), errors.Join(err, f.Close())
}

// place is what a feed is read from, as errors name it.
func (f Feed) place() string {
	if u, err := url.Parse(f.URL); err == nil && u.Host != "" {
		return u.Host
	}
	return f.Path
}
