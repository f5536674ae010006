package door_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestEventsComeBack takes real MISP events in and exports them: nothing is lost
// and nothing added, but for the tag of what the import assigned.
func TestEventsComeBack(t *testing.T) {
	t.Parallel()
	for file, uuid := range map[string]string{
		"misp-telebots.json":                    "58503e2f-4c78-442d-833f-8ad202de0b81",
		"misp-turla-crutch-event.json":          "47b9e2de-7283-4fd3-bf41-dcf9f19d8c62",
		"misp-dukes-operation-ghost-event.json": "5d9b516c-e5f0-4e7c-a958-5d8c0a019371",
		"oceanlotus.misp.event.json":            "5a610659-d718-4a1f-b020-04d80a016219",
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			b, err := os.ReadFile("../../stix/misp/testdata/" + file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.gate.Import(t.Context(), bytes.NewReader(b), intake.ImportOptions{Name: file}); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			done, err := h.door.Write(t.Context(), &out, door.Export{Format: "misp", Event: uuid})
			if err != nil || done.Carried == 0 {
				t.Fatalf("%+v, %v", done, err)
			}
			if !bytes.Equal(canonical(t, out.Bytes()), canonical(t, b)) {
				t.Errorf("another event came out: %d bytes for %d", out.Len(), len(b))
			}
			if _, err := h.door.Write(t.Context(), &out, door.Export{Format: "misp", Event: "00000000-0000-4000-8000-000000000000"}); noroshi.KindOf(err) != noroshi.NotFound {
				t.Errorf("an event that is not here: %v", err)
			}
		})
	}
}

// TestEventsApart: of two events that saw the same, only the one asked for comes
// out.
func TestEventsApart(t *testing.T) {
	t.Parallel()
	h := build(t)
	const one, two = "00000000-0000-4000-8000-0000000000aa", "00000000-0000-4000-8000-0000000000bb"
	for _, event := range []string{one, two} {
		b := `{"Event":{"uuid":"` + event + `","info":"` + event + `","timestamp":"1700000500","Orgc":{"name":"CERT"},"Attribute":[{"uuid":"` +
			strings.Replace(event, "4000", "4001", 1) + `","type":"domain","value":"shared.example","to_ids":false,"timestamp":"1700000000"}]}}`
		if _, err := h.gate.Import(t.Context(), strings.NewReader(b), intake.ImportOptions{Name: event}); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	done, err := h.door.Write(t.Context(), &out, door.Export{Format: "misp", Event: one})
	if err != nil || strings.Contains(out.String(), two) || !strings.Contains(out.String(), "shared.example") {
		t.Errorf("%+v, %v: %s", done, err, out.String())
	}
}

func canonical(t *testing.T, b []byte) []byte {
	t.Helper()
	c, err := stix.Canonical(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
