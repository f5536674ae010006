package release

import (
	"context"
	"maps"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// basis is what a clearance rests on: how far the change feed had got before
// anything was read for it, every id that was looked at, the partners whose papers
// counted, and what may end by the clock alone.
type basis struct {
	from  int64
	seen  map[stix.ID]bool
	nodes map[noroshi.NodeID]bool
	link  *link
}

// Stands reports, inside the act that puts on record that the bytes leave,
// whether everything is still as it was when Again cleared them: no agreement has
// changed since, nothing that was looked at, and what has an end has not ended.
// Between clearing and leaving lies the sealing, long enough for a suspension, a
// recall or a stricter marking; whoever gets false clears again.
func (c Cleared) Stands(ctx context.Context, tx *store.Tx) (bool, error) {
	if !c.Valid() || c.basis.link == nil {
		return false, nil
	}
	if lasts, err := c.lasts(ctx, tx); !lasts || err != nil {
		return false, err
	}
	for at := c.basis.from; ; {
		changes, err := tx.Feed(ctx, at, store.MaxPage)
		if err != nil || len(changes) == 0 {
			return err == nil, err
		}
		for _, ch := range changes {
			if bears, err := c.basis.bears(ctx, tx, ch); bears || err != nil {
				return false, err
			}
		}
		at = changes[len(changes)-1].Seq
	}
}

// lasts reports whether the agreement, the emergency and the standing rule that
// let it go have not ended, by the clock or with who signed the rule.
func (c Cleared) lasts(ctx context.Context, tx *store.Tx) (bool, error) {
	l, now := c.basis.link, tx.Time()
	a := l.clauses.Agreement()
	if !a.InForce(now) || l.urgency.At(l.now) != l.urgency.At(now) {
		return false, nil
	}
	id := ruleCited(c.batch)
	if id == "" {
		return true, nil
	}
	r, err := store.DocOf[noroshi.StandingRule](ctx, tx.Reads, noroshi.DocStanding, id)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	persons, err := tx.Persons(ctx)
	return err == nil && r.Lasts(a.Hash, persons, now), err
}

// bears reports whether a change may alter what was decided.
func (b basis) bears(ctx context.Context, tx *store.Tx, ch store.Change) (bool, error) {
	switch ch.Kind {
	case store.AgreementChanged: // with another partner: what it brought may be passed on otherwise
		return true, nil
	case store.PartnerChanged:
		var node noroshi.NodeID
		err := node.UnmarshalText([]byte(ch.ID))
		return err != nil || b.nodes[node], nil
	case store.ObjectChanged, store.ObjectWithdrawn:
		return b.seen[stix.ID(ch.ID)], nil
	case store.MarkingAssigned:
		seq, err := versionOf(ch)
		if err != nil {
			return false, err
		}
		id, err := tx.IDOf(ctx, seq)
		return b.seen[id], err
	}
	return false, nil
}

// seen is every id a decision about the graph looked at, held here or not.
func (g *graph) seen() map[stix.ID]bool {
	all := make(map[stix.ID]bool, len(g.at)+len(g.absent)+len(g.beyond)+len(g.defs))
	for id := range g.at {
		all[id] = true
	}
	maps.Copy(all, g.absent)
	maps.Copy(all, g.beyond)
	for id := range g.defs {
		all[id] = true
	}
	for _, r := range g.stale {
		all[r.Object.ID] = true
	}
	return all
}

// nodes are the partners that brought any of it.
func (g *graph) nodes() map[noroshi.NodeID]bool {
	all := map[noroshi.NodeID]bool{}
	for _, r := range slices.Concat(g.recs, g.stale) {
		all[r.Source.Partner] = true
	}
	return all
}
