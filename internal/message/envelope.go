package message

import (
	"cmp"
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

// Kind is that of the message or statement, 0 for a document.
func (p Plain) Kind() Kind {
	switch {
	case p.Message != nil:
		return p.Message.Header.Kind
	case p.Statement != nil:
		return p.Statement.Kind
	}
	return 0
}

// Labels are those of the objects in it, in their normal form: of a DATA, and of
// all that a RETURN gives back. A channel may carry it that is admitted for each.
func (p Plain) Labels() ([]string, error) {
	switch {
	case p.Message != nil && p.Message.Header.Kind == Data:
		return []string{p.Message.label()}, nil
	case p.Statement != nil && p.Statement.Kind == ReturnKind:
		return labelsReturned(p.Statement.Context.Realm, p.Statement.Body)
	}
	return nil, nil
}

// Outbound is one direction of a link as its sender knows it.
type Outbound struct {
	Realm  noroshi.Realm
	From   noroshi.NodeID
	To     *Keyset // the partner's
	Secret []byte  // gate secret: of the newest LINK the partner holds, else of its card
	Now    time.Time

	Suite    Suite      // 0 = S1
	Links    []LinkBody // S2: the newest LINK the partner holds
	Packings []uint8    // what may compress besides zstd (Packings)
	// Full makes the full form under S2 too: for the first message of an epoch,
	// and all until the partner's STATE shows that epoch.
	Full bool
}

func (o Outbound) line() Line {
	return Line{Realm: o.Realm, From: o.From, To: o.To.Node, Links: o.Links}
}

// Inbound is one direction of a link as its receiver knows it.
type Inbound struct {
	Realm      noroshi.Realm
	From, To   noroshi.NodeID // the partner, and this node
	Secret     []byte         // the gate secret that matched: of a LINK, or of this node's card
	Keys       *Keyset        // the partner's
	Agreements []noroshi.Hash // those both signed, present and former

	Now      time.Time
	Suites   []Suite    // agreed for the kind of channel the envelope came by (SuitesOn); none = S1
	Packings []uint8    // what may compress besides zstd: as listed there too
	Links    []LinkBody // S2: the partner's that count, newest first
	// Recent and Epochs are what a compact form is held against, likely first:
	// at most two agreements (zero is none in force) and three epochs of the
	// partner's.
	Recent []noroshi.Hash
	Epochs []Epoch
}

func (in Inbound) line() Line {
	return Line{Realm: in.Realm, From: in.From, To: in.To, Links: in.Links}
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

// Seal makes an envelope (docs/wire.md §5): compressed where that helps, padded
// but under S2, encrypted, gated. Each call makes another envelope of the same
// content; the salt is read from random, the rest of the randomness is the
// library's.
func Seal(p Plain, o Outbound, random io.Reader) ([]byte, error) {
	plain, err := p.encode(o)
	if err != nil {
		return nil, err
	}
	if o.Suite == S2 {
		return o.line().seal(plain, o.Now)
	}
	s, ok := sealingOf(cmp.Or(o.Suite, S1))
	if !ok {
		return nil, noroshi.Errorf(noroshi.Invalid, "message.version", "envelope is of unknown type %d", o.Suite)
	}
	return s.seal(plain, o, random)
}

func (s sealing) seal(plain []byte, o Outbound, random io.Reader) ([]byte, error) {
	key, err := o.To.sealTo(s.suite, o.Now)
	if err != nil {
		return nil, err
	}
	head := make([]byte, gateStart, s.ctStart()+len(plain)+tagLen)
	head[0] = byte(s.suite)
	if _, err := io.ReadFull(random, head[1:]); err != nil {
		return nil, fmt.Errorf("read randomness for an envelope: %w", err)
	}
	enc, sender, err := hpke.NewSender(key.kem, s.kdf(), hpke.AES256GCM(), linkInfo("NX/1 seal", o.Realm, o.From, o.To.Node))
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
		if o.Suite != S2 {
			w.Pad = make([]byte, paddedLen(len(encode(w))))
		}
		return encode(w), nil
	default:
		return nil, noroshi.Errorf(noroshi.Invalid, "message.plain", "an envelope carries one message, statement or document")
	}
	if c.Realm != o.Realm || c.From != o.From || c.To != o.To.Node {
		return nil, noroshi.Errorf(noroshi.Refused, "message.link", "signed for %s to %s, not for the link %s to %s", c.From, c.To, o.From, o.To.Node)
	}
	comp, packed := compress(content, o.Packings, o.Suite == S2)
	if o.Suite == S2 && !o.Full {
		return encode(wireCompact{Header: s.Header, Signature: s.Signature, Comp: comp, Content: packed}), nil
	}
	w := wirePlain{Context: s.Context, Protected: s.Protected, Header: s.Header, ContentHash: s.ContentHash, Signature: s.Signature,
		Comp: comp, Content: packed}
	if o.Suite != S2 {
		w.Pad = make([]byte, paddedLen(len(encode(w))))
	}
	return encode(w), nil
}

// Unseal checks and opens an envelope from the partner: size, gate, suite, seal,
// strict form, context (realm, from, to = this node), agreement, key, signature,
// length, compression, hash of the content, in this order, and last whether S1 may
// carry what it does (a compact form of S2
// is decompressed before its signature can be tried); the first failure ends it,
// and nothing is believed before. What it returns is verified; with an error of
// IsRevoked alone comes a message too, which is evidence and nothing more. Binding
// to the sequence, label and time are for the caller.
func Unseal(k *Keyring, in Inbound, envelope []byte) (Plain, error) {
	g, err := ReadGate(envelope)
	if err != nil {
		return Plain{}, err
	}
	if in.To != k.NodeID() || in.Realm != k.Realm() || g.suite != S2 && !g.Match(in.Secret, in.Realm, in.From, in.To) {
		return Plain{}, noroshi.Errorf(noroshi.Broken, "message.gate-match", "envelope does not match the link from %s", in.From)
	}
	if err := in.admits(g.suite); err != nil {
		return Plain{}, err
	}
	if g.suite != S2 { // no partner makes this node read it by the gigabyte
		in.Packings = slices.DeleteFunc(slices.Clone(in.Packings), func(n uint8) bool { return n == compShort })
	}
	plain, err := k.unseal(in, envelope)
	if err != nil {
		return Plain{}, err
	}
	p, err := in.parse(plain, g.suite)
	if err != nil {
		return p, err
	}
	if err := in.agreed(g.suite, p); err != nil {
		return Plain{}, err
	}
	return p, nil
}

// parse reads what an envelope of a suite held.
func (in Inbound) parse(plain []byte, suite Suite) (Plain, error) {
	switch n := arity(plain); {
	case n == plainElements:
		return in.signed(plain)
	case n == compactElements && suite == S2:
		return in.compact(plain)
	case n == plainDocumentElements:
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
	none := noroshi.Errorf(noroshi.Broken, "message.unseal", "no key opens the envelope from %s", in.From)
	if Suite(envelope[0]) == S2 {
		if plain, ok := in.line().open(envelope, in.Now); ok {
			return plain, nil
		}
		return nil, none
	}
	s, _ := sealingOf(Suite(envelope[0]))
	info, tried := linkInfo("NX/1 seal", in.Realm, in.From, in.To), 0
	for _, key := range k.kemKeys() {
		if key.suite != s.suite {
			continue
		}
		if tried++; tried > maxOpened {
			break
		}
		r, err := hpke.NewRecipient(envelope[encStart:s.ctStart()], key.priv, s.kdf(), hpke.AES256GCM(), info)
		if err != nil {
			continue
		}
		if plain, err := r.Open(envelope[:gateStart], envelope[s.ctStart():]); err == nil {
			return plain, nil
		}
	}
	return nil, none
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
		doubt := in.accepts(m.Context, m.Verify)
		if doubt != nil && !IsRevoked(doubt) {
			return Plain{}, doubt
		}
		content, err := decompress(w.Comp, w.Content, int(m.Header.Len), in.Packings)
		if err != nil {
			return Plain{}, err
		}
		if m, err = m.WithContent(content); err != nil {
			return Plain{}, err
		}
		return Plain{Message: m}, doubt
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
	body, err := decompress(comp, content, size, in.Packings)
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
