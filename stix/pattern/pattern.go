// Package pattern reads STIX 2.1 patterns: the whole grammar (STIX 2.1 §9).
package pattern

// Pattern is a parsed pattern.
type Pattern struct{ text string }

// Options of Parse.
type Options struct {
	Version20 bool // accept START/STOP with plain strings, as STIX 2.0 wrote them
}

// Parse reads a pattern of at most MaxBytes. Errors are *Error with position.
func Parse(s string, o Options) (*Pattern, error) { panic("stub") }

// String returns the text the pattern was read from.
func (p *Pattern) String() string { return p.text }
