package store

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/noroshi-cti/noroshi"
)

// Spans behave as a plain map from sequence to value does.
func TestSpansAreAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s spans
		m := map[int64]int64{}
		for range rapid.IntRange(1, 30).Draw(t, "n") {
			lo := rapid.Int64Range(1, 40).Draw(t, "lo")
			hi := lo + rapid.Int64Range(0, 10).Draw(t, "len")
			val := rapid.Int64Range(0, 3).Draw(t, "val")
			s = s.set(lo, hi, val)
			for q := lo; q <= hi; q++ {
				m[q] = val
			}
			for q := int64(0); q < 60; q++ {
				if s.at(q) != m[q] {
					t.Fatalf("at %d: got %d, want %d in %v", q, s.at(q), m[q], s)
				}
			}
			for i := 1; i < len(s); i++ {
				if s[i].lo <= s[i-1].hi || s[i].lo == s[i-1].hi+1 && s[i].val == s[i-1].val {
					t.Fatalf("not joined or not in order: %v", s)
				}
			}
		}
	})
}

// What is packed unpacks to itself; nothing else makes the readers panic or
// take memory beyond the input.
func FuzzUnpack(f *testing.F) {
	m := meta{from: 1, until: -1, values: []noroshi.Value{{Kind: noroshi.AddrPort, Text: "10.0.0.1", Port: 1}, {Kind: "mutex", Text: "x"}}, flags: []string{"a"}}
	f.Add(m.pack())
	f.Add(packMembers([]Decided{{Seq: 3, Hash: noroshi.Hash{1}, View: noroshi.Hash{2}}, {Seq: 1}}))
	f.Add(packRuns([]int64{1, 2, 9}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := unpackMeta(b); err == nil {
			if again, err := unpackMeta(m.pack()); err != nil || string(again.pack()) != string(m.pack()) {
				t.Errorf("meta: %v", err)
			}
		}
		if rows, err := unpackMembers(b); err == nil {
			again, err := unpackMembers(packMembers(rows))
			if err != nil || len(again) != len(rows) {
				t.Errorf("members: %v", err)
			}
		}
		unpackRuns(b)
		var a Armed
		eachPacked(b, 0, &a, func(*Armed) error { return nil })
	})
}
