package console

import (
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

//go:embed templates
var templates embed.FS

// parse reads what all pages share, layout and parts, for each language, and of
// each page its own file when it is first asked for. now is the clock by which a
// time is of today or not.
func parse(now func() time.Time) views {
	out := views{}
	names, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		panic("console: " + err.Error())
	}
	for _, l := range locale.Langs {
		base := template.Must(template.New("").Funcs(words(l, now)).ParseFS(templates, "templates/layout.html", "templates/parts.html"))
		out[l] = map[string]func() *template.Template{}
		for _, file := range names {
			if name := strings.TrimSuffix(path.Base(file), ".html"); name != "layout" && name != "parts" {
				out[l][name] = sync.OnceValue(func() *template.Template {
					return template.Must(template.Must(base.Clone()).ParseFS(templates, file))
				})
			}
		}
	}
	return out
}

// words are what templates say texts, times and marks with.
func words(l locale.Lang, now func() time.Time) template.FuncMap {
	row := func(t time.Time, layout string) string { // a time of day, after its day where that is not today
		return strings.TrimSpace(locale.OtherDay(l, t, now()) + " " + t.In(locale.JST).Format(layout))
	}
	return template.FuncMap{
		"t":      func(key string, args ...any) string { return locale.T(l, key, args...) },
		"text":   func(key, fallback string) string { return locale.Or(l, key, fallback) },
		"error":  func(e *noroshi.Error) string { return errorText(l, e) },
		"lasts":  func(d time.Duration) string { return locale.Duration(l, d) },
		"at":     func(t time.Time) moment { return momentOf(l, t, now()) },
		"prec":   func(p noroshi.Precedence) precedence { return precedenceOf(l, p) },
		"roles":  func(rs []noroshi.Role) string { return roleNames(l, rs) },
		"join":   func(list any) string { return joinWords(l, list) },
		"sp":     func() string { return between(l) },
		"aside":  func(s string) string { return aside(l, s) },
		"dict":   dict,
		"chip":   func(label string) chip { return chipOf(l, label) },
		"fit":    fit,
		"list":   func(words ...string) []string { return words },
		"upper":  strings.ToUpper,
		"span":   func(s string) (string, error) { d, err := time.ParseDuration(s); return locale.Duration(l, d), err },
		"others": others,
		"way":    func(channel string) string { return wayName(l, channel) },
		"count":  func(n any) string { return thousands(fmt.Sprint(n)) },
		"ago": func(from, now time.Time) string {
			return locale.Duration(l, max(now.Sub(from), 0).Truncate(time.Second))
		},
		"clock": func(t time.Time) string { return row(t, "15:04:05") },
		"hour":  func(t time.Time) string { return row(t, "15:04") },
		"rule":  func(names map[stix.ID]web.Named, s web.Spoken) string { return ruleText(l, names, s) },
		"said": func(path string, list []web.Span, names map[stix.ID]web.Named, theirs bool) said {
			return saidOf(l, path, list, names, theirs)
		},
		"finding":  func(f web.Finding) string { return findingText(l, f) },
		"label":    func(kept string) string { return labelText(l, kept) },
		"property": func(path string) string { return propertyName(l, path) },
		"tongue":   tongue,
		"visible":  web.Visible,
		"hex":      func(b []byte) string { return hex.Dump(b) },
		"glance":   func(d time.Duration) string { return glance(l, d) },
		"static":   hashed,
	}
}

// joinWords writes words or names one after the other, "–" for none.
func joinWords(l locale.Lang, list any) string {
	words := strings.Fields(strings.Trim(fmt.Sprint(list), "[]"))
	if len(words) == 0 {
		return "–"
	}
	return locale.List(l, words)
}

// between is what stands between two sentences.
func between(l locale.Lang) string {
	if l == locale.JA {
		return ""
	}
	return " "
}

// aside is what is said in passing, behind what it is about.
func aside(l locale.Lang, s string) string {
	if l == locale.JA {
		return "（" + s + "）"
	}
	return " (" + s + ")"
}

// dict lets a template hand several values to another.
func dict(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[key] = pairs[i+1]
	}
	return m, nil
}

// moment is an instant as rows show it: JST over UTC, and what a machine reads.
type moment struct {
	JST, UTC string // "14:31", "05:31Z"
	Day      string // that of JST, "2026-11-24"
	Other    string // the day in words where it is not today
	Full     string // in words, JST
	RFC      string // RFC 3339
}

func momentOf(l locale.Lang, t, now time.Time) moment {
	if t.IsZero() {
		return moment{JST: "–", Day: "–", Full: "–"}
	}
	jst, utc := locale.Row(t)
	return moment{jst, utc, t.In(locale.JST).Format(time.DateOnly), locale.OtherDay(l, t, now), locale.Date(l, t, locale.JST), t.UTC().Format(time.RFC3339)}
}

// instantOf is an instant as an operation's answer has it, the zero time of none.
func instantOf(text string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, text)
	return t
}

// precedence is a precedence as letter and word.
type precedence struct{ Letter, Word string }

func precedenceOf(l locale.Lang, p noroshi.Precedence) precedence {
	return precedence{p.Prosign(), locale.Or(l, "precedence."+p.String(), p.String())}
}

func roleNames(l locale.Lang, rs []noroshi.Role) string {
	names := make([]string, len(rs))
	for i, r := range rs {
		names[i] = locale.T(l, "role."+string(r))
	}
	return locale.List(l, names)
}

// clock is one zone in the head of a page.
type clock struct {
	Zone, Time, Date string
	Day              string // as a machine reads it
	Offset           int    // seconds east of UTC, for the script that moves it on
	Own              bool
}

func clocks(l locale.Lang, now time.Time) []clock {
	list := make([]clock, 0, 3)
	for i, zone := range []*time.Location{locale.JST, time.UTC, locale.Eastern} {
		t := now.In(zone)
		name, offset := t.Zone()
		list = append(list, clock{name, t.Format("15:04:05"), locale.Day(l, t), t.Format(time.DateOnly), offset, i == 0})
	}
	return list
}

// chip is a label as short as a row has room for.
type chip struct {
	Mark string
	Tone string // class of its colour
}

// tones are the classes of the levels' colours.
var tones = map[noroshi.TLP]string{noroshi.Red: "tRED", noroshi.AmberStrict: "tAMBER", noroshi.Amber: "tAMBER", noroshi.Green: "tGREEN", noroshi.Clear: "tCLEAR"}

// chipOf shows a kept label by its TLP level, or what else it begins with, and how
// much more there is.
func chipOf(l locale.Lang, kept string) chip {
	label, err := noroshi.KeptLabel(kept)
	if err != nil {
		return chip{Mark: kept}
	}
	parts := label.Parts(nil)
	c := chip{parts[0].Class, tones[label.TLP]}
	if parts[0].Kind == noroshi.PartUnmarked {
		c.Mark = locale.T(l, "banner.unmarked")
	}
	if len(parts) > 1 {
		c.Mark += " +" + strconv.Itoa(len(parts)-1)
	}
	return c
}

// wayName is a channel in words: its kind, and which one where there are several.
func wayName(l locale.Lang, channel string) string {
	kind, which, several := strings.Cut(channel, ":")
	name := locale.Or(l, "console.channel."+kind, strings.ToUpper(kind))
	if several {
		name += " " + which
	}
	return name
}

// thousands writes a number with commas.
func thousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// glance is a time as a narrow cell has room for: below ten seconds in units that
// both languages read.
func glance(l locale.Lang, d time.Duration) string {
	switch {
	case d < time.Second:
		return strconv.FormatInt(max(d.Milliseconds(), 1), 10) + " ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	return locale.Duration(l, d)
}

// tongue is the language of what an agreement's file says under a key, "" where that
// is none.
func tongue(key string) string {
	_, l, ok := strings.Cut(key, "_")
	if !ok {
		l = key
	}
	if l == "en" || l == "ja" {
		return l
	}
	return ""
}
