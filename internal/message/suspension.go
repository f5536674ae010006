package message

import (
	"cmp"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Suspension is a SUSPENSION document: a node stops all data under an agreement,
// or lets it go on. It has no text.
type Suspension struct {
	Node      noroshi.NodeID
	Agreement noroshi.Hash
	Counter   uint64 // from 1, rising for each node and agreement: see CompareSuspensions
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

func (s Suspension) state() uint64 {
	if s.Resumed {
		return stateResumed
	}
	return stateSuspended
}

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
		Counter: s.Counter, State: s.state(), Created: uint64(s.Created.Unix())}
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
	s, by, err := SignerOf(doc, ks)
	if err != nil || by == SignerStands {
		return s, err
	}
	return s, noroshi.Errorf(noroshi.Broken, "agreement.suspension", "the suspension of agreement %s is not signed by node %s", s.Agreement, ks.Node)
}

// placeOf reads a SUSPENSION and returns where the release key of the node that
// signed it stands in the keyset, revoked or not; -1 where none there did.
func placeOf(doc []byte, ks *Keyset) (Suspension, int) {
	s, err := ReadSuspension(ks.Realm, doc)
	if err != nil || s.Node != ks.Node {
		return s, -1
	}
	d, err := decodeDocument(doc)
	if err != nil {
		return s, -1
	}
	return s, slices.IndexFunc(ks.Keys, func(k Key) bool {
		return k.Use == UseRelease && d.signedBy(ks.Realm, ks.Node, publicKey{kid: k.ID, key: k.Key})
	})
}

// Signer is what a KEYSET tells of who signed a SUSPENSION in its node's name.
type Signer int

// The signers. An unknown one may be of a KEYSET that is forgotten here, as after a
// restore, or have left the KEYSET by its time.
const (
	SignerUnknown  Signer = iota // no release key in it, and none it revokes is named
	SignerStands                 // a release key in it that stands
	SignerRevoked                // a release key in it that is revoked
	SignerDisowned               // no release key in it, and one that it revokes is named
)

// SignerOf reads a SUSPENSION and returns who signed it.
func SignerOf(doc []byte, ks *Keyset) (Suspension, Signer, error) {
	s, err := ReadSuspension(ks.Realm, doc)
	if err != nil {
		return s, SignerUnknown, err
	}
	switch _, at := placeOf(doc, ks); {
	case at >= 0 && ks.revoked(ks.Keys[at].ID) == nil:
		return s, SignerStands, nil
	case at >= 0:
		return s, SignerRevoked, nil
	case NamesRevoked(doc, ks):
		return s, SignerDisowned, nil
	}
	return s, SignerUnknown, nil
}

// CompareSuspensions orders two of one node about one agreement; the greater counts,
// and no document least. Under one key it is the one with the higher counter, under
// two that of the key that stands later in the keyset, whatever the counters: who has
// stolen a key uses up no counter of the one in its place. Where the keyset knows of a
// key neither that it is good nor that it is revoked, counters tell, then that one
// suspends, then the place of the keys: a node that was put back to before the key
// lets nothing go on that it stopped with it.
func CompareSuspensions(a, b []byte, ks *Keyset) int {
	x, placeX := placeOf(a, ks)
	y, placeY := placeOf(b, ks)
	places, counters := cmp.Compare(placeX, placeY), cmp.Compare(x.Counter, y.Counter)
	if unknown(a, placeX, ks) || unknown(b, placeY, ks) {
		return cmp.Or(counters, cmp.Compare(y.state(), x.state()), places)
	}
	return cmp.Or(places, counters)
}

// unknown reports whether a keyset says nothing of the key of a document that has this
// place in it.
func unknown(doc []byte, place int, ks *Keyset) bool { return place < 0 && !NamesRevoked(doc, ks) }

// NamesRevoked reports whether a document names a key as its signer that the keyset
// revokes. Nothing is verified: of a stranger's key the keyset has the id alone.
func NamesRevoked(doc []byte, ks *Keyset) bool {
	d, err := decodeDocument(doc)
	return err == nil && slices.ContainsFunc(d.Signatures, func(s wireSignature) bool {
		kid, err := decodeProtected(s.Protected)
		return err == nil && ks.revoked(kid) != nil
	})
}
