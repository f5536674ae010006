package message_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

func codeOf(err error) string {
	var e *noroshi.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func objects(n int) []message.Object {
	var list []message.Object
	for i := range n {
		list = append(list, message.Object{View: uint32(i % 3), Bytes: bytes.Repeat([]byte{'{', byte('a' + i%26), '}'}, 100)})
	}
	return list
}

func TestSealUnseal(t *testing.T) {
	t.Parallel()
	exercise, _ := noroshi.ParseRealm("exercise:keen-edge")
	for _, realm := range []noroshi.Realm{noroshi.Real, exercise} {
		p := newPair(t, realm)
		for _, n := range []int{1, 2, 10, 500, 1000} {
			m := p.sign(t, dataHeader(uint64(n)), message.EncodeObjects(objects(n)))
			e := p.seal(t, message.Plain{Message: m})
			got, err := message.Unseal(p.b, p.in(), e)
			if err != nil {
				t.Fatalf("%d objects in %s: %v", n, realm, err)
			}
			if got.Message.ID() != m.ID() {
				t.Errorf("got id %s, want %s", got.Message.ID(), m.ID())
			}
			if !bytes.Equal(got.Message.EncodeSigned(), m.EncodeSigned()) || !bytes.Equal(got.Message.Content, m.Content) {
				t.Errorf("got %+v, want %+v", got.Message, m)
			}
			list, err := message.DecodeObjects(got.Message.Content)
			if err != nil || !reflect.DeepEqual(list, objects(n)) {
				t.Errorf("objects differ: %v", err)
			}
		}
		st, err := message.SignStatement(p.a, p.context(), 4, message.StateKind, now, message.EncodeState(stateHeader()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := message.Unseal(p.b, p.in(), p.seal(t, message.Plain{Statement: st}))
		if err != nil {
			t.Fatal(err)
		}
		state, err := message.DecodeState(got.Statement.Body)
		if diff := cmp.Diff(state, stateHeader()); diff != "" || err != nil {
			t.Error(err, diff)
		}
		doc := p.a.Keyset().Bytes()
		got, err = message.Unseal(p.b, p.in(), p.seal(t, message.Plain{Document: doc}))
		if err != nil || !bytes.Equal(got.Document, doc) {
			t.Errorf("document differs: %v", err)
		}
	}
}

// Envelopes tell no more of their size than a class.
func TestPadding(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	const around = 1 + 8 + 16 + 1120 + 16 // docs/wire.md §5
	classes := map[int]bool{256: true, 880: true, 4096: true}
	for c := 4096; c < 1<<20; c += c / 10 {
		classes[c] = true
	}
	random := make([]byte, 40_000)
	io.ReadFull(seed("padding"), random)
	for n := 1; n < len(random); n += 1 + n/20 {
		m := p.sign(t, dataHeader(1), message.EncodeObjects([]message.Object{{Bytes: random[:n]}}))
		if size := len(p.seal(t, message.Plain{Message: m})) - around; !classes[size] || size < n || size > max(4096, (n+400)*11/10+1) {
			t.Errorf("an object of %d bytes makes a plaintext of %d", n, size)
		}
	}
	for n := range 100_000 { // the head of the padding grows at 24, 256 and 65,536
		pad := message.PaddedLen(n + 1)
		head := 1
		for _, step := range []int{24, 256, 65536} {
			if pad >= step {
				head++
			}
		}
		if head == 4 {
			head = 5
		}
		size := n + 1 - 1 + head + pad
		for c := 4096; size > 4096 && c <= size; c += c / 10 {
			classes[c] = true
		}
		if !classes[size] {
			t.Fatalf("a plaintext of %d bytes is padded to %d", n+1, size)
		}
	}
}

// The largest content there may be goes through, compressible or not.
func TestLargestContent(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	for _, name := range []string{"zeros", "noise"} {
		object := make([]byte, message.MaxContent-8)
		if name == "noise" {
			io.ReadFull(seed(name), object)
		}
		m := p.sign(t, dataHeader(1), message.EncodeObjects([]message.Object{{Bytes: object}}))
		if len(m.Content) != message.MaxContent {
			t.Fatalf("content is %d bytes, want %d", len(m.Content), message.MaxContent)
		}
		e := p.seal(t, message.Plain{Message: m})
		got, err := message.Unseal(p.b, p.in(), e)
		if err != nil || !bytes.Equal(got.Message.Content, m.Content) {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: envelope of %d bytes", name, len(e))
	}
}

// Envelopes of one message have nothing in common but the first byte.
func TestNothingConstant(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	x := message.Plain{Document: p.a.Keyset().Bytes()}
	a, b := p.seal(t, x), p.seal(t, x)
	if a[0] != b[0] || bytes.Equal(a[1:9], b[1:9]) || bytes.Equal(a[9:25], b[9:25]) || bytes.Equal(a[25:1145], b[25:1145]) || bytes.Equal(a[1145:], b[1145:]) {
		t.Error("two envelopes share a part")
	}
}
