package message

import (
	"github.com/fxamacker/cbor/v2"
	"github.com/noroshi-cti/noroshi"
)

// The compact form of S2 leaves out what its reader can make again: context,
// protected header and hash of the content are signed all the same, and the one
// signature says which of the few candidates they were made with.

// wireCompact is the compact form of a message or statement.
type wireCompact struct {
	_         struct{} `cbor:",toarray"`
	Header    cbor.RawMessage
	Signature []byte
	Comp      uint8
	Content   []byte
}

const compactElements = 4

// Bounds of what a compact form is held against: at most 2 × 3 × 8 signatures
// are tried.
const (
	maxHeldAgreements = 2
	maxHeldEpochs     = 3
	maxHeldKeys       = maxKeysPerUse
)

// compact makes the full form again and checks it as signed does.
func (in Inbound) compact(plain []byte) (Plain, error) {
	var w wireCompact
	if err := decode("envelope", plain, &w); err != nil {
		return Plain{}, err
	}
	if in.Keys == nil || in.Keys.Node != in.From {
		return Plain{}, noroshi.Errorf(noroshi.Broken, "message.context", "signed bytes name %s, expected %s", noroshi.NodeID{}, in.From)
	}
	switch arity(w.Header) {
	case headerElements:
		return in.compactMessage(w)
	case statementElements:
		return in.compactStatement(w)
	}
	return Plain{}, malformed("envelope", "is of no known form")
}

func (in Inbound) compactMessage(w wireCompact) (Plain, error) {
	h, err := decodeHeader(w.Header)
	if err != nil {
		return Plain{}, err
	}
	content, err := decompress(w.Comp, w.Content, int(min(h.Len, MaxContent)), in.Packings)
	if err != nil {
		return Plain{}, err
	}
	m := &Message{Header: h, ContentHash: noroshi.Sum(content), Signature: w.Signature}
	err = in.rebuild(useOf(h.Kind), func(c Context, kid [4]byte) error {
		m.Context, m.KeyID = c, kid
		s := m.wire()
		if _, err := s.message(in.Realm); err != nil {
			return err
		}
		return m.Verify(in.Keys)
	})
	if err != nil {
		return Plain{}, err
	}
	m, err = m.WithContent(content)
	return Plain{Message: m}, err
}

func (in Inbound) compactStatement(w wireCompact) (Plain, error) {
	var h wireStatementHeader
	if err := decode("statement header", w.Header, &h); err != nil {
		return Plain{}, err
	}
	body, err := decompress(w.Comp, w.Content, int(min(h.Len, maxReturn)), in.Packings)
	if err != nil {
		return Plain{}, err
	}
	s := signed{Header: w.Header, ContentHash: noroshi.Sum(body), Signature: w.Signature}
	var st *Statement
	size := 0
	err = in.rebuild(UseControl, func(c Context, kid [4]byte) (err error) {
		s.Context, s.Protected = c.wire(statementDomain), encodeProtected(kid)
		if st, size, err = s.statement(in.Realm); err != nil {
			return err
		}
		return st.Verify(in.Keys)
	})
	if err != nil {
		return Plain{}, err
	}
	return Plain{Statement: st}, st.setBody(body, size)
}

// rebuild looks for the context and the key under which check holds. The error
// is that of the first candidate, which is the likely one.
func (in Inbound) rebuild(use KeyUse, check func(Context, [4]byte) error) error {
	var first error
	for _, agreement := range in.Recent[:min(len(in.Recent), maxHeldAgreements)] {
		for _, epoch := range in.Epochs[:min(len(in.Epochs), maxHeldEpochs)] {
			c := Context{Realm: in.Realm, From: in.From, To: in.To, Epoch: epoch, Agreement: agreement}
			tried := 0
			for _, k := range in.Keys.Keys {
				if k.Use != use || tried == maxHeldKeys {
					continue
				}
				tried++
				err := in.accepts(c, func(*Keyset) error { return check(c, k.ID) })
				if err == nil {
					return nil
				}
				if first == nil {
					first = err
				}
			}
		}
	}
	if first == nil {
		first = noroshi.Errorf(noroshi.Broken, "message.compact", "nothing is held of %s that a compact form could be made with", in.From)
	}
	return first
}
