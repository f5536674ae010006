package release

import (
	"cmp"
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Next clears the next message's worth of a batch from an ordinal on: at most
// 1,000 objects or 1 MiB (a larger object alone); at IMMEDIATE and FLASH one
// object with the definitions of its markings and its translations. Everything
// is decided again: agreement in force, nothing withdrawn, superseded, relabelled
// or without what it refers to. Rows that may no longer go are passed over, so
// First may be later than asked for; when none is left the zero Cleared comes
// back without an error. While no agreement is in force, as when it is
// suspended, the error is Queued.
func (d *Desk) Next(ctx context.Context, batch string, first int) (Cleared, error) {
	b, err := d.store.Batch(ctx, batch)
	if err != nil {
		return Cleared{}, err
	}
	for from := max(first, 0); from < b.Count; {
		x, err := d.checked(ctx, b, from, maxMessageObjects)
		if noroshi.KindOf(err) == noroshi.Refused {
			return Cleared{}, d.orWaits(ctx, b, err)
		}
		if err != nil || len(x.rows) == 0 {
			return Cleared{}, err
		}
		start := 0
		for start < len(x.rows) && x.why[start] != nil {
			start++
		}
		if start < len(x.rows) {
			return message(b, from+start, x.objects[start:], x.why[start:]), nil
		}
		from += len(x.rows)
	}
	return Cleared{}, nil
}

// message takes as many objects as one message may carry, up to the first that
// may not go.
func message(b store.Batch, first int, objects []Object, why []error) Cleared {
	c := Cleared{batch: b, first: first}
	size, heads := 0, 0
	for i, o := range objects {
		size += len(o.Bytes) + objectOverhead
		if why[i] != nil || (i > 0 && size > maxMessageBytes) {
			break
		}
		if urgent := b.Precedence >= noroshi.Immediate; urgent && heads > 0 && o.typ != "language-content" {
			break
		}
		if o.typ != "marking-definition" && o.typ != "language-content" {
			heads++
		}
		c.objects = append(c.objects, o)
	}
	return c
}

// clearedRow is one object of a batch that was checked, for a door that carries
// no messages.
func clearedRow(b store.Batch, row int, o Object) Cleared {
	return Cleared{batch: b, first: row, objects: []Object{o}}
}

// Again clears the bytes of a message that is in the stream already, for
// sealing and sending: the same checks; an error of kind Refused means it must
// be withheld. Whoever lets the bytes leave asks Stands in the act that says so.
func (d *Desk) Again(ctx context.Context, m store.OutMessage) (Cleared, error) {
	b, err := d.store.Batch(ctx, m.Batch)
	if err != nil {
		return Cleared{}, err
	}
	if b.Partner != m.Partner || m.Count < 1 || m.Count > maxMessageObjects || m.First < 0 || m.First+m.Count > b.Count {
		return Cleared{}, noroshi.Errorf(noroshi.Refused, "release.not-its-batch", "message %s does not fit its batch %s", m.ID.String(), m.Batch)
	}
	from, err := d.store.Head(ctx)
	if err != nil {
		return Cleared{}, err
	}
	x, err := d.checked(ctx, b, m.First, m.Count)
	if err != nil {
		return Cleared{}, err
	}
	if len(x.rows) != m.Count {
		return Cleared{}, noroshi.Errorf(noroshi.Broken, "release.batch-rows", "batch %s has lost rows: run audit verify", m.Batch)
	}
	for _, w := range x.why {
		if w != nil {
			return Cleared{}, w
		}
	}
	x.basis.from, x.basis.nodes[b.Partner] = from, true
	return Cleared{batch: b, first: m.First, objects: x.objects, basis: x.basis}, nil
}

// Rest clears what may still go of a message that must be withheld whole: its
// bytes are immutable, so the other objects go again in messages of their own,
// one for each run of rows between those that may not go. While no agreement is
// in force, as when it is suspended, the error is Queued.
func (d *Desk) Rest(ctx context.Context, m store.OutMessage) ([]Cleared, error) {
	b, err := d.store.Batch(ctx, m.Batch)
	if err != nil {
		return nil, err
	}
	if b.Partner != m.Partner || m.Count < 1 || m.Count > maxMessageObjects {
		return nil, noroshi.Errorf(noroshi.Refused, "release.not-its-batch", "message %s does not fit its batch %s", m.ID.String(), m.Batch)
	}
	x, err := d.checked(ctx, b, m.First, m.Count)
	if noroshi.KindOf(err) == noroshi.Refused {
		if err = d.orWaits(ctx, b, err); noroshi.KindOf(err) == noroshi.Refused {
			return nil, nil // another agreement: all is decided anew
		}
	}
	if err != nil {
		return nil, err
	}
	var rest []Cleared
	for i := 0; i < len(x.rows); i++ {
		if x.why[i] != nil {
			continue
		}
		c := message(b, m.First+i, x.objects[i:], x.why[i:])
		rest = append(rest, c)
		i += len(c.objects) - 1
	}
	return rest, nil
}

// orWaits returns why nothing of a batch may go: Queued while no agreement is in
// force with its partner, else what it was refused for.
func (d *Desk) orWaits(ctx context.Context, b store.Batch, refused error) error {
	if _, err := d.linkTo(ctx, b.Partner); err != nil {
		return noroshi.Errorf(noroshi.Queued, "release.waits", "no agreement is in force with %s now: what is left waits", b.Partner.String())
	}
	return refused
}

// lookAhead is how many rows behind those asked for are decided too: a marking's
// definition goes only before something it marks, which may begin the next message.
const lookAhead = 16

// run is rows of a batch decided again: the bytes of each, or why it may not go
// now, and what that rests on.
type run struct {
	rows    []store.Decided
	objects []Object
	why     []error
	basis   basis
}

// checked decides a run of a batch's rows again.
func (d *Desk) checked(ctx context.Context, b store.Batch, first, count int) (run, error) {
	l, err := d.linkTo(ctx, b.Partner)
	if err != nil && noroshi.KindOf(err) != noroshi.Refused {
		return run{}, err
	}
	return d.checkedFor(ctx, l, b, first, count)
}

// checkedFor is checked for a link that was looked up; nil = none is in force.
func (d *Desk) checkedFor(ctx context.Context, l *link, b store.Batch, first, count int) (run, error) {
	rows, err := d.store.BatchRows(ctx, b.ID, first, count)
	if err != nil || len(rows) == 0 {
		return run{}, err
	}
	n := len(rows)
	if n == count {
		ahead, err := d.store.BatchRows(ctx, b.ID, first+count, lookAhead)
		if err != nil {
			return run{}, err
		}
		rows = append(rows, ahead...)
	}
	x, err := d.check(ctx, l, b, rows)
	if err != nil {
		return run{}, err
	}
	x.rows, x.objects, x.why = rows[:n], x.objects[:n], x.why[:n]
	return x, nil
}

// check decides rows of a batch again.
func (d *Desk) check(ctx context.Context, l *link, b store.Batch, rows []store.Decided) (x run, err error) {
	if l == nil {
		return x, noAgreement(b.Partner)
	}
	if l.clauses.Agreement().Hash != b.Agreement || !l.clauses.Agreement().InForce(d.o.Now()) {
		return x, noroshi.Errorf(noroshi.Refused, "release.agreement-changed", "the agreement batch %s was decided under is no longer in force", b.ID)
	}
	seqs := make([]int64, len(rows))
	for i, r := range rows {
		seqs[i] = r.Seq
	}
	g, err := d.collect(ctx, seqs)
	if err != nil {
		return x, err
	}
	for _, r := range g.recs[:g.asked] {
		if r.Object.Type == "marking-definition" {
			if err := d.define(ctx, g, r.Object.ID); err != nil {
				return x, err
			}
		}
	}
	c, err := d.caseFor(ctx, g, l)
	if err != nil {
		return x, err
	}
	out, err := d.decided(ctx, g, l, &c)
	if err != nil {
		return x, err
	}
	at := make(map[int64]int, len(g.recs))
	for i, r := range g.recs {
		at[r.Seq] = i
	}
	objects, why := make([]Object, len(rows)), make([]error, len(rows))
	uses := map[stix.ID]string{} // markings of what goes, and by which clause the first of it goes
	former := map[int64]store.Record{}
	for _, r := range g.stale {
		former[r.Seq] = r
	}
	for k, row := range rows {
		i, ok := at[row.Seq]
		rec, old := former[row.Seq]
		if !ok && old {
			i, ok = g.at[rec.Object.ID]
		} else if ok {
			rec = g.recs[i]
		}
		var clause string
		if ok {
			clause = out[i].cited()
		}
		switch {
		case !ok:
			why[k] = refused(b, row, "it is not there any more")
			continue
		case g.batch[row.Seq] != b.ID && rec.Object.Type != "marking-definition":
			why[k] = refused(b, row, "it was decided anew in another batch")
		case show(rec, row) == nil:
			why[k] = refused(b, row, "other bytes than were decided")
			continue
		case old:
			if clause, ok = d.formerStands(g, l, c, &out[i], i, b, row, rec); !ok {
				why[k] = refused(b, row, "it may no longer go")
			}
		case !stands(b, row, &c.Items[i], &out[i]):
			why[k] = refused(b, row, "it may no longer go")
		}
		if why[k] == nil && rec.Object.Type == "marking-definition" && !g.clear(rec, l) {
			why[k] = refused(b, row, "its marking is not understood any more")
		}
		view := show(rec, row)
		objects[k] = Object{View: row.N, Bytes: view.Bytes(), typ: rec.Object.Type, id: rec.Object.ID, clause: clause}
		if why[k] == nil {
			objects[k].marks = append(noroshi.GranularMarkings(view), view.Markings...)
			for _, m := range objects[k].marks {
				uses[m] = cmp.Or(uses[m], clause)
			}
		}
	}
	withMarked(b, rows, objects, why, uses)
	return run{rows, objects, why, basis{seen: g.seen(), nodes: g.nodes(), link: l}}, nil
}

// withMarked keeps back definitions of markings nothing that goes uses; the
// others go by the clause by which the first of those goes.
func withMarked(b store.Batch, rows []store.Decided, objects []Object, why []error, uses map[stix.ID]string) {
	for k := range objects {
		o := &objects[k]
		if why[k] != nil || o.typ != "marking-definition" {
			continue
		}
		var used bool
		if o.clause, used = uses[o.id]; !used {
			o.unused, why[k] = true, refused(b, rows[k], "what it marks does not go")
		}
	}
}

// show makes the bytes a row decided on, of whichever version it names; nil
// where they are not those any more.
func show(rec store.Record, row store.Decided) *stix.Object {
	if rec.Hash != row.Hash {
		return nil
	}
	v, err := View(rec.Object, row.Cut)
	if err != nil || len(row.Cut) == 0 && row.View != row.Hash || len(row.Cut) > 0 && noroshi.Sum(v.Bytes()) != row.View {
		return nil
	}
	return v
}

// clear reports whether a definition is understood as some door here reads it,
// or says no more than a TLP level under a private id: what it marks then goes
// only where a stand-in speaks for it.
func (g *graph) clear(rec store.Record, l *link) bool {
	id, statements := rec.Object.ID, l.clauses.Agreement().Statements
	return slices.ContainsFunc(g.defs[id], func(v store.Record) bool {
		bodies := g.bodies(id, v)
		return v.Hash == rec.Hash && (len(noroshi.MarkingLabel(id, bodies, statements).Unknown) == 0 || noroshi.PrivateLevel(id, bodies, statements) != noroshi.NoTLP)
	})
}

// formerStands reports whether, and by which clause, a former version may still go
// although a later one, item i, is current: the later one may go too, what is withheld of it is
// not shown, and the former one has the batch's label itself or, where the row
// shows less, of that, nothing is wrong with it, and decided in the later one's
// place it would go as the row shows it. Whether portions are withheld of either
// makes no other difference: the partner would be told of them.
func (d *Desk) formerStands(g *graph, l *link, c Case, later *Decision, i int, b store.Batch, row store.Decided, r store.Record) (clause string, ok bool) {
	now, view := *later, show(r, row)
	now.Cut = slices.DeleteFunc(slices.Clone(later.Cut), func(s string) bool {
		place, _ := Generalised(s)
		return !c.Items[i].marks(place) || !stix.Resolve(view, place)
	})
	if !stands(b, row, &c.Items[i], &now) {
		return "", false
	}
	bodies := func(id stix.ID) []*stix.Object { return g.bodies(id, r) }
	statements := l.clauses.Agreement().Statements
	it := ItemOf(r.Object, Facts{Label: noroshi.LabelOf(r.Object, r.Assigned, bodies, statements), Portions: noroshi.PortionsOf(r.Object, bodies, statements),
		Source: r.Source, Self: c.Self, Sender: l.senders[r.Source.Partner], Partner: l.party,
		Run: r.Run, KnownGood: len(r.Flags) > 0, Mark: PortionMark(r.Object.Bytes()), Done: true, Had: c.Items[i].Theirs})
	if it.Label.String() != b.Label && it.labelWithout(row.Cut).String() != b.Label || r.Withdrawn || r.Conflict || r.Foreign {
		return "", false
	}
	c.Items = slices.Clone(c.Items)
	c.Items[i] = it
	Translate(c.Items)
	out := Decide(c)
	return out[i].cited(), stands(b, row, &c.Items[i], &out[i])
}

func refused(b store.Batch, row store.Decided, why string) error {
	return noroshi.Errorf(noroshi.Refused, "release.void", "batch %s: object %s: %s", b.ID, row.Hash.String(), why)
}

// stands reports whether a decision made now still bears out a batch's row: the
// same precedence, the label of what is decided now or, where the row shows
// less, of that, nothing to be cut that the row shows and, where persons must
// approve, their approvals.
func stands(b store.Batch, row store.Decided, it *Item, d *Decision) bool {
	if it.Type != "marking-definition" {
		label := d.Label.String() == b.Label || it.labelWithout(row.Cut).String() == b.Label
		if !label || it.Precedence != b.Precedence {
			return false
		}
	}
	if slices.ContainsFunc(d.Cut, func(s string) bool { return !within(row.Cut, s) }) {
		return false
	}
	switch d.Outcome {
	case noroshi.Release, noroshi.Redact:
		return true
	case noroshi.Hold:
		need, ok := Approvals(d.Key)
		return ok && b.Hold != "" && len(b.Approvals) >= need
	}
	return false
}
