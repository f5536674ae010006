package partner_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/store"
)

func (s *side) keysOf(o *side) string {
	s.t.Helper()
	list, err := s.office.Keys(s.t.Context(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range list.Keys {
		if r.Node == o.keys.NodeID() && r.Use == noroshi.KeyRoot {
			return r.State
		}
	}
	return ""
}

// TestNewRootByVoice: a new root the old one did not sign waits until two
// persons have heard its fingerprint.
func TestNewRootByVoice(t *testing.T) {
	usa, jpn := introduced(t)
	if err := jpn.keys.RotateRoot(rand.Reader, nil, true, jpn.now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	take := func() error {
		return usa.office.Document(t.Context(), jpn.keys.NodeID(), jpn.keys.Keyset().Bytes())
	}
	if err := take(); code(err) != "partner.new-root" || usa.keysOf(jpn) != "waits" || usa.partner(jpn).KeyVersion != 1 {
		t.Fatalf("a root its old one did not sign: %v, %s", err, usa.keysOf(jpn))
	}
	hear := func(by, digits string) (int, error) {
		node := jpn.keys.NodeID()
		return usa.office.Confirm(t.Context(), node, digits, usa.as(by, noroshi.ActIntroduce, node.String(), partner.FingerprintBound(digits)))
	}
	if _, err := hear("bob", usa.office.Fingerprint()); code(err) != "partner.fingerprint" {
		t.Errorf("another fingerprint: %v", err)
	}
	if left, err := hear("bob", jpn.office.Fingerprint()); err != nil || left != 1 || usa.partner(jpn).KeyVersion != 1 {
		t.Fatalf("one person: %d, %v", left, err)
	}
	if _, err := hear("bob", jpn.office.Fingerprint()); code(err) != "partner.second-person" {
		t.Errorf("the same person twice: %v", err)
	}
	if left, err := hear("alice", jpn.office.Fingerprint()); err != nil || left != 0 || usa.partner(jpn).KeyVersion != 2 || usa.keysOf(jpn) != "good" {
		t.Errorf("two persons: %d, %v, %s", left, err, usa.keysOf(jpn))
	}
	usa.intact()
}

// TestFrozen: after two KEYSETs of one version no other under the same root is
// taken, until a new root is confirmed by voice.
func TestFrozen(t *testing.T) {
	usa, jpn := introduced(t)
	twin := jpn.forked()
	give := func(k *message.Keyring) error {
		return usa.office.Document(t.Context(), jpn.keys.NodeID(), k.Keyset().Bytes())
	}
	if err := give(jpn.keys); err != nil {
		t.Fatal(err)
	}
	if err := give(twin); code(err) != "keyset.fork" || usa.keysOf(jpn) != "frozen" {
		t.Fatalf("a fork: %v, %s", err, usa.keysOf(jpn))
	}
	if err := jpn.keys.Renew(jpn.now.Add(3 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := give(jpn.keys); code(err) != "partner.keys-frozen" || usa.partner(jpn).KeyVersion != 2 {
		t.Errorf("a further one under the same root: %v", err)
	}
	if err := jpn.keys.RotateRoot(rand.Reader, nil, false, jpn.now.Add(4*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := give(jpn.keys); code(err) != "partner.new-root" {
		t.Errorf("a new root the old one signed, after a fork: %v", err)
	}
	for _, by := range []string{"alice", "bob"} {
		node, digits := jpn.keys.NodeID(), jpn.office.Fingerprint()
		if _, err := usa.office.Confirm(t.Context(), node, digits, usa.as(by, noroshi.ActIntroduce, node.String(), partner.FingerprintBound(digits))); err != nil {
			t.Fatal(err)
		}
	}
	if usa.keysOf(jpn) != "good" || usa.partner(jpn).KeyVersion != 4 {
		t.Errorf("after the voice: %s, version %d", usa.keysOf(jpn), usa.partner(jpn).KeyVersion)
	}
}

// TestStolenRoot: who has stolen a root names keys of their own under it, in
// versions as high as they like. The key behind it, heard by two persons, ends
// that; what still comes under the stolen one counts nothing.
func TestStolenRoot(t *testing.T) {
	usa, jpn := introduced(t)
	thief := jpn.keys.Copy()
	give := func(k *message.Keyring) error {
		return usa.office.Document(t.Context(), jpn.keys.NodeID(), k.Keyset().Bytes())
	}
	for range 3 {
		if err := thief.Rotate(rand.Reader, message.UseRelease, jpn.now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := give(thief); err != nil {
			t.Fatal(err)
		}
	}
	if err := jpn.keys.RotateRoot(rand.Reader, nil, true, jpn.now.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := give(jpn.keys); code(err) != "partner.new-root" || usa.keysOf(jpn) != "waits" {
		t.Fatalf("the root behind the stolen one: %v, %s", err, usa.keysOf(jpn))
	}
	if left, err := usa.confirm("bob", jpn, jpn.office.Fingerprint()); err != nil || left != 1 {
		t.Fatalf("one person: %d, %v", left, err)
	}
	// The owner goes on meanwhile: what was heard is of the root.
	if err := jpn.keys.Renew(jpn.now.Add(3 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := give(jpn.keys); code(err) != "partner.new-root" {
		t.Fatalf("a later version under the new root: %v", err)
	}
	if left, err := usa.confirm("alice", jpn, jpn.office.Fingerprint()); err != nil || left != 0 || usa.partner(jpn).KeyVersion != 3 {
		t.Fatalf("two persons: %d, %v, version %d", left, err, usa.partner(jpn).KeyVersion)
	}
	if err := give(thief); code(err) != "keyset.root" || usa.keysOf(jpn) != "good" {
		t.Errorf("more under the stolen root: %v, %s", err, usa.keysOf(jpn))
	}
	usa.intact()
}

// atOnce does both at the same time.
func atOnce(a, b func()) {
	var both sync.WaitGroup
	both.Go(a)
	both.Go(b)
	both.Wait()
}

// TestKeysetsAtOnce: of KEYSETs that come at the same time the latest stays.
func TestKeysetsAtOnce(t *testing.T) {
	usa, jpn := introduced(t)
	renewed := func() func() {
		jpn.now = jpn.now.Add(time.Hour)
		if err := jpn.keys.Renew(jpn.now); err != nil {
			t.Fatal(err)
		}
		doc := jpn.keys.Keyset().Bytes()
		return func() { _ = usa.office.Document(t.Context(), jpn.keys.NodeID(), doc) }
	}
	for i := range 50 {
		atOnce(renewed(), renewed())
		if held, want := usa.partner(jpn).KeyVersion, jpn.keys.Keyset().Version; held != want {
			t.Fatalf("round %d: KEYSET %d is held after %d came", i, held, want)
		}
	}
	usa.intact()
}

// TestOldRootAtOnce: what comes under a stolen root while the last person confirms
// the one behind it takes nothing's place.
func TestOldRootAtOnce(t *testing.T) {
	for range 10 {
		usa, jpn := introduced(t)
		give := func(k *message.Keyring) { _ = usa.office.Document(t.Context(), jpn.keys.NodeID(), k.Keyset().Bytes()) }
		thief := jpn.keys.Copy()
		if err := errors.Join(thief.Renew(jpn.now.Add(time.Hour)), jpn.keys.RotateRoot(rand.Reader, nil, true, jpn.now.Add(2*time.Hour))); err != nil {
			t.Fatal(err)
		}
		give(jpn.keys)
		if _, err := usa.confirm("bob", jpn, jpn.office.Fingerprint()); err != nil {
			t.Fatal(err)
		}
		atOnce(func() { give(thief) }, func() {
			if _, err := usa.confirm("alice", jpn, jpn.office.Fingerprint()); err != nil {
				t.Error(err)
			}
		})
		if held, err := usa.store.Doc(t.Context(), noroshi.DocKeyset, jpn.keys.NodeID().String()); err != nil || !bytes.Equal(held, jpn.keys.Keyset().Bytes()) {
			t.Fatalf("another KEYSET is held than the one two persons confirmed, %v", err)
		}
	}
}

// TestNewestWaits: of KEYSETs under a new root the newest waits to be confirmed,
// however they come.
func TestNewestWaits(t *testing.T) {
	usa, jpn := introduced(t)
	if err := jpn.keys.RotateRoot(rand.Reader, nil, true, jpn.now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	first := jpn.keys.Keyset().Bytes()
	if err := jpn.keys.Renew(jpn.now.Add(2 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, doc := range [][]byte{jpn.keys.Keyset().Bytes(), first} {
		if err := usa.office.Document(t.Context(), jpn.keys.NodeID(), doc); code(err) != "partner.new-root" {
			t.Fatal(err)
		}
	}
	for _, by := range []string{"alice", "bob"} {
		if _, err := usa.confirm(by, jpn, jpn.office.Fingerprint()); err != nil {
			t.Fatal(err)
		}
	}
	if held := usa.partner(jpn).KeyVersion; held != 3 {
		t.Errorf("KEYSET %d is believed, want 3", held)
	}
}

// TestHeardIsWholeFingerprint: what is not twelve groups of five digits is said
// to be so, before anybody is warned of a stranger.
func TestHeardIsWholeFingerprint(t *testing.T) {
	usa, jpn := introduced(t)
	for _, heard := range []string{"", "12345", jpn.office.Fingerprint() + " 1", "twelve groups"} {
		if _, err := usa.confirm("bob", jpn, heard); code(err) != "partner.fingerprint-form" {
			t.Errorf("%q: %v", heard, err)
		}
	}
}

// turnsOnly is a custody that fails where it is not called in a turn to write:
// another act could begin beside it then.
type turnsOnly struct {
	*testing.T
	of    *store.Store
	calls int
}

func (c *turnsOnly) Next(string) ([]byte, error)   { return nil, nil }
func (c *turnsOnly) Keep(*message.Keyring) error   { return c.inTurn("Keep") }
func (c *turnsOnly) Settle(*message.Keyring) error { return c.inTurn("Settle") }

func (c *turnsOnly) inTurn(what string) error {
	c.calls++
	ctx, cancel := context.WithTimeout(c.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.of.Do(ctx, noroshi.Act{Action: noroshi.ActKeys}, func(*store.Tx) error { return nil }); err == nil {
		c.Errorf("%s is called while others may write", what)
	}
	return nil
}

// TestKeysAreKeptInTurn: new keys are written, and put in their place, while no
// other process of the node may do so: both when persons order them and when the
// node renews its KEYSET.
func TestKeysAreKeptInTurn(t *testing.T) {
	usa := newSide(t, "USA-01", noroshi.Real, map[string]noroshi.Role{"carol": noroshi.ReleaseOffice, "dave": noroshi.ReleaseOffice})
	c := &turnsOnly{T: t, of: usa.store}
	usa.office = partner.New(usa.store, usa, partner.Options{Realm: noroshi.Real, Self: usa.self, Keys: usa.keys, Now: func() time.Time { return usa.now }, Custody: c})
	want := noroshi.Order{Action: noroshi.ActRotateKey, Key: &noroshi.KeyOrder{Use: noroshi.KeyRelease}}
	for _, by := range []string{"carol", "dave"} {
		if _, err := usa.orders(by, want); err != nil {
			t.Fatal(err)
		}
	}
	if err := usa.office.Renew(t.Context(), usa.now.AddDate(0, 0, 30)); err != nil {
		t.Fatal(err)
	}
	if c.calls != 4 || usa.keys.Keyset().Version != 3 {
		t.Errorf("%d calls, KEYSET %d", c.calls, usa.keys.Keyset().Version)
	}
	usa.intact()
}
