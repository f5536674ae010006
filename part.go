package noroshi

// Part is one marking of a label in words a banner is made of: what its system
// calls the class, who gave it, and what the other side calls it.
type Part struct {
	Kind  PartKind
	Class string   // as its own system writes it: TLP:AMBER, S, 極秘; an exercise's id; the code of what was not understood
	By    string   // custodian or originator, as a token
	Notes []string // further words of its system: NF, FOUO, LES ...
	To    []string // nations and organisations it names
	Equal []string // classes of the other system the agreement's table sets equal to it; empty = none agreed
}

// PartKind says which system a part of a banner belongs to.
type PartKind string

// The kinds of parts, in the order of a banner.
const (
	PartUnmarked PartKind = "unmarked"
	PartTLP      PartKind = "tlp"
	PartIEP      PartKind = "iep"
	PartACS      PartKind = "acs"
	PartJapanese PartKind = "jpn"
	PartExercise PartKind = "exercise"
	PartUnknown  PartKind = "unknown"
)

// Parts returns what a banner shows of a label, at least one part. What a
// Japanese class is equal to abroad, and a foreign level in Japan, comes from
// the agreement's table and from nowhere else.
func (l Label) Parts(table Kubuns) (parts []Part) {
	if l.TLP != NoTLP {
		parts = append(parts, Part{Kind: PartTLP, Class: l.TLP.String()})
	}
	for _, p := range l.IEP {
		parts = append(parts, Part{Kind: PartIEP, Class: p.TLP.String()})
	}
	for _, a := range l.ACS {
		parts = append(parts, a.part(table))
	}
	for _, j := range l.JPN {
		p := Part{Kind: PartJapanese, Class: j.Kubun, By: j.Originator, To: j.To}
		if level := table.Of(j.Kubun); level != NoLevel {
			p.Equal = []string{level.String()}
		}
		parts = append(parts, p)
	}
	if !l.Handled() {
		parts = append(parts, Part{Kind: PartUnmarked})
	}
	if l.Exercise != "" {
		parts = append(parts, Part{Kind: PartExercise, Class: l.Exercise})
	}
	for _, u := range l.Unknown {
		parts = append(parts, Part{Kind: PartUnknown, Class: u})
	}
	return parts
}

func (a ACS) part(table Kubuns) Part {
	p := Part{Kind: PartACS, Class: a.Level.String(), By: a.Custodian, To: append(append([]string(nil), a.Nations...), a.Orgs...)}
	p.Notes = append(append(append(p.Notes, a.Formal...), a.Sensitivity...), a.Caveats...)
	for _, k := range kubuns {
		if table[k] == a.Level && a.Level > Unclassified {
			p.Equal = append(p.Equal, k)
		}
	}
	return p
}
