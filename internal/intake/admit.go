package intake

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Fault is one element that was quarantined, or kept but held.
type Fault struct {
	Index int
	Code  string // technical code, such as "malformed", "future", "too-large"
}

// Admitted counts what Admit did.
type Admitted struct {
	New         int `json:"new"`
	Updated     int `json:"updated"`
	Unchanged   int `json:"unchanged"`
	Older       int `json:"older"`
	Foreign     int `json:"foreign"`
	Quarantined int `json:"quarantined"`
	Conflicts   int `json:"conflicts"`        // two bodies under one id and modified: kept, held, never armed
	Marked      int `json:"marked"`           // what was here without a handling marking and got the import's
	Otherwise   int `json:"marked_otherwise"` // what was here under another marking than the import's, and keeps it

	Faults []Fault   `json:"-"`
	Seqs   []int64   `json:"-"` // of what is new
	Each   []Outcome `json:"-"` // of every element, in order
}

// Outcome is what became of one element.
type Outcome struct {
	Result store.PutResult
	Seq    int64        // its version, 0 where it was quarantined
	Object *stix.Object // nil where it was quarantined
	Code   string       // of the fault it was quarantined or is held for
	Msg    string       // the fault in English
}

// add adds the counts of b.
func (a *Admitted) add(b Admitted) {
	a.New += b.New
	a.Updated += b.Updated
	a.Unchanged += b.Unchanged
	a.Older += b.Older
	a.Foreign += b.Foreign
	a.Quarantined += b.Quarantined
	a.Conflicts += b.Conflicts
	a.Marked += b.Marked
	a.Otherwise += b.Otherwise
	a.Faults = append(a.Faults, b.Faults...)
	a.Seqs = append(a.Seqs, b.Seqs...)
	a.Each = append(a.Each, b.Each...)
}

// Admit puts what was prepared, inside an act. It is the only way in: a store's
// objects are all put here. When it fails the act must fail too.
func (g *Gate) Admit(tx *store.Tx, p *Prepared) (Admitted, error) {
	var a Admitted
	if p == nil || p.gate == nil {
		return a, nil
	}
	if p.gate != g {
		return a, noroshi.Errorf(noroshi.Invalid, "intake.other-gate", "what another realm's gate prepared does not enter here")
	}
	a, _, err := admit(tx, p.elements, nil)
	return a, err
}

// admit puts elements in order until stop asks for an end, and returns how many.
func admit(tx *store.Tx, elements []element, stop func() bool) (Admitted, int, error) {
	var a Admitted
	if tx != nil {
		if err := tx.Expect(fresh(elements)); err != nil {
			return a, 0, err
		}
	}
	for i := range elements {
		if i > 0 && stop != nil && stop() {
			return a, i, nil
		}
		if err := a.put(tx, &elements[i]); err != nil {
			return Admitted{}, 0, err
		}
	}
	return a, len(elements), nil
}

// fresh returns the versions that will be put.
func fresh(elements []element) []*store.Version {
	list := make([]*store.Version, 0, len(elements))
	for i := range elements {
		if e := &elements[i]; e.refused == nil && e.known == nil {
			list = append(list, e.version)
		}
	}
	return list
}

// put puts one element and counts it.
func (a *Admitted) put(tx *store.Tx, e *element) error {
	switch {
	case e.refused != nil:
		return a.quarantine(tx, e)
	case e.known != nil:
		return a.meet(tx, e)
	}
	result, seq, err := tx.Put(e.version)
	if err != nil {
		return err
	}
	out := Outcome{Result: result, Seq: seq, Object: e.version.Object}
	if result == store.Conflict {
		out.Code, out.Msg = codeConflict, "another body under this id and version is here: both are kept and held"
	}
	a.Each = append(a.Each, out)
	switch result {
	case store.Unchanged:
		a.Unchanged++
		return a.mark(tx, seq, e)
	case store.New, store.Edition:
		a.New++
	case store.Updated:
		a.Updated++
	case store.Older:
		a.Older++
	case store.Foreign:
		a.Foreign++
	case store.Conflict:
		a.Conflicts++
		a.Faults = append(a.Faults, Fault{e.index, codeConflict})
	}
	a.Seqs = append(a.Seqs, seq)
	return nil
}

func (a *Admitted) quarantine(tx *store.Tx, e *element) error {
	r := e.refused
	a.Quarantined++
	a.Faults = append(a.Faults, Fault{e.index, r.code})
	a.Each = append(a.Each, Outcome{Code: r.code, Msg: r.msg})
	if e.kept {
		return nil
	}
	q := store.Quarantined{Source: r.source, Run: r.run, Code: r.code, Place: r.place, Detail: r.msg, Raw: r.raw, Size: r.size}
	if r.why != nil {
		q.Why = noroshi.Tell(r.why)
	}
	if err := tx.Quarantine(q); err != nil {
		return err
	}
	return holdBack(tx, r.version, q)
}

// maxQuarantined is how much of a refused thing is kept.
const maxQuarantined = 64 << 10

// mark gives what is here already the marking this import assigns, where it has
// no handling marking yet: so an import that forgot --marking is mended by the
// same import with it. What has another one keeps it, and is counted. What a
// profile assigns is added where it narrows, or says what a marking stands for.
// What has a marking from before its source named a restriction is doubted.
func (a *Admitted) mark(tx *store.Tx, seq int64, e *element) error {
	v := e.version
	if e.doubt {
		v.Assign = []stix.ID{noroshi.Doubt}
	}
	if len(v.Assign) == 0 {
		return nil
	}
	have, err := tx.Records(context.Background(), []int64{seq})
	if err != nil || len(have) == 0 {
		return err
	}
	t, mapped := strictest(have[0].Assigned), e.mapped.Rule != ""
	if e.doubt && t == noroshi.NoTLP {
		return nil // it goes nowhere as it is
	}
	if t != noroshi.NoTLP && !mapped {
		a.otherwise(t, v)
		return nil
	}
	marked := 0
	for _, id := range v.Assign {
		level := noroshi.TLPOf(id)
		if slices.Contains(have[0].Assigned, id) || level != noroshi.NoTLP && level <= t {
			continue
		}
		if err := tx.AssignMarking(seq, id); err != nil {
			return err
		}
		marked = 1
	}
	a.Marked += marked
	return nil
}

// otherwise counts what keeps its marking t although the import names another.
func (a *Admitted) otherwise(t noroshi.TLP, v *store.Version) {
	if len(v.Assign) > 0 && noroshi.TLPOf(v.Assign[0]) != t {
		a.Otherwise++
	}
}
