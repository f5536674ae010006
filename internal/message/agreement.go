package message

import (
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// maxAgreement is what noroshi.ParseAgreement reads.
const maxAgreement = 256 << 10

// SignAgreement makes an AGREEMENT document: the exact file and this node's
// signature over it, by its control key.
func SignAgreement(k *Keyring, file []byte, now time.Time) ([]byte, error) {
	if len(file) == 0 || len(file) > maxAgreement {
		return nil, noroshi.Errorf(noroshi.Invalid, "message.size", "agreement has %d bytes, must be %d to %d", len(file), 1, maxAgreement)
	}
	if arity(file) >= 0 {
		return nil, malformed("agreement", "is no text")
	}
	key, err := k.signer(UseControl, now)
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

// VerifyAgreement checks that the node of the keyset signed the agreement in
// the document, with a control key that is not revoked, and returns the file's
// hash. Signatures of others are neither needed nor checked.
func VerifyAgreement(doc []byte, ks *Keyset) (noroshi.Hash, error) {
	file, _, err := AgreementFile(doc)
	if err != nil {
		return noroshi.Hash{}, err
	}
	d, err := decodeDocument(doc)
	if err != nil {
		return noroshi.Hash{}, err
	}
	for _, k := range ks.Keys {
		if k.Use == UseControl && ks.revoked(k.ID) == nil && d.signedBy(ks.Realm, ks.Node, publicKey{kid: k.ID, key: k.Key}) {
			return noroshi.Sum(file), nil
		}
	}
	return noroshi.Hash{}, noroshi.Errorf(noroshi.Broken, "agreement.signature", "agreement %s is not signed by node %s", noroshi.Sum(file), ks.Node)
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
