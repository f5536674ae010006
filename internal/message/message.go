package message

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

const (
	maxLabel = 4096 // bytes of a label in its normal form
	maxDeps  = 16
	// maxAhead is how far in the future a message may have been created
	// before it is held.
	maxAhead = 24 * time.Hour
)

type wireHeader struct {
	_       struct{} `cbor:",toarray"`
	Seq     uint64
	Kind    uint8
	Prec    uint8
	Created uint64
	TTL     uint32
	Label   any // bytes of the normal form, or an index
	Deps    []uint64
	Form    uint8
	Len     uint32
}

// Sign makes the one signed form of a message: it computes Len and the content
// hash, picks the key whose use fits the kind and that is valid at h.Created,
// and signs. The message keeps content; it is signed once and sent as often as
// need be.
func Sign(k *Keyring, c Context, h Header, content []byte) (*Message, error) {
	return SignFor(k, k.Keyset().Version, c, h, content)
}

// SignFor is Sign for who holds a version of the KEYSET: a key that stands in it
// already goes before a newer one, so that nothing waits for a KEYSET on its way.
func SignFor(k *Keyring, held uint64, c Context, h Header, content []byte) (*Message, error) {
	h.Len = uint32(min(len(content), MaxContent+1))
	h.Created = h.Created.UTC().Truncate(time.Second)
	m := &Message{Context: c, Header: h, ContentHash: noroshi.Sum(content), Content: content}
	if err := m.check(); err != nil {
		return nil, err
	}
	if err := k.speaks(c); err != nil {
		return nil, err
	}
	key, err := k.signer(useOf(h.Kind), h.Created, held)
	if err != nil {
		return nil, err
	}
	m.KeyID = key.kid
	m.Signature = key.sign(m.signedBytes())
	return m, nil
}

// useOf is the key use a kind must be signed with: a stolen server key
// (control) cannot release.
func useOf(k Kind) KeyUse {
	if k == Data || k == Recall {
		return UseRelease
	}
	return UseControl
}

func (m *Message) check() error {
	h := m.Header
	switch {
	case h.Seq == 0:
		return malformed("header", "sequence starts at 1")
	case h.Kind == 0 || h.Kind >= StateKind && h.Kind < 32:
		return malformed("header", "kind is not one of a message")
	case h.Prec < noroshi.Routine || h.Prec > noroshi.Flash:
		return malformed("header", "precedence must be 1 to 4")
	case unix(h.Created) > lastSecond:
		return malformed("header", "time is after the year 9999")
	case h.Len > MaxContent:
		return malformed("header", "content is over 16 MiB")
	case h.Form == NoForm && h.Len > 0:
		return malformed("header", "content without a form")
	case h.Kind == Data && h.Label == "" && h.LabelRef == 0:
		return malformed("header", "data without a label")
	case len(h.Label) > maxLabel || h.Label != "" && h.LabelRef != 0:
		return malformed("header", "label is over 4096 bytes or given twice")
	case len(h.Deps) > maxDeps:
		return malformed("header", "more than 16 dependencies")
	case m.Context.Agreement.IsZero() && useOf(h.Kind) == UseRelease:
		return noroshi.Errorf(noroshi.Refused, "message.agreement", "message of kind %d names no agreement", h.Kind)
	}
	for i, d := range h.Deps {
		if d == 0 || d >= h.Seq || i > 0 && d <= h.Deps[i-1] {
			return malformed("header", "dependencies must rise and be lower than the sequence")
		}
	}
	return nil
}

func (h Header) encode() []byte {
	w := wireHeader{Seq: h.Seq, Kind: uint8(h.Kind), Prec: uint8(h.Prec), Created: unix(h.Created), TTL: h.TTL,
		Label: []byte(h.Label), Deps: h.Deps, Form: h.Form, Len: h.Len}
	if h.LabelRef > 0 {
		w.Label = h.LabelRef - 1
	}
	return encode(w)
}

func decodeHeader(b []byte) (h Header, err error) {
	var w wireHeader
	if err := decode("header", b, &w); err != nil {
		return h, err
	}
	h = Header{Seq: w.Seq, Kind: Kind(w.Kind), Prec: noroshi.Precedence(w.Prec), TTL: w.TTL, Deps: w.Deps, Form: w.Form, Len: w.Len}
	if len(h.Deps) == 0 {
		h.Deps = nil
	}
	switch l := w.Label.(type) {
	case []byte:
		h.Label = string(l)
	case uint64:
		if h.LabelRef = l + 1; h.LabelRef == 0 {
			return h, malformed("header", "label index is too large")
		}
	default:
		return h, malformed("header", "label must be bytes or an index")
	}
	h.Created, err = fromUnix("header", w.Created)
	return h, err
}

func (m *Message) signedBytes() []byte {
	payload := append(m.Header.encode(), m.ContentHash[:]...)
	return signedBytes(m.Context.wire(messageDomain), m.KeyID, payload)
}

// ID names the message for ever. It hides the content from whoever lacks it.
func (m *Message) ID() noroshi.Hash {
	return noroshi.Sum(slices.Concat([]byte("NX/1 id"), m.signedBytes(), m.Signature))
}

func (m *Message) wire() signed {
	return signed{Context: m.Context.wire(messageDomain), Protected: encodeProtected(m.KeyID),
		Header: m.Header.encode(), ContentHash: m.ContentHash, Signature: m.Signature}
}

// EncodeSigned returns all that is signed, and the signature, without the
// content: what the store keeps beside it.
func (m *Message) EncodeSigned() []byte { return encode(m.wire()) }

// DecodeSigned reads what EncodeSigned wrote, in a realm the caller knows. The
// signature is not checked; Content is nil until WithContent.
func DecodeSigned(realm noroshi.Realm, b []byte) (*Message, error) {
	var s signed
	if err := decode("message", b, &s); err != nil {
		return nil, err
	}
	return s.message(realm)
}

func (s *signed) message(realm noroshi.Realm) (*Message, error) {
	kid, err := s.check(messageDomain)
	if err != nil {
		return nil, err
	}
	c, err := s.Context.context(realm)
	if err != nil {
		return nil, err
	}
	h, err := decodeHeader(s.Header)
	if err != nil {
		return nil, err
	}
	m := &Message{Context: c, KeyID: kid, Header: h, ContentHash: s.ContentHash, Signature: s.Signature}
	return m, m.check()
}

// WithContent returns the message with its content, refused unless length and
// hash are the signed ones.
func (m *Message) WithContent(content []byte) (*Message, error) {
	if len(content) != int(m.Header.Len) {
		return nil, noroshi.Errorf(noroshi.Broken, "message.length", "content of message %d is %d bytes, signed are %d", m.Header.Seq, len(content), m.Header.Len)
	}
	if noroshi.Sum(content) != m.ContentHash {
		return nil, noroshi.Errorf(noroshi.Broken, "message.hash", "content of message %d is not what was signed", m.Header.Seq)
	}
	n := *m
	n.Content = content
	return &n, nil
}

// Verify checks the signature against the sender's keys: the keyset is that of
// context.from in this realm, the key has the use the kind asks for, was valid
// when the message was created, and is not revoked for this sequence.
func (m *Message) Verify(ks *Keyset) error {
	if err := ks.speaks(m.Context); err != nil {
		return err
	}
	key, err := ks.signing(m.KeyID, useOf(m.Header.Kind), m.Header.Created)
	if err != nil {
		return err
	}
	if err := key.verify(m.signedBytes(), m.Signature); err != nil {
		return err
	}
	if r := ks.revoked(m.KeyID); r != nil && !r.covers(m.Context.Epoch, m.Header.Seq) {
		return noroshi.Errorf(noroshi.Broken, "message.key-revoked", "message %d is signed with key %s, revoked before it", m.Header.Seq, hex.EncodeToString(m.KeyID[:]))
	}
	return nil
}

// IsRevoked reports whether an error of Verify, or of Unseal, says that the
// signature is good and the key is not to be believed for it any more.
func IsRevoked(err error) bool {
	var e *noroshi.Error
	return errors.As(err, &e) && e.Code == "message.key-revoked"
}

// Ahead reports whether the message claims to be made more than a day after
// now: it is kept and held (the sender's clock, or ours, is wrong).
func (m *Message) Ahead(now time.Time) bool { return m.Header.Created.After(now.Add(maxAhead)) }

// Expired reports whether the message's time to live has passed.
func (m *Message) Expired(now time.Time) bool {
	return m.Header.TTL > 0 && now.After(m.Header.Created.Add(time.Duration(m.Header.TTL)*time.Second))
}

type chainSeed struct {
	_        struct{} `cbor:",toarray"`
	Realm    []byte
	From, To [16]byte
	Epoch    [16]byte
}

// ChainStart is the chain before the first message of an epoch.
func ChainStart(realm noroshi.Realm, from, to noroshi.NodeID, epoch Epoch) noroshi.Hash {
	seed := encode(chainSeed{Realm: realm.Bytes(), From: from, To: to, Epoch: epoch})
	return noroshi.Sum(append([]byte("NX/1 chain"), seed...))
}

// ChainNext is the chain after the message id: both sides compute it when the
// sequence closes and compare it in STATE.
func ChainNext(chain, id noroshi.Hash) noroshi.Hash {
	h := sha256.New()
	h.Write(chain[:])
	h.Write(id[:])
	return noroshi.Hash(h.Sum(nil))
}

// Objects on the wire: [view, bytes].
type wireObject struct {
	_     struct{} `cbor:",toarray"`
	View  uint32
	Bytes []byte
}

// EncodeObjects makes the content of a DATA message (form 1).
func EncodeObjects(objects []Object) []byte {
	w := make([]wireObject, len(objects))
	for i, o := range objects {
		w[i] = wireObject{View: o.View, Bytes: o.Bytes}
	}
	return encode(w)
}

// DecodeObjects reads the content of a DATA message: 1 to MaxBatch objects, at
// most MaxBatchLen bytes unless one object is alone.
func DecodeObjects(content []byte) ([]Object, error) {
	var w []wireObject
	if err := decode("objects", content, &w); err != nil {
		return nil, err
	}
	if len(w) == 0 || len(w) > MaxBatch {
		return nil, malformed("objects", "a batch has 1 to 1000 objects")
	}
	if len(content) > MaxBatchLen && len(w) > 1 {
		return nil, malformed("objects", "a batch of several objects is at most 1 MiB")
	}
	objects := make([]Object, len(w))
	for i, o := range w {
		if len(o.Bytes) == 0 {
			return nil, malformed("objects", "an object is empty")
		}
		objects[i] = Object{View: o.View, Bytes: o.Bytes}
	}
	return objects, nil
}
