package release_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

func TestPortionMark(t *testing.T) {
	for text, want := range map[string]bool{
		"plain text":                    false,
		"(S//NF) Collected at site 4.":  true,
		"(C) 2026 Example":              true,
		"end of text.(S)":               true,
		"(TS//SI//NOFORN)":              true,
		"(s//nf) in lower case":         true,
		"server(s) and host(c)":         false,
		"noforn":                        true,
		"U//NF":                         true,
		"（Ｓ／／ＮＦ） full width":            true,
		"(S\u200b//NF) zero width":      true,
		"(\u202eS\u202c)":               true,
		"【極秘】関係部署限り":                    true,
		"（秘）":                           true,
		"(機密)":                          true,
		"［特定秘密］":                        true,
		"〔取扱厳重注意〕":                      true,
		"【極秘・指定】":                       true,
		"㊙資料":                           true,
		"🄢 parenthesised":               true,
		"( S ) spaced":                  true,
		"(S // NF)":                     true,
		"U//nf":                         true,
		"see http://nfl.example":        false,
		"(\u0405//NF) Cyrillic":         true,
		"(\u0421) Cyrillic":             true,
		"N\u039fF\u041eRN":              true,
		"(S\u0332) underlined":          true,
		"(\u015a//x) accented":          true,
		"(S\u2215\u2215REL)":            true,
		"\u2768TS\u2769 other brackets": true,
		"(S\u0000)":                     true,
		"(S\u3164)":                     true,
		"\u202e(FN//S)\u202c":           true,
		"\u202e(FN//U)\u202c":           true,
		"【極 秘】":                         true,
		"【取扱注意・極秘】":                     true,
		"（区分：秘）":                        true,
		"〖機　密〗":                         true,
		"【祕】":                           true,
		"【極\u200b秘】":                    true,
		"極秘でない":                         false,
		"（機密性・完全性）":                     false,
		"「秘」と書く":                        false,
		"機密性への影響:中。SECRETS MANAGER の設定を確認。": false,
		"(機密性)": false,
		"秘書課":   false,
	} {
		for _, member := range []string{"name", "description", "x_note"} {
			raw, err := json.Marshal(map[string]any{"type": "x", member: text, "nested": []any{map[string]any{"deep": "ok"}}})
			if err != nil {
				t.Fatal(err)
			}
			if got := release.PortionMark(raw) != ""; got != want {
				t.Errorf("%s %q: mark %v, want %v", member, text, got, want)
			}
		}
	}
}

func TestPortionMarkPlaces(t *testing.T) {
	for raw, want := range map[string]bool{
		`{"pattern":"[file:name = '(S//NF)']"}`:                          false,
		`{"pattern":"[file:name = '(S//NF)']","name":"é"}`:               false,
		`{"pattern":"[file:name = 'é(S//NF)']","description":"(S//NF)"}`: true,
		`{"x":{"pattern":"(S//NF)é"}}`:                                   true,
		`{"(S//NF)":"a member's name é"}`:                                true,
		`{"labels":["a","(S//NF)é"]}`:                                    true,
		`{"name":"\u0028S\u0029"}`:                                       true,
		`{"name":"pattern","y":"(S)é"}`:                                  true,
	} {
		if got := release.PortionMark([]byte(raw)) != ""; got != want {
			t.Errorf("%s: mark %v, want %v", raw, got, want)
		}
	}
}

func FuzzPortionMark(f *testing.F) {
	f.Add([]byte(`{"name":"(S//NF)"}`))
	f.Add([]byte(`{"pattern":"x","name":"\ud83d\udd12"}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, b []byte) { release.PortionMark(b) })
}

// TestReadAs: a mark that is written in other letters is told as it reads, to
// the end of its brackets; one that is written so is not told twice.
func TestReadAs(t *testing.T) {
	for text, want := range map[string]string{
		"(S//NF) plain":      "",
		"NOFORN":             "",
		"㊙":                  "",
		"（Ｓ／／ＮＦ） full width": "(S//NF)",
		"N\u041eFORN":        "NOFORN",
		"(\u0405)":           "(S)",
		"【極　秘】":              "【極 秘】",
		"\u202e(FN//S)":      "(S//NF)",
		"(S\u200b//no end ｘ" + strings.Repeat("x", 50) + ")": "(S//",
	} {
		raw, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		o, err := stix.Parse([]byte(object("malware", 1, usa.Identity, noroshi.Green, `,"is_family":false,"name":`+string(raw))))
		if err != nil {
			t.Fatal(err)
		}
		c := release.Case{Realm: real, Now: now, Self: usa.Identity, Partner: jpn, Clauses: agreed(t)}
		it := release.ItemOf(o, release.Facts{Source: made, Self: usa.Identity, Partner: jpn, Label: noroshi.Label{TLP: noroshi.Green}, Mark: release.PortionMark(o.Bytes())})
		got := ""
		for _, r := range one(c, it).Reasons {
			if r.Code == release.ReadAs {
				got = r.Args[0]
			}
		}
		if it.Mark == "" || got != want {
			t.Errorf("%q has mark %q, read as %q, want %q", text, it.Mark, got, want)
		}
	}
}
