package detect

import (
	"strings"

	"golang.org/x/net/idna"
)

// maxName is the longest name in text form (RFC 1035 §2.3.4).
const maxName = 253

// toASCII maps a name with U-labels to A-labels (RFC 5891), case and width
// folded, as resolvers look it up.
var toASCII = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// normalDomain returns a name in lower-case A-label form without trailing dot.
// It wants two labels at least; underscores, stray hyphens and labels longer
// than 63 bytes occur in real lists and are let through.
func normalDomain(s string) (string, error) {
	d := strings.TrimSuffix(s, ".")
	if !ascii(d) {
		a, err := toASCII.ToASCII(d)
		if err != nil {
			return "", bad("domain", "%q is no domain name: %w", s, err)
		}
		d = strings.TrimSuffix(a, ".")
	}
	d = strings.ToLower(d)
	if len(d) > maxName {
		return "", bad("domain", "%q is no domain name: longer than %d bytes", s, maxName)
	}
	dots, label, letters := 0, 0, false
	for i := range len(d) {
		c := d[i]
		if c == '.' {
			if label == 0 {
				return "", bad("domain", "%q is no domain name: empty label", s)
			}
			dots, label = dots+1, 0
			continue
		}
		label++
		letter := c >= 'a' && c <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return "", bad("domain", "%q is no domain name: character %q", s, string(rune(c)))
		}
		letters = letters || letter
	}
	switch {
	case dots == 0 || label == 0:
		return "", bad("domain", "%q is no domain name: one label only", s)
	case !letters:
		return "", bad("domain", "%q is no domain name and no address", s)
	}
	return d, nil
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
