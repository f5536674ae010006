package https

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Bounds of a sender.
const (
	postTimeout = 60 * time.Second
	shortPause  = 200 * time.Millisecond // after a failure
	longPause   = 2 * time.Second
	maxClients  = 1024
)

// Sender pushes envelopes to partners over kept-alive connections, by the channels
// that Ways returns.
type Sender struct {
	cert    tls.Certificate
	peers   Peers
	now     func() time.Time
	silence time.Duration

	mu      sync.Mutex
	clients map[noroshi.NodeID]*http.Client
	pauses  map[string]time.Time // by endpoint: until when it is left alone
}

// Certificate is what both ends of the channel show.
func (s *Sender) Certificate() tls.Certificate { return s.cert }

// Way is the endpoint of a partner at one place of its card as a channel of its
// own: when one fails another is taken, on record. The last way has all endpoints
// from its place on, and tries one after the other.
type Way struct {
	sender *Sender
	place  int
	last   bool
}

// Ways returns n channels, named "https", "https:2" and so on: a partner with
// fewer endpoints is not reached by those that are left over.
func (s *Sender) Ways(n int) []Way {
	ways := make([]Way, n)
	for i := range ways {
		ways[i] = Way{s, i, i == n-1}
	}
	return ways
}

// Name is "https", with the place from the second one on.
func (w Way) Name() string {
	if w.place == 0 {
		return noroshi.ChannelHTTPS
	}
	return fmt.Sprintf("%s:%d", noroshi.ChannelHTTPS, w.place+1)
}

// Leads reports whether a partner has an endpoint there. The first place is a way
// to every partner: one that cannot be reached is known by it.
func (w Way) Leads(p noroshi.Partner) bool {
	return w.place == 0 || w.place < len(p.Ways(noroshi.ChannelHTTPS))
}

// Traits of the channel: wide, quick, both ways, preferred to other kinds.
func (w Way) Traits() message.Traits {
	return message.Traits{Kind: noroshi.ChannelHTTPS, Largest: message.MaxEnvelope, Cost: 1 + w.place}
}

// Send posts an envelope to the endpoint; precedence is a matter of connections
// here, and changes nothing. An endpoint that failed is left alone for as long as
// the failure took, two seconds at most: one that refuses costs nothing and is
// tried again soon, one that does not answer must not hold up the others each
// time. Errors have the codes https.no-endpoint, https.pin, https.timeout,
// https.refused, https.paused and https.answer.
func (w Way) Send(ctx context.Context, p noroshi.Partner, _ noroshi.Precedence, envelope []byte) error {
	list := p.Ways(noroshi.ChannelHTTPS)
	if len(list) <= w.place {
		return noroshi.Errorf(noroshi.NotFound, "https.no-endpoint", "partner %s has no https endpoint %d", p.Organisation.CallSign, w.place+1)
	}
	list = list[w.place:]
	if !w.last {
		list = list[:1]
	}
	var err error
	for _, endpoint := range list {
		if err = w.sender.post(ctx, p.Node, endpoint, envelope); err == nil {
			return nil
		}
	}
	return err
}

func (s *Sender) post(ctx context.Context, to noroshi.NodeID, endpoint string, envelope []byte) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return noroshi.Errorf(noroshi.Invalid, "https.endpoint", "endpoint %q must look like https://host:port", endpoint)
	}
	if s.paused(endpoint) {
		return noroshi.Errorf(noroshi.Busy, "https.paused", "endpoint %s failed just now and is left alone", endpoint)
	}
	u.Path, u.RawQuery, u.Fragment = Path, "", ""
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(envelope))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("User-Agent", "NX/1")
	begun := s.now()
	resp, err := s.client(to).Do(req)
	if err != nil {
		if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.fail(endpoint, s.now().Sub(begun))
		}
		return classify(endpoint, err)
	}
	io.Copy(io.Discard, io.LimitReader(resp.Body, 4096))
	resp.Body.Close()
	s.clear(endpoint)
	switch resp.StatusCode {
	case http.StatusNoContent:
		return nil
	case http.StatusServiceUnavailable:
		return noroshi.Errorf(noroshi.Busy, "https.busy", "endpoint %s asks to come again later", endpoint)
	}
	return noroshi.Errorf(noroshi.Refused, "https.answer", "endpoint %s answered %s", endpoint, resp.Status)
}

// classify says what failed, without anything the other end sent.
func classify(endpoint string, err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, errPin), errors.As(err, new(tls.AlertError)):
		return noroshi.Errorf(noroshi.Broken, "https.pin", "endpoint %s shows another TLS key than its KEYSET names, or refuses ours", endpoint)
	case errors.Is(err, syscall.ECONNREFUSED):
		return noroshi.Errorf(noroshi.Queued, "https.refused", "endpoint %s refuses connections", endpoint)
	case errors.As(err, &timeout) && timeout.Timeout():
		return noroshi.Errorf(noroshi.Queued, "https.timeout", "endpoint %s did not answer in time", endpoint)
	}
	return noroshi.Errorf(noroshi.Queued, "https.unreachable", "endpoint %s was not reached: %w", endpoint, err)
}

func (s *Sender) client(to noroshi.NodeID) *http.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[to]; c != nil {
		return c
	}
	if len(s.clients) >= maxClients {
		for id, c := range s.clients { // any: it is dialled anew
			c.CloseIdleConnections()
			delete(s.clients, id)
			break
		}
	}
	c := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: s.silence / 2, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:     config(s.cert, func(pin [32]byte) bool { return holds(s.peers()[to], pin) }),
			TLSHandshakeTimeout: s.silence / 2,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 8,
			IdleConnTimeout:     idleTimeout - time.Minute,
			DisableCompression:  true,
			// A cut wire says nothing: without a ping what was on its way would
			// wait for its timeout, though the wire is back.
			HTTP2: &http.HTTP2Config{SendPingTimeout: s.silence / 2, PingTimeout: s.silence / 2},
		},
	}
	s.clients[to] = c
	return c
}

// Close drops idle connections.
func (s *Sender) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		c.CloseIdleConnections()
	}
}

func (s *Sender) paused(endpoint string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now().Before(s.pauses[endpoint])
}

func (s *Sender) fail(endpoint string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pauses[endpoint] = s.now().Add(min(max(shortPause, took), longPause))
}

func (s *Sender) clear(endpoint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pauses, endpoint)
}
