package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// rotated is a copy of a node's keys with a new release key.
func rotated(t *testing.T, n *node.Node) *message.Keyring {
	t.Helper()
	k := n.Keys.Copy()
	if err := k.Rotate(rand.Reader, message.UseRelease, time.Now()); err != nil {
		t.Fatal(err)
	}
	return k
}

func keyset(t *testing.T, dir string) *message.Keyset {
	t.Helper()
	n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	return n.Keys.Keyset()
}

// processes are two of one node, on one database and one folder.
func processes(t *testing.T) (both [2]*node.Node) {
	t.Helper()
	dir, config := t.TempDir(), node.Config{CallSign: "USA-01"}
	config.Store.DSN = storetest.DSN(t)
	if err := node.Init(t.Context(), dir, config); err != nil {
		t.Fatal(err)
	}
	for i := range both {
		n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		both[i] = n
	}
	return both
}

// turnedInAct has a process change the keys in an act, in which beside is tried
// with little time. The process ends before it has put them in their place.
func turnedInAct(t *testing.T, n *node.Node, beside func(context.Context) error) *message.Keyring {
	t.Helper()
	turned := rotated(t, n)
	if _, err := n.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActRotateKey}, func(tx *store.Tx) error {
		if err := n.Custody().Keep(turned); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := beside(ctx); err == nil {
			t.Error("the other process did not wait")
		}
		return tx.PutDoc(noroshi.DocKeyset, turned.NodeID().String(), turned.Keyset().Bytes())
	}); err != nil {
		t.Fatal(err)
	}
	return turned
}

// TestKeysRenewedBesideAChange: a process that is to renew the keys while another
// changes them waits for its end, takes over what it made, though nobody has put
// it in its place, and goes on from there.
func TestKeysRenewedBesideAChange(t *testing.T) {
	t.Parallel()
	both := processes(t)
	agreed(t, both[0], `suites = ["S1", "S1H"]`)
	turned := turnedInAct(t, both[0], both[1].Renew)
	if err := both[1].Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := keyset(t, both[0].Dir)
	if last.Version != turned.Keyset().Version+1 || last.Previous != turned.Keyset().Hash() || !last.Has(message.S1H, time.Now()) {
		t.Errorf("KEYSET %d does not follow the one of the other process", last.Version)
	}
	for _, k := range turned.Keyset().Keys {
		if !both[1].Keys.Holds(k.ID) {
			t.Errorf("key %x is lost", k.ID)
		}
	}
	if err := both[0].Renew(t.Context()); err != nil || both[0].Keys.Keyset().Hash() != last.Hash() {
		t.Errorf("the other process has KEYSET %d: %v", both[0].Keys.Keyset().Version, err)
	}
}

// TestOtherKeys: keys that are not those the database names are not published in
// their place.
func TestOtherKeys(t *testing.T) {
	t.Parallel()
	n := made(t)
	one, two := rotated(t, n), rotated(t, n)
	if err := errors.Join(n.Custody().Keep(one), n.Custody().Settle(one), n.Keys.Adopt(one)); err != nil {
		t.Fatal(err)
	}
	put := func(k *message.Keyring) {
		t.Helper()
		if _, err := n.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActKeys}, func(tx *store.Tx) error {
			return tx.PutDoc(noroshi.DocKeyset, k.NodeID().String(), k.Keyset().Bytes())
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(two)
	if err := n.Renew(t.Context()); noroshi.CodeOf(err) != "key.other-keyset" {
		t.Errorf("two of one version: %v", err)
	}
	if err := two.Rotate(rand.Reader, message.UseRelease, time.Now()); err != nil {
		t.Fatal(err)
	}
	put(two)
	if err := n.Renew(t.Context()); noroshi.CodeOf(err) != "key.not-kept" {
		t.Errorf("newer ones that are nowhere: %v", err)
	}
}

// TestKeysAreTakenOverAtOnce: who ordered new keys and who looks after the node's
// processes take them over at the same time, and neither fails for it.
func TestKeysAreTakenOverAtOnce(t *testing.T) {
	t.Parallel()
	n := made(t)
	for range tier.N(100, 1000) {
		next := n.Keys.Copy()
		if err := next.Renew(time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActKeys}, func(tx *store.Tx) error {
			return errors.Join(n.Custody().Keep(next), tx.PutDoc(noroshi.DocKeyset, next.NodeID().String(), next.Keyset().Bytes()))
		}); err != nil {
			t.Fatal(err)
		}
		if err := n.Custody().Settle(next); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() {
			if err := n.Keys.Adopt(next); err != nil {
				t.Errorf("who ordered them: %v", err)
			}
		})
		both.Go(func() {
			if err := n.SettleKeys(t.Context()); err != nil {
				t.Errorf("who looks after the processes: %v", err)
			}
		})
		if both.Wait(); n.Keys.Keyset().Hash() != next.Keyset().Hash() {
			t.Fatal("the keys were not taken over")
		}
	}
}

// TestBackupOfKeysBeside: where new keys could not be put in their place, a backup
// has them all the same: they are those the KEYSET in it names.
func TestBackupOfKeysBeside(t *testing.T) {
	t.Parallel()
	n, key := made(t), []byte("0123456789abcdef0123456789abcdef")
	enlist(t, n)
	turned := rotated(t, n)
	if _, err := n.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActRotateKey}, func(tx *store.Tx) error {
		return errors.Join(n.Custody().Keep(turned), tx.PutDoc(noroshi.DocKeyset, turned.NodeID().String(), turned.Keyset().Bytes()))
	}); err != nil {
		t.Fatal(err)
	}
	back := putBack(t, backUp(t, n, key), t.TempDir(), key)
	for _, k := range turned.Keyset().Keys {
		if !back.Keys.Holds(k.ID) {
			t.Errorf("key %x is lost", k.ID)
		}
	}
}

// TestKeysTurnedBesideAStart: a process that starts while another, on the same
// database and folder, is inside the act that changes the keys waits for its end
// before it forgets or settles anything.
func TestKeysTurnedBesideAStart(t *testing.T) {
	t.Parallel()
	both := processes(t)
	turned := turnedInAct(t, both[0], both[1].SettleKeys)
	if err := both[1].SettleKeys(t.Context()); err != nil { // quicker than the one that ordered it
		t.Error(err)
	}
	if err := both[0].Custody().Settle(turned); err != nil {
		t.Errorf("settled by the other: %v", err)
	}
	if got := both[1].Keys.Keyset().Hash(); got != turned.Keyset().Hash() {
		t.Error("the other process has not taken over the keys")
	}
	if got := keyset(t, both[0].Dir); got.Hash() != turned.Keyset().Hash() {
		t.Errorf("opened again: version %d, want %d", got.Version, turned.Keyset().Version)
	}
}

// TestSettleSaysWhatIsLost: keys that lie neither beside their place nor in it are
// an error; what another change has left there is not taken for them.
func TestSettleSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	n := made(t)
	turned, other := rotated(t, n), rotated(t, n)
	beside := filepath.Join(n.Dir, noroshi.Real.File()+".keys.new")
	if err := n.Custody().Keep(other); err != nil {
		t.Fatal(err)
	}
	if err := n.Custody().Settle(turned); noroshi.CodeOf(err) != "key.not-kept" {
		t.Errorf("beside the keys of another change: %v", err)
	}
	if err := os.Remove(beside); err != nil {
		t.Fatal(err)
	}
	if err := n.Custody().Settle(turned); noroshi.CodeOf(err) != "key.not-kept" {
		t.Errorf("beside nothing: %v", err)
	}
	err := errors.Join(n.Custody().Keep(turned), n.Custody().Settle(turned))
	if err = errors.Join(err, n.Custody().Settle(turned)); err != nil {
		t.Errorf("settled twice: %v", err)
	}
}

// TestRestoreKeepsKeysBeside: keys that a failing disk left beside their place are
// newer than a backup's, and outlive its being put back; so does the next root's
// key that is of them.
func TestRestoreKeepsKeysBeside(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), []byte("0123456789abcdef0123456789abcdef")
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01"}); err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{})
	if err != nil {
		t.Fatal(err)
	}
	enlist(t, n)
	file := backUp(t, n, key)
	next, err := n.Custody().Next("")
	if err != nil {
		t.Fatal(err)
	}
	turned := n.Keys.Copy()
	if err := turned.RotateRoot(rand.Reader, next, false, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := turned.Rotate(rand.Reader, message.UseRelease, time.Now()); err != nil {
		t.Fatal(err)
	}
	root := turned.Copy().TakeNext()
	if err := errors.Join(n.Custody().Keep(turned), n.Close()); err != nil {
		t.Fatal(err)
	}
	n = putBack(t, file, dir, key)
	for _, k := range turned.Keyset().Keys {
		if !n.Keys.Holds(k.ID) {
			t.Errorf("key %x is lost", k.ID)
		}
	}
	if next, err = n.Custody().Next(""); err != nil || !bytes.Equal(next, root) {
		t.Errorf("the next root's key is another: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.new")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
