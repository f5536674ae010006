package message

import (
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// maxAgreement is what noroshi.ParseAgreement reads.
const maxAgreement = 256 << 10

// SignAgreement makes an AGREEMENT document that proposes the exact file: a
// signature by this node's control key. It binds nobody (see ConsentAgreement).
func SignAgreement(k *Keyring, file []byte, now time.Time) ([]byte, error) {
	return signAgreement(k, file, UseControl, now)
}

// ConsentAgreement makes an AGREEMENT document with this node's consent: a
// signature over the exact file by its release key, so that a stolen server key
// can put no agreement in force.
func ConsentAgreement(k *Keyring, file []byte, now time.Time) ([]byte, error) {
	return signAgreement(k, file, UseRelease, now)
}

func signAgreement(k *Keyring, file []byte, use KeyUse, now time.Time) ([]byte, error) {
	if len(file) == 0 || len(file) > maxAgreement {
		return nil, noroshi.Errorf(noroshi.Invalid, "message.too-large", "%s has %d bytes, must be 1 to %d", "agreement", len(file), maxAgreement)
	}
	if arity(file) >= 0 {
		return nil, malformed("agreement", "is no text")
	}
	key, err := k.signer(use, now, k.Keyset().Version)
	if err != nil {
		return nil, err
	}
	return signDocument(k.Realm(), k.NodeID(), file, key), nil
}

// AgreementFile returns the exact file in an AGREEMENT document, whoever
// signed it, and how many signatures it carries.
func AgreementFile(doc []byte) (file []byte, signatures int, err error) {
	d, err := decodeDocument(doc)
	if err != nil {
		return nil, 0, err
	}
	if arity(d.Body) >= 0 || len(d.Body) == 0 || len(d.Body) > maxAgreement {
		return nil, 0, malformed("agreement", "is no agreement")
	}
	return d.Body, len(d.Signatures), nil
}

// VerifyAgreement checks that the node of the keyset proposed the agreement in
// the document, with a control key that is not revoked, and returns the file's
// hash. Signatures of others are neither needed nor checked.
func VerifyAgreement(doc []byte, ks *Keyset) (noroshi.Hash, error) {
	return verifyAgreement(doc, ks, UseControl, "agreement.signature", "agreement %s is not signed by node %s")
}

// VerifyConsent is VerifyAgreement for the node's consent, by a release key.
func VerifyConsent(doc []byte, ks *Keyset) (noroshi.Hash, error) {
	return verifyAgreement(doc, ks, UseRelease, "agreement.consent", "agreement %s has no consent of node %s")
}

func verifyAgreement(doc []byte, ks *Keyset, use KeyUse, missing, format string) (noroshi.Hash, error) {
	file, _, err := AgreementFile(doc)
	if err != nil {
		return noroshi.Hash{}, err
	}
	d, err := decodeDocument(doc)
	if err != nil {
		return noroshi.Hash{}, err
	}
	for _, k := range ks.Keys {
		if k.Use == use && ks.revoked(k.ID) == nil && d.signedBy(ks.Realm, ks.Node, publicKey{kid: k.ID, key: k.Key}) {
			return noroshi.Sum(file), nil
		}
	}
	return noroshi.Hash{}, noroshi.Errorf(noroshi.Broken, missing, format, noroshi.Sum(file), ks.Node)
}

// JoinAgreements puts the signatures of two documents over one file into one.
func JoinAgreements(a, b []byte) ([]byte, error) {
	x, err := decodeDocument(a)
	if err != nil {
		return nil, err
	}
	y, err := decodeDocument(b)
	if err != nil {
		return nil, err
	}
	if string(x.Body) != string(y.Body) {
		return nil, noroshi.Errorf(noroshi.Conflict, "agreement.differs", "signatures are over two files, %s and %s", noroshi.Sum(x.Body), noroshi.Sum(y.Body))
	}
	for _, s := range y.Signatures {
		same := func(t wireSignature) bool { return string(t.Signature) == string(s.Signature) }
		if !slices.ContainsFunc(x.Signatures, same) {
			x.Signatures = append(x.Signatures, s)
		}
	}
	return encode(x), sized("document signatures", len(x.Signatures), 1, maxSignatures)
}
