package stix

import (
	"bytes"
	"fmt"
	"slices"
)

// Mark returns the object with further object_marking_refs (STIX 2.1 §7.2.2),
// all other bytes kept. Without any that it has not the object itself is
// returned.
func Mark(o *Object, ids ...ID) (*Object, error) {
	more := slices.DeleteFunc(slices.Clone(ids), func(id ID) bool { return slices.Contains(o.Markings, id) })
	if len(more) == 0 {
		return o, nil
	}
	v := o.Root()
	at := bytes.Index(o.raw, v)
	had := false
	out := rebuild(bytes.Clone(o.raw[:at]), v, func(out []byte, _ int, name []byte, value RawValue) ([]byte, bool) {
		if string(name) != "object_marking_refs" {
			return append(out, value...), true
		}
		had = true
		out = append(out, bytes.TrimRight(value[:len(value)-1], " \t\r\n")...)
		return append(appendMarks(out, more, len(o.Markings) > 0), ']'), true
	})
	if !had {
		out = append(bytes.TrimRight(out[:len(out)-1], " \t\r\n"), `,"object_marking_refs":[`...)
		out = append(appendMarks(out, more, false), "]}"...)
	}
	marked, err := Parse(append(out, o.raw[at+len(v):]...))
	if err != nil {
		return nil, fmt.Errorf("mark %s: %w", o.ID, err)
	}
	return marked, nil
}

func appendMarks(out []byte, ids []ID, comma bool) []byte {
	for _, id := range ids {
		if comma {
			out = append(out, ',')
		}
		out, comma = appendString(out, string(id)), true
	}
	return out
}
