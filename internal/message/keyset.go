package message

import (
	"crypto/hpke"
	"encoding/hex"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// KeyUse says what a key may do.
type KeyUse uint8

// The uses of a key (docs/wire.md, KEYSET).
const (
	UseRelease KeyUse = 1 // signs DATA and RECALL
	UseControl KeyUse = 2 // signs everything else
	UseKEM     KeyUse = 3 // opens envelopes
	UseTLS     KeyUse = 4 // pin of the TLS key
	UseRealm   KeyUse = 5 // certifies the keys of an exercise
)

// Algorithms of keys in a KEYSET.
const (
	algXWing  = 0x647a // HPKE KEM ML-KEM-768+X25519
	algHigh   = 0x0051 // HPKE KEM ML-KEM-1024+P-384
	algSHA256 = -16    // RFC 9054 §2.1: the key is the SHA-256 of an SPKI
)

const (
	maxKeys       = 40
	maxKeysPerUse = 8
	maxRevoked    = 64
)

// MaxLastGood bounds the epochs that one revocation names.
const MaxLastGood = 256

// Key is one entry of a KEYSET.
type Key struct {
	ID          [4]byte // first 4 bytes of the SHA-256 of Key
	Use         KeyUse
	Key         []byte // Ed25519 or HPKE public key; for UseTLS the SHA-256 of the SPKI
	From, Until time.Time

	kem hpke.PublicKey // of UseKEM
}

func (k Key) valid(at time.Time) bool {
	return !at.Before(k.From.Add(-clockTolerance)) && !at.After(k.Until.Add(clockTolerance))
}

// Revocation ends trust in a key: what it signed above the last good sequence
// of an epoch is not believed.
type Revocation struct {
	ID         [4]byte
	Last       []LastGood
	Checkpoint []byte
}

// LastGood is the last believed sequence of an epoch and the chain there.
type LastGood struct {
	Epoch Epoch
	Seq   uint64
	Chain noroshi.Hash
}

func (r *Revocation) covers(e Epoch, seq uint64) bool {
	return slices.ContainsFunc(r.Last, func(g LastGood) bool { return g.Epoch == e && seq <= g.Seq })
}

// Keyset is a node's public keys in one realm: a document signed by the node's
// root. It cannot be changed; a new version succeeds it.
type Keyset struct {
	Realm      noroshi.Realm
	Node       noroshi.NodeID
	Version    uint64
	Created    time.Time
	FreshUntil time.Time
	Root       []byte       // Ed25519
	Next       noroshi.Hash // SHA-256 of the next root
	Keys       []Key
	Revoked    []Revocation
	Previous   noroshi.Hash // hash of the body before, zero for the first

	body noroshi.Hash
	doc  []byte
}

type wireKeyset struct {
	_          struct{} `cbor:",toarray"`
	Name       string
	Realm      []byte
	Node       [16]byte
	Version    uint64
	Created    uint64
	FreshUntil uint64
	Root       []byte
	Next       [32]byte
	Keys       []wireKey
	Revoked    []wireRevocation
	Previous   [32]byte
}

type wireKey struct {
	_           struct{} `cbor:",toarray"`
	Kid         [4]byte
	Alg         int64
	Use         uint8
	Key         []byte
	From, Until uint64
}

type wireRevocation struct {
	_          struct{} `cbor:",toarray"`
	Kid        [4]byte
	Last       []wireParent
	Checkpoint []byte
}

// Bytes returns the signed document.
func (ks *Keyset) Bytes() []byte { return slices.Clone(ks.doc) }

// Hash returns the SHA-256 of the body.
func (ks *Keyset) Hash() noroshi.Hash { return ks.body }

// KeyVersion names this KEYSET in a STATE.
func (ks *Keyset) KeyVersion() KeyVersion {
	return KeyVersion{Version: ks.Version, Hash: [8]byte(ks.body[:8])}
}

// Fresh reports whether the node has confirmed its keys lately; messages after
// that are applied and flagged.
func (ks *Keyset) Fresh(now time.Time) bool { return !now.After(ks.FreshUntil) }

// Pins returns the SHA-256 of each TLS key (SPKI) valid at now.
func (ks *Keyset) Pins(now time.Time) [][32]byte {
	var pins [][32]byte
	for _, k := range ks.Keys {
		if k.Use == UseTLS && k.valid(now) && ks.revoked(k.ID) == nil {
			pins = append(pins, [32]byte(k.Key))
		}
	}
	return pins
}

// ParseKeyset reads a KEYSET document of the realm and checks everything that
// can be checked without an older version: form, every key, the node id of a
// first version, and the signature of the root. Whether the root is that of the
// node one means is for the fingerprint, or for Succeeds, to say.
func ParseKeyset(realm noroshi.Realm, doc []byte) (*Keyset, error) {
	d, err := decodeDocument(doc)
	if err != nil {
		return nil, err
	}
	var w wireKeyset
	if err := decode("keyset", d.Body, &w); err != nil {
		return nil, err
	}
	ks, err := w.keyset(realm)
	if err != nil {
		return nil, err
	}
	ks.body, ks.doc = noroshi.Sum(d.Body), slices.Clone(doc)
	if ks.Version == 1 {
		ks.Node = noroshi.NodeID(ks.body[:16])
	}
	if !d.signedBy(realm, ks.Node, newPublicKey(ks.Root)) {
		return nil, noroshi.Errorf(noroshi.Broken, "keyset.signature", "keyset %d of node %s is not signed by its root", ks.Version, ks.Node)
	}
	// What the root did not sign is not worth the work of looking at each key.
	if err := ks.addKeys(w.Keys); err != nil {
		return nil, err
	}
	return ks, ks.addRevoked(w.Revoked)
}

func badKeyset(why string) error {
	return noroshi.Errorf(noroshi.Invalid, "keyset.form", "read keyset: %s", why)
}

// keyset is all but the keys.
func (w *wireKeyset) keyset(realm noroshi.Realm) (*Keyset, error) {
	if w.Name != string(KeysetDocument) {
		return nil, badKeyset("is no KEYSET")
	}
	if err := sameRealm(realm, w.Realm); err != nil {
		return nil, err
	}
	first := w.Version == 1
	switch {
	case w.Version == 0 || first != (w.Node == [16]byte{}):
		return nil, badKeyset("only version 1 has no node id")
	case first != (w.Previous == [32]byte{}):
		return nil, badKeyset("only version 1 has no previous")
	case len(w.Keys) == 0 || len(w.Keys) > maxKeys || len(w.Revoked) > maxRevoked:
		return nil, badKeyset("must have 1 to 40 keys and at most 64 revocations")
	}
	if err := checkEd25519(w.Root); err != nil {
		return nil, err
	}
	created, err1 := fromUnix("keyset", w.Created)
	fresh, err2 := fromUnix("keyset", w.FreshUntil)
	if err1 != nil || err2 != nil {
		return nil, badKeyset("a time is after the year 9999")
	}
	return &Keyset{Realm: realm, Node: w.Node, Version: w.Version, Created: created, FreshUntil: fresh,
		Root: w.Root, Next: w.Next, Previous: w.Previous}, nil
}

func (ks *Keyset) addKeys(list []wireKey) error {
	seen := map[[4]byte]bool{kidOf(ks.Root): true}
	perUse := map[KeyUse]int{}
	for _, w := range list {
		k := Key{ID: w.Kid, Use: KeyUse(w.Use), Key: w.Key}
		var err1, err2 error
		k.From, err1 = fromUnix("key", w.From)
		k.Until, err2 = fromUnix("key", w.Until)
		perUse[k.Use]++
		switch {
		case err1 != nil || err2 != nil || !k.Until.After(k.From):
			return badKeyset("a key must end after it begins")
		case k.ID != kidOf(k.Key):
			return badKeyset("a key id is not that of its key")
		case seen[k.ID]:
			return badKeyset("two keys have one id")
		case perUse[k.Use] > maxKeysPerUse:
			return badKeyset("more than 8 keys of one use")
		}
		seen[k.ID] = true
		if err := k.check(w.Alg); err != nil {
			return err
		}
		ks.Keys = append(ks.Keys, k)
	}
	return nil
}

func (k *Key) check(alg int64) (err error) {
	if want, ok := algOf(k.Use, k.Key); !ok || want != alg {
		return badKeyset("a key has an unknown use or an algorithm that does not fit it")
	}
	switch k.Use {
	case UseKEM:
		k.kem, err = readKEM(alg, k.Key)
		return err
	case UseTLS:
		if len(k.Key) != 32 {
			return badKeyset("a TLS pin must be 32 bytes")
		}
		return nil
	}
	return checkEd25519(k.Key)
}

// Bytes of the public keys of use KEM: two algorithms, told by length.
const (
	lenXWing = 1216
	lenHigh  = 1665
)

// algOf is the one algorithm of a key.
func algOf(u KeyUse, key []byte) (int64, bool) {
	switch u {
	case UseRelease, UseControl, UseRealm:
		return algEd25519, true
	case UseKEM:
		if len(key) == lenHigh {
			return algHigh, true
		}
		return algXWing, true
	case UseTLS:
		return algSHA256, true
	}
	return 0, false
}

func (ks *Keyset) addRevoked(list []wireRevocation) error {
	for _, w := range list {
		if ks.revoked(w.Kid) != nil || len(w.Last) > MaxLastGood || len(w.Checkpoint) > 1024 {
			return badKeyset("a revocation stands twice or is too large")
		}
		r := Revocation{ID: w.Kid, Checkpoint: w.Checkpoint}
		for _, g := range w.Last {
			r.Last = append(r.Last, LastGood{Epoch: g.Epoch, Seq: g.Seq, Chain: g.Chain})
		}
		ks.Revoked = append(ks.Revoked, r)
	}
	return nil
}

// encode returns the body that ParseKeyset reads.
func (ks *Keyset) encode() []byte {
	w := wireKeyset{Name: string(KeysetDocument), Realm: ks.Realm.Bytes(), Node: ks.Node, Version: ks.Version,
		Created: unix(ks.Created), FreshUntil: unix(ks.FreshUntil), Root: ks.Root, Next: ks.Next, Previous: ks.Previous}
	if ks.Version == 1 {
		w.Node = [16]byte{} // the id is made of this very body
	}
	for _, k := range ks.Keys {
		alg, _ := algOf(k.Use, k.Key)
		w.Keys = append(w.Keys, wireKey{Kid: k.ID, Alg: alg, Use: uint8(k.Use), Key: k.Key, From: unix(k.From), Until: unix(k.Until)})
	}
	for _, r := range ks.Revoked {
		x := wireRevocation{Kid: r.ID, Checkpoint: r.Checkpoint}
		for _, g := range r.Last {
			x.Last = append(x.Last, wireParent{Epoch: g.Epoch, Seq: g.Seq, Chain: g.Chain})
		}
		w.Revoked = append(w.Revoked, x)
	}
	return encode(w)
}

// speaks reports whether the keyset is that of the context's sender.
func (ks *Keyset) speaks(c Context) error {
	if c.Realm != ks.Realm || c.Realm.IsZero() {
		return noroshi.Errorf(noroshi.Broken, "message.realm", "realm of the signed bytes is not %s", ks.Realm)
	}
	if c.From != ks.Node {
		return noroshi.Errorf(noroshi.Broken, "message.context", "signed bytes name %s, expected %s", c.From, ks.Node)
	}
	return nil
}

// signing finds the key for a signature made at a time.
func (ks *Keyset) signing(kid [4]byte, use KeyUse, at time.Time) (publicKey, error) {
	for _, k := range ks.Keys {
		if k.ID == kid && k.Use == use && k.valid(at) {
			return publicKey{kid: kid, key: k.Key}, nil
		}
	}
	return publicKey{}, noroshi.Errorf(noroshi.Broken, "message.key", "keyset %d of node %s has no key %s of use %d valid at %s", ks.Version, ks.Node, hex.EncodeToString(kid[:]), use, at.UTC().Format(time.RFC3339))
}

// RevokedKey returns what the keyset says of a key that is not to be believed any
// more, nil when the key stands.
func (ks *Keyset) RevokedKey(kid [4]byte) *Revocation { return ks.revoked(kid) }

// Good returns how far the revocation lets an epoch be believed; false when not
// at all.
func (r *Revocation) Good(e Epoch) (LastGood, bool) {
	i := slices.IndexFunc(r.Last, func(g LastGood) bool { return g.Epoch == e })
	if i < 0 {
		return LastGood{}, false
	}
	return r.Last[i], true
}

// Valid reports whether the key serves at a time.
func (k Key) Valid(at time.Time) bool { return k.valid(at) }

func (ks *Keyset) revoked(kid [4]byte) *Revocation {
	for i := range ks.Revoked {
		if ks.Revoked[i].ID == kid {
			return &ks.Revoked[i]
		}
	}
	return nil
}

// Has reports whether the node can open envelopes of a suite sealed now.
func (ks *Keyset) Has(s Suite, now time.Time) bool {
	_, err := ks.sealTo(s, now)
	return err == nil
}

// Turns returns when after now Has may next say something else by the clock alone:
// when a key that opens envelopes comes into use or goes out of it; ok is false when
// none ever does.
func (ks *Keyset) Turns(now time.Time) (at time.Time, ok bool) {
	for _, k := range ks.Keys {
		if k.Use != UseKEM || ks.revoked(k.ID) != nil {
			continue
		}
		for _, t := range []time.Time{k.From.Add(-clockTolerance), k.Until.Add(clockTolerance + 1)} { // as valid has it
			if t.After(now) && (!ok || t.Before(at)) {
				at, ok = t, true
			}
		}
	}
	return at, ok
}

// sealTo returns the KEM key to seal for: of the suite's valid at now the newest.
func (ks *Keyset) sealTo(s Suite, now time.Time) (Key, error) {
	var best Key
	x, _ := sealingOf(s)
	for _, k := range ks.Keys {
		if alg, _ := algOf(k.Use, k.Key); k.Use == UseKEM && alg == x.alg && k.valid(now) && ks.revoked(k.ID) == nil && (best.Key == nil || !k.From.Before(best.From)) {
			best = k
		}
	}
	if best.Key == nil {
		return best, noroshi.Errorf(noroshi.Refused, "message.kem", "keyset %d of node %s has no live key to seal for", ks.Version, ks.Node)
	}
	return best, nil
}
