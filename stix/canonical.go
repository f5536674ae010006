package stix

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Canonical returns the RFC 8785 form of a JSON value: members sorted, no
// white space, numbers as IEEE doubles. A number that a double cannot hold
// exactly changes, as that standard says; so nothing is kept or signed in this
// form. It serves ids derived from content (SCOID) and comparing two values.
//
// A name given twice and bad UTF-8 are errors, and so is a number beyond the
// range of a double, which has no canonical form.
func Canonical(raw []byte) ([]byte, error) {
	s := scanner{b: raw}
	if err := s.document(); err != nil {
		return nil, fmt.Errorf("canonical form: %w", err)
	}
	if err := inDoubles(raw); err != nil {
		return nil, fmt.Errorf("canonical form: %w", err)
	}
	v := jsontext.Value(bytes.Clone(raw))
	if err := v.Canonicalize(); err != nil {
		return nil, fmt.Errorf("canonical form: %w", err)
	}
	return v, nil
}

// inDoubles looks for a number that a double cannot come near.
func inDoubles(raw []byte) error {
	c := cursor{b: raw}
	for c.i < len(raw) {
		switch b := raw[c.i]; {
		case b == '"':
			c.quoted()
		case b == '-' || b >= '0' && b <= '9':
			start := c.i
			c.skip()
			if _, err := strconv.ParseFloat(string(raw[start:c.i]), 64); err != nil {
				return &SyntaxError{Code: "number", Offset: int64(start), Msg: "the number is beyond the range of a double"}
			}
		default:
			c.i++
		}
	}
	return nil
}
