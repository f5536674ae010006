package store_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestDocsUnder: the documents under a key are those of its kind behind key and slash,
// each in its newest version, whatever else begins with the same letters.
func TestDocsUnder(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, d := range [][3]string{{"told", "a/1", "old"}, {"told", "a/2", "x"}, {"told", "a/1", "new"}, {"told", "a", "x"}, {"told", "a/", "x"},
		{"told", "a0", "x"}, {"told", "a.", "x"}, {"told", "ab/1", "x"}, {"told", "b/a/1", "x"}, {"sent", "a/3", "x"}} {
		do(t, s, noroshi.Act{Action: noroshi.ActInit, Subject: d[1]}, func(tx *store.Tx) error { return tx.PutDoc(d[0], d[1], []byte(d[2])) })
	}
	got, err := s.DocsUnder(t.Context(), "told", "a")
	if keys := slices.Sorted(maps.Keys(got)); err != nil || !slices.Equal(keys, []string{"a/1", "a/2"}) || string(got["a/1"]) != "new" {
		t.Errorf("under a: %q, %v", got, err)
	}
}
