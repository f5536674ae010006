package intake_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// childEnv makes this test binary a process that imports a file, so that it can
// be killed and its memory measured: database, input, format.
const childEnv = "NOROSHI_TEST_IMPORT"

func TestMain(m *testing.M) {
	if args := os.Getenv(childEnv); args != "" {
		err := importAsChild(strings.Split(args, "|"))
		if err != nil {
			fmt.Println("error", err)
		}
		fmt.Println("peak", peakKiB())
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// peakKiB is the most memory this process ever had resident. getrusage would say
// what its parent had at the fork.
func peakKiB() (n int) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 1 << 40
	}
	for l := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(l, "VmHWM: %d kB", &n); err == nil {
			return n
		}
	}
	return 1 << 40
}

func importAsChild(args []string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, args[0], store.Options{Realm: noroshi.Real})
	if err != nil {
		return err
	}
	f, err := os.Open(args[1])
	if err != nil {
		return err
	}
	r, err := gateOf(s, noroshi.Real, nil).Import(ctx, f, intake.ImportOptions{
		Name: filepath.Base(args[1]), Format: args[2],
		Progress: func(p intake.Progress) { fmt.Println("progress", p.Objects) },
	})
	if err != nil {
		return err
	}
	fmt.Println("done", sum(r), "resumed", r.Resumed)
	return s.Close()
}

// child starts the process.
func child(t *testing.T, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childEnv+"="+strings.Join(args, "|"), "GOTRACEBACK=none")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewScanner(out)
}

// TestKilledImport kills an importing process again and again: after each kill
// the store opens and verifies, and in the end every entry is there once.
func TestKilledImport(t *testing.T) {
	total := 20_000
	if tier.Raced {
		total = 3500
	}
	dir := t.TempDir()
	db, list := storetest.In(t, dir, noroshi.Real), filepath.Join(dir, "list.txt")
	if err := os.WriteFile(list, []byte(lines(total)), 0o600); err != nil {
		t.Fatal(err)
	}
	kills := 0
	for at := total / 5; ; at += total / 5 {
		c, out := child(t, db, list, "")
		last := ""
		for out.Scan() {
			if strings.HasPrefix(out.Text(), "peak") {
				continue
			}
			last = out.Text()
			var n int
			if _, err := fmt.Sscanf(last, "progress %d", &n); err == nil && n >= at && n < total {
				c.Process.Kill()
			}
		}
		if err := c.Wait(); err == nil {
			if !strings.HasPrefix(last, "done") || strings.HasSuffix(last, "resumed 0") {
				t.Errorf("the last import says %q, want it resumed", last)
			}
			break
		} else if strings.HasPrefix(last, "error") {
			t.Fatal(last)
		}
		kills++
	}
	if kills < 2 {
		t.Errorf("killed %d times only", kills)
	}
	h := openAt(t, db, noroshi.Real, nil)
	v, err := h.store.Verify(t.Context(), nil)
	if err != nil || len(v.Faults) > 0 {
		t.Errorf("verify after kills: %+v, error %v", v.Faults, err)
	}
	n, runs := 0, map[string]bool{}
	err = h.store.Each(t.Context(), "indicator", 0, func(r store.Record) error {
		n++
		return nil
	})
	if err != nil || n != total {
		t.Errorf("%d indicators, error %v; want %d", n, err, total)
	}
	docs, err := h.store.Docs(t.Context(), intake.RunDoc)
	for key := range docs {
		runs[key] = true
	}
	if err != nil || len(runs) != 1 {
		t.Errorf("%d runs, error %v; want one", len(runs), err)
	}
}

// TestBombs feeds far more zeros, brackets and large objects, in gz, than fit into memory:
// refused, quarantined or kept in bounded memory.
func TestBombs(t *testing.T) {
	zeros := packed(t, string(make([]byte, 16<<20)))
	large := packed(t, strings.Replace(indicator(1, old, "[ipv4-addr:value='192.0.2.1']", ""), "}", `,"x":"`+strings.Repeat("a", 7<<20)+"\"}\n", 1))
	deep := packed(t, strings.Repeat("[", 16<<20))
	members := tier.N(24, 64) // of what may be held in memory more than once, and 1 GiB
	if tier.Raced {
		members = 3 // the race detector is ten times slower and has memory of its own
	}
	for name, c := range map[string]struct {
		head, member []byte
		format, want string
	}{
		"zeros":         {packed(t, "a.example\n"), zeros, "", "error bomb.gz is neither"},
		"zeros as list": {packed(t, "a.example\n"), zeros, "list", "done new 1 "},
		"zeros as STIX": {nil, zeros, "stix", "error"},
		"large objects": {nil, large, "", fmt.Sprintf("done new 1 updated 0 unchanged %d ", members-1)},
		"brackets":      {nil, deep, "stix", "error"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			bomb := filepath.Join(dir, "bomb.gz")
			if err := os.WriteFile(bomb, append(c.head, bytes.Repeat(c.member, members)...), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd, out := child(t, storetest.In(t, dir, noroshi.Real), bomb, c.format)
			last, peak := "", 1<<40
			for out.Scan() {
				if _, err := fmt.Sscanf(out.Text(), "peak %d", &peak); err != nil {
					last = out.Text()
				}
			}
			cmd.Wait()
			if !strings.HasPrefix(last, c.want) {
				t.Errorf("it says %q, want %q", last, c.want)
			}
			if peak > 256<<10 && !tier.Raced {
				t.Errorf("peak of %d MiB, want at most 256", peak>>10)
			}
			t.Logf("peak of %d MiB", peak>>10)
		})
	}
}

func packed(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
