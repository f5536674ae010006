package intake

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Rules of a profile and of what is lifted, as reports name them.
const (
	MappedTag      = "tag"       // a tag stands for a level
	MappedMarking  = "marking"   // a marking id of the source's own does
	MappedUnmarked = "unmarked"  // it says nothing, and the profile says what that means
	LeftOwn        = "own"       // a marking of its own: left as it is
	LeftTag        = "held-tag"  // a tag that a person has to judge
	LeftUnmarked   = "left"      // no rule of the profile fits: stays unmarked
	LeftGranular   = "left-form" // parts of it are marked, or a marking is malformed: stays unmarked

	MappedLabel = "label"      // the source itself names a level, in words of its own
	HeldLabel   = "held-label" // it names a handling that is not understood: the object is held
)

// Mapped counts the objects one rule of a profile spoke on.
type Mapped struct {
	Rule    string `json:"rule"`
	What    string `json:"what,omitempty"`    // the tag or marking id, "…" for those beyond the first 100
	Marking string `json:"marking,omitempty"` // what was assigned, "" = nothing
	Count   int    `json:"count"`
}

// maxMapped bounds how many different tags and ids a report names.
const maxMapped = 100

// Assign returns the markings the profile assigns to an object, and the rule
// that decided. Of several tags the strictest counts.
func (p *Profile) Assign(o *stix.Object) ([]stix.ID, Mapped) {
	if o.Type == "marking-definition" {
		return nil, Mapped{}
	}
	own, others, ids := strictest(o.Markings), false, []stix.ID(nil)
	m := Mapped{Rule: LeftUnmarked}
	for _, id := range o.Markings {
		as, mapped := p.markings[id]
		switch {
		case noroshi.TLPOf(id) != noroshi.NoTLP, p.plain[id]:
		case mapped:
			ids = append(ids, noroshi.StandIn(id, as), as.MarkingID())
			own = max(own, as)
			m = Mapped{Rule: MappedMarking, What: string(id), Marking: as.String()}
		default:
			others = true
		}
	}
	tag, found := p.strictestTag(o)
	switch {
	case tag.hold && (own != noroshi.NoTLP || others):
		// Its own markings might let it go.
		return []stix.ID{noroshi.Doubt}, Mapped{Rule: LeftTag, What: found}
	case tag.hold:
		return nil, Mapped{Rule: LeftTag, What: found}
	case tag.level > own:
		return append(ids, tag.level.MarkingID()), Mapped{Rule: MappedTag, What: found, Marking: tag.level.String()}
	case len(ids) > 0:
		return ids, m
	case own != noroshi.NoTLP || others:
		return nil, Mapped{Rule: LeftOwn}
	case o.Granular || noroshi.FormLabel(o).String() != (noroshi.Label{}).String():
		return nil, Mapped{Rule: LeftGranular}
	case p.allows(o):
		return []stix.ID{p.unmarked.MarkingID()}, Mapped{Rule: MappedUnmarked, Marking: p.unmarked.String()}
	}
	return nil, m
}

// strictestTag judges an object's labels (STIX 2.1 §3.2). Labels that are no
// list of strings are held.
func (p *Profile) strictestTag(o *stix.Object) (r tagRule, what string) {
	raw := o.Property("labels")
	if raw == nil {
		return r, ""
	}
	var tags []string
	for _, e := range raw.Elements() {
		tags = append(tags, e.Text())
	}
	if len(tags) == 0 {
		r.hold = true
		return r, ""
	}
	return p.strictestOf(tags)
}

// strictestOf judges tags: the strictest counts, and one that a person has to
// judge before any.
func (p *Profile) strictestOf(tags []string) (r tagRule, what string) {
	for _, text := range tags {
		key := foldTag(text)
		t, known := p.tags[key]
		if text == "" || !known && restrictive(text) {
			t, key = tagRule{hold: true}, Beginning([]byte(text))
		}
		if t.hold && !r.hold || !r.hold && t.level > r.level {
			r, what = t, key
		}
	}
	return r, what
}

// foldTag returns a tag as it is compared: compatible forms made one, small
// letters, no spaces, nothing invisible, no quotes or brackets around it.
func foldTag(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Cc, unicode.Mn) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKC.String(s))
	return strings.Trim(s, `"'[](){}`)
}

// restrictions are how tags begin that say who may have something. Letters and
// digits alone are compared.
var restrictions = []string{
	"tlp", "pap", "classification", "classified", "nato", "cui", "fouo", "noforn", "relto", "eyesonly", "internal", "private",
	"confidential", "secret", "topsecret", "restricted", "sensitive", "dissem", "distribution",
	"機密", "極秘", "特定秘密", "秘", "取扱", "部内", "社外秘", "内部",
}

// restrictive reports whether a tag looks like a restriction: it begins like
// one once every letter that is not Latin may stand for the one it looks like.
func restrictive(tag string) bool {
	letters := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, foldTag(tag))
	return slices.ContainsFunc(restrictions, func(begin string) bool { return beginsLike(letters, begin) })
}

func beginsLike(s, begin string) bool {
	have, want := []rune(s), []rune(begin)
	if len(have) < len(want) {
		return false
	}
	latin := false // a word all of whose letters are foreign is another word
	for i, r := range want {
		latin = latin || have[i] == r
		if have[i] != r && (have[i] < 0x80 || r >= 0x80) {
			return false
		}
	}
	return latin
}

// Tally adds an object's rule to a report, which names so many of them.
func Tally(list []Mapped, m Mapped) []Mapped {
	if m.Rule == "" {
		return list
	}
	m.Count = max(m.Count, 1)
	same := func(x Mapped) bool { return x.Rule == m.Rule && x.What == m.What && x.Marking == m.Marking }
	i := slices.IndexFunc(list, same)
	if i < 0 && len(list) >= maxMapped && m.What != "" {
		m.What = "…"
		i = slices.IndexFunc(list, same)
	}
	if i < 0 {
		return append(list, m)
	}
	list[i].Count += m.Count
	return list
}
