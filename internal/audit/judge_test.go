package audit_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/audit"
	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// branch is a tree of n leaves named by what from leaf at on, with its heads.
type branch struct {
	stored []ledger.Hash
	heads  []ledger.Checkpoint
}

func grow(n, at int, what string) *branch {
	b := &branch{heads: []ledger.Checkpoint{{Origin: "o", Root: ledger.Empty}}}
	var tree ledger.Tree
	for i := range n {
		name := "a"
		if i >= at {
			name = what
		}
		var fresh []ledger.Hash
		tree, fresh = tree.Append(ledger.LeafHash(fmt.Append(nil, name, i)))
		b.stored = append(b.stored, fresh...)
		b.heads = append(b.heads, ledger.Checkpoint{Origin: "o", Size: uint64(i + 1), Root: tree.Root()})
	}
	return b
}

// told is a CHECKPOINT of a size with the proof from another.
func (b *branch) told(t *testing.T, size, from uint64) audit.Told {
	t.Helper()
	proof, err := ledger.Consistency(size, from, ledger.HashReaderFunc(func(at []int64) ([]ledger.Hash, error) {
		var out []ledger.Hash
		for _, x := range at {
			out = append(out, b.stored[x])
		}
		return out, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	x := audit.Told{Head: b.heads[size], From: from}
	for _, h := range proof {
		x.Proof = append(x.Proof, noroshi.Hash(h))
	}
	return x
}

func TestJudge(t *testing.T) {
	t.Parallel()
	a, b := grow(30, 30, "a"), grow(30, 10, "b") // one in their first ten leaves
	last := &a.heads[20]
	restored := func(x audit.Told, older *ledger.Checkpoint) audit.Told {
		x.Restored, x.Older = true, older
		return x
	}
	older := func(x audit.Told, h *ledger.Checkpoint) audit.Told {
		x.Older = h
		return x
	}
	forged := a.told(t, 25, 20)
	forged.Proof[0][0] ^= 1
	moved := a.told(t, 25, 20)
	moved.Head.Origin = "other"
	for _, c := range []struct {
		name string
		last *ledger.Checkpoint
		x    audit.Told
		want audit.Verdict
	}{
		{"the first", nil, a.told(t, 7, 0), audit.Grown},
		{"grown", last, a.told(t, 25, 20), audit.Grown},
		{"the same", last, a.told(t, 20, 20), audit.Same},
		{"the same, from before", last, a.told(t, 20, 5), audit.Same},
		{"its sender missed the last cosignature", last, older(a.told(t, 25, 15), &a.heads[15]), audit.Elsewhere},
		{"from the beginning", last, a.told(t, 25, 0), audit.Elsewhere},
		{"we lost what we countersigned", last, a.told(t, 28, 25), audit.Elsewhere},
		{"smaller", last, a.told(t, 15, 10), audit.Rewritten},
		{"of one size, another root", last, b.told(t, 20, 20), audit.Rewritten},
		{"another branch", last, b.told(t, 25, 20), audit.Rewritten},
		{"not even what was countersigned before", last, older(b.told(t, 25, 15), &a.heads[15]), audit.Rewritten},
		{"a proof with a hash changed", last, forged, audit.Rewritten},
		{"another ledger", last, moved, audit.Rewritten},
		{"restored, from an older head", last, restored(b.told(t, 15, 8), &a.heads[8]), audit.Branch},
		{"restored and grown past", last, restored(b.told(t, 25, 8), &a.heads[8]), audit.Branch},
		{"restored to before the first", last, restored(b.told(t, 5, 0), nil), audit.Branch},
		{"restored to the very head", last, restored(a.told(t, 22, 20), last), audit.Grown},
		{"restored, of one head", last, restored(a.told(t, 20, 20), last), audit.Grown},
		{"restored, from a head unknown here", last, restored(b.told(t, 15, 9), nil), audit.Elsewhere},
		{"restored, not from that head", last, restored(b.told(t, 25, 15), &a.heads[15]), audit.Elsewhere},
	} {
		if got := audit.Judge(c.last, c.x); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte("noroshi evidence 1\nrealm cmVhbA==\n"))
	f.Add([]byte("noroshi evidence 1\nrealm cmVhbA==\nleaf AA==\ncheckpoint AA==\nrow AA==\nplace AA==\nkeyset AA==\npartner AA==\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := audit.Check(b); err == nil {
			t.Error("a file that nobody signed passes")
		}
	})
}

func FuzzCompare(f *testing.F) {
	f.Add([]byte("noroshi audit export 1\nrealm cmVhbA==\nat MjAyNi0xMS0yOFQxOTowMDowMFo=\nend \n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := audit.Compare("a", bytes.NewReader(b), "b", bytes.NewReader(b)); err == nil {
			t.Error("an export that nobody signed passes")
		}
	})
}
