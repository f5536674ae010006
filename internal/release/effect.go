package release

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// decide decides a graph for one partner and writes what follows: batches,
// holds, and what leaves a hold.
func (d *Desk) decide(ctx context.Context, l *link, g *graph) error {
	c, err := d.caseFor(ctx, g, l)
	if err != nil {
		return err
	}
	w := plan{desk: d, link: l, graph: g, c: c, ready: map[ready][]int{}, held: map[string]*holding{}}
	if err := w.decide(ctx); err != nil {
		return err
	}
	if err := w.load(ctx); err != nil {
		return err
	}
	for i := range g.recs {
		if err := w.place(ctx, i); err != nil {
			return err
		}
	}
	for _, r := range g.stale {
		w.drop(r.Seq)
	}
	if err := w.overhold(ctx); err != nil {
		return err
	}
	return w.write(ctx)
}

// decide decides, and what was released, has not gone and may not go as it was
// released, or was passed over, is decided as if it never had been, until
// nothing changes.
func (w *plan) decide(ctx context.Context) (err error) {
	for again := true; again; {
		again = false
		if w.out, err = w.desk.decided(ctx, w.graph, w.link, &w.c); err != nil {
			return err
		}
		for i, r := range w.graph.recs[:w.graph.asked] {
			it := &w.c.Items[i]
			if !it.Done || it.Type == "marking-definition" || w.graph.streamed[r.Seq] {
				continue
			}
			row, err := w.desk.row(ctx, w.graph, r)
			if err != nil {
				return err
			}
			in := w.graph.batch[r.Seq]
			if w.graph.passed[passing{in, r.Seq}] || !stands(w.graph.batches[in], row, it, &w.out[i]) {
				it.Done, again = false, true
			}
		}
	}
	for i, r := range w.graph.recs[:w.graph.asked] {
		if w.graph.batch[r.Seq] != "" && !w.c.Items[i].Done {
			w.back = append(w.back, r.Seq)
		}
	}
	return nil
}

// ready is what objects of one batch share.
type ready struct {
	clause, label string
	precedence    noroshi.Precedence
}

// plan gathers the effects of one decision for one partner.
type plan struct {
	desk  *Desk
	link  *link
	graph *graph
	c     Case
	out   []Decision

	open  map[string]store.HoldGroup // open and returned holds of the partner by id
	byKey map[string]string          // their ids by key; open ones
	in    map[int64]string           // the hold a version waits in

	ready map[ready][]int
	held  map[string]*holding
	drops []int64
	back  []int64 // released, not gone, and decided anew
	over  []int64 // went, and may not be held any more
}

type holding struct {
	group   store.HoldGroup
	members []store.Decided
}

func (w *plan) load(ctx context.Context) error {
	s, node := w.desk.store, w.link.party.Node
	seqs := make([]int64, 0, len(w.graph.recs)+len(w.graph.stale))
	for _, list := range [][]store.Record{w.graph.recs, w.graph.stale} {
		for _, r := range list {
			seqs = append(seqs, r.Seq)
		}
	}
	var err error
	if w.in, err = s.HeldFor(ctx, node, seqs); err != nil {
		return err
	}
	w.open, w.byKey = map[string]store.HoldGroup{}, map[string]string{}
	for _, state := range []string{store.HoldReturned, store.HoldOpen} {
		holds, err := s.Holds(ctx, state)
		if err != nil {
			return err
		}
		for _, h := range holds {
			if h.Partner == node {
				w.open[h.ID] = h
				if state == store.HoldOpen {
					w.byKey[groupKey(h)] = h.ID
				}
			}
		}
	}
	return nil
}

// place puts one item where its decision says. Neighbours that were only
// loaded because something refers to them are released when they can go now;
// their holds are left to their own turn, and so is what the partner has or is
// to get: that goes again only where it would now get other bytes, once what it
// refers to went. What is withheld and refers to both must not bring it along
// before, in another message.
func (w *plan) place(ctx context.Context, i int) error {
	it, d := &w.c.Items[i], &w.out[i]
	asked := i < w.graph.asked || d.Ring
	if it.Type == "marking-definition" {
		return nil
	}
	if it.Done {
		if !asked {
			return nil
		}
		had, err := w.desk.row(ctx, w.graph, w.graph.recs[i])
		if err != nil || !goes(d) || slices.Equal(had.Cut, d.Cut) {
			return err
		}
		if now, err := w.row(i); err != nil || now.View == had.View {
			return err // cut at other places, with the same left
		}
	}
	switch {
	case d.Outcome == noroshi.Release, d.Outcome == noroshi.Redact:
		k := ready{d.cited(), d.Label.String(), it.Precedence}
		w.ready[k] = append(w.ready[k], i)
		w.drop(w.graph.recs[i].Seq)
	case d.Outcome == noroshi.Hold && asked:
		return w.hold(ctx, i)
	case asked:
		w.drop(w.graph.recs[i].Seq)
	}
	return nil
}

// hold puts an item into the hold it belongs to, unless it is there as the
// partner would get it now, or in one of the same kind that was returned.
func (w *plan) hold(ctx context.Context, i int) error {
	r, g := w.graph.recs[i], w.c.group(i, &w.out[i])
	key := groupKey(g)
	row, err := w.row(i)
	if err != nil {
		return err
	}
	if was, ok := w.in[r.Seq]; ok {
		if groupKey(w.open[was]) == key {
			member, err := w.desk.store.HoldMembers(ctx, was, r.Seq-1, 1)
			if err != nil || len(member) == 1 && member[0].View == row.View {
				return err
			}
		}
		w.drop(r.Seq)
	}
	h := w.held[key]
	if h == nil {
		g.ID = w.byKey[key]
		if g.ID == "" {
			g.ID = digest("hold", key, r.Hash.String())[:16]
		}
		h = &holding{group: g}
		w.held[key] = h
	}
	h.members = append(h.members, row)
	return nil
}

// row is what an item's decision lets the partner see.
func (w *plan) row(i int) (store.Decided, error) {
	r, d := w.graph.recs[i], &w.out[i]
	row := store.Decided{Seq: r.Seq, Hash: r.Hash, View: r.Hash}
	if len(d.Cut) > 0 && goes(d) {
		v, err := View(r.Object, d.Cut)
		if err != nil {
			return row, err
		}
		row.View, row.Cut = noroshi.Sum(v.Bytes()), d.Cut
	}
	return row, nil
}

// group is the hold an item belongs to: run, label, key, reasons and partner.
func (c *Case) group(i int, d *Decision) store.HoldGroup {
	it := &c.Items[i]
	g := store.HoldGroup{
		Partner: c.Partner.Node, Run: d.Group, Label: d.Label.String(), Key: d.Key, Clause: d.Clause, Precedence: it.Precedence,
	}
	if c.Clauses != nil {
		g.Agreement = c.Clauses.Agreement().Hash
	}
	_, approvable := Approvals(d.Key)
	for _, m := range d.marks() {
		if !approvable {
			break
		}
		g.Reasons = append(g.Reasons, noroshi.Reason{Code: travels, Marking: string(m), Outcome: noroshi.Release})
	}
	for _, r := range d.Reasons {
		if r.Outcome != noroshi.Hold || (!approvable && r.Key != d.Key) {
			continue // what cannot be approved is grouped by what must be mended first
		}
		if strings.HasPrefix(r.Code, "closure.") || strings.HasPrefix(r.Code, "text.") {
			// Places and marks differ from object to object; Explain says them. A
			// marking stays: when its definition changes, the hold is found by it.
			r.Code, r.Args = r.Code+"-group", nil
		}
		if !slices.ContainsFunc(g.Reasons, func(x noroshi.Reason) bool { return reasonKey(x) == reasonKey(r) }) {
			g.Reasons = append(g.Reasons, r)
		}
	}
	return g
}

// groupKey is what members of one hold share.
func groupKey(g store.HoldGroup) string {
	parts := []string{g.Partner.String(), g.Run, g.Label, string(g.Key), g.Clause, g.Agreement.String(), g.Precedence.String()}
	for _, r := range g.Reasons {
		parts = append(parts, reasonKey(r))
	}
	return strings.Join(parts, "\x00")
}

func reasonKey(r noroshi.Reason) string {
	return r.Code + " " + r.Marking + " " + strings.Join(r.Args, " ")
}

func (w *plan) drop(seq int64) {
	if _, ok := w.in[seq]; ok {
		w.drops = append(w.drops, seq)
	}
}

// write writes the effects: one act for what leaves holds and what is
// released, one for what is held. Written twice they add nothing.
func (w *plan) write(ctx context.Context) error {
	batches, rows, err := w.batches(ctx)
	if err != nil {
		return err
	}
	if len(batches)+len(w.drops)+len(w.back)+len(w.over) > 0 {
		act := noroshi.Act{Action: noroshi.ActRelease, Partner: w.link.party.Node, Agreement: w.link.clauses.Agreement().Hash}
		if len(batches) == 0 {
			act = noroshi.Act{Action: noroshi.ActHold}
		}
		for i, b := range batches {
			act.Count += b.Count
			act.Precedence = max(act.Precedence, b.Precedence)
			if i == 0 {
				act.Subject, act.Label = b.ID, b.Label
			}
		}
		_, err = w.desk.store.Do(ctx, act, func(tx *store.Tx) error {
			if len(w.drops) > 0 {
				if err := tx.DropHeld(w.link.party.Node, w.drops); err != nil {
					return err
				}
			}
			if len(w.back) > 0 {
				if err := tx.TakeBack(w.link.party.Node, w.back); err != nil {
					return err
				}
			}
			for _, seq := range w.over {
				if err := tx.NoticeOverheld(w.link.party.Node, seq); err != nil {
					return err
				}
			}
			for i, b := range batches {
				if err := tx.PutBatch(b, rows[i]); err != nil {
					return err
				}
			}
			return w.use(ctx, tx)
		})
		if err != nil {
			return err
		}
	}
	return w.writeHolds(ctx)
}

func (w *plan) writeHolds(ctx context.Context) error {
	if len(w.held) == 0 {
		return nil
	}
	act := noroshi.Act{Action: noroshi.ActHold, Agreement: w.link.clauses.Agreement().Hash}
	keys := slices.Sorted(maps.Keys(w.held))
	for _, k := range keys {
		h := w.held[k]
		act.Count += len(h.members)
		act.Precedence = max(act.Precedence, h.group.Precedence)
		act.Subject, act.Label = h.group.ID, h.group.Label
	}
	_, err := w.desk.store.Do(ctx, act, func(tx *store.Tx) error {
		for _, k := range keys {
			h := w.held[k]
			slices.SortFunc(h.members, func(a, b store.Decided) int { return cmp.Compare(a.Seq, b.Seq) })
			if err := tx.PutHold(h.group, h.members); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// batches makes one batch per clause, label and precedence, the urgent first.
// A marking definition goes with the first batch that needs it.
func (w *plan) batches(ctx context.Context) ([]store.Batch, [][]store.Decided, error) {
	keys := slices.SortedFunc(maps.Keys(w.ready), func(a, b ready) int {
		return cmp.Or(cmp.Compare(b.precedence, a.precedence), strings.Compare(a.label, b.label), strings.Compare(a.clause, b.clause))
	})
	travelled := map[stix.ID]bool{}
	var batches []store.Batch
	var all [][]store.Decided
	for _, k := range keys {
		rows, err := w.rows(w.ready[k], travelled)
		if err != nil {
			return nil, nil, err
		}
		b := store.Batch{
			Partner: w.link.party.Node, Agreement: w.link.clauses.Agreement().Hash, Clause: k.clause, Label: k.label,
			Precedence: k.precedence, Count: len(rows), Root: store.BatchRoot(rows),
		}
		if b.ID, err = w.desk.batchID(ctx, b, rows, w.graph.batch); err != nil {
			return nil, nil, err
		}
		batches, all = append(batches, b), append(all, rows)
	}
	return batches, all, nil
}

// rows makes the rows of items, each behind the definitions of its markings that
// no row before it brought.
func (w *plan) rows(items []int, travelled map[stix.ID]bool) ([]store.Decided, error) {
	rows := make([]store.Decided, 0, len(items))
	g := w.graph
	for _, i := range items {
		for _, m := range w.out[i].marks() {
			j, ok := g.at[m]
			// One that an earlier batch has may not go with that: it goes with this too.
			if ok && !travelled[m] && !g.streamed[g.recs[j].Seq] && !w.c.Items[j].Theirs {
				travelled[m] = true
				rows = append(rows, store.Decided{Seq: g.recs[j].Seq, Hash: g.recs[j].Hash, View: g.recs[j].Hash})
			}
		}
		row, err := w.row(i)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// batchID derives a batch's id from all it says and from the batches its rows
// were in before: what was shown otherwise meanwhile may be shown as before.
// What was taken back and is decided as it was then goes under a new id.
func (d *Desk) batchID(ctx context.Context, b store.Batch, rows []store.Decided, former map[int64]string) (string, error) {
	parts := []string{"batch", b.Partner.String(), b.Agreement.String(), b.Clause, b.Label, b.Precedence.String(), b.Hold, b.Root.String()}
	for _, r := range rows {
		if id := former[r.Seq]; id != "" {
			parts = append(parts, strconv.FormatInt(r.Seq, 10), id)
		}
	}
	for id := digest(parts...)[:24]; ; id = digest("batch again", id)[:24] {
		_, err := d.store.Batch(ctx, id)
		if noroshi.KindOf(err) == noroshi.NotFound {
			return id, nil
		}
		if err != nil {
			return "", err
		}
	}
}

// digest returns the hexadecimal SHA-256 of parts.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		writePart(h, []byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}
