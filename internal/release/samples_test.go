package release_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
)

// cut lists the samples of which something has to be cut out before they can
// go: they must not let anything out that is not expected to go whole.
var cut = cases([][2]int{{27, 28}, {39, 39}, {45, 45}, {56, 56}, {63, 63}})

// graphs lists those that are about portions, references and their closure:
// what is not sent there may be held where it is expected to be denied.
var graphs = cases([][2]int{{39, 46}, {56, 56}, {62, 63}})

func cases(ranges [][2]int) map[string]bool {
	m := map[string]bool{}
	for _, r := range ranges {
		for n := r[0]; n <= r[1]; n++ {
			m[fmt.Sprintf("d%03d", n)] = true
		}
	}
	return m
}

func TestSamples(t *testing.T) {
	var want expected
	readJSON(t, "expected.json", &want)
	w := readWorld(t)
	if len(want.Cases) != 63 {
		t.Fatalf("%d cases, want 63", len(want.Cases))
	}
	for _, x := range want.Cases {
		t.Run(strings.TrimSuffix(x.File, ".json"), func(t *testing.T) {
			objects := readBundle(t, x.File)
			for partner, decisions := range x.Expected {
				c := w.graphOf(t, objects, x.Holder, partner, realmOf(t, x.Mode))
				got := release.Decide(c)
				var wire strings.Builder
				for i, it := range c.Items {
					if it.Type == "marking-definition" {
						continue
					}
					sent := got[i].Outcome == noroshi.Release
					if sent {
						wire.Write(objects[i].Bytes())
					}
					expect := decisions[it.ID].Decision
					if sent && expect != "release" {
						t.Errorf("%s %s: sent, want %s", partner, it.ID, expect)
					}
					if !cut[x.File[:4]] && sent != (expect == "release") {
						t.Errorf("%s %s: got %s %v, want %s", partner, it.ID, got[i].Outcome, got[i].Reasons, expect)
					}
					if len(got[i].Reasons) == 0 {
						t.Errorf("%s %s: no reason", partner, it.ID)
					}
					if !cut[x.File[:4]] && !graphs[x.File[:4]] && got[i].Outcome.String() != expect {
						t.Errorf("%s %s: got %s, want %s: %v", partner, it.Type, got[i].Outcome, expect, got[i].Reasons)
					}
				}
				for _, canary := range x.MustNotAppear[partner] {
					if strings.Contains(wire.String(), canary) {
						t.Errorf("%s: %q is on the wire", partner, canary)
					}
				}
			}
		})
	}
}
