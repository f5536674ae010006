package mail_test

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/mail"
	"github.com/noroshi-cti/noroshi/internal/courier/mail/mailtest"
)

// TestListener: who sends to somebody else, sends too much or comes when nobody has
// time is told so; what is for nobody here is taken and counted.
func TestListener(t *testing.T) {
	t.Parallel()
	cert := selfSigned(t)
	b := open(t, func(o *mail.Options) { o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })
	var reply *smtp.SMTPError
	err := mailtest.Deliver(b.addr, "x@y.example", "root@jpn.example", []byte("Subject: x\r\n\r\nx\r\n"))
	if !errors.As(err, &reply) || reply.Code != 550 {
		t.Errorf("another recipient: %v", err)
	}
	if err := handOn(t, b, []byte("Subject: invoice\r\n\r\nDear sir\r\n")); err != nil {
		t.Errorf("a letter of somebody: %v", err)
	}
	c, err := smtp.Dial(b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Mail("x@y.example", &smtp.MailOptions{Size: 100 << 20}); !errors.As(err, &reply) || reply.Code != 552 {
		t.Errorf("100 MiB: %v", err)
	}
	if ok, _ := c.Extension("STARTTLS"); !ok {
		t.Error("no STARTTLS is offered")
	}
	a := open(t, func(o *mail.Options) {
		o.Relay = &mail.Relay{Address: b.addr, Security: mail.StartTLS, Pin: pinOf(t, cert)}
	})
	b.hold(1)
	if err := a.Send(t.Context(), jpn, noroshi.Flash, envelope(900)); noroshi.KindOf(err) != noroshi.Busy {
		t.Errorf("nobody has time: %v", err)
	}
	if err := a.Send(t.Context(), jpn, noroshi.Flash, envelope(900)); err != nil {
		t.Errorf("somebody has: %v", err)
	}
	if c := b.Counts(); c.Dropped != 1 || c.Taken != 1 || c.Late != 1 {
		t.Errorf("%+v", c)
	}
}

// TestSilentConnectionsMakeRoom: however many connect and say nothing, a letter
// comes in.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	for range 100 {
		c, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	a := open(t, func(o *mail.Options) { o.Relay.Address = b.addr })
	if err := a.Send(t.Context(), jpn, noroshi.Routine, envelope(900)); err != nil || len(b.all()) != 1 {
		t.Errorf("%v, %d envelopes", err, len(b.all()))
	}
}
