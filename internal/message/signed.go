package message

import (
	"crypto/ed25519"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/noroshi-cti/noroshi"
)

// Domains part what is signed: a signature over one is none over another.
const (
	messageDomain   = "NX/1 message"
	statementDomain = "NX/1 statement"
	documentDomain  = "NX/1 document"
)

// algEd25519 is Ed25519 as a fully specified COSE algorithm (RFC 9864 §2.2).
const algEd25519 = -19

// clockTolerance is how far a node's clock may be off when the validity of a
// key is judged by the time in a header.
const clockTolerance = 10 * time.Minute

// lastSecond is the end of year 9999: no time on the wire is later.
const lastSecond = 253402300799

type wireContext struct {
	_         struct{} `cbor:",toarray"`
	Domain    string
	Realm     []byte
	From, To  [16]byte
	Epoch     [16]byte
	Agreement [32]byte
}

func (c Context) wire(domain string) wireContext {
	return wireContext{Domain: domain, Realm: c.Realm.Bytes(), From: c.From, To: c.To, Epoch: c.Epoch, Agreement: c.Agreement}
}

// context turns a wire context into words; the realm is known to the reader
// and compared, never taken from the wire.
func (w wireContext) context(realm noroshi.Realm) (Context, error) {
	if err := sameRealm(realm, w.Realm); err != nil {
		return Context{}, err
	}
	return Context{Realm: realm, From: w.From, To: w.To, Epoch: w.Epoch, Agreement: w.Agreement}, nil
}

func sameRealm(realm noroshi.Realm, wire []byte) error {
	if realm.IsZero() || string(realm.Bytes()) != string(wire) {
		return noroshi.Errorf(noroshi.Broken, "message.realm", "realm of the signed bytes is not %s", realm)
	}
	return nil
}

// protected is the protected header of COSE (RFC 9052 §3): algorithm and key.
type protected struct {
	Alg int    `cbor:"1,keyasint"`
	Kid []byte `cbor:"4,keyasint"`
}

func encodeProtected(kid [4]byte) []byte {
	return encode(protected{Alg: algEd25519, Kid: kid[:]})
}

func decodeProtected(b []byte) (kid [4]byte, err error) {
	var p protected
	if err := decode("protected header", b, &p); err != nil {
		return kid, err
	}
	if p.Alg != algEd25519 || len(p.Kid) != 4 {
		return kid, malformed("protected header", "algorithm must be -19 and the key id 4 bytes")
	}
	return [4]byte(p.Kid), nil
}

// sigStructure is the Sig_structure of COSE_Sign1 with a detached payload
// (RFC 9052 §4.4).
type sigStructure struct {
	_         struct{} `cbor:",toarray"`
	Context   string
	Protected []byte
	AAD       []byte
	Payload   []byte
}

func signedBytes(c wireContext, kid [4]byte, payload []byte) []byte {
	return encode(sigStructure{Context: "Signature1", Protected: encodeProtected(kid), AAD: encode(c), Payload: payload})
}

// signed is what messages and statements are made of on the wire and in
// the store: all that is signed but the content.
type signed struct {
	_           struct{} `cbor:",toarray"`
	Context     wireContext
	Protected   []byte
	Header      cbor.RawMessage
	ContentHash [32]byte
	Signature   []byte
}

// check refuses parts that no version of the wire has.
func (s *signed) check(domain string) (kid [4]byte, err error) {
	if s.Context.Domain != domain {
		return kid, malformed("context", "domain is not "+domain)
	}
	if n := len(s.Context.Realm); n != 0 && n != 16 {
		return kid, malformed("context", "realm must be empty or 16 bytes")
	}
	if len(s.Signature) != ed25519.SignatureSize {
		return kid, malformed("signature", "must be 64 bytes")
	}
	return decodeProtected(s.Protected)
}

func unix(t time.Time) uint64 { return uint64(max(0, t.Unix())) }

func fromUnix(what string, s uint64) (time.Time, error) {
	if s > lastSecond {
		return time.Time{}, malformed(what, "time is after the year 9999")
	}
	return time.Unix(int64(s), 0).UTC(), nil
}
