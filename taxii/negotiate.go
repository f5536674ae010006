package taxii

import (
	"slices"
	"strconv"
	"strings"
)

// Reading of Accept, Content-Type and the codings (sections 1.6.8 and 3.1; RFC
// 9110 sections 8.3, 8.4 and 12.5). Generous: parameters other than version and q
// are stepped over, white space and quotes may stand wherever people put them,
// what does not read is skipped.

const (
	taxiiType = "application/taxii+json"
	stixType  = "application/stix+json"
	version21 = "2.1"
)

// mediaRange is one element of an Accept header, or a Content-Type.
type mediaRange struct {
	name    string // type/subtype in lower case
	version string // "" when not given
	q       float64
}

// parseRange reads type/subtype and its parameters; false when there is no type.
func parseRange(s string) (mediaRange, bool) {
	name, rest, _ := cutQuoted(s, ';')
	m := mediaRange{name: strings.ToLower(strings.TrimSpace(name)), q: 1}
	if main, sub, ok := strings.Cut(m.name, "/"); !ok || main == "" || sub == "" || strings.ContainsAny(m.name, " \t") {
		return m, false
	}
	for rest != "" {
		var param string
		param, rest, _ = cutQuoted(rest, ';')
		key, value, _ := strings.Cut(param, "=")
		switch value = unquote(value); strings.ToLower(strings.TrimSpace(key)) {
		case "version":
			m.version = value
		case "q":
			m.q = quality(value)
		}
	}
	return m, true
}

// unquote takes white space and one pair of quotes off a parameter's value.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = strings.TrimSpace(s[1 : len(s)-1])
	}
	return s
}

// quality reads a q value; one that does not read counts as not given.
func quality(s string) float64 {
	q, err := strconv.ParseFloat(s, 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 1
	}
	return q
}

// cutQuoted is strings.Cut around a separator outside quotes.
func cutQuoted(s string, sep byte) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// list yields the elements of a header that may come in several lines.
func list(lines []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, rest := range lines {
			for rest != "" {
				var one string
				one, rest, _ = cutQuoted(rest, ',')
				if one = strings.TrimSpace(one); one != "" && !yield(one) {
					return
				}
			}
		}
	}
}

// acceptable reports whether an answer in TAXII 2.1 suits the Accept lines. No
// Accept at all suits. Of the ranges that fit the most exact decides, so that
// one can be taken out by q=0. Where alsoStix is set a range of STIX fits too:
// section 5.3 has it among the headers of the manifest.
func acceptable(lines []string, alsoStix bool) bool {
	best, q, any := -1, 0.0, false
	for one := range list(lines) {
		any = true
		m, ok := parseRange(one)
		if !ok {
			continue
		}
		if rank := m.fits(alsoStix); rank > best || rank == best && rank >= 0 && m.q > q {
			best, q = rank, m.q
		}
	}
	return !any || best >= 0 && q > 0
}

// fits says how exactly the range names the answer, -1 when it does not.
func (m mediaRange) fits(alsoStix bool) int {
	if m.version != "" && m.version != version21 {
		return -1
	}
	switch {
	case m.name == taxiiType && m.version != "":
		return 4
	case m.name == taxiiType:
		return 3
	case m.name == stixType && alsoStix:
		return 2
	case m.name == "application/*":
		return 1
	case m.name == "*/*":
		return 0
	}
	return -1
}

// isTaxii reports whether a Content-Type is TAXII 2.1, or TAXII of no version.
func isTaxii(contentType string) bool {
	m, ok := parseRange(contentType)
	return ok && m.name == taxiiType && (m.version == "" || m.version == version21)
}

// Content codings, the one we rather send first.
const (
	codingZstd = "zstd"
	codingGzip = "gzip"
)

// coding picks the coding of an answer from the Accept-Encoding lines, "" for
// none: the one with the highest q, of equals zstd.
func coding(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	qs := map[string]float64{}
	for one := range list(lines) {
		name, params, _ := strings.Cut(one, ";")
		q := 1.0
		if key, value, ok := strings.Cut(params, "="); ok && strings.EqualFold(strings.TrimSpace(key), "q") {
			q = quality(strings.TrimSpace(value))
		}
		qs[strings.ToLower(strings.TrimSpace(name))] = q
	}
	best, most := "", 0.0
	for _, name := range []string{codingZstd, codingGzip} {
		q, ok := qs[name]
		if !ok && name == codingGzip {
			q, ok = qs["x-gzip"]
		}
		if !ok {
			q = qs["*"]
		}
		if q > most {
			best, most = name, q
		}
	}
	if qs["identity"] > most {
		return ""
	}
	return best
}

// codings reads a Content-Encoding: the codings other than identity, in order.
func codings(lines []string) []string {
	var names []string
	for one := range list(lines) {
		if one = strings.ToLower(one); one != "identity" {
			names = append(names, strings.TrimPrefix(one, "x-"))
		}
	}
	return names
}

// matches reports whether an If-None-Match names the entity tag (RFC 9110
// section 13.1.2, the weak comparison).
func matches(lines []string, tag string) bool {
	tags := slices.Collect(list(lines))
	return slices.ContainsFunc(tags, func(t string) bool {
		return t == "*" || strings.TrimPrefix(t, "W/") == strings.TrimPrefix(tag, "W/")
	})
}
