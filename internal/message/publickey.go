package message

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"slices"

	"github.com/noroshi-cti/noroshi"
)

// publicKey is an Ed25519 key and its id: the first 4 bytes of the SHA-256 of
// the key.
type publicKey struct {
	kid [4]byte
	key ed25519.PublicKey
}

func newPublicKey(key []byte) publicKey { return publicKey{kid: kidOf(key), key: key} }

func kidOf(key []byte) [4]byte {
	h := sha256.Sum256(key)
	return [4]byte(h[:4])
}

func (p publicKey) verify(signed, signature []byte) error {
	if !ed25519.Verify(p.key, signed, signature) {
		return noroshi.Errorf(noroshi.Broken, "message.signature", "signature of key %s does not verify", hex.EncodeToString(p.kid[:]))
	}
	return nil
}

var (
	fieldP = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	// curveD is -121665/121666 modulo p (RFC 8032 §5.1).
	curveD = func() *big.Int {
		d := new(big.Int).ModInverse(big.NewInt(121666), fieldP)
		return d.Mul(d, big.NewInt(-121665)).Mod(d, fieldP)
	}()
)

// checkEd25519 refuses keys that are not the one canonical encoding of a point
// of the curve, and points of small order: the library verifies
// (R = identity, S = 0) under the identity key for every message, so a partner
// with such a key could deny whatever it signed.
func checkEd25519(key []byte) error {
	bad := func(why string) error {
		return noroshi.Errorf(noroshi.Invalid, "keyset.weak-key", "key %s: Ed25519 point %s", hex.EncodeToString(key), why)
	}
	if len(key) != ed25519.PublicKeySize {
		return bad("must be 32 bytes")
	}
	le := slices.Clone(key)
	le[31] &= 0x7f // the sign of x; a signed zero is a point of small order too
	slices.Reverse(le)
	y := new(big.Int).SetBytes(le)
	if y.Cmp(fieldP) >= 0 {
		return bad("is not canonical")
	}
	// x^2 = (y^2 - 1) / (d y^2 + 1), RFC 8032 §5.1.1.
	y2 := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(y2, big.NewInt(1))
	v := y2.Mul(y2, curveD).Add(y2, big.NewInt(1))
	v.ModInverse(v.Mod(v, fieldP), fieldP)
	x2 := u.Mul(u, v).Mod(u, fieldP)
	x := new(big.Int).ModSqrt(x2, fieldP)
	if x == nil {
		return bad("is no point of the curve")
	}
	if smallOrder(x, y) {
		return bad("is a point of small order")
	}
	return nil
}

// smallOrder reports whether eight times the point is the neutral element.
func smallOrder(x, y *big.Int) bool {
	for range 3 {
		x, y = double(x, y)
	}
	return x.Sign() == 0 && y.Cmp(big.NewInt(1)) == 0
}

// double adds a point to itself in affine coordinates; the law of this curve
// is complete, so no case is special.
func double(x, y *big.Int) (*big.Int, *big.Int) {
	xx, yy, xy := new(big.Int).Mul(x, x), new(big.Int).Mul(y, y), new(big.Int).Mul(x, y)
	t := new(big.Int).Mul(xx, yy)
	t.Mul(t, curveD).Mod(t, fieldP)
	one := big.NewInt(1)
	div := func(n, d *big.Int) *big.Int {
		d.Mod(d, fieldP)
		return n.Mul(n, d.ModInverse(d, fieldP)).Mod(n, fieldP)
	}
	x3 := div(xy.Lsh(xy, 1), new(big.Int).Add(one, t))
	y3 := div(yy.Add(yy, xx), new(big.Int).Sub(one, t))
	return x3, y3
}

// readKEM refuses keys that the library does not take (FIPS 203 §7.2).
func readKEM(alg int64, key []byte) (hpke.PublicKey, error) {
	s, _ := sealingFor(alg)
	k, err := s.kem().NewPublicKey(key)
	if err != nil {
		kid := kidOf(key)
		return nil, noroshi.Errorf(noroshi.Invalid, "keyset.weak-key", "key %s: %s", hex.EncodeToString(kid[:]), err)
	}
	return k, nil
}
