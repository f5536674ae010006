package release_test

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// after returns a gate whose decisions are changed once they are made.
func after(change func(c *release.Case, i int, d *release.Decision)) gate {
	g := sound()
	g.decide = func(c release.Case) []release.Decision {
		out := release.Decide(c)
		for i := range out {
			out[i].Cut = slices.Clone(out[i].Cut)
			change(&c, i, &out[i])
		}
		return out
	}
	return g
}

// told returns a gate that is told something else of an object.
func told(change func(g *drawing, x *thing, it *release.Item)) gate {
	g := sound()
	g.item = func(d *drawing, x *thing, it release.Item) release.Item {
		change(d, x, &it)
		return it
	}
	return g
}

// uncut returns a gate that leaves in what it should cut, where keep says so.
func uncut(keep func(it *release.Item, selector string) bool) gate {
	return after(func(c *release.Case, i int, d *release.Decision) {
		d.Cut = slices.DeleteFunc(d.Cut, func(s string) bool { return keep(&c.Items[i], s) })
	})
}

var asciiMark = regexp.MustCompile(`\((?:C|S|TS)(?://[^)]*)?\)|//NF|NOFORN`)

// planted are gates that leak, each in one way.
var planted = map[string]gate{
	"a placeholder stands for a reference that is cut": func() gate {
		g := sound()
		g.view = func(o *stix.Object, cut []string) (*stix.Object, error) {
			v, err := release.View(o, cut)
			for _, s := range cut {
				if list, _, ok := strings.Cut(s, ".["); ok && err == nil && strings.HasSuffix(list, "_refs") {
					return stix.Parse([]byte(strings.Replace(string(v.Bytes()), `"`+list+`":[`, `"`+list+`":["--",`, 1)))
				}
			}
			return v, err
		}
		return g
	}(),
	"what TLP calls itself is compared case-blind": told(func(_ *drawing, x *thing, it *release.Item) {
		it.Label.Unknown = slices.DeleteFunc(slices.Clone(it.Label.Unknown), func(u string) bool {
			defs := defined(stix.ID(u[strings.LastIndexByte(u, ' ')+1:]))
			upper := len(defs) > 0 && strings.Contains(string(defs[0].Bytes()), `"tlp":"CLEAR"`)
			if upper {
				it.Label.TLP = max(it.Label.TLP, noroshi.Clear)
			}
			return upper
		})
	}),
	"translations keep what is cut out of the original": uncut(func(it *release.Item, s string) bool {
		return it.Type == "language-content" && strings.HasPrefix(s, "contents.")
	}),
	"the maker stays":                         uncut(func(_ *release.Item, s string) bool { return s == "created_by_ref" }),
	"places where something was sighted stay": uncut(func(_ *release.Item, s string) bool { return strings.HasPrefix(s, "where_sighted_refs") }),
	"references of other specifications stay": uncut(func(_ *release.Item, s string) bool { return strings.HasPrefix(s, "x_") && strings.Contains(s, "_ref") }),
	"references inside of extensions stay": uncut(func(_ *release.Item, s string) bool {
		return strings.HasPrefix(s, "extensions.") && strings.HasSuffix(s, "_ref")
	}),
	"selectors of more than one part cut nothing": uncut(func(_ *release.Item, s string) bool { return strings.Count(s, ".") > 1 }),
	"lists are not looked into": uncut(func(_ *release.Item, s string) bool {
		return strings.HasSuffix(s, "]") && !strings.Contains(s, "_refs")
	}),
	"the closure takes one step": func() gate {
		g := sound()
		g.decide = release.DecideShallow
		return g
	}(),
	"ends of relationships need not go": told(func(_ *drawing, _ *thing, it *release.Item) {
		if it.Type == "relationship" {
			it.Refs = slices.DeleteFunc(slices.Clone(it.Refs), func(r stix.Ref) bool { return r.Required })
		}
	}),
	"what is sighted need not go": told(func(_ *drawing, _ *thing, it *release.Item) {
		if it.Type == "sighting" {
			it.Refs = slices.DeleteFunc(slices.Clone(it.Refs), func(r stix.Ref) bool { return r.Required })
		}
	}),
	"the head counts what is withheld": func() gate {
		g := sound()
		g.count = func(c *release.Case, rows int) int { return len(c.Items) }
		return g
	}(),
	"objects stand by how many references they had": func() gate {
		g := sound()
		g.order = func(c *release.Case, a, b int) int { return cmp.Compare(len(c.Items[a].Refs), len(c.Items[b].Refs)) }
		return g
	}(),
	"definitions of portions that are cut travel": func() gate {
		g := sound()
		g.travel = func(c *release.Case, i int, d *release.Decision) []stix.ID {
			list := slices.Clone(d.Travels)
			for _, p := range c.Items[i].Portions {
				list = append(list, p.Marking)
			}
			return list
		}
		return g
	}(),
	"the label is that of the whole object": after(func(c *release.Case, i int, d *release.Decision) {
		for _, p := range c.Items[i].Portions {
			d.Label = d.Label.Join(p.Label)
		}
	}),
	"granular markings of what is cut stay": func() gate {
		g := sound()
		g.view = func(o *stix.Object, cut []string) (*stix.Object, error) {
			v, err := release.View(o, cut)
			if was := o.Property("granular_markings"); err == nil && v != o && was != nil {
				b := string(v.Bytes())
				if is := v.Property("granular_markings"); is != nil {
					b = strings.Replace(b, string(is), string(was), 1)
				} else {
					b = b[:len(b)-1] + `,"granular_markings":` + string(was) + "}"
				}
				return stix.Parse([]byte(b))
			}
			return v, err
		}
		return g
	}(),
	"of two bodies one goes": told(func(_ *drawing, _ *thing, it *release.Item) { it.Conflict = false }),
	"text is searched for marks as it is written": told(func(_ *drawing, _ *thing, it *release.Item) {
		it.Mark = asciiMark.FindString(string(it.Object.Bytes()))
	}),
	"everything counts as our own": told(func(_ *drawing, _ *thing, it *release.Item) { it.Origin = release.Self }),
	"nothing forbids cuts": told(func(_ *drawing, _ *thing, it *release.Item) {
		l := it.Label
		l.ACS = slices.Clone(l.ACS)
		for i := range l.ACS {
			l.ACS[i].Access = append(slices.Clone(l.ACS[i].Access), noroshi.ACSRule{Permit: true, Action: noroshi.TearLine})
		}
		it.Label = l
	}),
	"what waits for persons goes": after(func(_ *release.Case, _ int, d *release.Decision) {
		if _, ok := release.Approvals(d.Key); ok && d.Outcome == noroshi.Hold {
			d.Outcome, d.Key = noroshi.Release, ""
		}
	}),
	"portions are read no stricter than the object": told(func(_ *drawing, _ *thing, it *release.Item) { it.Portions = nil }),
	"the last marking wins": told(func(g *drawing, x *thing, it *release.Item) {
		if n := len(x.stamps); n > 1 {
			it.Label = noroshi.MarkingLabel(x.stamps[n-1].id, g.defs(x.stamps[n-1].id), []string{allowed})
		}
	}),
	"statements nobody agreed on have no effect": told(func(_ *drawing, _ *thing, it *release.Item) {
		it.Label.Unknown = slices.DeleteFunc(slices.Clone(it.Label.Unknown), func(u string) bool { return strings.HasPrefix(u, noroshi.UnknownStatement) })
	}),
	"what has no marking counts as GREEN": told(func(_ *drawing, _ *thing, it *release.Item) {
		if !it.Label.Handled() && len(it.Label.Unknown) == 0 {
			it.Label.TLP = noroshi.Green
		}
	}),
}

// foundWithin is how many graphs the battery has to find a leak in.
const foundWithin = 1000

// TestPlantedLeaks: the battery of TestBytesNonInterference finds each planted
// leak within 1,000 graphs.
func TestPlantedLeaks(t *testing.T) {
	if len(planted) < 10 {
		t.Errorf("%d leaks are planted", len(planted))
	}
	var most atomic.Uint64
	t.Run("each", func(t *testing.T) {
		for name, by := range planted {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for seed := range uint64(foundWithin) {
					if err := leak(seed, by, nil); err != nil {
						what, _, _ := strings.Cut(fmt.Sprint(err), "\n")
						t.Logf("graph %d: %s", seed+1, what)
						for was := most.Load(); was < seed+1 && !most.CompareAndSwap(was, seed+1); was = most.Load() {
						}
						return
					}
				}
				t.Errorf("not found in %d graphs", foundWithin)
			})
		}
	})
	t.Logf("%d planted leaks, the last found in graph %d", len(planted), most.Load())
}
