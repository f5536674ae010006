package ledger_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// Trees, roots and stored hashes are those of x/mod's tlog at every size, and
// a tree can be opened again at each.
func TestTreesAgreeWithTlog(t *testing.T) {
	var tree ledger.Tree
	var stored, leaves []ledger.Hash
	reader := ledger.HashReaderFunc(func(at []int64) ([]ledger.Hash, error) {
		out := make([]ledger.Hash, len(at))
		for i, x := range at {
			out[i] = stored[x]
		}
		return out, nil
	})
	if ledger.Root(nil) != tree.Root() {
		t.Error("root of no leaves differs")
	}
	for n := range 300 {
		data := fmt.Append(nil, "leaf", n)
		want, err := tlog.StoredHashes(int64(n), data, reader)
		if err != nil {
			t.Fatal(err)
		}
		grown, hashes := tree.Append(ledger.LeafHash(data))
		if fmt.Sprint(hashes) != fmt.Sprint(want) {
			t.Fatalf("leaf %d: got hashes %v, want %v", n, hashes, want)
		}
		tree, stored, leaves = grown, append(stored, hashes...), append(leaves, hashes[0])
		root, err := tlog.TreeHash(int64(n+1), reader)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := ledger.OpenTree(uint64(n+1), reader)
		if err != nil || tree.Root() != root || ledger.Root(leaves) != root || opened != tree || ledger.HashCount(uint64(n+1)) != int64(len(stored)) {
			t.Fatalf("size %d: got root %v, opened %v, %v, want %v", n+1, tree.Root(), opened.Root(), err, root)
		}
	}
}

func TestCheckpointIsASignedNote(t *testing.T) {
	pub, priv, _ := ed25519.GenerateKey(nil)
	c := ledger.Checkpoint{Origin: "noroshi/real/ab", Size: 7, Root: ledger.Hash{1}}
	text := c.Sign(pub, func(b []byte) []byte { return ed25519.Sign(priv, b) })
	vkey, err := note.NewEd25519VerifierKey(c.Origin, pub)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(text, note.VerifierList(verifier))
	if err != nil || n.Text != string(c.Text()) || verifier.KeyHash() != ledger.KeyNumber(c.Origin, pub) {
		t.Errorf("x/mod note: got %v, %v", n, err)
	}
	if got, err := ledger.Open(text, pub); err != nil || got != c {
		t.Errorf("open: got %v, %v", got, err)
	}
	if _, err := ledger.Open(text, nil); err == nil {
		t.Error("a signed checkpoint passes for an unsigned one")
	}
	if _, err := ledger.Open(c.Text(), pub); err == nil {
		t.Error("an unsigned checkpoint passes for a signed one")
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1
		if _, err := ledger.Open(bad, pub); err == nil {
			t.Errorf("opens with byte %d changed: %q", i, bad)
		}
	}
}

func TestLeafHasOneForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := ledger.Leaf{Version: 1, Index: rapid.Uint64().Draw(t, "i"), Time: rapid.Int64().Draw(t, "t"), Action: rapid.String().Draw(t, "a"),
			Agreement: []byte{}, Message: []byte{}, Partner: []byte{}, LinkRoot: []byte{}, Rows: []ledger.TableRows{{Table: "object", Rows: 3}}}
		b := ledger.Encode(l)
		got, err := ledger.Decode[ledger.Leaf](b)
		if err != nil || !bytes.Equal(ledger.Encode(got), b) {
			t.Fatalf("got %+v, %v", got, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(ledger.Encode(ledger.Leaf{Version: 1, Action: "import"}))
	f.Add(ledger.Encode(ledger.Detail{Salt: []byte{1}, Subject: "x", Persons: []ledger.Person{{ID: "a"}}}))
	f.Add(ledger.Encode(ledger.LinkLeaf{Version: 1}))
	f.Add(ledger.Encode(ledger.LinkLeaf{Version: 2}))
	f.Add([]byte("noroshi/real/ab\n7\nAQ==\n\n— x y\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := ledger.Decode[ledger.Leaf](b); err == nil && !bytes.Equal(ledger.Encode(l), b) {
			t.Error("leaf has two forms")
		}
		if d, err := ledger.Decode[ledger.Detail](b); err == nil && !bytes.Equal(ledger.Encode(d), b) {
			t.Error("detail has two forms")
		}
		if l, err := ledger.Decode[ledger.LinkLeaf](b); err == nil && !bytes.Equal(ledger.Encode(l), b) {
			t.Error("link leaf has two forms")
		}
		ledger.Checkpoint{}.OpenCosignature(b, "noroshi/real/ab", make([]byte, 32))
		ledger.Open(b, make([]byte, 32))
	})
}

// Rows are CBOR whose heads are the shortest (RFC 8949 appendix A).
func TestRowEncoding(t *testing.T) {
	var r ledger.Row
	r.Begin("t", 4)
	r.Int(1000000)
	r.Int(-1000)
	r.Text("水")
	r.Bytes([]byte{1, 2})
	if got, want := fmt.Sprintf("%x", r.Encoding()), "85"+"6174"+"1a000f4240"+"3903e7"+"63e6b0b4"+"420102"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
