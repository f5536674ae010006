package noroshi_test

import (
	"fmt"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestLabelled: who is shown an object without the label beside it finds its TLP
// level in it, once, and every other byte as it was.
func TestLabelled(t *testing.T) {
	t.Parallel()
	const body = `{"type":%q,"spec_version":"2.1","id":"%s--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z"%s}`
	green, amber := noroshi.Green.MarkingID(), noroshi.Amber.MarkingID()
	refs := func(ids string) string { return `,"object_marking_refs":[` + ids + `]` }
	const oldAmber = `"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"` // TLP 1.0
	for name, tc := range map[string]struct {
		own  string
		tlp  noroshi.TLP
		want string
	}{
		"no level":           {"", noroshi.NoTLP, ""},
		"not marked":         {"", noroshi.Amber, refs(fmt.Sprintf("%q", amber))},
		"marked less strict": {refs(fmt.Sprintf("%q", green)), noroshi.Amber, refs(fmt.Sprintf("%q,%q", green, amber))},
		"marked as strictly": {refs(oldAmber), noroshi.Amber, refs(oldAmber)},
		"marked more strict": {refs(oldAmber), noroshi.Green, refs(oldAmber)},
		"marked by an unknown": {refs(`"marking-definition--00000000-0000-4000-8000-000000000009"`), noroshi.Green,
			refs(fmt.Sprintf(`"marking-definition--00000000-0000-4000-8000-000000000009",%q`, green))},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := stix.Parse(fmt.Appendf(nil, body, "identity", "identity", tc.own))
			if err != nil {
				t.Fatal(err)
			}
			got, err := noroshi.Labelled(o, noroshi.Label{TLP: tc.tlp})
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(body, "identity", "identity", tc.want); string(got.Bytes()) != want {
				t.Errorf("got  %s\nwant %s", got.Bytes(), want)
			}
		})
	}
	definition, err := stix.Parse(fmt.Appendf(nil, `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000000-0000-4000-8000-000000000009","created":"2026-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := noroshi.Labelled(definition, noroshi.Label{TLP: noroshi.Amber}); err != nil || got != definition {
		t.Errorf("a definition became %s, %v", got.Bytes(), err)
	}
}
