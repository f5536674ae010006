package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// Bounds of the listener.
const (
	maxRooms       = 64               // connections at once; who comes then makes the one go that has been silent longest
	maxLines       = 2000             // bytes of a line (RFC 5321 §4.5.3.1.6, doubled)
	sessionTimeout = 20 * time.Minute // of a connection in all
	answerTimeout  = time.Minute
	letterTimeout  = 10 * time.Minute // from DATA to its end
	closingTime    = 3 * time.Second
)

var (
	errNobody = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such mailbox here"}
	errBusy   = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "Come again later"}
)

// silent takes what the server would log about strangers: it is counted.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// serve takes letters in by SMTP until ctx ends. A letter is answered when what
// is in it was taken over: until then the gateway has it. What is for nobody here
// is accepted and dropped, so that nobody is told of letters he did not send.
func (m *Mail) serve(ctx context.Context) error {
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &visit{m, ctx, c}, nil }))
	_, s.Domain, _ = strings.Cut(m.o.From, "@")
	s.TLSConfig = m.o.TLS
	s.MaxMessageBytes, s.MaxRecipients, s.MaxLineLength = MaxIncoming, 16, maxLines
	s.ReadTimeout, s.WriteTimeout = answerTimeout, answerTimeout
	s.ErrorLog = silent{}
	done, ended := make(chan error, 1), make(chan error, 1)
	go func() { done <- s.Serve(&hall{m.o.Listener, &m.rooms}) }()
	select {
	case err := <-done:
		m.rooms.empty(true)
		return errors.Join(err, s.Shutdown(context.WithoutCancel(ctx)))
	case <-ctx.Done():
	}
	go func() { ended <- s.Shutdown(context.WithoutCancel(ctx)) }()
	m.o.Listener.Close() // what Serve has not yet taken to heart, Shutdown does not close
	<-done
	m.rooms.empty(false)
	grace := time.NewTimer(closingTime)
	defer grace.Stop()
	select {
	case <-ended:
		return nil
	case <-grace.C:
	}
	m.rooms.empty(true)
	<-ended
	return nil
}

// visit is one connection.
type visit struct {
	m    *Mail
	ctx  context.Context
	conn *smtp.Conn
}

// Mail takes any sender: who it is, is told by what is sealed.
func (v *visit) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt knows the addresses of this node alone.
func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	for _, r := range v.m.o.Recipients {
		if strings.EqualFold(r, to) {
			return nil
		}
	}
	return errNobody
}

// Data takes a letter.
func (v *visit) Data(r io.Reader) error {
	v.m.rooms.busy(v.conn.Conn(), true)
	defer v.m.rooms.busy(v.conn.Conn(), false)
	if err := v.conn.Conn().SetReadDeadline(time.Now().Add(letterTimeout)); err != nil {
		return errBusy
	}
	became, _ := v.m.receive(v.ctx, r)
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	switch became {
	case later:
		return errBusy
	case nothing, broken:
		v.m.counts.dropped.Add(1)
	}
	return nil
}

// Reset ends a letter.
func (v *visit) Reset() {}

// Logout ends a connection.
func (v *visit) Logout() error { return nil }

// hall bounds who is in.
type hall struct {
	net.Listener
	rooms *rooms
}

// Accept takes who comes; who has been silent longest makes room.
func (h *hall) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	g := &guest{Conn: c, rooms: h.rooms, end: time.Now().Add(sessionTimeout)}
	h.rooms.come(g)
	return g, nil
}

// rooms are the connections that are open.
type rooms struct {
	mu     sync.Mutex // guards what follows
	guests []*guest   // who came first is first
}

type guest struct {
	net.Conn
	rooms *rooms
	end   time.Time
	busy  bool // sends a letter; guarded by rooms.mu
}

func (r *rooms) come(g *guest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.guests = append(r.guests, g)
	if len(r.guests) <= maxRooms {
		return
	}
	at := 0 // all are busy: who has been longest at it
	for i, o := range r.guests[:maxRooms] {
		if !o.busy {
			at = i
			break
		}
	}
	r.guests[at].Conn.Close()
	r.guests = append(r.guests[:at], r.guests[at+1:]...)
}

// busy notes that a connection sends a letter, or has sent it.
func (r *rooms) busy(c net.Conn, is bool) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if g, ok := c.(*guest); ok {
		g.busy = is
	}
}

// empty closes the connections on which no letter is, or all.
func (r *rooms) empty(all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.guests {
		if all || !g.busy {
			g.Conn.Close()
		}
	}
}

// Close ends a connection.
func (g *guest) Close() error {
	g.rooms.mu.Lock()
	for i, o := range g.rooms.guests {
		if o == g {
			g.rooms.guests = append(g.rooms.guests[:i], g.rooms.guests[i+1:]...)
			break
		}
	}
	g.rooms.mu.Unlock()
	return g.Conn.Close()
}

// SetReadDeadline bounds the whole connection, whatever the server grants a line.
func (g *guest) SetReadDeadline(t time.Time) error {
	if t.IsZero() || t.After(g.end) {
		t = g.end
	}
	return g.Conn.SetReadDeadline(t)
}
