//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestFullDisk: the disk of either node is full in the middle of its work: the
// node says so and stops, what it had confirmed is there when it is started with
// room, and in the end both hold the same, once. A file that may not grow is the
// full disk; the node's own program runs.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	usa, jpn := newSite(t, "USA-01"), newSite(t, "JPN-01")
	if _, err := crew.Introduce(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
		t.Fatal(err)
	}
	if _, err := crew.Agree(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
		t.Fatal(err)
	}
	const list = 300
	rooms := []uint64{0, 30_000, 120_000, 250_000, 4_000, 60_000}[:tier.N(2, 6)]
	for i, room := range rooms {
		for n, full := range []*site{usa, jpn} {
			name, from := fmt.Sprint("list-", i, n), (2*i+n)*list
			full.fill(room)
			var known *noroshi.Error // any other says that the node has stopped
			if err := usa.takeOnce(name, listOf("usa-01", from, from+list)); errors.As(err, &known) && (full != usa || !ofTheDisk(known.Code)) {
				t.Errorf("import into a full disk of %s: %v", full.Sign, err)
			}
			full.stopped(i + 1)
			if err := usa.take(name, listOf("usa-01", from, from+list), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	calm(t, usa, jpn)
	for _, s := range []*site{usa, jpn} {
		var v web.Audited
		s.must("audit.verify", nil, &v)
		for _, f := range v.Faults {
			t.Errorf("%s: audit: %s at %d in %s: %s", s.Sign, f.Code, f.Index, f.Table, f.Msg)
		}
		s.end()
		for _, said := range s.failed {
			if !strings.Contains(said, "Nothing that was confirmed is lost.") {
				t.Errorf("%s: the node stopped and said\n%s", s.Sign, said)
			}
		}
	}
	equal(t, usa, jpn, 2*len(rooms)*list)
}

// fill bounds the size of the files that the running process may write to what
// the log has and some bytes more.
func (s *site) fill(room uint64) {
	s.t.Helper()
	fi, err := os.Stat(filepath.Join(s.dir, noroshi.Real.File()+"-wal"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = true
	if s.proc == nil {
		s.t.Fatal("no process runs")
	}
	l := unix.Rlimit{Cur: uint64(fi.Size()) + room, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(s.proc.Process.Pid, unix.RLIMIT_FSIZE, &l, nil); err != nil {
		s.t.Fatal(err)
	}
}

// stopped waits until processes ended by themselves so often, and the next runs.
func (s *site) stopped(times int) {
	s.t.Helper()
	err := crew.Until(s.t.Context(), crew.Patience, string(s.Sign)+" stops", func() (bool, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.failed) >= times && s.proc != nil, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.must("status", nil, nil)
}

// takeOnce imports a list, and does not ask again.
func (s *site) takeOnce(name, list string) error {
	return s.client.Call(s.t.Context(), "import", web.ImportRef{Name: name, Format: "list", Marking: "tlp:green"}, strings.NewReader(list), nil, nil)
}
