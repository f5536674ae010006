package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/node/cable"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

var (
	// drill is a block of the drills that is typed, or one that says what is then
	// seen.
	drill  = regexp.MustCompile("(?s)<!-- (story: [a-z]+|sees) -->\n```\n(.*?)```\n")
	spaces = regexp.MustCompile(`[ \t]+`)
)

// TestDrills runs the blocks of docs/drills.md verbatim, all five drills on one
// pair of nodes, and looks for each line that the page says one sees; in the
// battery those of the Japanese page too, which has the same commands.
func TestDrills(t *testing.T) {
	t.Parallel()
	pages := map[string][][]string{}
	var typed [2][]string
	for i, lang := range []string{"en", "ja"} {
		page, err := os.ReadFile("../../docs/drills" + map[string]string{"en": ".md", "ja": ".ja.md"}[lang])
		if err != nil {
			t.Fatal(err)
		}
		pages[lang] = drill.FindAllStringSubmatch(string(page), -1)
		for _, b := range pages[lang] {
			if b[1] != "sees" {
				typed[i] = append(typed[i], b[1]+"\n"+b[2])
			}
		}
	}
	if len(typed[0]) < 12 || !slices.Equal(typed[0], typed[1]) {
		t.Fatalf("the pages have other commands:\n%s\n%s", typed[0], typed[1])
	}
	for _, lang := range []string{"en", "ja"}[:tier.N(1, 2)] {
		var script strings.Builder
		script.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\nexport NOROSHI_LANG=" + lang + "\n")
		for _, b := range pages[lang] {
			if b[1] != "sees" {
				script.WriteString("echo '== " + b[1] + "'\n" + b[2])
			}
		}
		seen(t, pages[lang], runStory(t, free(t, script.String())))
	}
}

// free puts free addresses in the place of those the page names.
func free(t *testing.T, story string) string {
	t.Helper()
	var pairs []string
	for _, port := range []string{"7111", "7112", "7121", "7122"} {
		l, err := cable.Listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // not before all are there
		pairs = append(pairs, "127.0.0.1:"+port, l.Addr().String())
	}
	return strings.NewReplacer(pairs...).Replace(story)
}

// seen holds what was printed against what the page says one sees.
func seen(t *testing.T, blocks [][]string, out string) {
	t.Helper()
	part := ""
	for _, b := range blocks {
		if b[1] != "sees" {
			_, part, _ = strings.Cut(out, "== "+b[1]+"\n")
			part, _, _ = strings.Cut(part, "\n== ")
			part = spaces.ReplaceAllString(part, " ")
			continue
		}
		for line := range strings.Lines(b[2]) {
			want := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(line)), "…", ".*")
			if !regexp.MustCompile(want).MatchString(part) {
				t.Errorf("nobody sees %q in\n%s", strings.TrimSpace(line), part)
			}
		}
	}
}
