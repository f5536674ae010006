package release

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// openHold returns a hold that waits.
func (d *Desk) openHold(ctx context.Context, id string) (store.HoldGroup, error) {
	g, err := d.store.Hold(ctx, id)
	if noroshi.KindOf(err) == noroshi.NotFound || err == nil && g.State != store.HoldOpen {
		return store.HoldGroup{}, noroshi.Errorf(noroshi.NotFound, "release.no-hold", "no open hold %s", id)
	}
	return g, err
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
// ActDigest(ActApprove, hold, ApproveBound(Outline.Digest, without))); with the
// last one needed the hold becomes a batch. Waiting: how many approvals are still
// missing.
//
// Without names exactly the hold's OldWords: an approval that leaves one out, or
// names another, is refused, and one that was given of others, or before there
// were any, counts nothing.
//
// A two-person hold takes two different persons with different keys, in any
// order. One of them may have made what is released; alone nobody may: the one
// approval of a review must come from somebody else than whoever signed for it
// or for a marking assigned to it (an import that nobody signed hinders nobody).
// Approvals of another root, of a person since removed or without the role,
// count nothing.
func (d *Desk) Approve(ctx context.Context, hold string, without []stix.ID, s noroshi.Signed) (waiting int, batch string, err error) {
	d.turn.Lock()
	defer d.turn.Unlock()
	g, err := d.openHold(ctx, hold)
	if err != nil {
		return 0, "", err
	}
	need, err := d.approvable(ctx, g)
	if err != nil {
		return 0, "", err
	}
	what, err := d.bound(ctx, g)
	if err != nil {
		return 0, "", err
	}
	old, err := d.OldWords(ctx, g)
	if err != nil {
		return 0, "", err
	}
	if err := saidWithout(g.ID, old, without); err != nil {
		return 0, "", err
	}
	want := d.approval(g, what.digest, old)
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
	if err := apart(former, p, g.ID); err != nil {
		return 0, "", err
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

// approvable returns how many persons lift a hold, or why none can now.
func (d *Desk) approvable(ctx context.Context, g store.HoldGroup) (need int, err error) {
	need, ok := Approvals(g.Key)
	if !ok {
		return 0, noroshi.Errorf(noroshi.Refused, "release.not-approvable", "hold %s is %s: assign or mend a marking; it cannot be approved as it is", g.ID, string(g.Key))
	}
	l, err := d.linkTo(ctx, g.Partner)
	if err != nil {
		return 0, err
	}
	if a := l.clauses.Agreement(); a.Hash != g.Agreement || !a.InForce(d.o.Now()) {
		return 0, noroshi.Errorf(noroshi.Refused, "release.agreement-changed", "the agreement hold %s was decided under is no longer in force", g.ID)
	}
	return need, nil
}

// apart refuses who has approved already, under whatever name.
func apart(former []approval, p noroshi.Person, hold string) error {
	for _, f := range former {
		if f.person.ID == p.ID || bytes.Equal(f.person.Key, p.Key) {
			return noroshi.Errorf(noroshi.Refused, "release.same-person", "%s has approved hold %s already: another person must", p.ID, hold)
		}
	}
	return nil
}

// Counting returns the approvals of an open hold that count.
func (d *Desk) Counting(ctx context.Context, g store.HoldGroup) (list []store.Approval, err error) {
	former, err := d.counting(ctx, g)
	for _, f := range former {
		list = append(list, f.signed)
	}
	return list, err
}

func (d *Desk) counting(ctx context.Context, g store.HoldGroup) ([]approval, error) {
	o, err := d.Outline(ctx, g.ID)
	if err != nil {
		return nil, err
	}
	old, err := d.OldWords(ctx, g)
	if err != nil {
		return nil, err
	}
	return d.standingApprovals(ctx, g.ID, d.approval(g, o.Digest, old))
}

// Refuses returns why an approval of an open hold by a person would be refused,
// whatever they sign; refused is nil where nothing is known to stand in its way.
// A review of more than store.MaxPage members is not searched for what the person
// brought: Approve does that.
func (d *Desk) Refuses(ctx context.Context, g store.HoldGroup, person string) (refused *noroshi.Error, err error) {
	former, err := d.counting(ctx, g)
	if err != nil {
		return nil, err
	}
	if err = d.refusedTo(ctx, g, person, former); errors.As(err, &refused) && refused.Kind != noroshi.Broken {
		return refused, nil
	}
	return nil, err
}

func (d *Desk) refusedTo(ctx context.Context, g store.HoldGroup, person string, former []approval) error {
	need, err := d.approvable(ctx, g)
	if err != nil {
		return err
	}
	p, err := d.person(ctx, person)
	if err != nil {
		return err
	}
	if err := apart(former, p, g.ID); err != nil || need > 1 || g.Count > store.MaxPage {
		return err
	}
	members, err := d.store.HoldMembers(ctx, g.ID, 0, store.MaxPage)
	if err != nil {
		return err
	}
	return d.notOwn(ctx, p.ID, members)
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
	_, err := d.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := still(ctx, tx, a); err != nil {
			return err
		}
		if err := tx.PutApproval(a.signed); err != nil {
			return err
		}
		return tx.Notice(store.HoldChanged, g.ID) // who looks at it is told
	})
	return err
}

// still refuses approvals of which one no longer counts when the act is written:
// its person may have lost the passkey or the role since it was looked at.
func still(ctx context.Context, tx *store.Tx, by ...approval) error {
	register, err := tx.Persons(ctx)
	if err != nil {
		return err
	}
	for _, a := range by {
		signed := noroshi.Signed{Person: a.signed.Person, Digest: a.signed.Digest, Signature: a.signed.Signature}
		if err := register.At(signed.Person, tx.Time()).Check(signed, noroshi.ActApprove, signed.Digest); err != nil {
			return err
		}
	}
	return nil
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
		if err := still(ctx, tx, by...); err != nil {
			return err
		}
		if err := tx.PutApproval(by[len(by)-1].signed); err != nil {
			return err
		}
		if err := tx.CloseHold(g.ID, store.HoldApproved); err != nil {
			return err
		}
		return tx.PutBatch(b, what.rows)
	})
	if err != nil {
		return "", err
	}
	return b.ID, nil
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

// docReturned is the kind of the documents that say why a hold was returned; key:
// the hold's id.
const docReturned = "hold-returned"

// maxWhy bounds the reason of a return, in bytes.
const maxWhy = 1000

// Returned is who returned a hold, when, and why, in their own words: it stays
// inside.
type Returned struct {
	Person string    `json:"person"`
	Time   time.Time `json:"time"`
	Why    string    `json:"why,omitempty"` // "" of what was returned before a reason was asked for
}

// ReturnBound is what a signature over a hold is bound to, beside it: its digest
// and, of a return, the reason.
func ReturnBound(digest noroshi.Hash, why string) noroshi.Hash {
	if why == "" {
		return digest
	}
	return noroshi.Sum(append(digest[:], why...))
}

// WhyReturned returns what was said when a hold was last returned, nil where
// nothing was.
func (d *Desk) WhyReturned(ctx context.Context, hold string) (*Returned, error) {
	r, err := store.DocOf[Returned](ctx, d.store.Reads, docReturned, hold)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil
	}
	return &r, err
}

// aReason refuses a reason that is too long, or no text.
func aReason(why string) error {
	if len(why) > maxWhy || !utf8.ValidString(why) {
		return noroshi.Errorf(noroshi.Invalid, "release.why", "the reason is over %d bytes, or no text", maxWhy)
	}
	return nil
}

// said is who says something of an open hold, and the act of it: what is signed is
// bound to the hold as it is now.
func (d *Desk) said(ctx context.Context, hold string, s noroshi.Signed, action noroshi.Action, bound func(digest noroshi.Hash) noroshi.Hash) (noroshi.Person, noroshi.Act, error) {
	g, err := d.openHold(ctx, hold)
	if err != nil {
		return noroshi.Person{}, noroshi.Act{}, err
	}
	what, err := d.bound(ctx, g)
	if err != nil {
		return noroshi.Person{}, noroshi.Act{}, err
	}
	p, err := d.person(ctx, s.Person)
	if err != nil {
		return noroshi.Person{}, noroshi.Act{}, err
	}
	err = p.Check(s, action, noroshi.ActDigest(d.o.Realm, d.o.Node, action, g.ID, bound(what.digest)))
	return p, noroshi.Act{Action: action, Persons: []noroshi.Signed{s}, Subject: g.ID, Agreement: g.Agreement, Label: g.Label, Count: g.Count}, err
}

// Return refuses a hold as a group, for a reason; it stays on record.
func (d *Desk) Return(ctx context.Context, hold, why string, s noroshi.Signed) error {
	d.turn.Lock()
	defer d.turn.Unlock()
	if strings.TrimSpace(why) == "" {
		return noroshi.Errorf(noroshi.Invalid, "release.no-why", "a return says why")
	}
	if err := aReason(why); err != nil {
		return err
	}
	p, act, err := d.said(ctx, hold, s, noroshi.ActReturn, func(digest noroshi.Hash) noroshi.Hash { return ReturnBound(digest, why) })
	if err != nil {
		return err
	}
	_, err = d.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := tx.PutJSON(docReturned, act.Subject, Returned{p.ID, tx.Time().UTC(), why}); err != nil {
			return err
		}
		return tx.CloseHold(act.Subject, store.HoldReturned)
	})
	return err
}
