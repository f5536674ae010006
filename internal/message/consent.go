package message

import (
	"time"

	"github.com/noroshi-cti/noroshi"
)

// ConsentAgreement makes an AGREEMENT document with this node's consent: a
// signature over the exact file by its release key. A control key's signature
// (SignAgreement) proposes and binds nobody, so that a stolen server key can
// put no agreement in force.
func ConsentAgreement(k *Keyring, file []byte, now time.Time) ([]byte, error) {
	if len(file) == 0 || len(file) > maxAgreement {
		return nil, noroshi.Errorf(noroshi.Invalid, "message.size", "agreement has %d bytes, must be %d to %d", len(file), 1, maxAgreement)
	}
	if arity(file) >= 0 {
		return nil, malformed("agreement", "is no text")
	}
	key, err := k.signer(UseRelease, now)
	if err != nil {
		return nil, err
	}
	return signDocument(k.Realm(), k.NodeID(), file, key), nil
}

// VerifyConsent checks that the node of the keyset consented to the agreement
// in the document, with a release key that is not revoked, and returns the
// file's hash. Signatures of others are neither needed nor checked.
func VerifyConsent(doc []byte, ks *Keyset) (noroshi.Hash, error) {
	file, _, err := AgreementFile(doc)
	if err != nil {
		return noroshi.Hash{}, err
	}
	d, err := decodeDocument(doc)
	if err != nil {
		return noroshi.Hash{}, err
	}
	for _, k := range ks.Keys {
		if k.Use == UseRelease && ks.revoked(k.ID) == nil && d.signedBy(ks.Realm, ks.Node, publicKey{kid: k.ID, key: k.Key}) {
			return noroshi.Sum(file), nil
		}
	}
	return noroshi.Hash{}, noroshi.Errorf(noroshi.Broken, "agreement.consent", "agreement %s has no consent of node %s", noroshi.Sum(file), ks.Node)
}
