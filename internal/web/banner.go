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

// What a reader is shown of a label. Whoever writes an object chooses how many
// markings it bears: none may push a page out of sight, nor a header past what is
// taken.
const (
	maxNotUnderstood = 3       // markings, named one by one
	maxShownLabel    = 2 << 10 // bytes of the kept form
)

// Fitting is a label as a reader is shown it. That there is more is said in the
// place of it, which is as strict as a marking that was not understood.
func Fitting(l noroshi.Label) noroshi.Label {
	more := []string{noroshi.UnknownTooLong}
	if len(l.Unknown) > maxNotUnderstood {
		l.Unknown = more
	}
	if len(l.String()) > maxShownLabel {
		l = noroshi.Label{TLP: l.TLP, Exercise: l.Exercise, Unknown: more}
	}
	return l
}

// Banner says a label in a reader's language for the head of a page, print or
// export: every part there is room for (Fitting), with the originator's class and
// the reader's side by side where the agreement's table names one. Classes
// themselves are written as their own system writes them.
func Banner(l locale.Lang, label noroshi.Label, table noroshi.Kubuns) string {
	var parts []string
	for _, p := range Fitting(label).Parts(table) {
		parts = append(parts, bannerPart(l, p))
	}
	return strings.Join(parts, " // ")
}

// Tone is the colour of a label's band: 0 to 8, the more the stricter. Colours are
// no statement of what a class is equal to; a band says its marking in words too.
type Tone uint8

// The tones: of what has no marking but the node's own, of TLP levels, of what
// stays inside, and of classes.
const (
	ToneOpen Tone = iota
	ToneClear
	ToneGreen
	ToneAmber
	ToneRed // also of what is not understood
	ToneInternal
	ToneConfidential
	ToneSecret
	ToneTopSecret
)

var (
	toneOfTLP   = map[noroshi.TLP]Tone{noroshi.Clear: ToneClear, noroshi.Green: ToneGreen, noroshi.Amber: ToneAmber, noroshi.AmberStrict: ToneAmber, noroshi.Red: ToneRed}
	toneOfLevel = map[noroshi.Level]Tone{noroshi.Confidential: ToneConfidential, noroshi.Secret: ToneSecret, noroshi.TopSecret: ToneTopSecret}
	toneOfKubun = map[string]Tone{noroshi.KubunInternal: ToneInternal, noroshi.Kubun3: ToneConfidential, noroshi.Kubun2: ToneSecret,
		noroshi.KubunSpecial: ToneTopSecret, noroshi.Kubun1: ToneTopSecret}
)

// ToneOf is the tone of a label: the strictest of its parts.
func ToneOf(l noroshi.Label) Tone {
	t := toneOfTLP[l.TLP]
	if len(l.Unknown) > 0 {
		t = ToneRed
	}
	for _, i := range l.IEP {
		t = max(t, toneOfTLP[i.TLP])
	}
	for _, a := range l.ACS {
		t = max(t, toneOfLevel[a.Level])
	}
	for _, j := range l.JPN {
		t = max(t, toneOfKubun[j.Kubun])
	}
	return t
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
