package noroshi

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// Passkey is a further key of a person, kept by an authenticator (WebAuthn
// Level 3): it signs acts and sign-ins for one console, after it has verified who
// holds it. One that was removed stays in the record, so that what it signed
// before verifies.
type Passkey struct {
	ID      []byte    `json:"id"`     // credential id
	Key     []byte    `json:"key"`    // public key, PKIX DER: P-256 or Ed25519
	RP      string    `json:"rp"`     // relying party: the host name of the console
	Origin  string    `json:"origin"` // the console's, such as https://console.example:8443
	Name    string    `json:"name"`   // what the person calls it
	Added   time.Time `json:"added"`
	Removed time.Time `json:"removed,omitzero"`
}

// Bounds of a passkey and of what it signs.
const (
	maxCredential = 1023 // WebAuthn §4, credential id
	maxClientData = 4096
	maxKeyName    = 64
)

// Valid reports what is wrong with a passkey that is to be added.
func (k Passkey) Valid() error {
	u, err := url.Parse(k.Origin)
	switch {
	case len(k.ID) == 0 || len(k.ID) > maxCredential || k.public() == nil || !k.Removed.IsZero() || k.Added.IsZero():
		return Errorf(Invalid, "passkey.key", "a passkey needs an id and a P-256 or Ed25519 key")
	case !utf8.ValidString(k.Name) || strings.TrimSpace(k.Name) == "" || len(k.Name) > maxKeyName:
		return Errorf(Invalid, "passkey.name", "a passkey needs a name of at most %d bytes", maxKeyName)
	case err != nil || u.Scheme != "https" || u.Host == "" || k.Origin != "https://"+u.Host || u.Hostname() != k.RP:
		return Errorf(Invalid, "passkey.origin", "a passkey is for an https address such as https://console.example, not for %q", k.Origin)
	}
	if _, err := netip.ParseAddr(k.RP); err == nil {
		return Errorf(Invalid, "passkey.address", "a passkey is for a host name, not for the address %s: open the console by a name", k.RP)
	}
	return nil
}

func (k Passkey) public() any {
	key, err := x509.ParsePKIXPublicKey(k.Key)
	if err != nil {
		return nil
	}
	switch key := key.(type) {
	case ed25519.PublicKey:
		return key
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return key
		}
	}
	return nil
}

// Assertion is what an authenticator signs: a challenge in the browser's client
// data, and what it says of itself and of the person at it (WebAuthn §6.1, §7.2).
type Assertion struct {
	Credential []byte // id of the passkey
	Data       []byte // authenticator data: hash of the relying party, flags, counter
	Client     []byte // client data as the browser made it, JSON
	Signature  []byte // over Data and the SHA-256 of Client
}

// Flags of authenticator data (WebAuthn §6.1).
const (
	flagPresent  = 0x01
	flagVerified = 0x04
	flagAttested = 0x40 // a credential follows: not in an assertion
	flagExtended = 0x80 // extensions follow
	dataLen      = 37   // without either
	maxData      = 1024
	assertionTag = 1 // first byte of a packed assertion
)

// Counter is how often the authenticator says it has signed, 0 where it does not
// count.
func (a Assertion) Counter() uint32 {
	if len(a.Data) < dataLen {
		return 0
	}
	return binary.BigEndian.Uint32(a.Data[33:])
}

// Pack returns the assertion as one byte string, the form it has in
// Signed.Signature: a byte 1, then each field after its length in two bytes.
func (a Assertion) Pack() []byte {
	b := []byte{assertionTag}
	for _, part := range [][]byte{a.Credential, a.Data, a.Client, a.Signature} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(part)))
		b = append(b, part...)
	}
	return b
}

// UnpackAssertion reads what Pack wrote; ok is false for anything else, a bare
// Ed25519 signature included.
func UnpackAssertion(b []byte) (a Assertion, ok bool) {
	if len(b) == ed25519.SignatureSize || len(b) == 0 || b[0] != assertionTag {
		return a, false
	}
	b = b[1:]
	for _, part := range []struct {
		to  *[]byte
		max int
	}{{&a.Credential, maxCredential}, {&a.Data, maxData}, {&a.Client, maxClientData}, {&a.Signature, 128}} {
		if len(b) < 2 {
			return a, false
		}
		n := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; n > len(b) || n > part.max {
			return a, false
		}
		*part.to, b = b[:n:n], b[n:]
	}
	return a, len(b) == 0 && len(a.Data) >= dataLen
}

// verifies reports whether an assertion was made by this passkey for exactly this
// challenge, at its own console, by a person it has verified (WebAuthn §7.2).
func (k Passkey) verifies(a Assertion, challenge Hash) bool {
	if !bytes.Equal(a.Credential, k.ID) || len(a.Data) < dataLen || len(a.Client) > maxClientData {
		return false
	}
	flags, rp := a.Data[32], sha256.Sum256([]byte(k.RP))
	switch {
	case !bytes.Equal(a.Data[:32], rp[:]),
		flags&flagPresent == 0 || flags&flagVerified == 0,
		flags&flagAttested != 0 || (flags&flagExtended == 0) != (len(a.Data) == dataLen),
		!k.asked(a.Client, challenge):
		return false
	}
	client := sha256.Sum256(a.Client)
	signed := slices.Concat(a.Data, client[:])
	switch key := k.public().(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, signed, a.Signature)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(signed)
		return ecdsa.VerifyASN1(key, sum[:], a.Signature)
	}
	return false
}

// asked reports whether client data say that the passkey's own console asked for
// this challenge, and no page within another.
func (k Passkey) asked(client []byte, challenge Hash) bool {
	var c struct {
		Type        string `json:"type"`
		Challenge   string `json:"challenge"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
		TopOrigin   string `json:"topOrigin"`
	}
	return json.Unmarshal(client, &c) == nil && c.Type == "webauthn.get" && c.Origin == k.Origin && !c.CrossOrigin && c.TopOrigin == "" &&
		c.Challenge == base64.RawURLEncoding.EncodeToString(challenge[:])
}

// Passkey returns the person's passkey with a credential id, also a removed one.
func (p Person) Passkey(id []byte) (Passkey, bool) {
	i := slices.IndexFunc(p.Passkeys, func(k Passkey) bool { return bytes.Equal(k.ID, id) })
	if i < 0 {
		return Passkey{}, false
	}
	return p.Passkeys[i], true
}

// Signed reports whether a signature over a digest is the person's: by their own
// key, or by a passkey that is in their record, also a removed one. Whoever asks
// whether it counts asks Check.
func (p Person) Signed(digest Hash, signature []byte) bool {
	a, packed := UnpackAssertion(signature)
	if !packed {
		return len(p.Key) == ed25519.PublicKeySize && ed25519.Verify(p.Key, digest[:], signature)
	}
	k, ok := p.Passkey(a.Credential)
	return ok && k.verifies(a, digest)
}

// retired reports whether a signature is by a passkey that was removed.
func (p Person) retired(signature []byte) bool {
	a, packed := UnpackAssertion(signature)
	k, _ := p.Passkey(a.Credential)
	return packed && !k.Removed.IsZero()
}
