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

	slots   sync.Map // noroshi.NodeID -> *slots
	refused atomic.Int64
}

type slots struct{ bulk, small chan struct{} }

// Refused counts connections with an unknown key.
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
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.serve(w, r, take) }), TLSConfig: conf,
		ReadHeaderTimeout: headTimeout, ReadTimeout: bodyTimeout, WriteTimeout: bodyTimeout, IdleTimeout: idleTimeout,
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

func (l *Listener) partnerOf(pin [32]byte) (noroshi.NodeID, bool) {
	for id, pins := range l.peers() {
		if holds(pins, pin) {
			return id, true
		}
	}
	return noroshi.NodeID{}, false
}

func (l *Listener) serve(w http.ResponseWriter, r *http.Request, take Receive) {
	if r.Method != http.MethodPost || r.URL.Path != Path || r.URL.RawQuery != "" || r.TLS == nil || r.ContentLength > message.MaxEnvelope {
		nothing(w)
		return
	}
	pin, ok := pinOf(*r.TLS)
	from, known := l.partnerOf(pin) // again: keys may have changed since the handshake
	if !ok || !known {
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
