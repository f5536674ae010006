package noroshi

import (
	"errors"
	"fmt"
)

// Kind tells callers what to do about an error; cmd maps it to an exit code.
type Kind uint8

// The kinds. Other is an error nobody classified.
const (
	Other     Kind = iota
	Invalid        // the input is wrong: the caller can mend it
	NotFound       // no such thing, or none the caller may know of
	Forbidden      // not signed in, or the role may not
	Refused        // a release rule or a missing second officer refused
	Conflict       // it is there already, or has changed since
	Queued         // accepted; the partner was not reached
	Broken         // a signature, sequence or the ledger does not verify
	Busy           // try again later
)

// Error is an error with a kind, a stable code that locale has a text for, and
// arguments for that text. Rooms below watch return codes; words are made at
// the top. Msg is English, for logs and for codes without a text.
type Error struct {
	Kind Kind
	Code string   // "room.what", such as "import.too-large"
	Args []string // for the localised text, in order
	Msg  string   // whole sentence in English, the cause included
	Err  error    // cause, or nil
}

// Error returns the English message.
func (e *Error) Error() string { return e.Msg }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error; its arguments become Args. A final %w operand is kept
// as the cause as in fmt.Errorf.
func Errorf(k Kind, code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Kind: k, Code: code, Msg: err.Error()}
	for _, a := range args {
		e.Args = append(e.Args, fmt.Sprint(a))
	}
	e.Err = errors.Unwrap(err)
	return e
}

// KindOf returns the kind of the first Error in err's chain, or Other.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Other
}

// CodeOf returns the code of the first Error in err's chain, "internal" where
// there is none, and "" of no error.
func CodeOf(err error) string {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return "internal"
}

// Told is an error as it is kept or handed on: whoever shows it later has words
// for its code in the reader's language. The zero value tells of none.
type Told struct {
	Code    string   `json:"code,omitempty"` // "" = an error that nobody classified
	Message string   `json:"message"`        // in English, the cause included
	Args    []string `json:"args,omitempty"`
	Cause   *Told    `json:"cause,omitempty"` // where it has a code too; Args has its message
}

// Tell returns what is kept of an error.
func Tell(err error) (t Told) {
	var e *Error
	switch {
	case err == nil:
		return t
	case errors.As(err, &e):
		t.Code, t.Args = e.Code, e.Args
		if cause, ok := e.Err.(*Error); ok {
			c := Tell(cause)
			t.Cause = &c
		}
	}
	t.Message = err.Error()
	return t
}

// Error returns the error that was told of, with a kind.
func (t Told) Error(k Kind) *Error {
	e := &Error{Kind: k, Code: t.Code, Args: t.Args, Msg: t.Message}
	if t.Cause != nil {
		e.Err = t.Cause.Error(Other)
	}
	return e
}
