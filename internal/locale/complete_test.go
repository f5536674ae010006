package locale_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/noroshi-cti/noroshi/internal/locale"
)

var (
	placeholder = regexp.MustCompile(`\{([0-9])(:[^}]*)?\}`)
	forbidden   = regexp.MustCompile(`摂取|目撃|君|ピエール`)
	// Every sentence ends politely; a label is a noun and has no full stop.
	aside    = regexp.MustCompile(`（[^（）]*）`)
	sentence = regexp.MustCompile(`[^。]*。`)
	polite   = regexp.MustCompile(`(です|ます|ました|ません|でした|ください|ましょう|でしょう|[0-9]})[」）]*。$`)
	plain    = regexp.MustCompile(`(である|だった|のだ|[^んまいけ]だ)[」）]*($|。)`)
	// Half-width punctuation that touches a Japanese character, full-width
	// letters and digits.
	halfWidth = regexp.MustCompile(`[\p{Han}\p{Hiragana}\p{Katakana}][,.!?:;()]|[,!?;()][\p{Han}\p{Hiragana}\p{Katakana}]`)
	wideLatin = regexp.MustCompile(`[０-９Ａ-Ｚａ-ｚ]`)
	hanKana   = regexp.MustCompile(`[\p{Han}\p{Hiragana}\p{Katakana}]`)
	counted   = regexp.MustCompile(`[0-9}] (?:名|人|件|秒|分|時間|日|回|桁|組|文字|行|版|個|バイト|ミリ秒|通|号)`)
	leadingEN = regexp.MustCompile(`^\s|\s$|[^\n ]  [^ ]`)
)

// latin lists the keys whose text is the same word in both languages.
var latin = map[string]bool{"kind.url": true}

func TestCataloguesAreComplete(t *testing.T) {
	en, ja := locale.Keys(locale.EN), locale.Keys(locale.JA)
	for _, k := range slices.Sorted(maps.Keys(en)) {
		if _, ok := ja[k]; !ok {
			t.Errorf("%s: no Japanese text", k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(ja)) {
		if _, ok := en[k]; !ok {
			t.Errorf("%s: no English text", k)
			continue
		}
		for _, fault := range faults(k, en[k], ja[k]) {
			t.Errorf("%s: %s\n  en: %s\n  ja: %s", k, fault, en[k], ja[k])
		}
	}
}

// faults says what is wrong with a pair of texts.
func faults(key, en, ja string) (found []string) {
	bad := func(is bool, what string) {
		if is {
			found = append(found, what)
		}
	}
	bad(strings.TrimSpace(en) == "" || strings.TrimSpace(ja) == "", "empty")
	bad(!slices.Equal(slots(en), slots(ja)), "different placeholders")
	bad(leadingEN.MatchString(en) || leadingEN.MatchString(ja), "stray spaces")
	bad(strings.IndexFunc(en+ja, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) >= 0, "control character")
	bad(forbidden.MatchString(ja), "forbidden word "+forbidden.FindString(ja))
	for _, one := range sentence.FindAllString(aside.ReplaceAllString(ja, ""), -1) {
		bad(!polite.MatchString(one), "plain style, want です・ます: "+one)
	}
	bad(plain.MatchString(ja), "plain style, want です・ます: "+plain.FindString(ja))
	bad(halfWidth.MatchString(ja), "half-width punctuation "+halfWidth.FindString(ja))
	bad(counted.MatchString(ja), "space between a number and what it counts: "+counted.FindString(ja))
	bad(wideLatin.MatchString(ja), "full-width letter or digit "+wideLatin.FindString(ja))
	if !latin[key] {
		bad(en == ja, "straight copy of English")
		bad(!hanKana.MatchString(ja), "no Japanese in it")
	}
	bad(hanKana.MatchString(en), "Japanese in the English text")
	return found
}

func slots(s string) []string {
	var out []string
	for _, m := range placeholder.FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestTheCheckFindsPlantedFaults plants one fault of each sort.
func TestTheCheckFindsPlantedFaults(t *testing.T) {
	if f := faults("k", "The file {0} is too large.", "ファイル {0} が大きすぎます。"); len(f) > 0 {
		t.Fatalf("a good pair: %v", f)
	}
	for name, p := range map[string][2]string{
		"copy":            {"Warning", "Warning"},
		"placeholder":     {"{0} of {1}", "{0}件"},
		"forbidden":       {"ingest", "摂取"},
		"plain style":     {"This is a file.", "これはファイルである。"},
		"plain past":      {"It failed.", "取込に失敗した。"},
		"half-width stop": {"Done.", "完了しました."},
		"half-width":      {"hold (open)", "保留(未処理)"},
		"space":           {"{0} files", "{0} 件のファイル"},
		"full-width":      {"page 1", "１ページ"},
		"no Japanese":     {"Warning", "Keihou"},
		"Japanese":        {"警報", "警報です"},
		"empty":           {"x", ""},
	} {
		if len(faults("k", p[0], p[1])) == 0 {
			t.Errorf("%s: %q / %q passes", name, p[0], p[1])
		}
	}
}

var quoted = regexp.MustCompile("\"([a-z0-9][A-Za-z0-9+:._-]*)\"|`([a-z0-9][A-Za-z0-9+:._-]*)`")

// columns are the headings of tables: the first field of a column of a row type.
var columns = regexp.MustCompile(`column\[[A-Za-z.]+\]\{"([a-z-]+)"`)

// TestKeysAndCodeAgree: no text that nothing uses, no text asked for by name
// that is not there, no error code without a text.
func TestKeysAndCodeAgree(t *testing.T) {
	used, asked := sources(t)
	have := locale.Keys(locale.EN)
	for _, k := range slices.Sorted(maps.Keys(have)) {
		if !used[k] && !inFamily(k, used) {
			t.Errorf("%s: no code uses this text", k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(asked)) {
		if _, ok := have[k]; !ok {
			t.Errorf("%s: asked for in %s, not in the catalogue", k, asked[k])
		}
	}
}

// inFamily reports whether code puts such keys together at run time: it quotes
// a beginning of the key that ends in a dot, and, of an error, its code, whole
// or in the same two parts.
func inFamily(key string, used map[string]bool) bool {
	if code, isError := strings.CutPrefix(key, "error."); isError {
		family, rest, _ := strings.Cut(code, ".")
		return used["error."] && (used[code] || used[family+"."] && used[rest])
	}
	for i, r := range key {
		if r == '.' && used[key[:i+1]] {
			return true
		}
	}
	return false
}

var (
	asks  = regexp.MustCompile(`locale\.T\([^,()]+(?:\([^()]*\))?,\s*"([^"]+)"\s*[,)]`)
	codes = regexp.MustCompile(`\bErrorf\(\s*(?:noroshi\.)?[A-Z][A-Za-z]+,\s*"([a-z0-9-]+(?:\.[a-z0-9-]+)+)"`)
)

// sources reads the module's own Go files and templates: every quoted word,
// and every key asked for with where.
func sources(t *testing.T) (used map[string]bool, asked map[string]string) {
	t.Helper()
	used, asked = map[string]bool{}, map[string]string{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		ext := filepath.Ext(path)
		if d.IsDir() || (ext != ".go" && ext != ".html") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range quoted.FindAllStringSubmatch(string(b), -1) {
			used[m[1]+m[2]] = true
		}
		if ext == ".go" {
			for _, m := range asks.FindAllStringSubmatch(string(b), -1) {
				asked[m[1]] = path
			}
			for _, m := range codes.FindAllStringSubmatch(string(b), -1) {
				asked["error."+m[1]] = path
			}
			for _, m := range columns.FindAllStringSubmatch(string(b), -1) {
				asked["col."+m[1]] = path
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(used) < 100 {
		t.Fatalf("only %d quoted words found: the walk went wrong", len(used))
	}
	return used, asked
}
