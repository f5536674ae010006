package siem

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Conn is a connection to a SIEM. Read tells when the other end closes.
type Conn interface {
	net.Conn
	CloseWrite() error // says that nothing follows
}

// dialTLS connects by TLS 1.2 or later and checks the receiver's certificate
// (RFC 5425 §4.2.1, §5.2). Which algorithms that is, is the FIPS 140-3 module's
// to say where the program runs in its mode.
func dialTLS(p Pace) func(context.Context, *Destination) (Conn, error) {
	return func(ctx context.Context, d *Destination) (Conn, error) {
		config, err := d.Trust.Config(d.Address)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, p.Dial)
		defer cancel()
		c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", d.Address)
		if err != nil {
			return nil, noroshi.Errorf(noroshi.Queued, "siem.dial", "connect to %s: %w", d.Address, err)
		}
		return tlsConn{c.(*tls.Conn)}, nil
	}
}

// tlsConn ends its direction on both layers: some receivers look at TLS, some
// at TCP.
type tlsConn struct{ *tls.Conn }

// CloseWrite sends close_notify and, where the network has it, FIN.
func (c tlsConn) CloseWrite() error {
	err := c.Conn.CloseWrite()
	if half, ok := c.NetConn().(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite()
	}
	return err
}

// line is a connection in use, watched for its end.
type line struct {
	Conn
	ended chan struct{} // closed when the other end closed, or the connection broke
	err   error         // how; read after ended
}

// watchLine watches a connection until it ends. A receiver has nothing to say,
// so what it says is thrown away.
func watchLine(c Conn) *line {
	l := &line{Conn: c, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		_, l.err = io.Copy(io.Discard, c)
	}()
	return l
}

// put writes framed messages; the receiver has d to take them. An end of ctx
// breaks the connection, so that a receiver that takes nothing does not hold
// the node that stops.
func (l *line) put(ctx context.Context, b []byte, d time.Duration) error {
	if err := l.SetWriteDeadline(time.Now().Add(d)); err != nil { // the network's clock, not ours
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	if _, err := l.Write(b); err != nil {
		return noroshi.Errorf(noroshi.Queued, "siem.broken", "the connection broke: %w", err)
	}
	return nil
}

// gone returns how a connection that ended by itself did.
func (l *line) gone() error {
	if l.err == nil {
		return noroshi.Errorf(noroshi.Queued, "siem.closed", "the receiver closed the connection while it was in use")
	}
	return noroshi.Errorf(noroshi.Queued, "siem.broken", "the connection broke: %w", l.err)
}

// confirm closes a connection on which nothing was written for a while and
// returns nil when the receiver answered, that is: it has read everything.
func (l *line) confirm(ctx context.Context, answer <-chan time.Time) error {
	select {
	case <-l.ended:
		return l.gone()
	default:
	}
	if err := l.CloseWrite(); err != nil {
		return noroshi.Errorf(noroshi.Queued, "siem.broken", "the connection broke: %w", err)
	}
	select {
	case <-l.ended:
		if l.err != nil {
			return l.gone()
		}
		return nil
	case <-answer:
		return noroshi.Errorf(noroshi.Queued, "siem.no-answer", "the receiver did not answer the close of the connection")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drop closes a connection and waits for its watcher.
func (l *line) drop() {
	_ = l.Close() // what was unread on it counts as not sent
	<-l.ended
}
