package message

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"

	"github.com/noroshi-cti/noroshi"
)

// Layout of an S1 envelope: type, salt, gate, enc, ciphertext.
const (
	suiteS1   = 0x11
	saltLen   = 8
	gateLen   = 16
	encLen    = 1120
	gateStart = 1 + saltLen
	encStart  = gateStart + gateLen
	ctStart   = encStart + encLen
	tagLen    = 16
)

// linkNames is what keys of a link and the HPKE info are bound to.
type linkNames struct {
	_        struct{} `cbor:",toarray"`
	Name     string
	Realm    []byte
	From, To [16]byte
}

func linkInfo(name string, realm noroshi.Realm, from, to noroshi.NodeID) []byte {
	return encode(linkNames{Name: name, Realm: realm.Bytes(), From: from, To: to})
}

// Gate is the outside of an envelope, hashed once, to be tried against the
// secrets of many links.
type Gate struct {
	input [1 + saltLen + sha256.Size]byte
	tag   [gateLen]byte
}

// ReadGate looks at nothing but size, type and gate of an envelope. An unknown
// type is the code message.version: such an envelope is kept as it is and
// answered with REFUSE(version).
func ReadGate(envelope []byte) (g Gate, err error) {
	switch {
	case len(envelope) > MaxEnvelope:
		return g, noroshi.Errorf(noroshi.Invalid, "message.too-large", "%s has %d bytes, must be 1 to %d", "envelope", len(envelope), MaxEnvelope)
	case len(envelope) > 0 && envelope[0] != suiteS1:
		return g, noroshi.Errorf(noroshi.Invalid, "message.version", "envelope is of unknown type %d", envelope[0])
	case len(envelope) < ctStart+tagLen:
		return g, noroshi.Errorf(noroshi.Invalid, "message.envelope", "envelope of %d bytes is cut short", len(envelope))
	}
	copy(g.input[:], envelope[:gateStart])
	digest := sha256.Sum256(envelope[encStart:])
	copy(g.input[gateStart:], digest[:])
	copy(g.tag[:], envelope[gateStart:encStart])
	return g, nil
}

// Match reports whether the envelope was made with the gate secret of this
// link. It costs two hashes: nothing is decapsulated, decompressed or stored
// for an envelope that no link matches.
func (g Gate) Match(secret []byte, realm noroshi.Realm, from, to noroshi.NodeID) bool {
	tag, err := gateTag(secret, realm, from, to, g.input[:])
	return err == nil && hmac.Equal(tag, g.tag[:])
}

// GateMatch is ReadGate and Match for one link.
func GateMatch(secret []byte, realm noroshi.Realm, from, to noroshi.NodeID, envelope []byte) bool {
	g, err := ReadGate(envelope)
	return err == nil && g.Match(secret, realm, from, to)
}

func gateTag(secret []byte, realm noroshi.Realm, from, to noroshi.NodeID, input []byte) ([]byte, error) {
	if len(secret) != gateSecretLen || realm.IsZero() {
		return nil, noroshi.Errorf(noroshi.Invalid, "message.gate", "gate secret of the link %s to %s must be 32 bytes in a realm", from, to)
	}
	key, err := hkdf.Expand(sha256.New, secret, string(linkInfo("NX/1 gate", realm, from, to)), sha256.Size)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(input)
	return mac.Sum(nil)[:gateLen], nil
}
