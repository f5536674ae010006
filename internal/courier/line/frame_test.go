package line_test

import (
	"bytes"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/courier/line"
)

func frame(t testing.TB, n int, kind line.FrameType, left int, r *rand.Rand) (line.Frame, []byte) {
	t.Helper()
	f := line.Frame{Type: kind, Left: left, Payload: make([]byte, n)}
	for i := range f.Payload {
		f.Payload[i] = byte(r.Uint32())
	}
	b, err := line.EncodeFrame(f)
	if err != nil {
		t.Fatal(err)
	}
	return f, b
}

// TestEverySize: a frame of every payload comes back with as many wrong bytes
// as its parity corrects, and costs no more than three bytes of padding.
func TestEverySize(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 112 {
		f, b := frame(t, n, line.Fragment, n%16, r)
		check := 16
		if n < 16 {
			check = 8
		}
		if over := len(b) - n - 1 - 2 - check; over < 0 || over > 3 {
			t.Fatalf("payload %d: frame of %d bytes", n, len(b))
		}
		for _, at := range r.Perm(len(b) - 2)[:check/2] {
			b[2+at] ^= byte(1 + r.IntN(255))
		}
		b[0] ^= 1 << r.IntN(8)
		var d line.Deframer
		got := d.Push(b)
		if len(got) != 1 || got[0].Type != f.Type || got[0].Left != f.Left || !bytes.Equal(got[0].Payload, f.Payload) || got[0].Mended != check/2 {
			t.Fatalf("payload %d: got %+v", n, got)
		}
	}
	if _, err := line.EncodeFrame(line.Frame{Payload: make([]byte, 112)}); err == nil {
		t.Error("a payload of 112 bytes was taken")
	}
}

// TestHeadsAreFarApart: from each other, from a line at rest, from bits that
// alternate.
func TestHeadsAreFarApart(t *testing.T) {
	t.Parallel()
	seen := map[uint16]bool{}
	for n := 3; n < 112; n += 4 {
		_, b := frame(t, n, line.Whole, 0, rand.New(rand.NewPCG(1, 1)))
		seen[uint16(b[0])<<8|uint16(b[1])] = true
	}
	if len(seen) != 28 {
		t.Fatalf("%d heads, want 28", len(seen))
	}
	for h := range seen {
		for o := range seen {
			if d := bits.OnesCount16(h ^ o); h != o && d < 8 {
				t.Errorf("%04x and %04x differ in %d bits", h, o, d)
			}
		}
		for _, rest := range []uint16{0, 0xffff, 0x5555, 0xaaaa, 0x00ff, 0x3333} {
			if d := bits.OnesCount16(h ^ rest); d < 6 {
				t.Errorf("%04x is %d bits from %04x", h, d, rest)
			}
		}
	}
}

// TestFindsFramesAgain: whatever happens to one frame, the next is found.
func TestFindsFramesAgain(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	harm := map[string]func(b []byte) []byte{
		"a byte is lost":     func(b []byte) []byte { i := r.IntN(len(b)); return append(b[:i:i], b[i+1:]...) },
		"a byte is doubled":  func(b []byte) []byte { i := r.IntN(len(b)); return append(b[:i+1:i+1], b[i:]...) },
		"a byte is put in":   func(b []byte) []byte { i := r.IntN(len(b)); return append(append(b[:i:i], byte(r.Uint32())), b[i:]...) },
		"cut short":          func(b []byte) []byte { return b[:r.IntN(len(b))] },
		"its beginning lost": func(b []byte) []byte { return b[r.IntN(len(b)):] },
		"noise before":       func(b []byte) []byte { return append(noise(r, r.IntN(300)), b...) },
		"bits slip":          func(b []byte) []byte { return slip(b, r.IntN(len(b)), 1+r.IntN(7)) },
	}
	for name, do := range harm {
		found, whole := 0, 0
		for range 60 {
			_, hurt := frame(t, 20+r.IntN(92), line.Fragment, 1, r)
			next, b := frame(t, 20+r.IntN(92), line.Fragment, 0, r)
			var d line.Deframer
			got := d.Push(append(do(hurt), b...))
			for _, f := range got {
				if bytes.Equal(f.Payload, next.Payload) {
					found++
				} else {
					whole++
				}
			}
		}
		if found < 60 {
			t.Errorf("%s: the next frame was found %d of 60 times", name, found)
		}
		if name == "noise before" && whole != 60 {
			t.Errorf("%s: the frame behind it was found %d of 60 times", name, whole)
		}
	}
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// slip moves all bits behind a place within their bytes, as a line without
// start bits does that lost some; the byte boundaries come back at the end.
func slip(b []byte, from, by int) []byte {
	out := bytes.Clone(b)
	for i := from; i < len(b)-1; i++ {
		out[i] = b[i]<<by | b[i+1]>>(8-by)
	}
	return out
}

// TestNoiseIsNoFrame: nothing is read out of noise, nor of a line at rest, and
// what is tried is bounded, also where everything looks like a beginning.
func TestNoiseIsNoFrame(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	_, long := frame(t, 111, line.Fragment, 0, r)
	for name, b := range map[string][]byte{"noise": noise(r, 100_000), "ones": bytes.Repeat([]byte{0xff}, 10_000), "zeros": make([]byte, 10_000),
		"beginnings": bytes.Repeat(long[:2], 2_000)} {
		var d line.Deframer
		if got := d.Push(b); len(got) != 0 {
			t.Errorf("%s: %d frames", name, len(got))
		}
		if n := d.Tried(); n > line.MostTried(len(b)) || n > len(b)/100 && name != "beginnings" {
			t.Errorf("%s: %d corrections were tried in %d bytes", name, n, len(b))
		}
	}
}

// FuzzDeframer: any bytes, in any pieces, give the same frames, none too large.
func FuzzDeframer(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	_, a := frame(f, 111, line.Fragment, 3, r)
	_, b := frame(f, 3, line.Control, 0, r)
	f.Add(append(a, b...), uint8(7))
	f.Add(append(b, a[1:]...), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		if len(in) > 2000 {
			return
		}
		var one, many line.Deframer
		want := one.Push(in)
		var got []line.Frame
		for n := int(step) + 1; len(in) > 0; in = in[min(n, len(in)):] {
			got = append(got, many.Push(in[:min(n, len(in))])...)
		}
		if len(got) != len(want) {
			t.Fatalf("%d frames in pieces, %d at once", len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i].Payload, want[i].Payload) || len(got[i].Payload) > 111 {
				t.Fatalf("frame %d: %x, at once %x", i, got[i].Payload, want[i].Payload)
			}
			if again, err := line.EncodeFrame(got[i]); err != nil || len(again) == 0 {
				t.Fatal(err)
			}
		}
	})
}
