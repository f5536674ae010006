package noroshi

import (
	"slices"

	"github.com/noroshi-cti/noroshi/stix"
)

// Labelled returns an object as a door that carries no label beside it shows it:
// with the TLP level of its label among its markings, unless one as strict
// stands there. A marking definition is returned as it is.
func Labelled(o *stix.Object, l Label) (*stix.Object, error) {
	if o.Type == "marking-definition" || l.TLP == NoTLP ||
		slices.ContainsFunc(o.Markings, func(id stix.ID) bool { return TLPOf(id) >= l.TLP }) {
		return o, nil
	}
	return stix.Mark(o, l.TLP.MarkingID())
}
