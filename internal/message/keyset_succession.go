package message

import (
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/noroshi-cti/noroshi"
)

// Succeeds reports whether ks may take the place of old, which is held for the
// node: a higher version with the same root and the same next, or with the root
// that old names as next. After a change of root confirm is true unless the old
// root signed too: then two persons confirm the new fingerprint by voice before
// ks is believed. A second body under old's version is a Conflict: key changes
// of that node stop and officers are told. A root that old neither has nor names
// is Broken. The same body again, and an older version, are Conflicts with codes
// of their own. Under one root what was revoked stays revoked: a node put back
// from a backup takes no revocation back.
func (ks *Keyset) Succeeds(old *Keyset) (confirm bool, err error) {
	switch {
	case ks.Realm != old.Realm || ks.Node != old.Node:
		return false, noroshi.Errorf(noroshi.Broken, "keyset.node", "keyset is of node %s, expected %s", ks.Node, old.Node)
	case ks.Hash() == old.Hash():
		return false, noroshi.Errorf(noroshi.Conflict, "keyset.known", "keyset %d of node %s is held already", ks.Version, ks.Node)
	case ks.Version < old.Version:
		return false, noroshi.Errorf(noroshi.Conflict, "keyset.older", "keyset %d of node %s is older than the one held", ks.Version, ks.Node)
	case string(ks.Root) != string(old.Root) && !ks.Follows(old):
		return false, noroshi.Errorf(noroshi.Broken, "keyset.root", "keyset %d of node %s has a root that the one before did not name", ks.Version, ks.Node)
	case ks.Version == old.Version:
		return false, noroshi.Errorf(noroshi.Conflict, "keyset.fork", "node %[2]s has two keysets of version %[1]d", ks.Version, ks.Node)
	case ks.Version == old.Version+1 && ks.Previous != old.Hash():
		return false, noroshi.Errorf(noroshi.Conflict, "keyset.fork", "keyset %d of node %s does not follow the one held", ks.Version, ks.Node)
	}
	if string(ks.Root) == string(old.Root) {
		for _, r := range old.Revoked {
			if ks.RevokedKey(r.ID) == nil {
				return false, noroshi.Errorf(noroshi.Refused, "keyset.unrevoked", "keyset %d of node %s does not revoke key %s, which the one held does", ks.Version, ks.Node, hex.EncodeToString(r.ID[:]))
			}
		}
		if ks.Next != old.Next {
			return false, noroshi.Errorf(noroshi.Broken, "keyset.root", "keyset %d of node %s changes its next root without using it", ks.Version, ks.Node)
		}
		return false, nil
	}
	d, err := decodeDocument(ks.doc)
	if err != nil {
		return false, err
	}
	return !d.signedBy(ks.Realm, ks.Node, newPublicKey(old.Root)), nil
}

// Follows reports whether the root of ks is the one that old names as next:
// whoever signed it has what a thief of old's root has not.
func (ks *Keyset) Follows(old *Keyset) bool { return noroshi.Sum(ks.Root) == old.Next }

type wireFingerprint struct {
	_     struct{} `cbor:",toarray"`
	Realm []byte
	Node  [16]byte
	Root  []byte
}

// Fingerprint is what two people read to each other: twelve groups of five
// digits, the same in both languages, made of realm, node id and root. It stays
// the same when keys are renewed and changes with the root.
func (ks *Keyset) Fingerprint() string {
	h := sha512.Sum512(append([]byte("NX/1 fingerprint"), encode(wireFingerprint{Realm: ks.Realm.Bytes(), Node: ks.Node, Root: ks.Root})...))
	groups := make([]string, 12)
	for i := range groups {
		var n [8]byte
		copy(n[3:], h[5*i:5*i+5])
		groups[i] = fmt.Sprintf("%05d", binary.BigEndian.Uint64(n[:])%100_000)
	}
	return strings.Join(groups, " ")
}
