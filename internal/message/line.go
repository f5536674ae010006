package message

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/noroshi-cti/noroshi"
)

const (
	// lineOverlap is for how many days after its own a day's secret still opens
	// what was under way: twice the slowest channel, 72 hours.
	lineOverlap = 3
	// maxRatchet bounds the days one secret is moved forward: ten years.
	maxRatchet = 3660
	// MaxNarrow bounds an envelope of S2: 4,096 fragments of a line, of 95 bytes.
	MaxNarrow = 380 << 10

	nonceLen   = 12
	narrowHead = 1 + nonceLen + tagLen
)

// DayOf returns the whole days since 1970 UTC.
func DayOf(t time.Time) uint32 { return uint32(unix(t) / secondsPerDay) }

// On returns the secrets as of a day: the line's secret moved forward one way,
// so that an earlier day's cannot be had from it. false when the day is before
// the secret's own, or more than ten years after.
func (l LinkBody) On(day uint32) (LinkBody, bool) {
	if day < l.Day || day-l.Day > maxRatchet {
		return LinkBody{}, false
	}
	for ; l.Day < day; l.Day++ {
		next, err := hkdf.Expand(sha256.New, l.Line[:], "NX/1 ratchet", len(l.Line))
		if err != nil {
			return LinkBody{}, false
		}
		l.Line = [32]byte(next)
	}
	return l, true
}

// Kept returns what the receiver of these secrets keeps at now: everything older
// than the overlap is gone from it.
func (l LinkBody) Kept(now time.Time) LinkBody {
	if k, ok := l.On(max(l.Day, DayOf(now)-min(lineOverlap, DayOf(now)))); ok {
		return k
	}
	return l
}

// Line is what narrow lines are keyed by in one direction of a link.
type Line struct {
	Realm    noroshi.Realm
	From, To noroshi.NodeID
	Links    []LinkBody // newest first: the sender's one, that the partner holds; the receiver's all that count
	Card     []byte     // gate secret of the receiver's card for the sender: before the first LINK, and to find together again
}

// days are those a receiver tries at now, the likely first.
func days(now time.Time) []uint32 {
	today := DayOf(now)
	list := []uint32{today}
	for back := uint32(1); back <= lineOverlap && back <= today; back++ {
		list = append(list, today-back)
	}
	return append(list, today+1) // the sender's clock may be ahead
}

// today is the secret the sender uses at now. One that was moved on by a clock
// that has been set back since serves as it is.
func (l Line) today(now time.Time) (LinkBody, error) {
	if len(l.Links) > 0 {
		if k, ok := l.Links[0].On(max(l.Links[0].Day, DayOf(now))); ok && k.Day <= DayOf(now)+1 {
			return k, nil
		}
	}
	return LinkBody{}, noroshi.Errorf(noroshi.Refused, "message.no-line", "there is no secret for narrow lines from %s to %s yet", l.From, l.To)
}

// aead is the day's cipher with the bytes beside it that are sealed too. Its
// nonces are random: no counter that a restore, a clone or a second process
// could repeat.
func (l Line) aead(k LinkBody) (cipher.AEAD, []byte, error) {
	key, err := linkKey(k.Line[:], "NX/1 line", l.Realm, l.From, l.To)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	return gcm, append([]byte{byte(S2)}, linkInfo("NX/1 line", l.Realm, l.From, l.To)...), err
}

func (l Line) seal(plain []byte, now time.Time) ([]byte, error) {
	if n := narrowHead + len(plain); n > MaxNarrow {
		return nil, noroshi.Errorf(noroshi.Invalid, "message.too-large", "%s has %d bytes, must be 1 to %d", "envelope", n, MaxNarrow)
	}
	k, err := l.today(now)
	if err != nil {
		return nil, err
	}
	gcm, beside, err := l.aead(k)
	if err != nil {
		return nil, err
	}
	return gcm.Seal([]byte{byte(S2)}, nil, plain, beside), nil
}

// open tries the days of each LINK.
func (l Line) open(envelope []byte, now time.Time) ([]byte, bool) {
	if checkNarrow(envelope) != nil {
		return nil, false
	}
	for _, link := range l.Links {
		for _, day := range days(now) {
			k, ok := link.On(day)
			if !ok {
				continue
			}
			gcm, beside, err := l.aead(k)
			if err != nil {
				return nil, false
			}
			if plain, err := gcm.Open(nil, nil, envelope[1:], beside); err == nil {
				return plain, true
			}
		}
	}
	return nil, false
}

// Opens reports whether an envelope of S2 came over this link: its seal is its
// gate.
func (l Line) Opens(envelope []byte, now time.Time) bool {
	_, ok := l.open(envelope, now)
	return ok
}

func checkNarrow(envelope []byte) error {
	switch {
	case len(envelope) < narrowHead || envelope[0] != byte(S2):
		return noroshi.Errorf(noroshi.Invalid, "message.envelope", "envelope of %d bytes is cut short", len(envelope))
	case len(envelope) > MaxNarrow:
		return noroshi.Errorf(noroshi.Invalid, "message.too-large", "%s has %d bytes, must be 1 to %d", "envelope", len(envelope), MaxNarrow)
	}
	return nil
}

// FragmentKeys make and check the tags of fragments in one direction of a link,
// so that a channel can drop what is not its partner's before it keeps a byte.
// They know nothing else. They are of a day: ask for them anew each hour.
type FragmentKeys struct {
	keys [][]byte // the first makes tags, all check
}

// Fragments returns the keys at now: the day's and those still under way, and
// the card's behind them, which alone serve before the first LINK.
func (l Line) Fragments(now time.Time) FragmentKeys {
	var f FragmentKeys
	add := func(secret []byte) {
		if key, err := linkKey(secret, "NX/1 frag", l.Realm, l.From, l.To); err == nil {
			f.keys = append(f.keys, key)
		}
	}
	if k, err := l.today(now); err == nil {
		add(k.Line[:])
	}
	for _, link := range l.Links {
		for _, day := range days(now) {
			if k, ok := link.On(day); ok {
				add(k.Line[:])
			}
		}
	}
	add(l.Card)
	return f
}

// MAC is the tag of a fragment's bytes before it: HMAC-SHA256 under the first
// key, 8 bytes. false when there is no key.
func (f FragmentKeys) MAC(b []byte) (tag [8]byte, ok bool) {
	if len(f.keys) == 0 {
		return tag, false
	}
	return fragmentMAC(f.keys[0], b), true
}

// Check reports whether one of the keys made the tag.
func (f FragmentKeys) Check(b []byte, tag [8]byte) bool {
	for _, key := range f.keys {
		if want := fragmentMAC(key, b); hmac.Equal(want[:], tag[:]) {
			return true
		}
	}
	return false
}

func fragmentMAC(key, b []byte) [8]byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(b)
	return [8]byte(mac.Sum(nil))
}

// wireReport is what the keyed check of a paper receipt covers: the epoch it is of
// is not on the paper, its owner tries the few there are.
type wireReport struct {
	_      struct{} `cbor:",toarray"`
	Epoch  [16]byte // of the one who has sent
	Digits string
}

// VoiceCheck is the check of a report that a person reads out (docs/wire.md,
// Paper receipts): the first 64 bits of Voice as a number modulo 10^10, which makes
// two groups of digits. The line is that from the one who reports, epoch the one
// the report is of. The life of the one who reports is not in it: over a one-way
// link it is never heard of.
func (l Line) VoiceCheck(epoch Epoch, digits string) (uint64, error) {
	sum, err := l.Voice(encode(wireReport{Epoch: epoch, Digits: digits}))
	return binary.BigEndian.Uint64(sum[:]) % 1e10, err
}

// Voice is HMAC-SHA256(K_voice, report) for the receiver's report of what came
// over a one-way channel, read out by a person: groups of digits are made of its
// first bytes. It is of the newest LINK, else of the card.
func (l Line) Voice(report []byte) (sum [32]byte, err error) {
	secret := l.Card
	if len(l.Links) > 0 {
		secret = l.Links[0].Gate[:]
	}
	key, err := linkKey(secret, "NX/1 voice", l.Realm, l.From, l.To)
	if err != nil {
		return sum, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(report)
	return [32]byte(mac.Sum(nil)), nil
}
