package stix

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Cut returns the object without what the selectors name (STIX 2.1 §7.2.3.1),
// all other bytes kept, white space included.
//
// STIX has no empty lists and dictionaries (§2.5, §2.4): one that loses its
// last element goes as a whole. Selectors in granular_markings that begin with
// the place of something cut go too, even where they lead to nothing inside it:
// they would still say its name. An entry left without selectors goes, and
// granular_markings without entries. In the selectors that stay list positions
// are renumbered.
//
// Whether the object may exist without what was cut is the caller's question;
// Validate answers it. A selector that resolves to nothing is an error, and so
// is one that names the type, the id or the whole of what Parse needs. With no
// selectors the object itself is returned.
func Cut(o *Object, selectors []string) (*Object, error) {
	if len(selectors) == 0 {
		return o, nil
	}
	root := &cutting{}
	for _, s := range selectors {
		if !Resolve(o, s) {
			return nil, fmt.Errorf("cut %s: selector %q names nothing in it", o.ID, clip(s))
		}
		root.add(s)
	}
	v := o.Root()
	root.settle(v)
	before := bytes.Index(o.raw, v)
	out := append(make([]byte, 0, len(o.raw)), o.raw[:before]...)
	out = root.write(out, v, true)
	out = append(out, o.raw[before+len(v):]...)
	cut, err := Parse(out)
	if err != nil {
		return nil, fmt.Errorf("cut %s: what is left is no object: %w", o.ID, err)
	}
	return cut, nil
}

// cutting is a tree of places with something to cut at or below them.
type cutting struct {
	gone  bool
	below map[string]*cutting // by part of the selector
}

func (c *cutting) add(selector string) {
	for part := range strings.SplitSeq(selector, ".") {
		if c.below == nil {
			c.below = map[string]*cutting{}
		}
		next := c.below[part]
		if next == nil {
			next = &cutting{}
			c.below[part] = next
		}
		c = next
	}
	c.gone = true
}

// at returns the place below c of a member or, with a nil name, an element.
func (c *cutting) at(name []byte, n int) *cutting {
	if c == nil || c.below == nil {
		return nil
	}
	if name != nil {
		return c.below[string(name)]
	}
	return c.below["["+strconv.Itoa(n)+"]"]
}

// settle marks lists and dictionaries that lose all they have as gone.
func (c *cutting) settle(v RawValue) {
	if c.gone || c.below == nil {
		return
	}
	left := 0
	for n, e := range v.all() {
		child := c.at(e.name, n)
		if child != nil {
			child.settle(e.value)
		}
		if child == nil || !child.gone {
			left++
		}
	}
	c.gone = left == 0
}

// all yields the members of an object or the elements of a list; a member has
// a name that is not nil.
func (v RawValue) all() func(yield func(int, entry) bool) {
	return func(yield func(int, entry) bool) {
		if v.kind() == '{' {
			n := 0
			for name, value := range v.members() {
				if !yield(n, entry{name, value}) {
					return
				}
				n++
			}
			return
		}
		for n, value := range v.Elements() {
			if !yield(n, entry{nil, value}) {
				return
			}
		}
	}
}

// write appends the value without what is gone from it.
func (c *cutting) write(out []byte, v RawValue, top bool) []byte {
	return rebuild(out, v, func(out []byte, n int, name []byte, value RawValue) ([]byte, bool) {
		child := c.at(name, n)
		switch {
		case child != nil && child.gone:
			return out, false
		case top && string(name) == "granular_markings" && value.kind() == '[':
			return c.writeMarkings(out, value)
		case child != nil:
			return child.write(out, value, false), true
		}
		return append(out, value...), true
	})
}

// writeMarkings appends granular_markings with the selectors that still name
// something; false when none is left.
func (c *cutting) writeMarkings(out []byte, v RawValue) ([]byte, bool) {
	own := c.at([]byte("granular_markings"), 0)
	left := 0
	out = rebuild(out, v, func(out []byte, n int, _ []byte, e RawValue) ([]byte, bool) {
		child := own.at(nil, n)
		if child != nil && child.gone {
			return out, false
		}
		if child != nil { // an entry is cut from within: its selectors stand as they are
			e = child.write(nil, e, false)
		}
		written, keep := c.writeMarking(nil, e)
		if !keep {
			return out, false
		}
		left++
		return append(out, written...), true
	})
	return out, left > 0
}

// writeMarking appends one entry; false when its selectors are gone.
func (c *cutting) writeMarking(out []byte, v RawValue) ([]byte, bool) {
	if v.kind() != '{' {
		return append(out, v...), true
	}
	keep := true
	out = rebuild(out, v, func(out []byte, _ int, name []byte, value RawValue) ([]byte, bool) {
		if string(name) != "selectors" || value.kind() != '[' {
			return append(out, value...), true
		}
		left := 0
		out = rebuild(out, value, func(out []byte, _ int, _ []byte, e RawValue) ([]byte, bool) {
			selector, ok := e.text()
			if !ok {
				left++
				return append(out, e...), true
			}
			renamed, stays := c.rename(selector)
			if !stays {
				return out, false
			}
			left++
			if renamed == selector {
				return append(out, e...), true
			}
			return appendString(out, renamed), true
		})
		keep = left > 0
		return out, true
	})
	return out, keep
}

// rename returns what a selector is called after the cut; false when what it
// named is gone.
func (c *cutting) rename(selector string) (string, bool) {
	parts := strings.Split(selector, ".")
	for i, part := range parts {
		if c == nil {
			break
		}
		child := c.below[part]
		if child != nil && child.gone {
			return "", false
		}
		if n, ok := position(part); ok {
			parts[i] = "[" + strconv.Itoa(n-c.goneBefore(n)) + "]"
		}
		c = child
	}
	return strings.Join(parts, "."), true
}

// goneBefore counts the elements cut before position n.
func (c *cutting) goneBefore(n int) int {
	count := 0
	for part, child := range c.below {
		if at, ok := position(part); ok && child.gone && at < n {
			count++
		}
	}
	return count
}

// rebuild appends an object or list anew. edit appends what stands for a value
// and says whether its member or element stays; what stands between those that
// stay is kept as it was.
func rebuild(out []byte, v RawValue, edit func(out []byte, n int, name []byte, value RawValue) ([]byte, bool)) []byte {
	object := v[0] == '{'
	c := cursor{b: v, i: 1}
	out = append(out, v[0])
	end, lead, kept := 1, RawValue(nil), 0
	for n := 0; !c.end(); n++ {
		start := c.i
		if n == 0 {
			lead = v[1:start]
		}
		var name []byte
		if object {
			name = c.name()
		}
		valueAt := c.i
		c.skip()
		mark := len(out)
		if kept == 0 {
			out = append(out, lead...)
		} else {
			out = append(out, v[end:start]...)
		}
		out = append(out, v[start:valueAt]...)
		var keep bool
		if out, keep = edit(out, n, name, v[valueAt:c.i:c.i]); keep {
			kept++
		} else {
			out = out[:mark]
		}
		end = c.i
	}
	return append(out, v[end:]...)
}
