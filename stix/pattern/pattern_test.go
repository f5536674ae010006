package pattern_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix/pattern"
)

type vector struct {
	ID          string
	Pattern     string
	Expected    string
	InvalidKind string `json:"invalid_kind"`
	SpecVersion string `json:"spec_version"`
	NeedsPCRE   bool   `json:"needs_pcre"`
}

type vectorFile struct {
	Vectors      []vector
	ParseVectors []vector `json:"parse_vectors"`
}

func vectors(t testing.TB) vectorFile {
	t.Helper()
	b, err := os.ReadFile("../../testdata/stix-pattern/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var f vectorFile
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestVectors(t *testing.T) {
	f := vectors(t)
	if len(f.Vectors) != 576 || len(f.ParseVectors) != 235 {
		t.Fatalf("got %d and %d vectors, want 576 and 235", len(f.Vectors), len(f.ParseVectors))
	}
	for _, v := range append(f.Vectors, f.ParseVectors...) {
		p, err := pattern.Parse(v.Pattern, pattern.Options{Version20: v.SpecVersion == "2.0"})
		if valid := v.Expected != "invalid"; valid != (err == nil) {
			t.Errorf("%s %q: got error %v, want %s", v.ID, v.Pattern, err, v.Expected)
			continue
		}
		if err == nil {
			roundTrip(t, p)
			continue
		}
		var e *pattern.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v is no *pattern.Error", v.ID, err)
			continue
		}
		if want := v.InvalidKind; want != "" && e.Code != want {
			t.Errorf("%s %q: got code %s (%v), want %s", v.ID, v.Pattern, e.Code, err, want)
		}
	}
}

// roundTrip checks that the normal spelling parses to the same tree.
func roundTrip(t testing.TB, p *pattern.Pattern) {
	t.Helper()
	s := p.Expr().String()
	if len(s) > pattern.MaxBytes {
		return // quoting may lengthen a pattern past the limit
	}
	q, err := pattern.Parse(s, pattern.Options{})
	var e *pattern.Error
	if errors.As(err, &e) && e.Code == "depth" {
		return // qualifiers without parentheses are written with them
	}
	if err != nil {
		t.Fatalf("%q, written as %q: %v", p, s, err)
	}
	if got := q.Expr().String(); got != s {
		t.Fatalf("%q: got %q after another round, want %q", p, got, s)
	}
}

func TestBacktracking(t *testing.T) {
	for _, v := range vectors(t).Vectors {
		p, err := pattern.Parse(v.Pattern, pattern.Options{})
		if err != nil {
			continue
		}
		o, ok := p.Expr().(*pattern.Observation)
		if !ok {
			continue
		}
		if c, ok := o.Test.(*pattern.Comparison); ok && c.Backtracking != v.NeedsPCRE {
			t.Errorf("%s %q: got backtracking %t, want %t", v.ID, v.Pattern, c.Backtracking, v.NeedsPCRE)
		}
	}
}

func TestParsePosition(t *testing.T) {
	for _, c := range []struct {
		name, in, code string
		offset, column int
	}{
		{"end", "[a:b = 1", "syntax", 8, 9},
		{"characters before bytes", "[a:b = '日本' AND]", "syntax", 19, 16},
		{"bad byte", "[a:b = '\xff']", "utf8", 7, 8},
		{"bad byte outside", "[a:b\xff]", "utf8", 4, 5},
		{"qualifier twice", "[a:b=1] WITHIN 5 SECONDS WITHIN 6 SECONDS", "qualifier", 25, 26},
		{"negative index", "[a:b[-1] = 1]", "constant", 5, 6},
		{"repeats too many", "[a:b=1] REPEATS 99999999999 TIMES", "constant", 8, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := pattern.Parse(c.in, pattern.Options{})
			var e *pattern.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want *pattern.Error", err)
			}
			if e.Code != c.code || e.Offset != c.offset || e.Column != c.column {
				t.Errorf("got %s at %d, column %d (%v), want %s at %d, column %d", e.Code, e.Offset, e.Column, err, c.code, c.offset, c.column)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	nested := func(n int) string {
		return strings.Repeat("(", n) + "[a:b = 1]" + strings.Repeat(")", n)
	}
	for _, c := range []struct {
		name, in, code string
	}{
		{"at the depth", nested(pattern.MaxDepth), ""},
		{"below the depth", nested(pattern.MaxDepth + 1), "depth"},
		{"brackets and parentheses add up", strings.Repeat("(", 40) + "[" + strings.Repeat("(", 40), "depth"},
		{"sixty thousand parentheses", strings.Repeat("(", 60000), "depth"},
		{"too long", "[a:b = '" + strings.Repeat("x", pattern.MaxBytes) + "']", "too-long"},
		{"a long chain", "[a:b = 1" + strings.Repeat(" OR a:b = 1", 5000) + "]", ""},
		{"a long chain of observations", "[a:b=1]" + strings.Repeat(" OR [a:b=1]", 5000), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := pattern.Parse(c.in, pattern.Options{})
			var e *pattern.Error
			switch {
			case c.code == "" && err != nil:
				t.Errorf("got %v, want none", err)
			case c.code != "" && (!errors.As(err, &e) || e.Code != c.code):
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}

func TestVersion20(t *testing.T) {
	in := "[a:b = 1] START '2020-01-01T00:00:00Z' STOP '2020-01-02T00:00:00Z'"
	if _, err := pattern.Parse(in, pattern.Options{}); err == nil {
		t.Error("2.1 accepts START with a plain string")
	}
	p, err := pattern.Parse(in, pattern.Options{Version20: true})
	if err != nil {
		t.Fatal(err)
	}
	want := "[a:b = 1] START t'2020-01-01T00:00:00Z' STOP t'2020-01-02T00:00:00Z'"
	if got := p.Expr().String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestString(t *testing.T) {
	for in, want := range map[string]string{
		`[a:b=='x'or:c]`:                                                 "",
		"[a:b <> 1 AND (c:d = 2 OR e:f = 3)]":                            "[a:b != 1 AND (c:d = 2 OR e:f = 3)]",
		`[a:'x-y'.'' [*].z[3] IN ('\'',  'b')]`:                          `[a:'x-y'.''[*].z[3] IN ('\'', 'b')]`,
		"[a:'AND' NOT = h'4D5A']":                                        "[a:'AND' NOT = h'4d5a']",
		"([a:b=1]FOLLOWEDBY[a:b=2])WITHIN 5 SECONDS OR [NOT EXISTS a:c]": "([a:b = 1] FOLLOWEDBY [a:b = 2]) WITHIN 5 SECONDS OR [NOT EXISTS a:c]",
	} {
		p, err := pattern.Parse(in, pattern.Options{})
		if want == "" {
			if err == nil {
				t.Errorf("%s: got no error", in)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := p.Expr().String(); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
		roundTrip(t, p)
	}
}

func FuzzParse(f *testing.F) {
	v := vectors(f)
	for _, v := range append(v.Vectors, v.ParseVectors...) {
		f.Add(v.Pattern, v.SpecVersion == "2.0")
	}
	f.Fuzz(func(t *testing.T, s string, old bool) {
		p, err := pattern.Parse(s, pattern.Options{Version20: old})
		if err == nil {
			roundTrip(t, p)
			return
		}
		var e *pattern.Error
		if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(s) || e.Msg == "" {
			t.Fatalf("%q: error without place: %#v", s, err)
		}
	})
}
