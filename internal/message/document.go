package message

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

const (
	maxDocument   = 512 << 10 // bytes of a document
	maxSignatures = 8
	// documentElements is the number of elements of a KEYSET and of a CARD.
	documentElements = 11
)

// DocumentKind says what a document is.
type DocumentKind string

// The kinds of documents.
const (
	KeysetDocument    DocumentKind = "KEYSET"
	CardDocument      DocumentKind = "CARD"
	AgreementDocument DocumentKind = "AGREEMENT"

	SuspensionDocument DocumentKind = "SUSPENSION"
)

type wireDocument struct {
	_          struct{} `cbor:",toarray"`
	Body       []byte
	Signatures []wireSignature
}

type wireSignature struct {
	_         struct{} `cbor:",toarray"`
	Protected []byte
	Signature []byte
}

// docContext is the context of a document: domain, realm and the signing node;
// the other parts are zero.
func docContext(realm noroshi.Realm, signer noroshi.NodeID) wireContext {
	return Context{Realm: realm, From: signer}.wire(documentDomain)
}

// signDocument signs a body with each of the keys, in order.
func signDocument(realm noroshi.Realm, signer noroshi.NodeID, body []byte, keys ...*signingKey) []byte {
	d := wireDocument{Body: body}
	for _, k := range keys {
		d.Signatures = append(d.Signatures, wireSignature{
			Protected: encodeProtected(k.kid),
			Signature: k.sign(signedBytes(docContext(realm, signer), k.kid, body)),
		})
	}
	return encode(d)
}

func decodeDocument(doc []byte) (*wireDocument, error) {
	if len(doc) > maxDocument {
		return nil, noroshi.Errorf(noroshi.Invalid, "message.too-large", "%s has %d bytes, must be 1 to %d", "document", len(doc), maxDocument)
	}
	var d wireDocument
	if err := decode("document", doc, &d); err != nil {
		return nil, err
	}
	if err := sized("document signatures", len(d.Signatures), 1, maxSignatures); err != nil {
		return nil, err
	}
	for _, s := range d.Signatures {
		if _, err := decodeProtected(s.Protected); err != nil {
			return nil, err
		}
		if len(s.Signature) != ed25519.SignatureSize {
			return nil, malformed("document signature", "must be 64 bytes")
		}
	}
	return &d, nil
}

// signedBy reports whether one of the signatures is that of the key over the
// body, made by the signer in the realm.
func (d *wireDocument) signedBy(realm noroshi.Realm, signer noroshi.NodeID, k publicKey) bool {
	for _, s := range d.Signatures {
		if kid, err := decodeProtected(s.Protected); err != nil || kid != k.kid {
			continue
		}
		if k.verify(signedBytes(docContext(realm, signer), k.kid, d.Body), s.Signature) == nil {
			return true
		}
	}
	return false
}

// KindOfDocument tells what a document is by its body: KEYSET, CARD and
// SUSPENSION are arrays that begin with their name, an agreement is text. It
// checks nothing else.
func KindOfDocument(doc []byte) (DocumentKind, error) {
	d, err := decodeDocument(doc)
	if err != nil {
		return "", err
	}
	for _, kind := range []DocumentKind{KeysetDocument, CardDocument, SuspensionDocument} {
		elements := byte(documentElements)
		if kind == SuspensionDocument {
			elements = suspensionElements
		}
		name := append([]byte{0x80 | elements}, encode(string(kind))...)
		if bytes.HasPrefix(d.Body, name) {
			return kind, nil
		}
	}
	if arity(d.Body) < 0 {
		return AgreementDocument, nil
	}
	return "", malformed("document", "body is of no known kind")
}

// SignAnew signs the body of a document of this node's as it is, with the present key
// of a use, where none of that use that stands in the KEYSET signed it; else it returns
// nil. What was said stays the same, and who holds the KEYSET can believe it again.
func SignAnew(k *Keyring, doc []byte, use KeyUse, now time.Time) ([]byte, error) {
	d, err := decodeDocument(doc)
	if err != nil {
		return nil, err
	}
	ks := k.Keyset()
	stands := func(x Key) bool {
		return x.Use == use && ks.revoked(x.ID) == nil && d.signedBy(ks.Realm, ks.Node, publicKey{kid: x.ID, key: x.Key})
	}
	if slices.ContainsFunc(ks.Keys, stands) {
		return nil, nil
	}
	key, err := k.signer(use, now, ks.Version)
	if err != nil {
		return nil, err
	}
	return signDocument(ks.Realm, ks.Node, d.Body, key), nil
}
