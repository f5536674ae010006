package message

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"slices"

	"github.com/noroshi-cti/noroshi"
)

// Layout of an envelope of S1 and S1H: suite, salt, gate, enc, ciphertext.
const (
	saltLen   = 8
	gateLen   = 16
	gateStart = 1 + saltLen
	encStart  = gateStart + gateLen
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

// linkKey derives a key of one direction of a link from one of its secrets
// (docs/wire.md §7).
func linkKey(secret []byte, name string, realm noroshi.Realm, from, to noroshi.NodeID) ([]byte, error) {
	if len(secret) != gateSecretLen || realm.IsZero() {
		return nil, noroshi.Errorf(noroshi.Invalid, "message.gate", "gate secret of the link %s to %s must be 32 bytes in a realm", from, to)
	}
	return hkdf.Expand(sha256.New, secret, string(linkInfo(name, realm, from, to)), sha256.Size)
}

// Gate is the outside of an envelope, hashed once, to be tried against the
// secrets of many links. One of S2 has no gate but its seal.
type Gate struct {
	suite    Suite
	input    [1 + saltLen + sha256.Size]byte
	tag      [gateLen]byte
	envelope []byte // of S2
}

// ReadGate looks at nothing but size, type and gate of an envelope. An unknown
// type is the code message.version: such an envelope is kept as it is and
// answered with REFUSE(version).
func ReadGate(envelope []byte) (g Gate, err error) {
	if len(envelope) > MaxEnvelope {
		return g, noroshi.Errorf(noroshi.Invalid, "message.too-large", "%s has %d bytes, must be 1 to %d", "envelope", len(envelope), MaxEnvelope)
	}
	short := noroshi.Errorf(noroshi.Invalid, "message.envelope", "envelope of %d bytes is cut short", len(envelope))
	if len(envelope) == 0 {
		return g, short
	}
	g.suite = Suite(envelope[0])
	if g.suite == S2 {
		g.envelope = envelope
		return g, checkNarrow(envelope)
	}
	s, ok := sealingOf(g.suite)
	switch {
	case !ok:
		return g, noroshi.Errorf(noroshi.Invalid, "message.version", "envelope is of unknown type %d", envelope[0])
	case len(envelope) < s.ctStart()+tagLen:
		return g, short
	}
	copy(g.input[:], envelope[:gateStart])
	digest := sha256.Sum256(envelope[encStart:])
	copy(g.input[gateStart:], digest[:])
	copy(g.tag[:], envelope[gateStart:encStart])
	return g, nil
}

// Suite is that of the envelope.
func (g Gate) Suite() Suite { return g.suite }

// Match reports whether the envelope was made with the gate secret of this
// link. It costs two hashes: nothing is decapsulated, decompressed or stored
// for an envelope that no link matches. An envelope of S2 has no such gate
// (Line.Opens).
func (g Gate) Match(secret []byte, realm noroshi.Realm, from, to noroshi.NodeID) bool {
	if g.suite == S2 {
		return false
	}
	tag, err := gateTag(secret, realm, from, to, g.input[:])
	return err == nil && hmac.Equal(tag, g.tag[:])
}

// GateMatch is ReadGate and Match for one link.
func GateMatch(secret []byte, realm noroshi.Realm, from, to noroshi.NodeID, envelope []byte) bool {
	g, err := ReadGate(envelope)
	return err == nil && g.Match(secret, realm, from, to)
}

func gateTag(secret []byte, realm noroshi.Realm, from, to noroshi.NodeID, input []byte) ([]byte, error) {
	key, err := linkKey(secret, "NX/1 gate", realm, from, to)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(input)
	return mac.Sum(nil)[:gateLen], nil
}

// admits refuses a suite that is not agreed for the kind of channel an envelope
// came by. What one of S1 carries is known when it is open: see agreed.
func (in Inbound) admits(s Suite) error {
	if s != S1 && !slices.Contains(in.Suites, s) {
		return in.notAgreed(s)
	}
	return nil
}

// agreed refuses what S1 may not carry there.
func (in Inbound) agreed(s Suite, p Plain) error {
	if s == S1 && !MayCarry(in.Suites, s, p.Kind()) {
		return in.notAgreed(s)
	}
	return nil
}

func (in Inbound) notAgreed(s Suite) error {
	return noroshi.Errorf(noroshi.Refused, "message.suite", "suite %s is not agreed with %s for what came, on the channel it came by", s, in.From)
}
