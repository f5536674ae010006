package mail_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/mail"
)

// gateway is a mail server of somebody else: it answers each letter as it is
// told and hands what it takes on.
type gateway struct {
	addr string

	mu      sync.Mutex
	rcpt    func() error
	named   func(to string) error // without the lock
	data    func(letter []byte) error
	letters [][]byte
}

func (g *gateway) NewSession(*smtp.Conn) (smtp.Session, error) { return &transfer{g: g}, nil }

type transfer struct {
	g    *gateway
	to   string
	from string
}

func (x *transfer) Mail(from string, _ *smtp.MailOptions) error { x.from = from; return nil }

func (x *transfer) Rcpt(to string, _ *smtp.RcptOptions) error {
	x.to = to
	if x.g.named != nil {
		if err := x.g.named(to); err != nil {
			return err
		}
	}
	x.g.mu.Lock()
	defer x.g.mu.Unlock()
	if x.g.rcpt != nil {
		return x.g.rcpt()
	}
	return nil
}

func (x *transfer) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	x.g.mu.Lock()
	defer x.g.mu.Unlock()
	x.g.letters = append(x.g.letters, b)
	if x.g.data != nil {
		return x.g.data(b)
	}
	return nil
}

func (x *transfer) Reset() {}

func (x *transfer) Logout() error { return nil }

// newGateway runs a gateway that takes letters of so many bytes; 0 = it does not
// say how many.
func newGateway(t *testing.T, size int64) *gateway {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{addr: ln.Addr().String()}
	s := smtp.NewServer(g)
	s.Domain, s.MaxMessageBytes = "gateway.example", size
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return g
}

func over(g *gateway) func(*mail.Options) {
	return func(o *mail.Options) { o.Relay = &mail.Relay{Address: g.addr, Security: mail.NoTLS} }
}

// TestGreylisting: "come again later" is Busy and costs no connection until its
// time is over, each time twice as long; a FLASH and what says what has come try
// all the same.
func TestGreylisting(t *testing.T) {
	t.Parallel()
	g := newGateway(t, 0)
	now, clock := time.Now(), sync.Mutex{}
	a := open(t, func(o *mail.Options) {
		over(g)(o)
		o.Retry = time.Minute
		o.Now = func() time.Time { clock.Lock(); defer clock.Unlock(); return now }
	})
	later := func(d time.Duration) { clock.Lock(); defer clock.Unlock(); now = now.Add(d) }
	tries := 0
	g.rcpt = func() error {
		if tries++; tries < 5 {
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "Greylisted"}
		}
		return nil
	}
	for i, c := range []struct {
		after time.Duration
		prec  noroshi.Precedence
		code  string // "" = taken
		tries int
	}{
		{0, noroshi.Routine, "mail.deferred", 1},
		{time.Second, noroshi.Immediate, "mail.waiting", 1},
		{time.Minute, noroshi.Routine, "mail.deferred", 2},
		{time.Minute, noroshi.Routine, "mail.waiting", 2},
		{0, noroshi.Flash, "mail.deferred", 3},
		{0, 0, "mail.deferred", 4},
		{time.Minute, noroshi.Routine, "", 5},
		{0, noroshi.Routine, "", 6},
	} {
		later(c.after)
		err := a.Send(t.Context(), jpn, c.prec, envelope(500))
		var e *noroshi.Error
		if c.code == "" && err != nil || c.code != "" && (!errors.As(err, &e) || e.Code != c.code || e.Kind != noroshi.Busy) || tries != c.tries {
			t.Errorf("try %d: %v after %d attempts, want %q after %d", i, err, tries, c.code, c.tries)
		}
	}
}

// TestRefusal: what a gateway refuses for good is an error with its words, in one
// line of printable ASCII; so is one that knows no TLS where it is asked for.
func TestRefusal(t *testing.T) {
	t.Parallel()
	g := newGateway(t, 0)
	g.rcpt = func() error {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "policy\x1b[2J of 日本 " + strings.Repeat("x", 400)}
	}
	a := open(t, over(g))
	err := a.Send(t.Context(), jpn, noroshi.Routine, envelope(500))
	if noroshi.KindOf(err) != noroshi.Refused || !strings.Contains(err.Error(), "550 5.7.1 policy [2J of") || len(err.Error()) > 260 || strings.ContainsFunc(err.Error(), func(c rune) bool { return c < ' ' || c > '~' }) {
		t.Errorf("a refusal: %v", err)
	}
	b := open(t, func(o *mail.Options) { o.Relay = &mail.Relay{Address: g.addr, Security: mail.StartTLS} })
	if err := b.Send(t.Context(), jpn, noroshi.Routine, envelope(500)); noroshi.KindOf(err) != noroshi.Queued || len(g.letters) > 0 {
		t.Errorf("a gateway without TLS: %v, %d letters", err, len(g.letters))
	}
	if err := a.Send(t.Context(), noroshi.Partner{}, noroshi.Routine, envelope(500)); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("a partner without an address: %v", err)
	}
	nobody := open(t, func(o *mail.Options) { o.Relay.Address = closed(t) })
	if err := nobody.Send(t.Context(), jpn, noroshi.Routine, envelope(500)); noroshi.KindOf(err) != noroshi.Queued {
		t.Errorf("nobody there: %v", err)
	}
}

// closed is an address nobody listens on.
func closed(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// TestSizesAreLearned: a letter is no larger than a gateway says it takes, or than
// one behind it shows it does; what does not fit goes in parts.
func TestSizesAreLearned(t *testing.T) {
	t.Parallel()
	for name, announced := range map[string]int64{"said": 200_000, "found out": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, nil)
			g := newGateway(t, announced)
			largest := 0
			g.data = func(letter []byte) error {
				if len(letter) > 200_000 {
					return &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}, Message: "Too large"}
				}
				largest = max(largest, len(letter))
				return handOn(t, b, letter)
			}
			a := open(t, func(o *mail.Options) { over(g)(o); o.MaxLetter = 1 << 20; o.Retry = time.Nanosecond })
			want := envelope(700_000)
			err := a.Send(t.Context(), jpn, noroshi.Routine, want)
			for n := 0; noroshi.KindOf(err) == noroshi.Busy && n < 10; n++ {
				err = a.Send(t.Context(), jpn, noroshi.Flash, want)
			}
			if err != nil || !holds(b.all(), want) || len(b.all()) != 1 {
				t.Fatalf("%v, %d envelopes", err, len(b.all()))
			}
			if b.from[0] != usa.Node {
				t.Errorf("parts of %v", b.from[0])
			}
			if largest == 0 || largest > 200_000 {
				t.Errorf("the largest letter has %d bytes", largest)
			}
		})
	}
}

// TestASlowAddress: what hangs on its way to one partner holds up no other, and
// neither FLASH nor a statement to the same.
func TestASlowAddress(t *testing.T) {
	t.Parallel()
	g := newGateway(t, 0)
	gate, held := make(chan struct{}), make(chan struct{}, 10)
	var once sync.Once
	let := func() { once.Do(func() { close(gate) }) }
	t.Cleanup(let)
	var slow sync.Map
	g.named = func(to string) error {
		if n, _ := slow.LoadOrStore(to, new(atomic.Int64)); strings.Contains(to, "kor") && n.(*atomic.Int64).Add(1) <= 2 {
			held <- struct{}{}
			<-gate
		}
		return nil
	}
	a := open(t, over(g))
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- a.Send(context.Background(), kor, noroshi.Routine, envelope(500)) }()
		<-held
	}
	for _, c := range []struct {
		p    noroshi.Partner
		prec noroshi.Precedence
	}{{jpn, noroshi.Routine}, {kor, noroshi.Flash}, {kor, 0}} {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		if err := a.Send(ctx, c.p, c.prec, envelope(500)); err != nil {
			t.Errorf("to %s at %d: %v", c.p.Endpoints[0], c.prec, err)
		}
		stop()
	}
	let()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
