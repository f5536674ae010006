package media_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/media"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// The vectors of docs/wire.md, Media and Paper receipts; check_media.py beside
// them is a second reading that shares no code with noroshi.
var update = flag.Bool("update", false, "write testdata/vectors/media.json anew")

const vectors = "../../../testdata/vectors/media.json"

type mediaVector struct {
	Envelopes []string      `json:"envelopes"`
	Part      string        `json:"part"`
	Code      string        `json:"code"`
	Blocks    []string      `json:"blocks"`
	Names     []string      `json:"names"`
	Frame     string        `json:"frame"` // of the first block
	Paper     []paperVector `json:"paper"`
}

type paperVector struct {
	Secret  string          `json:"gate_secret"`
	From    string          `json:"from"`
	To      string          `json:"to"`
	Epoch   string          `json:"epoch"`
	Counter uint64          `json:"counter"`
	Cum     uint64          `json:"cum"`
	Ranges  []message.Range `json:"ranges"`
	Applied bool            `json:"applied"`
	Report  string          `json:"report"`
	Check   uint64          `json:"check"`
	Groups  string          `json:"groups"`
}

func TestVectors(t *testing.T) {
	t.Parallel()
	got := mediaVector{Paper: []paperVector{paper(t, message.Paper{Counter: 3_640_001, Cum: 1204, Ranges: []message.Range{{A: 1210, B: 1215}, {A: 1300, B: 1300}}, Applied: true}),
		paper(t, message.Paper{Counter: 1, Cum: 0, Ranges: []message.Range{{A: 2, B: 2}}})}}
	var list [][]byte
	for i, n := range []int{100, 700, 300} {
		e := noise(byte(i), n)
		list = append(list, e)
		got.Envelopes = append(got.Envelopes, hex.EncodeToString(e))
	}
	p, err := media.NewPart(list, 0)
	if err != nil {
		t.Fatal(err)
	}
	got.Part, got.Code, got.Frame = p.ID.String(), media.Code([]media.PartID{p.ID}), media.FrameText(p.Blocks[0])
	path := t.TempDir()
	pack(t, path, list)
	for _, b := range p.Blocks {
		sum := sha256.Sum256(b)
		name := hex.EncodeToString(sum[:16]) + ".nx"
		on, err := os.ReadFile(filepath.Join(path, name))
		if err != nil || !bytes.Equal(on, b) {
			t.Errorf("%s is not the block of this name: %v", name, err)
		}
		got.Blocks, got.Names = append(got.Blocks, hex.EncodeToString(b)), append(got.Names, name)
	}
	if *update {
		b, err := json.MarshalIndent(got, "", " ")
		if err == nil {
			err = os.WriteFile(vectors, append(b, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(vectors)
	if err != nil {
		t.Fatal(err)
	}
	var want mediaVector
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Error(d)
	}
}

// noise is bytes that anybody can make again: SHA-256 of a letter and a count.
func noise(letter byte, n int) (b []byte) {
	for i := byte(0); len(b) < n; i++ {
		sum := sha256.Sum256([]byte{letter, i})
		b = append(b, sum[:]...)
	}
	return b[:n]
}

func paper(t *testing.T, p message.Paper) paperVector {
	t.Helper()
	secret, epoch := noise('s', 32), message.Epoch(noise('e', 16))
	from, to := noroshi.NodeID(noise('f', 16)), noroshi.NodeID(noise('t', 16))
	report, err := p.Report()
	if err != nil {
		t.Fatal(err)
	}
	check, err := message.Line{Realm: noroshi.Real, From: from, To: to, Card: secret}.VoiceCheck(epoch, report)
	if err != nil {
		t.Fatal(err)
	}
	return paperVector{hex.EncodeToString(secret), hex.EncodeToString(from[:]), hex.EncodeToString(to[:]), hex.EncodeToString(epoch[:]),
		p.Counter, p.Cum, p.Ranges, p.Applied, report, check, message.WriteGroups(report, check)}
}
