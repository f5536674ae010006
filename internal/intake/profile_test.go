package intake_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/stix"
)

// vendor is a profile of a publisher somebody vouched for.
const vendor = `name = "vendor"
publisher = "Example CERT"
en = "Example CERT: a private id for GREEN"
ja = "Example CERT（GREEN に独自の ID）"
[[marking]]
id = "marking-definition--bab4a63c-afd4-4e03-b846-b75e0496be71"
says = "tlp:green"
as = "tlp:amber"
[[tag]]
text = "TLP:Green"
as = "tlp:green"
[[tag]]
text = "tlp:red"
as = "tlp:red"
[[tag]]
text = "tlp:ex:chr"
as = "hold"
`

func profileOf(t *testing.T, file string) *intake.Profile {
	t.Helper()
	p, err := intake.ParseProfile([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func profileNamed(t *testing.T, name string) *intake.Profile {
	t.Helper()
	p, err := intake.ProfileNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestProfilesOfTheProgram: there are at least three, each named as its file,
// and none says that all is CLEAR.
func TestProfilesOfTheProgram(t *testing.T) {
	var names []string
	for _, p := range intake.Profiles() {
		names = append(names, p.Name)
		if p.Unmarked == "tlp:clear" {
			t.Errorf("%s calls everything CLEAR", p.Name)
		}
	}
	if want := []string{"attack", "misp-tags", "mvt", "opencti"}; !slices.Equal(names, want) {
		t.Errorf("profiles %q, want %q", names, want)
	}
	if _, err := intake.ProfileNamed("everything"); noroshi.KindOf(err) != noroshi.NotFound || !strings.Contains(err.Error(), "misp-tags") {
		t.Errorf("a profile that is not there: %v", err)
	}
}

// TestProfileForm: a profile that could lower something, or says what is not
// understood, is none.
func TestProfileForm(t *testing.T) {
	head := "name = \"x\"\npublisher = \"x\"\nen = \"x\"\nja = \"x\"\n"
	const id = "marking-definition--bab4a63c-afd4-4e03-b846-b75e0496be71"
	for name, file := range map[string]string{
		"no TOML":                       "name =",
		"unknown key":                   head + "everything = \"tlp:clear\"\n",
		"unknown key of a tag":          head + "[[tag]]\ntext = \"a\"\nas = \"none\"\nalso = 1\n",
		"no name":                       "publisher = \"x\"\nen = \"x\"\nja = \"x\"\n",
		"a name with a path":            strings.Replace(head, "name = \"x\"", "name = \"../x\"", 1),
		"no Japanese":                   strings.Replace(head, "ja = \"x\"\n", "", 1),
		"unmarked of everything":        head + "unmarked = \"tlp:green\"\n",
		"unmarked of all makers":        head + "unmarked = \"tlp:green\"\ntypes = [\"indicator\"]\n",
		"unmarked of no level":          head + "unmarked = \"open\"\ntypes = [\"indicator\"]\nmakers = [\"\"]\n",
		"a marking below its word":      head + "[[marking]]\nid = \"" + id + "\"\nsays = \"tlp:amber\"\nas = \"tlp:green\"\n",
		"a marking without a word":      head + "[[marking]]\nid = \"" + id + "\"\nas = \"tlp:green\"\n",
		"a well-known id":               head + "[[marking]]\nid = \"" + string(noroshi.Red.MarkingID()) + "\"\nsays = \"tlp:red\"\nas = \"tlp:red\"\n",
		"an id twice":                   head + strings.Repeat("[[marking]]\nid = \""+id+"\"\nsays = \"tlp:red\"\nas = \"tlp:red\"\n", 2),
		"no marking's id":               head + "[[marking]]\nid = \"" + string(self) + "\"\nsays = \"tlp:red\"\nas = \"tlp:red\"\n",
		"an id that begins one":         head + "[[marking]]\nid = \"marking-definition--bab4a63c\"\nsays = \"tlp:red\"\nas = \"tlp:red\"\n",
		"a tag below its name":          head + "[[tag]]\ntext = \"tlp:red\"\nas = \"tlp:green\"\n",
		"a tag to nothing":              head + "[[tag]]\ntext = \"TLP:AMBER\"\nas = \"none\"\n",
		"a tag below its name, spelled": head + "[[tag]]\ntext = \"TLP Amber-Strict\"\nas = \"tlp:amber\"\n",
		"a tag of no level":             head + "[[tag]]\ntext = \"a\"\nas = \"tlp:purple\"\n",
		"an empty tag":                  head + "[[tag]]\ntext = \" \"\nas = \"none\"\n",
		"a tag twice, folded":           head + "[[tag]]\ntext = \"tlp:red\"\nas = \"tlp:red\"\n[[tag]]\ntext = \"ＴＬＰ:RED\"\nas = \"hold\"\n",
		"a statement without a text":    head + "[[statement]]\nid = \"" + id + "\"\n",
		"too large":                     head + "#" + strings.Repeat("x", 64<<10),
	} {
		if _, err := intake.ParseProfile([]byte(file)); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	if _, err := intake.ParseProfile([]byte(vendor)); err != nil {
		t.Error(err)
	}
}

const privateGreen stix.ID = "marking-definition--bab4a63c-afd4-4e03-b846-b75e0496be71"

// TestProfileAssigns: what each rule assigns, and that what is not named or
// looks like a restriction gets nothing, or what holds it.
func TestProfileAssigns(t *testing.T) {
	level := func(l noroshi.TLP) []stix.ID { return []stix.ID{l.MarkingID()} }
	refs := func(ids ...stix.ID) string {
		var q []string
		for _, id := range ids {
			q = append(q, `"`+string(id)+`"`)
		}
		return `,"object_marking_refs":[` + strings.Join(q, ",") + `]`
	}
	by := func(id stix.ID) string { return `,"created_by_ref":"` + string(id) + `"` }
	const mitre stix.ID = "identity--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5"
	const statement stix.ID = "marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168"
	green, amber, red := noroshi.Green.MarkingID(), noroshi.Amber.MarkingID(), noroshi.Red.MarkingID()
	misp, mvt, attack, cert := profileNamed(t, "misp-tags"), profileNamed(t, "mvt"), profileNamed(t, "attack"), profileOf(t, vendor)
	standIn := []stix.ID{noroshi.StandIn(privateGreen, noroshi.Amber), amber}
	for name, c := range map[string]struct {
		p       *intake.Profile
		members string
		want    []stix.ID
		rule    string
	}{
		"tag":                           {misp, `,"labels":["tlp:amber"]`, level(noroshi.Amber), "tag"},
		"tag in capitals":               {misp, `,"labels":["TLP:Amber"]`, level(noroshi.Amber), "tag"},
		"tag in full width":             {misp, `,"labels":["ＴＬＰ：ＲＥＤ"]`, level(noroshi.Red), "tag"},
		"the old word":                  {misp, `,"labels":["tlp:white"]`, level(noroshi.Clear), "tag"},
		"two tags, either order":        {misp, `,"labels":["tlp:white","tlp:red","tlp:green"]`, level(noroshi.Red), "tag"},
		"spaced":                        {misp, `,"labels":[" tlp : amber+strict "]`, level(noroshi.AmberStrict), "tag"},
		"Chatham House":                 {misp, `,"labels":["tlp:green","tlp:ex:chr"]`, nil, "held-tag"},
		"Chatham House first":           {misp, `,"labels":["tlp:ex:chr","tlp:white"]`, nil, "held-tag"},
		"a level nobody knows":          {misp, `,"labels":["tlp:purple","tlp:white"]`, nil, "held-tag"},
		"a hyphen for the colon":        {misp, `,"labels":["tlp:white","TLP-RED"]`, nil, "held-tag"},
		"words for it":                  {misp, `,"labels":["tlp:white","TLP Red please"]`, nil, "held-tag"},
		"a Cyrillic letter":             {misp, `,"labels":["tlp:white","tl\u0440:red"]`, nil, "held-tag"},
		"a zero-width letter":           {misp, `,"labels":["tlp:white","t\u200blp:red"]`, level(noroshi.Red), "tag"},
		"a classification":              {misp, `,"labels":["tlp:white","classification:SECRET"]`, nil, "held-tag"},
		"secret":                        {misp, `,"labels":["tlp:white","SECRET//NOFORN"]`, nil, "held-tag"},
		"Japanese":                      {misp, `,"labels":["tlp:white","極秘"]`, nil, "held-tag"},
		"a permissible-actions tag":     {misp, `,"labels":["tlp:white","PAP:RED"]`, nil, "held-tag"},
		"one that limits no sharing":    {misp, `,"labels":["tlp:white","PAP:CLEAR"]`, level(noroshi.Clear), "tag"},
		"an ordinary tag":               {misp, `,"labels":["misp:type=\"domain\"","вирус"]`, nil, "left"},
		"labels that are none":          {misp, `,"labels":"tlp:white"`, nil, "held-tag"},
		"labels of numbers":             {misp, `,"labels":[1,"tlp:white"]`, nil, "held-tag"},
		"no labels":                     {misp, ``, nil, "left"},
		"a tag below its own marking":   {misp, refs(amber) + `,"labels":["tlp:white"]`, nil, "own"},
		"a tag above its own marking":   {misp, refs(green) + `,"labels":["tlp:amber"]`, level(noroshi.Amber), "tag"},
		"doubt about its own marking":   {misp, refs(green) + `,"labels":["tlp:ex:chr"]`, []stix.ID{noroshi.Doubt}, "held-tag"},
		"doubt beside one not known":    {misp, refs(privateGreen) + `,"labels":["secret"]`, []stix.ID{noroshi.Doubt}, "held-tag"},
		"a private id nobody vouches":   {misp, refs(privateGreen), nil, "own"},
		"and a tag":                     {misp, refs(privateGreen) + `,"labels":["tlp:white"]`, level(noroshi.Clear), "tag"},
		"a private id vouched for":      {cert, refs(privateGreen), standIn, "marking"},
		"with a tag below":              {cert, refs(privateGreen) + `,"labels":["tlp:green"]`, standIn, "marking"},
		"with a tag above":              {cert, refs(privateGreen) + `,"labels":["tlp:red"]`, append(slices.Clone(standIn), red), "tag"},
		"with doubt":                    {cert, refs(privateGreen) + `,"labels":["tlp:ex:chr"]`, []stix.ID{noroshi.Doubt}, "held-tag"},
		"an id of the same beginning":   {cert, refs("marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bc"), nil, "own"},
		"published openly":              {mvt, ``, level(noroshi.Green), "unmarked"},
		"by a maker the profile has no": {mvt, by(self), nil, "left"},
		"marked in part":                {mvt, `,"granular_markings":[{"marking_ref":"` + string(red) + `","selectors":["name"]}]`, nil, "left-form"},
		"markings spelled otherwise":    {mvt, `,"Object_Marking_Refs":["` + string(red) + `"]`, nil, "left-form"},
		"an empty list of markings":     {mvt, `,"object_marking_refs":[]`, nil, "left-form"},
		"a tag of another kind":         {mvt, `,"labels":["tlp:red"]`, nil, "held-tag"},
		"marked by another":             {mvt, refs(privateGreen), nil, "own"},
		"marked red":                    {mvt, refs(red), nil, "own"},
		"a statement":                   {attack, by(mitre) + refs(statement), level(noroshi.Green), "unmarked"},
		"a statement, another's object": {attack, by(self) + refs(statement), nil, "left"},
		"no maker":                      {attack, refs(statement), nil, "left"},
		"a statement and more":          {attack, by(mitre) + refs(statement, privateGreen), nil, "own"},
		"a statement and red":           {attack, by(mitre) + refs(statement, red), nil, "own"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := stix.Parse([]byte(`{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"x","is_family":false` + c.members + `}`))
			if err != nil {
				t.Fatal(err)
			}
			got, m := c.p.Assign(o)
			if !slices.Equal(got, c.want) || m.Rule != c.rule {
				t.Errorf("assigned %v by %+v, want %v by %s", got, m, c.want, c.rule)
			}
		})
	}
	o, err := stix.Parse([]byte(`{"type":"report","spec_version":"2.1","id":"report--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"x","published":"2026-01-01T00:00:00Z","object_refs":["` + string(self) + `"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, m := mvt.Assign(o); got != nil || m.Rule != "left" {
		t.Errorf("a type the profile does not have: %v %+v", got, m)
	}
}

// TestImportWithProfile: the report says what became of how many, the bytes stay
// as they came, the same import again adds nothing, and one that comes later
// only narrows.
func TestImportWithProfile(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	line := func(n int, members string) string {
		return fmt.Sprintf(`{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"x","is_family":false%s}`, n, members)
	}
	text := strings.Join([]string{line(1, `,"labels":["tlp:amber"]`), line(2, `,"labels":["TLP:AMBER"]`), line(3, `,"labels":["tlp:white"]`), line(4, ``), line(5, `,"labels":["tlp:ex:chr"]`)}, "\n")
	o := intake.ImportOptions{Profile: profileNamed(t, "misp-tags")}
	r := h.take("feed.json", text, o)
	want := []intake.Mapped{{Rule: "tag", What: "tlp:amber", Marking: "TLP:AMBER", Count: 2},
		{Rule: "tag", What: "tlp:white", Marking: "TLP:CLEAR", Count: 1}, {Rule: "left", Count: 1}, {Rule: "held-tag", What: "tlp:ex:chr", Count: 1}}
	if r.New != 5 || r.Profile != "misp-tags" || !slices.Equal(r.Mapped, want) {
		t.Errorf("report %+v, want %+v", r, want)
	}
	for n, want := range map[int][]stix.ID{1: {noroshi.Amber.MarkingID()}, 3: {noroshi.Clear.MarkingID()}, 4: nil, 5: nil} {
		rec, err := h.store.Current(t.Context(), stix.ID(fmt.Sprintf("malware--00000000-0000-4000-8000-%012d", n)))
		if err != nil || !slices.Equal(rec.Assigned, want) || !strings.Contains(text, string(rec.Object.Bytes())) {
			t.Errorf("object %d: assigned %v (%v), want %v", n, rec.Assigned, err, want)
		}
	}
	acts := h.acts()
	if again := h.take("feed.json", text, o); again.Unchanged != 5 || again.Marked != 0 || !slices.Equal(again.Mapped, want) {
		t.Errorf("again: %+v", again)
	}
	if h.acts() > acts+2 {
		t.Errorf("the same import again takes %d acts", h.acts()-acts)
	}
	stricter := profileOf(t, strings.Replace(vendor, "[[tag]]\ntext = \"tlp:red\"\nas = \"tlp:red\"\n", "[[tag]]\ntext = \"tlp:white\"\nas = \"tlp:red\"\n[[tag]]\ntext = \"tlp:amber\"\nas = \"tlp:amber\"\n", 1))
	if narrowed := h.take("feed.json", text, intake.ImportOptions{Profile: stricter}); narrowed.Marked != 1 {
		t.Errorf("narrowed: %+v", narrowed)
	}
	rec, err := h.store.Current(t.Context(), "malware--00000000-0000-4000-8000-000000000003")
	if err != nil || !slices.Equal(rec.Assigned, []stix.ID{noroshi.Clear.MarkingID(), noroshi.Red.MarkingID()}) {
		t.Errorf("narrowed to %v (%v)", rec.Assigned, err)
	}
	for _, bad := range []intake.ImportOptions{{Profile: stricter, Marking: noroshi.Clear}, {Profile: stricter, Format: "list"}} {
		if _, err := h.Import(t.Context(), strings.NewReader(text), bad); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	many := make([]string, 300)
	for i := range many {
		many[i] = line(100+i, fmt.Sprintf(`,"labels":["tlp:%d"]`, i))
	}
	m := h.take("many.json", strings.Join(many, "\n"), o)
	if last := m.Mapped[len(m.Mapped)-1]; len(m.Mapped) != 101 || last.What != "…" || last.Count != 200 {
		t.Errorf("%d rows, the last %+v", len(m.Mapped), last)
	}
}

// FuzzProfile: whatever a profile's file says, one that is read lowers nothing:
// what a RED object is assigned is RED or holds it, and a tag that is a level's
// own name never counts as a lower one.
func FuzzProfile(f *testing.F) {
	f.Add([]byte(vendor))
	for _, p := range []string{"attack", "misp-tags", "mvt", "opencti"} {
		b, err := os.ReadFile("profiles/" + p + ".toml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	const head = `{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"x","is_family":false`
	tagged, err := stix.Parse([]byte(head + `,"labels":["tlp:clear","TLP:RED"]}`))
	if err != nil {
		f.Fatal(err)
	}
	red, err := stix.Parse([]byte(head + `,"object_marking_refs":["` + string(noroshi.Red.MarkingID()) + `"]}`))
	if err != nil {
		f.Fatal(err)
	}
	none := func(stix.ID) []*stix.Object { return nil }
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := intake.ParseProfile(file)
		if err != nil {
			return
		}
		for _, o := range []*stix.Object{tagged, red} {
			ids, _ := p.Assign(o)
			if l := noroshi.LabelOf(o, ids, none, nil); l.Handled() && l.TLP != noroshi.Red && len(l.Unknown) == 0 {
				t.Errorf("%s: label %s", o.Bytes(), l)
			}
		}
	})
}
