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
	"syscall"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// childEnv makes this test binary a process that imports a file, so that it can
// be killed and its memory measured: database, input, format.
const childEnv = "NOROSHI_TEST_IMPORT"

func TestMain(m *testing.M) {
	if args := os.Getenv(childEnv); args != "" {
		if err := importAsChild(strings.Split(args, "|")); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
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
	const total = 20_000
	dir := t.TempDir()
	db, list := filepath.Join(dir, "real.db"), filepath.Join(dir, "list.txt")
	if err := os.WriteFile(list, []byte(lines(total)), 0o600); err != nil {
		t.Fatal(err)
	}
	kills := 0
	for at := 3000; ; at += 3000 {
		c, out := child(t, db, list, "")
		last := ""
		for out.Scan() {
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
	if kills < 3 {
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

// TestZeros feeds 1 GB of zeros in gz: refused or quarantined in bounded memory.
func TestZeros(t *testing.T) {
	dir := t.TempDir()
	bomb := filepath.Join(dir, "zeros.gz")
	f, err := os.Create(bomb)
	if err != nil {
		t.Fatal(err)
	}
	head, member := packed(t, "a.example\n"), packed(t, string(make([]byte, 16<<20)))
	f.Write(head)
	for range 64 {
		f.Write(member)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for format, want := range map[string]string{"": "error the input is neither", "list": "done new 1 ", "stix": "error"} {
		c, out := child(t, filepath.Join(dir, "real"+format+".db"), bomb, format)
		last := ""
		for out.Scan() {
			last = out.Text()
		}
		c.Wait()
		if !strings.HasPrefix(last, want) {
			t.Errorf("format %q: %q, want %q", format, last, want)
		}
		usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
		if rss := usage.Maxrss >> 10; !ok || rss > 256 {
			t.Errorf("format %q: peak of %d MiB, want at most 256", format, rss)
		}
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
