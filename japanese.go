package noroshi

import (
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// JapaneseExtension carries a Japanese marking (noroshi's own): kubun,
// originator and, where it may leave, releasable_to. docs/extensions has its
// definition and schema.
const JapaneseExtension stix.ID = "extension-definition--02bffe7e-7dea-595b-be47-8de4bac15e3d"

// The Japanese classes a marking names. What each is equal to abroad stands in
// the agreement and nowhere else.
const (
	KubunOpen     = "公開"
	KubunInternal = "部内限り"
	Kubun3        = "秘"
	Kubun2        = "極秘"
	KubunSpecial  = "特定秘密"
	Kubun1        = "機密"
)

var kubuns = []string{KubunOpen, KubunInternal, Kubun3, Kubun2, KubunSpecial, Kubun1}

// Japanese is what a Japanese marking says: its class, who gave it, and the
// countries it may go to (for 公開 none is named: it may go to all).
type Japanese struct {
	Kubun      string
	Originator string
	To         []string // sorted; empty = nobody
}

// String is the normal form, such as JPN:秘,JPN.MOD,KOR/USA.
func (j Japanese) String() string {
	s := "JPN:" + j.Kubun + "," + j.Originator
	if len(j.To) > 0 {
		s += "," + strings.Join(j.To, "/")
	}
	return s
}

// parseJapanese reads the normal form behind its name; Label checks that it is
// one.
func parseJapanese(s string) (j Japanese, ok bool) {
	parts := strings.Split(s, ",")
	if len(parts) < 2 || len(parts) > 3 || !slices.Contains(kubuns, parts[0]) || !isToken(parts[1]) {
		return Japanese{}, false
	}
	j = Japanese{Kubun: parts[0], Originator: parts[1]}
	if len(parts) == 3 {
		for _, c := range strings.Split(parts[2], "/") {
			if !isCountry(c) || j.Kubun == KubunOpen {
				return Japanese{}, false
			}
			j.To = append(j.To, c)
		}
		j.To = set(j.To)
	}
	return j, true
}

func readJapanese(v stix.RawValue) (j Japanese, ok bool) {
	var s strict
	s.object(v, known{
		"extension_type": func(v stix.RawValue) { s.word(v, "property-extension") },
		"kubun":          func(v stix.RawValue) { j.Kubun = s.word(v, kubuns...) },
		"originator":     func(v stix.RawValue) { j.Originator = s.token(v) },
		"releasable_to": func(v stix.RawValue) {
			j.To = s.tokens(v)
			s.bad = s.bad || slices.ContainsFunc(j.To, func(c string) bool { return !isCountry(c) })
		},
	}, "extension_type", "kubun", "originator")
	if j.Kubun == KubunOpen {
		j.To = nil
	}
	return j, !s.bad
}
