package stix_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix"
)

const header = `"spec_version":"2.1","created":"2026-01-02T00:00:00.000Z","modified":"2026-01-02T00:00:00.000Z",`

// object writes an object of the type with the common properties.
func object(typ, members string) string {
	return `{"type":"` + typ + `","id":"` + typ + `--26ffb872-1dd9-446e-b6f5-d58527e5b5d2",` + header + members + `}`
}

func TestValidateProblems(t *testing.T) {
	const campaign = "campaign--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
	tests := []struct{ name, object, want string }{
		{"good", object("campaign", `"name":"n"`), ""},
		{"missing", object("campaign", `"x_a":1`), "missing "},
		{"type", object("campaign", `"name":5`), "type /name"},
		{"empty", object("campaign", `"name":"n","aliases":[]`), "empty /aliases"},
		{"null", object("campaign", `"name":"n","x_a":null`), "null /x_a"},
		{"name", object("campaign", `"name":"n","Xa":1`), "name /Xa"},
		{"reserved", object("campaign", `"name":"n","severity":"high"`), "reserved /severity"},
		{"version", strings.Replace(object("campaign", `"name":"n"`), "2.1", "2.2", 1), "value /spec_version"},
		{"precision", strings.Replace(object("campaign", `"name":"n"`), "00.000Z", "00Z", 1), "time /created"},
		{"range", object("campaign", `"name":"n","confidence":100.00000000000000000001`), "type /confidence, range /confidence"},
		{"range of a number", object("location", `"region":"r","latitude":90.00000000000000000001,"longitude":0`), "range /latitude"},
		{"reference", object("sighting", `"sighting_of_ref":"relationship--26ffb872-1dd9-446e-b6f5-d58527e5b5d2"`), "ref /sighting_of_ref"},
		{"UUID version", object("sighting", `"sighting_of_ref":"campaign--26ffb872-1dd9-746e-b6f5-d58527e5b5d2"`), "id /sighting_of_ref"},
		{"together", object("location", `"latitude":1,"country":"jp"`), "together "},
		{"precision of nothing", object("location", `"region":"r","precision":1`), "together /precision"},
		{"calendar", object("campaign", `"name":"n","first_seen":"2026-02-30T00:00:00Z"`), "calendar /first_seen"},
		{"leap second", object("campaign", `"name":"n","first_seen":"2026-02-03T00:00:60Z"`), "calendar /first_seen"},
		{"calendar and precision", strings.Replace(object("campaign", `"name":"n"`), "2.1", "2.0", 1), ""},
		{"modified before created", strings.Replace(object("campaign", `"name":"n"`), `"modified":"2026-01-02`, `"modified":"2026-01-01`, 1), "time-order /modified"},
		{"last before first", object("campaign", `"name":"n","first_seen":"2026-01-01T00:00:00.0000000002Z","last_seen":"2026-01-01T00:00:00.0000000001Z"`), "time-order /last_seen"},
		{"last with first", object("campaign", `"name":"n","first_seen":"2026-01-01T00:00:00Z","last_seen":"2026-01-01T00:00:00.0Z"`), ""},
		{"valid for no time", object("indicator", `"pattern":"p","pattern_type":"x","valid_from":"2026-01-01T00:00:00Z","valid_until":"2026-01-01T00:00:00.000Z"`), "time-order /valid_until"},
		{"relationship for no time", object("relationship", `"relationship_type":"uses","source_ref":"`+campaign+`","target_ref":"`+campaign+`","start_time":"2026-01-01T00:00:00Z","stop_time":"2026-01-01T00:00:00Z"`), "time-order /stop_time"},
		{"observed backwards", object("observed-data", `"number_observed":1,"object_refs":["url--26ffb872-1dd9-446e-b6f5-d58527e5b5d2"],"first_observed":"2026-01-02T00:00:00Z","last_observed":"2026-01-01T00:00:00Z"`), "time-order /last_observed"},
		{"TLP of another id", `{"type":"marking-definition","id":"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed","spec_version":"2.1","created":"2017-01-20T00:00:00.000Z","name":"TLP:WHITE","definition_type":"tlp","definition":{"tlp":"white"}}`, "value "},
		{"deep place", object("campaign", `"name":"n","external_references":[{"source_name":"a","description":"b"},{"source_name":"c/d~e","hashes":{"MD5":"x"},"url":"u"}]`), "value /external_references/1/hashes/MD5"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, p := range stix.Validate(mustParse(t, test.object)) {
				got = append(got, p.Code+" "+p.Path)
				if p.Msg == "" {
					t.Errorf("%s has no words", p.Code)
				}
			}
			if strings.Join(got, ", ") != test.want {
				t.Errorf("%q, want %q", strings.Join(got, ", "), test.want)
			}
		})
	}
}

// TestExceptionsHold shows for each exception that schema and Validate do part
// there, so that the list holds nothing that is not needed.
func TestExceptionsHold(t *testing.T) {
	samples := []string{
		object("campaign", `"name":"n","granular_markings":[{"lang":"ja","selectors":["name"]}]`),
		object("campaign", `"name":"n","granular_markings":[{"marking_ref":"`+amberID+`","selectors":["hashes.MD5"]}]`),
		`{"type":"ipv6-addr","id":"ipv6-addr--26ffb872-1dd9-446e-b6f5-d58527e5b5d2","value":"::ffff:192.0.2.1"}`,
		`{"type":"process","id":"process--26ffb872-1dd9-446e-b6f5-d58527e5b5d2","created_time":"2026-01-01T00:00:00Z"}`,
		`{"type":"windows-registry-key","id":"windows-registry-key--26ffb872-1dd9-446e-b6f5-d58527e5b5d2","modified_time":"2026-01-01T00:00:00Z"}`,
	}
	if len(samples) != len(exceptions) {
		t.Fatalf("%d samples of %d exceptions", len(samples), len(exceptions))
	}
	o := newOracle(t)
	for i, text := range samples {
		tree := decode(t, []byte(text))
		if problems := stix.Validate(mustParse(t, text)); len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
		}
		if o.Judge(tree) == nil {
			t.Errorf("%s: the schema takes it", text)
		}
		if !exceptions[i].holds(tree) {
			t.Errorf("%s: the exception does not tell it", text)
		}
	}
	for _, code := range schemaOnly {
		if fmt.Sprint(code) == "" {
			t.Error("an exception without a code")
		}
	}
}
