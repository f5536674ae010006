package noroshi

import (
	"fmt"
	"slices"
	"strings"
)

// Label is what an object's markings, its own and those assigned here, come to
// when joined: the normal form every release decision starts from.
//
// Each marking is judged alone for a partner and the worst answer counts. No
// single policy says the same as two of them together (a nation on both lists
// may be named by a rule of one only), so markings of the richer kinds are kept
// side by side, each by its meaning, and the join is their union. TLP levels are
// ordered, so of them the highest says all.
//
// A label with no handling marking, or with anything that was not understood,
// holds the object whatever else it says.
type Label struct {
	TLP      TLP
	IEP      []IEP      // sorted by normal form, unique, as the next two
	ACS      []ACS      //
	JPN      []Japanese //
	Exercise string     // id of the exercise an exercise marking names
	Unknown  []string   // what was not understood: "code marking-id", sorted, unique
}

// maxLabel bounds the normal form of what is understood in a label, with room
// in a message's header. What says more is not understood.
const maxLabel = 3500

// unmarked is the normal form of a label that says nothing.
const unmarked = "UNMARKED"

// Join returns the label that is as strict as both: commutative, associative,
// idempotent, monotone.
func (l Label) Join(m Label) Label {
	l.TLP = max(l.TLP, m.TLP)
	l.IEP, l.ACS, l.JPN = union(l.IEP, m.IEP), union(l.ACS, m.ACS), union(l.JPN, m.JPN)
	var more []string
	switch {
	case l.Exercise == "":
		l.Exercise = m.Exercise
	case m.Exercise != "" && m.Exercise != l.Exercise:
		// Each of them is named, so that three join alike in any order.
		more = []string{UnknownTwoExercise + " " + l.Exercise, UnknownTwoExercise + " " + m.Exercise}
		l.Exercise = max(l.Exercise, m.Exercise)
	}
	if l.tooLong() {
		more = append(more, UnknownTooLong)
	}
	if len(m.Unknown) == 0 && more == nil {
		return l
	}
	l.Unknown = set(slices.Concat(l.Unknown, m.Unknown, more))
	return l
}

// tooLong reports whether the label would not fit into a header. A join is
// never shorter than its parts, so the order of joins does not matter.
func (l Label) tooLong() bool {
	if len(l.IEP)+len(l.ACS)+len(l.JPN) == 0 {
		return false
	}
	n := 0
	for _, p := range l.Markings() {
		n += len(p) + 1
	}
	return n > maxLabel
}

// union returns what is in either of two sets.
func union[M fmt.Stringer](a, b []M) []M {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y M) int { return strings.Compare(x.String(), y.String()) })
	return slices.CompactFunc(all, func(x, y M) bool { return x.String() == y.String() })
}

// Handled reports whether some handling marking is there: TLP, IEP, ACS or
// Japanese. A statement or an exercise marking is none.
func (l Label) Handled() bool {
	return l.TLP != NoTLP || len(l.IEP)+len(l.ACS)+len(l.JPN) > 0
}

// String is the label's normal form, as it travels in message headers and
// stands in the ledger: labels of one meaning have one string, whatever the
// identifiers of the markings.
func (l Label) String() string {
	var parts []string
	if l.TLP != NoTLP {
		parts = append(parts, l.TLP.String())
	}
	parts = append(parts, l.Markings()...)
	if l.Exercise != "" {
		parts = append(parts, "EXERCISE:"+l.Exercise)
	}
	for _, u := range l.Unknown {
		parts = append(parts, "?"+u)
	}
	if len(parts) == 0 {
		return unmarked
	}
	return strings.Join(parts, ";")
}

// Markings returns the normal forms of the markings kept side by side: IEP, ACS
// and Japanese.
func (l Label) Markings() (parts []string) {
	for _, p := range l.IEP {
		parts = append(parts, p.String())
	}
	for _, p := range l.ACS {
		parts = append(parts, p.String())
	}
	for _, p := range l.JPN {
		parts = append(parts, p.String())
	}
	return parts
}

// ParseLabel reads a normal form of a label that was fully understood, as a
// partner's message header carries it; anything else is refused.
func ParseLabel(s string) (Label, error) {
	l, err := KeptLabel(s)
	if err != nil || len(l.Unknown) > 0 || l.String() == unmarked {
		return Label{}, Errorf(Invalid, "label.form", "label %q is not a normal form", s)
	}
	return l, nil
}

// KeptLabel reads any normal form, as holds and the ledger keep it: of a label
// that was not understood or says nothing too.
func KeptLabel(s string) (Label, error) {
	var l Label
	if s == unmarked {
		return l, nil
	}
	for p := range strings.SplitSeq(s, ";") {
		m, ok := parsePart(p)
		if !ok {
			return Label{}, Errorf(Invalid, "label.form", "label %q is not a normal form", s)
		}
		l = l.Join(m)
	}
	if l.String() != s {
		return Label{}, Errorf(Invalid, "label.form", "label %q is not a normal form", s)
	}
	return l, nil
}

// parsePart reads one part of a normal form. What is read loosely here does not
// come out as it was written, which KeptLabel sees.
func parsePart(p string) (Label, bool) {
	if u, ok := strings.CutPrefix(p, "?"); ok {
		return Label{Unknown: []string{u}}, u != ""
	}
	kind, rest, _ := strings.Cut(p, ":")
	switch kind {
	case "TLP":
		t, err := ParseTLP(p)
		return Label{TLP: t}, err == nil
	case "IEP":
		m, ok := parseIEP(rest)
		return Label{IEP: []IEP{m}}, ok
	case "ACS":
		m, ok := parseACS(rest)
		return Label{ACS: []ACS{m}}, ok
	case "JPN":
		m, ok := parseJapanese(rest)
		return Label{JPN: []Japanese{m}}, ok
	case "EXERCISE":
		r, err := ParseRealm("exercise:" + rest)
		return Label{Exercise: r.Exercise()}, err == nil
	}
	return Label{}, false
}
