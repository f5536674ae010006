package noroshi

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/noroshi-cti/noroshi/stix"
)

// What makes a marking not understood: the first word of an entry of
// Label.Unknown, with a text of its own at the top.
const (
	UnknownUnresolved  = "unresolved"      // no definition is here
	UnknownRedefined   = "redefined"       // a well-known TLP id whose body names another level
	UnknownTwo         = "two-definitions" // two different bodies under one id
	UnknownPrivateTLP  = "private-tlp"     // a TLP body under an id that is not the well-known one
	UnknownType        = "definition-type" // a definition_type nobody agreed on
	UnknownExtension   = "extension"       // an extension nobody agreed on, or more than one
	UnknownField       = "field"           // a member or value that is not defined, or spelled otherwise
	UnknownStatement   = "statement"       // a statement that is not on the agreement's list
	UnknownMarked      = "marked"          // a marking that is itself marked
	UnknownGranular    = "granular"        // a granular marking that is malformed or marks nothing
	UnknownExercise    = "exercise-id"     // an exercise id no realm can have
	UnknownTwoExercise = "two-exercises"   // two different exercises on one object
	UnknownTooLong     = "too-long"        // more markings than a message's header has room for
)

// LabelOf returns the label of an object: the join of what its own markings
// and those assigned to it here mean (STIX 2.1 §7.2). defs returns every body
// kept under a marking's id; statements are the texts that have no effect.
// The order and repetition of markings never matter, and a report's or
// bundle's markings are not inherited.
func LabelOf(o *stix.Object, assigned []stix.ID, defs func(stix.ID) []*stix.Object, statements []string) Label {
	var l Label
	for _, ids := range [][]stix.ID{o.Markings, assigned} {
		for _, id := range ids {
			l = l.Join(MarkingLabel(id, defs(id), statements))
		}
	}
	return l.Join(FormLabel(o))
}

// FormLabel returns what the form of an object adds to its label: marking
// properties that are empty, null or spelled in another case, and granular
// markings that are malformed, are no markings that can be understood. What
// well-formed granular markings say is in PortionsOf.
func FormLabel(o *stix.Object) Label {
	if len(o.Markings) == 0 && o.Property("object_marking_refs") != nil || oddCase(o.Bytes()) || lookalike(o) {
		return unknown(UnknownField, "")
	}
	if _, ok := granular(o); !ok {
		return unknown(UnknownGranular, "")
	}
	return Label{}
}

// oddCase reports whether a name of a marking property stands in the bytes in
// another case than the specification's.
func oddCase(raw []byte) bool {
	for _, name := range markingNames {
		under := strings.IndexByte(name, '_') // the part that has no case
		for at := 0; ; at++ {
			i := bytes.IndexByte(raw[at:], '_')
			if i < 0 {
				break
			}
			at += i
			from, to := at-under, at-under+len(name)
			if from < 0 || to > len(raw) {
				continue
			}
			if s := raw[from:to]; string(s) != name && strings.EqualFold(string(s), name) {
				return true
			}
		}
	}
	return false
}

// lookalike reports whether a property's name looks like that of a marking
// property and is not: in full width, with a space, a hyphen, an invisible or a
// foreign letter in it.
func lookalike(o *stix.Object) bool {
	for name := range o.Root().Members() {
		if len(name) < len(`granularmarkings`) || strings.HasPrefix(name, "x_") {
			continue
		}
		for _, m := range markingNames {
			if m = m[1 : len(m)-1]; name != m && looksLike(name, m) {
				return true
			}
		}
	}
	return false
}

// looksLike compares the letters of two names, b of small letters and low
// lines; a letter that is none of a to z may stand for any.
func looksLike(a, b string) bool {
	b = strings.ReplaceAll(b, "_", "")
	for _, r := range a {
		if r >= '！' && r <= '～' {
			r -= '！' - '!'
		}
		r = unicode.ToLower(r)
		switch {
		case !unicode.IsLetter(r):
		case b == "" || r < utf8.RuneSelf && rune(b[0]) != r:
			return false
		default:
			b = b[1:]
		}
	}
	return b == ""
}

var markingNames = []string{`"object_marking_refs"`, `"granular_markings"`}

// MarkingLabel returns what one marking means alone. The well-known TLP ids
// need no body; a body that is here must name the same level.
func MarkingLabel(id stix.ID, bodies []*stix.Object, statements []string) Label {
	level := TLPOf(id)
	if level == NoTLP {
		return defined(id, bodies, statements)
	}
	for _, b := range bodies {
		if l := sameLevel(id, level, b); len(l.Unknown) > 0 {
			return l
		}
	}
	return Label{TLP: level}
}

// sameLevel returns no more than a body of a well-known TLP id adds to it:
// nothing, or that it is not understood.
func sameLevel(id stix.ID, level TLP, b *stix.Object) Label {
	if marked(b) {
		return unknown(UnknownMarked, id)
	}
	m, err := b.MarkingDefinition()
	if err != nil || m.Unknown {
		return unknown(UnknownField, id)
	}
	extended := slices.Equal(m.Extensions, []stix.ID{stix.TLP20Extension})
	switch {
	case len(m.Extensions) > 0 && !extended, m.DefinitionType != "" && m.DefinitionType != "tlp", extended && m.DefinitionType != "":
		return unknown(UnknownRedefined, id)
	case bodyLevels[m.TLP] != level:
		return unknown(UnknownRedefined, id)
	}
	return Label{}
}

// bodyLevels are the spellings of a level in a body, TLP 1.0 and 2.0; any
// other spelling, upper case included, is none.
var bodyLevels = map[string]TLP{
	"white": Clear, "clear": Clear, "green": Green, "amber": Amber, "amber+strict": AmberStrict, "red": Red,
}

// defined returns what a marking means whose id says nothing by itself.
func defined(id stix.ID, bodies []*stix.Object, statements []string) Label {
	if len(bodies) == 0 {
		return unknown(UnknownUnresolved, id)
	}
	b := bodies[0]
	for _, other := range bodies[1:] {
		if !sameBody(b, other) {
			return unknown(UnknownTwo, id)
		}
	}
	if marked(b) {
		return unknown(UnknownMarked, id)
	}
	if l, is := extended(id, b); is {
		return l
	}
	m, err := b.MarkingDefinition()
	if err != nil || m.Unknown {
		// A definition_type or extension we do not know is the better reason.
		if err == nil && len(m.Extensions) == 0 && !knownType(m.DefinitionType) {
			return unknown(UnknownType, id)
		}
		if err == nil && len(m.Extensions) > 0 && !slices.Equal(m.Extensions, []stix.ID{ExerciseExtension}) {
			return unknown(UnknownExtension, id)
		}
		return unknown(UnknownField, id)
	}
	l := meaning(id, m, statements)
	// A definition leaves with what it marks: any text of it that nobody agreed
	// on would leave with it, cleared by nobody.
	if len(l.Unknown) == 0 && (b.Property("external_references") != nil || m.Name != "" && !slices.Contains(statements, m.Name)) {
		return unknown(UnknownField, id)
	}
	return l
}

// marked reports whether a definition has markings of its own, in any form.
func marked(b *stix.Object) bool {
	return b.Granular || b.Property("object_marking_refs") != nil
}

// extended returns what an ACS, IEP or Japanese marking means, and whether the
// body is one. Such a definition has one extension and no other body. What its
// standard lets it say in free text (a name, an authority) leaves with it and
// is scanned like any text; IEP asks for external references.
func extended(id stix.ID, b *stix.Object) (l Label, is bool) {
	var s strict
	var n int
	var ok bool
	reads := func(read func(stix.RawValue) (Label, bool)) func(stix.RawValue) {
		return func(v stix.RawValue) { n++; l, ok = read(v) }
	}
	top := headerFields(&s)
	s.object(b.Property("extensions"), known{
		string(ACSExtension): reads(func(v stix.RawValue) (Label, bool) { m, ok := readACS(v); return Label{ACS: []ACS{m}}, ok }),
		string(IEPExtension): reads(func(v stix.RawValue) (Label, bool) {
			top["external_references"] = s.references
			m, ok := readIEP(v)
			return Label{IEP: []IEP{m}}, ok
		}),
		string(JapaneseExtension): reads(func(v stix.RawValue) (Label, bool) { m, ok := readJapanese(v); return Label{JPN: []Japanese{m}}, ok }),
	})
	switch {
	case s.bad || n == 0:
		return Label{}, false
	case n > 1:
		return unknown(UnknownExtension, id), true
	}
	if s.object(b.Root(), top, "created"); s.bad || !ok {
		return unknown(UnknownField, id), true
	}
	return l, true
}

// headerFields are what every definition of an extended marking may have.
func headerFields(s *strict) known {
	read := func(stix.RawValue) {} // when the object was
	return known{"type": read, "spec_version": read, "id": read, "created": read, "created_by_ref": read, "extensions": read,
		"name": func(v stix.RawValue) { s.text(v) }}
}

func knownType(t string) bool { return t == "statement" || t == "tlp" }

func meaning(id stix.ID, m stix.MarkingDefinition, statements []string) Label {
	exercise := slices.Equal(m.Extensions, []stix.ID{ExerciseExtension})
	switch {
	case slices.Equal(m.Extensions, []stix.ID{stix.TLP20Extension}):
		return unknown(UnknownPrivateTLP, id)
	case len(m.Extensions) > 0 && !exercise:
		return unknown(UnknownExtension, id)
	case m.DefinitionType == "tlp" || m.TLP != "":
		return unknown(UnknownPrivateTLP, id)
	case m.DefinitionType != "statement" && (m.DefinitionType != "" || !exercise):
		return unknown(UnknownType, id)
	case exercise: // a statement beside it has no effect
		return exerciseLabel(id, m.Exercise)
	case !slices.Contains(statements, m.Statement):
		return unknown(UnknownStatement, id)
	}
	return Label{}
}

// exerciseLabel reads an exercise id as the realm it names: ids of exercises
// are compared in lower case, as realms are written.
func exerciseLabel(id stix.ID, text string) Label {
	r, err := ParseRealm("exercise:" + strings.ToLower(text))
	if err != nil || r.Exercise() == "" {
		return unknown(UnknownExercise, id)
	}
	return Label{Exercise: r.Exercise()}
}

// sameBody reports whether two bodies say the same, however they are laid out.
func sameBody(a, b *stix.Object) bool {
	if bytes.Equal(a.Bytes(), b.Bytes()) {
		return true
	}
	x, errX := stix.Canonical(a.Bytes())
	y, errY := stix.Canonical(b.Bytes())
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// unknown returns the label of what was not understood. An id in any other
// than its normal spelling is left out, so that a label cannot carry text.
func unknown(code string, id stix.ID) Label {
	if id == "" {
		return Label{Unknown: []string{code}}
	}
	if _, err := stix.ParseID(string(id)); err != nil {
		return Label{Unknown: []string{code + " malformed-id"}}
	}
	return Label{Unknown: []string{code + " " + string(id)}}
}
