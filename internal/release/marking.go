package release

import (
	"strings"

	"github.com/noroshi-cti/noroshi"
)

// marking says what the label means for a partner with an agreement: TLP 1.0
// and 2.0, exercises, and what was not understood. A clause never lifts it.
func (c *Case) marking(it *Item, d *Decision) {
	for _, u := range it.Label.Unknown {
		code, id, _ := strings.Cut(u, " ")
		d.hold(noroshi.NotUnderstood, noroshi.Reason{Code: "marking." + code, Marking: id})
	}
	if !it.Label.Handled() {
		d.hold(noroshi.Unmarked, noroshi.Reason{Code: "marking.none"})
	}
	// What is not understood may name the exercise: then it is held until it is.
	if it.Label.Exercise != c.Realm.Exercise() && (it.Label.Exercise != "" || len(it.Label.Unknown) == 0) {
		d.deny(noroshi.Reason{Code: "exercise.mismatch", Args: []string{it.Label.Exercise, c.Realm.String()}})
	}
	c.tlp(it, d)
}

// tlp is rule 3: CLEAR and GREEN for every partner; AMBER for a partner only
// when holder or partner is the source; AMBER+STRICT two persons besides; RED
// never on a feed.
func (c *Case) tlp(it *Item, d *Decision) {
	level := it.Label.TLP
	name := level.String()
	switch level {
	case noroshi.NoTLP:
	case noroshi.Clear, noroshi.Green:
		d.release(noroshi.Reason{Code: "tlp.open", Marking: name})
	case noroshi.Amber, noroshi.AmberStrict:
		if it.Origin == Other {
			d.deny(noroshi.Reason{Code: "tlp.third-party", Marking: name})
			return
		}
		if level == noroshi.AmberStrict {
			d.hold(noroshi.TwoPersons, noroshi.Reason{Code: "tlp.strict", Marking: name})
			return
		}
		d.release(noroshi.Reason{Code: "tlp.source", Marking: name})
	default:
		d.deny(noroshi.Reason{Code: "tlp.red", Marking: name})
	}
}
