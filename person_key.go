package noroshi

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"regexp"
	"slices"

	"golang.org/x/crypto/argon2"
)

var personID = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// NewPerson makes a person with an Ed25519 key of their own, sealed by the
// passphrase (argon2id, AES-256-GCM with a random nonce).
func NewPerson(id, name string, roles []Role, passphrase []byte) (Person, error) {
	if err := Invitable(Person{ID: id, Roles: roles}); err != nil {
		return Person{}, err
	}
	if len(passphrase) < 8 {
		return Person{}, Errorf(Invalid, "person.passphrase", "passphrase must have at least 8 bytes")
	}
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Person{}, err
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	gcm, err := personGCM(passphrase, salt)
	if err != nil {
		return Person{}, err
	}
	sealed := gcm.Seal(bytes.Clone(salt), nil, priv.Seed(), []byte("noroshi person "+id))
	return Person{ID: id, Name: name, Roles: roles, Key: pub, Sealed: sealed}, nil
}

// Valid reports what is wrong with a person's record that came from elsewhere:
// id, roles and key must be such as NewPerson makes.
func (p Person) Valid() error {
	if err := Invitable(p); err != nil {
		return err
	}
	if len(p.Key) != ed25519.PublicKeySize || p.Removed || len(p.Delegated) > 0 || len(p.Passkeys) > 0 || len(p.Code) > 0 || p.SignOn != "" {
		return Errorf(Invalid, "person.no-key", "person %s has no key here", p.ID)
	}
	return nil
}

// Invitable reports what is wrong with a person who is to make their key
// themself: id and roles must be such as NewPerson takes.
func Invitable(p Person) error {
	if !personID.MatchString(p.ID) {
		return Errorf(Invalid, "person.id", "person id %q must be lower-case letters, digits and hyphens, at most 32", p.ID)
	}
	return rolesFit(p.ID, p.Roles)
}

// rolesFit refuses roles that are unknown or may not be one person's: an
// administrator, who says who is here, does not release.
func rolesFit(id string, roles []Role) error {
	for _, r := range roles {
		if !slices.Contains(Roles, r) {
			return Errorf(Invalid, "person.role", "role %q is unknown", string(r))
		}
	}
	if slices.Contains(roles, Administrator) && slices.Contains(roles, ReleaseOffice) {
		return Errorf(Invalid, "person.administrator", "%s is an administrator, who may not release", id)
	}
	return nil
}

func personGCM(passphrase, salt []byte) (cipher.AEAD, error) {
	key := argon2.IDKey(passphrase, salt, 2, 19<<10, 1, 32)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Unseal opens the person's private key; a Forbidden error when the passphrase
// is wrong.
func (p Person) Unseal(passphrase []byte) (ed25519.PrivateKey, error) {
	if len(p.Sealed) < 16 {
		return nil, Errorf(Forbidden, "person.no-key", "person %s has no key here", p.ID)
	}
	gcm, err := personGCM(passphrase, p.Sealed[:16])
	if err != nil {
		return nil, err
	}
	seed, err := gcm.Open(nil, nil, p.Sealed[16:], []byte("noroshi person "+p.ID))
	if err != nil {
		return nil, Errorf(Forbidden, "person.passphrase-wrong", "wrong passphrase for %s", p.ID)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// ActDigest is what a person signs: the action and its subject at this node in
// this realm, bound to exactly what was shown (bound: a batch root digest, the
// hash of an agreement file, of a warning's bytes; zero when the subject says
// all).
func ActDigest(realm Realm, node NodeID, a Action, subject string, bound Hash) Hash {
	h := sha256.New()
	for _, part := range [][]byte{[]byte("noroshi act 1"), []byte(realm.String()), node[:], []byte(a), []byte(subject), bound[:]} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	return Hash(h.Sum(nil))
}

// SignAct signs a digest as a person.
func SignAct(person string, key ed25519.PrivateKey, digest Hash) Signed {
	return Signed{Person: person, Digest: digest, Signature: ed25519.Sign(key, digest[:])}
}

// Check reports whether the person may do the action and signed exactly this
// digest, with their own key or a passkey they have: nil, or a Forbidden error
// that says which failed. It is the one function that says so, of a person as the
// register has them now, and as it had them at an act on record.
func (p Person) Check(s Signed, a Action, digest Hash) error {
	switch {
	case p.Removed || s.Person != p.ID || len(p.Key) != ed25519.PublicKeySize:
		return Errorf(Forbidden, "person.unknown", "person %q is not known here", s.Person)
	case !p.May(a):
		return Errorf(Forbidden, "person.role-may-not", "%s may not do %s: none of their roles allows it", p.ID, string(a))
	case p.retired(s.Signature):
		return Errorf(Forbidden, "passkey.removed", "%s has had the passkey removed that signed this", p.ID)
	case s.Digest != digest || !p.Signed(digest, s.Signature):
		return Errorf(Forbidden, "person.signature", "the signature of %s is not over what is to be done", p.ID)
	}
	return nil
}
