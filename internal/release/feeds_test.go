package release_test

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// feeds are the real bundles of testdata and the profile each is imported with.
var feeds = []struct {
	file, profile string
	objects       int      // all but marking definitions
	kept          []string // what stays here
	cut           string   // what goes without a reference to that
}{
	{"indicators/stix/rcs.json", "mvt", 81, nil, ""},
	{"indicators/stix/kingspawn.json", "mvt", 335, nil, ""},
	{"indicators/stix/candiru.json", "mvt", 251, nil, ""},
	{"indicators/stix/wyrmspy_dragonegg.json", "mvt", 107, nil, ""},
	{"indicators/stix/pegasus.json.gz", "mvt", 3099, nil, ""},
	{"attack/ics-attack-18.1.json.gz", "attack", 1825, // one group names no maker, and one relationship names the group
		[]string{"intrusion-set--68ba94ab-78b8-43e7-83e2-aed3466882c6", "relationship--"}, "x-mitre-collection"},
}

// gate is the entry gate of the office's store.
func (o *office) gate() *intake.Gate {
	return intake.New(o.store, intake.Options{Realm: real, Node: usa.Node, Self: noroshi.Organisation{CallSign: usa.CallSign, Identity: usa.Identity},
		Now: func() time.Time { return o.now }})
}

func (o *office) importAs(name, profile string, r io.Reader) intake.Report {
	o.t.Helper()
	p, err := intake.ProfileNamed(profile)
	if err != nil {
		o.t.Fatal(err)
	}
	report, err := o.gate().Import(o.ctx, r, intake.ImportOptions{Name: name, Profile: p})
	if err != nil {
		o.t.Fatal(err)
	}
	return report
}

// statementsOf are the statements an officer is told to allow for a profile.
func statementsOf(t *testing.T) (texts []string) {
	for _, p := range intake.Profiles() {
		for _, s := range p.Statements {
			texts = append(texts, s.Text)
		}
	}
	if len(texts) == 0 {
		t.Error("no profile has a statement")
	}
	return texts
}

func (o *office) agreeAs(statements []string) {
	o.agree(jpn, release.Template(release.Draft{Realm: real, Self: usa, Partner: jpn, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 1, 0), Statements: statements}))
	o.settle()
}

// TestFeedsWithProfiles: imported with its profile, at most 2 % of a real feed
// is held under the template agreement, and what goes is byte for byte what came.
func TestFeedsWithProfiles(t *testing.T) {
	for _, f := range feeds {
		t.Run(filepath.Base(f.file), func(t *testing.T) {
			o := newOffice(t)
			o.agreeAs(statementsOf(t))
			in, err := os.Open("../../testdata/" + f.file)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			r := o.importAs(filepath.Base(f.file), f.profile, in)
			o.settle()
			want := readCorpus(t, f.file)
			got := o.sends(jpn)
			kept := 0
			for _, ob := range want {
				b, gone := got[ob.ID]
				if gone && b != string(ob.Bytes()) && ob.Type != f.cut {
					t.Errorf("%s goes changed", ob.ID)
				}
				if !gone && ob.Type != "marking-definition" {
					if kept >= len(f.kept) || !slices.ContainsFunc(f.kept, func(k string) bool { return strings.HasPrefix(string(ob.ID), k) }) {
						t.Errorf("%s stays here", ob.ID)
					}
					kept++
				}
			}
			t.Logf("%s: %d of %d kept here; %+v", f.file, kept, f.objects, r.Mapped)
			if kept*100 > f.objects*2 {
				t.Errorf("%d of %d objects stay here: %+v", kept, f.objects, o.holds())
			}
			if left := len(f.kept) / 2; r.Mapped[0] != (intake.Mapped{Rule: intake.MappedUnmarked, Marking: "TLP:GREEN", Count: f.objects - left}) || len(r.Mapped) != 1+left {
				t.Errorf("mapped %+v", r.Mapped)
			}
		})
	}
}

// TestProfilesReleaseNothingElse: what a feed must not make go, whatever profile
// it is imported with, mixed into a real bundle.
func TestProfilesReleaseNothingElse(t *testing.T) {
	const (
		mitreID stix.ID = "identity--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5"
		claim   stix.ID = "marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168"
		private         = "marking-definition--94868c89-83c2-4f24-ae4d-79f2bf239a72" // seen in public text for CLEAR
	)
	clear := func(id stix.ID) string {
		return fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":"%s","created":"2022-10-01T00:00:00.000Z","name":"TLP:CLEAR","definition_type":"tlp","definition":{"tlp":"clear"}}`, id)
	}
	refs := func(ids ...stix.ID) string {
		q := make([]string, len(ids))
		for i, id := range ids {
			q[i] = `"` + string(id) + `"`
		}
		return `,"object_marking_refs":[` + strings.Join(q, ",") + `]`
	}
	by := `,"created_by_ref":"` + string(mitreID) + `"`
	green, red := noroshi.Green.MarkingID(), noroshi.Red.MarkingID()
	must := map[string]string{
		"a private id that says CLEAR":           refs(private),
		"that id beside GREEN":                   refs(private, green),
		"a well-known id that is redefined":      refs("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9") + `,"description":"x"`,
		"a near-miss id without a definition":    refs("marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bc"),
		"OpenCTI's AMBER+STRICT":                 refs("marking-definition--826578e1-40ad-459f-bc73-ede076f81f37"),
		"RED":                                    refs(red),
		"AMBER of a third party":                 refs(noroshi.Amber.MarkingID()),
		"the statement and RED":                  by + refs(claim, red),
		"another statement":                      by + refs("marking-definition--00000000-0000-4000-8000-00000000f001"),
		"the statement, another maker":           `,"created_by_ref":"` + string(kor.Identity) + `"` + refs(claim),
		"a tag that says RED":                    `,"labels":["tlp:red"]`,
		"the same beside GREEN and CLEAR":        refs(green) + `,"labels":["tlp:clear","TLP:RED"]`,
		"a tag that says AMBER":                  `,"labels":["TLP:Amber"]`,
		"the same beside GREEN":                  refs(green) + `,"labels":["tlp:amber"]`,
		"Chatham House":                          `,"labels":["tlp:white","tlp:ex:chr"]`,
		"Chatham House beside GREEN":             refs(green) + `,"labels":["tlp:ex:chr"]`,
		"a level nobody knows":                   `,"labels":["tlp:white","tlp:blue"]`,
		"a classification in a tag":              `,"labels":["tlp:white","Classification: Secret"]`,
		"a classification in a tag beside GREEN": refs(green) + `,"labels":["極秘"]`,
		"a portion mark":                         `,"description":"(S//NF) x","labels":["tlp:white"]`,
		"a portion mark of ATT&CK's":             by + refs(claim) + `,"description":"【極秘】x"`,
		"another maker":                          `,"created_by_ref":"` + string(kor.Identity) + `"`,
		"a name marked RED":                      `,"granular_markings":[{"marking_ref":"` + string(red) + `","selectors":["name"]}]`,
		"markings in another case":               `,"OBJECT_MARKING_REFS":["` + string(red) + `"]`,
	}
	names := slices.Sorted(maps.Keys(must))
	for _, profile := range intake.Profiles() {
		t.Run(profile.Name, func(t *testing.T) {
			o := newOffice(t)
			o.agreeAs(statementsOf(t))
			lines := []string{clear(private), clear("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"),
				fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":"%s","created":"2017-06-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":%q}}`, claim, mitre),
				`{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000000-0000-4000-8000-00000000f001","created":"2017-06-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"For Official Use Only"}}`,
				`{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--826578e1-40ad-459f-bc73-ede076f81f37","created":"2017-06-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"custom"},"x_opencti_definition_type":"TLP","x_opencti_definition":"TLP:AMBER+STRICT"}`}
			lines[1] = strings.Replace(lines[1], `"clear"}`, `"red"}`, 1)
			for i, name := range names {
				lines = append(lines, fmt.Sprintf(`{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"KEEP-%d","is_family":false%s}`, i, i, must[name]))
			}
			o.importAs("mixed.json", profile.Name, strings.NewReader(strings.Join(lines, "\n")))
			in, err := os.Open("../../testdata/indicators/stix/rcs.json")
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			o.importAs("rcs.json", profile.Name, in)
			o.settle()
			sent := o.sends(jpn)
			all := strings.Join(slices.Collect(maps.Values(sent)), "\n")
			for i, name := range names {
				if strings.Contains(all, fmt.Sprintf(`"KEEP-%d"`, i)) {
					t.Errorf("%s: goes", name)
				}
			}
			if n := len(sent); profile.Name == "mvt" && n != 81 || profile.Name != "mvt" && n > 1 {
				t.Errorf("%d objects go beside them", n)
			}
		})
	}
}

// TestPrivateLevelGoes: under a profile that vouches for a private id, what it
// marks goes at the level the profile says, with its definition; what has the
// id from another door stays.
func TestPrivateLevelGoes(t *testing.T) {
	const private stix.ID = "marking-definition--bab4a63c-afd4-4e03-b846-b75e0496be71"
	p, err := intake.ParseProfile([]byte("name = \"cert\"\npublisher = \"x\"\nen = \"x\"\nja = \"x\"\n[[marking]]\nid = \"" + string(private) + "\"\nsays = \"tlp:clear\"\nas = \"tlp:green\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	o := newOffice(t, jpn)
	o.settle()
	def := `{"type":"marking-definition","spec_version":"2.1","id":"` + string(private) + `","created":"2022-10-01T00:00:00.000Z","name":"TLP:CLEAR","definition_type":"tlp","definition":{"tlp":"clear"}}`
	line := func(n int) string {
		return fmt.Sprintf(`{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"x","is_family":false,"object_marking_refs":["%s"]}`, n, private)
	}
	if _, err := o.gate().Import(o.ctx, strings.NewReader(def+"\n"+line(1)), intake.ImportOptions{Name: "cert.json", Profile: p}); err != nil {
		t.Fatal(err)
	}
	o.put(version(t, noroshi.Source{Kind: noroshi.FromFile, Name: "other.json"}, "run", line(2), noroshi.Green))
	o.settle()
	has(t, o.sends(jpn), private, "malware--00000000-0000-4000-8000-000000000001")
	o.put(version(t, noroshi.Source{Kind: noroshi.FromFile, Name: "other.json"}, "run", strings.Replace(def, `"clear"}`, `"red"}`, 1)))
	if _, err := o.gate().Import(o.ctx, strings.NewReader(line(3)), intake.ImportOptions{Name: "cert2.json", Profile: p}); err != nil {
		t.Fatal(err)
	}
	o.settle()
	if got := o.sends(jpn)["malware--00000000-0000-4000-8000-000000000003"]; got != "" {
		t.Error("goes although its marking has two definitions")
	}
}
