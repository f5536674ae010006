package main

import (
	"regexp"
	"strings"
)

// misuse is one thing that the parser of the command line says in English, and
// the key of the text that says it in the user's language. The groups of the
// expression become the text's arguments.
type misuse struct {
	key  string
	says *regexp.Regexp
}

// plainList writes the parser's lists of words as people do.
var plainList = strings.NewReplacer("[<", "<", ">]", ">", `"",`, "", `","`, ", ", `", "`, ", ", `"`, "", ",...", "")

// misuses are all a person can bring about; order matters only where one
// sentence holds another.
var misuses = []misuse{
	{"usage.did-you-mean", regexp.MustCompile(`^unexpected argument (.+), did you mean (?:one of )?(.+)\?$`)},
	{"usage.did-you-mean-flag", regexp.MustCompile(`^unknown flag (\S+), did you mean (?:one of )?(.+)\?$`)},
	{"usage.unexpected", regexp.MustCompile(`^unexpected argument (.+)$`)},
	{"usage.unknown-flag", regexp.MustCompile(`^unknown flag (\S+)$`)},
	{"usage.no-value-taken", regexp.MustCompile(`^unexpected flag argument "(.*)"$`)},
	{"usage.missing-flags", regexp.MustCompile(`^missing flags: (.+)$`)},
	{"usage.missing-arguments", regexp.MustCompile(`^missing positional arguments (.+)$`)},
	{"usage.missing-argument", regexp.MustCompile(`^expected "(<.+>)"$`)},
	{"usage.missing-command", regexp.MustCompile(`^expected (?:one of )?(".+)$`)},
	{"usage.one-of", regexp.MustCompile(`^(\S+) must be one of (.+) but got "(.*)"$`)},
	{"usage.together", regexp.MustCompile(`^(--.+) and (--\S+) can't be used together$`)},
	{"usage.missing-value", regexp.MustCompile(`^(\S+): expected .*\bvalue but got ".*" \(.+\)(?:; perhaps try .*)?$`)},
	{"usage.missing-value", regexp.MustCompile(`^(\S+): missing value, .*$`)},
	{"usage.number", regexp.MustCompile(`^(\S+): expected (?:a valid \d+ bit u?int|an int) but got "([^"]*)".*$`)},
	{"usage.duration", regexp.MustCompile(`^(\S+): expected duration but got "([^"]*)".*$`)},
	{"usage.yes-no", regexp.MustCompile(`^(\S+): bool value must be .* but got "([^"]*)"$`)},
}

// usageText says in the user's language what is wrong with a command line; what
// is not recognised stays as the parser said it.
func (c *cli) usageText(err error) string {
	said := err.Error()
	for _, m := range misuses {
		if g := m.says.FindStringSubmatch(said); g != nil {
			for i := range g {
				g[i] = plainList.Replace(clean(g[i]))
				if either, or, ok := strings.Cut(g[i], " or "); ok && m.key == "usage.missing-flags" {
					g[i] = c.t("usage.or", either, or)
				}
			}
			return c.t(m.key, g[1:]...)
		}
	}
	return clean(said)
}
