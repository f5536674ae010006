package intake

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Assignable reads a marking that a person may assign: a TLP level. Markings of
// the richer kinds are refused with what to do instead: a partner reads those
// out of the object alone, so one that stands beside it would be lost there.
func Assignable(text string) (noroshi.TLP, error) {
	if t := noroshi.TLPOf(stix.ID(text)); t != noroshi.NoTLP {
		return t, nil
	}
	t, err := noroshi.ParseTLP(text)
	if err == nil {
		return t, nil
	}
	kind, _, _ := strings.Cut(strings.ToLower(text), ":")
	richer := slices.Contains([]string{"acs", "iep", "jpn"}, kind) || strings.HasPrefix(text, "marking-definition--") ||
		strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
	if richer {
		return noroshi.NoTLP, noroshi.Errorf(noroshi.Invalid, "marking.only-tlp", "marking %q cannot be assigned here: only a TLP level can", text)
	}
	return noroshi.NoTLP, err
}

// MarkBound is what a person who assigns a marking is bound to, beside the
// object's id: this version of it and this level.
func MarkBound(version noroshi.Hash, level noroshi.TLP) noroshi.Hash {
	return noroshi.Sum(append(version[:], level.String()...))
}

// Mark assigns a level to a version on a person's order, whose signature over
// MarkBound the caller has checked. It only ever restricts: where the version
// says as much already nothing is changed, and the answer is false. A Conflict
// when the version is not the current one any more.
func (g *Gate) Mark(ctx context.Context, r store.Record, level noroshi.TLP, by noroshi.Signed) (bool, error) {
	if r.Object.Type == "marking-definition" {
		return false, noroshi.Errorf(noroshi.Invalid, "marking.definition", "%s is a marking itself: it is not marked", string(r.Object.ID))
	}
	if says(r) >= level {
		return false, nil
	}
	act := noroshi.Act{Action: noroshi.ActAssignMarking, Persons: []noroshi.Signed{by}, Subject: string(r.Object.ID), Label: level.String(),
		Count: 1, Precedence: noroshi.Immediate}
	_, err := g.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := stillCurrent(ctx, tx, r); err != nil {
			return err
		}
		return tx.AssignMarking(r.Seq, level.MarkingID())
	})
	return err == nil, err
}

// says is the strictest TLP level a version has as a whole, its own or assigned.
func says(r store.Record) noroshi.TLP {
	return max(strictest(r.Object.Markings), strictest(r.Assigned))
}

// stillCurrent refuses what was ordered of a version that is another's by now,
// or is marked otherwise.
func stillCurrent(ctx context.Context, tx *store.Tx, r store.Record) error {
	now, err := tx.Current(ctx, r.Object.ID)
	if err == nil && (now.Seq != r.Seq || !slices.Equal(now.Assigned, r.Assigned)) {
		err = noroshi.Errorf(noroshi.Conflict, "marking.changed", "%s has changed meanwhile", string(r.Object.ID))
	}
	return err
}
