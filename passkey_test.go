package noroshi_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// authenticator is one that signs whatever it is told to, for tests.
type authenticator struct {
	passkey noroshi.Passkey
	sign    func([]byte) []byte
}

func newAuthenticator(t testing.TB, alg string) authenticator {
	t.Helper()
	var public any
	var sign func([]byte) []byte
	if alg == "ES256" {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public, sign = &key.PublicKey, func(b []byte) []byte {
			sum := sha256.Sum256(b)
			s, _ := ecdsa.SignASN1(rand.Reader, key, sum[:])
			return s
		}
	} else {
		pub, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public, sign = pub, func(b []byte) []byte { return ed25519.Sign(key, b) }
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return authenticator{noroshi.Passkey{ID: []byte("credential-" + alg), Key: der, RP: "console.example", Origin: "https://console.example:8443", Name: "key on the desk",
		Added: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}, sign}
}

// said is what the browser and the authenticator say of one signature.
type said struct {
	kind, origin, more, rp string
	flags                  byte
	counter                uint32
	challenge              noroshi.Hash
}

func (a authenticator) assert(s said) noroshi.Assertion {
	rp := sha256.Sum256([]byte(s.rp))
	data := binary.BigEndian.AppendUint32(append(rp[:], s.flags), s.counter)
	if s.flags&0x80 != 0 {
		data = append(data, 0xa0)
	}
	client := fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q%s}`, s.kind, base64.RawURLEncoding.EncodeToString(s.challenge[:]), s.origin, s.more)
	sum := sha256.Sum256(client)
	return noroshi.Assertion{Credential: a.passkey.ID, Data: data, Client: client, Signature: a.sign(slices.Concat(data, sum[:]))}
}

// TestPasskeysSign: a person's passkey signs an act like their own key, and
// nothing but what exactly that passkey signed at its own console, for exactly
// this act, counts.
func TestPasskeysSign(t *testing.T) {
	digest := noroshi.Sum([]byte("an act"))
	good := said{"webauthn.get", "https://console.example:8443", `,"crossOrigin":false,"later":1`, "console.example", 0x05, 7, digest}
	for _, alg := range []string{"ES256", "EdDSA"} {
		key := newAuthenticator(t, alg)
		person := noroshi.Person{ID: "hana", Roles: []noroshi.Role{noroshi.Duty}, Key: make([]byte, 32), Passkeys: []noroshi.Passkey{key.passkey}}
		check := func(p noroshi.Person, packed []byte) error {
			return p.Check(noroshi.Signed{Person: p.ID, Digest: digest, Signature: packed}, noroshi.ActAck, digest)
		}
		for name, x := range map[string]struct {
			change func(*said)
			want   bool
		}{
			"as it should be":         {func(*said) {}, true},
			"backed up, extensions":   {func(s *said) { s.flags = 0x9d }, true},
			"no person was verified":  {func(s *said) { s.flags = 0x01 }, false},
			"no person was there":     {func(s *said) { s.flags = 0x04 }, false},
			"a credential follows":    {func(s *said) { s.flags = 0x45 }, false},
			"another act":             {func(s *said) { s.challenge[3] ^= 1 }, false},
			"made for another thing":  {func(s *said) { s.kind = "webauthn.create" }, false},
			"another port":            {func(s *said) { s.origin = "https://console.example" }, false},
			"another origin":          {func(s *said) { s.origin = "https://console.example.evil:8443" }, false},
			"without TLS":             {func(s *said) { s.origin = "http://console.example:8443" }, false},
			"within another page":     {func(s *said) { s.more = `,"crossOrigin":true` }, false},
			"within a page on top":    {func(s *said) { s.more = `,"topOrigin":"https://evil.example"` }, false},
			"said twice":              {func(s *said) { s.more = `,"origin":"https://console.example:8443"` }, false},
			"another relying party":   {func(s *said) { s.rp = "example" }, false},
			"client data that is not": {func(s *said) { s.more = `,` }, false},
		} {
			s := good
			x.change(&s)
			a := key.assert(s)
			if err := check(person, a.Pack()); (err == nil) != x.want {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
			back, ok := noroshi.UnpackAssertion(a.Pack())
			if !ok || back.Counter() != 7 || !bytes.Equal(back.Pack(), a.Pack()) {
				t.Errorf("%s, %s: unpacked %+v, %v", alg, name, back, ok)
			}
		}
		a := key.assert(good)
		for i := range a.Pack() {
			changed := a.Pack()
			changed[i] ^= 0x10
			if check(person, changed) == nil {
				t.Fatalf("%s: byte %d changed, and it counts", alg, i)
			}
		}
		other := newAuthenticator(t, alg)
		if stolen := other.assert(good); check(person, stolen.Pack()) == nil {
			t.Errorf("%s: another authenticator signs with this credential's id", alg)
		}
		lost := person
		lost.Passkeys = []noroshi.Passkey{key.passkey}
		lost.Passkeys[0].Removed = lost.Passkeys[0].Added.Add(time.Hour)
		if err := check(lost, a.Pack()); noroshi.CodeOf(err) != "passkey.removed" {
			t.Errorf("%s: a removed passkey signs: %v", alg, err)
		}
		if stranger := (noroshi.Person{ID: "hana", Roles: person.Roles, Key: person.Key}); check(stranger, a.Pack()) == nil {
			t.Errorf("%s: somebody else's passkey signs", alg)
		}
	}
}

// TestPasskeyValid: what is no passkey for a console opened by name over https
// is refused.
func TestPasskeyValid(t *testing.T) {
	good := newAuthenticator(t, "ES256").passkey
	if err := good.Valid(); err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&p384.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*noroshi.Passkey){
		"passkey.key":     func(k *noroshi.Passkey) { k.Key = der },
		"passkey.name":    func(k *noroshi.Passkey) { k.Name = " " },
		"passkey.origin":  func(k *noroshi.Passkey) { k.Origin = "http://console.example:8443" },
		"passkey.address": func(k *noroshi.Passkey) { k.RP, k.Origin = "192.0.2.1", "https://192.0.2.1:8443" },
	} {
		k := good
		if change(&k); noroshi.CodeOf(k.Valid()) != want {
			t.Errorf("%s: %v", want, k.Valid())
		}
	}
}

// FuzzUnpackAssertion: what is read is exactly what is written.
func FuzzUnpackAssertion(f *testing.F) {
	key := newAuthenticator(f, "EdDSA")
	digest := noroshi.Sum([]byte("an act"))
	a := key.assert(said{"webauthn.get", key.passkey.Origin, "", key.passkey.RP, 5, 1, digest})
	own, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	person := noroshi.Person{ID: "hana", Roles: []noroshi.Role{noroshi.Duty}, Key: own, Passkeys: []noroshi.Passkey{key.passkey}}
	f.Add(a.Pack())
	f.Add(a.Pack()[:64])
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := noroshi.UnpackAssertion(b)
		if ok && !bytes.Equal(got.Pack(), b) {
			t.Errorf("%x reads as %+v", b, got)
		}
		if person.Check(noroshi.Signed{Person: "hana", Digest: digest, Signature: b}, noroshi.ActAck, digest) == nil && !bytes.Equal(b, a.Pack()) {
			t.Errorf("%x counts as signed", b)
		}
	})
}
