package message

import (
	"slices"

	"github.com/noroshi-cti/noroshi"
)

// The words for the codes of a recall, in commands and records.
var (
	recallReasons = []string{"", "mistaken", "spill", "source", "relabelled", "over"}
	recallScopes  = []string{"", "stop-use", "delete", "re-mark"}
	refusals      = []string{"none", "law", "duty", "review", "other"}
)

func word[C ~uint8](list []string, c C) string {
	if int(c) < len(list) {
		return list[c]
	}
	return ""
}

func code[C ~uint8](what string, list []string, c *C, b []byte) error {
	i := slices.Index(list, string(b))
	if i < 0 {
		return noroshi.Errorf(noroshi.Invalid, "recall.word", "%s of a recall cannot be %q", what, string(b))
	}
	*c = C(i)
	return nil
}

// String returns the word for a reason.
func (r RecallReason) String() string { return word(recallReasons, r) }

// MarshalText writes String.
func (r RecallReason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a word.
func (r *RecallReason) UnmarshalText(b []byte) error { return code("the reason", recallReasons, r, b) }

// String returns the word for a scope.
func (s RecallScope) String() string { return word(recallScopes, s) }

// MarshalText writes String.
func (s RecallScope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a word.
func (s *RecallScope) UnmarshalText(b []byte) error { return code("the scope", recallScopes, s, b) }

// String returns the word for a refusal.
func (r Refusal) String() string { return word(refusals, r) }

// MarshalText writes String.
func (r Refusal) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a word.
func (r *Refusal) UnmarshalText(b []byte) error { return code("the refusal", refusals, r, b) }
