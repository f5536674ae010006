package message_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// B hands on to C, over its own link, what A signed for B.
func TestSurreptitiousForwarding(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	c := keyring(t, "ROK-01", noroshi.Real)
	m := p.sign(t, dataHeader(1), message.EncodeObjects(objects(1)))
	onward := message.Outbound{Realm: p.realm, From: p.b.NodeID(), To: c.Keyset(), Secret: p.secret, Now: now}
	_, err := message.Seal(message.Plain{Message: m}, onward, rand.Reader)
	code(t, err, "message.link")

	e := message.SealRaw(message.PlainWith(m, 0, m.Content, nil), onward, [8]byte{1})
	in := message.Inbound{Realm: p.realm, From: p.b.NodeID(), To: c.NodeID(), Secret: p.secret, Keys: p.b.Keyset(), Agreements: []noroshi.Hash{inForce}}
	_, err = message.Unseal(c, in, e)
	code(t, err, "message.link")
	in.Keys = p.a.Keyset() // even a receiver that took the wrong keys
	_, err = message.Unseal(c, in, e)
	code(t, err, "message.context")

	// B, or a confused A, even has the gate secret of the link from A to C.
	onward.From, in.From = p.a.NodeID(), p.a.NodeID()
	_, err = message.Unseal(c, in, message.SealRaw(message.PlainWith(m, 0, m.Content, nil), onward, [8]byte{1}))
	code(t, err, "message.link")
}

func TestWrongRealm(t *testing.T) {
	t.Parallel()
	exercise, _ := noroshi.ParseRealm("exercise:keen-edge")
	other, _ := noroshi.ParseRealm("exercise:keen-sword")
	p, x := newPair(t, noroshi.Real), newPair(t, exercise)
	m := x.sign(t, dataHeader(1), message.EncodeObjects(objects(1)))
	for _, r := range []noroshi.Realm{noroshi.Real, other, {}} {
		_, err := message.DecodeSigned(r, m.EncodeSigned())
		code(t, err, "message.realm")
		_, err = message.ParseKeyset(r, x.a.Keyset().Bytes())
		code(t, err, "message.realm")
	}
	_, err := message.DecodeSigned(noroshi.Realm{}, p.sign(t, dataHeader(1), message.EncodeObjects(objects(1))).EncodeSigned())
	code(t, err, "message.realm") // no realm is not the real one
	_, err = message.Sign(p.a, x.context(), dataHeader(1), message.EncodeObjects(objects(1)))
	code(t, err, "message.realm")
	_, err = message.Unseal(p.b, p.in(), x.seal(t, message.Plain{Message: m}))
	code(t, err, "message.gate-match")
	in := x.in()
	in.Realm = noroshi.Real
	_, err = message.Unseal(x.b, in, x.seal(t, message.Plain{Message: m}))
	code(t, err, "message.gate-match")
}

func TestGateKnowsItsLink(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	e := p.seal(t, message.Plain{Document: p.a.Keyset().Bytes()})
	a, b := p.a.NodeID(), p.b.NodeID()
	if !message.GateMatch(p.secret, p.realm, a, b, e) {
		t.Error("own link does not match")
	}
	if message.GateMatch(p.secret, p.realm, b, a, e) {
		t.Error("the other direction matches")
	}
	for _, secret := range [][]byte{nil, p.secret[:31], make([]byte, 32), make([]byte, 64)} {
		if message.GateMatch(secret, p.realm, a, b, e) {
			t.Errorf("secret %x matches", secret)
		}
	}
	out := p.out()
	out.Secret = p.secret[:31]
	_, err := message.Seal(message.Plain{Document: p.a.Keyset().Bytes()}, out, rand.Reader)
	code(t, err, "message.gate")
	_, err = message.ReadGate(append([]byte{0x14}, e[1:]...))
	code(t, err, "message.version")
	_, err = message.ReadGate(nil)
	code(t, err, "message.envelope")
	_, err = message.ReadGate(e[:1160])
	code(t, err, "message.envelope")
	_, err = message.ReadGate(make([]byte, message.MaxEnvelope+1))
	code(t, err, "message.too-large")
}

// Each key signs what its use says: a stolen server key cannot release.
func TestKeyUse(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	data := p.sign(t, dataHeader(1), message.EncodeObjects(objects(1)))
	control := p.sign(t, message.Header{Seq: 2, Kind: message.Read, Prec: noroshi.Routine, Created: now, Form: message.ControlForm}, message.EncodeRead(message.ReadBody{Seq: 1, Role: noroshi.Duty, Time: now}))
	for _, m := range []*message.Message{data, control} {
		if err := m.Verify(p.a.Keyset()); err != nil {
			t.Error(err)
		}
		code(t, m.Verify(p.b.Keyset()), "message.context")
	}
	code(t, message.Resign(p.a, data, message.UseControl).Verify(p.a.Keyset()), "message.key")
	code(t, message.Resign(p.a, control, message.UseRelease).Verify(p.a.Keyset()), "message.key")
	wrong := *data
	wrong.KeyID = control.KeyID
	code(t, wrong.Verify(p.a.Keyset()), "message.key")
	old := *data
	old.Header.Created = now.AddDate(-1, 0, 0)
	code(t, old.Verify(p.a.Keyset()), "message.key")
	c := p.context()
	c.Agreement = noroshi.Hash{}
	_, err := message.Sign(p.a, c, dataHeader(1), nil)
	code(t, err, "message.agreement")
	c.From = p.b.NodeID()
	_, err = message.Sign(p.a, c, control.Header, nil)
	code(t, err, "message.context")
}

func TestUnknownAgreement(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	e := p.seal(t, message.Plain{Message: p.sign(t, dataHeader(1), message.EncodeObjects(objects(1)))})
	in := p.in()
	in.Agreements = nil
	_, err := message.Unseal(p.b, in, e)
	code(t, err, "message.unknown-agreement")
}

// flips calls check with b changed in one bit of each byte, or in every bit in
// the battery.
func flips(b []byte, check func(i int, b []byte)) {
	per := tier.N(1, 8)
	for i := range b {
		for j := range per {
			c := slices.Clone(b)
			c[i] ^= 1 << ((i + j) % 8)
			check(i, c)
		}
	}
}

func TestBitFlips(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	m := p.sign(t, dataHeader(1), message.EncodeObjects(objects(2)))
	e := p.seal(t, message.Plain{Message: m})
	flips(e, func(i int, b []byte) {
		if _, err := message.Unseal(p.b, p.in(), b); err == nil {
			t.Errorf("envelope with byte %d changed is opened", i)
		}
	})
	plain, err := message.Plaintext(p.b, p.in(), e)
	if err != nil {
		t.Fatal(err)
	}
	flips(plain, func(i int, b []byte) {
		// A frame may be written in several ways: then it is the same message.
		got, err := message.Unseal(p.b, p.in(), message.SealRaw(b, p.out(), [8]byte{}))
		if err == nil && (got.Message.ID() != m.ID() || !bytes.Equal(got.Message.Content, m.Content)) {
			t.Errorf("plaintext with byte %d changed is believed: %+v", i, got)
		}
	})
	flips(m.EncodeSigned(), func(i int, b []byte) {
		n, err := message.DecodeSigned(p.realm, b)
		if err == nil {
			err = n.Verify(p.a.Keyset())
		}
		if err == nil {
			t.Errorf("signed message with byte %d changed verifies", i)
		}
	})
	c, err := message.SignCard(p.a, card(p))
	if err != nil {
		t.Fatal(err)
	}
	flips(c, func(i int, b []byte) {
		if _, err := message.ParseCard(p.realm, b); err == nil {
			t.Errorf("card with byte %d changed is read", i)
		}
	})
	st, err := message.SignStatement(p.a, p.context(), 1, message.StateKind, now, message.EncodeState(stateHeader()))
	if err != nil {
		t.Fatal(err)
	}
	flips(st.Encode(), func(i int, b []byte) {
		n, err := message.DecodeStatement(p.realm, b)
		if err == nil {
			err = n.Verify(p.a.Keyset())
		}
		if err == nil {
			t.Errorf("statement with byte %d changed verifies", i)
		}
	})
}

func frame(t testing.TB, b []byte, o ...zstd.EOption) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, o...)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

// A partner with all its keys sends compressed content that is not one honest
// frame of the signed length.
func TestHostileCompression(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	content := message.EncodeObjects(objects(10))
	m := p.sign(t, dataHeader(1), content)
	good := frame(t, content)
	half := frame(t, content[:1500])
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0}, 1, 2, 3, 4)
	bomb := frame(t, make([]byte, 64<<20))
	fcs := slices.Clone(bomb)
	wide := frame(t, append(slices.Clone(content), make([]byte, 4<<20)...), zstd.WithWindowSize(8<<20), zstd.WithSingleSegment(false))
	streamed := new(bytes.Buffer)
	w, _ := zstd.NewWriter(streamed, zstd.WithWindowSize(1<<20))
	w.Write(content[:1500])
	w.Flush()
	w.Write(content[1500:])
	w.Close()
	for _, c := range []struct {
		name string
		comp uint8
		b    []byte
		want string
	}{
		{"honest", 1, good, ""},
		{"not compressed", 0, content, ""},
		{"not compressed, longer", 0, append(slices.Clone(content), 0), "message.length"},
		{"another content of that length", 0, make([]byte, len(content)), "message.hash"},
		{"another content of that length, compressed", 1, frame(t, make([]byte, len(content))), "message.hash"},
		{"a shorter content", 1, half, "message.compression"},
		{"two frames", 1, append(slices.Clone(half), frame(t, content[1500:])...), "message.compression"},
		{"empty frame after", 1, append(slices.Clone(good), frame(t, nil, zstd.WithZeroFrames(true))...), "message.compression"},
		{"skippable after", 1, append(slices.Clone(good), skippable...), "message.compression"},
		{"skippable before", 1, append(slices.Clone(skippable), good...), "message.compression"},
		{"surplus byte", 1, append(slices.Clone(good), 0), "message.compression"},
		{"cut short", 1, good[:len(good)-5], "message.compression"},
		{"bomb of 64 MiB", 1, bomb, "message.compression"},
		{"bomb with any size", 1, fcs, "message.compression"},
		{"no content size", 1, streamed.Bytes(), "message.compression"},
		{"window of 8 MiB", 1, wide, "message.compression"},
		{"dictionary", 1, frame(t, content, zstd.WithEncoderDictRaw(7, content)), "message.compression"},
		{"dictionary form", 2, good, "message.compression"},
		{"compact form", 128, good, "message.compression"},
		{"no frame", 1, []byte("not zstd"), "message.compression"},
		{"nothing", 1, nil, "message.compression"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if early := message.CheckFrame(c.b, len(content)); c.comp == 1 && c.want == "message.compression" && early == nil {
				t.Error("the headers of the frame are not refused before decoding")
			}
			e := message.SealRaw(message.PlainWith(m, c.comp, c.b, nil), p.out(), [8]byte{})
			_, err := message.Unseal(p.b, p.in(), e)
			code(t, err, c.want)
		})
	}
	_, err := message.Unseal(p.b, p.in(), message.SealRaw(message.PlainWith(m, 0, content, []byte{0, 0, 1}), p.out(), [8]byte{}))
	code(t, err, "message.form")
}

// A window is what the decoder keeps in memory: over 1 MiB is refused even for
// an honest content that is larger.
func TestWindows(t *testing.T) {
	t.Parallel()
	big := make([]byte, 3<<20)
	io.ReadFull(seed("windows"), big[:1<<20])
	for _, c := range []struct {
		name string
		o    []zstd.EOption
		want string
	}{
		{"1 MiB", []zstd.EOption{zstd.WithWindowSize(1 << 20)}, ""},
		{"2 MiB", []zstd.EOption{zstd.WithWindowSize(2 << 20), zstd.WithSingleSegment(false)}, "message.compression"},
		{"single segment", []zstd.EOption{zstd.WithWindowSize(8 << 20), zstd.WithSingleSegment(true)}, "message.compression"},
	} {
		b := frame(t, big, c.o...)
		code(t, message.CheckFrame(b, len(big)), c.want)
		out, err := message.Decompress(1, b, len(big))
		code(t, err, c.want)
		if c.want == "" && !bytes.Equal(out, big) {
			t.Errorf("%s: content differs", c.name)
		}
	}
}

// A frame that claims the signed length and decodes to more is cut off there.
func TestBombBehindHonestClaim(t *testing.T) {
	bomb := frame(t, make([]byte, 32<<20), zstd.WithWindowSize(1<<20), zstd.WithSingleSegment(false), zstd.WithEncoderCRC(false))
	// magic 4, descriptor with a 4-byte content size, window 1, size 4
	binary.LittleEndian.PutUint32(bomb[6:], 100_000)
	grew := allocated(func() {
		_, err := message.Decompress(1, bomb, 100_000)
		code(t, err, "message.compression")
	})
	if grew > 8<<20 {
		t.Errorf("decoding a bomb took %d bytes, want at most 8 MiB", grew)
	}
}

// allocated returns the bytes the process allocated while fn ran: for tests that
// run alone, not in parallel with others.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Forms that say the same in other bytes, and forms that say something else.
func TestStrictReading(t *testing.T) {
	objects := func(b []byte) error { _, err := message.DecodeObjects(b); return err }
	state := func(b []byte) error { _, err := message.DecodeState(b); return err }
	want := func(b []byte) error { _, err := message.DecodeWant(b); return err }
	signed := func(b []byte) error { _, err := message.DecodeSigned(noroshi.Real, b); return err }
	keyset := func(b []byte) error { _, err := message.ParseKeyset(noroshi.Real, b); return err }
	good := message.EncodeState(stateHeader())
	p := newPair(t, noroshi.Real)
	m := p.sign(t, dataHeader(1), message.EncodeObjects([]message.Object{{Bytes: []byte("x")}}))
	protectedAs := func(s string) []byte {
		was := append([]byte("\x49\xa2\x01\x32\x04\x44"), m.KeyID[:]...)
		b := bytes.Replace(m.EncodeSigned(), was, []byte(s), 1)
		if bytes.Equal(b, m.EncodeSigned()) {
			t.Fatal("protected header not found")
		}
		return b
	}
	for _, c := range []struct {
		name   string
		decode func([]byte) error
		b      []byte
	}{
		{"nothing", objects, nil},
		{"long integer", objects, []byte{0x81, 0x82, 0x18, 0x00, 0x41, 'x'}},
		{"longer integer", objects, []byte{0x81, 0x82, 0x1b, 0, 0, 0, 0, 0, 0, 0, 1, 0x41, 'x'}},
		{"long length", objects, []byte{0x98, 0x01, 0x82, 0x00, 0x41, 'x'}},
		{"long byte string", objects, []byte{0x81, 0x82, 0x00, 0x58, 0x01, 'x'}},
		{"indefinite array", objects, []byte{0x9f, 0x82, 0x00, 0x41, 'x', 0xff}},
		{"indefinite bytes", objects, []byte{0x81, 0x82, 0x00, 0x5f, 0x41, 'x', 0xff}},
		{"null for the list", objects, []byte{0xf6}},
		{"null for a batch entry", objects, []byte{0x81, 0xf6}},
		{"null for the view", objects, []byte{0x81, 0x82, 0xf6, 0x41, 'x'}},
		{"null for the object", objects, []byte{0x81, 0x82, 0x00, 0xf6}},
		{"null for a list that may be empty", want, []byte{0x82, 0x04, 0xf6}},
		{"undefined", objects, []byte{0x81, 0x82, 0x00, 0xf7}},
		{"integers for bytes", objects, []byte{0x81, 0x82, 0x00, 0x81, 0x01}},
		{"text for bytes", objects, []byte{0x81, 0x82, 0x00, 0x61, 'x'}},
		{"float for the view", objects, []byte{0x81, 0x82, 0xf9, 0x3c, 0x00, 0x41, 'x'}},
		{"negative view", objects, []byte{0x81, 0x82, 0x20, 0x41, 'x'}},
		{"tag", objects, []byte{0xc1, 0x81, 0x82, 0x00, 0x41, 'x'}},
		{"map for an entry", objects, []byte{0x81, 0xa1, 0x00, 0x41, 'x'}},
		{"three elements", objects, []byte{0x81, 0x83, 0x00, 0x41, 'x', 0x00}},
		{"one element", objects, []byte{0x81, 0x81, 0x00}},
		{"empty batch", objects, []byte{0x80}},
		{"empty object", objects, []byte{0x81, 0x82, 0x00, 0x40}},
		{"surplus byte", objects, []byte{0x81, 0x82, 0x00, 0x41, 'x', 0x00}},
		{"view too large", objects, []byte{0x81, 0x82, 0x1b, 1, 0, 0, 0, 0, 0, 0, 0, 0x41, 'x'}},
		{"1001 objects", objects, message.EncodeObjects(slices.Repeat([]message.Object{{Bytes: []byte("x")}}, 1001))},
		{"two objects over 1 MiB", objects, message.EncodeObjects([]message.Object{{Bytes: make([]byte, 1<<20)}, {Bytes: []byte("x")}})},
		{"array of 1 Gi", objects, []byte{0x9a, 0x40, 0, 0, 0}},
		{"array of 2^63", objects, []byte{0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0}},
		{"bytes of 1 GiB", objects, []byte{0x81, 0x82, 0x00, 0x5a, 0x40, 0, 0, 0, 'x'}},
		{"deep nesting", objects, bytes.Repeat([]byte{0x81}, 100_000)},
		{"run of 7 bytes", state, slices.Concat([]byte{0x87, 0x47}, good[2:9], good[10:])},
		{"run of 9 bytes", state, slices.Concat([]byte{0x87, 0x49}, good[2:10], []byte{0}, good[10:])},
		{"array for run", state, slices.Concat([]byte{0x87, 0x88, 1, 0, 0, 0, 0, 0, 0, 0}, good[10:])},
		{"falling run", want, message.EncodeWant(message.Want{Reason: 1, Runs: []message.EpochRange{{Range: message.Range{A: 3, B: 2}}}})},
		{"run from 0", want, message.EncodeWant(message.Want{Reason: 1, Runs: []message.EpochRange{{Range: message.Range{A: 0, B: 2}}}})},
		{"null", signed, []byte{0xf6}},
		{"null", keyset, []byte{0xf6}},
		{"null for protected", signed, protectedAs("\xf6")},
		{"duplicate key in protected", signed, protectedAs("\x4b\xa3\x01\x32\x01\x32\x04\x44abcd")},
		{"keys of protected turned round", signed, protectedAs("\x49\xa2\x04\x44abcd\x01\x32")},
		{"EdDSA of RFC 9053", signed, protectedAs("\x49\xa2\x01\x27\x04\x44abcd")},
		{"third protected header", signed, protectedAs("\x4b\xa3\x01\x32\x03\x00\x04\x44abcd")},
		{"no key id", signed, protectedAs("\x43\xa1\x01\x32")},
		{"key id of 8 bytes", signed, protectedAs("\x4d\xa2\x01\x32\x04\x48abcdefgh")},
	} {
		t.Run(c.name, func(t *testing.T) {
			grew := allocated(func() {
				if err := c.decode(c.b); noroshi.KindOf(err) != noroshi.Invalid {
					t.Errorf("got %v, want it refused as invalid", err)
				}
			})
			if limit := uint64(4*len(c.b) + 1<<20); grew > limit {
				t.Errorf("reading %d bytes took %d, want at most %d", len(c.b), grew, limit)
			}
		})
	}
}
