package message

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noroshi-cti/noroshi"
)

const (
	keyLife   = 5 * 365 * 24 * time.Hour // of release, control, KEM and TLS keys
	freshFor  = 7 * 24 * time.Hour       // two-way links (docs/wire.md, KEYSET)
	maxOpened = 3                        // KEM keys tried on one envelope
)

// Keyring holds a node's private keys in one realm: root, next root, release,
// control, KEM and TLS keys, with the KEYSET that names them. It is plain in
// memory; node seals it at rest. All methods may run at once.
type Keyring struct {
	realm   noroshi.Realm
	head    atomic.Pointer[head]
	turning sync.Mutex // one change of keys at a time
}

// head is what changes together: the roots, the KEYSET they signed and the keys
// it names. It is replaced whole; nothing in it is changed in place.
type head struct {
	root    *signingKey
	next    *signingKey // nil when it is kept elsewhere
	keyset  *Keyset
	signers []*signingKey
	kems    []kemKey // newest first
	tls     []tlsKeyPair
}

// tlsKeyPair is a TLS key and the first version of the KEYSET that names it.
type tlsKeyPair struct {
	priv  *ecdsa.PrivateKey
	since uint64
}

// signingKey is an Ed25519 private key with its id, and its use and time where
// it has any.
type signingKey struct {
	publicKey
	priv        ed25519.PrivateKey
	use         KeyUse
	from, until time.Time
	since       uint64 // first version of the KEYSET that names it
}

func newSigningKey(seed []byte, use KeyUse) *signingKey {
	priv := ed25519.NewKeyFromSeed(seed)
	return &signingKey{publicKey: newPublicKey(priv.Public().(ed25519.PublicKey)), priv: priv, use: use}
}

func (k *signingKey) sign(b []byte) []byte { return ed25519.Sign(k.priv, b) }

type kemKey struct {
	suite Suite
	priv  hpke.PrivateKey
	from  time.Time
}

// kemKeys are the KEM keys, newest first.
func (k *Keyring) kemKeys() []kemKey { return k.head.Load().kems }

// NewKeyring makes the keys of a new node in a realm and version 1 of its
// KEYSET, from the system's randomness.
func NewKeyring(realm noroshi.Realm, now time.Time) (*Keyring, error) {
	return NewKeyringFrom(rand.Reader, realm, now)
}

// NewKeyringFrom is NewKeyring with seeds read from r. The same bytes make the
// same keys: for vectors and simulations; anything but a good random source
// gives keys that others can make too.
func NewKeyringFrom(r io.Reader, realm noroshi.Realm, now time.Time) (*Keyring, error) {
	if realm.IsZero() {
		return nil, noroshi.Errorf(noroshi.Invalid, "realm.form", "a keyring needs a realm")
	}
	var seeds [6][32]byte
	for i := range seeds {
		if _, err := io.ReadFull(r, seeds[i][:]); err != nil {
			return nil, fmt.Errorf("read randomness for keys: %w", err)
		}
	}
	k := &Keyring{realm: realm}
	h := &head{root: newSigningKey(seeds[0][:], 0), next: newSigningKey(seeds[1][:], 0)}
	from := now.UTC().Truncate(time.Second)
	for i, use := range []KeyUse{UseRelease, UseControl} {
		s := newSigningKey(seeds[2+i][:], use)
		s.from, s.until, s.since = from, from.Add(keyLife), 1
		h.signers = append(h.signers, s)
	}
	kem, err := hpke.MLKEM768X25519().NewPrivateKey(seeds[4][:])
	if err != nil {
		return nil, fmt.Errorf("make KEM key: %w", err)
	}
	h.kems = []kemKey{{suite: S1, priv: kem, from: from}}
	pair, err := tlsKey(seeds[5][:])
	if err != nil {
		return nil, err
	}
	h.tls = []tlsKeyPair{{priv: pair, since: 1}}
	ks, err := h.firstKeyset(realm, from)
	if err != nil {
		return nil, err
	}
	return k, k.publish(ks, h)
}

// tlsKey derives a P-256 key from a seed: HKDF would be no better, the seed is
// uniform; a seed outside the field (2^-32) is hashed until it fits.
func tlsKey(seed []byte) (*ecdsa.PrivateKey, error) {
	for range 8 {
		if k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed); err == nil {
			return k, nil
		}
		h := sha256.Sum256(seed)
		seed = h[:]
	}
	return nil, noroshi.Errorf(noroshi.Invalid, "keyring.form", "read keyring: TLS key is out of range")
}

func (h *head) firstKeyset(realm noroshi.Realm, from time.Time) (*Keyset, error) {
	ks := &Keyset{Realm: realm, Version: 1, Created: from, FreshUntil: from.Add(freshFor),
		Root: h.root.key, Next: noroshi.Sum(h.next.key)}
	add := func(use KeyUse, key []byte) {
		ks.Keys = append(ks.Keys, Key{ID: kidOf(key), Use: use, Key: key, From: from, Until: from.Add(keyLife)})
	}
	for _, s := range h.signers {
		add(s.use, s.key)
	}
	add(UseKEM, h.kems[0].priv.PublicKey().Bytes())
	pin, err := SPKIPin(h.tls[0].priv.Public())
	if err != nil {
		return nil, err
	}
	add(UseTLS, pin[:])
	return ks, nil
}

// SPKIPin is the SHA-256 of a public key's SubjectPublicKeyInfo (RFC 5280
// §4.1.2.7), as it stands in a KEYSET under use 4.
func SPKIPin(pub crypto.PublicKey) ([32]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return [32]byte{}, fmt.Errorf("write public key: %w", err)
	}
	return sha256.Sum256(der), nil
}

// publish signs a keyset with the root of h, and with the roots given besides,
// and makes h with it the keyring's own.
func (k *Keyring) publish(ks *Keyset, h *head, also ...*signingKey) error {
	body := ks.encode()
	node := ks.Node
	if ks.Version == 1 {
		sum := noroshi.Sum(body)
		node = noroshi.NodeID(sum[:16])
	}
	doc := signDocument(k.realm, node, body, append([]*signingKey{h.root}, also...)...)
	parsed, err := ParseKeyset(k.realm, doc)
	if err != nil {
		return err
	}
	h.keyset = parsed
	k.head.Store(h)
	return nil
}

// Renew makes the next version of the KEYSET, fresh from now on, with the same
// keys. Store the keyring before the KEYSET leaves the node.
func (k *Keyring) Renew(now time.Time) error {
	k.turning.Lock()
	defer k.turning.Unlock()
	h := k.head.Load()
	return k.publish(h.successor(now), h.clone())
}

// Strengthen adds a key of suite S1H, read from r, and makes the next version of
// the KEYSET with it; it does nothing where there is one that serves now. Store
// the keyring before the KEYSET leaves the node.
func (k *Keyring) Strengthen(r io.Reader, now time.Time) error {
	k.turning.Lock()
	defer k.turning.Unlock()
	h := k.head.Load().clone()
	if h.keyset.Has(S1H, now) {
		return nil
	}
	ks := h.successor(now)
	if err := h.addKEM(r, ks, S1H); err != nil {
		return err
	}
	return k.publish(ks, h)
}

func (h *head) clone() *head { n := *h; return &n }

// successor is the keyset that follows, under the same roots.
func (h *head) successor(now time.Time) *Keyset {
	ks := *h.keyset
	ks.Version++
	ks.Previous = h.keyset.Hash()
	ks.Created = now.UTC().Truncate(time.Second)
	ks.FreshUntil = ks.Created.Add(freshFor)
	ks.Keys, ks.Revoked = slices.Clone(ks.Keys), slices.Clone(ks.Revoked)
	return &ks
}

// Realm returns the realm of the keys.
func (k *Keyring) Realm() noroshi.Realm { return k.realm }

// NodeID names the node: made of its first KEYSET, it never changes.
func (k *Keyring) NodeID() noroshi.NodeID { return k.Keyset().Node }

// Keyset returns the public keys, signed.
func (k *Keyring) Keyset() *Keyset { return k.head.Load().keyset }

// String names the node and shows no key, whatever verb prints it.
func (k *Keyring) String() string { return "keyring of node " + k.NodeID().String() }

// GoString is String.
func (k *Keyring) GoString() string { return k.String() }

// Control returns the newest control key and a function that signs with it,
// for the checkpoints of the ledger.
func (k *Keyring) Control() (ed25519.PublicKey, func([]byte) []byte) {
	var best *signingKey
	for _, s := range k.head.Load().signers {
		if s.use == UseControl && k.Keyset().revoked(s.kid) == nil && (best == nil || s.since >= best.since) {
			best = s
		}
	}
	return best.key, best.sign
}

// Controls returns every control key that stands in the KEYSET: any of them may
// have signed the ledger last, until the node that has a new one acts again.
func (k *Keyring) Controls() (list [][]byte) {
	for _, x := range k.Keyset().Keys {
		if x.Use == UseControl {
			list = append(list, x.Key)
		}
	}
	return list
}

// TLSKey returns the newest TLS key whose SPKI is pinned in a version of the
// KEYSET that every partner holds: held is the lowest of theirs. Where there is
// none any more, it is the newest of all.
func (k *Keyring) TLSKey(held uint64) crypto.Signer {
	h := k.head.Load()
	best := h.tls[len(h.tls)-1]
	for _, x := range h.tls {
		if pin, err := SPKIPin(x.priv.Public()); err == nil && x.since <= held && h.keyset.revoked(kidOf(pin[:])) == nil {
			best = x
		}
	}
	return best.priv
}

// signer returns the newest key of a use that is valid at a time and stands in
// the version of the KEYSET that the reader holds; where none does, the newest
// of all: the reader gets the KEYSET with it.
func (k *Keyring) signer(use KeyUse, at time.Time, held uint64) (*signingKey, error) {
	var best *signingKey
	h := k.head.Load()
	for _, s := range h.signers {
		if s.use != use || !(Key{From: s.from, Until: s.until}.valid(at)) || h.keyset.revoked(s.kid) != nil {
			continue
		}
		known := s.since <= held
		if best == nil || known && (best.since > held || s.since >= best.since) || !known && best.since > held && s.since >= best.since {
			best = s
		}
	}
	if best == nil {
		return nil, noroshi.Errorf(noroshi.Refused, "keyring.no-key", "no key of use %d is valid at %s", use, at.UTC().Format(time.RFC3339))
	}
	return best, nil
}

// speaks refuses to sign as another node or in another realm.
func (k *Keyring) speaks(c Context) error { return k.Keyset().speaks(c) }
