package watch_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestSightingsSayWhere: a sighting names a class of organisations and a region,
// which are there before anything is seen and are made once; other words are
// other objects, and what was said goes on being said.
func TestSightingsSayWhere(t *testing.T) {
	d := newDesk(t)
	d.sectors, d.region = []string{"utilities", "energy"}, "eastern-asia"
	for range 2 {
		d.restart()
		if err := d.watch.Locate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	identities, locations := d.objects("identity"), d.objects("location")
	if len(identities) != 1 || len(locations) != 1 {
		t.Fatalf("%d identities, %d locations; want one of each", len(identities), len(locations))
	}
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Amber, ""), indicator(2, domain("two.example"), noroshi.Amber, ""))
	d.observe(canary, hit(1, "one.example", at))
	where := []stix.ID{identities[0].ID, locations[0].ID}
	if got := whereOf(d.objects("sighting")[0]); !slices.Equal(got, where) {
		t.Errorf("seen at %v, want %v", got, where)
	}
	green := []stix.ID{noroshi.Green.MarkingID()}
	for _, o := range slices.Concat(identities, locations, d.objects("sighting")) {
		if o.Type != "sighting" && (o.CreatedBy != d.self.Identity || !slices.Equal(o.Markings, green)) {
			t.Errorf("by %s, marked %v: %s", o.CreatedBy, o.Markings, o.Bytes())
		}
		if p := stix.Validate(o); len(p) > 0 {
			t.Errorf("%v\n%s", p, o.Bytes())
		}
		for _, word := range []string{"canary", "JPN-01"} {
			if bytes.Contains(o.Bytes(), []byte(word)) {
				t.Errorf("tells %q: %s", word, o.Bytes())
			}
		}
	}
	if got := identities[0]; got.Text("identity_class") != "class" || string(got.Property("sectors")) != `["energy","utilities"]` {
		t.Errorf("identity %s", got.Bytes())
	}
	if got := locations[0]; got.Text("region") != "eastern-asia" {
		t.Errorf("location %s", got.Bytes())
	}

	d.sectors = []string{"energy"}
	d.restart()
	d.observe(canary, hit(2, "two.example", at.Add(time.Hour)))
	identities = d.objects("identity")
	if len(identities) != 2 || len(d.objects("location")) != 1 {
		t.Fatalf("%d identities, %d locations; want what the first sighting named too", len(identities), len(d.objects("location")))
	}
	for _, s := range d.objects("sighting") {
		want := where
		if s.Text("sighting_of_ref") == string(indicatorID(2)) {
			want = []stix.ID{identities[1].ID, where[1]}
		}
		if got := whereOf(s); !slices.Equal(got, want) {
			t.Errorf("%s: seen at %v, want %v", s.Text("sighting_of_ref"), got, want)
		}
	}
	d.intact()
}

// TestWhereInAnExercise: there too, what sightings name is made before anything
// is seen, by a marking of the node's own that says what exercise it is of.
func TestWhereInAnExercise(t *testing.T) {
	realm, err := noroshi.ParseRealm("exercise:ex-1")
	if err != nil {
		t.Fatal(err)
	}
	d := newDeskIn(t, realm)
	d.sectors, d.region = []string{"energy"}, "eastern-asia"
	where := func() (list []*stix.Object) {
		return slices.Concat(d.objects("marking-definition"), d.objects("identity"), d.objects("location"))
	}
	for range 2 {
		d.restart()
		if err := d.watch.Locate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := where()
	if len(before) != 3 {
		t.Fatalf("%d objects, want a definition, an identity and a location", len(before))
	}
	def := before[0]
	if l := noroshi.MarkingLabel(def.ID, []*stix.Object{def}, nil); l.Exercise != "ex-1" || len(l.Unknown) > 0 || def.CreatedBy != d.self.Identity {
		t.Errorf("%s means %s", def.Bytes(), l)
	}
	for _, o := range before[1:] {
		if want := []stix.ID{noroshi.Green.MarkingID(), def.ID}; !slices.Equal(o.Markings, want) {
			t.Errorf("marked %v, want %v", o.Markings, want)
		}
	}
	const theirs = "marking-definition--00000000-0000-4000-8000-0000000000e1"
	d.admit(fromFile,
		`{"type":"marking-definition","spec_version":"2.1","id":"`+theirs+`","created":"2026-11-01T00:00:00.000Z",`+extension(noroshi.ExerciseExtension, `"exercise_id":"ex-1"`)+`}`,
		indicator(1, domain("one.example"), noroshi.NoTLP, `,"object_marking_refs":["`+theirs+`","`+string(noroshi.Red.MarkingID())+`"]`))
	d.observe(canary, hit(1, "one.example", at))
	if after := where(); len(after) != 4 {
		t.Errorf("%d objects, want what was there and the definition that came", len(after))
	}
	s := d.objects("sighting")
	if len(s) != 1 || !slices.Equal(whereOf(s[0]), []stix.ID{before[1].ID, before[2].ID}) || !slices.Equal(s[0].Markings, []stix.ID{noroshi.Red.MarkingID(), theirs}) {
		t.Errorf("%d sightings, the first at %v, marked %v", len(s), whereOf(s[0]), s[0].Markings)
	}
	d.intact()
}

func whereOf(o *stix.Object) (list []stix.ID) {
	for _, r := range o.Refs() {
		if len(r.Path) > 18 && r.Path[:18] == "where_sighted_refs" {
			list = append(list, r.Target)
		}
	}
	return list
}

// TestASightingOfWhatIsHandledOtherwise: without a TLP level but handled (ACS,
// here), the indicator's sighting gets the agreements' mark all the same. What a
// stranger says that a statement means hands no mark out.
func TestASightingOfWhatIsHandledOtherwise(t *testing.T) {
	d := newDesk(t)
	const acs, statement = "marking-definition--acacacac-0000-4000-8000-000000000001", "marking-definition--acacacac-0000-4000-8000-000000000002"
	define := func(id, body string) string {
		return `{"type":"marking-definition","spec_version":"2.1","id":"` + id + `","created":"2026-11-01T00:00:00.000Z",` + body + `}`
	}
	unclassified := extension(noroshi.ACSExtension, `"identifier":"isa:guide.999191.ACS3-1","create_date_time":"2026-11-01T00:00:00.000Z","responsible_entity_custodian":"USA.DOD","policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=permit&sharedefault=permit","control_set":{"classification":"U"}`)
	d.admit(fromFile, define(acs, unclassified), define(statement, `"definition_type":"statement","definition":{"statement":"s"}`),
		indicator(1, domain("one.example"), noroshi.NoTLP, `,"object_marking_refs":["`+acs+`"]`),
		indicator(2, domain("two.example"), noroshi.NoTLP, `,"object_marking_refs":["`+statement+`"]`))
	d.admit(fromPartner, define(statement, unclassified))
	d.observe(canary, hit(1, "one.example", at), hit(2, "two.example", at))
	for _, o := range slices.Concat(d.objects("sighting"), d.objects("report")) {
		want := []stix.ID{noroshi.Amber.MarkingID(), acs}
		if bytes.Contains(o.Bytes(), []byte(indicatorID(2))) {
			want = []stix.ID{statement}
		}
		if !slices.Equal(o.Markings, want) {
			t.Errorf("marked %v, want %v: %s", o.Markings, want, o.Bytes())
		}
	}
	if n := len(d.objects("sighting")); n != 2 {
		t.Errorf("%d sightings", n)
	}
}
