package lift

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Outline is what the beginning of a document shows: of JSON its members, of
// anything else its first line. It is read leniently, for telling formats apart
// only.
type Outline struct {
	First string // the first line that is not empty, without space around it; "" of JSON

	// members are JSON pointers and, of strings and numbers, their values: of
	// the first value of the input, and of arrays only the first element. What
	// was seen to its end has a member "}" or "]" too.
	members map[string]string
}

// Bounds of an outline.
const (
	outlineDepth = 5
	outlineText  = 100 // of a value
)

// Has reports whether the beginning shows a member.
func (o *Outline) Has(pointer string) bool { _, ok := o.members[pointer]; return ok }

// Text returns the string or number at a pointer, cut at 100 bytes; "" when
// there is none.
func (o *Outline) Text(pointer string) string { return o.members[pointer] }

// Whole reports whether an object or array ended within the beginning.
func (o *Outline) Whole(pointer string) bool {
	return o.Has(pointer+"/}") || o.Has(pointer+"/]")
}

func outline(head []byte) *Outline {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	o := &Outline{members: map[string]string{}}
	if len(head) == 0 || head[0] != '{' && head[0] != '[' {
		line, _, _ := bytes.Cut(head, []byte("\n"))
		o.First = strings.TrimSpace(string(line))
		return o
	}
	d := jsontext.NewDecoder(bytes.NewReader(head), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		t, err := d.ReadToken()
		if err != nil {
			return o
		}
		o.add(d, t)
		if d.StackDepth() == 0 {
			return o
		}
	}
}

// add enters one token.
func (o *Outline) add(d *jsontext.Decoder, t jsontext.Token) {
	at, shown := pointerOf(d)
	if !shown {
		return
	}
	switch t.Kind() {
	case '}', ']':
		o.members[at+"/"+string(rune(t.Kind()))] = ""
	case '"', '0':
		text := t.String()
		o.members[at] = text[:min(len(text), outlineText)]
	default:
		o.members[at] = ""
	}
}

// pointerOf returns where the decoder is, and whether the outline shows it:
// not too deep, and under no second element of an array.
func pointerOf(d *jsontext.Decoder) (string, bool) {
	if d.StackDepth() > outlineDepth {
		return "", false
	}
	for i := 1; i <= d.StackDepth(); i++ {
		if kind, n := d.StackIndex(i); kind == '[' && n > 1 {
			return "", false
		}
	}
	return string(d.StackPointer()), true
}
