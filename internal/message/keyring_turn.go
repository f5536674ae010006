package message

import (
	"crypto/hpke"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Overlap is how long a key that was rotated stays good beside the one in its
// place: what was signed or sealed with it may still be on its way, by the
// slowest channel. A key that was revoked has none.
const Overlap = 35 * 24 * time.Hour

// Copy returns a keyring with the same keys. What is done to the copy counts
// once the keyring adopts it: so a KEYSET is in use, and leaves the node, only
// after the keys it names are safe on disk.
func (k *Keyring) Copy() *Keyring {
	n := &Keyring{realm: k.realm}
	n.head.Store(k.head.Load())
	return n
}

// Adopt takes over the keys of a copy that is ahead, once; it is a Conflict when the
// keyring has moved on meanwhile to others.
func (k *Keyring) Adopt(of *Keyring) error {
	k.turning.Lock()
	defer k.turning.Unlock()
	now, next := k.head.Load(), of.head.Load()
	if now.keyset.Hash() == next.keyset.Hash() {
		return nil
	}
	if _, err := next.keyset.Succeeds(now.keyset); err != nil {
		return noroshi.Errorf(noroshi.Conflict, "keyring.moved", "the keys were changed meanwhile: order it again")
	}
	k.head.Store(next)
	return nil
}

// Rotate makes a new key of a use (not the root), read from r, and the next
// version of the KEYSET with it. The keys it takes the place of stay good for
// Overlap; the oldest of them goes where the KEYSET has no more room.
func (k *Keyring) Rotate(r io.Reader, use KeyUse, now time.Time) error {
	return k.turn(r, use, now, nil)
}

// Revoke ends trust in a key of this keyring in the next version of the KEYSET,
// which has a new key of its use, read from r. What the revoked key signed is
// believed up to the last good sequences that x names; the key goes out of use
// here at once. Where the KEYSET is full an older key of the use makes room.
func (k *Keyring) Revoke(r io.Reader, x Revocation, now time.Time) error {
	ks := k.Keyset()
	i := slices.IndexFunc(ks.Keys, func(y Key) bool { return y.ID == x.ID })
	switch {
	case i < 0:
		return noroshi.Errorf(noroshi.NotFound, "keyring.none", "no key %s of this node is in its keyset", hex.EncodeToString(x.ID[:]))
	case ks.revoked(x.ID) != nil:
		return noroshi.Errorf(noroshi.Conflict, "keyring.revoked", "key %s is revoked already", hex.EncodeToString(x.ID[:]))
	case len(ks.Revoked) >= maxRevoked:
		return noroshi.Errorf(noroshi.Refused, "keyring.full", "a keyset has room for %d revoked keys: begin anew with a new introduction", maxRevoked)
	}
	return k.turn(r, ks.Keys[i].Use, now, &x)
}

// Disown ends trust, in the next version of the KEYSET, in a key that this keyring
// never had: one that whoever has stolen the root named. Nothing that it signed is
// believed.
func (k *Keyring) Disown(id [4]byte, now time.Time) error {
	k.turning.Lock()
	defer k.turning.Unlock()
	h := k.head.Load().clone()
	ks := h.successor(now)
	switch {
	case slices.ContainsFunc(ks.Keys, func(x Key) bool { return x.ID == id }):
		return noroshi.Errorf(noroshi.Conflict, "keyring.own", "key %s is this node's own", hex.EncodeToString(id[:]))
	case ks.revoked(id) != nil:
		return noroshi.Errorf(noroshi.Conflict, "keyring.revoked", "key %s is revoked already", hex.EncodeToString(id[:]))
	case len(ks.Revoked) >= maxRevoked:
		return noroshi.Errorf(noroshi.Refused, "keyring.full", "a keyset has room for %d revoked keys: begin anew with a new introduction", maxRevoked)
	}
	ks.Revoked = append(ks.Revoked, Revocation{ID: id})
	return k.publish(ks, h)
}

func (k *Keyring) turn(r io.Reader, use KeyUse, now time.Time, revoked *Revocation) error {
	k.turning.Lock()
	defer k.turning.Unlock()
	h := k.head.Load().clone()
	ks := h.successor(now)
	for i := range ks.Keys {
		if x := &ks.Keys[i]; x.Use == use && x.Until.After(ks.Created.Add(Overlap)) && x.From.Before(ks.Created) {
			x.Until = ks.Created.Add(Overlap)
		}
	}
	if revoked != nil {
		ks.Revoked = append(ks.Revoked, *revoked)
	}
	suites := []Suite{S1}
	if use == UseKEM && h.keyset.Has(S1H, now) {
		suites = append(suites, S1H)
	}
	if err := h.room(ks, use, len(suites), revoked); err != nil {
		return err
	}
	for _, s := range suites {
		if err := h.add(r, ks, use, s); err != nil {
			return err
		}
	}
	h.signers = slices.Clone(h.signers)
	for i, s := range h.signers {
		if j := slices.IndexFunc(ks.Keys, func(x Key) bool { return x.ID == s.kid }); j >= 0 {
			n := *s
			n.until = ks.Keys[j].Until
			h.signers[i] = &n
		}
	}
	return k.publish(ks, h)
}

// room drops keys of a use that are past their time, so that so many fit; those that
// were revoked last, for the KEYSET alone says what a revoked key may have signed. A
// revocation does not wait for that: the oldest key that was rotated away goes,
// then the oldest that was revoked. What either signed and is still on its way
// is not read any more; a stolen key would be believed as long.
func (h *head) room(ks *Keyset, use KeyUse, adding int, revoking *Revocation) error {
	count := 0
	for _, x := range ks.Keys {
		if x.Use == use {
			count++
		}
	}
	for ; count+adding > maxKeysPerUse; count-- {
		i := slices.IndexFunc(ks.Keys, func(x Key) bool { return x.Use == use && !x.valid(ks.Created) && ks.revoked(x.ID) == nil })
		if i < 0 {
			i = slices.IndexFunc(ks.Keys, func(x Key) bool { return x.Use == use && !x.valid(ks.Created) })
		}
		if i < 0 && revoking != nil {
			i = slices.IndexFunc(ks.Keys, func(x Key) bool { return x.Use == use && ks.revoked(x.ID) == nil })
		}
		if i < 0 && revoking != nil {
			i = slices.IndexFunc(ks.Keys, func(x Key) bool { return x.Use == use && x.ID != revoking.ID })
		}
		if i < 0 {
			return noroshi.Errorf(noroshi.Refused, "keyring.full", "a keyset has room for %d keys of one use, and those there are still good", maxKeysPerUse)
		}
		h.forget(ks.Keys[i].ID)
		ks.Keys = slices.Delete(ks.Keys, i, i+1)
	}
	return nil
}

// forget drops the private key of an id.
func (h *head) forget(id [4]byte) {
	h.signers = slices.DeleteFunc(slices.Clone(h.signers), func(s *signingKey) bool { return s.kid == id })
	h.kems = slices.DeleteFunc(slices.Clone(h.kems), func(x kemKey) bool { return kidOf(x.priv.PublicKey().Bytes()) == id })
	h.tls = slices.DeleteFunc(slices.Clone(h.tls), func(x tlsKeyPair) bool {
		pin, err := SPKIPin(x.priv.Public())
		return err == nil && kidOf(pin[:]) == id
	})
}

// add makes a key of a use, of a suite where it is a KEM key, and names it.
func (h *head) add(r io.Reader, ks *Keyset, use KeyUse, suite Suite) error {
	if use == UseKEM {
		return h.addKEM(r, ks, suite)
	}
	seed, err := readSeed(r)
	if err != nil {
		return err
	}
	switch use {
	case UseRelease, UseControl, UseRealm:
		s := newSigningKey(seed, use)
		s.from, s.until, s.since = ks.Created, ks.Created.Add(keyLife), ks.Version
		h.signers = append(slices.Clone(h.signers), s)
		ks.name(use, s.key)
	case UseTLS:
		pair, err := tlsKey(seed)
		if err != nil {
			return err
		}
		pin, err := SPKIPin(pair.Public())
		if err != nil {
			return err
		}
		h.tls = append(slices.Clone(h.tls), tlsKeyPair{priv: pair, since: ks.Version})
		ks.name(use, pin[:])
	default:
		return noroshi.Errorf(noroshi.Invalid, "keyring.use", "there are no keys of use %d", use)
	}
	return nil
}

func (h *head) addKEM(r io.Reader, ks *Keyset, suite Suite) error {
	seed, err := readSeed(r)
	if err != nil {
		return err
	}
	made := hpke.MLKEM768X25519()
	if suite == S1H {
		made = hpke.MLKEM1024P384()
	}
	kem, err := made.NewPrivateKey(seed)
	if err != nil {
		return fmt.Errorf("make KEM key: %w", err)
	}
	h.kems = append([]kemKey{{suite: suite, priv: kem, from: ks.Created}}, h.kems...)
	ks.name(UseKEM, kem.PublicKey().Bytes())
	return nil
}

func (ks *Keyset) name(use KeyUse, key []byte) {
	ks.Keys = append(ks.Keys, Key{ID: kidOf(key), Use: use, Key: key, From: ks.Created, Until: ks.Created.Add(keyLife)})
}

func readSeed(r io.Reader) ([]byte, error) {
	seed := make([]byte, 32)
	if _, err := io.ReadFull(r, seed); err != nil {
		return nil, fmt.Errorf("read randomness for keys: %w", err)
	}
	return seed, nil
}

// RotateRoot makes the next root the root and a new key, read from r, the next
// one. next is the seed of the next root where the keyring does not hold it,
// else nil. The KEYSET is signed by the old root too, so that partners accept it
// at once; alone says that the old root is not to be believed: then two persons
// at each partner confirm the new one by voice. Store the keyring before the
// KEYSET leaves the node.
func (k *Keyring) RotateRoot(r io.Reader, next []byte, alone bool, now time.Time) error {
	seed, err := readSeed(r)
	if err != nil {
		return err
	}
	k.turning.Lock()
	defer k.turning.Unlock()
	h := k.head.Load().clone()
	root, old := h.next, h.root
	if len(next) == 32 {
		root = newSigningKey(next, 0)
	}
	if root == nil {
		return noroshi.Errorf(noroshi.NotFound, "keyring.no-next", "the next root is not here: bring its file")
	}
	if noroshi.Sum(root.key) != h.keyset.Next {
		return noroshi.Errorf(noroshi.Refused, "keyring.next", "that is not the next root of keyset %d", h.keyset.Version)
	}
	ks := h.successor(now)
	h.root, h.next = root, newSigningKey(seed, 0)
	ks.Root, ks.Next = h.root.key, noroshi.Sum(h.next.key)
	if alone {
		return k.publish(ks, h)
	}
	return k.publish(ks, h, old)
}

// TakeNext takes the seed of the next root out of the keyring, to be kept apart;
// nil when it is not there.
func (k *Keyring) TakeNext() []byte {
	k.turning.Lock()
	defer k.turning.Unlock()
	h := k.head.Load().clone()
	if h.next == nil {
		return nil
	}
	seed := h.next.priv.Seed()
	h.next = nil
	k.head.Store(h)
	return seed
}

// Signing returns the id of the key that signs now for who holds a version of
// the KEYSET.
func (k *Keyring) Signing(use KeyUse, held uint64, now time.Time) ([4]byte, error) {
	s, err := k.signer(use, now, held)
	if err != nil {
		return [4]byte{}, err
	}
	return s.kid, nil
}

// Holds reports whether the private key of an id is here.
func (k *Keyring) Holds(id [4]byte) bool {
	h := k.head.Load()
	return slices.ContainsFunc(h.signers, func(s *signingKey) bool { return s.kid == id }) ||
		slices.ContainsFunc(h.kems, func(x kemKey) bool { return kidOf(x.priv.PublicKey().Bytes()) == id }) ||
		slices.ContainsFunc(h.tls, func(x tlsKeyPair) bool {
			pin, err := SPKIPin(x.priv.Public())
			return err == nil && kidOf(pin[:]) == id
		})
}
