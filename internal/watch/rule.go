package watch

import (
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
)

// Rule says what a hit is worth: how bad, how fast, what is asked and by when.
type Rule struct {
	ID         string
	Strength   detect.Strength
	Kinds      []noroshi.ValueKind // empty = every kind
	Severity   noroshi.Severity
	Precedence noroshi.Precedence
	Action     string        // code of docs/words.md, text in locale under action.CODE
	Due        time.Duration // from the moment the warning is made
}

// rules is the table; the first rule that fits counts. What names one thing
// exactly (a file, a URL, an address with its port) is worse than a name or an
// address that others may share; a weak hit asks for a look, no more. No rule
// makes a FLASH: that takes two people.
var rules = []Rule{
	{"weak", detect.Weak, nil, noroshi.Low, noroshi.Routine, "check", 24 * time.Hour},
	{"file", detect.Strong, []noroshi.ValueKind{noroshi.SHA512, noroshi.SHA256, noroshi.SHA1, noroshi.MD5},
		noroshi.High, noroshi.Immediate, "isolate", time.Hour},
	{"exact", detect.Strong, []noroshi.ValueKind{noroshi.AddrPort, noroshi.URL, noroshi.URLPart},
		noroshi.High, noroshi.Immediate, "investigate", time.Hour},
	{"name", detect.Strong, []noroshi.ValueKind{noroshi.DomainName},
		noroshi.High, noroshi.Priority, "investigate", 4 * time.Hour},
	{"address", detect.Strong, []noroshi.ValueKind{noroshi.IPv4, noroshi.IPv6, noroshi.CIDR},
		noroshi.Medium, noroshi.Priority, "investigate", 4 * time.Hour},
	{"any", detect.Strong, nil, noroshi.Medium, noroshi.Priority, "check", 4 * time.Hour},
}

// RuleFor returns the rule for a hit of this strength on a value of this kind;
// ok is false when no rule speaks, and then nothing is raised.
func RuleFor(s detect.Strength, k noroshi.ValueKind) (r Rule, ok bool) {
	for _, r := range rules {
		if r.Strength == s && (len(r.Kinds) == 0 || slices.Contains(r.Kinds, k)) {
			return r, true
		}
	}
	return Rule{}, false
}
