package release

import (
	"bytes"
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Digest returns what release officers sign for a hold: the Merkle root of all
// that would leave, definitions of markings included, bound to partner,
// agreement, clause, label, counts and opening.
func (d *Desk) Digest(ctx context.Context, hold string) (noroshi.Hash, error) {
	g, err := d.openHold(ctx, hold)
	if err != nil {
		return noroshi.Hash{}, err
	}
	b, err := d.bound(ctx, g)
	return b.digest, err
}

// openHold returns a hold that waits.
func (d *Desk) openHold(ctx context.Context, id string) (store.HoldGroup, error) {
	open, err := d.store.Holds(ctx, store.HoldOpen)
	if err != nil {
		return store.HoldGroup{}, err
	}
	for _, g := range open {
		if g.ID == id {
			return g, nil
		}
	}
	return store.HoldGroup{}, noroshi.Errorf(noroshi.NotFound, "release.no-hold", "no open hold %s", id)
}

// signing is what persons sign of a hold.
type signing struct {
	members []store.Decided
	rows    []store.Decided // of the batch it becomes: definitions that leave with the members, and those
	root    noroshi.Hash    // of rows
	digest  noroshi.Hash
}

// bound returns what persons sign of a hold.
func (d *Desk) bound(ctx context.Context, g store.HoldGroup) (b signing, err error) {
	if err := d.members(ctx, g.ID, func(m store.Decided) { b.members = append(b.members, m) }); err != nil {
		return b, err
	}
	if len(b.members) == 0 {
		return b, noroshi.Errorf(noroshi.Conflict, "release.hold-empty", "nothing waits in hold %s any more", g.ID)
	}
	defs, err := d.definitions(ctx, g)
	if err != nil {
		return b, err
	}
	for _, r := range defs {
		b.rows = append(b.rows, store.Decided{Seq: r.Seq, Hash: r.Hash, View: r.Hash})
	}
	b.rows = append(b.rows, b.members...)
	g.Count, b.root = len(b.rows), store.BatchRoot(b.rows)
	b.digest = HoldDigest(d.o.Realm, d.o.Node, g, b.root)
	return b, nil
}

// Approve adds a person's approval (signature over
// ActDigest(ActApprove, hold, Digest)); with the last one needed the hold
// becomes a batch. Waiting: how many approvals are still missing.
//
// A two-person hold takes two different persons with different keys, in any
// order. One of them may have made what is released; alone nobody may: the one
// approval of a review must come from somebody else than whoever signed for it
// or for a marking assigned to it (an import that nobody signed hinders nobody).
// Approvals of another root, of a person since removed or without the role,
// count nothing.
func (d *Desk) Approve(ctx context.Context, hold string, s noroshi.Signed) (waiting int, batch string, err error) {
	d.turn.Lock()
	defer d.turn.Unlock()
	g, err := d.openHold(ctx, hold)
	if err != nil {
		return 0, "", err
	}
	need, ok := Approvals(g.Key)
	if !ok {
		return 0, "", noroshi.Errorf(noroshi.Refused, "release.not-approvable", "hold %s is %s: assign or mend a marking; it cannot be approved as it is", g.ID, string(g.Key))
	}
	l, err := d.linkTo(ctx, g.Partner)
	if err != nil {
		return 0, "", err
	}
	if a := l.clauses.Agreement(); a.Hash != g.Agreement || !a.InForce(d.o.Now()) {
		return 0, "", noroshi.Errorf(noroshi.Refused, "release.agreement-changed", "the agreement hold %s was decided under is no longer in force", g.ID)
	}
	what, err := d.bound(ctx, g)
	if err != nil {
		return 0, "", err
	}
	want := noroshi.ActDigest(d.o.Realm, d.o.Node, noroshi.ActApprove, g.ID, what.digest)
	p, err := d.person(ctx, s.Person)
	if err != nil {
		return 0, "", err
	}
	if err := p.Check(s, noroshi.ActApprove, want); err != nil {
		return 0, "", err
	}
	former, err := d.standingApprovals(ctx, g.ID, want)
	if err != nil {
		return 0, "", err
	}
	for _, f := range former {
		if f.person.ID == p.ID || bytes.Equal(f.person.Key, p.Key) {
			return 0, "", noroshi.Errorf(noroshi.Refused, "release.same-person", "%s has approved hold %s already: another person must", p.ID, g.ID)
		}
	}
	if need == 1 {
		if err := d.notOwn(ctx, p.ID, what.members); err != nil {
			return 0, "", err
		}
	}
	mine := approval{person: p, signed: store.Approval{Hold: g.ID, Person: p.ID, Root: what.root, Digest: want, Signature: s.Signature, Time: d.o.Now()}}
	if missing := need - len(former) - 1; missing > 0 {
		return missing, "", d.note(ctx, g, mine, s)
	}
	batch, err = d.settle(ctx, g, what, append(former, mine))
	return 0, batch, err
}

type approval struct {
	person noroshi.Person
	signed store.Approval
}

// person returns a person of this node with the roles they have now, or the
// error an unknown one gets.
func (d *Desk) person(ctx context.Context, id string) (noroshi.Person, error) {
	register, err := d.store.Persons(ctx)
	if err != nil {
		return noroshi.Person{}, err
	}
	p := register.At(id, d.o.Now())
	if p.ID == "" {
		return p, noroshi.Errorf(noroshi.Forbidden, "person.unknown", "person %q is not known here", id)
	}
	return p, nil
}

// standingApprovals returns the approvals that still count: of this digest, by
// persons who still may, each person and key once.
func (d *Desk) standingApprovals(ctx context.Context, hold string, want noroshi.Hash) ([]approval, error) {
	all, err := d.store.Approvals(ctx, hold)
	if err != nil {
		return nil, err
	}
	var stand []approval
	for _, a := range all {
		p, err := d.person(ctx, a.Person)
		if noroshi.KindOf(err) == noroshi.Forbidden {
			continue
		}
		if err != nil {
			return nil, err
		}
		s := noroshi.Signed{Person: a.Person, Digest: a.Digest, Signature: a.Signature}
		twice := slices.ContainsFunc(stand, func(x approval) bool { return x.person.ID == p.ID || bytes.Equal(x.person.Key, p.Key) })
		if p.Check(s, noroshi.ActApprove, want) == nil && !twice {
			stand = append(stand, approval{p, a})
		}
	}
	return stand, nil
}

// notOwn refuses the one approval of a review by the person who brought what
// is reviewed, or marked it.
func (d *Desk) notOwn(ctx context.Context, person string, rows []store.Decided) error {
	for part := range slices.Chunk(rows, recordsAtOnce) {
		seqs := make([]int64, len(part))
		for i, r := range part {
			seqs[i] = r.Seq
		}
		recs, err := d.store.Records(ctx, seqs)
		if err != nil {
			return err
		}
		for _, r := range recs {
			if r.Source.Person == person {
				return noroshi.Errorf(noroshi.Refused, "release.own-review", "%s brought what is to be reviewed: another person must approve", person)
			}
		}
		slices.Sort(seqs)
		markers, err := d.store.Markers(ctx, seqs)
		if err != nil {
			return err
		}
		if slices.Contains(markers, person) {
			return noroshi.Errorf(noroshi.Refused, "release.own-marking", "%s marked what is to be reviewed: another person must approve", person)
		}
	}
	return nil
}

// note keeps an approval that is not the last.
func (d *Desk) note(ctx context.Context, g store.HoldGroup, a approval, s noroshi.Signed) error {
	act := noroshi.Act{
		Action: noroshi.ActApprove, Persons: []noroshi.Signed{s}, Subject: g.ID, Agreement: g.Agreement,
		Label: g.Label, Count: g.Count, Precedence: g.Precedence,
	}
	_, err := d.store.Do(ctx, act, func(tx *store.Tx) error { return tx.PutApproval(a.signed) })
	return err
}

// settle makes the approved hold a batch: approval, batch and closing in one act.
func (d *Desk) settle(ctx context.Context, g store.HoldGroup, what signing, by []approval) (string, error) {
	b := store.Batch{
		Partner: g.Partner, Agreement: g.Agreement, Clause: g.Clause, Label: g.Label, Precedence: g.Precedence,
		Count: len(what.rows), Root: what.root, Hold: g.ID,
	}
	act := noroshi.Act{
		Action: noroshi.ActRelease, Partner: g.Partner, Agreement: g.Agreement, Label: g.Label,
		Count: len(what.rows), Precedence: g.Precedence,
	}
	for _, a := range by {
		b.Approvals = append(b.Approvals, a.signed)
		act.Persons = append(act.Persons, noroshi.Signed{Person: a.signed.Person, Digest: a.signed.Digest, Signature: a.signed.Signature})
	}
	seqs := make([]int64, len(what.rows))
	for i, r := range what.rows {
		seqs[i] = r.Seq
	}
	former, err := d.store.Released(ctx, g.Partner, seqs)
	if err != nil {
		return "", err
	}
	if b.ID, err = d.batchID(ctx, b, what.rows, former); err != nil {
		return "", err
	}
	act.Subject = b.ID
	_, err = d.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := tx.PutApproval(by[len(by)-1].signed); err != nil {
			return err
		}
		if err := tx.CloseHold(g.ID, store.HoldApproved); err != nil {
			return err
		}
		return tx.PutBatch(b, what.rows)
	})
	return b.ID, err
}

// definitions returns the marking definitions that leave with a hold's members,
// but those the partner brought. They are part of what persons approve, and are
// the same to the second as to the first, whatever went meanwhile.
func (d *Desk) definitions(ctx context.Context, g store.HoldGroup) ([]store.Record, error) {
	var defs []store.Record
	for _, reason := range g.Reasons {
		if reason.Code != travels {
			continue
		}
		rec, err := d.store.Current(ctx, stix.ID(reason.Marking))
		if noroshi.KindOf(err) == noroshi.NotFound {
			continue // two bodies: what it marks is refused when its turn comes
		}
		if err != nil {
			return nil, err
		}
		theirs := rec.Source.Kind == noroshi.FromPartner && rec.Source.Partner == g.Partner
		if !theirs && !rec.Withdrawn {
			defs = append(defs, rec)
		}
	}
	return defs, nil
}

// Return refuses a hold as a group; it stays on record.
func (d *Desk) Return(ctx context.Context, hold string, s noroshi.Signed) error {
	d.turn.Lock()
	defer d.turn.Unlock()
	g, err := d.openHold(ctx, hold)
	if err != nil {
		return err
	}
	what, err := d.bound(ctx, g)
	if err != nil {
		return err
	}
	p, err := d.person(ctx, s.Person)
	if err != nil {
		return err
	}
	if err := p.Check(s, noroshi.ActReturn, noroshi.ActDigest(d.o.Realm, d.o.Node, noroshi.ActReturn, g.ID, what.digest)); err != nil {
		return err
	}
	act := noroshi.Act{
		Action: noroshi.ActReturn, Persons: []noroshi.Signed{s}, Subject: g.ID, Agreement: g.Agreement, Label: g.Label, Count: g.Count,
	}
	_, err = d.store.Do(ctx, act, func(tx *store.Tx) error { return tx.CloseHold(g.ID, store.HoldReturned) })
	return err
}
