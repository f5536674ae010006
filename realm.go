package noroshi

import (
	"crypto/sha256"
	"regexp"
)

// Realm is the world a thing lives in: the real one or one exercise. It stands
// in the store's identity, in the keys and in every signed context. The zero
// Realm is no realm: every room refuses it.
type Realm struct{ text string }

// Real is the real realm.
var Real = Realm{"real"}

var exerciseID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// ParseRealm reads "real" or "exercise:ID"; ID is lower-case letters, digits
// and hyphens, at most 63.
func ParseRealm(s string) (Realm, error) {
	if s == "real" {
		return Real, nil
	}
	if len(s) > 9 && s[:9] == "exercise:" && exerciseID.MatchString(s[9:]) {
		return Realm{s}, nil
	}
	return Realm{}, Errorf(Invalid, "realm.form", "realm %q must be real or exercise:ID (lower-case letters, digits, hyphens)", s)
}

// String returns "real" or "exercise:ID", and "" for the zero Realm.
func (r Realm) String() string { return r.text }

// IsZero reports whether r is no realm.
func (r Realm) IsZero() bool { return r.text == "" }

// Exercise returns the exercise's id, or "" for the real realm.
func (r Realm) Exercise() string {
	if len(r.text) > 9 {
		return r.text[9:]
	}
	return ""
}

// Bytes returns the realm as it stands in signed contexts: empty for the real
// realm, else the first 16 bytes of the SHA-256 of the exercise's id.
func (r Realm) Bytes() []byte {
	if r.Exercise() == "" {
		return []byte{}
	}
	h := sha256.Sum256([]byte(r.Exercise()))
	return h[:16]
}

// File returns the name of the realm's database file in a data folder.
func (r Realm) File() string {
	if x := r.Exercise(); x != "" {
		return "exercise-" + x + ".db"
	}
	return "real.db"
}

// MarshalText writes String.
func (r Realm) MarshalText() ([]byte, error) { return []byte(r.text), nil }

// UnmarshalText reads what ParseRealm reads.
func (r *Realm) UnmarshalText(b []byte) (err error) { *r, err = ParseRealm(string(b)); return err }
