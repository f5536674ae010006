package message_test

import (
	"bytes"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Each reader either refuses or has read exactly what writing gives back.

func FuzzOpen(f *testing.F) {
	p := newPair(f, noroshi.Real)
	for _, x := range []message.Plain{
		{Document: p.a.Keyset().Bytes()},
		{Message: p.sign(f, dataHeader(1), message.EncodeObjects(objects(5)))},
	} {
		e := p.seal(f, x)
		plain, err := message.Plaintext(p.b, p.in(), e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(e, false)
		f.Add(plain, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, inside bool) {
		if inside { // a partner with all its keys writes any plaintext
			b = message.SealRaw(b, p.out(), [8]byte{})
		}
		got, err := message.Unseal(p.b, p.in(), b)
		if err != nil {
			return
		}
		if got.Message != nil {
			if err := got.Message.Verify(p.a.Keyset()); err != nil {
				t.Errorf("an unverified message comes out: %v", err)
			}
		}
	})
}

func FuzzDecodeSigned(f *testing.F) {
	p := newPair(f, noroshi.Real)
	f.Add(p.sign(f, dataHeader(1), message.EncodeObjects(objects(1))).EncodeSigned())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := message.DecodeSigned(noroshi.Real, b)
		if err == nil && !bytes.Equal(m.EncodeSigned(), b) {
			t.Errorf("reading and writing changes %x", b)
		}
	})
}

func FuzzStatement(f *testing.F) {
	p := newPair(f, noroshi.Real)
	st, err := message.SignStatement(p.a, p.context(), 1, message.StateKind, now, message.EncodeState(stateHeader()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(st.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := message.DecodeStatement(noroshi.Real, b)
		if err == nil && !bytes.Equal(s.Encode(), b) {
			t.Errorf("reading and writing changes %x", b)
		}
	})
}

func FuzzKeyset(f *testing.F) {
	k := keyring(f, "USA-01", noroshi.Real)
	body := message.Body(k.Keyset().Bytes())
	f.Add(k.Keyset().Bytes(), false)
	f.Add(body, true)
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign {
			b = message.RootSigned(k, b)
		}
		ks, err := message.ParseKeyset(noroshi.Real, b)
		if err == nil && !bytes.Equal(ks.Bytes(), b) {
			t.Errorf("reading and writing changes %x", b)
		}
	})
}

func FuzzCard(f *testing.F) {
	p := newPair(f, noroshi.Real)
	doc, err := message.SignCard(p.a, card(p))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc, false)
	f.Add(message.Body(doc), true)
	f.Fuzz(func(t *testing.T, b []byte, sign bool) {
		if sign {
			b = message.RootSigned(p.a, b)
		}
		c, err := message.ParseCard(noroshi.Real, b)
		if err != nil {
			return
		}
		again, err := message.SignCard(p.a, *c)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("reading and writing changes %x (%v)", b, err)
		}
	})
}

func FuzzAgreement(f *testing.F) {
	p := newPair(f, noroshi.Real)
	doc, err := message.SignAgreement(p.a, []byte(agreementFile), now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := message.VerifyAgreement(b, p.a.Keyset())
		if err != nil {
			return
		}
		if file, _, err := message.AgreementFile(b); err != nil || noroshi.Sum(file) != h || !bytes.Equal(file, []byte(agreementFile)) {
			t.Errorf("a file that was never signed verifies: %q", file)
		}
	})
}

func FuzzKeyring(f *testing.F) {
	b, err := keyring(f, "USA-01", noroshi.Real).MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := message.UnmarshalKeyring(b); err == nil {
			if again, err := k.MarshalBinary(); err != nil || len(again) == 0 {
				t.Errorf("a keyring that was read cannot be written: %v", err)
			}
		}
	})
}

// roundTrip fails when what decode reads is not written back by encode.
func roundTrip[T any](t *testing.T, b []byte, decode func([]byte) (T, error), encode func(T) []byte) {
	t.Helper()
	if v, err := decode(b); err == nil && !bytes.Equal(encode(v), b) {
		t.Errorf("reading and writing changes %x to %x", b, encode(v))
	}
}

func FuzzState(f *testing.F) {
	f.Add(message.EncodeState(stateHeader()))
	f.Add(message.EncodeState(message.State{}))
	f.Fuzz(func(t *testing.T, b []byte) { roundTrip(t, b, message.DecodeState, message.EncodeState) })
}

func FuzzObjects(f *testing.F) {
	f.Add(message.EncodeObjects(objects(3)))
	f.Fuzz(func(t *testing.T, b []byte) { roundTrip(t, b, message.DecodeObjects, message.EncodeObjects) })
}

func FuzzControl(f *testing.F) {
	f.Add(message.EncodeTombstones([]message.TombstoneBody{{Seq: 1, Reason: 1}}))
	f.Add(message.EncodeOutcomes([]message.OutcomeBody{{Seq: 1, Codes: []message.OutcomeCode{{Code: 1}}}}))
	f.Add(message.EncodeRead(message.ReadBody{Seq: 1, Role: noroshi.Duty, Time: now}))
	f.Add(message.EncodeEpoch(message.EpochBody{Reason: 1, Parents: []message.Parent{{Seq: 1}}}))
	f.Add(message.EncodeWant(message.Want{Reason: 1, Runs: []message.EpochRange{{Range: message.Range{A: 1, B: 2}}}}))
	f.Add(message.EncodeRefuse(message.Refuse{Code: 1}))
	f.Add(message.EncodeRecall([]message.RecallEntry{{Message: noroshi.Hash{1}, Object: recalled, Modified: "2026-01-01T00:00:00Z", Reason: 1, Scope: 1, Deadline: now}}))
	f.Add(message.EncodeRecallDone(message.RecallDoneBody{Results: []message.RecallResult{{Found: 1, ActiveBefore: 1, Onward: 1}}, Until: now}))
	f.Add(message.EncodeLink(message.LinkBody{Gate: [32]byte{1}, Line: [32]byte{2}, Day: 20_000}))
	for _, c := range checkpoints() {
		f.Add(message.EncodeCheckpoint(c))
	}
	f.Add(message.EncodeCosign(message.CosignBody{Size: 1, Signature: noteLine(1)}))
	f.Add(message.EncodeRecalls(message.SplitRecalls(recallList(2))[0]))
	f.Add(message.EncodeReturn([]*message.Message{newPair(f, noroshi.Real).sign(f, dataHeader(1), message.EncodeObjects(objects(1)))}))
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip(t, b, message.DecodeTombstones, message.EncodeTombstones)
		roundTrip(t, b, message.DecodeOutcomes, message.EncodeOutcomes)
		roundTrip(t, b, message.DecodeRead, message.EncodeRead)
		roundTrip(t, b, message.DecodeEpoch, message.EncodeEpoch)
		roundTrip(t, b, message.DecodeWant, message.EncodeWant)
		roundTrip(t, b, message.DecodeRefuse, message.EncodeRefuse)
		roundTrip(t, b, message.DecodeRecall, message.EncodeRecall)
		roundTrip(t, b, message.DecodeRecallDone, message.EncodeRecallDone)
		roundTrip(t, b, message.DecodeLink, message.EncodeLink)
		roundTrip(t, b, message.DecodeCheckpoint, message.EncodeCheckpoint)
		roundTrip(t, b, message.DecodeCosign, message.EncodeCosign)
		roundTrip(t, b, message.DecodeRecalls, message.EncodeRecalls)
		returned := func(b []byte) ([]*message.Message, error) { return message.DecodeReturn(noroshi.Real, b) }
		roundTrip(t, b, returned, message.EncodeReturn)
	})
}

// Whatever a partner packs, no more than the signed length comes out of it.
func FuzzUnpack(f *testing.F) {
	list := listContent(f, 3)
	for _, n := range every {
		if comp, b := message.Compress(list, []uint8{n}, true); comp == n {
			f.Add(n, b, len(list))
		}
	}
	f.Fuzz(func(t *testing.T, number uint8, b []byte, size int) {
		if size < 0 || size > 1<<14 {
			return
		}
		if out, err := message.Decompress(number, b, size); err == nil && number > 0 && len(out) != size {
			t.Errorf("got %d bytes, claimed are %d", len(out), size)
		}
	})
}

// A narrow line gives back what went in, or nothing.
func FuzzCompact(f *testing.F) {
	p := newPair(f, noroshi.Real)
	out, in := p.narrow()
	in.Packings = every
	for _, x := range plains(f, p) {
		plain, err := message.Plaintext(p.b, in, sealed(f, x, out))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		got, err := message.Unseal(p.b, in, message.SealNarrow(plain, out))
		if err == nil && got.Message != nil && got.Message.Verify(p.a.Keyset()) != nil {
			t.Error("an unverified message comes out")
		}
	})
}

func FuzzDecompress(f *testing.F) {
	content := message.EncodeObjects(objects(3))
	f.Add(frame(f, content), len(content))
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		if size < 0 || size > 1<<20 {
			return
		}
		if out, err := message.Decompress(1, b, size); err == nil && len(out) != size {
			t.Errorf("got %d bytes, claimed are %d", len(out), size)
		}
	})
}
