package intake_test

import (
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// What a narrow line makes again of a list's entry is byte for byte what the
// entry gate made of it.
func TestListProfileMakesTheSame(t *testing.T) {
	t.Parallel()
	h := open(t, noroshi.Real, nil)
	lines := []string{"example.com", "192.0.2.7", "2001:db8::7", "http://example.com/a?b=c&d", "mail@example.com",
		"d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
	if _, err := h.Import(t.Context(), strings.NewReader(strings.Join(lines, "\n")), intake.ImportOptions{Name: "apt.txt", Format: "list", Marking: noroshi.Green}); err != nil {
		t.Fatal(err)
	}
	made := 0
	err := h.store.Each(t.Context(), "indicator", 0, func(r store.Record) error {
		o := r.Object
		for _, v := range r.Values {
			made++
			if got := message.ListIndicator(string(self), "apt", o.Modified.String(), v.Kind, v.Text, 1); string(got) != string(o.Bytes()) {
				t.Errorf("%s %s: made again it is\n%s, want\n%s", v.Kind, v.Text, got, o.Bytes())
			}
		}
		return nil
	})
	if err != nil || made != len(lines) {
		t.Errorf("%d of %d entries, %v", made, len(lines), err)
	}
}
