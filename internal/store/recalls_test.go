package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestRecallList: lines are there when their act has committed, come back from
// a database that forgot them, and from an act that did not commit after its
// line was written; a line cut short spoils no other.
func TestRecallList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "real.db")
	s := openAt(t, path)
	list := func(line string, fail error) {
		t.Helper()
		_, err := s.Do(t.Context(), noroshi.Act{Action: noroshi.ActRecall, Subject: line}, func(tx *store.Tx) error {
			return errors.Join(tx.ListRecall([]byte(line)), fail)
		})
		if !errors.Is(err, fail) {
			t.Fatal(err)
		}
	}
	forgotten := func(want ...string) (end int64) {
		t.Helper()
		lines, end, err := s.ForgottenRecalls(t.Context())
		if err != nil || len(lines) != len(want) {
			t.Fatalf("forgotten are %q (%v), want %q", lines, err, want)
		}
		for i, l := range lines {
			if string(l) != want[i] {
				t.Errorf("line %d is %q, want %q", i, l, want[i])
			}
		}
		return end
	}
	forgotten()
	list("one", nil)
	forgotten()
	crash := errors.New("crash")
	list("two", crash)
	end := forgotten("two")
	do(t, s, noroshi.Act{Action: noroshi.ActRecall, Subject: "again"}, func(tx *store.Tx) error { return tx.Recalled(end) })
	forgotten()
	f, err := os.OpenFile(path+".recalls", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("cut sh"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	forgotten("cut sh")
	list("three", nil)
	b, err := os.ReadFile(path + ".recalls")
	if err != nil || string(b) != "one\ntwo\ncut sh\nthree\n" {
		t.Errorf("the list is %q, %v", b, err)
	}
	if _, err := s.Do(t.Context(), noroshi.Act{Action: noroshi.ActRecall, Subject: "x"}, func(tx *store.Tx) error {
		return tx.ListRecall([]byte("a\nb"))
	}); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("two lines in one: %v", err)
	}
	if info, err := os.Stat(path + ".recalls"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if v := verify(t, s); len(v.Faults) > 0 {
		t.Errorf("faults: %v", v.Faults)
	}
}
