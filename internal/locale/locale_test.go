package locale_test

import (
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/internal/locale"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		want locale.Lang
	}{
		{"nothing said", nil, locale.EN},
		{"flag wins", []string{"ja", "en"}, locale.JA},
		{"posix locale", []string{"", "", "ja_JP.UTF-8"}, locale.JA},
		{"C says nothing", []string{"", "C.UTF-8", "ja_JP.eucJP"}, locale.JA},
		{"modifier", []string{"ja_JP@cjknarrow"}, locale.JA},
		{"header order", []string{"fr;q=0.9, ja;q=0.8, en;q=0.7"}, locale.JA},
		{"header quality", []string{"ja;q=0.2, en-GB"}, locale.EN},
		{"unknown language goes on", []string{"de_DE.UTF-8", "ja"}, locale.JA},
		{"nonsense", []string{"!!", "\x00"}, locale.EN},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := locale.Match(c.in...); got != c.want {
				t.Errorf("Match(%q) = %s, want %s", c.in, got, c.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]locale.Lang{"en": locale.EN, "JA": locale.JA, "": "", "jp": "", "ja_JP": ""} {
		if got, ok := locale.Parse(in); got != want || ok != (want != "") {
			t.Errorf("Parse(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
}

func TestTextFillsInOnePass(t *testing.T) {
	if got, want := locale.T(locale.EN, "warning.title.strong", "{1}", "x"), "{1} seen: x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := locale.T(locale.JA, "no.such.key"), "⟦no.such.key⟧"; got != want {
		t.Errorf("a missing key shows as %q, want %q", got, want)
	}
	if got, want := locale.T(locale.EN, "error.person.signature"), "The signature of {0} is not over what is to be done."; got != want {
		t.Errorf("a missing argument: got %q, want %q", got, want)
	}
	if got, want := locale.Or(locale.JA, "error.of.tomorrow", "as the partner says"), "as the partner says"; got != want {
		t.Errorf("Or: got %q, want %q", got, want)
	}
}

func TestPlural(t *testing.T) {
	for arg, want := range map[any]string{0: "0 events", 1: "1 event", "1": "1 event", 12: "12 events"} {
		if got := locale.Fill("{0} {0:event|events}", arg); got != want {
			t.Errorf("%v: got %q, want %q", arg, got, want)
		}
	}
}

func TestDates(t *testing.T) {
	at := time.Date(2026, 11, 24, 5, 37, 9, 0, time.UTC)
	for _, c := range []struct{ got, want string }{
		{locale.Date(locale.EN, at, locale.JST), "Tue 24 Nov 2026 14:37 JST"},
		{locale.Date(locale.JA, at, locale.JST), "2026年11月24日(火)14:37 JST"},
		{locale.Date(locale.EN, at, time.UTC), "Tue 24 Nov 2026 05:37 UTC"},
		{locale.Date(locale.JA, at, locale.Eastern), "2026年11月24日(火)00:37 EST"},
		{locale.Date(locale.EN, at.AddDate(0, -5, 0).Add(-2*time.Hour), locale.Eastern), "Tue 23 Jun 2026 23:37 EDT"},
		{locale.Date(locale.EN, time.Time{}, time.UTC), "–"},
		{locale.OtherDay(locale.EN, at, at.Add(9*time.Hour)), ""},
		{locale.OtherDay(locale.EN, at, at.Add(10*time.Hour)), "Tue 24 Nov"}, // midnight in Japan lies between
		{locale.OtherDay(locale.JA, at.AddDate(-1, 0, 0), at), "2025年11月24日(月)"},
		{locale.Hour(locale.EN, at), "24 Nov 2026 05:00Z"},
		{locale.Hour(locale.JA, at), "2026年11月24日05時台（UTC）"},
		{locale.Duration(locale.EN, 65*time.Minute+3*time.Second), "1 h 5 min"},
		{locale.Duration(locale.JA, 26*time.Hour), "1日2時間"},
		{locale.Duration(locale.JA, 74*time.Millisecond), "74ミリ秒"},
		{locale.Duration(locale.EN, time.Hour+3*time.Second), "1 h"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if jst, utc := locale.Row(at); jst != "14:37" || utc != "05:37Z" {
		t.Errorf("row: %s over %s", jst, utc)
	}
}

func TestCells(t *testing.T) {
	for s, want := range map[string]int{"USA-01": 6, "脅威指標": 8, "ｱｲｳ": 3, "警報 ○": 6} {
		if got := locale.Width(s); got != want {
			t.Errorf("Width(%q) = %d, want %d", s, got, want)
		}
		if got := locale.Width(locale.Fit(s, 5)); got > 5 {
			t.Errorf("Fit(%q) takes %d cells, want at most 5", s, got)
		}
	}
}
