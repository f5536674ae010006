//go:build crashpoints

package durable

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// PlanEnv names the file with the plan. Without it points are passed in silence.
const PlanEnv = "NOROSHI_CRASH_PLAN"

// Plan says at which points the program dies. It is made anew for each process;
// what was passed by those before it stands in the journal, so that a death at
// each point in turn needs no more than starting the program again.
type Plan struct {
	Journal string   // a line for each passed point: name, for which time, what came of it, and at a death what was not synced
	Times   int      // it dies when a point is passed for the 1st, 2nd, 4th, 8th ... time, up to this one; 0 = never
	Steps   []string // only at points whose name ends with one of these; none = at all
	Half    int      // 1 or 2: only at every second point, so that two programs share them; 0 = at each
	Fail    bool     // instead of dying it is told that the disk failed
}

// crash is what this process knows of the points.
type crash struct {
	mu     sync.Mutex
	plan   Plan
	passed map[string]int
	out    *os.File

	writing string // what the database's writes belong to
	writes  int    // of it into the log so far
	copies  int    // into a database since it was last brought to the disk
}

// last is asked at a death.
var last = func() string { return "" }

var at = sync.OnceValue(func() *crash {
	c := &crash{passed: map[string]int{}}
	path := os.Getenv(PlanEnv)
	if path == "" {
		return c
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c // not yet
	}
	if err = cmp.Or(err, json.Unmarshal(b, &c.plan)); err != nil {
		panic(err)
	}
	c.read()
	if c.out, err = os.OpenFile(c.plan.Journal, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600); err != nil {
		panic(err)
	}
	return c
})

// read counts what was passed before this process.
func (c *crash) read() {
	b, err := os.ReadFile(c.plan.Journal)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		panic(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		if name, _, ok := strings.Cut(lines.Text(), "\t"); ok {
			c.passed[name]++
		}
	}
}

// Point is a place in a write of something where a crash can be played. An error
// means that what follows is not done.
func Point(what, step string) error {
	if at().pass(what+" "+step, true) {
		return &fs.PathError{Op: step, Path: what, Err: syscall.EIO}
	}
	return nil
}

// Passed is Point where what was to be done is done, and nothing can fail.
func Passed(what, step string) { at().pass(what+" "+step, false) }

// Writing says what the database's own writes belong to from here on.
func Writing(what string) {
	c := at()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing, c.writes = what, 0
}

// Disk is a point at a write, sync or truncation of the database's own: of its
// log for what is being written, where the first, second, fourth ... write of it
// are points, or of the file the log is copied back to, where those since its
// last sync are.
func Disk(file, step string) error {
	c := at()
	c.mu.Lock()
	if file == "wal" && c.writing != "" {
		file = c.writing + " wal"
	}
	count, n := &c.writes, 0
	if file == "database" { // whatever act is being written meanwhile
		count = &c.copies
	}
	switch {
	case step == "write":
		*count++
		n = *count
	case step == "sync" && file == "database":
		*count = 0
	}
	c.mu.Unlock()
	switch {
	case n&(n-1) != 0 || n > maxWrites:
		return nil
	case n > 0:
		step = fmt.Sprint(step, " ", n)
	}
	return Point(file, step)
}

// maxWrites is the last write of an act that is a point: few have more.
const maxWrites = 64

// AtDeath has what a function returns written down at a death.
func AtDeath(told func() string) { last = told }

// pass writes a point down, dies there, or reports that it is to fail.
func (c *crash) pass(name string, mayFail bool) (fail bool) {
	if c.out == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.passed[name] + 1
	if n > max(c.plan.Times, 1) {
		return false
	}
	c.passed[name] = n
	chosen := c.chosen(name, n)
	switch {
	case !chosen || c.plan.Fail && !mayFail:
		c.note(name, n, "passed")
		return false
	case c.plan.Fail:
		c.note(name, n, "failed")
		return true
	}
	c.note(name, n, "died\t"+last())
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill()
	}
	panic(fmt.Sprint("alive after SIGKILL: ", err))
}

func (c *crash) note(name string, n int, what string) {
	if _, err := fmt.Fprintf(c.out, "%s\t%d\t%s\n", name, n, what); err != nil {
		panic(err)
	}
}

// chosen reports whether a point is to be died at when it is passed for the nth
// time.
func (c *crash) chosen(name string, n int) bool {
	sum := crc32.ChecksumIEEE([]byte(name))
	return n <= c.plan.Times && n&(n-1) == 0 && (c.plan.Half == 0 || sum%2 == uint32(c.plan.Half-1)) &&
		(len(c.plan.Steps) == 0 || slices.ContainsFunc(c.plan.Steps, func(s string) bool { return strings.HasSuffix(name, s) }))
}
