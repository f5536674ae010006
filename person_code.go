package noroshi

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// A code generator is a second factor: time-based one-time passwords (RFC 6238)
// of six digits, a new one every 30 seconds, with HMAC-SHA-1, which is what
// generators know. Its secret is sealed under a key derived from the person's
// private key, so that it opens with the passphrase and not without.
const (
	CodeSecretSize = 20 // bytes, RFC 4226 §4
	codeDigits     = 6
	codeStep       = 30 * time.Second
	codeWindow     = 1 // steps before and after, RFC 6238 §5.2
)

// NewCodeSecret makes a secret for a code generator.
func NewCodeSecret() []byte {
	secret := make([]byte, CodeSecretSize)
	rand.Read(secret)
	return secret
}

// CodeAt is the code of a step: of RFC 4226's counter.
func CodeAt(secret []byte, step int64) string {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step))
	mac := hmac.New(sha1.New, secret)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", codeDigits, n%1_000_000)
}

// CodeStep is the step of RFC 6238 at a time.
func CodeStep(now time.Time) int64 { return now.Unix() / int64(codeStep/time.Second) }

// MatchCode returns the step whose code this is, as people write its Digits, of
// those around now that come after the step of the code that was used last: each
// is good once.
func MatchCode(secret []byte, code string, now time.Time, used int64) (step int64, ok bool) {
	code = Digits(code)
	for s := CodeStep(now) - codeWindow; s <= CodeStep(now)+codeWindow; s++ {
		if subtle.ConstantTimeCompare([]byte(CodeAt(secret, s)), []byte(code)) == 1 && s > used {
			step, ok = s, true
		}
	}
	return step, ok
}

// Digits drops what people write between groups of digits that are read out.
// Full-width digits count as digits; what is no digit at all stays as "x".
func Digits(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return r
		case r >= '０' && r <= '９':
			return r - '０' + '0'
		case r == '-' || unicode.IsSpace(r):
			return -1
		}
		return 'x'
	}, s)
}

// SealCode seals the secret of a code generator for a person.
func SealCode(id string, key ed25519.PrivateKey, secret []byte) ([]byte, error) {
	gcm, err := codeGCM(id, key)
	if err != nil {
		return nil, err
	}
	return gcm.Seal(nil, nil, secret, nil), nil
}

// CodeSecret opens the secret of the person's code generator with their private
// key.
func (p Person) CodeSecret(key ed25519.PrivateKey) ([]byte, error) {
	gcm, err := codeGCM(p.ID, key)
	if err != nil {
		return nil, err
	}
	secret, err := gcm.Open(nil, nil, p.Code, nil)
	if err != nil {
		return nil, Errorf(Broken, "person.code", "the code generator of %s does not open with their key", p.ID)
	}
	return secret, nil
}

func codeGCM(id string, key ed25519.PrivateKey) (cipher.AEAD, error) {
	sealing, err := hkdf.Key(sha256.New, key.Seed(), nil, "noroshi code "+id, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
