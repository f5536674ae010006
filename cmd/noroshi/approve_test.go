package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestClean: what drives a terminal or hides in a text is shown as an escape,
// as JSON writes it; words of any language stay.
func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"防衛 naïve\ttab":                      "防衛 naïve\ttab",
		"evil\u202egpj.exe":                  `evil\u202egpj.exe`,
		"zero\u200bwidth\u200f\u061c\u2060x": `zero\u200bwidth\u200f\u061c\u2060x`,
		"\ufeffbom":                          `\ufeffbom`,
		"\x1b[2J\a\u009b\x7f":                `\u001b[2J\u0007\u009b\u007f`,
		"tag\U000e0041":                      `tag\udb40\udc41`,
		"two\u2028lines":                     `two\u2028lines`,
		"soft\u00adhyphen":                   `soft\u00adhyphen`,
	} {
		if got := clean(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	if got, want := cleanLines("{\r\n\t\"a\": \"\u202e\"\n}"), "{\n\t\"a\": \"\\u202e\"\n}"; got != want {
		t.Errorf("lines: %q, want %q", got, want)
	}
}

// TestApproveShows: before an officer signs, the command shows what the partner
// will see, with the rules that spoke and how many are not shown; a mark in
// other letters is shown as it reads, and nothing in the text hides.
func TestApproveShows(t *testing.T) {
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	jpn.Stop()
	pass := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(pass, []byte("correct-horse-battery"), 0o600); err != nil {
		t.Fatal(err)
	}
	var objects []string
	for _, n := range []string{"1", "2", "3", "4", "5", "6", "7"} {
		objects = append(objects, `{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-00000000000`+n+`","created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z",`+
			`"object_marking_refs":["`+string(noroshi.Green.MarkingID())+`"],"name":"ｍ `+"（Ｓ／／ＮＦ）\u202e"+`","description":"to be cut out","is_family":false,`+
			`"granular_markings":[{"marking_ref":"`+string(noroshi.Red.MarkingID())+`","selectors":["description"]}]}`)
	}
	usa.Import("b.json", "", strings.NewReader(`{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c09","objects":[`+strings.Join(objects, ",")+`]}`))
	usa.Settle()
	ask := func(want int, args ...string) (out, say string) {
		t.Helper()
		return asked(t, want, append(args, "--dir", usa.Dir)...)
	}
	has := func(got string, want ...string) {
		t.Helper()
		mentions(t, got, want...)
		if strings.Contains(got, "\u202e") {
			t.Errorf("an override of direction reaches the terminal:\n%s", got)
		}
	}
	out, _ := ask(exitOK, "release", "list", "-o", "json")
	var rows struct{ Data []web.HoldRow }
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows.Data) != 1 || rows.Data[0].Key != noroshi.Review {
		t.Fatalf("%v: %s", err, out)
	}
	hold := rows.Data[0].ID
	sign := []string{"release", "approve", hold, "--as", "release1", "--passphrase-file", pass}

	out, _ = ask(exitOK, "release", "show", hold, "--lang", "en")
	has(out, "rule 9: read as: (S//NF)", `\u202e`)
	out, _ = ask(exitOK, "release", "preview", hold, "--as", "JPN-01", "--lang", "ja")
	has(out, "規則9：文字の見え方：(S//NF)", `\u202e`, "（Ｓ／／ＮＦ）")
	out, _ = ask(exitOK, "release", "preview", hold, "--as", "JPN-01", "--diff", "--lang", "en")
	has(out, "rule 9: read as: (S//NF)", "- description")
	out, _ = ask(exitOK, "release", "explain", "malware--00000000-0000-4000-8000-000000000001", "--to", "JPN-01", "--lang", "en")
	has(out, "the text has a portion mark: (S//", "read as: (S//NF)")

	_, say := ask(exitUsage, append(sign, "--digest", "1", "--lang", "en")...)
	has(say, "at least 12 digits")
	_, say = ask(exitUsage, append(sign, "--digest", "00000000000", "--lang", "ja")...)
	has(say, "12桁以上")
	_, say = ask(exitRefused, append(sign, "--digest", strings.Repeat("0", 12))...)
	has(say, hold)
	var d web.HoldDetail
	usa.Must("release.show", web.HoldRef{Hold: hold}, &d)
	if d.State != "open" || d.CutOut != 7 || d.Less != 0 || len(d.Sample) != 5 {
		t.Errorf("the hold is %s, %d cut, %d less exact, %d shown", d.State, d.CutOut, d.Less, len(d.Sample))
	}
	_, say = ask(exitOK, append(sign, "--digest", d.Digest.String()[:12], "--lang", "en")...)
	has(say, `- description: "to be cut out"  [rule 7: “description” is cut out`, `name: "ｍ （Ｓ／／ＮＦ）\u202e"`, "rule 9: read as: (S//NF)",
		"and 2 more: noroshi release preview "+hold+" --as JPN-01 --diff", "Of 7 objects 7 go with parts cut out, 0 say parts less exactly.")
	if at := strings.Index(say, "Signing "+d.Digest.String()[:12]); at < strings.Index(say, "to be cut out") {
		t.Errorf("what is signed is not shown first:\n%s", say)
	}
}

// asked runs the command line and returns what it wrote.
func asked(t *testing.T, want int, args ...string) (out, say string) {
	t.Helper()
	var o, e bytes.Buffer
	if code := run(t.Context(), args, stdio{strings.NewReader(""), &o, &e}); code != want {
		t.Fatalf("%q: exit code %d, want %d: %s%s", args, code, want, o.String(), e.String())
	}
	return o.String(), e.String()
}

// mentions holds a text to having all of these in it.
func mentions(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("got\n%s\nwant %q in it", got, w)
		}
	}
}
