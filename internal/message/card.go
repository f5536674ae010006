package message

import (
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

const (
	maxTokens     = 64
	maxTokenLen   = 128
	maxEndpoints  = 16
	maxIdentity   = 64 << 10 // bytes of the identity object
	gateSecretLen = 32
)

// Card is what a node hands to one partner, by any path: who it is, its keys,
// where it listens, and the secret of its gate for that partner.
type Card struct {
	Realm      noroshi.Realm
	Node       noroshi.NodeID
	CallSign   noroshi.CallSign
	Tokens     []string
	Identity   []byte // the exact bytes of the node's STIX identity object
	Keyset     *Keyset
	Endpoints  []string // noroshi.EndpointKind knows them
	GateSecret []byte   // 32 bytes, one card per partner
	From       time.Time
	Until      time.Time
}

type wireCard struct {
	_           struct{} `cbor:",toarray"`
	Name        string
	Realm       []byte
	Node        [16]byte
	CallSign    string
	Tokens      []string
	Identity    []byte
	Keyset      []byte
	Endpoints   []string
	GateSecret  []byte
	From, Until uint64
}

// SignCard makes the CARD document of the keyring's node, signed by its root;
// Realm, Node and Keyset are the keyring's own.
func SignCard(k *Keyring, c Card) ([]byte, error) {
	h := k.head.Load()
	w := wireCard{Name: string(CardDocument), Realm: k.Realm().Bytes(), Node: k.NodeID(), CallSign: string(c.CallSign),
		Tokens: c.Tokens, Identity: c.Identity, Keyset: h.keyset.Bytes(), Endpoints: c.Endpoints,
		GateSecret: c.GateSecret, From: unix(c.From), Until: unix(c.Until)}
	if _, err := w.card(k.Realm()); err != nil {
		return nil, err
	}
	return signDocument(k.Realm(), k.NodeID(), encode(w), h.root), nil
}

// ParseCard reads a CARD document of the realm and checks its form, the KEYSET
// in it, that both are of one node, and the root's signature. Whose root it is
// only the fingerprint, read by voice, can say; whether now lies in From and
// Until is for the caller.
func ParseCard(realm noroshi.Realm, doc []byte) (*Card, error) {
	d, err := decodeDocument(doc)
	if err != nil {
		return nil, err
	}
	var w wireCard
	if err := decode("card", d.Body, &w); err != nil {
		return nil, err
	}
	c, err := w.card(realm)
	if err != nil {
		return nil, err
	}
	if !d.signedBy(realm, c.Node, newPublicKey(c.Keyset.Root)) {
		return nil, noroshi.Errorf(noroshi.Broken, "card.signature", "card of node %s is not signed by its root", c.Node)
	}
	return c, nil
}

func badCard(why string) error {
	return noroshi.Errorf(noroshi.Invalid, "card.form", "read card: %s", why)
}

func (w *wireCard) card(realm noroshi.Realm) (*Card, error) {
	if w.Name != string(CardDocument) {
		return nil, badCard("is no CARD")
	}
	if err := sameRealm(realm, w.Realm); err != nil {
		return nil, err
	}
	sign, err := noroshi.ParseCallSign(w.CallSign)
	if err != nil {
		return nil, err
	}
	from, err1 := fromUnix("card", w.From)
	until, err2 := fromUnix("card", w.Until)
	switch {
	case err1 != nil || err2 != nil || !until.After(from):
		return nil, badCard("must end after it begins")
	case len(w.GateSecret) != gateSecretLen:
		return nil, badCard("gate secret must be 32 bytes")
	case len(w.Identity) == 0 || len(w.Identity) > maxIdentity:
		return nil, badCard("identity object must be 1 byte to 64 KiB")
	case len(w.Tokens) > maxTokens || slices.ContainsFunc(w.Tokens, badToken):
		return nil, badCard("at most 64 tokens of 1 to 128 printable ASCII characters")
	case len(w.Endpoints) > maxEndpoints || slices.ContainsFunc(w.Endpoints, badEndpoint):
		return nil, badCard("at most 16 endpoints: https://HOST[:PORT] without user, query or fragment, mailto:LOCAL@DOMAIN, line:NAME, media:NAME")
	}
	ks, err := ParseKeyset(realm, w.Keyset)
	if err != nil {
		return nil, err
	}
	if ks.Node != w.Node {
		return nil, badCard("is of another node than its keyset")
	}
	return &Card{Realm: realm, Node: w.Node, CallSign: sign, Tokens: w.Tokens, Identity: w.Identity, Keyset: ks,
		Endpoints: w.Endpoints, GateSecret: w.GateSecret, From: from, Until: until}, nil
}

func badToken(s string) bool {
	return s == "" || len(s) > maxTokenLen || slices.ContainsFunc([]byte(s), func(b byte) bool { return b <= ' ' || b > '~' })
}

func badEndpoint(s string) bool { return noroshi.EndpointKind(s) == "" }

// Fingerprint is that of the card's keys.
func (c *Card) Fingerprint() string { return c.Keyset.Fingerprint() }

// Valid reports whether now lies in the card's time.
func (c *Card) Valid(now time.Time) bool { return !now.Before(c.From) && now.Before(c.Until) }
