package line_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/courier/line"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorFile = "../../../testdata/vectors/line.json"

// vectors are those of docs/wire.md §8; testdata/vectors/check.py reads them
// with code of its own.
type vectors struct {
	Frames []struct {
		Type    line.FrameType `json:"type"`
		Left    int            `json:"left"`
		Payload hexed          `json:"payload"`
		Frame   hexed          `json:"frame"`
	} `json:"frames"`
	Parity []struct {
		Pieces []hexed `json:"pieces"`
		Row    int     `json:"row"`
		Bytes  hexed   `json:"bytes"`
	} `json:"parity"`
	Acks []struct {
		Ref   byte  `json:"ref"`
		Held  []int `json:"held"`
		Entry hexed `json:"entry"`
	} `json:"acks"`
}

type hexed []byte

func (h hexed) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexed) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// TestVectors: frames, parity and acknowledgements are as they were published.
func TestVectors(t *testing.T) {
	var v vectors
	b, err := os.ReadFile(vectorFile)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Frames) < 5 || len(v.Parity) < 2 || len(v.Acks) < 3 {
		t.Fatalf("%d frames, %d parity, %d acks", len(v.Frames), len(v.Parity), len(v.Acks))
	}
	for i := range v.Frames {
		x := &v.Frames[i]
		got, err := line.EncodeFrame(line.Frame{Type: x.Type, Left: x.Left, Payload: x.Payload})
		if err != nil {
			t.Fatal(err)
		}
		agree(t, &x.Frame, got)
	}
	for i := range v.Parity {
		x := &v.Parity[i]
		var pieces [][]byte
		for _, p := range x.Pieces {
			pieces = append(pieces, p)
		}
		agree(t, &x.Bytes, line.BlockParity(pieces)[x.Row])
	}
	for i := range v.Acks {
		x := &v.Acks[i]
		base, held := 0, map[int]bool{}
		for _, n := range x.Held {
			held[n] = true
		}
		for held[base] {
			base++
		}
		agree(t, &x.Entry, line.WriteAck(line.NewAck(x.Ref, base, func(n int) bool { return held[n] })))
	}
	if *update {
		b, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(b, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func agree(t *testing.T, want *hexed, got []byte) {
	t.Helper()
	if *update {
		*want = got
	} else if !bytes.Equal(*want, got) {
		t.Errorf("got %x, want %x", got, []byte(*want))
	}
}

// TestParityRestores: any pieces and rows that are as many as the pieces give
// them all.
func TestParityRestores(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	for range 50 {
		k := 1 + r.IntN(64)
		pieces := make([][]byte, k)
		for i := range pieces {
			pieces[i] = noise(r, 79)
		}
		rows := line.BlockParity(pieces)
		lost := make([][]byte, k)
		have := map[int][]byte{}
		for i, at := range r.Perm(k + 64)[:k] {
			if at < k {
				lost[at] = pieces[at]
			} else {
				have[at-k] = rows[at-k]
			}
			if ok := line.RestoreBlock(append([][]byte(nil), lost...), have); ok != (i == k-1) {
				t.Fatalf("%d of %d: %v", i+1, k, ok)
			}
		}
		if line.RestoreBlock(lost, have); !bytes.Equal(bytes.Join(lost, nil), bytes.Join(pieces, nil)) {
			t.Fatalf("%d pieces were restored wrong", k)
		}
	}
}
