package door

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/taxii"
)

// How reads come on record. A partner's are an act each, before it goes, with
// the agreement and the clauses by which it may go. What one of our own tools
// reads of a collection within servingFor is a run, and two acts: one before its
// first page goes, which says that the client may read all there is until the run
// ends; and one when the run is over, which rests on the first and says how many
// it read and from when to when. A node that dies between leaves the first, so
// that nothing was ever read that is not on record.
const servingFor = 30 * time.Second

// servings are the runs that are open.
type servings struct {
	mu   sync.Mutex
	open map[served]*serving
}

// served is who reads what.
type served struct{ client, collection string }

// serving is a run of reads. Its lock is held while an act of it is made, and
// never while that of servings is taken.
type serving struct {
	mu       sync.Mutex
	over     bool
	act      uint64 // that opened it
	ends     time.Time
	from, to time.Time
	count    int
}

// noteRead puts on record that one of our own tools reads something, before it
// goes.
func (d *Door) noteRead(ctx context.Context, c Client, col Collection, out []taxii.Record) error {
	if len(out) == 0 {
		return nil
	}
	key := served{c.Name, col.ID}
	for {
		r := d.servings.of(key)
		ok, err := r.add(ctx, d, key, out)
		if err != nil || ok {
			return err
		}
		if err := d.endServing(ctx, key, r); err != nil {
			return err
		}
	}
}

// of returns the run that is open, or a new one.
func (s *servings) of(key served) *serving {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.open[key]
	if r == nil {
		r = &serving{}
		s.open[key] = r
	}
	return r
}

// add takes a page into a run, which it opens; ok is false where the run is over.
func (r *serving) add(ctx context.Context, d *Door, key served, out []taxii.Record) (ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first, last, now := out[0].Added, out[len(out)-1].Added, d.o.Now()
	switch {
	case r.over:
		return false, nil
	case r.ends.IsZero():
		ends := now.Add(servingFor)
		if last.After(ends) { // dates of much that came at once run ahead of the clock
			ends = last
		}
		done, err := d.serve(ctx, noroshi.Act{Subject: servedSubject(key, "", time.Time{}, ends)})
		if err != nil {
			return false, err
		}
		r.act, r.ends, r.from, r.to = done.Index, ends, first, last
	case !now.Before(r.ends) || last.After(r.ends):
		return false, nil
	}
	if first.Before(r.from) {
		r.from = first
	}
	if last.After(r.to) {
		r.to = last
	}
	r.count += len(out)
	return true, nil
}

// endServing puts on record what was read in a run.
func (d *Door) endServing(ctx context.Context, key served, r *serving) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over && r.count > 0 {
		_, err := d.serve(ctx, noroshi.Act{Subject: servedSubject(key, "", r.from, r.to), Count: r.count, Previous: r.act + 1})
		if err != nil {
			return err
		}
	}
	r.over = true
	d.servings.mu.Lock()
	defer d.servings.mu.Unlock()
	if d.servings.open[key] == r {
		delete(d.servings.open, key)
	}
	return nil
}

// Settle puts on record what our own tools have read in runs that are over, or
// in all that are open.
func (d *Door) Settle(ctx context.Context, all bool) (err error) {
	now := d.o.Now()
	d.servings.mu.Lock()
	open := make(map[served]*serving, len(d.servings.open))
	for key, r := range d.servings.open {
		open[key] = r
	}
	d.servings.mu.Unlock()
	for key, r := range open {
		r.mu.Lock()
		over := all || !r.ends.IsZero() && !now.Before(r.ends)
		r.mu.Unlock()
		if over {
			err = errors.Join(err, d.endServing(ctx, key, r))
		}
	}
	return err
}

// noteServed puts on record that a partner's client reads something, and by
// which agreement and clauses it may, before it goes.
func (d *Door) noteServed(ctx context.Context, c Client, col Collection, out []taxii.Record, by citations) error {
	if len(out) == 0 {
		return nil
	}
	act := noroshi.Act{Subject: servedSubject(served{c.Name, col.ID}, by.of(out), out[0].Added, out[len(out)-1].Added), Count: len(out), Agreement: by.agreement}
	_, err := d.serve(ctx, act)
	return err
}

func (d *Door) serve(ctx context.Context, act noroshi.Act) (store.Done, error) {
	act.Action = noroshi.ActServe
	return d.store.Do(ctx, act, func(*store.Tx) error { return nil })
}

// servedSubject is what an act of a read is about, as readOf reads it.
func servedSubject(key served, clauses string, from, to time.Time) string {
	words := []string{"client", key.client, key.collection}
	if clauses != "" {
		words = append(words, clausesWord+clauses)
	}
	return strings.Join(append(words, from.Format(time.RFC3339Nano), to.Format(time.RFC3339Nano)), " ")
}

// clausesWord begins the word of a subject that names clauses.
const clausesWord = "clauses="

// citations are by what partner's objects go: the agreement, and of each object,
// by its date, the clause.
type citations struct {
	agreement noroshi.Hash
	clause    map[time.Time]string
}

// of are the clauses of a page, each once.
func (by citations) of(out []taxii.Record) string {
	var list []string
	for _, r := range out {
		list = append(list, strings.ReplaceAll(by.clause[r.Added], " ", "/")) // a standing rule stands behind its clause
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ",")
}
