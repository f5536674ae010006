package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Version is an object version (or edition) ready to be kept; everything that
// can be computed outside the lane is computed before.
type Version struct {
	Object  *stix.Object
	Hash    noroshi.Hash // SHA-256 of the bytes
	Source  noroshi.Source
	Creator bool            // the source is the node whose identity is the object's created_by_ref (this node for FromSelf)
	Run     string          // import or feed run, or "" ; holds are grouped by it
	View    uint32          // the sender's view number, 0 = uncut
	Values  []noroshi.Value // what the value index gets
	Refs    []stix.ID       // what the reference index gets; created_by_ref and marking refs need not be in it
	Assign  []stix.ID       // markings assigned here to this version
	Flags   []string        // known-good warning-lists that name one of its values
	Text    string          // words for the full-text index: names, descriptions, never the value
}

// PutResult says what Put found.
type PutResult uint8

// What Put found.
const (
	Unchanged PutResult = iota // the same bytes are here already from this owner, and their term is not over; what a file brings is not, where a partner only gave it back
	New                        // first version of this id
	Updated                    // a later version, now current
	Older                      // kept; a later version is current
	Edition                    // another body of an object without modified
	Foreign                    // another source's version of an owned object: kept, shown as such, never current
	Conflict                   // two bodies under one id and modified from one owner: both kept, the version is held, never armed
)

var putResults = []string{"unchanged", "new", "updated", "older", "edition", "foreign", "conflict"}

// String returns the lower-case name.
func (r PutResult) String() string { return putResults[min(int(r), len(putResults)-1)] }

// Bits of an object row.
const (
	bitRevoked = 1 << iota
	bitCreator
	bitFlagged
)

// Put keeps a version and returns what it found and the version's sequence;
// of Unchanged the sequence of the one that is here.
//
// An object belongs to the source that brought it first, or to the first
// source that made it itself (Version.Creator), so long as a version of that
// source has not ended. Only the owner's versions become current; the order in
// which one owner's versions come does not matter. Revoked and withdrawn objects
// stay so. A put can change what is current among versions that came before:
// followers of the feed look at the id again.
func (t *Tx) Put(v *Version) (PutResult, int64, error) {
	o := v.Object
	switch {
	case o == nil || o.ID == "":
		return 0, 0, noroshi.Errorf(noroshi.Invalid, "store.object", "put: no object given")
	case !v.Source.Valid():
		return 0, 0, noroshi.Errorf(noroshi.Invalid, "store.source", "put %s: its source says too little to be one", o.ID)
	case v.Hash != noroshi.Sum(o.Bytes()):
		return 0, 0, noroshi.Errorf(noroshi.Invalid, "store.hash", "put %s: the hash is not that of its bytes", o.ID)
	}
	h := t.s.key64(string(o.ID))
	seq := t.state.seq + 1
	if t.absent[h] {
		delete(t.absent, h)
		if err := t.c.append(headInsert, h, seq, seq); err != nil {
			return 0, 0, err
		}
		return New, seq, errors.Join(t.insert(v, t.feed()), t.markRevoked(v, seq))
	}
	added, err := t.c.exec("INSERT INTO head (h, first, current) VALUES ($1, $2, $2) ON CONFLICT (h) DO NOTHING", h, seq)
	if err != nil {
		return 0, 0, err
	}
	if added == 0 {
		return t.putAgain(v, h)
	}
	if err := t.insert(v, t.feed()); err != nil {
		return 0, 0, err
	}
	return New, seq, t.markFirst(v, seq)
}

var headInsert = insertInto("head", "h", "first", "current")

// expected bounds how many ids one question of Expect names.
const expected = 1000

// Expect says which versions are about to be put. Where every Put would wait
// for an answer of its own, one question finds the ids that are new; elsewhere
// it does nothing. More than a thousand are as if they had not been named.
func (t *Tx) Expect(versions []*Version) error {
	if t.c.pg == nil || len(versions) < 2 {
		return nil
	}
	versions = versions[:min(len(versions), expected)]
	places := make([]int64, 0, len(versions))
	t.absent = make(map[int64]bool, len(versions))
	for _, v := range versions {
		h := t.s.key64(string(v.Object.ID))
		places = append(places, h)
		t.absent[h] = true
	}
	taken := func(rows *sql.Rows) error {
		var h int64
		err := rows.Scan(&h)
		delete(t.absent, h)
		return err
	}
	if err := t.c.each(context.Background(), taken, "SELECT h FROM head WHERE h = ANY (CAST(CAST($1 AS text) AS bigint[]))", bigints(places)); err != nil {
		return err
	}
	if t.state.last[withdrawnTable.ord] == 0 {
		return nil
	}
	ids := make([]string, len(versions)) // a withdrawal may have come before its object
	for i, v := range versions {
		ids[i] = string(v.Object.ID)
	}
	gone := func(rows *sql.Rows) error {
		var sid string
		err := rows.Scan(&sid)
		delete(t.absent, t.s.key64(sid))
		return err
	}
	return t.c.each(context.Background(), gone, "SELECT sid FROM withdrawn WHERE sid = ANY (CAST(CAST($1 AS text) AS text[]))", texts(ids))
}

// markRevoked marks a first version that was not withdrawn.
func (t *Tx) markRevoked(v *Version, seq int64) error {
	if !v.Object.Revoked {
		return nil
	}
	return t.setMark(seq, revoked)
}

// markFirst marks the first version of an id, which is plain unless it says
// revoked or its withdrawal came before it.
func (t *Tx) markFirst(v *Version, seq int64) error {
	mark := 0
	if v.Object.Revoked {
		mark |= revoked
	}
	if t.state.last[withdrawnTable.ord] > 0 {
		gone, err := withdrawalsOf(t.c, string(v.Object.ID))
		if err != nil {
			return err
		}
		if gone.cover(claim{seq: seq, owner: v.Source.Owner(), modified: v.Object.Modified}) {
			mark |= withdrawn
		}
	}
	if mark == 0 {
		return nil
	}
	return t.setMark(seq, mark)
}

// insert writes a version's row and its index entries.
func (t *Tx) insert(v *Version, seq int64) error {
	o := v.Object
	bits := int64(0)
	if o.Revoked {
		bits |= bitRevoked
	}
	if v.Creator {
		bits |= bitCreator
	}
	if len(v.Flags) > 0 {
		bits |= bitFlagged
	}
	m := meta{values: v.Values, assigned: v.Assign, flags: v.Flags, refs: v.Refs}
	if o.Type == "indicator" {
		m.from, m.until = microsOf(o.Text("valid_from")), microsOf(o.Text("valid_until"))
	}
	source, err := t.source(v.Source)
	if err != nil {
		return err
	}
	run, err := t.word(v.Run)
	if err != nil {
		return err
	}
	typ, err := t.word(o.Type)
	if err != nil {
		return err
	}
	if err := t.add(objectTable, seq, string(o.ID), typ, source, run, int64(v.View), bits, o.Modified.String(),
		v.Hash[:], m.pack(), v.Text, blob(o.Bytes())); err != nil {
		return fmt.Errorf("put %s: %w", o.ID, err)
	}
	return t.enterIndexes(string(o.ID), seq, &m)
}

// enterIndexes writes the derived entries of a version: values and references.
func (t *Tx) enterIndexes(sid string, seq int64, m *meta) error {
	if err := t.indexValues(m.values, seq); err != nil {
		return err
	}
	for _, target := range m.refs {
		if err := t.c.run("INSERT INTO ref (target, sid) VALUES ($1, $2) ON CONFLICT DO NOTHING", string(target), sid); err != nil {
			return err
		}
	}
	return nil
}

// microsOf returns a timestamp's microseconds, 0 for none.
func microsOf(text string) int64 {
	tm, err := stix.ParseTime(text)
	if err != nil {
		return 0
	}
	return tm.Micros()
}

// source interns where a thing came from.
func (t *Tx) source(src noroshi.Source) (int64, error) {
	if src == t.lastSource && t.lastSourceN != 0 {
		return t.lastSourceN, nil
	}
	text, err := json.Marshal(src)
	if err != nil {
		return 0, err
	}
	n, err := t.word(string(text))
	t.lastSource, t.lastSourceN = src, n
	return n, err
}

// putAgain keeps a version whose id has its place in head taken: by an earlier
// version of it, as a rule.
func (t *Tx) putAgain(v *Version, h int64) (PutResult, int64, error) {
	id := string(v.Object.ID)
	f, err := t.family(id, h)
	if err != nil {
		return 0, 0, err
	}
	owner, given := v.Source.Owner(), v.Source.Returned != noroshi.NodeID{}
	for _, c := range f.claims {
		if c.owner == owner && c.hash == v.Hash && c.view == v.View && (c.creator || !v.Creator) && (given || !c.given) && !f.gone.ended(c) {
			return Unchanged, c.seq, nil
		}
	}
	seq := t.feed()
	if err := t.insert(v, seq); err != nil {
		return 0, 0, err
	}
	if !f.found { // another id has this one's first place
		if err := t.c.run("INSERT INTO head (h, first, current) VALUES ($1, $2, $2)", f.h, seq); err != nil {
			return 0, 0, err
		}
		return New, seq, t.markFirst(v, seq)
	}
	if err := t.c.run("INSERT INTO version (h, seq) VALUES ($1, $2)", f.h, seq); err != nil {
		return 0, 0, err
	}
	f.claims = append(f.claims, claim{seq: seq, owner: owner, given: given, creator: v.Creator, modified: v.Object.Modified,
		view: v.View, hash: v.Hash, revoked: v.Object.Revoked})
	marks, current, err := t.resettle(f)
	if err != nil {
		return 0, 0, err
	}
	return result(f, marks[len(marks)-1], seq == current), seq, nil
}

// result names what the last claim of a family came to.
func result(f family, mark int, current bool) PutResult {
	last := f.claims[len(f.claims)-1]
	switch {
	case mark&foreign != 0:
		return Foreign
	case mark&conflict != 0:
		return Conflict
	case last.modified.IsZero():
		return Edition
	case current:
		return Updated
	}
	return Older
}
