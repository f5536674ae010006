package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

const crashEnv = "NOROSHI_STORE_CRASH_PATH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

// writeUntilKilled writes acts of several objects, a hold and a message, and
// says each one's index when it is committed.
func writeUntilKilled(path string) {
	s, err := store.Open(context.Background(), path, options())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var t testing.T
	head, _ := s.Head(context.Background())
	for n := int(head); ; n += 10 {
		done, err := s.Do(context.Background(), noroshi.Act{Action: noroshi.ActSend, Partner: nodeB, Subject: "x"}, func(tx *store.Tx) error {
			var rows []store.Decided
			for i := range 10 {
				v := indicator(&t, n+i, "2024-01-01T00:00:00Z")
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
		fmt.Println(done.Index)
	}
}

// A process killed at any moment leaves every act it said was done, whole, and
// nothing else.
func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "real.db")
	rng := rand.New(rand.NewPCG(3, 4))
	said := uint64(0)
	for range tier.N(8, 50) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashEnv+"="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 1 + rng.IntN(40) {
			if lines.Scan() {
				fmt.Sscan(lines.Text(), &said)
			}
		}
		cmd.Process.Kill()
		for lines.Scan() {
			fmt.Sscan(lines.Text(), &said)
		}
		cmd.Wait()
		s, err := store.Open(t.Context(), path, options())
		if err != nil {
			t.Fatal(err)
		}
		v := verify(t, s)
		if len(v.Faults) > 0 || v.Acts < said+1 || v.Acts > said+2 {
			t.Errorf("after kill: %d acts, said %d, faults %v", v.Acts, said+1, v.Faults)
		}
		if head, _ := s.Head(t.Context()); uint64(head) != v.Acts*11 {
			t.Errorf("after kill: feed at %d of %d acts", head, v.Acts)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
