package taxii

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Errors of an answer that is none. The walk over a collection asks for less at
// once when it meets one of the first two.
var (
	ErrTooLarge   = errors.New("the answer is larger than the client takes")
	ErrUnreadable = errors.New("the answer cannot be read")
	ErrNoTAXII    = errors.New("no TAXII 2.1 is spoken there")
)

// spellings of the media type: servers that want it exactly want the first.
var spellings = []string{MediaType, "application/taxii+json; version=2.1", "application/taxii+json"}

const (
	maxRedirects = 3
	userAgent    = "taxii-client"
	maxWords     = 300 // bytes of a server's own text in an error
)

// reply is an answer that came whole, with a status below 300.
type reply struct {
	what   string // method and path, for errors
	status int
	header http.Header
	body   []byte
}

// unreadable says why an answer cannot be read; what is no JSON object at all,
// such as a page for people, is no TAXII.
func (r *reply) unreadable(err error) error {
	kind := ErrUnreadable
	if !bytes.HasPrefix(bytes.TrimLeft(r.body, "\xef\xbb\xbf \r\n\t"), []byte("{")) {
		kind = ErrNoTAXII
	}
	return fmt.Errorf("%s: %w: %w (content type %q)", r.what, kind, err, words(r.header.Get("Content-Type")))
}

// once sends a request once, follows what redirects stay on the server, and
// reads the answer. A status of 300 and more is an *Error.
func (c *Client) once(ctx context.Context, m outgoing) (*reply, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	for range maxRedirects + 1 {
		what := m.method + " " + m.url.Path
		req, err := c.request(ctx, m)
		if err != nil {
			return nil, nil, err
		}
		res, err := c.o.Transport.RoundTrip(req)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", what, err)
		}
		to, err := redirect(res, m)
		if err == nil && to == nil {
			return c.receive(what, res)
		}
		res.Body.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", what, err)
		}
		m.url = to
	}
	return nil, nil, fmt.Errorf("%s %s: %w: more than %d redirects", m.method, m.url.Path, ErrNoTAXII, maxRedirects)
}

func (c *Client) request(ctx context.Context, m outgoing) (*http.Request, error) {
	c.mu.Lock()
	media := spellings[c.accept]
	c.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, m.method, m.url.String(), bytes.NewReader(m.body))
	if err != nil {
		return nil, fmt.Errorf("taxii: %w", err)
	}
	if m.body != nil {
		req.Header.Set("Content-Type", media)
	}
	if m.once {
		// http.Transport sends a GET again by itself when a kept connection
		// breaks, but not one that seems to have a body.
		req.Body, req.GetBody = io.NopCloser(strings.NewReader("")), nil
	}
	req.Header.Set("Accept", media)
	req.Header.Set("Accept-Encoding", "gzip") // unpacked here, where the limit is
	req.Header.Set("User-Agent", userAgent)
	switch {
	case c.o.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.o.Token)
	case c.o.User != "":
		req.SetBasicAuth(c.o.User, c.o.Password)
	}
	return req, nil
}

// redirect returns where an answer sends a request to: nil when nowhere, an
// error when away from the server or where the method would change.
func redirect(res *http.Response, m outgoing) (*url.URL, error) {
	switch res.StatusCode {
	case 301, 302, 303:
		if m.method != http.MethodGet {
			return nil, fmt.Errorf("%w: a redirect that would change the request", ErrNoTAXII)
		}
	case 307, 308:
	default:
		return nil, nil
	}
	ref, err := url.Parse(res.Header.Get("Location"))
	if err != nil || ref.String() == "" {
		return nil, fmt.Errorf("%w: a redirect to nowhere", ErrNoTAXII)
	}
	to := m.url.ResolveReference(ref)
	if !sameOrigin(to, m.url) || to.User != nil {
		return nil, fmt.Errorf("redirected to %s://%s: %w", words(to.Scheme), words(to.Host), ErrElsewhere)
	}
	return to, nil
}

// receive reads an answer whole, within the limit.
func (c *Client) receive(what string, res *http.Response) (*reply, http.Header, error) {
	defer res.Body.Close()
	limit := c.o.MaxAnswer
	if res.StatusCode >= 300 {
		limit = min(limit, 64<<10)
	}
	body, err := unpack(res, limit)
	if res.StatusCode >= 300 {
		return nil, res.Header, fmt.Errorf("%s: %w", what, serverError(res.StatusCode, body))
	}
	if err != nil {
		return nil, res.Header, fmt.Errorf("%s: %w", what, err)
	}
	if t := res.Header.Get("Content-Type"); strings.Contains(t, "vnd.oasis") || strings.Contains(t, "version=2.0") {
		return nil, res.Header, fmt.Errorf("%s: %w: it is TAXII 2.0 (content type %q)", what, ErrNoTAXII, words(t))
	}
	return &reply{what: what, status: res.StatusCode, header: res.Header, body: body}, res.Header, nil
}

func unpack(res *http.Response, limit int64) ([]byte, error) {
	if res.ContentLength > limit {
		return nil, ErrTooLarge
	}
	var r io.Reader = res.Body
	switch strings.ToLower(strings.TrimSpace(res.Header.Get("Content-Encoding"))) {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(r)
		if err == io.EOF { // an empty body needs no gzip around it
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		r = z
	default:
		return nil, fmt.Errorf("%w: an encoding nobody asked for", ErrUnreadable)
	}
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err // broken off: asking again may help
	}
	if int64(len(body)) > limit {
		return nil, ErrTooLarge
	}
	return body, nil
}

// serverError makes an *Error of whatever a server says about a failure:
// title, or message, name and code as some have it, or no JSON at all.
func serverError(status int, body []byte) *Error {
	e := &Error{HTTPStatus: status}
	var m map[string]jsontext.Value
	if json.Unmarshal(body, &m, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) == nil {
		pick := func(names ...string) string {
			for _, n := range names {
				var s string
				if json.Unmarshal(m[n], &s) == nil && s != "" {
					return words(s)
				}
			}
			return ""
		}
		e.Title, e.Detail = pick("title", "name", "message", "error"), pick("description", "detail", "message")
		e.ID, e.Code = pick("error_id"), pick("error_code", "code")
	}
	if e.Title == "" {
		e.Title = fmt.Sprintf("%d %s", status, http.StatusText(status))
	}
	return e
}

// words makes a server's own text fit for a line of a log.
func words(s string) string {
	s = strings.ToValidUTF8(s, "�")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	if len(s) > maxWords {
		s = strings.ToValidUTF8(s[:maxWords], "") + "…"
	}
	return s
}

// statusOf returns the HTTP status an error came of, 0 when of none.
func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.HTTPStatus
	}
	return 0
}
