package line_test

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

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/line"
)

// station is a line that runs, and what it was given.
type station struct {
	*line.Line
	got   chan []byte
	agree func() error // what Accept says
}

func (s *station) partner(me int) noroshi.Partner {
	return noroshi.Partner{Node: names[1-me], Endpoints: []string{"https://example.org", s.Name()}}
}

func newStation(t *testing.T, me int, c conditions, open line.Open) *station {
	t.Helper()
	s := &station{got: make(chan []byte, 100)}
	l, err := line.New(line.Options{Name: "hf1", Open: open, Config: config(c, me, 1), Accept: func(_ context.Context, _ noroshi.NodeID, b []byte) error {
		if s.agree != nil {
			if err := s.agree(); err != nil {
				return err
			}
		}
		s.got <- b
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.Line = l
	return s
}

// run runs stations until the test ends.
func run(t *testing.T, list ...*station) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, s := range list {
		wg.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { stop(); wg.Wait() })
}

// send sends again until it is taken: a line may be down at first.
func (s *station) send(t *testing.T, me int, p noroshi.Precedence, b []byte) {
	t.Helper()
	for {
		err := s.Send(t.Context(), s.partner(me), p, b)
		if err == nil {
			return
		}
		if noroshi.KindOf(err) != noroshi.Queued {
			t.Error(err)
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
			t.Error(err)
			return
		}
	}
}

func (s *station) expect(t *testing.T, want []byte) {
	t.Helper()
	for got := range s.got {
		if string(got) == string(want) {
			return
		}
	}
}

var quick = conditions{rate: 1_000_000, turn: 5 * time.Millisecond}

func freePort(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.LocalAddr().String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func pipe(t *testing.T, spec string, rate int) line.Open {
	t.Helper()
	open, err := line.Pipe(spec, rate)
	if err != nil {
		t.Fatal(err)
	}
	return open
}

// TestOverEveryPipe: envelopes of all sizes go both ways over TCP and UDP, one
// side at a time or both at once.
func TestOverEveryPipe(t *testing.T) {
	t.Parallel()
	tcp, udp, udp2 := freePort(t, "tcp"), freePort(t, "udp"), freePort(t, "udp")
	duplex := quick
	duplex.duplex = true
	for name, tc := range map[string]struct {
		a, b string
		c    conditions
	}{
		"tcp":         {"listen:" + tcp, "tcp:" + tcp, quick},
		"udp, duplex": {"udp:" + udp + "," + udp2, "udp:" + udp2 + "," + udp, duplex},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newStation(t, 0, tc.c, pipe(t, tc.a, 0)), newStation(t, 1, tc.c, pipe(t, tc.b, 0))
			run(t, a, b)
			w := newWorld(t, quick, 1)
			long, short := w.envelope(30_000), w.envelope(100)
			var wg sync.WaitGroup
			wg.Go(func() { a.send(t, 0, noroshi.Routine, long) })
			wg.Go(func() { b.send(t, 1, noroshi.Flash, short) })
			b.expect(t, long)
			a.expect(t, short)
			wg.Wait()
			if c := a.Counts(); c.Frames == 0 || a.Up() != nil {
				t.Errorf("%+v, %v", c, a.Up())
			}
		})
	}
}

// TestPipeBreaks: it is opened anew, and what was on its way arrives.
func TestPipeBreaks(t *testing.T) {
	t.Parallel()
	ends := make(chan io.ReadWriteCloser)
	fresh := func(ctx context.Context) (io.ReadWriteCloser, error) {
		x, y := net.Pipe()
		select {
		case ends <- y:
			return x, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	a := newStation(t, 0, quick, fresh)
	times := 0
	b := newStation(t, 1, quick, func(ctx context.Context) (io.ReadWriteCloser, error) {
		select {
		case c := <-ends:
			if times++; times > 1 {
				return c, nil
			}
			return &cut{ReadWriteCloser: c, left: 20_000}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	run(t, a, b)
	long := newWorld(t, quick, 2).envelope(50_000)
	var wg sync.WaitGroup
	wg.Go(func() { a.send(t, 0, noroshi.Priority, long) })
	b.expect(t, long)
	wg.Wait()
	if times != 2 {
		t.Errorf("the pipe was opened %d times", times)
	}
}

// cut is a pipe that breaks after so many bytes were read.
type cut struct {
	io.ReadWriteCloser
	left int
}

func (c *cut) Read(b []byte) (int, error) {
	if c.left <= 0 {
		c.Close()
		return 0, errors.New("cut")
	}
	n, err := c.ReadWriteCloser.Read(b)
	c.left -= n
	return n, err
}

// TestSendSaysWhyNot: each reason has its kind.
func TestSendSaysWhyNot(t *testing.T) {
	t.Parallel()
	s := newStation(t, 0, quick, func(ctx context.Context) (io.ReadWriteCloser, error) {
		x, _ := net.Pipe() // nobody reads at the other end
		return x, nil
	})
	if err := s.Send(t.Context(), s.partner(0), noroshi.Flash, []byte("x")); noroshi.KindOf(err) != noroshi.Queued {
		t.Errorf("a line that does not run: %v", err)
	}
	run(t, s)
	for s.Up() != nil {
		<-time.After(time.Millisecond)
	}
	if err := s.Send(t.Context(), noroshi.Partner{Endpoints: []string{"line:hf2"}}, noroshi.Flash, []byte("x")); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("a partner on another line: %v", err)
	}
	for _, n := range []int{0, line.Largest + 1} {
		if err := s.Send(t.Context(), s.partner(0), noroshi.Flash, make([]byte, n)); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 64)
	for range 64 {
		go func() {
			err := error(noroshi.Errorf(noroshi.Busy, "test.busy", "not yet")) // or the other calls below have the room
			for noroshi.KindOf(err) == noroshi.Busy {
				err = s.Send(ctx, s.partner(0), noroshi.Routine, []byte("xyz"))
			}
			ended <- err
		}()
	}
	for err := error(nil); noroshi.KindOf(err) != noroshi.Busy; { // the 65th
		short, end := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err = s.Send(short, s.partner(0), noroshi.Routine, []byte("x"))
		end()
	}
	stop()
	for range 64 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("taken back: %v", err)
		}
	}
}

// TestBusyIsTriedAgain: who cannot take an envelope now is asked again.
func TestBusyIsTriedAgain(t *testing.T) {
	t.Parallel()
	x, y := net.Pipe()
	a, b := newStation(t, 0, quick, once(x)), newStation(t, 1, quick, once(y))
	var asked atomic.Int32 // also of what came twice
	b.agree = func() error {
		if asked.Add(1) == 1 {
			return noroshi.Errorf(noroshi.Busy, "test.busy", "later")
		}
		return nil
	}
	run(t, a, b)
	a.send(t, 0, noroshi.Flash, []byte("envelope"))
	b.expect(t, []byte("envelope"))
	if n := asked.Load(); n < 2 {
		t.Errorf("asked %d times", n)
	}
}

func once(c io.ReadWriteCloser) line.Open {
	return func(ctx context.Context) (p io.ReadWriteCloser, err error) {
		if c == nil {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		p, c = c, nil
		return p, nil
	}
}

func TestPipeSpecs(t *testing.T) {
	t.Parallel()
	for spec, good := range map[string]bool{
		"tcp:127.0.0.1:5000": true, "listen:127.0.0.1:5000": true, "udp:127.0.0.1:1,127.0.0.1:2": true,
		"": false, "tcp:": false, "tcp:host": false, "listen::5000": false, "udp:127.0.0.1:1": false, "serial:ttyS0": false, "http://x": false,
	} {
		if _, err := line.Pipe(spec, 9600); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "serial:/dev/NAME[@SPEED]") {
			t.Errorf("%q: %v", spec, err)
		}
	}
	for _, bad := range []line.Options{{}, {Name: "HF1", Open: once(nil), Accept: func(context.Context, noroshi.NodeID, []byte) error { return nil }, Config: config(hf, 0, 1)}} {
		if _, err := line.New(bad); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
