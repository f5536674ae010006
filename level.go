package noroshi

// Level is a level of classification as the parties compare them: those of
// ACS 3.0, and what an agreement says a Japanese class is equal to.
type Level uint8

// The levels, lowest first. NoLevel is the absence of one.
const (
	NoLevel Level = iota
	Unclassified
	Confidential
	Secret
	TopSecret
)

var levelNames = []string{"", "U", "C", "S", "TS"}

// String returns the letters: U, C, S or TS.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "?"
}

// ParseLevel reads U, C, S or TS in exactly this spelling.
func ParseLevel(s string) (Level, error) {
	for i, n := range levelNames {
		if i > 0 && n == s {
			return Level(i), nil
		}
	}
	return NoLevel, Errorf(Invalid, "level.unknown", "level %q must be U, C, S or TS", s)
}

// MarshalText writes String.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what ParseLevel reads.
func (l *Level) UnmarshalText(b []byte) (err error) { *l, err = ParseLevel(string(b)); return err }
