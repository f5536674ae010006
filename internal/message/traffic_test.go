package message_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// someMessage is a message of a random kind and size, as a node might send it.
func someMessage(t testing.TB, p *pair, rng *rand.Rand, seq uint64) message.Plain {
	t.Helper()
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32() >> (rng.Uint32() % 8))
		}
		return b
	}
	control := message.Header{Seq: seq, Kind: message.Kind(2 + rng.IntN(7)), Prec: noroshi.Precedence(1 + rng.IntN(4)), Created: now, Form: message.ControlForm}
	switch rng.IntN(4) {
	case 0:
		var list []message.Object
		for range 1 + rng.IntN(40) {
			list = append(list, message.Object{View: rng.Uint32N(4), Bytes: append([]byte{'{'}, noise(rng.IntN(1500))...)})
		}
		h := dataHeader(seq)
		h.Prec, h.TTL = control.Prec, rng.Uint32()
		return message.Plain{Message: p.sign(t, h, message.EncodeObjects(list))}
	case 1:
		kind := message.Kind(16 + rng.IntN(7))
		st, err := message.SignStatement(p.a, p.context(), seq, kind, now, noise(rng.IntN(3000)))
		if err != nil {
			t.Fatal(err)
		}
		return message.Plain{Statement: st}
	case 2:
		doc, err := message.SignAgreement(p.a, append([]byte("a"), noise(1+rng.IntN(5000))...), now)
		if err != nil {
			t.Fatal(err)
		}
		return message.Plain{Document: doc}
	}
	return message.Plain{Message: p.sign(t, control, noise(1+rng.IntN(3000)))}
}

// The size of an envelope is one of a few, whatever is in it.
func TestSizesFallOnBuckets(t *testing.T) {
	t.Parallel()
	p := high(t)
	rng := rand.New(rand.NewPCG(1, 2))
	buckets := []int{256, 880, 4096}
	for buckets[len(buckets)-1] < 1<<20 {
		last := buckets[len(buckets)-1]
		buckets = append(buckets, last+last/10)
	}
	met := map[int]int{}
	for seq := range uint64(400) {
		x := someMessage(t, p, rng, seq+1)
		for suite, around := range map[message.Suite]int{message.S1: 1 + 8 + 16 + 1120 + 16, message.S1H: 1 + 8 + 16 + 1665 + 16} {
			o := p.out()
			o.Suite, o.Packings = suite, every
			n := len(sealed(t, x, o)) - around
			if !slices.Contains(buckets, n) {
				t.Fatalf("message %d has a plaintext of %d bytes under %s", seq, n, suite)
			}
			met[n]++
		}
	}
	if len(met) < 10 {
		t.Errorf("only %d sizes were met: %v", len(met), met)
	}
}

// Outside of an envelope stands one byte: everything behind it differs from one
// sealing to the next, and is as even as chance. What the suite says already is
// no more: that a point of P-384 begins with 4 (SEC 1 §2.3.3), and that the last
// bit of one of Curve25519 is 0 (RFC 7748 §5).
func TestNothingReadableOutside(t *testing.T) {
	t.Parallel()
	p := high(t)
	narrow, _ := p.narrow()
	x := plains(t, p)["state"]
	for _, suite := range []message.Suite{message.S1, message.S1H, message.S2} {
		o := p.out()
		o.Suite, o.Links = suite, narrow.Links
		const sealings = 256
		var all [][]byte
		for range sealings {
			all = append(all, sealed(t, x, o))
		}
		size := len(all[0])
		for at := 1; at < size; at++ {
			var seen [256]int
			for _, e := range all {
				if len(e) != size || e[0] != byte(suite) {
					t.Fatalf("%s: %d bytes beginning with %d", suite, len(e), e[0])
				}
				seen[e[at]]++
			}
			// 256 draws among 256 values: the sum of squares is 511 on average, and
			// above 700 for chance once in more than 10^15 bytes. A constant has
			// 65,536, half a byte of text above 4,000.
			sum := 0
			for _, n := range seen {
				sum += n * n
			}
			switch {
			case suite == message.S1H && at == 1+8+16+1568 && seen[4] == sealings:
			case suite == message.S1 && at == 1+8+16+1119 && sum < 2*700:
			case sum > 700:
				t.Errorf("%s: byte %d is not as chance has it (%d)", suite, at, sum)
			}
		}
	}
}
