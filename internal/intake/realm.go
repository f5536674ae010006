package intake

import (
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// checkRealm quarantines what carries the marking of an exercise that is not
// this gate's realm: nothing crosses realms. That an exercise realm sends
// nothing without its marking is the exit gate's side.
func (g *Gate) checkRealm(elements []element) {
	here := g.o.Realm.Exercise()
	for i := range elements {
		if v := elements[i].version; v != nil && v.Object.Type == "marking-definition" {
			if m, err := v.Object.MarkingDefinition(); err == nil && m.Exercise != "" {
				g.drill.add(v.Object.ID, m.Exercise)
			}
		}
	}
	if g.drill.none() {
		return
	}
	for i := range elements {
		e := &elements[i]
		if e.version == nil {
			continue
		}
		if x := g.exerciseOf(e.version.Object); x != "" && x != here {
			e.version = nil
			e.refused = refuseFor(codeRealm, noroshi.Errorf(noroshi.Invalid, "intake.realm", "marked as of exercise %s, this realm is %s", Beginning([]byte(x)), g.o.Realm))
		}
	}
}

// exerciseOf returns an exercise that marks the object or a part of it: one that
// is not this realm's where there is one.
func (g *Gate) exerciseOf(o *stix.Object) string {
	ids := append(slices.Clone(o.Markings), o.ID)
	if o.Granular {
		var granular []struct {
			Marking stix.ID `json:"marking_ref"`
		}
		if json.Unmarshal(o.Property("granular_markings"), &granular) == nil {
			for _, m := range granular {
				ids = append(ids, m.Marking)
			}
		}
	}
	found := ""
	for _, id := range ids {
		if x := g.drill.of(id); x != "" && (found == "" || found == g.o.Realm.Exercise()) {
			found = x
		}
	}
	return found
}
