package release

import (
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// bodies returns the bodies kept under a marking's id that say what it means on
// one version: those this node brought in, and those of whoever brought the
// version. What a partner says a marking means neither frees nor stops what
// came here by another door; but what the node itself says about a partner's
// things carries the partner's markings, and is read with all bodies there are.
//
// The body that would travel is always among them, so that none leaves that
// was not read.
func (g *graph) bodies(id stix.ID, of store.Record) []*stix.Object {
	var list []*stix.Object
	var said []noroshi.Hash
	known := noroshi.TLPOf(id) != noroshi.NoTLP
	for _, v := range g.defs[id] {
		if v.Source.SpeaksFor(of.Source) || of.Source.Kind == noroshi.FromSelf && !known {
			list, said = append(list, v.Object), append(said, v.Hash)
		}
	}
	if i, ok := g.at[id]; ok && len(list) > 0 && !slices.Contains(said, g.recs[i].Hash) {
		list = append(list, g.recs[i].Object)
	}
	return list
}
