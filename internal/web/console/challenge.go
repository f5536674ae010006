package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// challenges are handed out to whoever asks and kept nowhere until one was
// answered: each carries its end and a MAC, so that asking for many costs the
// node nothing, and those that were answered are known until they end.
type challenges struct {
	key []byte

	mu       sync.Mutex
	answered map[string]instant // until when the nonce would be good
}

const (
	challengeLasts = 5 * time.Minute
	maxAnswered    = 1 << 14 // known to be answered; beyond it none is taken until some have ended
)

func newChallenges() *challenges {
	key := make([]byte, 32)
	rand.Read(key)
	return &challenges{key: key, answered: map[string]instant{}}
}

// ask returns a new nonce.
func (c *challenges) ask(now time.Time) string {
	b := make([]byte, 16, 56)
	rand.Read(b)
	b = binary.BigEndian.AppendUint64(b, uint64(now.Add(challengeLasts).Unix()))
	return base64.RawURLEncoding.EncodeToString(c.mac(b).Sum(b))
}

func (c *challenges) mac(b []byte) interface{ Sum([]byte) []byte } {
	m := hmac.New(sha256.New, c.key)
	m.Write(b)
	return m
}

// good reports whether a nonce is one of ours and not past its end; whether it was
// taken only take says.
func (c *challenges) good(nonce string, now time.Time) bool {
	until, ours := c.until(nonce)
	return ours && !now.After(until)
}

// until is the end of a nonce, if it is one of ours.
func (c *challenges) until(nonce string) (end time.Time, ours bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(b) != 24+sha256.Size || !hmac.Equal(b[24:], c.mac(b[:24]).Sum(nil)) {
		return end, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b[16:])), 0), true
}

// take reports whether a nonce is one of ours, not past its end, and not taken
// before; then it is. It is asked of what somebody was found to have answered
// rightly: else anybody could fill the list of those taken.
func (c *challenges) take(nonce string, now time.Time) bool {
	until, ours := c.until(nonce)
	if !ours {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, end := range c.answered {
		if now.After(end) {
			delete(c.answered, n)
		}
	}
	if _, taken := c.answered[nonce]; taken || now.After(until) || len(c.answered) >= maxAnswered {
		return false
	}
	c.answered[nonce] = until
	return true
}

// challenged is the digest a nonce stands for: what a passkey is challenged with, apart
// from every act.
func (c *Console) challenged(a noroshi.Action, subject, nonce string) noroshi.Hash {
	return noroshi.ActDigest(c.Realm, c.Node, a, subject, noroshi.Sum([]byte("challenge "+nonce)))
}
