package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestExplainFile: the officer is told by outcome and reason what would become
// of a real bundle, object by object where a program asks, and in words of what
// is no bundle.
func TestExplainFile(t *testing.T) {
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	jpn.Stop()
	folder := t.TempDir()
	file := func(text string) string {
		t.Helper()
		name := filepath.Join(folder, "in")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	ask := func(want int, args ...string) (out, say string) {
		t.Helper()
		return asked(t, want, append([]string{"release", "explain", "--to", "JPN-01", "--dir", usa.Dir}, args...)...)
	}
	const data = "../../testdata/"

	out, _ := ask(exitOK, data+"indicators/stix/candiru.json", "--lang", "en")
	mentions(t, out, "251", "held", "a marking must be assigned", "rule 1: no handling marking")
	out, _ = ask(exitOK, data+"indicators/stix/pegasus.json.gz", "--profile", "mvt", "--lang", "en")
	mentions(t, out, "3099", "released", "clause 1 releases it", "3099 objects: TLP:GREEN, as the publisher marks nothing")
	out, _ = ask(exitOK, data+"attack/ics-attack-18.1.json.gz", "--profile", "attack", "--lang", "ja")
	mentions(t, out, "1822", "提供", "条項 1", "1824件：公開元が取扱区分を付けないため TLP:GREEN", "1件：該当する規則がないため取扱区分なしのまま")
	out, _ = ask(exitOK, data+"indicators/stix/rcs.json", "--marking", "tlp:red", "--lang", "en")
	mentions(t, out, "81", "denied", "rule 3", "TLP:RED is never sent")

	out, _ = ask(exitOK, data+"indicators/stix/rcs.json", "--profile", "mvt", "-o", "json")
	var w web.Weighed
	if err := json.Unmarshal([]byte(out), &w); err != nil || len(w.Objects) != 81 || w.Objects[0].Sees == "" || len(w.Objects[0].Rules) == 0 || len(w.Summary) != 1 || w.Summary[0].Count != 81 {
		t.Errorf("as json: %v %+v", err, w.Summary)
	}
	out, _ = ask(exitOK, data+"indicators/stix/rcs.json", "--profile", "mvt", "-o", "jsonl")
	if lines := strings.Count(out, "\n"); lines != 81 || strings.Count(out, `"outcome":"release"`) != 81 {
		t.Errorf("as jsonl: %d lines", lines)
	}
	out, _ = ask(exitOK, data+"indicators/stix/rcs.json", "--profile", "mvt", "-o", "csv")
	if lines := strings.Count(out, "\n"); lines != 82 {
		t.Errorf("as csv: %d lines", lines)
	}

	// A profile of the user's own, and wrong ones.
	profile := "name = \"own\"\npublisher = \"x\"\nen = \"x\"\nja = \"x\"\nunmarked = \"tlp:red\"\ntypes = [\"malware\"]\nmakers = [\"\"]\n"
	for text, want := range map[string]int{profile: exitOK, profile + "clear = true\n": exitUsage, "name": exitUsage} {
		if out, _ := ask(want, data+"indicators/stix/rcs.json", "--profile", file(text), "--lang", "en"); want == exitOK {
			mentions(t, out, "1 objects: TLP:RED")
		}
	}
	_, say := ask(exitNotFound, data+"indicators/stix/rcs.json", "--profile", "everything", "--lang", "en")
	mentions(t, say, "everything", "attack, misp-tags, mvt, opencti")
	_, say = ask(exitNotFound, data+"indicators/stix/rcs.json", "--profile", "./none.toml", "--lang", "ja")
	mentions(t, say, "none.toml")
	_, say = ask(exitUsage, data+"indicators/stix/rcs.json", "--profile", "mvt", "--marking", "tlp:green", "--lang", "ja")
	mentions(t, say, "どちらか一方")

	// What is no bundle.
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write([]byte(`{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c09","objects":[`))
	for range 70 {
		_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20))
	}
	_ = z.Close()
	for name, c := range map[string]struct {
		in   string
		want string
	}{
		"empty":        {"", "no STIX object"},
		"white space":  {" \n\n", "no STIX object"},
		"empty bundle": {`{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c09","objects":[]}`, "no STIX object"},
		"text":         {"mydomain.com\n", "cannot be read"},
		"broken off":   {`{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c09","objects":[{"type":`, "cannot be read"},
		"binary":       {"\x00\xff\xfe", "cannot be read"},
		"short gz":     {"\x1f\x8b\x08", "breaks off or is damaged"},
		"huge, packed": {bomb.String(), "larger than 67108864 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, say := ask(exitUsage, file(c.in), "--lang", "en")
			mentions(t, say, c.want)
		})
	}
	out, say = ask(exitOK, file(`[{"type":"malware"},{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"x","is_family":false}]`), "--lang", "en")
	mentions(t, say, "1 objects of the file cannot be read")
	mentions(t, out, "no handling marking")
}

// newNode makes a node and what runs commands in it: with an exit code that must
// be, it returns what a command printed and what it said beside.
func newNode(t *testing.T) func(want int, args ...string) (out, say string) {
	t.Helper()
	dir := t.TempDir()
	do := func(want int, args ...string) (string, string) {
		t.Helper()
		return asked(t, want, append(args, "--dir", dir)...)
	}
	do(exitOK, "init", "--yes", "--org", "USA-01")
	return do
}

// TestImportMistakes: what is no import is told with the file's name and what to
// type instead, and nothing of it is taken in.
func TestImportMistakes(t *testing.T) {
	do := newNode(t)
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, lang, want string }{
		"empty.txt":    {"", "ja", "empty.txt には何も入っていません"},
		"comments.txt": {"# none today\n\n", "en", "nothing in comments.txt"},
		"hosts.csv":    {"seen,host\n2026-01-01,a.example\n", "ja", "--columns value=列"},
		"ioc.csv":      {"seen,ioc\n2026-01-01,a.example\n", "en", "Give --format csv"},
		"binary":       {"\x00\x01", "ja", "binary は STIX でも一覧でも"},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, say := do(exitUsage, "import", file, "--lang", c.lang); out != "" || !strings.Contains(say, c.want) {
			t.Errorf("%s: %s%s, want %s", name, out, say, c.want)
		}
	}
	if out, _ := do(exitOK, "quarantine", "list", "-o", "json"); strings.TrimSpace(out) != `{"data":[]}` {
		t.Errorf("in quarantine: %s", out)
	}
	// Why a line waits is said in the reader's language.
	list := filepath.Join(dir, "list.txt")
	if err := os.WriteFile(list, []byte("a.example\nno_such.example:x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := do(exitPartly, "import", list, "--marking", "tlp:green", "--lang", "ja")
	if !strings.Contains(out, "2行目") || !strings.Contains(out, "アドレスとポートの組でもありません）") || strings.Contains(out, " is no ") {
		t.Errorf("a fault: %s", out)
	}
	do(exitOK, "import", filepath.Join(dir, "hosts.csv"), "--columns", "value=host", "--marking", "tlp:green")
}

// TestImportProfiles: the profiles are listed in both languages, and the report
// of an import says what was mapped.
func TestImportProfiles(t *testing.T) {
	do := newNode(t)
	for lang, want := range map[string]string{"en": "TLP as tags in labels", "ja": "TLP を labels のタグで表示"} {
		if out, _ := do(exitOK, "import", "--profiles", "--lang", lang); !strings.Contains(out, want) || strings.Count(out, "\n") != 5 {
			t.Errorf("profiles (%s): %s", lang, out)
		}
	}
	if out, _ := do(exitOK, "import", "../../testdata/indicators/stix/rcs.json", "--profile", "mvt", "--lang", "ja"); !strings.Contains(out, "81件") {
		t.Errorf("report: %s", out)
	}
	if out, _ := do(exitOK, "import", "../../testdata/indicators/stix/rcs.json", "--profile", "mvt", "-o", "json"); !strings.Contains(out, `"mapped":[{"rule":"unmarked","marking":"TLP:GREEN","count":81}]`) {
		t.Errorf("report: %s", out)
	}
	if _, say := do(exitUsage, "import", "--lang", "en"); !strings.Contains(say, "<file>") {
		t.Errorf("no file: %s", say)
	}
}
