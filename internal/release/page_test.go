package release_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

var update = flag.Bool("update", false, "write the examples of docs/release.md and its Japanese twin anew")

// example is a marker of the page and the block the program fills.
var example = regexp.MustCompile("<!-- example: (\\S+?)( twice)? -->\n(?:```\n(?s:.*?)```\n)?")

// TestReleasePage holds the examples of docs/release.md and its Japanese twin
// against what the program decides of the samples.
func TestReleasePage(t *testing.T) {
	s, err := release.OpenSamples(os.DirFS(samples))
	if err != nil {
		t.Fatal(err)
	}
	for readme, link := range map[string]string{"README.md": "(docs/release.md)", "README.ja.md": "(docs/release.ja.md)"} {
		if b, err := os.ReadFile("../../" + readme); err != nil || !strings.Contains(string(b), link) {
			t.Errorf("%s has no link %s (%v)", readme, link, err)
		}
	}
	var first []string
	for lang, name := range map[locale.Lang]string{locale.EN: "../../docs/release.md", locale.JA: "../../docs/release.ja.md"} {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		want := example.ReplaceAllStringFunc(string(page), func(m string) string {
			p := example.FindStringSubmatch(m)
			files = append(files, p[1]+p[2])
			return strings.SplitAfter(m, "\n")[0] + "```\n" + exampleOf(t, s, lang, p[1], p[2] != "") + "```\n"
		})
		if first == nil {
			first = files
		}
		if len(files) < 20 || !slices.Equal(files, first) {
			t.Errorf("%s has the examples %q, its twin %q", name, files, first)
		}
		for n := 1; n <= 10; n++ {
			if !strings.Contains(want, fmt.Sprintf("## Rule %d:", n)) && !strings.Contains(want, fmt.Sprintf("## 規則%d：", n)) {
				t.Errorf("%s does not explain rule %d", name, n)
			}
		}
		switch {
		case want == string(page):
		case *update:
			if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("%s says something else than the program: run this test with -update and look at the difference", name)
		}
	}
}

// exampleOf says what is decided of a sample: for each object and partner the
// outcome, what is cut out, and the rules that decided.
func exampleOf(t *testing.T, s *release.Samples, lang locale.Lang, file string, twice bool) string {
	t.Helper()
	at := slices.IndexFunc(s.Cases(), func(c release.SampleCase) bool { return c.File == file })
	if at < 0 {
		t.Fatalf("no sample %s", file)
	}
	c := s.Cases()[at]
	objects, err := s.Objects(file)
	if err != nil {
		t.Fatal(err)
	}
	if twice {
		last := objects[len(objects)-1]
		other, err := stix.Parse([]byte(strings.Replace(string(last.Bytes()), `"name": "`, `"name": "Another `, 1)))
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, other)
	}
	var b strings.Builder
	held := map[locale.Lang]string{locale.EN: "%s, at %s\n", locale.JA: "%s（保有：%s）\n"}
	fmt.Fprintf(&b, held[lang], file, c.Holder)
	partners := slices.DeleteFunc([]string{"USA", "JPN", "ROK", "PUBLIC"}, func(p string) bool { return c.Expected[p] == nil })
	type row struct{ who, what string }
	for i := range objects {
		var rows []row
		for _, p := range partners {
			cs, err := s.Case(c.Holder, p, c.Mode, objects)
			if err != nil {
				t.Fatal(err)
			}
			if i >= len(cs.Items) || cs.Items[i].Type == "marking-definition" {
				continue
			}
			d := release.Decide(cs)[i]
			who := p
			if p == "PUBLIC" {
				who = map[locale.Lang]string{locale.EN: "public", locale.JA: "一般"}[lang]
			}
			what := said(lang, &d)
			if n := len(rows); n > 0 && rows[n-1].what == what {
				rows[n-1].who += map[locale.Lang]string{locale.EN: ", ", locale.JA: "、"}[lang] + who
			} else {
				rows = append(rows, row{who, what})
			}
		}
		for n, r := range rows {
			if n == 0 {
				fmt.Fprintf(&b, "  %s\n", objects[i].Type)
			}
			fmt.Fprintf(&b, map[locale.Lang]string{locale.EN: "    %s: %s\n", locale.JA: "    %s：%s\n"}[lang], r.who, r.what)
		}
	}
	return b.String()
}

// said is a decision as commands say it.
func said(lang locale.Lang, d *release.Decision) string {
	head := locale.T(lang, "outcome."+d.Outcome.String())
	if d.Key != "" {
		head += map[locale.Lang]string{locale.EN: " (%s)", locale.JA: "（%s）"}[lang]
		head = fmt.Sprintf(head, locale.T(lang, "hold."+string(d.Key)))
	}
	parts := []string{head}
	for _, r := range d.Reasons {
		rule := release.RuleOf(r.Code)
		if rule == 0 || r.Outcome != d.Outcome || r.Key != d.Key {
			continue
		}
		var args []string
		for _, a := range append([]string{r.Marking}, r.Args...) {
			if a != "" {
				args = append(args, a)
			}
		}
		text := locale.T(lang, "cli.rule", fmt.Sprint(rule), locale.T(lang, "reason."+r.Code, locale.Strings(args)...))
		if !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "\n      ")
}
