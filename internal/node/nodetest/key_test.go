package nodetest_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// keyRow finds the newest key of a use of this node's own.
func keyRow(p *nodetest.Party, use noroshi.KeyWord) (row partner.KeyRow) {
	var k partner.KeyList
	p.Must("key.list", nil, &k)
	for _, r := range k.Keys {
		if r.Own && r.Use == use {
			row = r
		}
	}
	return row
}

// recordKey is the SHA-256 of the key that signs the node's record now.
func recordKey(p *nodetest.Party) string {
	var file string
	p.Must("audit.prove", web.ProveRef{}, &file)
	proof, err := store.CheckProof([]byte(file))
	if err != nil {
		return err.Error()
	}
	return proof.Key
}

func believes(p, other *nodetest.Party, version uint64) {
	p.Until(fmt.Sprintf("version %d at %s", version, other.Sign), func() (bool, error) {
		var k partner.KeyList
		p.Must("key.list", nil, &k)
		return len(k.Held) == 1 && k.Held[0].Version == version && k.Held[0].State == "current", nil
	})
}

// TestKeysRotateUnderTraffic: keys of every use are rotated while indicators
// go; nothing is lost, the partner says which version it holds, and both nodes
// go on after a restart, under a new root as well.
func TestKeysRotateUnderTraffic(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	sent, version := 0, uint64(1)
	more := func() {
		t.Helper()
		usa.Import(fmt.Sprintf("list-%d.txt", sent), "tlp:green", strings.NewReader(fmt.Sprintf("rotated-%d.example\n", sent)))
		sent++
	}
	for _, use := range []noroshi.KeyWord{noroshi.KeyRelease, noroshi.KeyControl, noroshi.KeyKEM, noroshi.KeyTLS, noroshi.KeyLink, noroshi.KeyRoot} {
		before := keyRow(usa, use)
		more()
		order(t, usa, "key.rotate", noroshi.Order{Action: noroshi.ActRotateKey, Key: &noroshi.KeyOrder{Use: use}})
		more()
		if use == noroshi.KeyLink {
			continue
		}
		version++
		believes(usa, jpn, version)
		now := keyRow(usa, use)
		if now.Key == before.Key || now.Version != version || !now.Private {
			t.Errorf("%s: %+v after %+v", use, now, before)
		}
		if use == noroshi.KeyControl && !strings.HasPrefix(recordKey(usa), now.Key) {
			t.Errorf("the record is signed by %s, not by the new key %s", recordKey(usa), now.Key)
		}
	}
	nodetest.Whole(t, usa, jpn)
	usa.Stop()
	usa.Start()
	jpn.Stop()
	jpn.Start()
	more()
	order(t, usa, "key.rotate", noroshi.Order{Action: noroshi.ActRotateKey, Key: &noroshi.KeyOrder{Use: noroshi.KeyRoot}})
	believes(usa, jpn, version+1)
	jpn.Until("all of it", func() (bool, error) {
		var x web.Exchanged
		jpn.Must("link.exchanged", web.PartnerRef{Partner: "USA-01"}, &x)
		return x.ArmedFrom == sent, nil
	})
	usa.Intact()
	jpn.Intact()
}

// TestKeyRevokedAndDrilled: a drill says what a revocation would come to and
// changes nothing; the revocation then reaches the partner, which goes on
// taking what comes under the new key.
func TestKeyRevokedAndDrilled(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("before.txt", "tlp:green", strings.NewReader("before.example\n"))
	nodetest.Whole(t, usa, jpn)
	armed(jpn, only(t, usa), true)
	old := keyRow(usa, noroshi.KeyRelease)
	var drilled web.KeyDrilled
	usa.Must("key.drill", web.KeyDrill{Key: old.Key, Since: time.Now()}, &drilled)
	if drilled.Logs != 1 || drilled.Doubted != 0 || len(drilled.Held) != 1 || keyRow(usa, noroshi.KeyRelease).Key != old.Key {
		t.Errorf("drill: %+v", drilled)
	}
	jpn.Must("key.drill", web.KeyDrill{Key: old.Key, Since: time.Now().Add(-time.Hour), Partner: "USA-01"}, &drilled)
	if e := drilled.Effects; e == nil || e.Count == 0 || len(e.Objects) == 0 {
		t.Errorf("drill at the partner: %+v", drilled)
	}
	order(t, usa, "key.revoke", noroshi.Order{Action: noroshi.ActRevokeKey, Key: &noroshi.KeyOrder{ID: old.Key}})
	believes(usa, jpn, 2)
	usa.Import("after.txt", "tlp:green", strings.NewReader("after.example\n"))
	jpn.Until("both", func() (bool, error) {
		var x web.Exchanged
		jpn.Must("link.exchanged", web.PartnerRef{Partner: "USA-01"}, &x)
		return x.ArmedFrom == 2, nil
	})
	if now := keyRow(usa, noroshi.KeyRelease); now.Key == old.Key {
		t.Error("the revoked key is the newest still")
	}
	usa.Intact()
	jpn.Intact()
}

// TestKeyRevokedOnABadDisk: where the new keys cannot be put in their place, the
// order says so, and all that ends trust in the old one is done all the same.
func TestKeyRevokedOnABadDisk(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("before.txt", "tlp:green", strings.NewReader("before.example\n"))
	nodetest.Whole(t, usa, jpn)
	log := func() message.Epoch {
		ends, err := usa.Node.Courier.Ends(t.Context(), usa.Node.Store.Reads, time.Time{})
		if err != nil || len(ends) == 0 {
			t.Fatalf("ends: %+v, %v", ends, err)
		}
		return ends[0].Epoch
	}
	first := log()
	place := filepath.Join(usa.Dir, noroshi.Real.File()+".keys")
	if err := errors.Join(os.Rename(place, place+".was"), os.MkdirAll(filepath.Join(place, "full"), 0o700)); err != nil {
		t.Fatal(err)
	}
	want := noroshi.Order{Action: noroshi.ActRevokeKey, Key: &noroshi.KeyOrder{ID: keyRow(usa, noroshi.KeyRelease).Key}}
	err := ordered(t, usa, "key.revoke", want)
	if noroshi.CodeOf(err) != "disk.write" {
		t.Errorf("the order says %v", err)
	}
	believes(usa, jpn, 2)
	usa.Until("a new log", func() (bool, error) { return log() != first, nil })
	if err := errors.Join(os.RemoveAll(place), os.Rename(place+".was", place)); err != nil {
		t.Fatal(err)
	}
	usa.Stop()
	usa.Start()
	if got := usa.Node.Keys.Keyset().Version; got != 2 {
		t.Errorf("after a restart the keys are of version %d", got)
	}
	usa.Intact()
}

// ordered has two persons sign an order and returns what the second is told.
func ordered(t *testing.T, p *nodetest.Party, op string, want noroshi.Order) (err error) {
	t.Helper()
	for _, person := range []string{"release1", "release2"} {
		var o partner.Ordered
		p.Must("order.draw", want, &o)
		by, serr := p.Signed(t.Context(), person, want.Action, o.Order.Subject(), o.Order.Bound())
		if serr != nil {
			t.Fatal(serr)
		}
		err = p.Do(t.Context(), op, web.OrderRef{Order: o.Order, By: by}, &o)
	}
	return err
}

// TestKeysTurnedTwice: a process that has not taken over yet what another has made
// does not make a second KEYSET of one version.
func TestKeysTurnedTwice(t *testing.T) {
	t.Parallel()
	usa, _ := nodetest.Alliance(t, noroshi.Real)
	turned := usa.Node.Keys.Copy()
	if err := turned.Rotate(rand.Reader, message.UseTLS, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := usa.Node.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActRotateKey}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocKeyset, turned.NodeID().String(), turned.Keyset().Bytes())
	}); err != nil {
		t.Fatal(err)
	}
	if err := ordered(t, usa, "key.rotate", noroshi.Order{Action: noroshi.ActRotateKey, Key: &noroshi.KeyOrder{Use: noroshi.KeyRelease}}); noroshi.CodeOf(err) != "node.keys-turning" {
		t.Errorf("beside another change: %v", err)
	}
}
