package feed

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Bounds of what lies in a run's folder before it is judged together: beyond
// them it is judged and taken, and the rest of the feed after it.
const (
	maxPieces   = 500
	maxSpooled  = 512 << 20
	retireAtOne = 500 // indicators that one act takes out of use
)

// piece is a file of a feed that is new or has changed, as it was fetched.
type piece struct {
	part         // as it is to be kept
	name  string // of the part
	title string // of the file, as a person knows it
	file  string // where it lies
	size  int64

	survey intake.Survey
}

// take surveys the pieces, has them judged together with what vanished, and
// admits them one by one. A piece that cannot be read is blamed and left.
func (r *feeding) take(ctx context.Context, pieces []piece, gone []string) error {
	fresh := 0
	good := pieces[:0]
	for _, p := range pieces {
		if err := r.survey(ctx, &p); err != nil {
			if ctx.Err() != nil {
				return err
			}
			r.blame(err)
			continue
		}
		fresh += p.survey.New
		good = append(good, p)
	}
	e, err := r.compare(ctx, good, gone)
	if err != nil {
		return err
	}
	if err := r.allow(fresh, e.lost, e.total); err != nil {
		return err
	}
	for i := range good {
		if err := r.admit(ctx, &good[i], e.of[good[i].name]); err != nil {
			if ctx.Err() != nil {
				return err
			}
			r.blame(err)
		}
	}
	for _, name := range gone {
		if err := r.end(ctx, name, e.of[name]); err != nil {
			return err
		}
	}
	return nil
}

// importOf are the options of a piece.
func (r *feeding) importOf(p *piece) intake.ImportOptions {
	o := r.options
	o.Name, o.Size, o.Listed = p.title, p.size, r.feed.RevokeVanished
	if r.feed.Kind == MISP {
		o.Format = "misp"
	}
	return o
}

// survey looks at a piece. One of which more than half cannot be read is not what
// it is taken for, such as a page that asks for a password: nothing of it is
// taken.
func (r *feeding) survey(ctx context.Context, p *piece) error {
	f, err := os.Open(p.file)
	if err != nil {
		return err
	}
	defer f.Close()
	if p.survey, err = r.reader.gate.Survey(ctx, f, r.importOf(p)); err != nil {
		return err
	}
	if s := p.survey; 2*s.Refused > s.Elements {
		return noroshi.Errorf(noroshi.Invalid, "feed.content", "%d of %d elements of %s cannot be read: is it of the format it is taken for?", s.Refused, s.Elements, p.title)
	}
	return nil
}

// ending is which indicators a feed lists no more.
type ending struct {
	lost  int                  // how many
	total int                  // of how many it listed
	of    map[string][]stix.ID // by the part that had them
}

// compare says which indicators the feed lists no more, when these pieces take
// the place of what they were and these parts are gone. What any part of the
// feed still lists has not vanished.
func (r *feeding) compare(ctx context.Context, pieces []piece, gone []string) (e ending, err error) {
	e.of = map[string][]stix.ID{}
	if !r.feed.RevokeVanished {
		return e, nil
	}
	parts, err := r.reader.parts(ctx, r.feed)
	if err != nil {
		return e, err
	}
	still := map[stix.ID]bool{}
	for i := range pieces {
		p := &pieces[i]
		had, err := r.reader.listed(ctx, r.feed, p.name)
		if err != nil {
			return e, err
		}
		add, drop := differ(had, p.survey.Listed)
		p.Add, p.Drop = packIDs(add), packIDs(drop)
		e.of[p.name] = drop
		e.total += len(had)
		note(still, p.survey.Listed)
		delete(parts, p.name)
	}
	for name := range parts {
		had, err := r.reader.listed(ctx, r.feed, name)
		if err != nil {
			return e, err
		}
		e.total += len(had)
		if slices.Contains(gone, name) {
			e.of[name] = had
		} else {
			note(still, had)
		}
	}
	for name, ids := range e.of {
		e.of[name] = slices.DeleteFunc(ids, func(id stix.ID) bool { return still[id] })
		e.lost += len(e.of[name])
	}
	return e, nil
}

func note(set map[stix.ID]bool, ids []stix.ID) {
	for _, id := range ids {
		set[id] = true
	}
}

// admit takes a piece in. What was lost with it goes first: a run that breaks off
// finds that again.
func (r *feeding) admit(ctx context.Context, p *piece, lost []stix.ID) error {
	if err := r.retire(ctx, lost); err != nil {
		return err
	}
	f, err := os.Open(p.file)
	if err != nil {
		return err
	}
	defer f.Close()
	next := r.state
	o := r.importOf(p)
	o.Last = func(tx *store.Tx, report intake.Report) error {
		next.Days = Counted(r.state.Days, r.reader.o.Now(), fresh(report))
		return errors.Join(tx.PutJSON(r.feed.docPart(), p.name, p.part), tx.PutJSON(DocState, r.feed.Name, next))
	}
	report, err := r.reader.gate.Import(ctx, f, o)
	if err != nil {
		return err
	}
	r.state = next
	r.count(fresh(report), report.Unchanged, report.Quarantined)
	return nil
}

// fresh is how many versions an import brought.
func fresh(r intake.Report) int { return r.New + r.Updated + r.Older + r.Foreign + r.Conflicts }

func (r *feeding) count(fresh, unchanged, quarantined int) {
	r.counts.New += fresh
	r.counts.Unchanged += unchanged
	r.counts.Quarantined += quarantined
	r.accept = max(0, r.accept-fresh)
}

// end keeps that a file is gone, and takes out of use what only it listed.
func (r *feeding) end(ctx context.Context, name string, lost []stix.ID) error {
	if err := r.retire(ctx, lost); err != nil {
		return err
	}
	had, err := r.reader.listed(ctx, r.feed, name)
	if err != nil {
		return err
	}
	_, err = r.reader.store.Do(ctx, r.act(noroshi.ActFetch, 1), func(tx *store.Tx) error {
		return tx.PutJSON(r.feed.docPart(), name, part{Gone: true, Drop: packIDs(had)})
	})
	return err
}

// retire takes out of use what is listed no more.
func (r *feeding) retire(ctx context.Context, ids []stix.ID) error {
	for some := range slices.Chunk(ids, retireAtOne) {
		v, err := r.reader.gate.PrepareVanished(ctx, r.feed.Name, "feed "+r.feed.Name+" vanished", some)
		if err != nil {
			return err
		}
		if v.Count == 0 {
			continue
		}
		_, err = r.reader.store.Do(ctx, r.act(noroshi.ActWithdraw, v.Count), func(tx *store.Tx) error { return r.reader.gate.Retire(tx, v) })
		if err != nil {
			return err
		}
		r.counts.Vanished += v.Count
	}
	return nil
}
