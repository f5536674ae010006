package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/backup"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// crashProgram builds the program with its crash points, once for all tests.
func crashProgram(t *testing.T) string {
	t.Helper()
	path, err := builtWithPoints()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var builtWithPoints = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "noroshi-crash-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	path := filepath.Join(dir, "noroshi")
	out, err := exec.Command("go", "build", "-tags", "crashpoints", "-ldflags", "-s -w", "-o", path, ".").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build with crash points: %w\n%s", err, out)
	}
	return path, err
})

// builtIn is removed when the tests are over.
var builtIn string

// plan is durable.Plan as the program reads it.
type plan struct {
	Journal string
	Times   int
	Steps   []string
	Half    int
	Fail    bool
}

// mortal is a site whose processes die at crash points.
type mortal struct {
	*site
	journal string // what was passed, and where it died
	plan    string // the file with the plan
}

func newMortal(t *testing.T, exe string, sign noroshi.CallSign) *mortal {
	t.Helper()
	s := siteOf(t, exe, sign, func(c *node.Config) { c.Checkpoint = 300 * time.Millisecond })
	m := &mortal{site: s, plan: filepath.Join(t.TempDir(), "plan")}
	s.env = []string{"NOROSHI_CRASH_PLAN=" + m.plan}
	s.begin()
	return m
}

// arm has the processes from the next one on die, or their disk fail, by a plan;
// died is called after each death.
func (m *mortal) arm(p plan, died func()) {
	m.t.Helper()
	m.mu.Lock()
	m.died, m.fails = died, p.Fail
	m.mu.Unlock()
	m.journal = filepath.Join(m.t.TempDir(), "journal")
	p.Journal = m.journal
	b, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(m.plan, b, 0o600)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.signal(syscall.SIGKILL)
}

// passed is a line of the journal.
type passed struct {
	name string
	time int
	what string
}

// points reads the journal.
func (m *mortal) points() (list []passed) {
	m.t.Helper()
	b, err := os.ReadFile(m.journal)
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var p passed
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) < 3 {
			m.t.Fatalf("journal has the line %q", line)
		}
		if _, err := fmt.Sscan(f[1], &p.time); err != nil {
			m.t.Fatal(err)
		}
		p.name, p.what = f[0], f[2]
		list = append(list, p)
	}
	return list
}

// struck are the points at which it died, or the disk failed.
func (m *mortal) struck() (names []string) {
	m.t.Helper()
	for i, p := range m.points() {
		if p.what != "passed" {
			names = append(names, fmt.Sprintf("%d: %s (%s)", i+1, p.name, p.what))
		}
	}
	return names
}

// rotate orders a change of keys as two officers. An order that was carried out
// before its answer came is carried out.
func (m *mortal) rotate(use noroshi.KeyWord) {
	m.t.Helper()
	want := noroshi.Order{Action: noroshi.ActRotateKey, Key: &noroshi.KeyOrder{Use: use}}
	var o partner.Ordered
	m.must("order.draw", want, &o)
	for _, person := range []string{"release1", "release2"} {
		by, err := m.Signed(m.t.Context(), person, want.Action, o.Order.Subject(), o.Order.Bound())
		if err != nil {
			m.t.Fatal(err)
		}
		err = m.call(m.t.Context(), "key.rotate", web.OrderRef{Order: o.Order, By: by}, nil)
		if code := codeOf(err); err != nil && code != "order.done" && code != "order.second-person" && noroshi.KindOf(err) != noroshi.Queued {
			m.t.Fatalf("%s: rotate %s as %s: %v", m.Sign, use, person, err)
		}
	}
}

func codeOf(err error) string {
	if e, ok := err.(*noroshi.Error); ok {
		return e.Code
	}
	return ""
}

// backupKey seals the backups of these stories.
const backupKey = "a key of 32 bytes, no passphrase"

// save has the node write a backup. One that is there was whole when its node died.
func (m *mortal) save(file string, s backup.Sealing) {
	m.t.Helper()
	order := web.BackupOrder{File: file, How: string(s.How), Salt: s.Salt, Key: s.Key}
	if err := m.call(m.t.Context(), "backup", order, nil); err != nil && noroshi.KindOf(err) != noroshi.Conflict {
		m.t.Fatalf("%s: backup: %v", m.Sign, err)
	}
	f, err := os.Open(file)
	if err == nil {
		_, err = node.CheckBackup(m.t.Context(), f, func(backup.How) ([]byte, error) { return []byte(backupKey), nil }, false)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		m.t.Errorf("%s: the backup: %v", m.Sign, err)
	}
}

// warn writes a warning about an object and has officers let it go.
func (m *mortal) warn(about stix.ID, prec noroshi.Precedence) stix.ID {
	m.t.Helper()
	d := watch.Draft{ID: stix.NewID("report"), TitleEN: "Name in use", TitleJA: "悪用されているドメイン名", TextEN: "Look for it.", TextJA: "通信を確認してください。",
		Severity: noroshi.Critical, Precedence: prec, Action: "isolate", Marking: "tlp:amber",
		Due: time.Now().UTC().Add(time.Hour).Truncate(time.Second), Refs: []stix.ID{about}}
	by, err := m.Signed(m.t.Context(), "duty", noroshi.ActWarn, string(d.ID), d.Bound())
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.call(m.t.Context(), "warning.new", web.NewWarning{Draft: d, By: by}, nil); err != nil && noroshi.KindOf(err) != noroshi.Conflict {
		m.t.Fatalf("%s: warning.new: %v", m.Sign, err)
	}
	err = crew.Until(m.t.Context(), crew.Patience, "warning let go", func() (bool, error) {
		if _, err := m.Settled(m.t.Context()); err != nil {
			return false, err
		}
		if _, _, err := m.ApproveHolds(m.t.Context()); err != nil {
			return false, err // signed before its answer came: look again
		}
		var rows []web.HoldRow
		err := m.call(m.t.Context(), "release.list", web.HoldRef{}, &rows)
		return len(rows) == 0, err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return d.ID
}

// acknowledge waits for a warning and acknowledges it.
func (m *mortal) acknowledge(id stix.ID) {
	m.t.Helper()
	var hash noroshi.Hash
	err := crew.Until(m.t.Context(), crew.Patience, "the warning at "+string(m.Sign), func() (bool, error) {
		var rows []watch.Row
		err := m.call(m.t.Context(), "warning.list", web.WarningsRef{All: true}, &rows)
		for _, r := range rows {
			if r.ID == id {
				hash = r.Hash
			}
		}
		return !hash.IsZero(), err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	by, err := m.Signed(m.t.Context(), "duty", noroshi.ActAck, string(id), hash)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.call(m.t.Context(), "warning.ack", web.SignedRef{Subject: string(id), By: by}, nil); err != nil && noroshi.KindOf(err) != noroshi.Conflict {
		m.t.Fatalf("%s: warning.ack: %v", m.Sign, err)
	}
}

// disarm has the processes from the next one on live. The running one may yet be
// told that its disk failed; after it none may end by itself.
func (m *mortal) disarm() {
	m.t.Helper()
	if err := os.Remove(m.plan); err != nil {
		m.t.Fatal(err)
	}
	m.mu.Lock()
	last := m.proc
	m.mu.Unlock()
	m.signal(syscall.SIGKILL)
	err := crew.Until(m.t.Context(), crew.Patience, string(m.Sign)+" runs without a plan", func() (bool, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.proc == nil || m.proc == last {
			return false, nil
		}
		m.died, m.fails = nil, false
		return true, nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

// tidied removes the program with crash points when the tests are over.
type tidied struct{ *testing.M }

// Run runs the tests.
func (m tidied) Run() int {
	code := m.M.Run()
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
	return code
}
