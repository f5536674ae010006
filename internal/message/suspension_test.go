package message_test

import (
	"bytes"
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
