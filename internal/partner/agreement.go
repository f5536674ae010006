package partner

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// docApproval holds a release officer's signature over an agreement; key: Hash
// + "/" + Person.ID; body: noroshi.Signed as JSON.
const docApproval = "agreement-approval"

// docProposal holds the document we proposed an agreement with; key: Hash.
const docProposal = "agreement-proposal"

// Bounds of the open proposals with one partner. A partner may pile up only
// half of what there may be, so that it never keeps us from proposing.
const (
	maxProposed = 16 // when the partner proposes
	maxOurs     = 32 // when we do
)

func signatureKey(h noroshi.Hash, n noroshi.NodeID) string { return h.String() + "/" + n.String() }

// Propose takes in an agreement file of which we and an introduced partner are
// the parties, and sends it to the partner as our node's proposal. A proposal
// binds nobody: see Sign. The person signs ActProposeAgreement over subject
// HASH (64 hexadecimal digits) bound to the SHA-256 of the file. Whether its
// clauses are sound is for the exit gate to say before.
func (o *Office) Propose(ctx context.Context, file []byte, by noroshi.Signed) (noroshi.Hash, error) {
	h := noroshi.Sum(file)
	if err := o.ordered(ctx, by, noroshi.ActProposeAgreement, h.String(), h); err != nil {
		return h, err
	}
	_, p, err := o.between(ctx, file)
	if err != nil {
		return h, err
	}
	doc, err := message.SignAgreement(o.o.Keys, file, o.o.Now())
	if err != nil {
		return h, err
	}
	act := noroshi.Act{Action: noroshi.ActProposeAgreement, Persons: []noroshi.Signed{by}, Subject: h.String(), Partner: p.Node, Agreement: h}
	if err := o.keepProposal(ctx, act, p.Node, h, file, doc); err != nil {
		return h, err
	}
	return h, o.post(ctx, p.Node, doc)
}

// between reads an agreement file and finds the partner it is with: it must be
// of our realm, name us and the partner exactly as we know both, give neither a
// token that is not on its card, and not be over.
func (o *Office) between(ctx context.Context, file []byte) (*noroshi.Agreement, noroshi.Partner, error) {
	a, err := noroshi.ParseAgreement(file)
	if err != nil {
		return nil, noroshi.Partner{}, err
	}
	other, party := a.Other(o.o.Keys.NodeID())
	if !party {
		return nil, noroshi.Partner{}, noroshi.Errorf(noroshi.Invalid, "agreement.not-party", "this node is no party of the agreement")
	}
	p, err := partner(ctx, o.store.Reads, other.Node)
	if err != nil {
		return nil, p, err
	}
	self, _ := a.Other(other.Node)
	switch {
	case a.Realm != o.o.Realm:
		return nil, p, noroshi.Errorf(noroshi.Invalid, "agreement.realm", "the agreement is for realm %s, this is %s", a.Realm, o.o.Realm)
	case self.CallSign != o.o.Self.CallSign || self.Identity != o.o.Self.Identity:
		return nil, p, noroshi.Errorf(noroshi.Invalid, "agreement.names", "the agreement names %s otherwise than it is known here", o.o.Self.CallSign)
	case other.CallSign != p.Organisation.CallSign || other.Identity != p.Organisation.Identity:
		return nil, p, noroshi.Errorf(noroshi.Invalid, "agreement.names", "the agreement names %s otherwise than it is known here", p.Organisation.CallSign)
	case foreign(self, o.o.Self) != "":
		return nil, p, noroshi.Errorf(noroshi.Invalid, "agreement.token", "the agreement gives %s the token %s, which is not on its card", self.CallSign, foreign(self, o.o.Self))
	case foreign(other, p.Organisation) != "":
		return nil, p, noroshi.Errorf(noroshi.Invalid, "agreement.token", "the agreement gives %s the token %s, which is not on its card", other.CallSign, foreign(other, p.Organisation))
	case p.Trust != noroshi.Introduced && p.Trust != noroshi.InForce:
		return nil, p, noroshi.Errorf(noroshi.Refused, "partner.not-introduced", "%s is not introduced: its documents are not taken", p.Organisation.CallSign)
	case !o.o.Now().Before(a.Until):
		return nil, p, noroshi.Errorf(noroshi.Invalid, "agreement.over", "the agreement ended at %s", a.Until)
	}
	return a, p, nil
}

// foreign returns a token that an agreement gives a party and its card does not,
// "" when there is none: markings name organisations by their tokens.
func foreign(p noroshi.Party, org noroshi.Organisation) string {
	i := slices.IndexFunc(p.Tokens, func(t string) bool { return !slices.Contains(org.Tokens, t) })
	if i < 0 {
		return ""
	}
	return p.Tokens[i]
}

// keepProposal stores an agreement file and our document under its hash and
// lists it with the partner; what is there already changes nothing.
func (o *Office) keepProposal(ctx context.Context, act noroshi.Act, node noroshi.NodeID, h noroshi.Hash, file, doc []byte) error {
	_, err := o.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := putOnce(ctx, tx, noroshi.DocAgreement, h.String(), file); err != nil {
			return err
		}
		if err := putOnce(ctx, tx, docProposal, h.String(), doc); err != nil {
			return err
		}
		return o.change(ctx, tx, node, func(p *noroshi.Partner) error { return propose(p, h, maxOurs) })
	})
	return err
}

func propose(p *noroshi.Partner, h noroshi.Hash, most int) error {
	if p.Agreement == h || slices.Contains(p.Proposed, h) {
		return nil
	}
	if len(p.Proposed) >= most {
		return noroshi.Errorf(noroshi.Refused, "agreement.too-many", "%s has %d open proposals already", p.Organisation.CallSign, len(p.Proposed))
	}
	p.Proposed = append(p.Proposed, h)
	return nil
}

func putOnce(ctx context.Context, tx *store.Tx, kind, key string, body []byte) error {
	_, err := tx.Doc(ctx, kind, key)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return tx.PutDoc(kind, key, body)
	}
	return err
}

// Signing says where the signing of an agreement stands here.
type Signing struct {
	Waiting int  `json:"waiting"`  // release officers' signatures still missing here
	Ours    bool `json:"ours"`     // our node has consented
	Theirs  bool `json:"theirs"`   // the partner's consent is here
	InForce bool `json:"in_force"` // both, and no higher version is: data flows

	Suspended bool `json:"suspended,omitempty"` // it would be in force, but one of the nodes suspended it
	Waits     bool `json:"waits,omitempty"`     // both have signed, and its time has not come
}

// Sign adds a release officer's signature to an agreement; with the second one
// (the first, where the node has a single release officer) our node consents
// and sends its consent. These signatures are the two-person rule for the first
// release. The person signs ActSignAgreement over subject HASH bound to HASH.
func (o *Office) Sign(ctx context.Context, h noroshi.Hash, by noroshi.Signed) (Signing, error) {
	if err := o.ordered(ctx, by, noroshi.ActSignAgreement, h.String(), h); err != nil {
		return Signing{}, err
	}
	file, err := o.store.Doc(ctx, noroshi.DocAgreement, h.String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return Signing{}, noroshi.Errorf(noroshi.NotFound, "agreement.none", "no agreement %s", h)
	}
	if err != nil {
		return Signing{}, err
	}
	a, p, err := o.between(ctx, file)
	if err != nil {
		return Signing{}, err
	}
	consent, err := message.ConsentAgreement(o.o.Keys, file, o.o.Now())
	if err != nil {
		return Signing{}, err
	}
	s, err := o.sign(ctx, a, p.Node, by, consent)
	if err != nil || !s.Ours {
		return s, err
	}
	return s, o.post(ctx, p.Node, consent)
}

// sign keeps the officer's signature, and the node's consent when it was the
// last one needed.
func (o *Office) sign(ctx context.Context, a *noroshi.Agreement, node noroshi.NodeID, by noroshi.Signed, consent []byte) (s Signing, err error) {
	before, officers, err := o.signing(ctx, o.store.Reads, a, node)
	if err != nil {
		return s, err
	}
	act := noroshi.Act{Action: noroshi.ActSignAgreement, Persons: []noroshi.Signed{by}, Subject: a.Hash.String(), Partner: node,
		Agreement: a.Hash, Precedence: noroshi.Immediate}
	if before.Waiting <= 1 && before.Theirs {
		act.Action, act.Persons = noroshi.ActAgreementInForce, append(officers, by)
	}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := o.approve(ctx, tx, a.Hash, by); err != nil {
			return err
		}
		now, _, err := o.signing(ctx, tx.Reads, a, node)
		if err != nil {
			return err
		}
		if now.Waiting == 0 && !now.Ours {
			if err := tx.PutDoc(noroshi.DocSignature, signatureKey(a.Hash, o.o.Keys.NodeID()), consent); err != nil {
				return err
			}
		}
		s, err = o.enter(ctx, tx, a, node)
		return err
	})
	return s, err
}

// approve keeps an officer's signature; a second one of the same person, or of
// another account with the same key, is refused.
func (o *Office) approve(ctx context.Context, tx *store.Tx, h noroshi.Hash, by noroshi.Signed) error {
	all, err := persons(ctx, tx.Reads, o.o.Now())
	if err != nil {
		return err
	}
	former, err := o.officers(ctx, tx.Reads, all, h)
	if err != nil {
		return err
	}
	for _, f := range former {
		if f.Person == by.Person || bytes.Equal(all[f.Person].Key, all[by.Person].Key) {
			return noroshi.Errorf(noroshi.Refused, "agreement.second-person", "%s has signed already: a second person must sign too", f.Person)
		}
	}
	key := h.String() + "/" + by.Person
	return tx.PutJSON(docApproval, key, by)
}

// agreementArrived takes an AGREEMENT document from a partner: the file as its
// proposal, and its consent when its release key signed.
func (o *Office) agreementArrived(ctx context.Context, p noroshi.Partner, doc []byte) error {
	ks, err := o.keyset(ctx, o.store.Reads, p.Node)
	if err != nil {
		return err
	}
	_, consentErr := message.VerifyConsent(doc, ks)
	if consentErr != nil {
		if _, err := message.VerifyAgreement(doc, ks); err != nil {
			return err
		}
	}
	file, _, err := message.AgreementFile(doc)
	if err != nil {
		return err
	}
	a, with, err := o.between(ctx, file)
	if err != nil {
		return err
	}
	if with.Node != p.Node {
		return noroshi.Errorf(noroshi.Refused, "agreement.not-party", "%s is no party of the agreement", p.Organisation.CallSign)
	}
	before, officers, err := o.signing(ctx, o.store.Reads, a, p.Node)
	if err != nil {
		return err
	}
	consents := consentErr == nil && !before.Theirs
	act := noroshi.Act{Action: noroshi.ActProposeAgreement, Subject: a.Hash.String(), Partner: p.Node, Agreement: a.Hash, Precedence: noroshi.Immediate}
	switch {
	case !consents && (before.Theirs || p.Agreement == a.Hash || slices.Contains(p.Proposed, a.Hash)):
		return o.remind(ctx, p, a.Hash) // nothing new
	case consents && before.Ours:
		act.Action, act.Persons = noroshi.ActAgreementInForce, officers
	case consents:
		act.Action = noroshi.ActSignAgreement
	}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := putOnce(ctx, tx, noroshi.DocAgreement, a.Hash.String(), file); err != nil {
			return err
		}
		if consents {
			if err := tx.PutDoc(noroshi.DocSignature, signatureKey(a.Hash, p.Node), doc); err != nil {
				return err
			}
		}
		_, err := o.enter(ctx, tx, a, p.Node)
		return err
	})
	return err
}

// enter brings the partner's record up to the signatures that are there now:
// listed as proposed, or in force when both nodes consented and no agreement of
// this or a higher version is; one that begins later stays listed until then.
func (o *Office) enter(ctx context.Context, tx *store.Tx, a *noroshi.Agreement, node noroshi.NodeID) (Signing, error) {
	s, _, err := o.signing(ctx, tx.Reads, a, node)
	if err != nil {
		return s, err
	}
	p, err := partner(ctx, tx.Reads, node)
	if err != nil {
		return s, err
	}
	if !s.Ours || !s.Theirs || p.Agreement == a.Hash {
		if err := propose(&p, a.Hash, maxProposed); err != nil {
			return s, err
		}
		return s, put(tx, p)
	}
	if wait, err := o.notBegun(ctx, tx.Reads, a, p.Agreement); err != nil || wait {
		if err == nil {
			err = propose(&p, a.Hash, maxOurs)
		}
		return s, errors.Join(err, put(tx, p))
	}
	p.Proposed = slices.DeleteFunc(p.Proposed, func(h noroshi.Hash) bool { return h == a.Hash })
	if newer, err := o.supersedes(ctx, tx.Reads, a, p.Agreement); err != nil || !newer {
		return s, errors.Join(err, put(tx, p))
	}
	p.Agreement, p.Trust, s.InForce = a.Hash, noroshi.InForce, true
	return s, o.settleSuspended(ctx, tx, p)
}

// notBegun reports whether an agreement both signed waits for its time, while
// the one before is in force still.
func (o *Office) notBegun(ctx context.Context, r store.Reads, a *noroshi.Agreement, inForce noroshi.Hash) (bool, error) {
	if inForce.IsZero() || !o.o.Now().Before(a.From) {
		return false, nil
	}
	file, err := r.Doc(ctx, noroshi.DocAgreement, inForce.String())
	if err != nil {
		return false, err
	}
	old, err := noroshi.ParseAgreement(file)
	return err == nil && a.Version > old.Version && old.InForce(o.o.Now()), err
}

// Begin puts agreements in force that both nodes signed and whose time has
// come. A node calls it before the exit gate decides.
func (o *Office) Begin(ctx context.Context) error {
	all, err := partners(ctx, o.store.Reads)
	if err != nil {
		return err
	}
	for _, p := range all {
		for _, h := range p.Proposed {
			if err := o.begin(ctx, p, h); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *Office) begin(ctx context.Context, p noroshi.Partner, h noroshi.Hash) error {
	file, err := o.store.Doc(ctx, noroshi.DocAgreement, h.String())
	if err != nil {
		return err
	}
	a, err := noroshi.ParseAgreement(file)
	if err != nil || !a.InForce(o.o.Now()) {
		return nil // one that cannot be read never begins
	}
	s, officers, err := o.signing(ctx, o.store.Reads, a, p.Node)
	if err != nil || !s.Ours || !s.Theirs {
		return err
	}
	act := noroshi.Act{Action: noroshi.ActAgreementInForce, Persons: officers, Subject: h.String(), Partner: p.Node, Agreement: h, Precedence: noroshi.Immediate}
	_, err = o.store.Do(ctx, act, func(tx *store.Tx) error {
		_, err := o.enter(ctx, tx, a, p.Node)
		return err
	})
	return err
}

// supersedes reports whether a may take the place of the agreement in force.
func (o *Office) supersedes(ctx context.Context, r store.Reads, a *noroshi.Agreement, inForce noroshi.Hash) (bool, error) {
	if inForce.IsZero() {
		return true, nil
	}
	file, err := r.Doc(ctx, noroshi.DocAgreement, inForce.String())
	if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
		return false, err
	}
	return a.Version > versionOf(file), nil
}

// officersToSign is how many release officers of a node sign an agreement: its
// signatures cover the first release too.
const officersToSign = 2

// signing reads where an agreement stands, and the officers' signatures here.
func (o *Office) signing(ctx context.Context, r store.Reads, a *noroshi.Agreement, node noroshi.NodeID) (s Signing, officers []noroshi.Signed, err error) {
	all, err := persons(ctx, r, o.o.Now())
	if err != nil {
		return s, nil, err
	}
	if officers, err = o.officers(ctx, r, all, a.Hash); err != nil {
		return s, nil, err
	}
	s.Waiting = max(0, officersToSign-len(officers))
	if s.Ours, err = has(ctx, r, signatureKey(a.Hash, o.o.Keys.NodeID())); err != nil {
		return s, nil, err
	}
	if s.Ours {
		s.Waiting = 0
	}
	if s.Theirs, err = has(ctx, r, signatureKey(a.Hash, node)); err != nil {
		return s, nil, err
	}
	p, err := partner(ctx, r, node)
	s.InForce = p.Agreement == a.Hash && len(p.Suspended) == 0
	s.Suspended = p.Agreement == a.Hash && len(p.Suspended) > 0
	s.Waits = s.Ours && s.Theirs && slices.Contains(p.Proposed, a.Hash)
	return s, officers, err
}

// officers returns the signatures under an agreement that still count, by
// person: of those who may sign and whose key it is, each key once.
func (o *Office) officers(ctx context.Context, r store.Reads, all map[string]noroshi.Person, h noroshi.Hash) ([]noroshi.Signed, error) {
	digest := noroshi.ActDigest(o.o.Realm, o.o.Keys.NodeID(), noroshi.ActSignAgreement, h.String(), h)
	signed := map[string]noroshi.Signed{}
	for id, p := range all {
		by, err := store.DocOf[noroshi.Signed](ctx, r, docApproval, h.String()+"/"+id)
		if noroshi.KindOf(err) == noroshi.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		if p.Check(by, noroshi.ActSignAgreement, digest) == nil {
			signed[id] = by
		}
	}
	var list []noroshi.Signed
	for _, id := range distinct(all, slices.Collect(maps.Keys(signed)), noroshi.ActSignAgreement) {
		list = append(list, signed[id])
	}
	return list, nil
}

func has(ctx context.Context, r store.Reads, signature string) (bool, error) {
	_, err := r.Doc(ctx, noroshi.DocSignature, signature)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return false, nil
	}
	return err == nil, err
}
