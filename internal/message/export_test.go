package message

import (
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"slices"

	"github.com/noroshi-cti/noroshi"
)

// Doors for tests: bytes that a foreign implementation must make too, and
// envelopes around plaintexts that Seal never makes.

func (m *Message) SignedBytes() []byte   { return m.signedBytes() }
func (s *Statement) SignedBytes() []byte { return s.signedBytes() }

func GateKey(secret []byte, realm noroshi.Realm, from, to noroshi.NodeID) []byte {
	k, err := hkdf.Expand(sha256.New, secret, string(linkInfo("NX/1 gate", realm, from, to)), sha256.Size)
	if err != nil {
		panic(err)
	}
	return k
}

func SealInfo(realm noroshi.Realm, from, to noroshi.NodeID) []byte {
	return linkInfo("NX/1 seal", realm, from, to)
}

// Plaintext opens the seal and nothing more.
func Plaintext(k *Keyring, in Inbound, envelope []byte) ([]byte, error) {
	return k.unseal(in, envelope)
}

// SealRaw seals any plaintext, by a partner that has the gate secret and
// breaks every other rule.
func SealRaw(plain []byte, o Outbound, salt [8]byte) []byte {
	key, err := o.To.sealTo(S1, o.Now)
	if err != nil {
		panic(err)
	}
	head := append([]byte{byte(S1)}, salt[:]...)
	enc, s, err := hpke.NewSender(key.kem, hpke.HKDFSHA256(), hpke.AES256GCM(), SealInfo(o.Realm, o.From, o.To.Node))
	if err != nil {
		panic(err)
	}
	ct, err := s.Seal(head, plain)
	if err != nil {
		panic(err)
	}
	digest := sha256.Sum256(slices.Concat(enc, ct))
	tag, err := gateTag(o.Secret, o.Realm, o.From, o.To.Node, slices.Concat(head, digest[:]))
	if err != nil {
		panic(err)
	}
	return slices.Concat(head, tag, enc, ct)
}

// SealNarrow seals any plaintext under the day's secret.
func SealNarrow(plain []byte, o Outbound) []byte {
	e, err := o.line().seal(plain, o.Now)
	if err != nil {
		return nil
	}
	return e
}

// PlainWith is the plaintext of a signed message around any compressed content
// and padding.
func PlainWith(m *Message, comp uint8, content, pad []byte) []byte {
	s := m.wire()
	return encode(wirePlain{Context: s.Context, Protected: s.Protected, Header: s.Header, ContentHash: s.ContentHash,
		Signature: s.Signature, Comp: comp, Content: content, Pad: pad})
}

// Resign signs a message again with the key of a use that the kind does not ask for.
func Resign(k *Keyring, m *Message, use KeyUse) *Message {
	n := *m
	key, err := k.signer(use, m.Header.Created, k.Keyset().Version)
	if err != nil {
		panic(err)
	}
	n.KeyID = key.kid
	n.Signature = key.sign(n.signedBytes())
	return &n
}

// PublishWith signs a changed keyset with the keyring's root.
func PublishWith(k *Keyring, change func(*Keyset)) []byte {
	h := k.head.Load()
	ks := *h.keyset
	ks.Keys = slices.Clone(ks.Keys)
	change(&ks)
	body := ks.encode()
	node := ks.Node
	if ks.Version == 1 {
		sum := noroshi.Sum(body)
		node = noroshi.NodeID(sum[:16])
	}
	return signDocument(k.realm, node, body, h.root)
}

// Body returns the body of a document.
func Body(doc []byte) []byte {
	d, err := decodeDocument(doc)
	if err != nil {
		panic(err)
	}
	return d.Body
}

// RootSigned is a document of any body signed by the keyring's root.
func RootSigned(k *Keyring, body []byte) []byte {
	return signDocument(k.realm, k.NodeID(), body, k.head.Load().root)
}

func CheckEd25519(key []byte) error { return checkEd25519(key) }

func PaddedLen(n int) int { return paddedLen(n) }

func KeyOf(key []byte, use KeyUse, k Key) Key {
	return Key{ID: kidOf(key), Use: use, Key: key, From: k.From, Until: k.Until}
}

func CheckFrame(b []byte, size int) error { return checkFrame(b, size, 0) }

func Decompress(comp uint8, b []byte, size int) ([]byte, error) {
	return decompress(comp, b, size, []uint8{compDict, compList, compShort})
}

func Compress(content []byte, numbers []uint8, narrow bool) (uint8, []byte) {
	return compress(content, numbers, narrow)
}

func Shorten(content []byte) []byte { return shorten(content) }

func Lengthen(b []byte, size int) ([]byte, error) { return lengthen(b, size) }
