package noroshi_test

import (
	"fmt"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

const privateID stix.ID = "marking-definition--bab4a63c-afd4-4e03-b846-b75e0496be71" // seen in public code for GREEN

func parsed(t *testing.T, text string) *stix.Object {
	t.Helper()
	o, err := stix.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestStandIn: a private TLP id counts as a level only where a stand-in was
// assigned for exactly that id, never below what its body says, and only where
// nothing else is wrong with it. Everything else stays as not understood.
func TestStandIn(t *testing.T) {
	body := func(members string) string {
		return fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":"%s","created":"2022-10-01T00:00:00.000Z"%s}`, privateID, members)
	}
	tlp1 := func(level string) string {
		return body(`,"definition_type":"tlp","definition":{"tlp":"` + level + `"}`)
	}
	tlp2 := func(level string) string {
		return body(`,"name":"TLP:` + level + `","extensions":{"` + string(stix.TLP20Extension) + `":{"extension_type":"property-extension","tlp_2_0":"` + level + `"}}`)
	}
	green, amber := noroshi.StandIn(privateID, noroshi.Green), noroshi.StandIn(privateID, noroshi.Amber)
	clear := noroshi.StandIn(privateID, noroshi.Clear)
	other := noroshi.StandIn("marking-definition--94868c89-83c2-4f24-ae4d-79f2bf239a72", noroshi.Green)
	own := []stix.ID{privateID}
	for name, c := range map[string]struct {
		own, assigned []stix.ID
		bodies        []string
		want          noroshi.TLP // NoTLP: not understood
	}{
		"as it says":                  {own, []stix.ID{green}, []string{tlp1("green")}, noroshi.Green},
		"stricter than it says":       {own, []stix.ID{amber}, []string{tlp1("green")}, noroshi.Amber},
		"TLP 2.0 body":                {own, []stix.ID{green}, []string{tlp2("green")}, noroshi.Green},
		"upper case":                  {own, []stix.ID{green}, []string{tlp2("CLEAR")}, noroshi.Green},
		"two stand-ins":               {own, []stix.ID{green, amber}, []string{tlp1("white")}, noroshi.Amber},
		"with another mark":           {own, []stix.ID{green, noroshi.Red.MarkingID()}, []string{tlp1("green")}, noroshi.Red},
		"nothing assigned":            {own, nil, []string{tlp1("white")}, noroshi.NoTLP},
		"a level beside it":           {own, []stix.ID{noroshi.Green.MarkingID()}, []string{tlp1("white")}, noroshi.NoTLP},
		"below what it says":          {own, []stix.ID{green}, []string{tlp1("amber")}, noroshi.NoTLP},
		"far below":                   {own, []stix.ID{clear}, []string{tlp2("red")}, noroshi.NoTLP},
		"another id's":                {own, []stix.ID{other}, []string{tlp1("green")}, noroshi.NoTLP},
		"another id's beside":         {own, []stix.ID{green, other}, []string{tlp1("green")}, noroshi.NoTLP},
		"in the object's own":         {[]stix.ID{privateID, green}, nil, []string{tlp1("green")}, noroshi.NoTLP},
		"and in the assigned":         {[]stix.ID{privateID, green}, []stix.ID{green}, []string{tlp1("green")}, noroshi.NoTLP},
		"no definition":               {own, []stix.ID{green}, nil, noroshi.NoTLP},
		"two definitions":             {own, []stix.ID{amber}, []string{tlp1("green"), tlp1("amber")}, noroshi.NoTLP},
		"a level nobody knows":        {own, []stix.ID{amber}, []string{tlp1("purple")}, noroshi.NoTLP},
		"a name of another level":     {own, []stix.ID{green}, []string{body(`,"name":"TLP:RED","definition_type":"tlp","definition":{"tlp":"green"}`)}, noroshi.NoTLP},
		"a name with text":            {own, []stix.ID{green}, []string{body(`,"name":"TLP:GREEN Site 4","definition_type":"tlp","definition":{"tlp":"green"}`)}, noroshi.NoTLP},
		"references":                  {own, []stix.ID{green}, []string{body(`,"external_references":[{"source_name":"x"}],"definition_type":"tlp","definition":{"tlp":"green"}`)}, noroshi.NoTLP},
		"both serialisations":         {own, []stix.ID{amber}, []string{body(`,"definition_type":"tlp","definition":{"tlp":"green"},"extensions":{"` + string(stix.TLP20Extension) + `":{"extension_type":"property-extension","tlp_2_0":"green"}}`)}, noroshi.NoTLP},
		"a member nobody knows":       {own, []stix.ID{green}, []string{body(`,"x_more":"","definition_type":"tlp","definition":{"tlp":"green"}`)}, noroshi.NoTLP},
		"itself marked":               {own, []stix.ID{green}, []string{body(`,"object_marking_refs":["` + string(noroshi.Red.MarkingID()) + `"],"definition_type":"tlp","definition":{"tlp":"green"}`)}, noroshi.NoTLP},
		"a statement":                 {own, []stix.ID{green}, []string{body(`,"definition_type":"statement","definition":{"statement":"TLP:GREEN"}`)}, noroshi.NoTLP},
		"doubt":                       {[]stix.ID{noroshi.Green.MarkingID()}, []stix.ID{noroshi.Doubt}, nil, noroshi.NoTLP},
		"doubt beside what stands in": {own, []stix.ID{green, noroshi.Doubt}, []string{tlp1("green")}, noroshi.NoTLP},
	} {
		t.Run(name, func(t *testing.T) {
			defs := func(id stix.ID) (list []*stix.Object) {
				if id == privateID {
					for _, b := range c.bodies {
						list = append(list, parsed(t, b))
					}
				}
				return list
			}
			l := noroshi.MarkingsLabel(c.own, c.assigned, defs, nil)
			understood := len(l.Unknown) == 0
			if understood != (c.want != noroshi.NoTLP) || understood && l.TLP != c.want {
				t.Errorf("label %s, want %s", l, c.want)
			}
		})
	}
}
