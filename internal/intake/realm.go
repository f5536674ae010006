package intake

import (
	"bytes"

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
			src, run, raw := e.version.Source, e.version.Run, e.version.Object.Bytes()
			e.refused = refuse(codeRealm, "marked as of exercise %s, this realm is %s", Beginning([]byte(x)), g.o.Realm)
			e.refused.source, e.refused.run, e.refused.raw, e.refused.size = src, run, raw, int64(len(raw))
			e.version = nil
		}
	}
}

// exerciseOf returns an exercise that marks the object or a part of it and is
// not this realm's, else this realm's or "".
func (g *Gate) exerciseOf(o *stix.Object) string {
	found := g.drill.of(o.ID)
	for _, m := range o.Markings {
		if x := g.drill.of(m); x != "" && (found == "" || found == g.o.Realm.Exercise()) {
			found = x
		}
	}
	if o.Granular {
		granular := o.Property("granular_markings")
		g.drill.mu.RLock()
		defer g.drill.mu.RUnlock()
		for id, x := range g.drill.name {
			if x != g.o.Realm.Exercise() && bytes.Contains(granular, []byte(id)) {
				return x
			}
		}
	}
	return found
}
