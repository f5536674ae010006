package store

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// withdrawals says, by owner, how much of its copies of an object was
// withdrawn: the newest version, or "" for every one, or what had come up to a
// sequence, "#" before it, or with a sequence alone, "#=" before it.
type withdrawals map[string][]string

// came reads a withdrawal of what had come up to a sequence, or with it alone.
func came(upto string) (seq int64, alone, ok bool) {
	text, ok := strings.CutPrefix(upto, "#")
	if !ok {
		return 0, false, false
	}
	text, alone = strings.CutPrefix(text, "=")
	seq, err := strconv.ParseInt(text, 10, 64)
	return seq, alone, err == nil
}

// ended reports whether the term of a version is over: by what came up to a
// sequence, or for it alone.
func (w withdrawals) ended(c claim) bool {
	for _, upto := range w[c.owner] {
		seq, alone, ok := came(upto)
		if ok && c.seq > 0 && (c.seq == seq || !alone && c.seq < seq) {
			return true
		}
	}
	return false
}

// cover reports whether a version was withdrawn.
func (w withdrawals) cover(c claim) bool {
	if w.ended(c) {
		return true
	}
	for _, upto := range w[c.owner] {
		if upto == "" {
			return true
		}
		if t, err := stix.ParseTime(upto); err == nil && !c.modified.IsZero() && c.modified.Compare(t) <= 0 {
			return true
		}
	}
	return false
}

// covers reports whether a withdrawal of an owner's copies adds nothing.
func (w withdrawals) covers(owner, upto string) bool {
	c := claim{owner: owner}
	var alone, seen bool
	if c.seq, alone, seen = came(upto); seen && !alone { // what ends one version ends none before it
		w = withdrawals{owner: slices.DeleteFunc(slices.Clone(w[owner]), func(x string) bool { return strings.HasPrefix(x, "#=") })}
	}
	c.modified, _ = stix.ParseTime(upto)
	return w.cover(c)
}

func withdrawalsOf(c *conn, id string) (withdrawals, error) {
	w := withdrawals{}
	err := c.each(context.Background(), func(rows *sql.Rows) error {
		var owner, upto string
		err := rows.Scan(&owner, &upto)
		w[owner] = append(w[owner], upto)
		return err
	}, "SELECT owner, upto FROM withdrawn WHERE sid = $1", id)
	return w, err
}

// Withdraw marks an owner's copy of an object withdrawn, for ever: every
// version, those that come later too. It may come before the object. owner is
// noroshi.Source.Owner of the source whose copy it is; copies of others stay.
func (t *Tx) Withdraw(id stix.ID, owner string) error { return t.withdraw(id, owner, "") }

// WithdrawUpTo withdraws an owner's versions of an object up to one; a later
// one stands. A version without modified is withdrawn by Withdraw alone.
func (t *Tx) WithdrawUpTo(id stix.ID, owner string, newest stix.Time) error {
	if newest.IsZero() {
		return noroshi.Errorf(noroshi.Invalid, "store.withdraw", "withdraw %s up to no version", string(id))
	}
	return t.withdraw(id, owner, newest.String())
}

// End takes an owner's versions of an object out of use that came up to a
// sequence: their term is over. What comes later stands, the same bytes too.
func (t *Tx) End(id stix.ID, owner string, seq int64) error {
	if seq < 1 {
		return noroshi.Errorf(noroshi.Invalid, "store.withdraw", "end %s up to no sequence", string(id))
	}
	return t.withdraw(id, owner, "#"+strconv.FormatInt(seq, 10))
}

// EndVersion takes one version of an object out of use: its term is over. What the
// same owner brought before it and after it stands.
func (t *Tx) EndVersion(id stix.ID, owner string, seq int64) error {
	if seq < 1 {
		return noroshi.Errorf(noroshi.Invalid, "store.withdraw", "end no version of %s", string(id))
	}
	return t.withdraw(id, owner, "#="+strconv.FormatInt(seq, 10))
}

// Ended counts the objects of which a partner's versions were taken out of use
// because their term was over.
func (r Reads) Ended(ctx context.Context) (n int, err error) {
	err = r.on(ctx, func(c *conn) error {
		_, err := c.one(to(&n), "SELECT count(DISTINCT sid) FROM withdrawn WHERE upto LIKE '#%' AND owner LIKE 'partner:%'")
		return err
	})
	return n, err
}

// Banned says of each object whether a version as it is was withdrawn, whoever
// had it, and no other is in use; what only came to the end of its term was not.
// A nil object is not.
func (r Reads) Banned(ctx context.Context, objects []*stix.Object) ([]bool, error) {
	banned := make([]bool, len(objects))
	err := r.on(ctx, func(c *conn) error {
		upto, err := bansOf(ctx, c, objects)
		if err != nil {
			return err
		}
		for i, o := range objects {
			if o == nil || !upto[o.ID].cover(claim{modified: o.Modified}) {
				continue
			}
			f, err := r.familyOn(c, string(o.ID), r.s.key64(string(o.ID)))
			if err != nil {
				return err
			}
			banned[i] = !slices.ContainsFunc(f.marks, func(m int) bool { return m&withdrawn == 0 })
		}
		return nil
	})
	return banned, err
}

// bansOf returns how much of each object was withdrawn, under no owner's name.
func bansOf(ctx context.Context, c *conn, objects []*stix.Object) (map[stix.ID]withdrawals, error) {
	var ids []string
	for _, o := range objects {
		if o != nil {
			ids = append(ids, string(o.ID))
		}
	}
	bans := map[stix.ID]withdrawals{}
	if len(ids) == 0 {
		return bans, nil
	}
	w := &clauses{}
	w.in("sid", len(ids), func(i int) any { return ids[i] })
	return bans, c.each(ctx, func(rows *sql.Rows) error {
		var sid, upto string
		err := rows.Scan(&sid, &upto)
		if bans[stix.ID(sid)] == nil {
			bans[stix.ID(sid)] = withdrawals{}
		}
		bans[stix.ID(sid)][""] = append(bans[stix.ID(sid)][""], upto)
		return err
	}, "SELECT sid, upto FROM withdrawn WHERE upto NOT LIKE '#%' AND "+w.where[0], w.args...)
}

func (t *Tx) withdraw(id stix.ID, owner, upto string) error {
	f, err := t.family(string(id), t.s.key64(string(id)))
	if err != nil {
		return err
	}
	if f.gone.covers(owner, upto) {
		return nil
	}
	if err := t.add(withdrawnTable, t.next(withdrawnTable), string(id), owner, upto); err != nil {
		return err
	}
	f.gone[owner] = append(f.gone[owner], upto)
	if _, _, err := t.resettle(f); err != nil {
		return err
	}
	return t.Notice(ObjectWithdrawn, string(id))
}
