package line_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/line"
)

// TestAFloodIsBounded: without a key nothing is kept; who has one fills 64 sets
// and 16 MiB, and a set that goes on is not among those that give way.
func TestAFloodIsBounded(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 3))
	now := time.Unix(1_800_000_000, 0)
	s, err := line.NewState(config(conditions{rate: 9600, duplex: true}, 0, 1), now)
	if err != nil {
		t.Fatal(err)
	}
	hear := func(from noroshi.NodeID, p line.Piece) (fx []line.Effect) {
		b := line.WriteFragment(p)
		mac := tag(from, b)
		f, err := line.EncodeFrame(line.Frame{Type: line.Fragment, Payload: append(b, mac[:]...)})
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
		s, fx = line.Step(s, line.Heard{Bytes: f}, now)
		if n, size := s.Kept(); n > line.MaxSets || size > line.MaxBuffered {
			t.Fatalf("%d sets of %d bytes are kept", n, size)
		}
		s, _ = line.Step(s, line.Written{}, now)
		return fx
	}
	for range 100 {
		hear(noroshi.NodeID{9}, line.Piece{Set: r.Uint32(), Count: 4096, Bytes: noise(r, 95)})
	}
	if n, _ := s.Kept(); n != 0 || s.Counts().Refused != 100 {
		t.Fatalf("%d sets of who has no key, %d refused", n, s.Counts().Refused)
	}
	mine := [][]byte{noise(r, 50), noise(r, 50), noise(r, 10)}
	for i, b := range mine {
		for range 60 {
			hear(names[1], line.Piece{Set: r.Uint32(), Index: r.IntN(4096), Count: 4096, Bytes: noise(r, 95)})
		}
		var got []byte
		for _, f := range hear(names[1], line.Piece{Set: 7, Index: i, Count: 3, Bytes: b}) {
			if d, ok := f.(line.Deliver); ok {
				got = d.Envelope
			}
		}
		if n, _ := s.Kept(); i == 1 && n != line.MaxSets {
			t.Errorf("%d sets are kept, want %d", n, line.MaxSets)
		}
		if whole := bytes.Join(mine, nil); (i == 2) != bytes.Equal(got, whole) {
			t.Errorf("after piece %d: %d bytes", i, len(got))
		}
	}
	for _, odd := range []line.Piece{{Set: 8, Index: 0, Count: 3, Bytes: noise(r, 50)}, {Set: 8, Index: 1, Count: 4, Bytes: noise(r, 50)},
		{Set: 8, Index: 1, Count: 3, Bytes: noise(r, 49)}, {Set: 8, Index: 2, Count: 3, Bytes: noise(r, 51)}} {
		hear(names[1], odd)
	}
	if got := s.Counts().Refused; got != 103 {
		t.Errorf("%d refused, want 103: what does not fit its set", got)
	}
	now = now.Add(7 * time.Hour)
	hear(names[1], line.Piece{Set: 9, Count: 3, Bytes: noise(r, 50)})
	if n, _ := s.Kept(); n != 1 {
		t.Errorf("%d sets are kept after seven hours, want the new one", n)
	}
}

// FuzzFragment: what ReadFragment takes is within its bounds and is written
// back the same.
func FuzzFragment(f *testing.F) {
	f.Add(append(line.WriteFragment(line.Piece{Set: 1, Index: 2, Count: 3, Bytes: []byte("x")}), 1, 2, 3, 4, 5, 6, 7, 8))
	f.Add(append(line.WriteFragment(line.Piece{Set: 1, Index: 70, Parity: true, Count: 90, Bytes: []byte("xy")}), 1, 2, 3, 4, 5, 6, 7, 8))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := line.ReadFragment(b)
		if err != nil {
			return
		}
		if p.Count < 1 || p.Count > 4096 || p.Index < 0 || !p.Parity && p.Index >= p.Count || len(p.Bytes) < 1 || len(p.Bytes) > 95 {
			t.Fatalf("%+v", p)
		}
		if !bytes.Equal(line.WriteFragment(p), b[:len(b)-8]) {
			t.Fatalf("%x is written back as %x", b, line.WriteFragment(p))
		}
	})
}

// FuzzAcks: what ReadAcks takes is written back the same.
func FuzzAcks(f *testing.F) {
	f.Add([]byte{1, 0, 0x10, 2, 0, 0x21, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		list, ok := line.ReadAcks(b)
		if !ok {
			return
		}
		var again []byte
		for _, a := range list {
			again = append(again, line.WriteAck(a)...)
			if a.Holds(a.Base+1000) || a.Base > 0 && !a.Holds(a.Base-1) {
				t.Fatalf("%+v", a)
			}
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%x is written back as %x", b, again)
		}
	})
}

// FuzzEnd: whatever frames a partner makes, an end stays within its bounds and
// goes on.
func FuzzEnd(f *testing.F) {
	f.Add([]byte{1, 20, 0, 0, 0, 1, 0, 0, 0, 2, 'a', 'b', 'c', 2, 3, 1, 0, 0x10}, false)
	f.Add([]byte{1, 20, 0, 0, 0, 1, 0x80, 0, 0, 90, 'a', 'b', 'c', 0, 2, 1, 1}, true)
	f.Fuzz(func(t *testing.T, in []byte, duplex bool) {
		c := config(conditions{rate: 9600, duplex: duplex, turn: time.Second}, 0, 1)
		c.Check = func([]byte) (noroshi.NodeID, bool) { return names[1], true }
		now := time.Unix(1_800_000_000, 0)
		s, err := line.NewState(c, now)
		if err != nil {
			t.Fatal(err)
		}
		s, _ = line.Step(s, line.Queued{ID: 1, To: names[1], Prec: noroshi.Routine, Envelope: make([]byte, 1000)}, now)
		for n := 0; len(in) > 2 && n < 200; n++ {
			kind, size := in[0], min(int(in[1])%112, len(in)-2)
			frame, err := line.EncodeFrame(line.Frame{Type: line.FrameType(kind % 3), Left: int(kind >> 4), Payload: in[2 : 2+size]})
			if err != nil {
				t.Fatal(err)
			}
			in = in[2+size:]
			var fx []line.Effect
			now = now.Add(time.Second)
			s, fx = line.Step(s, line.Heard{Bytes: frame}, now)
			for _, f := range fx {
				if d, ok := f.(line.Deliver); ok && (len(d.Envelope) == 0 || len(d.Envelope) > line.Largest) {
					t.Fatalf("an envelope of %d bytes", len(d.Envelope))
				}
			}
			s, _ = line.Step(s, line.Written{}, now)
			if n, size := s.Kept(); n > line.MaxSets || size > line.MaxBuffered {
				t.Fatalf("%d sets of %d bytes", n, size)
			}
		}
	})
}
