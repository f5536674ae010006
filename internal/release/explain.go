package release

import (
	"context"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Preview is what would become of one object version for one partner.
type Preview struct {
	Record   store.Record
	Decision Decision
	View     *stix.Object // what the partner would get; nil when nothing leaves
}

// Preview decides for an object version and partner. Nothing is written.
func (d *Desk) Preview(ctx context.Context, seq int64, partner noroshi.NodeID) (Preview, error) {
	list, err := d.Previews(ctx, []int64{seq}, partner)
	if err != nil {
		return Preview{}, err
	}
	return list[0], nil
}

// Previews decides for some object versions, each once, and a partner. Nothing
// is written.
func (d *Desk) Previews(ctx context.Context, seqs []int64, partner noroshi.NodeID) ([]Preview, error) {
	list := make([]Preview, len(seqs))
	l, err := d.linkTo(ctx, partner)
	if noroshi.KindOf(err) == noroshi.Refused {
		for i, seq := range seqs {
			if list[i], err = d.undecided(ctx, seq, noroshi.Reason{Code: "agreement.none", Outcome: noroshi.Deny}); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	g, err := d.collect(ctx, seqs)
	if err != nil {
		return nil, err
	}
	c, err := d.caseFor(ctx, g, l)
	if err != nil {
		return nil, err
	}
	all, err := d.decided(ctx, g, l, &c)
	if err != nil {
		return nil, err
	}
	where, err := d.whereNow(ctx, partner, seqs)
	if err != nil {
		return nil, err
	}
	for i, seq := range seqs {
		if list[i], err = d.preview(ctx, g, &c, all, seq, where[seq]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// preview is the answer for one of the versions that were decided together.
func (d *Desk) preview(ctx context.Context, g *graph, c *Case, all []Decision, seq int64, where []noroshi.Reason) (p Preview, err error) {
	has := func(r store.Record) bool { return r.Seq == seq }
	if i := slices.IndexFunc(g.stale, has); i >= 0 {
		why := noroshi.Reason{Code: "object.superseded", Outcome: noroshi.Deny}
		if g.stale[i].Conflict {
			why = noroshi.Reason{Code: "object.conflict", Outcome: noroshi.Hold, Key: noroshi.NotUnderstood}
		}
		return d.undecided(ctx, seq, why)
	}
	i := slices.IndexFunc(g.recs[:g.asked], has)
	if i < 0 {
		return p, noroshi.Errorf(noroshi.NotFound, "release.no-object", "no object version %d", seq)
	}
	p = Preview{Record: g.recs[i], Decision: all[i]}
	if goes(&p.Decision) {
		if p.View, err = View(p.Record.Object, p.Decision.Cut); err != nil {
			return Preview{}, err
		}
	}
	err = d.approved(ctx, g, &c.Items[i], &p)
	p.Decision.Reasons = append(p.Decision.Reasons, where...)
	return p, err
}

// approved says of what persons released that it is, while their approval
// stands.
func (d *Desk) approved(ctx context.Context, g *graph, it *Item, p *Preview) error {
	b, released := g.batches[g.batch[p.Record.Seq]]
	if !released || p.Decision.Outcome != noroshi.Hold {
		return nil
	}
	row, err := d.row(ctx, g, p.Record)
	if err == nil && stands(b, row, it, &p.Decision) {
		p.Decision.Outcome, p.Decision.Key = noroshi.Release, ""
		if len(p.Decision.Cut) > 0 {
			p.Decision.Outcome = noroshi.Redact
		}
	}
	return err
}

// Entry is what the entry gate would give an object.
type Entry struct {
	Assign    func(*stix.Object) []stix.ID // markings
	KnownGood func(*stix.Object) bool      // a warning-list names one of its values
}

// Weigh decides for objects that are not admitted, as they would be decided if
// a person imported them from a file: with what the entry gate would give each,
// under the standing rules there are. Nothing is written. Ids must be unique.
func (d *Desk) Weigh(ctx context.Context, objects []*stix.Object, entry Entry, partner noroshi.NodeID) ([]Preview, error) {
	l, err := d.linkTo(ctx, partner)
	if err != nil {
		return nil, err
	}
	c := Case{Realm: d.o.Realm, Now: d.o.Now(), Self: d.o.Self.Identity, Partner: l.party, Clauses: l.clauses, Around: map[stix.ID]Standing{}, Nodes: map[stix.ID]bool{}, Urgency: l.urgency}
	c.Holder, _ = l.clauses.Agreement().Other(l.party.Node)
	if c.Allowed, err = d.allowed(ctx, l); err != nil {
		return nil, err
	}
	for _, id := range l.senders {
		c.Nodes[id] = true
	}
	w := weighing{desk: d, ctx: ctx, own: make(map[stix.ID]*stix.Object, len(objects)), statements: l.clauses.Agreement().Statements}
	for _, o := range objects {
		w.own[o.ID] = o
	}
	for _, o := range objects {
		c.Items = append(c.Items, w.item(o, entry, c.Self, l.party))
		if err := w.around(c.Around, o, partner); err != nil {
			return nil, err
		}
	}
	if err := w.originals(&c, objects); err != nil {
		return nil, err
	}
	Translate(c.Items)
	list := make([]Preview, len(objects))
	for i, dec := range Decide(c)[:len(objects)] {
		list[i] = Preview{Record: store.Record{Object: objects[i]}, Decision: dec}
		if goes(&dec) {
			if list[i].View, err = View(objects[i], dec.Cut); err != nil {
				return nil, err
			}
		}
	}
	return list, w.err
}

// weighing is what items of a file are made with.
type weighing struct {
	desk       *Desk
	ctx        context.Context
	own        map[stix.ID]*stix.Object // of the file
	statements []string
	err        error // the first of reading definitions
}

func (w *weighing) item(o *stix.Object, entry Entry, self stix.ID, partner noroshi.Party) Item {
	return ItemOf(o, Facts{
		Label: noroshi.LabelOf(o, entry.Assign(o), w.bodies, w.statements), Portions: noroshi.PortionsOf(o, w.bodies, w.statements),
		Source: noroshi.Source{Kind: noroshi.FromFile, Name: "-"}, Self: self, Partner: partner, Mark: PortionMark(o.Bytes()), KnownGood: entry.KnownGood(o),
	})
}

// bodies returns the definitions of a marking, in the file and here.
func (w *weighing) bodies(id stix.ID) (list []*stix.Object) {
	if o := w.own[id]; o != nil {
		list = append(list, o)
	}
	versions, err := w.desk.store.Versions(w.ctx, id)
	if err != nil && noroshi.KindOf(err) != noroshi.NotFound && w.err == nil {
		w.err = err
	}
	for _, v := range versions {
		if v.Source.Kind != noroshi.FromPartner {
			list = append(list, v.Object)
		}
	}
	return list
}

// around says how what an object refers to outside the file stands.
func (w *weighing) around(around map[stix.ID]Standing, o *stix.Object, partner noroshi.NodeID) error {
	for _, r := range o.Refs() {
		if _, known := around[r.Target]; known || w.own[r.Target] != nil {
			continue
		}
		_, err := w.desk.store.Current(w.ctx, r.Target)
		if noroshi.KindOf(err) == noroshi.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		has, err := w.desk.store.PartnerHas(w.ctx, partner, []string{string(r.Target)})
		if err != nil {
			return err
		}
		around[r.Target] = Withheld
		if has[string(r.Target)] {
			around[r.Target] = Had
		}
	}
	return nil
}

// originals adds to a case, behind everything else, what translations of the file
// translate and what is here alone.
func (w *weighing) originals(c *Case, objects []*stix.Object) error {
	added := map[stix.ID]bool{}
	for _, o := range objects {
		says, ok := noroshi.TranslationOf(o)
		if !ok || w.own[says.Of] != nil || added[says.Of] {
			continue
		}
		r, err := w.desk.store.Current(w.ctx, says.Of)
		if noroshi.KindOf(err) == noroshi.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		added[says.Of] = true
		c.Items = append(c.Items, ItemOf(r.Object, Facts{
			Label: noroshi.LabelOf(r.Object, r.Assigned, w.bodies, w.statements), Portions: noroshi.PortionsOf(r.Object, w.bodies, w.statements),
			Source: r.Source, Self: c.Self, Partner: c.Partner, Mark: PortionMark(r.Object.Bytes()), KnownGood: len(r.Flags) > 0,
			Withdrawn: r.Withdrawn, Conflict: r.Conflict,
		}))
	}
	return nil
}

// undecided is the answer where one rule speaks before any marking is read.
func (d *Desk) undecided(ctx context.Context, seq int64, r noroshi.Reason) (p Preview, err error) {
	recs, err := d.store.Records(ctx, []int64{seq})
	if err != nil {
		return p, err
	}
	if len(recs) == 0 {
		return p, noroshi.Errorf(noroshi.NotFound, "release.no-object", "no object version %d", seq)
	}
	p.Record = recs[0]
	p.Decision.add(r)
	return p, nil
}

// Explain decides for an object and partner and returns every reason.
func (d *Desk) Explain(ctx context.Context, seq int64, partner noroshi.NodeID) (noroshi.Outcome, []noroshi.Reason, error) {
	p, err := d.Preview(ctx, seq, partner)
	return p.Decision.Outcome, p.Decision.Reasons, err
}

// whereNow says in which batch versions went or are to go, or in which hold they
// wait or were returned.
func (d *Desk) whereNow(ctx context.Context, partner noroshi.NodeID, seqs []int64) (map[int64][]noroshi.Reason, error) {
	seqs = slices.Sorted(slices.Values(seqs))
	gone, err := d.store.Released(ctx, partner, seqs)
	if err != nil {
		return nil, err
	}
	held, err := d.store.HeldFor(ctx, partner, seqs)
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	where := map[int64][]noroshi.Reason{}
	for _, seq := range seqs {
		id := held[seq]
		switch {
		case gone[seq] != "":
			where[seq] = []noroshi.Reason{{Code: "batch.released", Args: []string{gone[seq]}, Outcome: noroshi.Release}}
			continue
		case id == "":
			continue
		}
		if _, known := states[id]; !known {
			h, err := d.store.Hold(ctx, id)
			if err != nil {
				return nil, err
			}
			states[id] = h.State
		}
		where[seq] = []noroshi.Reason{{Code: "hold." + states[id], Args: []string{id}, Outcome: noroshi.Hold}}
	}
	return where, nil
}

// GroupSuffix is what the code of a reason ends in that speaks of many objects.
const GroupSuffix = "-group"

// RuleOf returns the number of the rule of docs/release.md a reason's code
// belongs to, 0 for what is the agreement's or the object's own state.
func RuleOf(code string) int {
	code = strings.TrimSuffix(code, GroupSuffix)
	if n, ok := ruleOfCode[code]; ok {
		return n
	}
	family, _, _ := strings.Cut(code, ".")
	return ruleOfFamily[family]
}

var ruleOfCode = map[string]int{
	"marking.none": 1, "marking.statement": 6, "marking.granular": 7, "marking.two-exercises": 6, "marking.exercise-id": 6,
	"object.conflict": 10, "closure.marking": 8,
}

var ruleOfFamily = map[string]int{
	"marking": 2, "tlp": 3, "iep": 4, "acs": 5, "japanese": 6, "jpn": 6, "exercise": 6, "granular": 7, "closure": 8, "translation": 8, "text": 9, "level": 5,
}
