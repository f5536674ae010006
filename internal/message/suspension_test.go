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
