package lift

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// The objects of observed-data in STIX 2.0 are a dictionary, and refer to each
// other by its keys. In 2.1 each is an object of its own: its id is the one STIX
// derives from what it is (§2.9), or where it derives none (a process, a custom
// type) a UUIDv5 over the observed-data's id and the key, so that every node
// that lifts the same gets the same. Each carries the markings of the
// observed-data it stood in, whole: also what marked only a part of it.

// renamed20 are properties with another name in 2.1; removed20 have no place
// there and are kept as custom properties, x_ before their name.
var (
	renamed20 = map[string][][2]string{
		"directory":            {{"created", "ctime"}, {"modified", "mtime"}, {"accessed", "atime"}},
		"file":                 {{"created", "ctime"}, {"modified", "mtime"}, {"accessed", "atime"}},
		"process":              {{"created", "created_time"}, {"binary_ref", "image_ref"}},
		"user-account":         {{"password_last_changed", "credential_last_changed"}},
		"windows-registry-key": {{"modified", "modified_time"}},
	}
	removed20 = map[string][]string{
		"file":    {"is_encrypted", "encryption_algorithm", "decryption_key"},
		"process": {"name", "arguments"},
	}
)

// maxObserved bounds the objects of one observed-data.
const maxObserved = 10_000

// observed takes the objects out of an observed-data, adds them before it, and
// gives it references to them.
func (l *lifting20) observed(o *stix.Object, m *members) error {
	objects := o.Property("objects")
	if objects == nil {
		return nil
	}
	s, err := newScene(o, objects)
	if err != nil {
		return err
	}
	var refs []stix.ID
	for _, key := range s.keys {
		made, err := s.object(key)
		if err != nil {
			return fmt.Errorf("objects.%s: %w", key, err)
		}
		l.doc.Items = append(l.doc.Items, Item{Object: made, At: l.at})
		if !slices.Contains(refs, made.ID) {
			refs = append(refs, made.ID)
		}
	}
	for _, n := range s.notes {
		l.note(n[0], n[1:]...)
	}
	m.rename("objects", "object_refs")
	m.set("object_refs", refs)
	l.note("observed")
	if s.parts {
		m.set("object_marking_refs", s.markings)
		m.fill("object_marking_refs", s.markings)
		l.restMarkings(o, m)
		l.note("observed-marked")
	}
	return nil
}

// restMarkings leaves only those granular markings that say nothing of what was
// taken out: the others stand on the whole now.
func (l *lifting20) restMarkings(o *stix.Object, m *members) {
	var rest []any
	for _, s := range selectorsOf(o) {
		if firstOf(s.path) != "objects" {
			rest = append(rest, []stix.Member{{Name: "marking_ref", Value: s.marking}, {Name: "selectors", Value: []string{s.path}}})
		}
	}
	m.set("granular_markings", rest)
}

// scene is the dictionary of one observed-data.
type scene struct {
	of       *stix.Object
	space    [16]byte
	keys     []string
	raw      map[string]stix.RawValue
	ids      map[string]stix.ID
	open     map[string]bool // ids being made: who refers to one of them goes round in a circle
	markings []stix.ID
	parts    bool // markings of parts were made markings of the whole
	notes    [][]string
}

func newScene(o *stix.Object, objects stix.RawValue) (*scene, error) {
	s := &scene{of: o, raw: map[string]stix.RawValue{}, ids: map[string]stix.ID{}, open: map[string]bool{}, markings: slices.Clone(o.Markings)}
	_, uuid, _ := strings.Cut(string(o.ID), "--")
	if _, err := hex.Decode(s.space[:], []byte(strings.ReplaceAll(uuid, "-", ""))); err != nil {
		return nil, err
	}
	for key, v := range objects.Members() {
		s.keys = append(s.keys, key)
		s.raw[key] = v
	}
	if len(s.keys) == 0 || len(s.keys) > maxObserved {
		return nil, fmt.Errorf("objects: must be a dictionary of 1 to %d objects", maxObserved)
	}
	for _, sel := range selectorsOf(o) {
		if firstOf(sel.path) == "objects" && sel.marking != "" {
			s.parts = true
			if !slices.Contains(s.markings, sel.marking) {
				s.markings = append(s.markings, sel.marking)
			}
		}
	}
	return s, nil
}

// typeOf returns the type an object says.
func typeOf(v stix.RawValue) string {
	for name, value := range v.Members() {
		if name == "type" {
			return value.Text()
		}
	}
	return ""
}

// object makes the object of a key.
func (s *scene) object(key string) (*stix.Object, error) {
	id, err := s.id(key, 0)
	if err != nil {
		return nil, err
	}
	m, typ, err := s.members(key, 0)
	if err != nil {
		return nil, err
	}
	m.set("id", id)
	for _, r := range renamed20[typ] {
		if m.index(r[1]) >= 0 && m.index(r[0]) < 0 && slices.ContainsFunc(membersIn(s.raw[key]), func(n string) bool { return n == r[0] }) {
			s.notes = append(s.notes, []string{"renamed", typ + "." + r[0], r[1]})
		}
	}
	for _, name := range removed20[typ] {
		if m.index("x_"+name) >= 0 {
			s.notes = append(s.notes, []string{"removed", typ + "." + name, "x_" + name})
		}
	}
	return stix.Make(*m...)
}

// membersIn lists the names of an object's members.
func membersIn(v stix.RawValue) (names []string) {
	for name := range v.Members() {
		names = append(names, name)
	}
	return names
}

// id returns the id of a key's object.
func (s *scene) id(key string, depth int) (stix.ID, error) {
	if id, ok := s.ids[key]; ok {
		return id, nil
	}
	s.open[key] = true
	defer delete(s.open, key)
	typ := typeOf(s.raw[key])
	m := members{{Name: "type", Value: typ}, {Name: "id", Value: stix.DeriveID(typ, s.space, key)}}
	for name, v := range s.raw[key].Members() {
		if !stix.MakesID(typ, name) { // only what makes the id: other references may go round in a circle
			continue
		}
		value, err := s.value(name, v, depth+1)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		m = append(m, stix.Member{Name: name, Value: value})
	}
	o, err := stix.Make(m...)
	if err != nil {
		return "", err
	}
	id, err := stix.SCOID(o)
	if err != nil {
		id = stix.DeriveID(typ, s.space, key)
	}
	s.ids[key] = id
	return id, nil
}

// members returns the properties of a key's object as 2.1 has them, with an id
// to be replaced.
func (s *scene) members(key string, depth int) (*members, string, error) {
	m, typ := &members{}, typeOf(s.raw[key])
	for name, v := range s.raw[key].Members() {
		value, err := s.value(name, v, depth)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", name, err)
		}
		*m = append(*m, stix.Member{Name: name, Value: value})
	}
	if typ == "" {
		return nil, "", fmt.Errorf("has no type")
	}
	for _, r := range renamed20[typ] {
		m.rename(r[0], r[1])
	}
	for _, name := range removed20[typ] {
		m.rename(name, "x_"+name)
	}
	placeholder := stix.DeriveID(typ, s.space, key)
	m.put("id", placeholder, "type")
	m.put("spec_version", "2.1", "type")
	if len(s.markings) > 0 {
		m.fill("object_marking_refs", s.markings)
	}
	return m, typ, nil
}

// maxReferDepth bounds how far references are followed for an id.
const maxReferDepth = 64

// value puts ids in place of keys in what refers to other objects, at any depth.
func (s *scene) value(name string, v stix.RawValue, depth int) (any, error) {
	switch text := v.Text(); {
	case strings.HasSuffix(name, "_ref") && text != "":
		return s.target(text, depth)
	case strings.HasSuffix(name, "_refs"):
		var ids []any
		for _, e := range v.Elements() {
			id, err := s.target(e.Text(), depth)
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
		}
		return ids, nil
	}
	return s.inside(v, depth)
}

// inside rewrites what lies in an object or a list; all else stays as written.
func (s *scene) inside(v stix.RawValue, depth int) (any, error) {
	var object []stix.Member
	for name, value := range v.Members() {
		in, err := s.value(name, value, depth)
		if err != nil {
			return nil, err
		}
		object = append(object, stix.Member{Name: name, Value: in})
	}
	if object != nil {
		return object, nil
	}
	var list []any
	for _, e := range v.Elements() {
		in, err := s.inside(e, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, in)
	}
	if list != nil {
		return list, nil
	}
	return v, nil
}

// target returns the id of what a key names. What goes round in a circle, or is
// too far, gets the id that takes the key alone.
func (s *scene) target(key string, depth int) (stix.ID, error) {
	raw, ok := s.raw[key]
	if !ok {
		if id, err := stix.ParseID(key); err == nil {
			return id, nil
		}
		return "", fmt.Errorf("refers to %q, which is no key of objects", clip(key))
	}
	if id, ok := s.ids[key]; ok {
		return id, nil
	}
	if s.open[key] || depth > maxReferDepth {
		s.ids[key] = stix.DeriveID(typeOf(raw), s.space, key)
		return s.ids[key], nil
	}
	return s.id(key, depth)
}
