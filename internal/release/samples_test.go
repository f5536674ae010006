package release_test

import (
	"os"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/release"
)

// TestSamples decides all samples as expected: what goes, what is cut out,
// what stays, held or denied, and that no string that must not leave does.
func TestSamples(t *testing.T) {
	s, err := release.OpenSamples(os.DirFS(samples))
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Run()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Leaks {
		t.Errorf("%s for %s: %q leaves", f.File, f.Partner, f.Leak)
	}
	for _, f := range append(r.Faults, r.Advisory...) {
		t.Errorf("%s for %s: %s: got %s, want %s: %v", f.File, f.Partner, f.Object, f.Got, f.Want, f.Reasons)
	}
	if r.Passed != 63 || r.Failed != 0 || r.Decisions != 228 {
		t.Errorf("%d passed, %d failed, %d decisions, want 63, 0, 228", r.Passed, r.Failed, r.Decisions)
	}
}
