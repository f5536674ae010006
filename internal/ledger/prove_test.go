package ledger_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// grow returns the stored hashes of a tree of n leaves named by what, and its
// heads at every size.
func grow(n int, what string) (ledger.HashReader, []ledger.Checkpoint, []ledger.Hash) {
	var tree ledger.Tree
	var stored, leaves []ledger.Hash
	heads := []ledger.Checkpoint{{Origin: "o", Root: ledger.Empty}}
	for i := range n {
		leaf := ledger.LeafHash(fmt.Append(nil, what, i))
		grown, hashes := tree.Append(leaf)
		tree, stored, leaves = grown, append(stored, hashes...), append(leaves, leaf)
		heads = append(heads, ledger.Checkpoint{Origin: "o", Size: uint64(i + 1), Root: tree.Root()})
	}
	return ledger.HashReaderFunc(func(at []int64) ([]ledger.Hash, error) {
		out := make([]ledger.Hash, len(at))
		for i, x := range at {
			out[i] = stored[x]
		}
		return out, nil
	}), heads, leaves
}

// Every pair of sizes of one tree is consistent, and no other tree is.
func TestConsistency(t *testing.T) {
	t.Parallel()
	r, heads, _ := grow(40, "a")
	_, others, _ := grow(40, "b")
	for to := range heads {
		for from := range to + 1 {
			proof, err := ledger.Consistency(uint64(to), uint64(from), r)
			if err != nil {
				t.Fatal(err)
			}
			if err := heads[to].Extends(heads[from], proof); err != nil {
				t.Errorf("%d to %d: %v", from, to, err)
			}
			if from > 0 && heads[to].Extends(others[from], proof) == nil {
				t.Errorf("%d to %d: another tree passes for the beginning", from, to)
			}
			if from < to && heads[from].Extends(heads[to], proof) == nil {
				t.Errorf("%d to %d: a tree that shrank passes", to, from)
			}
			for i := range proof {
				bad := bytes.Clone(proof[i][:])
				bad[3] ^= 1
				was := proof[i]
				proof[i] = ledger.Hash(bad)
				if heads[to].Extends(heads[from], proof) == nil {
					t.Errorf("%d to %d: proof with hash %d changed passes", from, to, i)
				}
				proof[i] = was
			}
		}
	}
	moved := heads[3]
	moved.Origin = "other"
	if heads[5].Extends(moved, nil) == nil {
		t.Error("a head of another origin passes for the beginning")
	}
}

// Paths through leaves in memory are those through stored hashes.
func TestInclusion(t *testing.T) {
	t.Parallel()
	r, heads, leaves := grow(35, "a")
	for size := 1; size <= len(leaves); size++ {
		for n := range size {
			path, err := ledger.Inclusion(uint64(size), uint64(n), r)
			if err != nil {
				t.Fatal(err)
			}
			if got := ledger.Path(leaves[:size], n); fmt.Sprint(got) != fmt.Sprint(path) {
				t.Fatalf("leaf %d of %d: got %v, want %v", n, size, got, path)
			}
			if err := ledger.CheckInclusion(path, uint64(size), heads[size].Root, uint64(n), leaves[n]); err != nil {
				t.Errorf("leaf %d of %d: %v", n, size, err)
			}
			if ledger.CheckInclusion(path, uint64(size), heads[size].Root, uint64(n), ledger.Hash{9}) == nil {
				t.Errorf("leaf %d of %d: another leaf passes", n, size)
			}
		}
		if ledger.CheckInclusion(nil, uint64(size), heads[size].Root, uint64(size), leaves[0]) == nil {
			t.Errorf("leaf %d passes in a tree of %d", size, size)
		}
	}
}

func TestCosignature(t *testing.T) {
	t.Parallel()
	pub, priv, _ := ed25519.GenerateKey(nil)
	c := ledger.Checkpoint{Origin: "noroshi/real/ab/link/cd", Size: 7, Root: ledger.Hash{1}}
	at := time.Unix(1_700_000_000, 0).UTC()
	line := c.Cosign("noroshi/real/cd", pub, at, func(b []byte) []byte { return ed25519.Sign(priv, b) })
	if got, err := c.OpenCosignature(line, "noroshi/real/cd", pub); err != nil || !got.Equal(at) {
		t.Errorf("got %v, %v, want %v", got, err, at)
	}
	// By hand, from the text of C2SP tlog-cosignature.
	raw, err := base64.StdEncoding.DecodeString(strings.Fields(string(line))[2])
	if err != nil || len(raw) != 76 {
		t.Fatalf("line %q: %v", line, err)
	}
	id := sha256.Sum256(append([]byte("noroshi/real/cd\n\x04"), pub...))
	text := append([]byte("cosignature/v1\ntime 1700000000\n"), c.Text()...)
	if !bytes.Equal(raw[:4], id[:4]) || !ed25519.Verify(pub, text, raw[12:]) {
		t.Error("the line is not that of the standard")
	}
	other := c
	other.Size++
	if _, err := other.OpenCosignature(line, "noroshi/real/cd", pub); err == nil {
		t.Error("opens over another checkpoint")
	}
	if _, err := c.OpenCosignature(line, "noroshi/real/ef", pub); err == nil {
		t.Error("opens under another name")
	}
	for i := range line[:len(line)-1] {
		bad := bytes.Clone(line)
		bad[i] ^= 1
		if _, err := c.OpenCosignature(bad, "noroshi/real/cd", pub); err == nil {
			t.Errorf("opens with byte %d changed: %q", i, bad)
		}
	}
}

// The leaf of a link as earlier versions wrote it still has its one form.
func TestLinkLeafForms(t *testing.T) {
	t.Parallel()
	for version, elements := range map[uint64]byte{1: 0x8a, 2: 0x8b} {
		l := ledger.LinkLeaf{Version: version, Index: 3, Action: "send"}
		if version == 2 {
			l.Root = ledger.Hash{7}
		}
		b := ledger.Encode(l)
		got, err := ledger.Decode[ledger.LinkLeaf](b)
		if err != nil || b[0] != elements || got.Root != l.Root || got.Version != version {
			t.Errorf("version %d: %x, got %+v, %v", version, b[:2], got, err)
		}
	}
}
