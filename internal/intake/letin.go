package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Kinds of the documents of what a guard held back.
const (
	docHeldBack = "held-back"           // key = heldBackKey, body = heldBack: as what it would have come in
	DocLetIn    = "quarantine-released" // key = sequence in quarantine, body = LetIn
)

// heldBack is a version that a guard held back, as it would have come in.
type heldBack struct {
	Object  []byte         `json:"object"`
	Source  noroshi.Source `json:"source"`
	Creator bool           `json:"creator,omitempty"`
	Run     string         `json:"run,omitempty"`
	Assign  []stix.ID      `json:"assign,omitempty"`
}

// LetIn says who let something in that waited in quarantine.
type LetIn struct {
	Person string    `json:"person"`
	At     time.Time `json:"at"`
}

// heldBackKey is what a thing in quarantine is known by wherever it lies.
func heldBackKey(q store.Quarantined) string {
	return noroshi.Sum(fmt.Appendf(nil, "%s\n%s\n%s\n%s", q.Source.Kind, q.Source.Name, q.Code, q.Raw)).String()
}

// holdBack keeps as what a refused version would have come in, where a guard
// refused it. One that is too large for quarantine is imported by hand.
func holdBack(tx *store.Tx, v *store.Version, q store.Quarantined) error {
	if v == nil || len(v.Object.Bytes()) > maxQuarantined || q.Size > maxQuarantined {
		return nil
	}
	return tx.PutJSON(docHeldBack, heldBackKey(q), heldBack{Object: v.Object.Bytes(), Source: v.Source, Creator: v.Creator, Run: v.Run, Assign: v.Assign})
}

// QuarantineSubject is what a person who lets something in signs for, as
// ActImport over QuarantineBound.
func QuarantineSubject(seq int64) string { return "quarantine " + strconv.FormatInt(seq, 10) }

// QuarantineBound is what that signature is bound to: what lies in quarantine, and
// why.
func QuarantineBound(q store.Quarantined) noroshi.Hash {
	b, _ := json.Marshal([]any{q.Seq, q.Source.Kind, q.Source.Name, q.Code, q.Place, q.Detail, q.Raw, q.Size}) // cannot fail
	return noroshi.Sum(b)
}

// InQuarantine returns what lies in quarantine under a sequence, or NotFound.
func (g *Gate) InQuarantine(ctx context.Context, seq int64) (store.Quarantined, error) {
	list, err := g.store.QuarantineList(ctx, seq-1, 1)
	if err == nil && (len(list) == 0 || list[0].Seq != seq) {
		err = noroshi.Errorf(noroshi.NotFound, "quarantine.none", "there is no entry %d in quarantine", seq)
	}
	if err != nil {
		return store.Quarantined{}, err
	}
	return list[0], nil
}

// LetIn lets in what a guard held back, on the order of the person whose
// signature the caller checked: as what it would have come in, from its own
// source, so that the feed that brings it again finds it here. What was not
// understood is not let in as it is: it is mended and imported anew. A Conflict
// where it would not come into use: nothing is written then.
func (g *Gate) LetIn(ctx context.Context, q store.Quarantined, by noroshi.Signed) (stix.ID, error) {
	if q.Code != CodeProtected {
		return "", noroshi.Errorf(noroshi.Refused, "quarantine.not-held", "entry %d lies in quarantine as %s: mend it and import it anew", q.Seq, q.Code)
	}
	if err := notLetIn(ctx, g.store.Reads, q.Seq); err != nil {
		return "", err
	}
	h, err := store.DocOf[heldBack](ctx, g.store.Reads, docHeldBack, heldBackKey(q))
	if noroshi.KindOf(err) == noroshi.NotFound {
		return "", noroshi.Errorf(noroshi.NotFound, "quarantine.no-copy", "entry %d was too large to be kept whole: import it by hand", q.Seq)
	}
	if err != nil {
		return "", err
	}
	e, err := g.elementOf(h)
	if err != nil {
		return "", err
	}
	act := noroshi.Act{Action: noroshi.ActImport, Persons: []noroshi.Signed{by}, Subject: QuarantineSubject(q.Seq), Count: 1}
	_, err = g.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := notLetIn(ctx, tx.Reads, q.Seq); err != nil {
			return err // meanwhile
		}
		in, err := g.Admit(tx, &Prepared{gate: g, elements: []element{e}})
		if err != nil {
			return err
		}
		if in.Conflicts > 0 {
			return noroshi.Errorf(noroshi.Conflict, "quarantine.other-body", "entry %d is not let in: its source has brought another body of %s under the same version", q.Seq, e.version.Object.ID)
		}
		return tx.PutJSON(DocLetIn, strconv.FormatInt(q.Seq, 10), LetIn{by.Person, g.o.Now().UTC()})
	})
	return e.version.Object.ID, err
}

// notLetIn refuses what was let in already.
func notLetIn(ctx context.Context, r store.Reads, seq int64) error {
	was, err := store.DocOf[LetIn](ctx, r, DocLetIn, strconv.FormatInt(seq, 10))
	switch {
	case err == nil:
		return noroshi.Errorf(noroshi.Conflict, "quarantine.released", "entry %d was let in by %s on %s", seq, was.Person, was.At.UTC().Format(time.RFC3339))
	case noroshi.KindOf(err) == noroshi.NotFound:
		return nil
	}
	return err
}

// elementOf prepares what was held back.
func (g *Gate) elementOf(h heldBack) (element, error) {
	r, err := g.rulesFor(h.Source, h.Run)
	if err != nil {
		return element{}, err
	}
	e := g.read(r, h.Object)
	if e.refused != nil {
		return e, noroshi.Errorf(noroshi.Invalid, "quarantine.unreadable", "it cannot be let in: %s", e.refused.msg)
	}
	e.version.Creator, e.version.Assign = h.Creator, h.Assign
	return e, nil
}

// letInBefore reports whether the source has in use here a version of an indicator
// that names all the values this one does: then it was let in, and a later
// version of it arms nothing more.
func letInBefore(v *store.Version, versions []store.Record) bool {
	return slices.ContainsFunc(versions, func(r store.Record) bool {
		return r.Source.Owner() == v.Source.Owner() && !r.Withdrawn && !r.Object.Revoked && !slices.ContainsFunc(v.Values, func(value noroshi.Value) bool {
			return !slices.Contains(r.Values, value)
		})
	})
}
