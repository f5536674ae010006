package stix

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"
)

// ID is a STIX identifier, "type--uuid" (STIX 2.1 §2.9).
type ID string

const (
	uuidLen = 36
	idTail  = 2 + uuidLen // "--" and the UUID

	// longestType is the greatest length of a type name (STIX 2.1 §3.1).
	longestType = 250
)

// ParseID checks the form type--UUID (STIX 2.1 §2.9). Any version of UUID and
// either case of its digits is taken, as others write them; the id keeps its
// spelling, and ids that differ in it are different ids.
func ParseID(s string) (ID, error) {
	cut := len(s) - idTail
	if cut < 1 || s[cut:cut+2] != "--" || !isTypeName(s[:cut]) || !isUUID(s[cut+2:]) {
		return "", fmt.Errorf("%q is no STIX identifier of the form type--UUID", clip(s))
	}
	return ID(s), nil
}

// clip keeps an error text short.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// isTypeName: letters a-z, digits and single hyphens between them, a letter
// first. Without "--" in it a type can always be told from the UUID.
func isTypeName(s string) bool {
	if len(s) == 0 || len(s) > longestType || s[0] < 'a' || s[0] > 'z' || s[len(s)-1] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' && s[i+1] != '-') {
			return false
		}
	}
	return true
}

func isUUID(s string) bool {
	if len(s) != uuidLen || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch i {
		case 8, 13, 18, 23:
		default:
			if !isHex(s[i]) {
				return false
			}
		}
	}
	return true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// Type returns the part of an id before "--", "" when it has none.
func (id ID) Type() string {
	typ, _, found := strings.Cut(string(id), "--")
	if !found {
		return ""
	}
	return typ
}

// NewID returns a random (UUIDv4) id of the type.
func NewID(typ string) ID {
	var u [16]byte
	rand.Read(u[:]) // never fails (crypto/rand)
	return makeID(typ, u, 4)
}

// DeriveID returns the UUIDv5 id of the type over a namespace and a name
// (RFC 9562 §5.5).
func DeriveID(typ string, namespace [16]byte, name string) ID {
	h := sha1.New()
	h.Write(namespace[:])
	h.Write([]byte(name))
	return makeID(typ, [16]byte(h.Sum(nil)), 5)
}

func makeID(typ string, u [16]byte, version byte) ID {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	b := make([]byte, 0, 64)
	b = append(b, typ...)
	b = append(b, '-', '-')
	for i, part := range [][]byte{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return ID(b)
}
