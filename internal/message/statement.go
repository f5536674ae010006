package message

import (
	"encoding/hex"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// maxStatement bounds the body of a statement but a RETURN, which carries whole
// messages: the largest STATE is under it.
const maxStatement = 256 << 10

func maxBody(k Kind) uint32 {
	if k == ReturnKind {
		return maxReturn
	}
	return maxStatement
}

// Statement is a signed control that has no place in the log: of one kind and
// epoch only the highest counter counts.
type Statement struct {
	Context     Context
	KeyID       [4]byte
	Counter     uint64
	Kind        Kind
	Created     time.Time // whole seconds UTC
	ContentHash noroshi.Hash
	Signature   []byte
	Body        []byte

	size uint32 // signed length of the body
}

type wireStatementHeader struct {
	_       struct{} `cbor:",toarray"`
	Counter uint64
	Kind    uint8
	Created uint64
	Len     uint32
}

// storedStatement is a statement as it is kept: whole, body included.
type storedStatement struct {
	_      struct{} `cbor:",toarray"`
	Signed signed
	Body   []byte
}

// SignStatement signs the body that the Encode function of the kind made.
// Statements are signed by a control key.
func SignStatement(k *Keyring, c Context, counter uint64, kind Kind, created time.Time, body []byte) (*Statement, error) {
	return SignStatementFor(k, k.Keyset().Version, c, counter, kind, created, body)
}

// SignStatementFor is SignStatement for who holds a version of the KEYSET, as
// SignFor is Sign.
func SignStatementFor(k *Keyring, held uint64, c Context, counter uint64, kind Kind, created time.Time, body []byte) (*Statement, error) {
	s := &Statement{Context: c, Counter: counter, Kind: kind, Created: created.UTC().Truncate(time.Second),
		ContentHash: noroshi.Sum(body), Body: body, size: uint32(min(len(body), maxReturn+1))}
	if err := s.check(); err != nil {
		return nil, err
	}
	if err := k.speaks(c); err != nil {
		return nil, err
	}
	key, err := k.signer(UseControl, s.Created, held)
	if err != nil {
		return nil, err
	}
	s.KeyID = key.kid
	s.Signature = key.sign(s.signedBytes())
	return s, nil
}

func (s *Statement) check() error {
	switch {
	case s.Counter == 0:
		return malformed("statement", "counter starts at 1")
	case s.Kind < StateKind || s.Kind >= 32:
		return malformed("statement", "kind is not one of a statement")
	case unix(s.Created) > lastSecond:
		return malformed("statement", "time is after the year 9999")
	case s.size > maxBody(s.Kind):
		return malformed("statement", "body is over its bound")
	}
	return nil
}

func (s *Statement) header() []byte {
	return encode(wireStatementHeader{Counter: s.Counter, Kind: uint8(s.Kind), Created: unix(s.Created), Len: s.size})
}

func (s *Statement) signedBytes() []byte {
	return signedBytes(s.Context.wire(statementDomain), s.KeyID, append(s.header(), s.ContentHash[:]...))
}

func (s *Statement) wire() signed {
	return signed{Context: s.Context.wire(statementDomain), Protected: encodeProtected(s.KeyID),
		Header: s.header(), ContentHash: s.ContentHash, Signature: s.Signature}
}

// Encode returns the whole statement, body included: what the store keeps as
// evidence.
func (s *Statement) Encode() []byte { return encode(storedStatement{Signed: s.wire(), Body: s.Body}) }

// DecodeStatement reads what Encode wrote, in a realm the caller knows. The
// hash of the body is checked, the signature is not.
func DecodeStatement(realm noroshi.Realm, b []byte) (*Statement, error) {
	var w storedStatement
	if err := decode("statement", b, &w); err != nil {
		return nil, err
	}
	s, size, err := w.Signed.statement(realm)
	if err != nil {
		return nil, err
	}
	return s, s.setBody(w.Body, size)
}

// statement reads all but the body, and its signed length.
func (w *signed) statement(realm noroshi.Realm) (*Statement, int, error) {
	kid, err := w.check(statementDomain)
	if err != nil {
		return nil, 0, err
	}
	c, err := w.Context.context(realm)
	if err != nil {
		return nil, 0, err
	}
	var h wireStatementHeader
	if err := decode("statement header", w.Header, &h); err != nil {
		return nil, 0, err
	}
	created, err := fromUnix("statement header", h.Created)
	if err != nil {
		return nil, 0, err
	}
	s := &Statement{Context: c, KeyID: kid, Counter: h.Counter, Kind: Kind(h.Kind), Created: created,
		ContentHash: w.ContentHash, Signature: w.Signature, size: h.Len}
	return s, int(h.Len), s.check()
}

// setBody gives the statement its body, refused unless length and hash are the
// signed ones.
func (s *Statement) setBody(body []byte, size int) error {
	if len(body) != size {
		return noroshi.Errorf(noroshi.Broken, "message.length", "body of statement %d is %d bytes, signed are %d", s.Counter, len(body), size)
	}
	if noroshi.Sum(body) != s.ContentHash {
		return noroshi.Errorf(noroshi.Broken, "message.hash", "body of statement %d is not what was signed", s.Counter)
	}
	s.Body = body
	return nil
}

// Verify checks the signature against the sender's keys, as Message.Verify
// does; a revoked key signs no statement.
func (s *Statement) Verify(ks *Keyset) error {
	if err := ks.speaks(s.Context); err != nil {
		return err
	}
	key, err := ks.signing(s.KeyID, UseControl, s.Created)
	if err != nil {
		return err
	}
	if ks.revoked(s.KeyID) != nil {
		return noroshi.Errorf(noroshi.Broken, "message.key-revoked", "statement %d is signed with key %s, revoked before it", s.Counter, hex.EncodeToString(s.KeyID[:]))
	}
	return key.verify(s.signedBytes(), s.Signature)
}

// Ahead reports whether the statement claims to be made more than a day after now.
func (s *Statement) Ahead(now time.Time) bool { return s.Created.After(now.Add(maxAhead)) }
