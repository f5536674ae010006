package taxii

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/noroshi-cti/noroshi/stix"
)

// maxPosted bounds the elements of one envelope: each costs more memory here
// than its bytes, if they are few.
const maxPosted = 100_000

// readEnvelope reads what a client posts (section 3.7). The text as a whole must
// be good: JSON of RFC 8259 and 7493 (no name twice, UTF-8, nothing behind), an
// object with one list of objects; else nothing of it is taken. An element that
// is good JSON and yet no object that stix.Parse takes is a Posted with its
// error. The elements are the very bytes of body.
//
// Members it does not know are stepped over, as section 7.1.1 allows, so a bundle
// passes for the envelope it nearly is.
func readEnvelope(body []byte) ([]Posted, error) {
	e := envelope{body: body, dec: jsontext.NewDecoder(bytes.NewBuffer(body))}
	if e.dec.PeekKind() != '{' {
		if _, err := e.dec.ReadValue(); err != nil {
			return nil, e.broken(err)
		}
		return nil, unprocessable("an envelope is a JSON object")
	}
	if err := e.members(); err != nil {
		return nil, err
	}
	if _, err := e.dec.ReadToken(); err != io.EOF {
		return nil, e.broken(err)
	}
	if len(e.posted) == 0 {
		return nil, unprocessable("the envelope has no objects")
	}
	return e.posted, nil
}

type envelope struct {
	body   []byte
	dec    *jsontext.Decoder
	posted []Posted
}

// members reads the envelope to its closing bracket.
func (e *envelope) members() error {
	if _, err := e.dec.ReadToken(); err != nil {
		return e.broken(err)
	}
	for e.dec.PeekKind() == '"' {
		token, err := e.dec.ReadToken()
		if err != nil {
			return e.broken(err)
		}
		switch name := token.String(); {
		case name == "objects":
			err = e.objects()
		case strings.EqualFold(name, "objects"):
			err = unprocessable("the envelope has a member that differs from objects only in case")
		default:
			if err = e.dec.SkipValue(); err != nil {
				err = e.broken(err)
			}
		}
		if err != nil {
			return err
		}
	}
	if _, err := e.dec.ReadToken(); err != nil {
		return e.broken(err)
	}
	return nil
}

// objects reads the list of objects.
func (e *envelope) objects() error {
	switch kind := e.dec.PeekKind(); {
	case kind == 0:
		_, err := e.dec.ReadToken()
		return e.broken(err)
	case kind != '[':
		return unprocessable("the member objects of the envelope is no list")
	}
	if _, err := e.dec.ReadToken(); err != nil {
		return e.broken(err)
	}
	for e.dec.PeekKind() != ']' {
		v, err := e.dec.ReadValue()
		if err != nil {
			return e.broken(err)
		}
		if len(e.posted) == maxPosted {
			return unprocessable(fmt.Sprintf("the envelope has more than %d objects; send them in several", maxPosted))
		}
		end := int(e.dec.InputOffset())
		e.posted = append(e.posted, readElement(e.body[end-len(v):end:end]))
	}
	_, err := e.dec.ReadToken()
	return err
}

func readElement(raw []byte) Posted {
	o, err := stix.Parse(raw)
	if err != nil {
		return Posted{Raw: raw, Err: err}
	}
	return Posted{Object: o, Raw: raw}
}

// broken refuses the whole text. What the decoder says of it is left out: it
// quotes the text.
func (e *envelope) broken(err error) error {
	why, at, pointer := "the text is no JSON", e.dec.InputOffset(), e.dec.StackPointer()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		at, pointer = syntax.ByteOffset, syntax.JSONPointer
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		why = "an object has a member twice"
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		why = "the text ends too early"
	}
	at = min(at, int64(len(e.body)))
	line := 1 + bytes.Count(e.body[:at], []byte("\n"))
	return refuse(400, "the body is not JSON as TAXII has it",
		fmt.Sprintf("%s (line %d, offset %d, at %q)", why, line, at, clip(string(pointer))))
}

func unprocessable(why string) error {
	return refuse(422, "the envelope cannot be processed", why)
}
