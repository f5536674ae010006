package store_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// What a child process is told: where to write, and what its acts begin with.
const (
	crashEnv = "NOROSHI_STORE_CRASH_PATH"
	crashRun = "NOROSHI_STORE_CRASH_RUN"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		writeUntilKilled(path, os.Getenv(crashRun))
	}
	os.Exit(storetest.Main(m))
}

// writeUntilKilled writes acts of several objects, a hold and a message, and
// says each one's index and subject when it is committed.
func writeUntilKilled(path, run string) {
	s, err := store.Open(context.Background(), path, options())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var t testing.T
	for k := 0; ; k++ {
		subject := fmt.Sprintf("%s-%d", run, k)
		done, err := s.Do(context.Background(), noroshi.Act{Action: noroshi.ActSend, Partner: nodeB, Subject: subject}, func(tx *store.Tx) error {
			var rows []store.Decided
			for i := range 10 {
				v := indicator(&t, int(tx.Index())*10+i, "2024-01-01T00:00:00Z")
				v.Text = "狼煙 beacon"
				_, seq, err := tx.Put(v)
				if err != nil {
					return err
				}
				rows = append(rows, decided(v, seq))
			}
			if err := tx.PutHold(store.HoldGroup{ID: "h", Partner: nodeB}, rows[:5]); err != nil {
				return err
			}
			return tx.PutOut(store.OutMessage{Partner: nodeB, Seq: tx.Index() + 1, Kind: 1, Signed: []byte("s")})
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(done.Index, subject)
	}
}

// writer is a child process that writes until it is killed.
type writer struct {
	cmd  *exec.Cmd
	said *bufio.Scanner
	acts map[uint64]string // that it said were done
}

func startWriter(t *testing.T, path, run string) *writer {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+path, crashRun+"="+run)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &writer{cmd, bufio.NewScanner(out), map[uint64]string{}}
}

// hear reads what it says of one act; false when it has ended.
func (w *writer) hear() bool {
	if !w.said.Scan() {
		return false
	}
	var index uint64
	var subject string
	if n, _ := fmt.Sscan(w.said.Text(), &index, &subject); n == 2 {
		w.acts[index] = subject
	}
	return true
}

// kill kills it and hears what it had said before.
func (w *writer) kill() {
	w.cmd.Process.Kill()
	for w.hear() {
	}
	w.cmd.Wait()
}

// intact checks a store after a kill: every act that was said to be done is
// there, whole, once and where it was said to be, and nothing is half done.
func intact(t *testing.T, s *store.Store, said map[uint64]string) {
	t.Helper()
	v := verify(t, s)
	if len(v.Faults) > 0 {
		t.Errorf("after kill: faults %v", v.Faults)
	}
	if head, _ := s.Head(t.Context()); uint64(head) != v.Acts*11 {
		t.Errorf("after kill: feed at %d of %d acts", head, v.Acts)
	}
	seen := map[string]bool{}
	for from := uint64(0); from < v.Acts; from += store.MaxPage {
		acts, err := s.Acts(t.Context(), from, store.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range acts {
			if want, ok := said[a.Index]; ok && want != a.Act.Subject || seen[a.Act.Subject] {
				t.Errorf("act %d is %q, said to be %q", a.Index, a.Act.Subject, want)
			}
			seen[a.Act.Subject] = true
			delete(said, a.Index)
		}
	}
	for index, subject := range said {
		t.Errorf("act %d, %s, is gone", index, subject)
	}
	for at := int64(0); ; {
		list, err := s.Feed(t.Context(), at, store.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, c := range list {
			if at++; c.Seq != at {
				t.Fatalf("the feed has %d after %d", c.Seq, at-1)
			}
		}
	}
}

// A process killed at any moment leaves every act it said was done, whole, and
// nothing else.
func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	path := address(t)
	rng := rand.New(rand.NewPCG(3, 4))
	said := map[uint64]string{}
	for round := range tier.N(8, 50) {
		w := startWriter(t, path, fmt.Sprint(round))
		for range 1 + rng.IntN(40) {
			w.hear()
		}
		w.kill()
		maps.Copy(said, w.acts)
		s, err := store.Open(t.Context(), path, options())
		if err != nil {
			t.Fatal(err)
		}
		intact(t, s, maps.Clone(said))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
