package intake_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/stix"
)

// kevOf makes a catalogue of one entry.
func kevOf(ransomware string) string {
	return `{"catalogVersion":"2026.01.01","count":1,"vulnerabilities":[{"cveID":"CVE-2026-12345","vendorProject":"Acme","product":"Gate",
"vulnerabilityName":"Acme Gate Vulnerability","dateAdded":"2026-01-02","shortDescription":"It opens.","requiredAction":"Close it.","dueDate":"2026-01-23",
"knownRansomwareCampaignUse":"` + ransomware + `","notes":"","cwes":["CWE-22"]}]}`
}

// TestKEV takes the whole catalogue: every object is good STIX, the same again
// adds nothing, and what changes becomes a later version.
func TestKEV(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	r := h.takeFile(testdata+"advisories/kev.json.gz", intake.ImportOptions{Marking: noroshi.Clear, Strict: true})
	if r.New != 4802 || r.Quarantined+r.Conflicts+r.Noted != 0 {
		t.Fatalf("%s: %+v %+v", sum(r), r.Faults, r.Notes)
	}
	if again := h.takeFile(testdata+"advisories/kev.json.gz", intake.ImportOptions{Marking: noroshi.Clear, Strict: true}); again.Unchanged != r.New+r.Unchanged || again.New+again.Updated+again.Marked != 0 {
		t.Errorf("the same again: %s", sum(again))
	}
}

func TestChangedEntryIsALaterVersion(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	id := stix.DeriveID("vulnerability", space, "cisa-kev\nvulnerability\nCVE-2026-12345")
	for i, c := range []struct{ ransomware, want, modified string }{
		{"Unknown", "new 4 updated 0 unchanged 0", "2026-01-02T00:00:00.000Z"},
		{"Unknown", "new 0 updated 0 unchanged 4", "2026-01-02T00:00:00.000Z"},
		{"Known", "new 0 updated 2 unchanged 2", "2026-11-22T10:00:00.000Z"},
		{"Known", "new 0 updated 0 unchanged 4", "2026-11-22T10:00:00.000Z"},
		{"Unknown", "new 0 updated 2 unchanged 2", "2026-11-22T10:00:00.001Z"},
	} {
		r := h.take("kev.json", kevOf(c.ransomware), intake.ImportOptions{Marking: noroshi.Green})
		got := h.current(id)
		if !strings.HasPrefix(sum(r), c.want) || got.Object.Modified.String() != c.modified || got.Object.Created.String() != "2026-01-02T00:00:00.000Z" {
			t.Errorf("%d: %s, created %s modified %s; want %s, %s", i, sum(r), got.Object.Created, got.Object.Modified, c.want, c.modified)
		}
		if got.Source != (noroshi.Source{Kind: noroshi.FromSelf, Name: "kev"}) || !got.Creator || len(got.Assigned) != 1 {
			t.Errorf("%d: source %+v, assigned %v", i, got.Source, got.Assigned)
		}
	}
}

// space is the UUID of the node's identity.
var space = [16]byte{0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x41, 0x11, 0x81, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11}

// TestSTIX20File takes a 2.0 bundle as it would one of 2.1: from the file, with
// a marking or a profile, and nothing the second time.
func TestSTIX20File(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	const path = "lift/testdata/every-type-2.0.json"
	r := h.takeFile(path, intake.ImportOptions{Marking: noroshi.Green, Strict: true})
	if r.Quarantined+r.Conflicts != 0 || r.New != 39 || r.Noted == 0 {
		t.Fatalf("%s: %+v", sum(r), r.Faults)
	}
	if again := h.takeFile(path, intake.ImportOptions{Marking: noroshi.Green, Strict: true}); again.New+again.Updated+again.Marked != 0 || again.Unchanged != r.New {
		t.Errorf("the same again: %s", sum(again))
	}
	got := h.current("identity--00000000-0000-4000-8000-000000000001")
	if got.Source != (noroshi.Source{Kind: noroshi.FromFile, Name: "every-type-2.0.json"}) || got.Creator || len(got.Assigned) != 1 {
		t.Errorf("source %+v, assigned %v", got.Source, got.Assigned)
	}
	p, err := intake.ParseProfile([]byte("name = \"x\"\npublisher = \"x\"\nen = \"x\"\nja = \"x\"\n[[tag]]\ntext = \"tlp:amber\"\nas = \"tlp:red\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	other := open(t, noroshi.Real, nil)
	if r := other.takeFile(path, intake.ImportOptions{Profile: p}); len(r.Mapped) == 0 || r.Mapped[0].Rule == "" {
		t.Errorf("by a profile: %+v", r.Mapped)
	}
	if got := other.current("indicator--00000000-0000-4000-8000-000000000005"); len(got.Assigned) != 1 || got.Assigned[0] != noroshi.Red.MarkingID() {
		t.Errorf("the tagged indicator is assigned %v", got.Assigned)
	}
}

// TestCSAFFiles takes two advisories of one publisher in, one after the other
// and again: what both speak of is one vulnerability with a version of each, and
// nothing is added the second time.
func TestCSAFFiles(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	first := string(bytesOf(t, "lift/testdata/csaf-vendor.json"))
	second := strings.NewReplacer("ACME-2026-001", "ACME-2026-002", "A crafted packet runs code.", "Also by mail.", "2026-03-05T18:30:00+09:00", "2026-03-09T18:30:00+09:00").Replace(first)
	o := intake.ImportOptions{Marking: noroshi.Clear, Strict: true}
	r := h.take("a.json", first, o)
	if r.New != 16 || r.Quarantined+r.Conflicts != 0 || r.Noted != 10 || len(r.Mapped) != 1 || r.Mapped[0].Marking != "TLP:AMBER" || r.Mapped[0].Count != 16 {
		t.Fatalf("%s noted %d, mapped %+v, faults %+v", sum(r), r.Noted, r.Mapped, r.Faults)
	}
	if r := h.take("b.json", second, o); r.Updated != 1 || r.Quarantined+r.Conflicts != 0 {
		t.Errorf("the second: %s; want the vulnerability updated", sum(r))
	}
	for _, text := range []string{first, second, first} {
		if r := h.take("c.json", text, o); r.New+r.Updated+r.Older+r.Conflicts+r.Quarantined != 0 {
			t.Errorf("again: %s", sum(r))
		}
	}
	id := stix.DeriveID("vulnerability", space, "csaf\nhttps://acme.example\nvulnerability\nCVE-2026-11111")
	got := h.current(id)
	if got.Object.Text("description") != "Remote code execution\n\nAlso by mail." || len(got.Assigned) != 1 || got.Assigned[0] != noroshi.Amber.MarkingID() {
		t.Errorf("%s, assigned %v", got.Object.Bytes(), got.Assigned)
	}
}

// TestLabelOfTheSourceHolds: a handling that is not understood keeps all of the
// document here, whatever the import says.
func TestLabelOfTheSourceHolds(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	text := strings.Replace(string(bytesOf(t, "lift/testdata/csaf-vendor.json")), `"label": "AMBER"`, `"label": "PURPLE"`, 1)
	r := h.take("a.json", text, intake.ImportOptions{Marking: noroshi.Clear})
	if len(r.Mapped) != 1 || r.Mapped[0] != (intake.Mapped{Rule: intake.HeldLabel, What: "PURPLE", Count: 16}) {
		t.Errorf("mapped %+v", r.Mapped)
	}
	got := h.current(stix.DeriveID("vulnerability", space, "csaf\nhttps://acme.example\nvulnerability\nCVE-2026-11111"))
	if labels := string(got.Object.Property("labels")); len(got.Assigned) != 0 || labels != `["handling: PURPLE"]` {
		t.Errorf("assigned %v, labels %s; want it unmarked", got.Assigned, labels)
	}
}

// TestDocumentRefused: what is no document of its format says where, and leaves
// nothing behind.
func TestDocumentRefused(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	for _, c := range []struct{ format, text, want string }{
		{"csaf", "{\n\"document\":{\"csaf_version\":\"2.0\"", "line 2"},
		{"kev", `{"x":1}`, "vulnerabilities"},
		{"stix20", `{"type":"bundle","objects":[`, "line 1"},
	} {
		r, err := h.Import(t.Context(), strings.NewReader(c.text), intake.ImportOptions{Name: "x.json", Format: c.format})
		var e *noroshi.Error
		if !errors.As(err, &e) || e.Code != "import.document" || !strings.Contains(err.Error(), c.want) || r.New != 0 {
			t.Errorf("%s: %v", c.format, err)
		}
	}
	if h.acts() != 0 {
		t.Errorf("%d acts are on record", h.acts())
	}
}

// TestLiftResumes: an interrupted import of a document goes on behind what it
// had done, and reads a changed one from its start.
func TestLiftResumes(t *testing.T) {
	text := string(bytesOf(t, testdata+"advisories/kev.json.gz"))
	for _, changed := range []bool{false, true} {
		h := open(t, noroshi.Real, nil)
		ctx, cancel := context.WithCancel(t.Context())
		o := intake.ImportOptions{Name: "kev.json", Progress: func(p intake.Progress) {
			if p.Objects >= 1000 {
				cancel()
			}
		}}
		first, err := h.Import(ctx, strings.NewReader(text), o)
		if !errors.Is(err, context.Canceled) || first.New < 900 || first.New > 1000 {
			t.Fatalf("interrupted: %s, error %v", sum(first), err)
		}
		o.Progress = nil
		again, resumed := text, 1000
		if changed {
			again, resumed = strings.TrimRight(text, "\n")+"\n\n", 0
		}
		r, err := h.Import(t.Context(), strings.NewReader(again), o)
		if err != nil || r.Resumed != resumed || first.New+r.New != 4802 || (r.Run == first.Run) == changed {
			t.Errorf("changed %v: %s resumed %d of run %s, error %v", changed, sum(r), r.Resumed, r.Run, err)
		}
	}
}
