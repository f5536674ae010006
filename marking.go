package noroshi

import (
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// TLP is a level of the Traffic Light Protocol 2.0; the levels of TLP 1.0 are
// read as their equals (WHITE is CLEAR).
type TLP uint8

// The levels, least restrictive first. NoTLP is the absence of one.
const (
	NoTLP TLP = iota
	Clear
	Green
	Amber
	AmberStrict
	Red
)

var tlpNames = []string{"", "TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"}

// String returns the label as FIRST spells it, in every language.
func (t TLP) String() string {
	if int(t) < len(tlpNames) {
		return tlpNames[t]
	}
	return "?"
}

// TLPs returns the levels, least restrictive first.
func TLPs() []TLP { return []TLP{Clear, Green, Amber, AmberStrict, Red} }

// ParseTLP reads a level in either case, such as tlp:amber.
func ParseTLP(s string) (TLP, error) {
	for i, n := range tlpNames {
		if i > 0 && strings.EqualFold(n, s) {
			return TLP(i), nil
		}
	}
	return NoTLP, Errorf(Invalid, "tlp.unknown", "marking %q must be tlp:clear, tlp:green, tlp:amber, tlp:amber+strict or tlp:red", s)
}

// TLP 2.0 ids by level, and those of TLP 1.0: the only ids a TLP level counts
// under (STIX 2.1 §7.2.1.4; OASIS TLP 2.0 extension).
var (
	tlp2 = map[TLP]stix.ID{
		Clear:       "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
		Green:       "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
		Amber:       "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
		AmberStrict: "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
		Red:         "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
	}
	tlp1 = map[TLP]stix.ID{
		Clear: "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
		Green: "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
		Amber: "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
		Red:   "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
	}
)

// TLPOf returns the level a well-known marking id stands for, or NoTLP.
func TLPOf(id stix.ID) TLP {
	for _, t := range TLPs() {
		if tlp2[t] == id || (tlp1[t] == id && id != "") {
			return t
		}
	}
	return NoTLP
}

// MarkingID returns the TLP 2.0 marking id of a level.
func (t TLP) MarkingID() stix.ID { return tlp2[t] }
