package noroshi_test

import (
	"testing"

	"github.com/noroshi-cti/noroshi"
)

func TestCeiling(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		ceiling []string
		label   noroshi.Label
		want    bool
	}{
		{"at the level", []string{"TLP:AMBER"}, noroshi.Label{TLP: noroshi.Amber}, true},
		{"below", []string{"TLP:AMBER"}, noroshi.Label{TLP: noroshi.Green}, true},
		{"nothing is admitted by nothing", nil, noroshi.Label{TLP: noroshi.Clear}, false},
		{"above", []string{"TLP:AMBER"}, noroshi.Label{TLP: noroshi.AmberStrict}, false},
		{"unmarked is not below", []string{"TLP:RED"}, noroshi.Label{}, false},
		{"unmarked", []string{"UNMARKED"}, noroshi.Label{}, true},
		{"an exercise marking alone is no handling", []string{"TLP:RED"}, noroshi.Label{Exercise: "x"}, false},
		{"an exercise marking beside", []string{"TLP:RED"}, noroshi.Label{TLP: noroshi.Red, Exercise: "x"}, true},
		{"not understood", []string{"TLP:RED", "ACS:TS", "UNMARKED"}, noroshi.Label{TLP: noroshi.Clear, Unknown: []string{"field"}}, false},
		{"another kind", []string{"TLP:RED"}, noroshi.Label{TLP: noroshi.Clear, ACS: []noroshi.ACS{{Level: noroshi.Unclassified}}}, false},
		{"both kinds", []string{"TLP:AMBER", "ACS:S"}, noroshi.Label{TLP: noroshi.Clear, ACS: []noroshi.ACS{{Level: noroshi.Secret}}}, true},
		{"one of two above", []string{"ACS:C"}, noroshi.Label{ACS: []noroshi.ACS{{Level: noroshi.Confidential}, {Level: noroshi.Secret}}}, false},
		{"compartments", []string{"ACS:TS"}, noroshi.Label{ACS: []noroshi.ACS{{Level: noroshi.Unclassified, Compartments: true}}}, false},
		{"a class named", []string{"JPN:部内限り", "JPN:秘"}, noroshi.Label{JPN: []noroshi.Japanese{{Kubun: "秘"}}}, true},
		{"a class not named", []string{"JPN:秘"}, noroshi.Label{JPN: []noroshi.Japanese{{Kubun: "部内限り"}}}, false},
		{"IEP by its level", []string{"TLP:GREEN"}, noroshi.Label{IEP: []noroshi.IEP{{TLP: noroshi.Amber}}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ceiling := noroshi.Ceiling{}
			if len(c.ceiling) > 0 {
				var err error
				if ceiling, err = noroshi.ParseCeiling(c.ceiling); err != nil {
					t.Fatal(err)
				}
			}
			if got := ceiling.Admits(c.label); got != c.want {
				t.Errorf("%s admits %s: %v, want %v", ceiling, c.label, got, c.want)
			}
		})
	}
}

func TestParseCeiling(t *testing.T) {
	t.Parallel()
	for _, bad := range [][]string{nil, {""}, {"AMBER"}, {"TLP:PINK"}, {"TLP:RED", "TLP:AMBER"}, {"ACS:X"}, {"ACS:U", "ACS:S"}, {"JPN:大秘"},
		{"JPN:秘", "JPN:秘"}, {"UNMARKED", "UNMARKED"}, {"unmarked"}, {"TLP:AMBER "}} {
		if c, err := noroshi.ParseCeiling(bad); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%q reads as %s, %v", bad, c, err)
		}
	}
	c, err := noroshi.ParseCeiling([]string{"tlp:amber", "ACS:C", "JPN:秘", "UNMARKED"})
	if err != nil || c.String() != "TLP:AMBER ACS:C JPN:秘 UNMARKED" {
		t.Errorf("%s, %v", c, err)
	}
}
