// Package crew has the persons of a node do their work through its API, as
// officers do at the command line: each signs with a key of their own. The demo
// and the stories of several parties are told with it.
package crew

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// Call runs an operation at the node.
type Call func(ctx context.Context, op string, in, out any) error

// Member is a person a crew has. The first adds the others.
type Member struct {
	ID    string
	Roles []noroshi.Role
	With  string // release officer who countersigns for them
}

// Members is the smallest crew that can do the whole job.
var Members = []Member{
	{"admin", []noroshi.Role{noroshi.Administrator}, ""},
	{"liaison", []noroshi.Role{noroshi.Liaison}, ""},
	{"duty", []noroshi.Role{noroshi.Duty, noroshi.Analyst}, ""},
	{"release1", []noroshi.Role{noroshi.ReleaseOffice}, ""},
	{"release2", []noroshi.Role{noroshi.ReleaseOffice}, "release1"},
}

// Crew is the crew of one node in one realm. It is used by one goroutine.
type Crew struct {
	Sign       noroshi.CallSign
	Do         Call
	Passphrase func(person string) ([]byte, error)
	Cast       *Cast // nil = persons of its own

	realm noroshi.Realm
	node  noroshi.NodeID
	keys  map[string]ed25519.PrivateKey
}

// Patience is how long is waited for what takes seconds on a quiet machine.
const Patience = 10 * time.Minute

// Signed signs an act as a person; the key is opened with the person's
// passphrase the first time.
func (c *Crew) Signed(ctx context.Context, person string, a noroshi.Action, subject string, bound noroshi.Hash) (noroshi.Signed, error) {
	key := c.keys[person]
	if key == nil {
		var s web.SealedPerson
		if err := c.Do(ctx, "person.sealed", web.PersonRef{Person: person}, &s); err != nil {
			return noroshi.Signed{}, err
		}
		pass, err := c.Passphrase(person)
		if err != nil {
			return noroshi.Signed{}, err
		}
		if key, err = c.Cast.key(s.Person, pass); err != nil {
			return noroshi.Signed{}, err
		}
		if c.keys == nil {
			c.keys = map[string]ed25519.PrivateKey{}
		}
		c.keys[person], c.realm, c.node = key, s.Realm, s.Node
	}
	return noroshi.SignAct(person, key, noroshi.ActDigest(c.realm, c.node, a, subject, bound)), nil
}

// Join adds every member to a node without persons.
func (c *Crew) Join(ctx context.Context) error {
	for _, m := range Members {
		if err := c.join(ctx, m); err != nil {
			return fmt.Errorf("%s joins %s: %w", m.ID, c.Sign, err)
		}
	}
	return nil
}

func (c *Crew) join(ctx context.Context, m Member) error {
	pass, err := c.Passphrase(m.ID)
	if err != nil {
		return err
	}
	p, err := c.Cast.person(c.Sign, m, pass)
	if err != nil {
		return err
	}
	in := web.PersonAdd{Person: p}
	if first := Members[0].ID; m.ID != first {
		by, err := c.Signed(ctx, first, noroshi.ActAddPerson, m.ID, partner.PersonBound(p))
		if err != nil {
			return err
		}
		in.By = &by
	}
	if m.With != "" {
		with, err := c.Signed(ctx, m.With, noroshi.ActCountersign, m.ID, in.By.Digest)
		if err != nil {
			return err
		}
		in.With = &with
	}
	return c.Do(ctx, "person.add", in, nil)
}

// Introduce exchanges cards between two crews and has two persons on each side
// confirm the fingerprint the other side reads aloud. It returns the last one
// read.
func Introduce(ctx context.Context, a, b *Crew) (spoken string, err error) {
	for _, pair := range [][2]*Crew{{a, b}, {b, a}} {
		from, to := pair[0], pair[1]
		card, err := from.Card(ctx, to.Sign)
		if err != nil {
			return "", err
		}
		var st web.Status
		if err := from.Do(ctx, "status", nil, &st); err != nil {
			return "", err
		}
		spoken = st.Fingerprint
		if err := to.TakeCard(ctx, card, spoken); err != nil {
			return "", err
		}
	}
	return spoken, nil
}

// Card makes the node's card for a partner.
func (c *Crew) Card(ctx context.Context, partnerSign noroshi.CallSign) (card []byte, err error) {
	var endpoints []string
	if err := c.Do(ctx, "partner.endpoints", nil, &endpoints); err != nil {
		return nil, err
	}
	by, err := c.Signed(ctx, "liaison", noroshi.ActIntroduce, "card/"+string(partnerSign), partner.CardBound(endpoints))
	if err != nil {
		return nil, err
	}
	err = c.Do(ctx, "partner.card", web.CardRef{For: partnerSign, By: by}, &card)
	return card, err
}

// TakeCard hands a partner's card in and confirms what was heard.
func (c *Crew) TakeCard(ctx context.Context, card []byte, heard string) error {
	by, err := c.Signed(ctx, "liaison", noroshi.ActIntroduce, "receive", noroshi.Sum(card))
	if err != nil {
		return err
	}
	var row partner.Row
	if err := c.Do(ctx, "partner.receive", web.ReceiveRef{Card: card, By: by}, &row); err != nil {
		return err
	}
	for _, person := range []string{"liaison", "admin"} {
		by, err := c.Signed(ctx, person, noroshi.ActIntroduce, row.Node.String(), partner.FingerprintBound(heard))
		if err != nil {
			return err
		}
		var done web.Confirmed
		if err := c.Do(ctx, "partner.confirm", web.ConfirmRef{Node: row.Node, Fingerprint: heard, By: by}, &done); err != nil {
			return err
		}
		if done.Waiting == 0 {
			return nil
		}
	}
	return fmt.Errorf("%s: two persons confirmed and the partner is not introduced", c.Sign)
}

// Agree has a draft, propose and sign an agreement with b: two release officers
// a side. It returns when both nodes have it in force.
func Agree(ctx context.Context, a, b *Crew, statements ...string) (*noroshi.Agreement, error) {
	var text string
	if err := a.Do(ctx, "agreement.draft", web.DraftRef{With: b.Sign, Days: 365, Statements: statements}, &text); err != nil {
		return nil, err
	}
	return Sign(ctx, a, b, []byte(text))
}

// Sign has a propose an agreement file and both sides sign it.
func Sign(ctx context.Context, a, b *Crew, file []byte) (*noroshi.Agreement, error) {
	h := noroshi.Sum(file)
	by, err := a.Signed(ctx, "liaison", noroshi.ActProposeAgreement, h.String(), h)
	if err != nil {
		return nil, err
	}
	if err := a.Do(ctx, "agreement.propose", web.ProposeRef{File: file, By: by}, nil); err != nil {
		return nil, err
	}
	if err := b.untilAgreement(ctx, h, func(partner.AgreementRow) bool { return true }); err != nil {
		return nil, err
	}
	for _, c := range []*Crew{a, b} {
		for _, person := range []string{"release1", "release2"} {
			by, err := c.Signed(ctx, person, noroshi.ActSignAgreement, h.String(), h)
			if err != nil {
				return nil, err
			}
			if err := c.Do(ctx, "agreement.sign", web.SignRef{Hash: h, By: by}, nil); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range []*Crew{a, b} {
		if err := c.untilAgreement(ctx, h, func(r partner.AgreementRow) bool { return r.InForce }); err != nil {
			return nil, err
		}
	}
	return noroshi.ParseAgreement(file)
}

func (c *Crew) untilAgreement(ctx context.Context, h noroshi.Hash, ok func(partner.AgreementRow) bool) error {
	return Until(ctx, Patience, "agreement at "+string(c.Sign), func() (bool, error) {
		var rows []partner.AgreementRow
		err := c.Do(ctx, "agreement.list", nil, &rows)
		return slices.ContainsFunc(rows, func(r partner.AgreementRow) bool { return r.Hash == h && ok(r) }), err
	})
}

// Settled waits until the exit gate has looked at everything that was in the
// change feed when it was called, and returns that sequence.
func (c *Crew) Settled(ctx context.Context) (head int64, err error) {
	var d web.Decided
	if err := c.Do(ctx, "release.decided", nil, &d); err != nil {
		return 0, err
	}
	head = d.Head
	return head, Until(ctx, Patience, "release decided at "+string(c.Sign), func() (bool, error) {
		err := c.Do(ctx, "release.decided", nil, &d)
		return d.UpTo >= head, err
	})
}

// ApproveHolds signs every open two-person hold as two officers and returns how
// many there were, and their objects.
func (c *Crew) ApproveHolds(ctx context.Context) (holds, count int, err error) {
	var rows []web.HoldRow
	if err := c.Do(ctx, "release.list", web.HoldRef{}, &rows); err != nil {
		return 0, 0, err
	}
	for _, h := range rows {
		if h.Key != noroshi.TwoPersons {
			return 0, 0, fmt.Errorf("hold %s needs %s: %v", h.ID, h.Key, h.Reasons)
		}
		if err := c.Approve(ctx, h.ID, "release1", "release2"); err != nil {
			return 0, 0, err
		}
		holds++
		count += h.Count
	}
	return holds, count, nil
}

// Approve signs a hold as officers who have not, one after the other.
func (c *Crew) Approve(ctx context.Context, hold string, officers ...string) error {
	return c.ApproveWithout(ctx, hold, nil, officers...)
}

// ApproveWithout is Approve where the officers say of translations of another
// version that what waits goes without them.
func (c *Crew) ApproveWithout(ctx context.Context, hold string, without []stix.ID, officers ...string) error {
	for _, officer := range officers {
		var d web.HoldDetail
		if err := c.Do(ctx, "release.show", web.HoldRef{Hold: hold}, &d); err != nil {
			return err
		}
		if d.State != "open" || slices.Contains(d.Approvals, officer) {
			continue
		}
		by, err := c.Signed(ctx, officer, noroshi.ActApprove, hold, release.ApproveBound(d.Digest, without))
		if err != nil {
			return err
		}
		if err := c.Do(ctx, "release.approve", web.HoldSigned{SignedRef: web.SignedRef{Subject: hold, By: by}, Without: without}, nil); err != nil {
			return err
		}
	}
	return nil
}

// Armed waits until an indicator is armed at the crew's node.
func (c *Crew) Armed(ctx context.Context, id stix.ID) error {
	return Until(ctx, Patience, string(id)+" armed at "+string(c.Sign), func() (bool, error) {
		var a web.ArmedState
		err := c.Do(ctx, "indicator.armed", web.ArmedRef{ID: id, Wait: 10_000}, &a)
		return a.IsArmed, err
	})
}

// Until asks again and again until ok, for at most a time.
func Until(ctx context.Context, limit time.Duration, what string, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for start := time.Now(); ctx.Err() == nil; {
		done, err := ok()
		if done && err == nil {
			return nil
		}
		last = err
		Pause(ctx, min(max(time.Since(start)/32, 10*time.Millisecond), 150*time.Millisecond)) // each look costs what is waited for
	}
	return errors.Join(fmt.Errorf("%s: not within %s", what, limit), last)
}

// Pause waits, or less when ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
