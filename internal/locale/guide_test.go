package locale_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/locale"
)

var (
	pictured = regexp.MustCompile(`!\[[^\]]*\]\(([^)]+)\)`)
	slot     = regexp.MustCompile(`\\\{[^}]*\\\}`)
)

// TestGuideNamesWhatTheScreensSay: what the officer's guide quotes is written on a
// screen exactly so, in the guide's language, and the pictures that it shows are
// there. Both guides have the same chapters.
func TestGuideNamesWhatTheScreensSay(t *testing.T) {
	t.Parallel()
	chapters := map[locale.Lang]int{}
	for l, g := range map[locale.Lang]struct {
		file   string
		quoted *regexp.Regexp
	}{
		locale.EN: {"guide.md", regexp.MustCompile(`\*\*([^*]+)\*\*`)},
		locale.JA: {"guide.ja.md", regexp.MustCompile(`「([^」]+)」`)},
	} {
		page, err := os.ReadFile(filepath.Join("../../docs", g.file))
		if err != nil {
			t.Fatal(err)
		}
		chapters[l] = strings.Count(string(page), "\n## ")
		shown := onScreens(l)
		names := g.quoted.FindAllStringSubmatch(string(page), -1)
		if len(names) < 50 {
			t.Errorf("%s quotes only %d names", g.file, len(names))
		}
		for _, name := range names {
			if name[1] != "bold" && !shown.MatchString(name[1]) {
				t.Errorf("%s quotes %q, which is on no screen", g.file, name[1])
			}
		}
		pictures := pictured.FindAllStringSubmatch(string(page), -1)
		for _, p := range pictures {
			if _, err := os.Stat(filepath.Join("../../docs", p[1])); err != nil || !strings.HasSuffix(p[1], "."+string(l)+".png") {
				t.Errorf("%s shows %s: %v", g.file, p[1], err)
			}
		}
		if len(pictures) < 8 {
			t.Errorf("%s shows %d pictures", g.file, len(pictures))
		}
	}
	if chapters[locale.EN] != chapters[locale.JA] || chapters[locale.EN] == 0 {
		t.Errorf("chapters: %v", chapters)
	}
}

// onScreens matches every text that a screen can show in a language, with a call
// sign or a time in its gaps.
func onScreens(l locale.Lang) *regexp.Regexp {
	var texts []string
	for key := range locale.Keys(l) {
		room, _, _ := strings.Cut(key, ".")
		switch room {
		case "console", "precedence", "state", "role", "action":
			texts = append(texts, slot.ReplaceAllString(regexp.QuoteMeta(locale.Or(l, key, "")), "(?:[A-Z]{3}-[0-9]{2}|[0-9]{2}:[0-9]{2})"))
		}
	}
	return regexp.MustCompile(`^(?:` + strings.Join(texts, "|") + `)$`)
}
