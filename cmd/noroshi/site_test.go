package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/cable"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/web"
)

const passphrase = "correct-horse-battery"

// site is one organisation of a story of crashes: a data folder, a node
// process that is started again whenever it is gone, the crew, and the cable
// on which its partner reaches it.
type site struct {
	crew.Crew
	t      *testing.T
	exe    string
	env    []string // of the processes, beside this one's
	died   func()   // called when a process was killed, before the next; may be nil
	dir    string
	cable  *cable.Cable
	client *web.Client

	mu     sync.Mutex // guards what follows
	proc   *exec.Cmd  // nil while there is none
	over   bool       // no process is to follow
	failed []string   // what processes said that ended by themselves
	fails  bool       // they may: the story has the disk fail
	kills  int        // processes that died of SIGKILL
	gone   sync.WaitGroup
}

// newSite makes a node with its crew and runs it until the test ends; change
// may say more of its configuration.
func newSite(t *testing.T, sign noroshi.CallSign, change ...func(*node.Config)) *site {
	t.Helper()
	s := siteOf(t, filepath.Join(program(t), "noroshi"), sign, change...)
	s.begin()
	return s
}

// siteOf makes a node that an executable is to run.
func siteOf(t *testing.T, exe string, sign noroshi.CallSign, change ...func(*node.Config)) *site {
	t.Helper()
	l, err := cable.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	l.Close()
	wire, err := cable.Lay(t.Context(), listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wire.Cut)
	s := &site{t: t, exe: exe, dir: filepath.Join(t.TempDir(), strings.ToLower(string(sign))), cable: wire}
	config := node.Config{CallSign: sign, Listen: listen, Endpoints: []string{"https://" + wire.From()}}
	for _, c := range change {
		c(&config)
	}
	if err := node.Init(t.Context(), s.dir, config); err != nil {
		t.Fatal(err)
	}
	s.client = web.NewClient(node.SocketPath(s.dir, noroshi.Real))
	s.Crew = crew.Crew{Sign: sign, Do: s.call, Passphrase: func(string) ([]byte, error) { return []byte(passphrase), nil }, Cast: &cast}
	return s
}

// cast are the persons of all sites.
var cast crew.Cast

// begin runs a node until the test ends, and makes its crew.
func (s *site) begin() {
	s.t.Helper()
	s.start()
	s.t.Cleanup(s.end)
	if err := s.Join(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// start keeps a process running. It may die of SIGKILL, or end well once the
// story is over; any other end is a fault.
func (s *site) start() {
	s.gone.Go(func() {
		for {
			cmd := exec.Command(s.exe, "serve", "--dir", s.dir, "--lang", "en")
			cmd.Env = append(os.Environ(), s.env...)
			var said bytes.Buffer
			cmd.Stderr = &said
			s.mu.Lock()
			if s.over {
				s.mu.Unlock()
				return
			}
			if err := cmd.Start(); err != nil {
				s.mu.Unlock()
				s.t.Errorf("%s: %v", s.Sign, err)
				return
			}
			s.proc = cmd
			s.mu.Unlock()
			err := cmd.Wait()
			s.mu.Lock()
			s.proc = nil
			over, died := s.over, s.died
			status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
			killed := status.Signaled() && status.Signal() == syscall.SIGKILL
			if killed {
				s.kills++
			}
			s.mu.Unlock()
			if killed && died != nil {
				died()
			}
			if out := said.String(); strings.Contains(out, "DATA RACE") || strings.Contains(out, "panic: ") {
				s.t.Errorf("%s: serve: %s", s.Sign, out)
			}
			if !killed && err != nil && s.mayFail(said.String()) {
				continue
			}
			if !killed && (!over || err != nil) {
				s.t.Errorf("%s: serve ended by itself: %v\n%s", s.Sign, err, said.String())
				s.mu.Lock()
				s.over = true
				s.mu.Unlock()
				return
			}
		}
	})
}

// mayFail takes down what a process said that ended by itself: false where the
// story has no disk fail.
func (s *site) mayFail(said string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails {
		s.failed = append(s.failed, said)
	}
	return s.fails
}

func (s *site) failing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fails
}

// ofTheDisk reports whether an error's code says that the disk failed, or that
// the node stopped for it in the middle.
func ofTheDisk(code string) bool {
	return slices.Contains([]string{"disk.write", "store.disk", "store.full", "import.interrupted", "api.broken-off"}, code)
}

// signal sends the running process a signal; false when there is none.
func (s *site) signal(sig syscall.Signal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc != nil && s.proc.Process.Signal(sig) == nil
}

// killed tells how many processes died so far.
func (s *site) killed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kills
}

// end stops the process gracefully and lets none follow.
func (s *site) end() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.signal(syscall.SIGTERM)
	s.gone.Wait()
}

// call runs an operation at the node; one that is down, or dies under it, is
// asked again.
func (s *site) call(ctx context.Context, op string, in, out any) error {
	return s.callBody(ctx, op, in, func() io.Reader { return nil }, out)
}

func (s *site) callBody(ctx context.Context, op string, in any, body func() io.Reader, out any) error {
	var last error
	err := crew.Until(ctx, crew.Patience, string(s.Sign)+" answers "+op, func() (bool, error) {
		last = s.client.Call(ctx, op, in, body(), nil, out)
		var known *noroshi.Error
		if last == nil || errors.As(last, &known) && known.Code != "api.broken-off" && !(s.failing() && ofTheDisk(known.Code)) || s.ended() {
			return true, nil
		}
		return false, last
	})
	if err != nil {
		return err
	}
	return last
}

// ended reports whether no process is there and none is started any more.
func (s *site) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over && s.proc == nil
}

func (s *site) must(op string, in, out any) {
	s.t.Helper()
	if err := s.call(s.t.Context(), op, in, out); err != nil {
		s.t.Fatalf("%s: %s: %v", s.Sign, op, err)
	}
}

// take imports a list as TLP:GREEN, as often as it takes to get through. begun
// (may be nil) is called when the node begins to read it for the first time.
func (s *site) take(name, list string, begun func()) error {
	var once sync.Once
	body := func() io.Reader {
		return watched{strings.NewReader(list), func() {
			if begun != nil {
				once.Do(begun)
			}
		}}
	}
	var r intake.Report
	err := s.callBody(s.t.Context(), "import", web.ImportRef{Name: name, Format: "list", Marking: "tlp:green"}, body, &r)
	if err == nil && (r.Quarantined > 0 || r.New+r.Unchanged+r.Resumed != strings.Count(list, "\n")) {
		err = fmt.Errorf("%s is not whole: %+v", name, r)
	}
	return err
}

// watched is a reader that tells of each read.
type watched struct {
	io.Reader
	read func()
}

// Read reads.
func (w watched) Read(p []byte) (int, error) {
	w.read()
	return w.Reader.Read(p)
}

// exchanged counts the indicators that went over the link, each way.
func (s *site) exchanged(partner *site) (x web.Exchanged) {
	s.t.Helper()
	s.must("link.exchanged", web.PartnerRef{Partner: partner.Sign}, &x)
	return x
}

// pause waits; false when the channel is closed first.
func pause(over <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-over:
		return false
	}
}

// link is the link with the only partner.
func (s *site) link() (l courier.LinkStatus, err error) {
	var rows []courier.LinkStatus
	if err := s.call(s.t.Context(), "link.list", nil, &rows); err != nil {
		return l, err
	}
	if len(rows) != 1 {
		return l, errors.New("not one link")
	}
	return rows[0], nil
}
