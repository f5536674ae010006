package noroshi

import (
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// ACSExtension carries a marking of the Access Control Specification 3.0 (OASIS
// common objects, ACS 3.0 marking definition).
const ACSExtension stix.ID = "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce"

// All in a list of nations or organisations names everyone.
const All = "ALL"

// Values of an ACS marking that decide something.
const (
	NoForeign    = "NF"
	PublicRel    = "PUBREL"
	OfficialUse  = "FOUO"
	PIINecessary = "PII-NECESSARY-TO-UNDERSTAND-THREAT"
	ForeignGov   = "FOREIGNGOV" // a scope of sharing: every foreign government
	ShowSource   = "IDSRC"      // the action of learning the source
	TearLine     = "TEARLINE"   // the action of cutting portions out
)

// ACS is what decisions depend on of an ACS 3.0 marking. Two markings of one
// meaning are equal whatever their identifiers. Its lists are sorted; a list
// that holds ALL holds nothing else.
type ACS struct {
	Level        Level
	Authorised   bool   // above U: an original or derivative classification stands behind it
	Custodian    string // the responsible entity, such as USA.DOD
	PrivPermit   bool   // what nothing else decides is permitted
	SharePermit  bool
	Formal       []string // of NF, PUBREL, FOUO, PII-NECESSARY-TO-UNDERSTAND-THREAT
	Released     bool     // with PUBREL: a release authority is named
	Nations      []string // empty = not limited
	Orgs         []string // empty = not limited
	Entities     []string // empty = not limited
	Compartments bool     // SCI controls or a logical authority
	Sensitivity  []string
	Caveats      []string
	Access       []ACSRule // of IDSRC and TEARLINE
	Share        []string  // scopes further sharing is permitted to
	Withhold     []string  // scopes it is denied to
}

// ACSRule permits or denies one action to those its lists hold; an empty list
// limits nobody.
type ACSRule struct {
	Permit                  bool
	Action                  string // IDSRC or TEARLINE
	Nations, Orgs, Entities []string
}

// Has reports whether a formal determination is there.
func (a ACS) Has(formal string) bool { return slices.Contains(a.Formal, formal) }

// String is the normal form: level ("!" when nothing stands behind it),
// custodian, the two defaults, and what else there is in a fixed order, such as
// ACS:S,USA.DOD,priv-,share-,formal=FOUO,nat=JPN/USA,-TEARLINE:nat=KOR.
func (a ACS) String() string {
	var b strings.Builder
	b.WriteString("ACS:" + a.Level.String())
	if a.Level > Unclassified && !a.Authorised {
		b.WriteString("!")
	}
	b.WriteString("," + a.Custodian + ",priv" + sign(a.PrivPermit) + ",share" + sign(a.SharePermit))
	for _, f := range a.lists() {
		writeList(&b, ",", f.name, *f.list)
	}
	for _, f := range a.flags() {
		if *f.set {
			b.WriteString("," + f.name)
		}
	}
	for _, r := range a.Access {
		b.WriteString("," + r.String())
	}
	return b.String()
}

// String is the rule's normal form, such as -TEARLINE:nat=JPN/KOR.
func (r ACSRule) String() string {
	var b strings.Builder
	b.WriteString(sign(r.Permit) + r.Action)
	for _, f := range r.lists() {
		writeList(&b, ":", f.name, *f.list)
	}
	return b.String()
}

type namedList struct {
	name string
	list *[]string
	of   []string // what it may hold; nil = any token
}

// lists are the lists of a marking in the order they are written.
func (a *ACS) lists() []namedList {
	return []namedList{
		{"formal", &a.Formal, acsFormal}, {"nat", &a.Nations, nil}, {"org", &a.Orgs, nil}, {"ent", &a.Entities, acsEntities},
		{"sens", &a.Sensitivity, acsSensitivities}, {"cav", &a.Caveats, acsCaveats}, {"share", &a.Share, nil}, {"withhold", &a.Withhold, nil},
	}
}

type namedFlag struct {
	name string
	set  *bool
}

func (a *ACS) flags() []namedFlag {
	return []namedFlag{{"released", &a.Released}, {"compartments", &a.Compartments}}
}

func (r *ACSRule) lists() []namedList {
	return []namedList{{"nat", &r.Nations, nil}, {"org", &r.Orgs, nil}, {"ent", &r.Entities, acsEntities}}
}

func sign(permit bool) string {
	if permit {
		return "+"
	}
	return "-"
}

func writeList(b *strings.Builder, before, name string, list []string) {
	if len(list) > 0 {
		b.WriteString(before + name + "=" + strings.Join(list, "/"))
	}
}

// parseACS reads the normal form behind its name; Label checks that it is one.
func parseACS(s string) (a ACS, ok bool) {
	parts := strings.Split(s, ",")
	if len(parts) < 4 || !isToken(parts[1]) {
		return ACS{}, false
	}
	level, bare := strings.CutSuffix(parts[0], "!")
	var err error
	if a.Level, err = ParseLevel(level); err != nil {
		return ACS{}, false
	}
	a.Authorised, a.Custodian = a.Level > Unclassified && !bare, parts[1]
	a.PrivPermit, a.SharePermit = parts[2] == "priv+", parts[3] == "share+"
	for _, p := range parts[4:] {
		if !a.parsePart(p) {
			return ACS{}, false
		}
	}
	return a.normal(), true
}

func (a *ACS) parsePart(p string) bool {
	if action := strings.TrimLeft(p, "+-"); len(p) == len(action)+1 {
		parts := strings.Split(action, ":")
		r := ACSRule{Permit: p[0] == '+', Action: parts[0]}
		for _, l := range parts[1:] {
			if !parseList(l, r.lists()) {
				return false
			}
		}
		a.Access = append(a.Access, r)
		return r.Action == ShowSource || r.Action == TearLine
	}
	for _, f := range a.flags() {
		if p == f.name {
			*f.set = true
			return true
		}
	}
	return parseList(p, a.lists())
}

func parseList(s string, lists []namedList) bool {
	name, values, _ := strings.Cut(s, "=")
	for _, f := range lists {
		if f.name != name {
			continue
		}
		for _, v := range strings.Split(values, "/") {
			if !isToken(v) || f.of != nil && !slices.Contains(f.of, v) {
				return false
			}
			*f.list = append(*f.list, v)
		}
		return true
	}
	return false
}

// normal returns the marking in the one form its meaning has.
func (a ACS) normal() ACS {
	a.Authorised = a.Authorised && a.Level > Unclassified
	a.Released = a.Released && a.Has(PublicRel)
	for _, f := range a.lists() {
		*f.list = set(*f.list)
	}
	// The sectors of an industry are no scope a partner can be in.
	a.Share, a.Withhold = without(a.Share, "SECTOR"), without(a.Withhold, "SECTOR")
	for _, l := range []*[]string{&a.Nations, &a.Orgs} {
		if slices.Contains(*l, All) {
			*l = []string{All}
		}
	}
	for i := range a.Access {
		for _, f := range a.Access[i].lists() {
			if *f.list = set(*f.list); slices.Contains(*f.list, All) {
				*f.list = nil
			}
		}
	}
	byText := func(x, y ACSRule) int { return strings.Compare(x.String(), y.String()) }
	slices.SortFunc(a.Access, byText)
	a.Access = slices.CompactFunc(a.Access, func(x, y ACSRule) bool { return byText(x, y) == 0 })
	return a
}

func without(list []string, value string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == value })
}
