// Package locale holds every word a person reads, in English and Japanese, and
// nothing else: catalogues, choice of language, dates and cell widths.
//
// The catalogues are en.json and ja.json beside this file: flat objects from
// key to text, the same keys in both. {0}, {1} ... stand for arguments;
// {0:event|events} is "event" when argument 0 is "1" and "events" otherwise
// (Japanese has no need of it). A key that is missing shows itself as ⟦key⟧ and
// fails the completeness test; it is never silently empty or in the other
// language.
//
// Labels of TLP, STIX names, ids and codes are the same in both languages.
// Nothing here is read from the outside: arguments are shown as they come, so
// the caller escapes for its medium.
package locale

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"golang.org/x/text/language"
)

// Lang is a language noroshi speaks.
type Lang string

// The two languages.
const (
	EN Lang = "en"
	JA Lang = "ja"
)

// Langs lists them in the order a switch shows them.
var Langs = []Lang{EN, JA}

//go:embed en.json
var enJSON []byte

//go:embed ja.json
var jaJSON []byte

// catalogues are read when the first word of a language is asked for, and
// never changed.
var catalogues = map[Lang]func() map[string]string{
	EN: sync.OnceValue(func() map[string]string { return load(enJSON) }),
	JA: sync.OnceValue(func() map[string]string { return load(jaJSON) }),
}

// catalogue returns the texts of a language by key, none for a language that
// is not spoken.
func catalogue(l Lang) map[string]string {
	if c := catalogues[l]; c != nil {
		return c()
	}
	return nil
}

func load(b []byte) map[string]string {
	m := map[string]string{}
	if err := json.Unmarshal(b, &m); err != nil {
		panic("locale: embedded catalogue: " + err.Error())
	}
	return m
}

// Parse reads what a person gives to --lang: en or ja, in either case.
func Parse(s string) (Lang, bool) {
	switch l := Lang(strings.ToLower(s)); l {
	case EN, JA:
		return l, true
	}
	return "", false
}

var matcher = language.NewMatcher([]language.Tag{language.English, language.Japanese})

// Match returns the language of the first preference that says one. A
// preference is a flag, the value of NOROSHI_LANG, LC_ALL or LANG (ja_JP.UTF-8)
// or an Accept-Language header, given in that order; empty ones and C, POSIX
// are passed over. English when none says anything.
func Match(preferences ...string) Lang {
	for _, p := range preferences {
		if !strings.ContainsAny(p, ",;") { // not a header: language_TERRITORY.codeset@modifier
			p, _, _ = strings.Cut(p, ".")
			p, _, _ = strings.Cut(p, "@")
		}
		if p == "" || p == "C" || p == "POSIX" || len(p) > 200 {
			continue
		}
		tags, _, err := language.ParseAcceptLanguage(strings.ReplaceAll(p, "_", "-"))
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, i, c := matcher.Match(tags...); c > language.No {
			return Langs[i]
		}
	}
	return EN
}

// Has reports whether the catalogue has a text for key.
func Has(key string) bool { _, ok := catalogue(EN)[key]; return ok }

// Keys returns the texts of a language by key; the caller may keep it, but not
// change it. For tests and for the manual.
func Keys(l Lang) map[string]string { return catalogue(l) }

// T returns the text of key with its arguments filled in.
func T(l Lang, key string, args ...any) string {
	text, ok := catalogue(l)[key]
	if !ok {
		return "⟦" + key + "⟧"
	}
	return fill(text, args)
}

// Or returns the text of key, or fallback when the catalogue has none: for
// codes that may be newer than this program, such as those of a partner.
func Or(l Lang, key, fallback string, args ...any) string {
	if _, ok := catalogue(l)[key]; !ok {
		return fallback
	}
	return T(l, key, args...)
}

// Strings turns arguments kept as strings, such as those of an error, into
// those T takes.
func Strings(args []string) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = a
	}
	return out
}

// fill replaces placeholders in one pass: an argument that looks like a
// placeholder is not filled again.
func fill(text string, args []any) string {
	if !strings.Contains(text, "{") {
		return text
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '{')
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		j := strings.IndexByte(text[i:], '}')
		if j < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		b.WriteString(placeholder(text[i+1:i+j], args))
		text = text[i+j+1:]
	}
}

// placeholder fills the inside of one pair of braces; what is none, or asks for
// an argument that was not given, stays as it is.
func placeholder(s string, args []any) string {
	num, choice, plural := strings.Cut(s, ":")
	if len(num) != 1 || num[0] < '0' || num[0] > '9' || int(num[0]-'0') >= len(args) {
		return "{" + s + "}"
	}
	arg := fmt.Sprint(args[num[0]-'0'])
	if !plural {
		return arg
	}
	one, many, _ := strings.Cut(choice, "|")
	if arg == "1" {
		return one
	}
	return many
}
