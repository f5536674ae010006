package intake_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// manyMarkings are members with so many markings of the whole and so many of a part.
func manyMarkings(whole, parts int) string {
	refs, granular := make([]string, whole), make([]string, parts)
	for i := range refs {
		refs[i] = fmt.Sprintf(`"marking-definition--00000000-0000-4000-8000-%012d"`, i)
	}
	for i := range granular {
		granular[i] = fmt.Sprintf(`{"marking_ref":"marking-definition--00000000-0000-4000-8000-%012d","selectors":["pattern"]}`, i)
	}
	more := ""
	if whole > 0 {
		more += `,"object_marking_refs":[` + strings.Join(refs, ",") + `]`
	}
	if parts > 0 {
		more += `,"granular_markings":[` + strings.Join(granular, ",") + `]`
	}
	return more
}

// TestTooManyMarkings: what has more markings than anybody means is quarantined
// with the count and the bound, whoever sends it; what is made here is refused.
func TestTooManyMarkings(t *testing.T) {
	t.Parallel()
	partner := noroshi.Source{Kind: noroshi.FromPartner, Partner: noroshi.NodeID{1}, Message: noroshi.Sum([]byte("m"))}
	cases := map[string]struct {
		from         noroshi.Source
		whole, parts int
		args         []string // of the refusal, nil = it is let in
	}{
		"as many as may be":         {fromFile, 64, 64, nil},
		"one more":                  {fromFile, 65, 0, []string{"65", "0", "64"}},
		"one more of parts":         {fromFile, 1, 65, []string{"1", "65", "64"}},
		"fifteen hundred":           {fromFile, 1500, 0, []string{"1500", "0", "64"}},
		"joined by a partner":       {partner, 256, 0, nil},
		"and more than any partner": {partner, 257, 0, []string{"257", "0", "256"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, noroshi.Real, nil)
			a := h.admit(c.from, indicator(1, old, "[domain-name:value='a.example']", manyMarkings(c.whole, c.parts)))
			if c.args == nil {
				if a.New != 1 {
					t.Errorf("admitted %+v, want one new", a)
				}
				return
			}
			q := h.quarantine()
			if a.Quarantined != 1 || len(q) != 1 {
				t.Fatalf("admitted %+v, %d in quarantine; want one", a, len(q))
			}
			if q[0].Code != "too-large" || q[0].Why.Code != "intake.markings" || !slices.Equal(q[0].Why.Args, c.args) {
				t.Errorf("quarantined for %s, %s %v; want too-large, intake.markings %v", q[0].Code, q[0].Why.Code, q[0].Why.Args, c.args)
			}
		})
	}
}

// TestMadeHereTooManyMarkings: what joins the markings of others' objects may
// have those of all of them; a person's own list ends somewhere too, and the
// person hears it.
func TestMadeHereTooManyMarkings(t *testing.T) {
	t.Parallel()
	h := open(t, noroshi.Real, nil)
	for _, c := range []struct {
		whole int
		code  string
	}{{130, ""}, {1500, "intake.markings"}} {
		o, err := stix.Parse([]byte(indicator(1, old, "[domain-name:value='a.example']", manyMarkings(c.whole, 0))))
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.PrepareObjects(noroshi.Source{Kind: noroshi.FromSelf}, "", []*stix.Object{o})
		if got := noroshi.CodeOf(err); got != c.code {
			t.Errorf("%d markings made here: error %v, want code %q", c.whole, err, c.code)
		}
	}
}
