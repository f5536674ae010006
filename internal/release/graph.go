package release

import (
	"context"
	"maps"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// maxAround bounds how many objects beyond those asked for are loaded because
// something refers to them; what lies farther counts as not sent yet, and what
// waits for it is decided again when it goes.
const maxAround = 5000

// graph is what a slice of work is decided over: the versions asked for and
// what they refer to, the same for every partner.
type graph struct {
	recs   []store.Record             // current versions
	asked  int                        // the first of them are those asked for
	stale  []store.Record             // asked for and no longer current: never decided
	at     map[stix.ID]int            // place in recs, by id
	absent map[stix.ID]bool           // looked for and not held
	beyond map[stix.ID]bool           // held, not loaded
	defs   map[stix.ID][]store.Record // bodies of markings
	marks  []string                   // portion mark of each of recs, "" = none
	passed map[passing]bool           // see touched

	// For the partner of the last case:
	batch    map[int64]string                   // the batch a version was last decided in
	batches  map[string]store.Batch             // those
	views    map[string]map[int64]store.Decided // their rows that are views, read when asked for
	streamed map[int64]bool                     // versions a message in the stream carries
}

// collect loads the versions with these sequences and, transitively, what they
// refer to.
func (d *Desk) collect(ctx context.Context, seqs []int64) (*graph, error) {
	recs, err := d.records(ctx, slices.Sorted(slices.Values(seqs)))
	if err != nil {
		return nil, err
	}
	g := &graph{at: make(map[stix.ID]int, len(recs)), absent: map[stix.ID]bool{}, beyond: map[stix.ID]bool{}, defs: map[stix.ID][]store.Record{}}
	for _, r := range recs {
		if _, twice := g.at[r.Object.ID]; !r.Current || twice {
			g.stale = append(g.stale, r)
			continue
		}
		g.at[r.Object.ID] = len(g.recs)
		g.recs = append(g.recs, r)
	}
	for _, r := range g.stale {
		// What came may have changed which of the former versions is current.
		if err := d.load(ctx, g, r.Object.ID, true); err != nil {
			return nil, err
		}
		if err := d.defineAll(ctx, g, r); err != nil {
			return nil, err
		}
	}
	g.asked = len(g.recs)
	for _, r := range g.stale { // a former version is decided too before it goes
		if err := d.neighbours(ctx, g, r); err != nil {
			return nil, err
		}
	}
	for i := 0; i < len(g.recs); i++ {
		if err := d.neighbours(ctx, g, g.recs[i]); err != nil {
			return nil, err
		}
		g.marks = append(g.marks, PortionMark(g.recs[i].Object.Bytes()))
	}
	return g, nil
}

// recordsAtOnce bounds one question for versions.
const recordsAtOnce = store.MaxPage

// shortRun is how many versions in a row are worth one question for the run.
const shortRun = 8

// records returns the versions with these sequences, ascending. What was
// admitted in one go is read in one go.
func (d *Desk) records(ctx context.Context, seqs []int64) ([]store.Record, error) {
	all := make([]store.Record, 0, len(seqs))
	for len(seqs) > 0 {
		n := 1
		for n < min(len(seqs), recordsAtOnce) && seqs[n] == seqs[n-1]+1 {
			n++
		}
		var recs []store.Record
		var err error
		if n < shortRun {
			for n < min(len(seqs), recordsAtOnce) && (n+1 >= len(seqs) || seqs[n]+1 != seqs[n+1]) {
				n++ // single ones together
			}
			recs, err = d.store.Records(ctx, seqs[:n])
		} else {
			recs, err = d.store.List(ctx, store.Filter{After: seqs[0] - 1, Limit: n, All: true})
			for len(recs) > 0 && recs[len(recs)-1].Seq > seqs[n-1] {
				recs = recs[:len(recs)-1]
			}
		}
		if err != nil {
			return nil, err
		}
		all, seqs = append(all, recs...), seqs[n:]
	}
	return all, nil
}

// neighbours adds what a version refers to, and the definitions of its markings.
func (d *Desk) neighbours(ctx context.Context, g *graph, r store.Record) error {
	if err := d.defineAll(ctx, g, r); err != nil {
		return err
	}
	for _, ref := range r.Object.Refs() {
		if ref.Target == d.o.Self.Identity {
			continue
		}
		// A translation is never decided without what it translates.
		original := ref.Path == "object_ref" && r.Object.Type == "language-content"
		if err := d.load(ctx, g, ref.Target, original); err != nil {
			return err
		}
	}
	return nil
}

// defineAll loads the definitions of a version's markings.
func (d *Desk) defineAll(ctx context.Context, g *graph, r store.Record) error {
	for _, own := range markingsOf(r) {
		for _, m := range own {
			if err := d.define(ctx, g, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// markingsOf returns the markings of a version: its own, those assigned to it,
// and those of its portions.
func markingsOf(r store.Record) [3][]stix.ID {
	return [3][]stix.ID{r.Object.Markings, r.Assigned, noroshi.GranularMarkings(r.Object)}
}

// marked reports whether one of a version's markings is one of those asked about.
func marked(r store.Record, is func(stix.ID) bool) bool {
	for _, own := range markingsOf(r) {
		if slices.ContainsFunc(own, is) {
			return true
		}
	}
	return false
}

// load adds the current version of an id to the graph; always says that it is
// to be loaded past the bound.
func (d *Desk) load(ctx context.Context, g *graph, id stix.ID, always bool) error {
	if _, ok := g.at[id]; ok || g.absent[id] || g.beyond[id] {
		return nil
	}
	if len(g.recs)-g.asked >= maxAround && !always {
		g.beyond[id] = true
		return nil
	}
	rec, err := d.store.Current(ctx, id)
	switch {
	case noroshi.KindOf(err) == noroshi.NotFound:
		held, err := d.store.Held(ctx, []stix.ID{id})
		if err != nil {
			return err
		}
		// What is here and has no current version, such as one of two bodies, is
		// withheld: nobody is told by a reference that it is here.
		if held[id] {
			g.beyond[id] = true
		} else {
			g.absent[id] = true
		}
		return nil
	case err != nil:
		return err
	}
	g.at[id] = len(g.recs)
	g.recs = append(g.recs, rec)
	return nil
}

// define loads every body kept under a marking's id; those that are not
// well known travel with what they mark, so they are in the graph too.
func (d *Desk) define(ctx context.Context, g *graph, id stix.ID) error {
	if _, ok := g.defs[id]; ok {
		return nil
	}
	versions, err := d.store.Versions(ctx, id)
	if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
		return err
	}
	g.defs[id] = versions
	if noroshi.TLPOf(id) != noroshi.NoTLP || len(versions) == 0 {
		return nil
	}
	return d.load(ctx, g, id, true)
}

// caseFor makes the case of a graph for one partner: items in the order of
// g.recs.
func (d *Desk) caseFor(ctx context.Context, g *graph, l *link) (Case, error) {
	c := Case{
		Realm: d.o.Realm, Now: d.o.Now(), Self: d.o.Self.Identity, Partner: l.party, Clauses: l.clauses,
		Around: map[stix.ID]Standing{}, Items: make([]Item, len(g.recs)), Urgency: l.urgency, views: new(views),
	}
	c.Holder, _ = l.clauses.Agreement().Other(l.party.Node)
	var err error
	if c.Allowed, err = d.allowed(ctx, l); err != nil {
		return Case{}, err
	}
	seqs := make([]int64, 0, len(g.recs)+len(g.stale))
	for _, list := range [][]store.Record{g.recs, g.stale} {
		for _, r := range list {
			seqs = append(seqs, r.Seq)
		}
	}
	has, err := d.partnerHas(ctx, g, l)
	if err != nil {
		return Case{}, err
	}
	done, err := d.store.Released(ctx, l.party.Node, seqs)
	if err != nil {
		return Case{}, err
	}
	if g.streamed, err = d.store.Streamed(ctx, l.party.Node, slices.Sorted(maps.Keys(done))); err != nil {
		return Case{}, err
	}
	g.batch, g.batches, g.views = done, map[string]store.Batch{}, map[string]map[int64]store.Decided{}
	labels := labeller{graph: g, statements: l.clauses.Agreement().Statements, known: map[string]noroshi.Label{}}
	for i, r := range g.recs {
		f := Facts{
			Label: labels.of(r), Source: r.Source, Self: c.Self, Sender: l.senders[r.Source.Partner], Partner: l.party,
			Run: r.Run, KnownGood: len(r.Flags) > 0, Withdrawn: r.Withdrawn, Conflict: r.Conflict, Mark: g.marks[i],
			Portions: noroshi.PortionsOf(r.Object, func(id stix.ID) []*stix.Object { return g.bodies(id, r) }, labels.statements),
		}
		if r.Source.Kind == noroshi.FromPartner && !brought(r, l) {
			f.From = l.sender(r.Source.Partner)
		}
		if id, decided := done[r.Seq]; decided {
			labels := []noroshi.Label{f.Label}
			if len(f.Portions) > 0 {
				row, err := d.rowIn(ctx, g, id, r)
				if err != nil {
					return Case{}, err
				}
				it := ItemOf(r.Object, f)
				labels = []noroshi.Label{c.alone(&it).Label, it.labelWithout(row.Cut)}
			}
			if f.Done, err = d.stillDone(ctx, g, l, r, labels, id); err != nil {
				return Case{}, err
			}
			if f.Done {
				f.Freed = ruleCited(g.batches[id])
			}
		}
		if has[string(r.Object.ID)] && !g.streamed[r.Seq] && !brought(r, l) {
			if f.Had, err = d.theirs(ctx, r.Object.ID, l.party.Node); err != nil {
				return Case{}, err
			}
		}
		c.Items[i] = ItemOf(r.Object, f)
	}
	for id := range g.beyond {
		c.Around[id] = Withheld
	}
	for id, yes := range has {
		if yes {
			c.Around[stix.ID(id)] = Had
		}
	}
	c.Nodes = map[stix.ID]bool{}
	for _, id := range l.senders {
		c.Nodes[id] = true
	}
	Translate(c.Items)
	return c, nil
}

// row returns the row of the batch a version was last decided in.
func (d *Desk) row(ctx context.Context, g *graph, r store.Record) (store.Decided, error) {
	return d.rowIn(ctx, g, g.batch[r.Seq], r)
}

// rowIn returns a version's row of a batch.
func (d *Desk) rowIn(ctx context.Context, g *graph, id string, r store.Record) (store.Decided, error) {
	views, ok := g.views[id]
	if !ok {
		list, err := d.store.Views(ctx, id)
		if err != nil {
			return store.Decided{}, err
		}
		views = make(map[int64]store.Decided, len(list))
		for _, row := range list {
			views[row.Seq] = row
		}
		g.views[id] = views
	}
	if row, ok := views[r.Seq]; ok {
		return row, nil
	}
	return store.Decided{Seq: r.Seq, Hash: r.Hash, View: r.Hash}, nil
}

// stillDone reports whether a version's earlier release stands: it is in the
// stream, or was decided under this agreement and one of these labels. What was
// decided otherwise and never got out is decided anew.
func (d *Desk) stillDone(ctx context.Context, g *graph, l *link, r store.Record, labels []noroshi.Label, id string) (bool, error) {
	b, ok := g.batches[id]
	if !ok {
		var err error
		if b, err = d.store.Batch(ctx, id); err != nil {
			return false, err
		}
		g.batches[id] = b
	}
	as := r.Object.Type == "marking-definition" || slices.ContainsFunc(labels, func(l noroshi.Label) bool { return l.String() == b.Label })
	return g.streamed[r.Seq] || b.Agreement == l.clauses.Agreement().Hash && as, nil
}

// partnerHas asks which objects the partner has, of those for which it matters:
// what is referred to, and what is neither this node's own first version nor
// what the partner itself brought. A list of this node's own indicators asks
// nothing, nor does one that came from the partner.
func (d *Desk) partnerHas(ctx context.Context, g *graph, l *link) (map[string]bool, error) {
	var ids []string
	for i, r := range g.recs {
		own := r.Source.Kind == noroshi.FromSelf && r.Object.Created == r.Object.Modified
		if i >= g.asked || !own && !brought(r, l) {
			ids = append(ids, string(r.Object.ID))
		}
		for _, ref := range r.Object.Refs() {
			if ref.Target != d.o.Self.Identity {
				ids = append(ids, string(ref.Target))
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	slices.Sort(ids)
	return d.store.PartnerHas(ctx, l.party.Node, slices.Compact(ids))
}

// sender returns the partner that brought something; one that is not known any
// more has no terms.
func (l *link) sender(n noroshi.NodeID) *Sender {
	if s := l.from[n]; s != nil {
		return s
	}
	return &Sender{CallSign: noroshi.CallSign(n.String())}
}

// brought reports whether a version came from the partner itself.
func brought(r store.Record, l *link) bool {
	return r.Source.Kind == noroshi.FromPartner && r.Source.Partner == l.party.Node
}

// theirs reports whether the partner itself brought a version of the id.
func (d *Desk) theirs(ctx context.Context, id stix.ID, partner noroshi.NodeID) (bool, error) {
	versions, err := d.store.Versions(ctx, id)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(versions, func(r store.Record) bool {
		return r.Source.Kind == noroshi.FromPartner && r.Source.Partner == partner
	}), nil
}

// labeller computes each combination of markings once.
type labeller struct {
	graph      *graph
	statements []string
	known      map[string]noroshi.Label
	key        []byte
}

func (l *labeller) of(r store.Record) noroshi.Label {
	l.key = append(l.key[:0], r.Source.Kind...)
	l.key = append(append(l.key, 0), r.Source.Partner[:]...)
	for _, ids := range [][]stix.ID{r.Object.Markings, r.Assigned} {
		for _, id := range ids {
			l.key = append(append(l.key, id...), 0)
		}
		l.key = append(l.key, 1) // whose they are matters
	}
	joined, ok := l.known[string(l.key)]
	if !ok {
		bodies := func(id stix.ID) []*stix.Object { return l.graph.bodies(id, r) }
		joined = noroshi.MarkingsLabel(r.Object.Markings, r.Assigned, bodies, l.statements)
		l.known[string(l.key)] = joined
	}
	return joined.Join(noroshi.FormLabel(r.Object))
}
