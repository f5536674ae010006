package message_test

import (
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

var now = time.Date(2026, 11, 20, 3, 4, 5, 0, time.UTC)

var inForce = noroshi.Sum([]byte("an agreement"))

// stream is a reader of bytes that a name decides.
type stream struct {
	name string
	n    uint32
	rest []byte
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		h := sha512.Sum512(binary.BigEndian.AppendUint32([]byte(s.name), s.n))
		s.n++
		s.rest = h[:]
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func seed(name string) io.Reader { return &stream{name: name} }

func keyring(t testing.TB, name string, realm noroshi.Realm) *message.Keyring {
	t.Helper()
	k, err := message.NewKeyringFrom(seed(name), realm, now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// pair is one direction of a link, with both ends' keys.
type pair struct {
	realm  noroshi.Realm
	a, b   *message.Keyring
	secret []byte
	epoch  message.Epoch
}

func newPair(t testing.TB, realm noroshi.Realm) *pair {
	t.Helper()
	p := &pair{realm: realm, a: keyring(t, "USA-01", realm), b: keyring(t, "JPN-01", realm), secret: make([]byte, 32)}
	io.ReadFull(seed("gate"), p.secret)
	io.ReadFull(seed("epoch"), p.epoch[:])
	return p
}

func (p *pair) context() message.Context {
	return message.Context{Realm: p.realm, From: p.a.NodeID(), To: p.b.NodeID(), Epoch: p.epoch, Agreement: inForce}
}

func (p *pair) out() message.Outbound {
	return message.Outbound{Realm: p.realm, From: p.a.NodeID(), To: p.b.Keyset(), Secret: p.secret, Now: now}
}

func (p *pair) in() message.Inbound {
	return message.Inbound{Realm: p.realm, From: p.a.NodeID(), To: p.b.NodeID(), Secret: p.secret, Keys: p.a.Keyset(), Agreements: []noroshi.Hash{inForce}}
}

func (p *pair) sign(t testing.TB, h message.Header, content []byte) *message.Message {
	t.Helper()
	m, err := message.Sign(p.a, p.context(), h, content)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (p *pair) seal(t testing.TB, x message.Plain) []byte {
	t.Helper()
	e, err := message.Seal(x, p.out(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func dataHeader(seq uint64) message.Header {
	return message.Header{Seq: seq, Kind: message.Data, Prec: noroshi.Routine, Created: now, Label: `{"tlp":"green"}`, Form: message.ObjectsForm}
}

func stateHeader() message.State {
	return message.State{
		Run: [8]byte{1}, Challenge: [8]byte{2}, Echo: [8]byte{3},
		Out:  message.OutHead{Parents: []message.Epoch{{9}}, Head: 7, Chain: [16]byte{4}},
		In:   []message.InSet{{Epoch: message.Epoch{5}, Cum: 3, ChainCum: [16]byte{6}, Ranges: []message.Range{{A: 5, B: 6}, {A: 9, B: 9}}, Open: []uint64{2, 9}}},
		Keys: [2]message.KeyVersion{{Version: 1, Hash: [8]byte{7}}, {Version: 2}},
	}
}

// code fails unless err is a noroshi.Error with the code.
func code(t testing.TB, err error, want string) {
	t.Helper()
	if got := codeOf(err); got != want {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}
