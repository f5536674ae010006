package stix

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Replace returns the object with another text in place of the string a
// selector names (STIX 2.1 §7.2.3.1), all other bytes kept. The type, id,
// references and markings stay: a selector that names one of them, or names no
// string, is an error.
func Replace(o *Object, selector, text string) (*Object, error) {
	first, _, _ := strings.Cut(selector, ".")
	if slices.Contains([]string{"type", "id", "spec_version", "created", "modified", "object_marking_refs", "granular_markings"}, first) ||
		slices.ContainsFunc(o.Refs(), func(r Ref) bool { return r.Path == selector }) {
		return nil, fmt.Errorf("replace in %s: %q may not be replaced", o.ID, clip(selector))
	}
	if _, ok := Select(o, selector).text(); !ok {
		return nil, fmt.Errorf("replace in %s: selector %q names no string in it", o.ID, clip(selector))
	}
	v := o.Root()
	before := bytes.Index(o.raw, v)
	out := append(make([]byte, 0, len(o.raw)+len(text)), o.raw[:before]...)
	out = replaceIn(out, v, strings.Split(selector, "."), appendString(nil, text))
	out = append(out, o.raw[before+len(v):]...)
	changed, err := Parse(out)
	if err != nil {
		return nil, fmt.Errorf("replace in %s: what is left is no object: %w", o.ID, err)
	}
	return changed, nil
}

func replaceIn(out []byte, v RawValue, path []string, with []byte) []byte {
	if len(path) == 0 {
		return append(out, with...)
	}
	return rebuild(out, v, func(out []byte, n int, name []byte, value RawValue) ([]byte, bool) {
		here := path[0] == "["+strconv.Itoa(n)+"]"
		if name != nil {
			here = string(name) == path[0]
		}
		if here {
			return replaceIn(out, value, path[1:], with), true
		}
		return append(out, value...), true
	})
}

// MakesID reports whether a property is one of those the deterministic id of a
// type is made of (STIX 2.1 §2.9).
func MakesID(typ, property string) bool { return slices.Contains(contributing[typ], property) }
