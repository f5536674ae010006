package detect

import (
	"strings"

	"golang.org/x/net/idna"
)

// Limits of a name (RFC 1035 §2.3.4).
const (
	maxName  = 253
	maxLabel = 63
)

// toASCII maps a name with U-labels to A-labels (RFC 5891), case and width
// folded, as resolvers look it up.
var toASCII = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// normalDomain returns a name in lower-case A-label form without trailing dot.
// It wants two labels at least; underscores and stray hyphens occur in real
// names and are let through.
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
	dots, label, lettersLast := 0, 0, false
	for i := range len(d) {
		c := d[i]
		if c == '.' {
			if label == 0 {
				return "", bad("domain", "%q is no domain name: empty label", s)
			}
			dots, label, lettersLast = dots+1, 0, false
			continue
		}
		if label++; label > maxLabel {
			return "", bad("domain", "%q is no domain name: label longer than %d bytes", s, maxLabel)
		}
		letter := c >= 'a' && c <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
			return "", bad("domain", "%q is no domain name: character %q", s, string(rune(c)))
		}
		lettersLast = lettersLast || letter
	}
	switch {
	case dots == 0 || label == 0:
		return "", bad("domain", "%q is no domain name: one label only", s)
	case !lettersLast:
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
