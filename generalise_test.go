package noroshi_test

import (
	"fmt"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestLess: what a property says under each rule, and where a rule does not fit.
func TestLess(t *testing.T) {
	for _, c := range []struct {
		how         noroshi.How
		value, want string
	}{
		{noroshi.ToHour, "2026-11-20T03:04:05Z", "2026-11-20T03:00:00Z"},
		{noroshi.ToHour, "2026-11-20T03:59:59.999999Z", "2026-11-20T03:00:00Z"},
		{noroshi.ToHour, "2026-11-20T03:00:00.000Z", "2026-11-20T03:00:00Z"},
		{noroshi.ToHour, "2026-11-20", ""},
		{noroshi.ToHour, "yesterday", ""},
		{noroshi.ToPrefix, "198.51.100.77", "198.51.100.0/24"},
		{noroshi.ToPrefix, "198.51.100.77/32", "198.51.100.0/24"},
		{noroshi.ToPrefix, "198.51.100.77/25", "198.51.100.0/24"},
		{noroshi.ToPrefix, "198.51.0.9/16", "198.51.0.0/16"},
		{noroshi.ToPrefix, "2001:db8:1:2:3::4", "2001:db8:1::/48"},
		{noroshi.ToPrefix, "2001:db8:1:2::/64", "2001:db8:1::/48"},
		{noroshi.ToPrefix, "::ffff:198.51.100.77", ""},
		{noroshi.ToPrefix, "fe80::1%eth0", ""},
		{noroshi.ToPrefix, "host.example", ""},
		{noroshi.ToPrefix, "198.51.100.77:443", ""},
		{noroshi.ToSector, "Substation 4", "energy, defense"},
		{noroshi.ToRegion, "Substation 4", "eastern-asia"},
		{noroshi.CutOut, "x", ""},
		{"", "x", ""},
	} {
		o := parsed(t, fmt.Sprintf(`{"type":"x-asset","spec_version":"2.1","id":"x-asset--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","x":%q,"sectors":["energy","defense"],"region":"eastern-asia"}`, c.value))
		got, ok := c.how.Less(o, "x")
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s of %s: %q, want %q", c.how, c.value, got, c.want)
		}
	}
	none := parsed(t, `{"type":"x-asset","spec_version":"2.1","id":"x-asset--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","x":"a","n":1}`)
	for _, how := range []noroshi.How{noroshi.ToSector, noroshi.ToRegion} {
		if got, ok := how.Less(none, "x"); ok {
			t.Errorf("%s where the object has none: %q", how, got)
		}
	}
	if _, ok := noroshi.ToHour.Less(none, "n"); ok {
		t.Error("a number is no time")
	}
}

// TestGranularSelectorOfNoForm: a granular marking whose selector could be taken
// for something said less exactly is not understood.
func TestGranularSelectorOfNoForm(t *testing.T) {
	o := parsed(t, `{"type":"x-asset","spec_version":"2.1","id":"x-asset--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","last_seen":"2026-01-01T00:00:01Z","last_seen=>hour":"secret","granular_markings":[{"marking_ref":"`+string(noroshi.Red.MarkingID())+`","selectors":["last_seen=>hour"]}]}`)
	if l := noroshi.LabelOf(o, []stix.ID{noroshi.Green.MarkingID()}, func(stix.ID) []*stix.Object { return nil }, nil); len(l.Unknown) == 0 {
		t.Errorf("label %s", l)
	}
}
