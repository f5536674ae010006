package courier_test

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/stix"
)

// foe is a partner that means ill. The test holds its keys and the secrets of the
// link, so that what it sends is sealed and signed as it should be, as far as it
// likes.
type foe struct {
	*node   // keys and name; no store, no courier
	v       *node
	rng     *mrand.Rand
	in, out []byte // gate secrets: to the victim, from it

	agreement noroshi.Hash
	packings  []uint8
	epoch     message.Epoch
	seq       uint64
	counter   uint64
	sent      [][]byte // some of what went, to go again
	handed    int
	told      message.State
	life      message.Epoch // of the victim
	heard     int           // envelopes the victim sent it
	answers   int           // of them about holdings
	lives     []message.Epoch
	ends      *ends // nil while it revokes nothing
}

const foeLabel = "TLP:GREEN"

func (f *foe) now() time.Time { return time.Now().UTC().Truncate(time.Second) }

func (f *foe) context() message.Context {
	return message.Context{Realm: noroshi.Real, From: f.id(), To: f.v.id(), Epoch: f.epoch, Agreement: f.agreement}
}

func (f *foe) outbound() message.Outbound {
	return message.Outbound{Realm: noroshi.Real, From: f.id(), To: f.v.keys.Keyset(), Secret: f.in, Now: time.Now()}
}

// hear opens what the victim says, so that the foe can answer as a partner would.
func (f *foe) hear(envelope []byte) {
	f.heard++
	in := message.Inbound{Realm: noroshi.Real, From: f.v.id(), To: f.id(), Secret: f.out, Keys: f.v.keys.Keyset(),
		Agreements: []noroshi.Hash{f.agreement}, Now: time.Now(), Packings: f.packings}
	p, err := message.Unseal(f.keys, in, envelope)
	if err != nil {
		f.t.Errorf("what the foe is sent does not open: %v", err)
		return
	}
	if p.Statement != nil && p.Statement.Kind == message.HoldingsKind {
		f.answers++
	}
	if p.Statement == nil || p.Statement.Kind != message.StateKind {
		return
	}
	st, err := message.DecodeState(p.Statement.Body)
	if err != nil {
		f.t.Errorf("the victim's STATE: %v", err)
		return
	}
	f.told, f.life = st, p.Statement.Context.Epoch
}

func (f *foe) seal(p message.Plain) []byte {
	e, err := message.Seal(p, f.outbound(), rand.Reader)
	if err != nil {
		f.t.Errorf("the foe cannot seal: %v", err)
	}
	return e
}

func (f *foe) sign(h message.Header, content []byte) *message.Message {
	if h.Seq == 0 {
		f.seq++
		h.Seq = f.seq
	}
	if h.Created.IsZero() {
		h.Created = f.now()
	}
	m, err := message.Sign(f.keys, f.context(), h, content)
	if err != nil {
		f.t.Errorf("the foe cannot sign: %v", err)
	}
	return m
}

func data(p noroshi.Precedence) message.Header {
	return message.Header{Kind: message.Data, Prec: p, Label: foeLabel, Form: message.ObjectsForm}
}

func (f *foe) control(k message.Kind, content []byte) []byte {
	return f.seal(message.Plain{Message: f.sign(message.Header{Kind: k, Prec: noroshi.Priority, Form: message.ControlForm}, content)})
}

func (f *foe) say(k message.Kind, body []byte) []byte {
	f.counter++
	return f.sayAt(f.epoch, f.counter, k, body)
}

func (f *foe) sayAt(e message.Epoch, counter uint64, k message.Kind, body []byte) []byte {
	c := f.context()
	c.Epoch = e
	st, err := message.SignStatement(f.keys, c, counter, k, f.now(), body)
	if err != nil {
		f.t.Errorf("the foe cannot say %d: %v", k, err)
		return nil
	}
	return f.seal(message.Plain{Statement: st})
}

// state is an honest STATE but for what change makes of it.
func (f *foe) state(change func(*message.State)) []byte {
	st := message.State{Run: [8]byte{1}, Out: message.OutHead{Head: f.seq}, Cited: message.Citation{}, Echo: f.told.Challenge}
	rand.Read(st.Challenge[:])
	if change != nil {
		change(&st)
	}
	return f.say(message.StateKind, message.EncodeState(st))
}

// key derives a key of the link by the letter of docs/wire.md §5, without package message.
func (f *foe) key(name string) (info, key []byte) {
	from, to := f.id(), f.v.id()
	info = slices.Concat([]byte{0x84, 0x60 + byte(len(name))}, []byte(name), []byte{0x40, 0x50}, from[:], []byte{0x50}, to[:])
	key, err := hkdf.Expand(sha256.New, f.in, string(info), sha256.Size)
	if err != nil {
		panic(err)
	}
	return info, key
}

// raw seals any plaintext: an envelope that is right as far as the seal goes.
func (f *foe) raw(plain []byte) []byte {
	var public hpke.PublicKey
	for _, k := range f.v.keys.Keyset().Keys {
		if p, err := hpke.MLKEM768X25519().NewPublicKey(k.Key); k.Use == message.UseKEM && err == nil {
			public = p
		}
	}
	head := append([]byte{byte(message.S1)}, make([]byte, 8)...)
	rand.Read(head[1:])
	info, _ := f.key("NX/1 seal")
	enc, s, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
	if err != nil {
		panic(err)
	}
	ct, err := s.Seal(head, plain)
	if err != nil {
		panic(err)
	}
	digest := sha256.Sum256(slices.Concat(enc, ct))
	_, key := f.key("NX/1 gate")
	mac := hmac.New(sha256.New, key)
	mac.Write(head)
	mac.Write(digest[:])
	return slices.Concat(head, mac.Sum(nil)[:16], enc, ct)
}

// around is the plaintext of a signed message with any compressed content.
func around(m *message.Message, comp byte, content []byte) []byte {
	signed := m.EncodeSigned() // five of the eight elements
	return slices.Concat([]byte{0x88}, signed[1:], []byte{comp}, bstr(content), bstr(nil))
}

// bstr is a CBOR byte string.
func bstr(b []byte) []byte {
	n := len(b)
	switch {
	case n < 24:
		return append([]byte{0x40 + byte(n)}, b...)
	case n < 1<<8:
		return append([]byte{0x58, byte(n)}, b...)
	case n < 1<<16:
		return append([]byte{0x59, byte(n >> 8), byte(n)}, b...)
	}
	return append([]byte{0x5a, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, b...)
}

func bomb(n int) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		panic(err)
	}
	defer w.Close()
	return w.EncodeAll(make([]byte, n), nil)
}

// indicator is a good object.
func (f *foe) indicator(id stix.ID, by stix.ID, more string) []byte {
	at := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	return fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":%q,"created_by_ref":%q,"created":%q,"modified":%[3]q,"pattern":"[domain-name:value = 'foe-%d.example.net']","pattern_type":"stix","valid_from":%[3]q,"object_marking_refs":[%[5]q]%[6]s}`,
		id, by, at, f.rng.Uint64(), noroshi.Green.MarkingID(), more)
}

func (f *foe) newID() stix.ID {
	return stix.ID(fmt.Sprintf("indicator--%08x-%04x-4%03x-8%03x-%012x", f.rng.Uint32(), f.rng.Uint32()&0xffff, f.rng.Uint32()&0xfff, f.rng.Uint32()&0xfff, f.rng.Uint64()&0xffffffffffff))
}

func (f *foe) objects(list ...[]byte) []byte {
	objects := make([]message.Object, len(list))
	for i, b := range list {
		objects[i].Bytes = b
	}
	return message.EncodeObjects(objects)
}

func deepJSON(n int) []byte {
	return []byte(`{"type":"x-deep","id":"x-deep--00000000-0000-4000-8000-000000000009","a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}")
}

// hand gives the victim an envelope as its channel would.
func (f *foe) hand(envelope []byte) error {
	f.mu.Lock()
	if len(f.sent) < 64 {
		f.sent = append(f.sent, envelope)
	} else {
		f.sent[f.handed%len(f.sent)] = envelope
	}
	f.handed++
	f.mu.Unlock()
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	return f.v.running().Receive(ctx, noroshi.ChannelHTTPS, f.id(), envelope)
}

// warmCoders has the process make outside of any bubble what it makes once: the
// coders of message wait on channels, and a channel of one bubble serves in no
// other.
func warmCoders(t *testing.T) {
	t.Helper()
	k, err := message.NewKeyring(noroshi.Real, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	agreement, secret := noroshi.Hash{1}, make([]byte, 32)
	c := message.Context{Realm: noroshi.Real, From: k.NodeID(), To: k.NodeID(), Agreement: agreement}
	listed := message.ListIndicator("identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a0001", "list", "2026-11-20T03:04:05.678Z", noroshi.DomainName, "example.net", 1)
	m, err := message.Sign(k, c, message.Header{Seq: 1, Kind: message.Data, Prec: noroshi.Routine, Created: time.Now(), Label: foeLabel, Form: message.ObjectsForm},
		message.EncodeObjects([]message.Object{{Bytes: listed}, {Bytes: listed}}))
	if err != nil {
		t.Fatal(err)
	}
	links := []message.LinkBody{{Gate: [32]byte{1}, Line: [32]byte{2}, Day: message.DayOf(time.Now())}}
	for _, packings := range [][]uint8{nil, {2}, {128}, {129}} {
		out := message.Outbound{Realm: noroshi.Real, From: k.NodeID(), To: k.Keyset(), Secret: secret, Now: time.Now(), Packings: packings}
		narrow := out
		narrow.Suite, narrow.Full, narrow.Links = message.S2, true, links
		if _, err := message.Seal(message.Plain{Message: m}, narrow, rand.Reader); err != nil {
			t.Fatal(err)
		}
		e, err := message.Seal(message.Plain{Message: m}, out, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		in := message.Inbound{Realm: noroshi.Real, From: k.NodeID(), To: k.NodeID(), Secret: secret, Keys: k.Keyset(), Agreements: []noroshi.Hash{agreement}, Now: time.Now(), Packings: packings}
		if _, err := message.Unseal(k, in, e); err != nil {
			t.Fatal(err)
		}
	}
}
