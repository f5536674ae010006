package taxii

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// BusyError says that a server asks to be left alone for longer than the
// client waits.
type BusyError struct {
	After time.Duration // from now
	Err   error
}

// Error says for how long.
func (e *BusyError) Error() string { return fmt.Sprintf("%v: come again in %v", e.Err, e.After) }

// Unwrap returns the server's answer.
func (e *BusyError) Unwrap() error { return e.Err }

func waitFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// call sends a request until it is answered, at most Tries times: every
// request of TAXII may be repeated, a POST too (section 5.5: the same version
// again is no error).
func (c *Client) call(ctx context.Context, method string, u *url.URL, body []byte) (*reply, error) {
	return c.try(ctx, outgoing{method: method, url: u, body: body}, passing)
}

// outgoing is a request to be sent.
type outgoing struct {
	method string
	url    *url.URL
	body   []byte // nil = none
	once   bool   // not even the transport may send it again by itself
}

func (c *Client) try(ctx context.Context, m outgoing, again func(error) bool) (*reply, error) {
	for n := 1; ; n++ {
		r, header, err := c.once(ctx, m)
		if err == nil {
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if s := statusOf(err); (s == http.StatusNotAcceptable || s == http.StatusUnsupportedMediaType) && c.respell() {
			n--
			continue
		}
		if !again(err) || c.o.Final != nil && c.o.Final(err) {
			return nil, err
		}
		wait, asked := c.pause(n, header)
		if asked && wait > c.o.MaxWait {
			return nil, &BusyError{After: wait, Err: err}
		}
		if n >= c.o.Tries {
			return nil, err
		}
		if err := c.o.Wait(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// respell goes on to the next spelling of the media type; false after the last.
func (c *Client) respell() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.accept+1 >= len(spellings) {
		c.accept = 0
		return false
	}
	c.accept++
	return true
}

// passing reports whether an error may be gone when asked again.
func passing(err error) bool {
	switch statusOf(err) {
	case 0:
		for _, lasting := range []error{ErrTooLarge, ErrUnreadable, ErrNoTAXII, ErrElsewhere} {
			if errors.Is(err, lasting) {
				return false
			}
		}
		return true
	case 408, 425, 429, 500, 502, 503, 504:
		return true
	}
	return false
}

// crowded reports whether the server said that it did not do what it was asked.
func crowded(err error) bool { return statusOf(err) == http.StatusTooManyRequests }

// pause returns how long to wait after the n-th failure, and whether the server
// asked for it: what Retry-After says, else twice as long each time, between
// half of it and the whole.
func (c *Client) pause(n int, h http.Header) (d time.Duration, asked bool) {
	if s := h.Get("Retry-After"); s != "" {
		if sec, err := strconv.Atoi(s); err == nil && sec >= 0 {
			return time.Duration(min(sec, 30*24*3600)) * time.Second, true
		}
		if t, err := http.ParseTime(s); err == nil {
			return max(t.Sub(c.o.Now()), 0), true
		}
	}
	for d = c.o.MinWait; n > 1 && d < c.o.MaxWait; n-- {
		d *= 2
	}
	d = min(d, c.o.MaxWait)
	return d/2 + time.Duration(float64(d/2)*c.o.Jitter()), false
}
