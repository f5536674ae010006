package mail

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/noroshi-cti/noroshi"
)

// Security is how the way to a gateway is secured.
type Security string

// The kinds of security. Whichever is named must succeed: nothing falls back.
const (
	StartTLS Security = "starttls" // RFC 3207
	TLS      Security = "tls"      // from the first byte (RFC 8314)
	NoTLS    Security = "none"     // who listens on the way sees addresses and sizes
)

// Relay is the mail gateway of the site, or whatever server takes letters for
// partners.
type Relay struct {
	Address    string // host:port
	Hello      string // the name this side says; "" = localhost
	Security   Security
	ServerName string   // in its certificate; "" = the host of Address
	Pin        [32]byte // SHA-256 of its certificate's SubjectPublicKeyInfo; zero = by CA
	CAFile     string   // PEM of who may sign its certificate; "" = whom the system trusts
	User       string   // "" = no AUTH
	Password   string   // name of a file whose first line it is
}

// Times of a conversation.
const (
	dialTimeout    = 10 * time.Second
	commandTimeout = 2 * time.Minute
	dataTimeout    = 10 * time.Minute
	maxHeard       = 1 << 20 // bytes of a gateway's answers on one connection
)

func (r *Relay) check() error {
	bad := func(what string) error {
		return noroshi.Errorf(noroshi.Invalid, "mail.options", "mail needs %s", what)
	}
	host, port, err := net.SplitHostPort(r.Address)
	switch {
	case err != nil || host == "" || port == "":
		return bad("gateway")
	case r.Security != StartTLS && r.Security != TLS && r.Security != NoTLS:
		return bad("security")
	case r.Security == NoTLS && (r.Pin != [32]byte{} || r.CAFile != "" || r.User != ""):
		return bad("tls")
	case r.Pin != [32]byte{} && r.CAFile != "":
		return bad("pin-or-ca")
	case (r.User == "") != (r.Password == ""):
		return bad("user")
	case strings.ContainsAny(r.Hello, " \r\n\t"):
		return bad("hello")
	}
	return nil
}

// ParsePin reads a pin: 64 hexadecimal digits.
func ParsePin(s string) (pin [32]byte, err error) {
	if s == "" {
		return pin, nil
	}
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(pin) {
		return pin, noroshi.Errorf(noroshi.Invalid, "mail.options", "mail needs %s", "pin")
	}
	return [32]byte(b), nil
}

// config is TLS to the gateway. The files are read at each connection: they may
// be renewed while the node runs.
func (r *Relay) config() (*tls.Config, error) {
	host, _, _ := net.SplitHostPort(r.Address)
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if r.ServerName != "" {
		c.ServerName = r.ServerName
	}
	if r.CAFile != "" {
		pem, err := os.ReadFile(r.CAFile)
		if err != nil {
			return nil, noroshi.Errorf(noroshi.Queued, "mail.file", "the file %s cannot be read: %w", r.CAFile, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, noroshi.Errorf(noroshi.Queued, "mail.file", "the file %s cannot be read: %w", r.CAFile, errors.New("no certificate in it"))
		}
	}
	if r.Pin != [32]byte{} {
		c.InsecureSkipVerify = true // VerifyConnection below is the check
		c.VerifyConnection = func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 || sha256.Sum256(cs.PeerCertificates[0].RawSubjectPublicKeyInfo) != r.Pin {
				return errPin
			}
			return nil
		}
	}
	return c, nil
}

var errPin = errors.New("its key is not the pinned one")

// heard bounds what a gateway can make this side keep by answers without end.
type heard struct {
	net.Conn
	left int
}

func (h *heard) Read(p []byte) (int, error) {
	if h.left <= 0 {
		return 0, errors.New("it says too much")
	}
	n, err := h.Conn.Read(p[:min(len(p), h.left)])
	h.left -= n
	return n, err
}

// session is a connection to the gateway that letters can be sent on.
type session struct {
	*smtp.Client
	conn  *heard
	since time.Time // of the last letter
}

// dial opens a session. The connection closes when ctx ends.
func (r *Relay) dial(ctx context.Context) (s *session, err error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return nil, r.unreachable(err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	s = &session{conn: &heard{Conn: conn, left: maxHeard}}
	if err := r.greet(s); err != nil {
		conn.Close()
		return nil, r.explain(err)
	}
	return s, nil
}

func (r *Relay) greet(s *session) (err error) {
	c, err := r.config()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(commandTimeout) // a gateway that says a byte a minute
	s.conn.SetDeadline(deadline)
	switch r.Security {
	case StartTLS:
		if s.Client, err = smtp.NewClientStartTLS(s.conn, c); err != nil {
			return err
		}
	case TLS:
		s.Client = smtp.NewClient(tls.Client(s.conn, c))
	default:
		s.Client = smtp.NewClient(s.conn)
	}
	s.CommandTimeout, s.SubmissionTimeout = commandTimeout, dataTimeout
	hello := r.Hello
	if hello == "" {
		hello = "localhost"
	}
	if err := s.Hello(hello); err != nil {
		return err
	}
	return r.login(s)
}

// login authenticates by PLAIN, or LOGIN where the gateway knows that alone.
func (r *Relay) login(s *session) error {
	if r.User == "" {
		return nil
	}
	b, err := os.ReadFile(r.Password)
	if err != nil {
		return noroshi.Errorf(noroshi.Queued, "mail.file", "the file %s cannot be read: %w", r.Password, err)
	}
	password, _, _ := strings.Cut(string(b), "\n")
	password = strings.TrimSuffix(password, "\r")
	var auth sasl.Client
	switch {
	case s.SupportsAuth(sasl.Plain):
		auth = sasl.NewPlainClient("", r.User, password)
	case s.SupportsAuth(sasl.Login):
		auth = sasl.NewLoginClient(r.User, password)
	default:
		return noroshi.Errorf(noroshi.Queued, "mail.auth", "gateway %s offers neither AUTH PLAIN nor LOGIN", r.Address)
	}
	return s.Auth(auth)
}

func (r *Relay) unreachable(err error) error {
	return noroshi.Errorf(noroshi.Queued, "mail.unreachable", "gateway %s cannot be reached: %w", r.Address, err)
}

// explain makes the error of a conversation one of ours: "come again later" is
// Busy, a refusal says what the gateway said, everything else is the way.
func (r *Relay) explain(err error) error {
	var ours *noroshi.Error
	var reply *smtp.SMTPError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return err
	case !errors.As(err, &reply):
		return r.unreachable(err)
	case reply.Temporary():
		return noroshi.Errorf(noroshi.Busy, "mail.deferred", "gateway %s asks to come again later: %s", r.Address, said(reply))
	}
	return noroshi.Errorf(noroshi.Refused, "mail.refused", "gateway %s refuses: %s", r.Address, said(reply))
}

// maxSaid bounds what is kept of a gateway's words.
const maxSaid = 160

// said is a gateway's answer in one line of printable ASCII: it goes on record.
func said(e *smtp.SMTPError) string {
	text := fmt.Sprint(e.Code)
	if c := e.EnhancedCode; c[0] > 0 {
		text = fmt.Sprintf("%s %d.%d.%d", text, c[0], c[1], c[2])
	}
	text += " " + strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return ' '
		}
		return c
	}, e.Message[:min(len(e.Message), 4*maxSaid)])
	text = strings.Join(strings.Fields(text), " ")
	return text[:min(len(text), maxSaid)]
}
