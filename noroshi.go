// Package noroshi holds the words every room of noroshi (狼煙, signal fire)
// speaks: realms, nodes, partners, agreements, labels, values, persons, acts.
//
// It is the ground floor: plain values and pure functions, no clock, no I/O.
// The border has two gates. Nothing enters but through intake.Admit, which
// needs a Source; nothing leaves but as release.Cleared, which only the exit
// gate can make. Between them lies the store, with one write door that enters
// every Act in the ledger.
package noroshi

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// NodeID names a node for ever: the first 16 bytes of the SHA-256 of the body
// of its first KEYSET (docs/wire.md).
type NodeID [16]byte

// String returns the id as 32 hexadecimal digits.
func (n NodeID) String() string { return hex.EncodeToString(n[:]) }

// MarshalText writes the hexadecimal form.
func (n NodeID) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads the hexadecimal form.
func (n *NodeID) UnmarshalText(b []byte) error {
	if len(b) != 32 {
		return Errorf(Invalid, "node.id", "node id must be 32 hexadecimal digits, got %d characters", len(b))
	}
	if _, err := hex.Decode(n[:], b); err != nil {
		return Errorf(Invalid, "node.id-digits", "node id %q is not all hexadecimal digits", b)
	}
	return nil
}

// CallSign is the name a node goes by, such as USA-01: three letters of its
// country code (ISO 3166-1 alpha-3, as in GENC), a hyphen, two digits.
type CallSign string

var callSign = regexp.MustCompile(`^[A-Z]{3}-[0-9]{2}$`)

// ParseCallSign checks the form of a call sign.
func ParseCallSign(s string) (CallSign, error) {
	if !callSign.MatchString(s) {
		return "", Errorf(Invalid, "callsign.form", "call sign %q must look like USA-01", s)
	}
	return CallSign(s), nil
}

// Country returns the country code in the call sign.
func (c CallSign) Country() string { return strings.SplitN(string(c), "-", 2)[0] }

// Organisation is who a node speaks for: its call sign, further tokens such as
// USA.DOD that name it in markings, and its one STIX identity.
type Organisation struct {
	CallSign CallSign `json:"call_sign" toml:"call_sign"`
	Tokens   []string `json:"tokens,omitempty" toml:"tokens,omitempty"`
	Identity stix.ID  `json:"identity" toml:"identity"`
}

// Hash is a SHA-256.
type Hash [32]byte

// Sum returns the SHA-256 of b.
func Sum(b []byte) Hash { return sha256.Sum256(b) }

// String returns 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is the zero hash, which stands for none.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes the hexadecimal form.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads the hexadecimal form.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != 64 {
		return Errorf(Invalid, "hash.form", "hash must be 64 hexadecimal digits, got %d characters", len(b))
	}
	if _, err := hex.Decode(h[:], b); err != nil {
		return Errorf(Invalid, "hash.digits", "hash %q is not all hexadecimal digits", b)
	}
	return nil
}
