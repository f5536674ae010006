package https

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Receive takes an envelope of a partner over. It returns when the bytes are
// taken, not when they are stored; an error of kind Busy asks the partner to
// come again later, any other error is told to nobody.
type Receive func(ctx context.Context, channel string, from noroshi.NodeID, envelope []byte) error

// Listener takes envelopes from partners.
type Listener struct {
	ln    net.Listener
	cert  tls.Certificate
	peers Peers
	door  http.Handler
	open  func() bool

	silence time.Duration // Options.Silence

	slots   sync.Map      // noroshi.NodeID -> *slots
	visits  chan struct{} // full while as many answers of the door are on their way as may be
	refused atomic.Int64
	crowd   crowd
}

type slots struct{ bulk, small chan struct{} }

// Refused counts connections with an unknown key, and envelopes that came over
// one.
func (l *Listener) Refused() int64 { return l.refused.Load() }

// Serve hands envelopes to take until ctx ends, then lets running requests
// finish for at most five seconds. It closes the listener.
func (l *Listener) Serve(ctx context.Context, take Receive) error {
	conf := config(l.cert, func(pin [32]byte) bool {
		_, ok := l.partnerOf(pin)
		if !ok {
			l.refused.Add(1)
		}
		return ok
	})
	conf.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) { return l.greet(conf, hello.Conn), nil }
	srv := &http.Server{
		ConnState: l.count,
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.serve(w, r, take) }), TLSConfig: conf,
		ReadHeaderTimeout: l.silence, ReadTimeout: bodyTimeout, WriteTimeout: bodyTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: 8 << 10,
		ErrorLog:       log.New(io.Discard, "", 0), // what a stranger sends is counted, not logged
	}
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(netutil.LimitListener(l.ln, maxConns), "", "") }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if srv.Shutdown(stop) != nil {
		srv.Close()
	}
	<-done
	return nil
}

// welcome reports whether who is no partner may come to the door now.
func (l *Listener) welcome() bool { return l.door != nil && l.open != nil && l.open() }

// greet is how TLS begins: as between partners or, while the door is open, so
// that others come in too. What they may then have is for serve to say.
func (l *Listener) greet(partners *tls.Config, conn net.Conn) *tls.Config {
	c := partners.Clone()
	c.GetConfigForClient = nil
	if l.welcome() {
		c.VerifyConnection = nil
		c.MinVersion, c.ClientAuth = tls.VersionTLS12, tls.RequestClientCert
	}
	check := c.VerifyConnection
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if check != nil {
			if err := check(cs); err != nil {
				return err
			}
		}
		if l.isPartner(cs) {
			l.crowd.leave(conn)
		}
		return nil
	}
	return c
}

func (l *Listener) isPartner(cs tls.ConnectionState) bool {
	pin, ok := pinOf(cs)
	_, known := l.partnerOf(pin)
	return ok && known
}

// count keeps the crowd of those who are no partner as small as it may be, so
// that they do not take the connections of partners.
func (l *Listener) count(c net.Conn, state http.ConnState) {
	t, ok := c.(*tls.Conn)
	if !ok {
		return
	}
	conn := t.NetConn()
	switch state {
	case http.StateNew:
		l.crowd.come(conn)
	case http.StateActive:
		if !l.crowd.speak(conn) {
			conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		l.crowd.leave(conn)
	}
}

func (l *Listener) partnerOf(pin [32]byte) (noroshi.NodeID, bool) {
	for id, pins := range l.peers() {
		if holds(pins, pin) {
			return id, true
		}
	}
	return noroshi.NodeID{}, false
}

func (l *Listener) serve(w http.ResponseWriter, r *http.Request, take Receive) {
	if r.URL.Path != Path && l.welcome() {
		l.visit(w, r)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != Path || r.URL.RawQuery != "" || r.TLS == nil || r.TLS.Version < tls.VersionTLS13 || r.ContentLength > message.MaxEnvelope {
		nothing(w)
		return
	}
	pin, ok := pinOf(*r.TLS)
	from, known := l.partnerOf(pin) // again: keys may have changed since the handshake
	if !ok || !known {
		l.refused.Add(1) // while the door is open, TLS let it through
		nothing(w)
		return
	}
	slot := l.slot(from, r.ContentLength)
	select {
	case slot <- struct{}{}:
		defer func() { <-slot }()
	default:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		nothing(w)
		return
	}
	err = take(r.Context(), "https", from, body)
	if noroshi.KindOf(err) == noroshi.Busy {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	// Whatever became of it is told in statements, not here.
	w.WriteHeader(http.StatusNoContent)
}

// visit has the door answer, when its turn comes: one connection may have many
// requests, and each answer lies in memory until it is read.
func (l *Listener) visit(w http.ResponseWriter, r *http.Request) {
	select {
	case l.visits <- struct{}{}:
		defer func() { <-l.visits }()
		l.door.ServeHTTP(w, r)
	case <-r.Context().Done():
	}
}

// slot returns the semaphore a body of this size waits at.
func (l *Listener) slot(from noroshi.NodeID, length int64) chan struct{} {
	s, _ := l.slots.LoadOrStore(from, &slots{make(chan struct{}, bulkSlots), make(chan struct{}, smallSlots)})
	if length >= 0 && length <= smallBody {
		return s.(*slots).small
	}
	return s.(*slots).bulk
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, message.MaxEnvelope)
	if r.ContentLength < 0 {
		return io.ReadAll(limited)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(limited, body)
	return body, err
}

// nothing is what everything else gets.
func nothing(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusNotFound)
}
