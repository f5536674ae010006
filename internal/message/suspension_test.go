package message_test

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

func TestSuspension(t *testing.T) {
	p := newPair(t, noroshi.Real)
	want := message.Suspension{Node: p.a.NodeID(), Agreement: noroshi.Sum([]byte("file")), Counter: 3, Resumed: true, Created: now.Truncate(time.Second)}
	doc, err := message.SignSuspension(p.a, want)
	if err != nil {
		t.Fatal(err)
	}
	if kind, err := message.KindOfDocument(doc); err != nil || kind != message.SuspensionDocument {
		t.Errorf("kind %s, %v", kind, err)
	}
	got, err := message.VerifySuspension(doc, p.a.Keyset())
	if err != nil || !got.Created.Equal(want.Created) {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Created = want.Created; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, err := message.VerifySuspension(doc, p.b.Keyset()); noroshi.KindOf(err) != noroshi.Broken {
		t.Errorf("another node's: %v, want Broken", err)
	}
	for i := range doc {
		bad := bytes.Clone(doc)
		bad[i] ^= 1
		if _, err := message.VerifySuspension(bad, p.a.Keyset()); err == nil {
			t.Errorf("byte %d changed: taken", i)
		}
	}
}

// TestWhichSuspensionCounts: of two that of the later key does, under one key that
// with the higher counter; a key that was revoked keeps its place, one that is gone
// has none.
func TestWhichSuspensionCounts(t *testing.T) {
	p := newPair(t, noroshi.Real)
	at := now
	say := func(counter uint64) []byte {
		doc, err := message.SignSuspension(p.a, message.Suspension{Agreement: noroshi.Sum(nil), Counter: counter, Created: at})
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	turn := func(err error) {
		if at = at.Add(time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	order := [][]byte{nil, say(1), say(1<<64 - 1)}
	turn(p.a.Rotate(rand.Reader, message.UseRelease, at))
	order = append(order, say(1), say(7))
	id, err := p.a.Signing(message.UseRelease, 2, at)
	if err != nil {
		t.Fatal(err)
	}
	turn(p.a.Revoke(rand.Reader, message.Revocation{ID: id}, at))
	order = append(order, say(2))
	for i, a := range order {
		for j, b := range order {
			if got := message.CompareSuspensions(a, b, p.a.Keyset()); got != cmp.Compare(i, j) {
				t.Errorf("word %d before word %d: %d", i, j, got)
			}
		}
	}
	if !message.NamesRevoked(order[3], p.a.Keyset()) || message.NamesRevoked(order[1], p.a.Keyset()) || message.NamesRevoked(nil, p.a.Keyset()) {
		t.Error("it is not the key revoked that is named as revoked")
	}
}

// TestWordUnderAForgottenKey: a node was put back to before a key, and a partner has
// what it said under that. It counts by its counter, and of the same that which
// suspends; once the key is revoked it counts no more.
func TestWordUnderAForgottenKey(t *testing.T) {
	p := newPair(t, noroshi.Real)
	say := func(k *message.Keyring, counter uint64, resumed bool, at time.Time) []byte {
		doc, err := message.SignSuspension(k, message.Suspension{Agreement: noroshi.Sum(nil), Counter: counter, Resumed: resumed, Created: at})
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	const suspended, resumed = false, true
	back, later := p.a.Copy(), now.Add(time.Hour)
	if err := p.a.Rotate(rand.Reader, message.UseRelease, later); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		lost         bool // what the key that is forgotten says
		lostCounter  uint64
		known        bool
		knownCounter uint64
		want         int // of the first to the second
	}{
		{"a later suspension", suspended, 3, resumed, 2, 1},
		{"a later resumption", resumed, 3, suspended, 2, 1},
		{"an earlier suspension", suspended, 2, resumed, 3, -1},
		{"a suspension of the same counter", suspended, 3, resumed, 3, 1},
		{"a resumption of the same counter", resumed, 3, suspended, 3, -1},
		{"the same said under both", suspended, 3, suspended, 3, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			lost, known := say(p.a, c.lostCounter, c.lost, later), say(back, c.knownCounter, c.known, now)
			if got := message.CompareSuspensions(lost, known, back.Keyset()); got != c.want {
				t.Errorf("it compares as %d, want %d", got, c.want)
			}
			if got := message.CompareSuspensions(known, lost, back.Keyset()); got != -c.want {
				t.Errorf("the other way about it compares as %d, want %d", got, -c.want)
			}
			if got := message.CompareSuspensions(lost, nil, back.Keyset()); got != 1 {
				t.Errorf("with none it compares as %d, want 1", got)
			}
			if _, by, err := message.SignerOf(lost, back.Keyset()); by != message.SignerUnknown || err != nil {
				t.Errorf("its signer is %d, %v", by, err)
			}
		})
	}
	id, err := p.a.Signing(message.UseRelease, p.a.Keyset().Version, later)
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Disown(id, later); err != nil {
		t.Fatal(err)
	}
	lost := say(p.a, 9, suspended, later)
	if got := message.CompareSuspensions(lost, say(back, 1, resumed, now), back.Keyset()); got != -1 {
		t.Errorf("under a key that was disowned it compares as %d, want -1", got)
	}
	if _, by, err := message.SignerOf(lost, back.Keyset()); by != message.SignerDisowned || err != nil {
		t.Errorf("its signer is %d, %v", by, err)
	}
}

func FuzzSuspension(f *testing.F) {
	p := newPair(f, noroshi.Real)
	doc, err := message.SignSuspension(p.a, message.Suspension{Agreement: noroshi.Sum(nil), Counter: 1, Created: now})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := message.VerifySuspension(b, p.a.Keyset()); err == nil && !bytes.Contains(b, []byte("SUSPENSION")) {
			t.Errorf("%x is taken", b)
		}
	})
}
