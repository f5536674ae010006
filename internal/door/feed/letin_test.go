package feed_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/intake/sheet"
)

// letIn lets in everything that waits, and returns the codes of what may not be.
func (r *reader) letIn() (refused []string) {
	r.t.Helper()
	for _, q := range r.quarantine() {
		if _, err := r.gate.LetIn(r.t.Context(), q, noroshi.Signed{Person: "sato"}); err != nil {
			refused = append(refused, noroshi.CodeOf(err))
		}
	}
	return refused
}

// TestLetIn: what the guard held back of a feed is let in by a person as the feed
// brought it, whatever the format, and is in use when the feed brings it again;
// what was not understood is not let in.
func TestLetIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, later string
		feed         feed.Feed
		refused      []string
	}{
		"list":   {"bad.example.org\nwww.mod.example\n!!!\n", "bad.example.org\nx.example.org\nwww.mod.example\n!!!\n", feed.Feed{}, []string{"quarantine.not-held"}},
		"table":  {"seen,host\n1,bad.example.org\n2,www.mod.example\n", "seen,host\n1,bad.example.org\n3,x.example.org\n2,www.mod.example\n", feed.Feed{Columns: &sheet.Mapping{Columns: map[string]string{"value": "host"}}}, nil},
		"bundle": {bundle(stixIndicator(1, "bad.example.org"), stixIndicator(2, "www.mod.example")), bundle(stixIndicator(3, "x.example.org"), stixIndicator(1, "bad.example.org"), stixIndicator(2, "www.mod.example")), feed.Feed{}, nil},
		"MISP":   {mispEvent(event1, 1700000000, "bad.example.org", "www.mod.example"), mispEvent(event1, 1700000100, "bad.example.org", "www.mod.example", "x.example.org"), feed.Feed{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			r := newReader(t, s.rules)
			f := s.feed(feed.HTTPS, "/file")
			f.Marking, f.Columns, f.RevokeVanished = "TLP:GREEN", c.feed.Columns, name == "list"
			s.put("/file", c.first)
			r.add(f)
			r.must("cert")
			r.wantArmed("at first", "bad.example.org")
			if got := r.letIn(); !slices.Equal(got, c.refused) {
				t.Fatalf("refused: %v, want %v", got, c.refused)
			}
			r.wantArmed("let in", "bad.example.org", "www.mod.example")
			for _, code := range r.letIn() {
				if code != "quarantine.released" && !slices.Contains(c.refused, code) {
					t.Errorf("let in again: %s", code)
				}
			}
			before := len(r.quarantine())
			s.put("/file", c.later)
			if got := r.must("cert"); got.Vanished > 0 || got.Quarantined > len(c.refused) {
				t.Errorf("it comes again: %+v", got)
			}
			r.wantArmed("it comes again", "bad.example.org", "www.mod.example", "x.example.org")
			if after := len(r.quarantine()); after != before {
				t.Errorf("%d in quarantine, before %d", after, before)
			}
		})
	}
}

// TestLetInIsOfItsValues: a later version of what was let in is let in with it;
// one that names something else that is protected waits.
func TestLetInIsOfItsValues(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReader(t, s.rules)
	later := func(text, day string) string {
		return strings.Replace(text, `"modified":"`+text[strings.Index(text, `"modified":"`)+12:][:10], `"modified":"`+day, 1)
	}
	one := stixIndicator(1, "www.mod.example")
	s.put("/file", bundle(one))
	r.add(s.feed(feed.HTTPS, "/file"))
	r.must("cert")
	if got := r.letIn(); len(got) > 0 {
		t.Fatal(got)
	}
	s.put("/file", bundle(later(one, "2026-04-01")))
	if got := r.must("cert"); got.New != 1 || got.Quarantined > 0 {
		t.Errorf("a later version: %+v", got)
	}
	s.put("/file", bundle(later(stixIndicator(1, "mail.mod.example"), "2026-04-02")))
	if got := r.must("cert"); got.New > 0 || got.Quarantined != 1 {
		t.Errorf("another value: %+v", got)
	}
	r.wantArmed("in the end", "www.mod.example")
}

// TestLetInThatConflicts: what would not come into use is not let in: its source
// has brought another body under the same version meanwhile.
func TestLetInThatConflicts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReader(t, s.rules)
	s.put("/file", bundle(stixIndicator(1, "www.mod.example")))
	r.add(s.feed(feed.HTTPS, "/file"))
	r.must("cert")
	s.put("/file", bundle(stixIndicator(1, "x.example.org")))
	r.must("cert")
	for range 2 {
		if got := r.letIn(); !slices.Equal(got, []string{"quarantine.other-body"}) {
			t.Fatalf("refused: %v", got)
		}
	}
	r.wantArmed("in the end", "x.example.org")
}
