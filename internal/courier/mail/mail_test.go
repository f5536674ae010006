package mail_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/mail"
	"github.com/noroshi-cti/noroshi/internal/courier/mail/mailtest"
)

// TestThroughExim: a real gateway that asks for STARTTLS and a password takes
// letters and hands them on; what is larger than it takes goes in parts.
func TestThroughExim(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	gate := mailtest.Start(t, map[string]string{"jpn.example": b.addr})
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(mailtest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := mail.Relay{Address: gate.Address, Security: mail.StartTLS, Pin: gate.Pin, User: mailtest.User, Password: password}
	sender := func(set func(*mail.Relay)) *inbox {
		return open(t, func(o *mail.Options) {
			r := good
			set(&r)
			o.From, o.Relay = "noroshi@usa.example", &r
		})
	}
	for name, c := range map[string]struct {
		set  func(*mail.Relay)
		kind noroshi.Kind
		code string
	}{
		"another pin": {func(r *mail.Relay) { r.Pin[0] ^= 1 }, noroshi.Queued, "mail.unreachable"},
		"system CAs":  {func(r *mail.Relay) { r.Pin = [32]byte{} }, noroshi.Queued, "mail.unreachable"},
		"TLS at once": {func(r *mail.Relay) { r.Security = mail.TLS }, noroshi.Queued, "mail.unreachable"},
		"a stranger":  {func(r *mail.Relay) { r.User, r.Password = "", "" }, noroshi.Refused, "mail.refused"},
		"wrong user":  {func(r *mail.Relay) { r.User = "nobody" }, noroshi.Refused, "mail.refused"},
		"no password": {func(r *mail.Relay) { r.Password += "-lost" }, noroshi.Queued, "mail.file"},
	} {
		err := sender(c.set).Send(t.Context(), jpn, noroshi.Routine, envelope(1000))
		var e *noroshi.Error
		if !errors.As(err, &e) || e.Kind != c.kind || e.Code != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
	a := sender(func(r *mail.Relay) { r.Pin, r.CAFile = [32]byte{}, gate.CAFile })
	want := [][]byte{envelope(256), envelope(100_000), envelope(2 << 20)} // Exim takes letters of 1 MiB
	for _, e := range want {
		if err := a.Send(t.Context(), jpn, noroshi.Routine, e); err != nil {
			t.Fatalf("%d bytes: %v\n%s", len(e), err, gate.Log())
		}
	}
	b.until(t, "three envelopes", func() bool { return len(b.all()) == len(want) })
	for _, e := range want {
		if !holds(b.all(), e) {
			t.Errorf("%d bytes did not arrive as they were", len(e))
		}
	}
	if c := a.Counts(); c.Sent != 2+3 {
		t.Errorf("%d letters, want one for each envelope that fits and three for the other", c.Sent)
	}
}

// TestWhatALetterShows: nothing but addresses, time and size, which is the same for
// envelopes of one size; names are another each time.
func TestWhatALetterShows(t *testing.T) {
	t.Parallel()
	g := newGateway(t, 0)
	a := open(t, over(g))
	want := envelope(1024)
	for range 2 {
		if err := a.Send(t.Context(), jpn, noroshi.Flash, want); err != nil {
			t.Fatal(err)
		}
	}
	one, two := headers(g.letters[0]), headers(g.letters[1])
	if len(g.letters[0]) != len(g.letters[1]) {
		t.Errorf("letters of %d and %d bytes", len(g.letters[0]), len(g.letters[1]))
	}
	for _, name := range []string{"Subject", "Message-Id", "Content-Disposition"} {
		if one[name] == "" || one[name] == two[name] {
			t.Errorf("%s is %q in both", name, one[name])
		}
	}
	for name := range one {
		switch name {
		case "Date", "From", "To", "Subject", "Message-Id", "Mime-Version", "Content-Type", "Auto-Submitted", "Content-Disposition", "Content-Transfer-Encoding":
		default:
			t.Errorf("a letter shows %s: %s", name, one[name])
		}
	}
}

// headers are those of a letter and its attachment, in one line each.
func headers(letter []byte) map[string]string {
	all := map[string]string{}
	text := strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(string(letter))
	for line := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			all[name] = value
		}
	}
	return all
}
