package message

import (
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/noroshi-cti/noroshi"
)

// Plain is what an envelope carries: exactly one of the three.
type Plain struct {
	Message   *Message
	Statement *Statement
	Document  []byte
}

// Outbound is one direction of a link as its sender knows it.
type Outbound struct {
	Realm  noroshi.Realm
	From   noroshi.NodeID
	To     *Keyset // the partner's
	Secret []byte  // gate secret of the partner's card
	Now    time.Time
}

// Inbound is one direction of a link as its receiver knows it.
type Inbound struct {
	Realm      noroshi.Realm
	From, To   noroshi.NodeID // the partner, and this node
	Secret     []byte         // gate secret of this node's card for the partner
	Keys       *Keyset        // the partner's
	Agreements []noroshi.Hash // those both signed, present and former
}

// wirePlain is the full form of what is sealed around a message or statement;
// the elements of the header tell which.
type wirePlain struct {
	_           struct{} `cbor:",toarray"`
	Context     wireContext
	Protected   []byte
	Header      cbor.RawMessage
	ContentHash [32]byte
	Signature   []byte
	Comp        uint8
	Content     []byte
	Pad         []byte
}

// wirePlainDocument is what is sealed around a document.
type wirePlainDocument struct {
	_        struct{} `cbor:",toarray"`
	Document []byte
	Pad      []byte
}

const (
	plainElements         = 8
	plainDocumentElements = 2
	headerElements        = 9
	statementElements     = 4
)

// Seal makes an S1 envelope (docs/wire.md, envelope): compressed where that
// helps, padded, encrypted for the partner's newest live key, gated. Each call
// makes another envelope of the same content; the salt is read from random,
// the rest of the randomness is the library's.
func Seal(p Plain, o Outbound, random io.Reader) ([]byte, error) {
	plain, err := p.encode(o)
	if err != nil {
		return nil, err
	}
	key, err := o.To.sealTo(o.Now)
	if err != nil {
		return nil, err
	}
	head := make([]byte, gateStart, ctStart+len(plain)+tagLen)
	head[0] = suiteS1
	if _, err := io.ReadFull(random, head[1:]); err != nil {
		return nil, fmt.Errorf("read randomness for an envelope: %w", err)
	}
	enc, sender, err := hpke.NewSender(key.kem, hpke.HKDFSHA256(), hpke.AES256GCM(), linkInfo("NX/1 seal", o.Realm, o.From, o.To.Node))
	if err != nil {
		return nil, fmt.Errorf("seal for node %s: %w", o.To.Node, err)
	}
	ct, err := sender.Seal(head, plain)
	if err != nil {
		return nil, fmt.Errorf("seal for node %s: %w", o.To.Node, err)
	}
	digest := sha256.New()
	digest.Write(enc)
	digest.Write(ct)
	tag, err := gateTag(o.Secret, o.Realm, o.From, o.To.Node, digest.Sum(slices.Clone(head)))
	if err != nil {
		return nil, err
	}
	return append(append(append(head, tag...), enc...), ct...), nil
}

// encode makes the padded plaintext.
func (p Plain) encode(o Outbound) ([]byte, error) {
	var s signed
	var content []byte
	var c Context
	switch {
	case p.Message != nil && p.Statement == nil && p.Document == nil:
		if p.Message.Content == nil && p.Message.Header.Len > 0 {
			return nil, noroshi.Errorf(noroshi.Invalid, "message.length", "content of message %d is %d bytes, signed are %d", p.Message.Header.Seq, 0, p.Message.Header.Len)
		}
		s, content, c = p.Message.wire(), p.Message.Content, p.Message.Context
	case p.Statement != nil && p.Message == nil && p.Document == nil:
		s, content, c = p.Statement.wire(), p.Statement.Body, p.Statement.Context
	case p.Document != nil && p.Message == nil && p.Statement == nil:
		if _, err := decodeDocument(p.Document); err != nil {
			return nil, err
		}
		w := wirePlainDocument{Document: p.Document}
		w.Pad = make([]byte, paddedLen(len(encode(w))))
		return encode(w), nil
	default:
		return nil, noroshi.Errorf(noroshi.Invalid, "message.plain", "an envelope carries one message, statement or document")
	}
	if c.Realm != o.Realm || c.From != o.From || c.To != o.To.Node {
		return nil, noroshi.Errorf(noroshi.Refused, "message.link", "signed for %s to %s, not for the link %s to %s", c.From, c.To, o.From, o.To.Node)
	}
	w := wirePlain{Context: s.Context, Protected: s.Protected, Header: s.Header, ContentHash: s.ContentHash, Signature: s.Signature}
	w.Comp, w.Content = compress(content)
	w.Pad = make([]byte, paddedLen(len(encode(w))))
	return encode(w), nil
}

// Unseal checks and opens an envelope from the partner: size, gate, seal, strict
// form, context (realm, from, to = this node), agreement, key, signature,
// length, compression, hash of the content, in this order; the first failure
// ends it, and nothing is believed before. What it returns is verified. Binding
// to the sequence, label and time are for the caller.
func Unseal(k *Keyring, in Inbound, envelope []byte) (Plain, error) {
	g, err := ReadGate(envelope)
	if err != nil {
		return Plain{}, err
	}
	if in.To != k.NodeID() || in.Realm != k.Realm() || !g.Match(in.Secret, in.Realm, in.From, in.To) {
		return Plain{}, noroshi.Errorf(noroshi.Broken, "message.gate-match", "envelope does not match the link from %s", in.From)
	}
	plain, err := k.unseal(in, envelope)
	if err != nil {
		return Plain{}, err
	}
	switch arity(plain) {
	case plainElements:
		return in.signed(plain)
	case plainDocumentElements:
		var w wirePlainDocument
		if err := decode("envelope", plain, &w); err != nil {
			return Plain{}, err
		}
		if !allZero(w.Pad) {
			return Plain{}, malformed("envelope", "padding is not zero")
		}
		_, err := decodeDocument(w.Document)
		return Plain{Document: w.Document}, err
	}
	return Plain{}, malformed("envelope", "is of no known form")
}

// unseal tries the newest keys: a partner may not know the last change yet.
func (k *Keyring) unseal(in Inbound, envelope []byte) ([]byte, error) {
	info := linkInfo("NX/1 seal", in.Realm, in.From, in.To)
	for _, key := range k.kems[:min(len(k.kems), maxOpened)] {
		r, err := hpke.NewRecipient(envelope[encStart:ctStart], key.priv, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
		if err != nil {
			continue
		}
		if plain, err := r.Open(envelope[:gateStart], envelope[ctStart:]); err == nil {
			return plain, nil
		}
	}
	return nil, noroshi.Errorf(noroshi.Broken, "message.unseal", "no key opens the envelope from %s", in.From)
}

// signed checks a message or statement in the order of docs/wire.md.
func (in Inbound) signed(plain []byte) (Plain, error) {
	var w wirePlain
	if err := decode("envelope", plain, &w); err != nil {
		return Plain{}, err
	}
	if !allZero(w.Pad) {
		return Plain{}, malformed("envelope", "padding is not zero")
	}
	if in.Keys == nil || in.Keys.Node != in.From {
		return Plain{}, noroshi.Errorf(noroshi.Broken, "message.context", "signed bytes name %s, expected %s", noroshi.NodeID(w.Context.From), in.From)
	}
	s := signed{Context: w.Context, Protected: w.Protected, Header: w.Header, ContentHash: w.ContentHash, Signature: w.Signature}
	switch arity(w.Header) {
	case headerElements:
		m, err := s.message(in.Realm)
		if err != nil {
			return Plain{}, err
		}
		if err := in.accepts(m.Context, m.Verify); err != nil {
			return Plain{}, err
		}
		content, err := decompress(w.Comp, w.Content, int(m.Header.Len))
		if err != nil {
			return Plain{}, err
		}
		m, err = m.WithContent(content)
		return Plain{Message: m}, err
	case statementElements:
		return in.statement(&s, w.Comp, w.Content)
	}
	return Plain{}, malformed("envelope", "is of no known form")
}

func (in Inbound) statement(s *signed, comp uint8, content []byte) (Plain, error) {
	st, size, err := s.statement(in.Realm)
	if err != nil {
		return Plain{}, err
	}
	if err := in.accepts(st.Context, st.Verify); err != nil {
		return Plain{}, err
	}
	body, err := decompress(comp, content, size)
	if err != nil {
		return Plain{}, err
	}
	return Plain{Statement: st}, st.setBody(body, size)
}

// accepts checks the context against the link that opened the envelope, which
// stops surreptitious forwarding, the agreement, and then the signature.
func (in Inbound) accepts(c Context, verify func(*Keyset) error) error {
	if c.From != in.From || c.To != in.To {
		return noroshi.Errorf(noroshi.Broken, "message.link", "signed for %s to %s, not for the link %s to %s", c.From, c.To, in.From, in.To)
	}
	if !c.Agreement.IsZero() && !slices.Contains(in.Agreements, c.Agreement) {
		return noroshi.Errorf(noroshi.Broken, "message.unknown-agreement", "signed under agreement %s, which is not in force with %s", c.Agreement, in.From)
	}
	return verify(in.Keys)
}
