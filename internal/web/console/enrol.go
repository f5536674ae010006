package console

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/fxamacker/cbor/v2"
	"github.com/go-json-experiment/json"

	"github.com/noroshi-cti/noroshi"
)

// wantPasskey is what an authenticator is told of the passkey it is to make
// (WebAuthn §5.4); the script turns text into bytes.
type wantPasskey struct {
	Challenge string   `json:"challenge"`
	User      string   `json:"user"` // handle, which says nothing of the person
	Name      string   `json:"name"`
	Display   string   `json:"display"`
	RP        string   `json:"rp"` // what the console is called
	Exclude   []string `json:"exclude,omitempty"`
}

// askPasskey says what passkey is to be made for the reader.
func (v *visit) askPasskey() error {
	nonce := v.challenges.ask(v.now)
	digest := v.challenged(noroshi.ActEnrol, v.person.ID, nonce)
	user := sha256.Sum256(slices.Concat([]byte("noroshi person "), v.Node[:], []byte(v.Realm.String()+" "+v.person.ID)))
	name := v.person.Name
	if name == "" {
		name = v.person.ID
	}
	want := wantPasskey{unpadded(digest[:]), unpadded(user[:]), v.person.ID + "@" + string(v.Self.CallSign), name, "Noroshi " + string(v.Self.CallSign), v.passkeyIDs()}
	return asked{Create: &want, Nonce: nonce}
}

// madePasskey reads the passkey that an authenticator made, from the form.
func (v *visit) madePasskey() (k noroshi.Passkey, err error) {
	nonce := v.r.PostFormValue("nonce")
	var in struct {
		Attestation string `json:"attestation"`
		Client      string `json:"client"`
	}
	bad := noroshi.Errorf(noroshi.Invalid, "console.passkey-made", "what the authenticator made cannot be used here")
	if json.Unmarshal([]byte(v.r.PostFormValue("passkey")), &in) != nil {
		return k, bad
	}
	attestation, err1 := base64.RawURLEncoding.DecodeString(in.Attestation)
	client, err2 := base64.RawURLEncoding.DecodeString(in.Client)
	if err1 != nil || err2 != nil {
		return k, bad
	}
	challenge := v.challenged(noroshi.ActEnrol, v.person.ID, nonce)
	made, ok := ReadCredential(attestation, v.hostname())
	if !ok || !created(client, v.origin(), challenge) || !v.challenges.take(nonce, v.now) {
		return k, bad
	}
	made.Origin, made.Name, made.Added = v.origin(), v.r.PostFormValue("name"), v.now.UTC()
	return made, nil
}

// created reports whether client data say that a credential was made for this
// challenge by a page of this origin, and not within another.
func created(client []byte, origin string, challenge noroshi.Hash) bool {
	var c struct {
		Type        string `json:"type"`
		Challenge   string `json:"challenge"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
		TopOrigin   string `json:"topOrigin"`
	}
	return len(client) <= maxClient && json.Unmarshal(client, &c) == nil && c.Type == "webauthn.create" && c.Origin == origin && !c.CrossOrigin && c.TopOrigin == "" &&
		c.Challenge == unpadded(challenge[:])
}

// Bounds of what an authenticator makes.
const (
	maxClient      = 4096
	maxAttestation = 16 << 10
)

// credentialCBOR reads CTAP2's canonical CBOR: no indefinite lengths, no key
// twice.
var credentialCBOR = func() cbor.DecMode {
	m, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, MaxNestedLevels: 8, MaxArrayElements: 64, MaxMapPairs: 64}.DecMode()
	if err != nil {
		panic("console: " + err.Error())
	}
	return m
}()

// ReadCredential reads the credential id and public key from an attestation
// object (WebAuthn §6.5) made for a relying party with the person verified; ok is
// false for anything else. The attestation itself, a statement of the
// authenticator's maker, is neither asked for nor looked at: the person says with
// their own key that this passkey is theirs.
func ReadCredential(attestation []byte, rp string) (k noroshi.Passkey, ok bool) {
	var object struct {
		Format   string          `cbor:"fmt"`
		AuthData []byte          `cbor:"authData"`
		Said     cbor.RawMessage `cbor:"attStmt"`
	}
	if len(attestation) > maxAttestation || credentialCBOR.Unmarshal(attestation, &object) != nil {
		return k, false
	}
	const flags, fixed = 32, 32 + 1 + 4 + 16 + 2 // hash, flags, counter, maker's id, length
	d, hash := object.AuthData, sha256.Sum256([]byte(rp))
	const present, verified, attested, extended = 0x01, 0x04, 0x40, 0x80
	if len(d) < fixed || !bytes.Equal(d[:flags], hash[:]) || d[flags]&(present|verified|attested) != present|verified|attested {
		return k, false
	}
	n := int(binary.BigEndian.Uint16(d[fixed-2:]))
	if n == 0 || n > 1023 || len(d) < fixed+n {
		return k, false
	}
	k.RP, k.ID = rp, bytes.Clone(d[fixed:fixed+n])
	rest, ok := readCOSE(d[fixed+n:], &k)
	return k, ok && (len(rest) > 0) == (d[flags]&extended != 0)
}

// readCOSE reads a public key as COSE has it (RFC 9053 §7): ES256 or EdDSA.
func readCOSE(b []byte, k *noroshi.Passkey) (rest []byte, ok bool) {
	var key struct {
		Type      int64  `cbor:"1,keyasint"`
		Algorithm int64  `cbor:"3,keyasint"`
		Curve     int64  `cbor:"-1,keyasint"`
		X         []byte `cbor:"-2,keyasint"`
		Y         []byte `cbor:"-3,keyasint"`
	}
	rest, err := credentialCBOR.UnmarshalFirst(b, &key)
	if err != nil {
		return nil, false
	}
	var public any
	switch {
	case key.Type == 2 && key.Algorithm == -7 && key.Curve == 1 && len(key.X) == 32 && len(key.Y) == 32:
		public, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, key.X, key.Y))
	case key.Type == 1 && key.Algorithm == -8 && key.Curve == 6 && len(key.X) == ed25519.PublicKeySize:
		public = ed25519.PublicKey(key.X)
	default:
		return nil, false
	}
	if err != nil {
		return nil, false
	}
	k.Key, err = x509.MarshalPKIXPublicKey(public)
	return rest, err == nil
}
