package noroshi

import (
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// standInSpace is the namespace stand-ins are derived in.
var standInSpace = [16]byte{0x1f, 0x0a, 0x6f, 0x3c, 0x5e, 0x0b, 0x4f, 0x52, 0x9c, 0x27, 0x6d, 0x81, 0x0e, 0x5b, 0xa4, 0x93}

// StandIn returns the id that, assigned to an object, says: that marking on it,
// a TLP body under an id of its publisher's own, counts as this level. A mapping
// profile assigns it to what came from a publisher somebody vouched for. It has
// no definition, so whoever does not know it holds the object.
func StandIn(marking stix.ID, as TLP) stix.ID {
	return stix.DeriveID("marking-definition", standInSpace, string(marking)+"\n"+as.String())
}

// Doubt is assigned to an object that would go by its own markings although
// something else about it says it may not: it is never understood, whatever
// definition somebody makes for it. It is derived of "doubt" as stand-ins are.
const Doubt stix.ID = "marking-definition--716851ca-41fa-5afa-90e5-3feeabf6b459"

// MarkingsLabel returns the join of what an object's own markings and those
// assigned to it mean. A stand-in among the assigned makes one marking of the
// object understood, and only one that says a TLP level under a private id: at
// the stand-in's level, which is never below what the body says.
func MarkingsLabel(own, assigned []stix.ID, defs func(stix.ID) []*stix.Object, statements []string) Label {
	var l Label
	plain := !slices.ContainsFunc(assigned, func(id stix.ID) bool { return TLPOf(id) == NoTLP })
	var stood []stix.ID
	for _, id := range own {
		bodies := defs(id)
		m := MarkingLabel(id, bodies, statements)
		if as := stoodIn(id, assigned, plain); as != NoTLP {
			stood = append(stood, id)
			if says := privateLevel(id, m, bodies); says != NoTLP && says <= as {
				m = Label{TLP: as}
			}
		}
		l = l.Join(m)
	}
	for _, id := range assigned {
		if !plain && slices.ContainsFunc(stood, func(own stix.ID) bool { return StandsFor(id, own) != NoTLP }) {
			continue
		}
		l = l.Join(MarkingLabel(id, defs(id), statements))
	}
	return l
}

// StandsFor returns the level an assigned id says a marking counts as, or NoTLP.
func StandsFor(assigned, own stix.ID) TLP {
	if TLPOf(assigned) == NoTLP {
		for t := Clear; t <= Red; t++ {
			if StandIn(own, t) == assigned {
				return t
			}
		}
	}
	return NoTLP
}

// stoodIn returns the strictest level a marking counts as, or NoTLP.
func stoodIn(own stix.ID, assigned []stix.ID, plain bool) (as TLP) {
	if plain {
		return NoTLP
	}
	for _, id := range assigned {
		as = max(as, StandsFor(id, own))
	}
	return as
}

// PrivateLevel returns the TLP level a marking says under a private id where
// nothing else is wrong with it, or NoTLP. The definition leaves with what it
// marks, so it has no text but the level's name.
func PrivateLevel(id stix.ID, bodies []*stix.Object, statements []string) TLP {
	return privateLevel(id, MarkingLabel(id, bodies, statements), bodies)
}

func privateLevel(id stix.ID, m Label, bodies []*stix.Object) TLP {
	if !slices.Equal(m.Unknown, []string{UnknownPrivateTLP + " " + string(id)}) {
		return NoTLP
	}
	b := bodies[0]
	d, err := b.MarkingDefinition()
	if err != nil || d.Unknown || len(d.Extensions) > 1 || len(d.Extensions) == 1 && (d.Extensions[0] != stix.TLP20Extension || d.DefinitionType != "") {
		return NoTLP
	}
	says := saidLevel(d.TLP)
	if d.Name != "" && saidLevel(d.Name) != says || b.Property("external_references") != nil {
		return NoTLP
	}
	return says
}

// saidLevel reads a level as people write it: in any case, with TLP: before it
// or without, by its old word.
func saidLevel(s string) TLP {
	s = strings.ToLower(s)
	return bodyLevels[strings.TrimPrefix(s, "tlp:")]
}
