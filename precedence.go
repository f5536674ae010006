package noroshi

// Precedence is how fast a message is wanted, not how important or how secret
// it is (after ACP 121). The numbers are those of the wire.
type Precedence uint8

// The four precedences, lowest first.
const (
	Routine   Precedence = 1
	Priority  Precedence = 2
	Immediate Precedence = 3
	Flash     Precedence = 4
)

// Prosign returns R, P, O or Z.
func (p Precedence) Prosign() string {
	if p < Routine || p > Flash {
		return "?"
	}
	return "RPOZ"[p-1 : p]
}

var precedences = []string{"", "routine", "priority", "immediate", "flash"}

// String returns the lower-case name.
func (p Precedence) String() string {
	if int(p) < len(precedences) {
		return precedences[p]
	}
	return "?"
}

// ParsePrecedence reads a name or a prosign.
func ParsePrecedence(s string) (Precedence, error) {
	for i, n := range precedences {
		if i > 0 && (s == n || s == "RPOZ"[i-1:i]) {
			return Precedence(i), nil
		}
	}
	return 0, Errorf(Invalid, "precedence.unknown", "precedence %q must be routine, priority, immediate or flash", s)
}

// MarshalText writes String.
func (p Precedence) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what ParsePrecedence reads.
func (p *Precedence) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePrecedence(string(b))
	return err
}
