package message_test

import (
	"bytes"
	"errors"
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
			if !reflect.DeepEqual(got.Message, m) {
				t.Errorf("got %+v, want %+v", got.Message, m)
			}
			list, err := message.DecodeObjects(got.Message.Content)
			if err != nil || !cmp.Equal(list, objects(n)) {
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
