package release_test

import (
	"slices"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestOnlyWhatMayNotGoIsOverheld: a former version is to be recalled where the
// later one, marked more strictly, may not go or hides what it shows. What two
// persons could approve again is left to them.
func TestOnlyWhatMayNotGoIsOverheld(t *testing.T) {
	malware := func(mark noroshi.TLP) string {
		return object("malware", 1, usa.Identity, mark, `,"name":"m","description":"d","is_family":false`)
	}
	part := func(object string, mark noroshi.TLP) string { return granular(object, mark.MarkingID(), "description") }
	for name, c := range map[string]struct {
		first, then string
		over, held  bool
	}{
		"GREEN, then AMBER":                            {malware(noroshi.Green), malware(noroshi.Amber), false, true},
		"GREEN, then AMBER+STRICT":                     {malware(noroshi.Green), malware(noroshi.AmberStrict), false, true},
		"GREEN, then RED":                              {malware(noroshi.Green), malware(noroshi.Red), true, false},
		"GREEN, then AMBER with the same part at RED":  {malware(noroshi.Green), part(malware(noroshi.Amber), noroshi.Red), true, true},
		"GREEN, then with a part at RED":               {malware(noroshi.Green), part(malware(noroshi.Green), noroshi.Red), true, false},
		"a part at RED, then AMBER with the same part": {part(malware(noroshi.Green), noroshi.Red), part(malware(noroshi.Amber), noroshi.Red), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, jpn)
			first := o.put(version(t, made, "", c.first))[0]
			o.settle()
			has(t, o.sends(jpn), id("malware", 1))
			o.put(version(t, made, "", later(c.then)))
			o.settle()
			var want []int64
			if c.over {
				want = []int64{first}
			}
			if got := o.overheld(jpn); !slices.Equal(got, want) {
				t.Errorf("overheld: %v, want %v", got, want)
			}
			if h := o.holds(); len(h) > 0 != c.held || c.held && h[0].Key != noroshi.TwoPersons {
				t.Errorf("held: %+v", h)
			}
		})
	}
}

// overheld returns the versions the feed says a partner may hold no more, as
// often as it says so.
func (o *office) overheld(p noroshi.Party) (seqs []int64) {
	o.t.Helper()
	for after := int64(0); ; {
		page, err := o.store.Feed(o.ctx, after, store.MaxPage)
		if err != nil {
			o.t.Fatal(err)
		}
		for _, c := range page {
			after = c.Seq
			if c.Kind != store.Overheld {
				continue
			}
			node, seq, err := store.ParseOverheld(c.ID)
			if err != nil || node != p.Node {
				o.t.Fatalf("%q, %v", c.ID, err)
			}
			seqs = append(seqs, seq)
		}
		if len(page) == 0 {
			return seqs
		}
	}
}
