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
	signers []*signingKey
	kems    []kemKey // newest first
	tls     *ecdsa.PrivateKey
	head    atomic.Pointer[head]
	turning sync.Mutex // one Renew or RotateRoot at a time
}

// head is what changes together: the roots and the KEYSET they signed.
type head struct {
	root, next *signingKey
	keyset     *Keyset
}

// signingKey is an Ed25519 private key with its id, and its use and time where
// it has any.
type signingKey struct {
	publicKey
	priv        ed25519.PrivateKey
	use         KeyUse
	from, until time.Time
}

func newSigningKey(seed []byte, use KeyUse) *signingKey {
	priv := ed25519.NewKeyFromSeed(seed)
	return &signingKey{publicKey: newPublicKey(priv.Public().(ed25519.PublicKey)), priv: priv, use: use}
}

func (k *signingKey) sign(b []byte) []byte { return ed25519.Sign(k.priv, b) }

type kemKey struct {
	priv hpke.PrivateKey
	from time.Time
}

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
	root, next := newSigningKey(seeds[0][:], 0), newSigningKey(seeds[1][:], 0)
	from := now.UTC().Truncate(time.Second)
	for i, use := range []KeyUse{UseRelease, UseControl} {
		s := newSigningKey(seeds[2+i][:], use)
		s.from, s.until = from, from.Add(keyLife)
		k.signers = append(k.signers, s)
	}
	kem, err := hpke.MLKEM768X25519().NewPrivateKey(seeds[4][:])
	if err != nil {
		return nil, fmt.Errorf("make KEM key: %w", err)
	}
	k.kems = []kemKey{{priv: kem, from: from}}
	if k.tls, err = tlsKey(seeds[5][:]); err != nil {
		return nil, err
	}
	ks, err := k.firstKeyset(root, next, from)
	if err != nil {
		return nil, err
	}
	return k, k.publish(ks, root, next)
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

func (k *Keyring) firstKeyset(root, next *signingKey, from time.Time) (*Keyset, error) {
	ks := &Keyset{Realm: k.realm, Version: 1, Created: from, FreshUntil: from.Add(freshFor),
		Root: root.key, Next: noroshi.Sum(next.key)}
	add := func(use KeyUse, key []byte) {
		ks.Keys = append(ks.Keys, Key{ID: kidOf(key), Use: use, Key: key, From: from, Until: from.Add(keyLife)})
	}
	for _, s := range k.signers {
		add(s.use, s.key)
	}
	add(UseKEM, k.kems[0].priv.PublicKey().Bytes())
	pin, err := SPKIPin(k.tls.Public())
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

// publish signs a keyset with the root, and with the roots given besides, and
// makes it the keyring's own.
func (k *Keyring) publish(ks *Keyset, root, next *signingKey, also ...*signingKey) error {
	body := ks.encode()
	node := ks.Node
	if ks.Version == 1 {
		h := noroshi.Sum(body)
		node = noroshi.NodeID(h[:16])
	}
	doc := signDocument(k.realm, node, body, append([]*signingKey{root}, also...)...)
	parsed, err := ParseKeyset(k.realm, doc)
	if err != nil {
		return err
	}
	k.head.Store(&head{root: root, next: next, keyset: parsed})
	return nil
}

// Renew makes the next version of the KEYSET, fresh from now on, with the same
// keys. Store the keyring before the KEYSET leaves the node.
func (k *Keyring) Renew(now time.Time) error {
	k.turning.Lock()
	defer k.turning.Unlock()
	h := k.head.Load()
	return k.publish(h.successor(h.root, h.next, now), h.root, h.next)
}

// RotateRoot makes the next root the root and a new key, read from r, the next
// one. The KEYSET is signed by the old root too, so that partners accept it at
// once. Store the keyring before the KEYSET leaves the node.
func (k *Keyring) RotateRoot(r io.Reader, now time.Time) error {
	var seed [32]byte
	if _, err := io.ReadFull(r, seed[:]); err != nil {
		return fmt.Errorf("read randomness for keys: %w", err)
	}
	next := newSigningKey(seed[:], 0)
	k.turning.Lock()
	defer k.turning.Unlock()
	h := k.head.Load()
	return k.publish(h.successor(h.next, next, now), h.next, next, h.root)
}

// successor is the keyset that follows, under these roots.
func (h *head) successor(root, next *signingKey, now time.Time) *Keyset {
	ks := *h.keyset
	ks.Version++
	ks.Previous = h.keyset.Hash()
	ks.Created = now.UTC().Truncate(time.Second)
	ks.FreshUntil = ks.Created.Add(freshFor)
	ks.Root, ks.Next = root.key, noroshi.Sum(next.key)
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
	for _, s := range k.signers {
		if s.use == UseControl && (best == nil || s.from.After(best.from)) {
			best = s
		}
	}
	return best.key, best.sign
}

// TLSKey returns the key whose SPKI the KEYSET pins.
func (k *Keyring) TLSKey() crypto.Signer { return k.tls }

// signer returns the newest key of a use that is valid at a time.
func (k *Keyring) signer(use KeyUse, at time.Time) (*signingKey, error) {
	var best *signingKey
	ks := k.Keyset()
	for _, s := range k.signers {
		valid := Key{From: s.from, Until: s.until}.valid(at) && ks.revoked(s.kid) == nil
		if s.use == use && valid && (best == nil || s.from.After(best.from)) {
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
