package watch

import (
	"strings"
	"time"
	"unicode"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/locale"
)

// Bounds of a value inside a text: a URL may be far longer than a title.
const (
	maxTitleValue = 100
	maxTextValue  = 2000
)

// told is all a warning's text may be made of: what the indicator names and
// how it was met, to the hour. What the telemetry carried beyond that (who
// asked, which sensor, the full name looked up) is the victim's and stays here.
type told struct {
	Value    noroshi.Value
	Strength detect.Strength
	Hour     time.Time
	Action   string
}

// title returns a warning's title in a language.
func (t told) title(l locale.Lang) string {
	return locale.T(l, "warning.title."+string(t.Strength), t.kind(l), visible(t.Value.String(), maxTitleValue))
}

// text returns a warning's description in a language.
func (t told) text(l locale.Lang) string {
	return locale.T(l, "warning.text."+string(t.Strength), t.kind(l), visible(t.Value.String(), maxTextValue),
		locale.Hour(l, t.Hour), locale.T(l, "action."+t.Action+".text"))
}

func (t told) kind(l locale.Lang) string {
	return locale.Or(l, "kind."+string(t.Value.Kind), locale.T(l, "kind.other"))
}

// visible returns s with what does not show, or changes how its neighbours
// show (controls, bidi and zero-width characters), made visible, and cut.
func visible(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs) || (unicode.IsSpace(r) && r != ' ') {
			return unicode.ReplacementChar
		}
		return r
	}, s)
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
