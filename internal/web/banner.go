package web

import (
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
)

// Banners is a label's banner in both languages.
type Banners struct {
	EN string `json:"en"`
	JA string `json:"ja"`
}

// In returns the banner in a language.
func (b Banners) In(l locale.Lang) string {
	if l == locale.JA {
		return b.JA
	}
	return b.EN
}

// bannersOf returns the banners of a label kept in its normal form. One this
// program cannot read is shown as it stands.
func bannersOf(kept string, table noroshi.Kubuns) Banners {
	l, err := noroshi.KeptLabel(kept)
	if err != nil {
		return Banners{kept, kept}
	}
	return Banners{Banner(locale.EN, l, table), Banner(locale.JA, l, table)}
}

// Banner says a label in a reader's language for the head of a page, print or
// export: every part of it, with the originator's class and the reader's side
// by side where the agreement's table names one. Classes themselves are written
// as their own system writes them.
func Banner(l locale.Lang, label noroshi.Label, table noroshi.Kubuns) string {
	var parts []string
	for _, p := range label.Parts(table) {
		parts = append(parts, bannerPart(l, p))
	}
	return strings.Join(parts, " // ")
}

func bannerPart(l locale.Lang, p noroshi.Part) string {
	switch p.Kind {
	case noroshi.PartTLP:
		return p.Class
	case noroshi.PartUnmarked:
		return locale.T(l, "banner.unmarked")
	case noroshi.PartIEP:
		return locale.T(l, "banner.iep", p.Class)
	case noroshi.PartExercise:
		return locale.T(l, "banner.exercise", p.Class)
	case noroshi.PartUnknown:
		code, id, _ := strings.Cut(p.Class, " ")
		return locale.T(l, "banner.unknown", locale.Or(l, "reason.marking."+code, p.Class, id))
	case noroshi.PartACS:
		text := strings.Join(append([]string{locale.T(l, "banner.level."+p.Class)}, p.Notes...), "/")
		if len(p.Equal) > 0 {
			text = locale.T(l, "banner.equal", text, strings.Join(p.Equal, "/"))
		}
		return bannerTo(l, locale.T(l, "banner.custodian", text, p.By), p.To)
	}
	text := p.Class
	if len(p.Equal) > 0 {
		text = locale.T(l, "banner.equal", text, locale.T(l, "banner.level."+p.Equal[0]))
	} else {
		text = locale.T(l, "banner.no-equal", text)
	}
	return bannerTo(l, locale.T(l, "banner.by", text, p.By), p.To)
}

func bannerTo(l locale.Lang, text string, to []string) string {
	if len(to) == 0 {
		return text
	}
	return locale.T(l, "banner.to", text, strings.Join(to, "/"))
}
