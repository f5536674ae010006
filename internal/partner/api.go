package partner

import (
	"context"

	"github.com/noroshi-cti/noroshi"
)

// Card makes the card for one partner: who we are, our keyset, where we can be
// reached and a gate secret made for this partner alone. It is good for 30
// days; a new card for the same call sign replaces the secret of the one before
// unless that partner has been introduced. The person signs ActIntroduce over
// subject "card/CALLSIGN" bound to CardBound(endpoints).
func (o *Office) Card(ctx context.Context, partner noroshi.CallSign, endpoints []string, by noroshi.Signed) ([]byte, error) {
	panic("stub")
}

// CardBound is what an order for a card is bound to: its endpoints.
func CardBound(endpoints []string) noroshi.Hash { panic("stub") }

// Receive takes a partner's card in. The partner's record is then at CardHeld
// and nothing flows. The person signs ActIntroduce over subject "receive" bound
// to the SHA-256 of the card. A card of a partner we know already renews its
// endpoints and secret while it stays at CardHeld; later only its own keys
// speak for it.
func (o *Office) Receive(ctx context.Context, card []byte, by noroshi.Signed) (noroshi.Partner, error) {
	panic("stub")
}

// Confirm says that a person heard the partner read this fingerprint aloud.
// Spaces and hyphens do not matter. When it is the right one, from as many
// persons as the node has for it (at most two), the partner is Introduced;
// waiting is how many are missing. The person signs ActIntroduce over subject
// NODEID bound to FingerprintBound(fingerprint).
func (o *Office) Confirm(ctx context.Context, node noroshi.NodeID, fingerprint string, by noroshi.Signed) (waiting int, err error) {
	panic("stub")
}

// FingerprintBound is what a confirmation is bound to: the sixty digits.
func FingerprintBound(fingerprint string) noroshi.Hash { panic("stub") }

// Propose takes in an agreement file of which we and an introduced partner are
// the parties, and sends it to the partner as our node's proposal. A proposal
// binds nobody: see Sign. The person signs ActProposeAgreement over subject
// HASH (64 hexadecimal digits) bound to the SHA-256 of the file.
func (o *Office) Propose(ctx context.Context, file []byte, by noroshi.Signed) (noroshi.Hash, error) {
	panic("stub")
}

// Signing says where the signing of an agreement stands here.
type Signing struct {
	Waiting int  `json:"waiting"`  // release officers' signatures still missing here
	Ours    bool `json:"ours"`     // our node has signed
	Theirs  bool `json:"theirs"`   // the partner's signature is here
	InForce bool `json:"in_force"` // both: data flows
}

// Sign adds a release officer's signature to an agreement; with the second one
// (the first, where the node has a single release officer) our node signs and
// sends its signature. These signatures are the two-person rule for the first
// release. The person signs ActSignAgreement over subject HASH bound to HASH.
func (o *Office) Sign(ctx context.Context, agreement noroshi.Hash, by noroshi.Signed) (Signing, error) {
	panic("stub")
}

// Document takes a document that a partner's link brought: a KEYSET that
// succeeds the one we hold, or an AGREEMENT it proposes or signed. The same
// document again changes nothing.
func (o *Office) Document(ctx context.Context, from noroshi.NodeID, doc []byte) error {
	panic("stub")
}

// Row is a partner as lists show it.
type Row struct {
	noroshi.Partner
	Fingerprint string `json:"fingerprint"` // what their officer reads aloud
	Ours        string `json:"ours"`        // what ours reads to them
	KeysFresh   bool   `json:"keys_fresh"`
	KeyVersion  uint64 `json:"key_version"`
}

// Partners lists every partner by call sign. Gate secrets are left out.
func (o *Office) Partners(ctx context.Context) ([]Row, error) { panic("stub") }

// Partner finds one by call sign or node id, or NotFound.
func (o *Office) Partner(ctx context.Context, name string) (Row, error) { panic("stub") }

// Fingerprint returns ours.
func (o *Office) Fingerprint() string { panic("stub") }

// AgreementRow is an agreement as lists show it.
type AgreementRow struct {
	*noroshi.Agreement
	Hash     noroshi.Hash     `json:"hash"`
	Partner  noroshi.NodeID   `json:"partner"`
	CallSign noroshi.CallSign `json:"call_sign"`
	State    string           `json:"state"`               // "proposed", "in-force", "superseded", "expired"
	SignedBy []string         `json:"signed_by,omitempty"` // release officers here
	Signing
}

// Agreements lists every agreement we hold, newest version first.
func (o *Office) Agreements(ctx context.Context) ([]AgreementRow, error) { panic("stub") }

// Agreement returns one; its File holds the exact text that is signed.
func (o *Office) Agreement(ctx context.Context, h noroshi.Hash) (AgreementRow, error) {
	panic("stub")
}
