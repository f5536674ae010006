package release_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

// definition writes a statement marking.
func definition(n int, by stix.ID, statement string) string {
	maker := ""
	if by != "" {
		maker = fmt.Sprintf(`,"created_by_ref":%q`, by)
	}
	return fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z"%s,"definition_type":"statement","definition":{"statement":%q}}`,
		id("marking-definition", n), maker, statement)
}

// marked adds markings to an object that object wrote.
func marked(object string, ids ...stix.ID) string {
	for _, m := range ids {
		if strings.Contains(object, `"object_marking_refs":[`) {
			object = strings.Replace(object, `"object_marking_refs":[`, fmt.Sprintf(`"object_marking_refs":[%q,`, m), 1)
		} else {
			object = object[:len(object)-1] + fmt.Sprintf(`,"object_marking_refs":[%q]}`, m)
		}
	}
	return object
}

// drawn draws a small graph as bodies to admit: objects of our own under
// several levels, makers and statements, that refer to each other, in circles
// too; definitions, some of them twice and different; later versions.
func drawn(r *rand.Rand) (bodies []string, doubtful bool) {
	names := []string{"indicator", "malware", "relationship", "report", "note", "language-content"}
	n := 3 + r.IntN(7)
	ids := make([]stix.ID, n)
	for i := range ids {
		ids[i] = id(names[r.IntN(len(names))], i)
	}
	any := func() stix.ID {
		if r.IntN(12) == 0 {
			return id("malware", 99) // never comes
		}
		return ids[r.IntN(n)]
	}
	for i, me := range ids {
		members := ""
		switch me.Type() {
		case "malware":
			members = `,"name":"m","is_family":false`
			if r.IntN(6) == 0 {
				members = `,"name":"(S) m","is_family":false`
			}
		case "relationship":
			members = ends(any(), any())
		case "report":
			members = fmt.Sprintf(`,"name":"r","published":"2026-11-01T00:00:00Z","object_refs":[%q,%q]`, any(), any())
		case "note":
			members = fmt.Sprintf(`,"content":"n","object_refs":[%q]`, any())
		case "language-content":
			members = fmt.Sprintf(`,"object_ref":%q,"contents":{"ja":{"name":"x"}}`, any())
		}
		by := []stix.ID{usa.Identity, usa.Identity, id("identity", 70)}[r.IntN(3)]
		level := []noroshi.TLP{noroshi.Green, noroshi.Green, noroshi.Green, noroshi.Green, noroshi.Clear, noroshi.Amber, noroshi.AmberStrict, noroshi.NoTLP}[r.IntN(8)]
		var marks []stix.ID
		for k := range 3 {
			if r.IntN(6) == 0 {
				marks = append(marks, id("marking-definition", 80+k))
			}
		}
		body := marked(object(me.Type(), i, by, level, members), marks...)
		bodies = append(bodies, body)
		if r.IntN(6) == 0 {
			bodies = append(bodies, later(body))
		}
	}
	who := object("identity", 70, "", []noroshi.TLP{noroshi.Green, noroshi.Green, noroshi.Green, noroshi.Amber}[r.IntN(4)], `,"name":"vendor"`)
	if r.IntN(3) == 0 {
		who = marked(who, id("marking-definition", 80))
	}
	if r.IntN(6) > 0 {
		bodies = append(bodies, who)
	}
	for k := range 3 {
		if r.IntN(6) == 0 {
			continue
		}
		by := []stix.ID{"", id("identity", 70)}[r.IntN(2)]
		bodies = append(bodies, definition(80+k, by, allowed))
		if r.IntN(3) == 0 {
			bodies, doubtful = append(bodies, definition(80+k, by, "something else")), true
		}
	}
	return bodies, doubtful
}

// rests is what a desk comes to: what goes to the partner, and the hold of each
// version that waits, without what depends on the order things came in. A
// definition that was released with what is held since may go, alone.
func (o *office) rests() (goes []string, waits map[string]string) {
	o.t.Helper()
	waits = map[string]string{}
	for _, h := range o.holds() {
		rows, err := o.store.HoldMembers(o.ctx, h.ID, 0, 1000)
		if err != nil {
			o.t.Fatal(err)
		}
		hold := fmt.Sprint(h.Partner, h.Run, " ", h.Label, " ", h.Key, h.Clause, h.Precedence, h.Reasons)
		for _, m := range rows {
			waits[m.Hash.String()] = hold
		}
	}
	sent := o.sends(jpn)
	carried := func(mark string) bool {
		for k, body := range sent {
			if string(k) != mark && strings.Contains(body, mark) {
				return true
			}
		}
		return false
	}
	for k := range sent {
		if k.Type() != "marking-definition" || carried(string(k)) {
			goes = append(goes, string(k))
		}
	}
	slices.Sort(goes)
	return goes, waits
}

// TestOrderOfAdmission is L5 on a real store: the same objects in any order, in
// any acts, with the desk stepping at any time between them, end in the same
// objects going and the same holds.
func TestOrderOfAdmission(t *testing.T) {
	rounds := uint64(tier.N(8, 600))
	var went, held, doubts int
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			bodies, doubtful := drawn(r)
			file := noroshi.Source{Kind: noroshi.FromFile, Name: "x.json", Person: "jones"}
			source := []noroshi.Source{made, file}[r.IntN(2)]
			var first []string
			var second map[string]string
			for try := range 3 {
				o := newOffice(t, jpn)
				var versions []*store.Version
				for _, b := range bodies {
					versions = append(versions, version(t, source, "run", b))
				}
				r.Shuffle(len(versions), func(i, j int) { versions[i], versions[j] = versions[j], versions[i] })
				for len(versions) > 0 {
					n := 1 + r.IntN(len(versions))
					if try == 0 {
						n = len(versions)
					}
					o.put(versions[:n]...)
					versions = versions[n:]
					if r.IntN(3) > 0 {
						release.SetSlice(o.desk, 1+r.IntN(6))
						for range r.IntN(8) {
							if _, err := o.desk.Step(o.ctx); err != nil {
								t.Fatal(err)
							}
						}
					}
				}
				o.settle()
				goes, waits := o.rests()
				if try == 0 {
					first, second = goes, waits
					went += len(goes)
					held += len(waits)
					if doubtful {
						doubts++
					}
					continue
				}
				want := maps.Clone(second)
				maps.DeleteFunc(want, func(hash, hold string) bool {
					return waits[hash] == "" && strings.Contains(hold, noroshi.UnknownTwo)
				})
				if diff := cmp.Diff(first, goes) + cmp.Diff(want, waits); diff != "" {
					t.Fatalf("seed %d, order %d: all at once and in order end otherwise:\n%s\nof\n%s", seed, try, diff, strings.Join(bodies, "\n"))
				}
				if report, err := o.store.Verify(o.ctx, nil); err != nil || len(report.Faults) > 0 {
					t.Fatalf("seed %d: %+v, %v", seed, report, err)
				}
			}
		})
	}
	if went < int(rounds) || held < int(rounds) || doubts == 0 {
		t.Errorf("the generator makes too little: %d, %d, %d", went, held, doubts)
	}
}
