package store

import (
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Marks of a version. A version without marks is current and in effect; only
// versions with some have a row in mark.
const (
	superseded = 1 << iota // another version is current
	withdrawn              // its owner's copy was withdrawn
	conflict               // two bodies under one id, modified and view from one owner
	foreign                // not from the owner of the object
	revoked                // current, and it says revoked
	assigned               // markings were assigned after admission: no effect on what is current
)

// claim is one version of an object as settle weighs it.
type claim struct {
	seq      int64
	owner    string
	given    bool // a partner gave it back to this node, which had lost it
	creator  bool // its source is the node whose identity is its created_by_ref
	modified stix.Time
	view     uint32
	hash     noroshi.Hash
	revoked  bool
}

// settle decides which of an object's versions is current. claims are in the
// order they came; gone says what was withdrawn. marks has one entry
// per claim; current is 0 when no version may be current.
//
// The owner is the first source that made the object itself, else the first
// that brought it; one whose every version has ended gives way. Within an owner a
// version whose term is over gives way to any other, and decides nothing of those: a
// thief may have made it. Else the result does not depend on the order of the claims:
// the highest modified counts and of one modified the highest view; of editions (no
// modified) the lowest hash; two bodies under one modified and view are both held;
// once one version is revoked only revoked ones count.
func settle(claims []claim, gone withdrawals) (owner string, current int64, marks []int) {
	owner = ownerOf(claims, gone)
	marks = make([]int, len(claims))
	best, final := -1, false
	over := func(i int) bool { return gone.ended(claims[i]) }
	for i, c := range claims {
		marks[i] = superseded
		if gone.cover(c) {
			marks[i] |= withdrawn
		}
		if c.owner != owner {
			marks[i] |= foreign
		} else if c.revoked && !over(i) {
			final = true
		}
	}
	markConflicts(claims, gone, marks)
	for i, c := range claims {
		if marks[i]&(foreign|conflict) != 0 || final && !c.revoked {
			continue
		}
		if best < 0 || over(best) && !over(i) || over(best) == over(i) && claims[best].before(c) {
			best = i
		}
	}
	if best < 0 {
		return owner, 0, marks
	}
	marks[best] &^= superseded
	if claims[best].revoked {
		marks[best] |= revoked
	}
	return owner, claims[best].seq, marks
}

func ownerOf(claims []claim, gone withdrawals) string {
	lasts := func(owner string) bool {
		return slices.ContainsFunc(claims, func(c claim) bool { return c.owner == owner && !gone.ended(c) })
	}
	for _, creator := range []bool{true, false} {
		for _, c := range claims {
			if (c.creator || !creator) && lasts(c.owner) {
				return c.owner
			}
		}
	}
	return claims[0].owner
}

// before reports whether d counts more than c. Both are of one owner and not
// in conflict.
func (c claim) before(d claim) bool {
	if k := c.modified.Compare(d.modified); k != 0 {
		return k < 0
	}
	if c.modified.IsZero() && c.hash != d.hash {
		return string(d.hash[:]) < string(c.hash[:])
	}
	return c.view < d.view
}

// slot is where at most one body may stand.
type slot struct {
	owner string
	view  uint32
	at    int64
}

// markConflicts marks versions that share owner, modified and view with
// another body, of those whose term is not over.
func markConflicts(claims []claim, gone withdrawals, marks []int) {
	if len(claims) < 2 {
		return
	}
	slots := make(map[slot][]int, len(claims))
	for i, c := range claims {
		if !c.modified.IsZero() && !gone.ended(c) {
			s := slot{c.owner, c.view, c.modified.Micros()}
			slots[s] = append(slots[s], i)
		}
	}
	for _, same := range slots {
		for x, i := range same {
			for _, j := range same[x+1:] {
				if claims[i].hash != claims[j].hash && claims[i].modified.Compare(claims[j].modified) == 0 {
					marks[i] |= conflict
					marks[j] |= conflict
				}
			}
		}
	}
}
