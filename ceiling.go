package noroshi

import (
	"slices"
	"strings"
)

// Ceiling is the highest label something inside the border may get, such as the
// organisation's own SIEM: for each kind of marking how far it goes. A kind it
// does not name it does not admit at all, and what was not understood it never
// admits. The zero Ceiling admits nothing.
//
// It says what a system is fit to keep, so it looks at levels alone: to whom a
// marking lets something go was decided when it came to this node, and the
// system is the node's own organisation.
type Ceiling struct {
	TLP      TLP      // also of IEP, which has the same levels
	ACS      Level    // never what has compartments
	Japanese []string // each class by itself: their order is not this program's to say
	Unmarked bool     // what has no handling marking at all
}

// ParseCeiling reads entries TLP:AMBER, ACS:U, JPN:秘 (one for each class that is
// admitted) and UNMARKED; at least one, each kind but JPN once.
func ParseCeiling(entries []string) (c Ceiling, err error) {
	if len(entries) == 0 {
		return c, Errorf(Invalid, "ceiling.empty", "the highest label is missing, such as TLP:AMBER")
	}
	for _, e := range entries {
		if !c.add(e) {
			return Ceiling{}, Errorf(Invalid, "ceiling.form", "%q must be a TLP level such as TLP:AMBER, ACS:U to ACS:TS, JPN: and a class, or UNMARKED, each once", e)
		}
	}
	return c, nil
}

func (c *Ceiling) add(entry string) bool {
	kind, rest, _ := strings.Cut(entry, ":")
	switch strings.ToUpper(kind) {
	case "TLP":
		t, err := ParseTLP(entry)
		fresh := c.TLP == NoTLP
		c.TLP = t
		return fresh && err == nil
	case "ACS":
		l, err := ParseLevel(rest)
		fresh := c.ACS == NoLevel
		c.ACS = l
		return fresh && err == nil
	case "JPN":
		fresh := !slices.Contains(c.Japanese, rest)
		c.Japanese = append(c.Japanese, rest)
		return fresh && slices.Contains(kubuns, rest)
	}
	fresh := !c.Unmarked
	c.Unmarked = true
	return fresh && entry == unmarked
}

// String returns the entries.
func (c Ceiling) String() string {
	var parts []string
	if c.TLP != NoTLP {
		parts = append(parts, c.TLP.String())
	}
	if c.ACS != NoLevel {
		parts = append(parts, "ACS:"+c.ACS.String())
	}
	for _, k := range c.Japanese {
		parts = append(parts, "JPN:"+k)
	}
	if c.Unmarked {
		parts = append(parts, unmarked)
	}
	return strings.Join(parts, " ")
}

// Admits reports whether a label is not above the ceiling: every marking of it
// is judged alone and each must pass.
func (c Ceiling) Admits(l Label) bool {
	if len(l.Unknown) > 0 || !l.Handled() && !c.Unmarked || l.TLP > c.TLP {
		return false
	}
	for _, p := range l.IEP {
		if p.TLP > c.TLP {
			return false
		}
	}
	for _, a := range l.ACS {
		if a.Level == NoLevel || a.Level > c.ACS || a.Compartments {
			return false
		}
	}
	for _, j := range l.JPN {
		if !slices.Contains(c.Japanese, j.Kubun) {
			return false
		}
	}
	return true
}
