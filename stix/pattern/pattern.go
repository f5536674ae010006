// Package pattern reads STIX 2.1 patterns: the whole grammar (STIX 2.1 §9).
//
// Parse turns the text into a tree (Expr over Test over Comparison) and checks
// every constant in it: timestamps, binary and hexadecimal literals, CIDR
// operands, regular expressions, the form of hashes, sets of one type. A
// pattern that Parse accepts is one the OASIS validator accepts, but for three
// things that are refused here on purpose: text longer than MaxBytes, nesting
// deeper than MaxDepth, and a negative list index, which can match nothing.
//
// A regular expression that only a backtracking engine can run (look-around,
// back-references) is valid and marked Comparison.Backtracking; this package
// runs nothing.
//
// Patterns come from strangers: the parser's time is linear in the text and
// its stack is bounded by MaxDepth.
package pattern

import (
	"fmt"
	"unicode/utf8"
)

// Limits of Parse (our own; STIX 2.1 sets none).
const (
	MaxBytes = 64 << 10 // of the text
	MaxDepth = 64       // of nested parentheses
)

// Pattern is a parsed pattern. It is immutable.
type Pattern struct {
	text string
	root Expr
}

// Options of Parse.
type Options struct {
	Version20 bool // accept START/STOP with plain strings, as STIX 2.0 wrote them
}

// Parse reads a pattern of at most MaxBytes. Errors are *Error with position.
func Parse(s string, o Options) (*Pattern, error) {
	if len(s) > MaxBytes {
		return nil, &Error{Code: "too-long", Offset: MaxBytes, Column: 0,
			Msg: fmt.Sprintf("pattern of %d bytes is longer than %d", len(s), MaxBytes)}
	}
	p := parser{lex: lexer{src: s}, opt: o}
	root, err := p.pattern()
	if err != nil {
		return nil, err
	}
	return &Pattern{text: s, root: root}, nil
}

// String returns the text the pattern was read from.
func (p *Pattern) String() string { return p.text }

// Expr returns the root of the tree; the caller must not change it.
func (p *Pattern) Expr() Expr { return p.root }

// Error says why and where a pattern was refused.
type Error struct {
	Code   string // "too-long", "depth", "utf8", "syntax", "constant", "qualifier", "hash-format"
	Offset int    // byte of the text, from 0
	Column int    // character of the text, from 1; 0 when the text was not read
	Msg    string // in English: what was found and what was expected
}

// Error returns the message with the column.
func (e *Error) Error() string {
	if e.Column == 0 {
		return e.Msg
	}
	return fmt.Sprintf("pattern, character %d: %s", e.Column, e.Msg)
}

// errorAt makes an Error for a byte of src.
func errorAt(src string, offset int, code, format string, args ...any) *Error {
	offset = min(offset, len(src))
	return &Error{
		Code: code, Offset: offset, Column: utf8.RuneCountInString(src[:offset]) + 1,
		Msg: fmt.Sprintf(format, args...),
	}
}
