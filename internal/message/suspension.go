package message

import (
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Suspension is a SUSPENSION document: a node stops all data under an agreement,
// or lets it go on. It has no text.
type Suspension struct {
	Node      noroshi.NodeID
	Agreement noroshi.Hash
	Counter   uint64 // from 1, rising for each node and agreement: only the highest counts
	Resumed   bool
	Created   time.Time
}

// suspensionElements is the number of elements of a SUSPENSION.
const suspensionElements = 7

// The states a SUSPENSION names.
const (
	stateSuspended = 1
	stateResumed   = 2
)

type wireSuspension struct {
	_         struct{} `cbor:",toarray"`
	Name      string
	Realm     []byte
	Node      [16]byte
	Agreement [32]byte
	Counter   uint64
	State     uint64
	Created   uint64
}

// SignSuspension makes the document with this node's release key: a stolen
// server key can neither stop data nor let it go on.
func SignSuspension(k *Keyring, s Suspension) ([]byte, error) {
	w := wireSuspension{Name: string(SuspensionDocument), Realm: k.Realm().Bytes(), Node: k.NodeID(), Agreement: s.Agreement,
		Counter: s.Counter, State: stateSuspended, Created: uint64(s.Created.Unix())}
	if s.Resumed {
		w.State = stateResumed
	}
	key, err := k.signer(UseRelease, s.Created, k.Keyset().Version)
	if err != nil {
		return nil, err
	}
	return signDocument(k.Realm(), k.NodeID(), encode(w), key), nil
}

// ReadSuspension reads the document strictly, whoever signed it.
func ReadSuspension(realm noroshi.Realm, doc []byte) (Suspension, error) {
	d, err := decodeDocument(doc)
	if err != nil {
		return Suspension{}, err
	}
	var w wireSuspension
	if err := decode("suspension", d.Body, &w); err != nil {
		return Suspension{}, err
	}
	if err := sameRealm(realm, w.Realm); err != nil {
		return Suspension{}, err
	}
	created, err := fromUnix("suspension", w.Created)
	switch {
	case err != nil:
		return Suspension{}, err
	case w.Name != string(SuspensionDocument), w.Counter == 0, w.State != stateSuspended && w.State != stateResumed, w.Agreement == [32]byte{}:
		return Suspension{}, malformed("suspension", "needs a name, an agreement, a counter from 1 and a state of 1 or 2")
	}
	return Suspension{Node: w.Node, Agreement: w.Agreement, Counter: w.Counter, Resumed: w.State == stateResumed, Created: created}, nil
}

// VerifySuspension reads a document that the node of the keyset must have
// signed, with a release key that is not revoked.
func VerifySuspension(doc []byte, ks *Keyset) (Suspension, error) {
	s, err := ReadSuspension(ks.Realm, doc)
	if err != nil {
		return s, err
	}
	d, err := decodeDocument(doc)
	if err != nil {
		return s, err
	}
	for _, k := range ks.Keys {
		if s.Node == ks.Node && k.Use == UseRelease && ks.revoked(k.ID) == nil && d.signedBy(ks.Realm, ks.Node, publicKey{kid: k.ID, key: k.Key}) {
			return s, nil
		}
	}
	return s, noroshi.Errorf(noroshi.Broken, "agreement.suspension", "the suspension of agreement %s is not signed by node %s", s.Agreement, ks.Node)
}
