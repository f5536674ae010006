package release_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

var (
	now  = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	usa  = noroshi.Party{CallSign: "USA-01", Node: noroshi.NodeID{1}, Identity: "identity--d57b5236-557d-55b7-833c-5085983e62d4"}
	jpn  = noroshi.Party{CallSign: "JPN-01", Node: noroshi.NodeID{2}, Identity: "identity--5790eeaa-9674-55aa-ad8c-e5ea8bd3fd48"}
	real = noroshi.Real
)

// agreed returns the template agreement's clauses.
func agreed(t testing.TB) *release.Clauses {
	t.Helper()
	a, err := noroshi.ParseAgreement(release.Template(release.Draft{
		Realm: real, Self: usa, Partner: jpn, From: now.AddDate(0, -1, 0), Until: now.AddDate(1, 0, 0),
	}))
	if err != nil {
		t.Fatal(err)
	}
	c, err := release.Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// randomCase draws a graph of up to 14 objects with ends, lists, translations,
// sightings, custom references, cycles, things sent before and things missing.
func randomCase(r *rand.Rand, clauses *release.Clauses) release.Case {
	c := release.Case{
		Realm: real, Now: now, Self: usa.Identity, Partner: jpn, Clauses: clauses, Around: map[stix.ID]release.Standing{},
	}
	types := []string{"indicator", "malware", "relationship", "sighting", "report", "note", "language-content", "marking-definition"}
	n := 2 + r.IntN(13)
	for i := range n {
		typ := types[r.IntN(len(types))]
		it := release.Item{
			ID: stix.ID(fmt.Sprintf("%s--00000000-0000-4000-8000-%012d", typ, i)), Type: typ, Precedence: noroshi.Routine,
			Label: randomLabel(r), Origin: release.Origin(r.IntN(3)), Group: []string{"", "run-1"}[r.IntN(2)],
		}
		if it.Origin == release.Self {
			it.Maker = usa.Identity
		}
		if r.IntN(12) == 0 {
			it.Mark = "(S)"
		}
		if typ == "report" && r.IntN(2) == 0 {
			it.Warning, it.Precedence = true, noroshi.Precedence(1+r.IntN(4))
		}
		if above(it) {
			it.Done, it.Theirs = false, false
		} else {
			it.Done, it.Theirs, it.Withdrawn = r.IntN(8) == 0, r.IntN(12) == 0, r.IntN(15) == 0
		}
		c.Items = append(c.Items, it)
	}
	for i := range c.Items {
		link(r, &c, i)
	}
	release.Translate(c.Items)
	return c
}

func randomLabel(r *rand.Rand) noroshi.Label {
	l := noroshi.Label{TLP: noroshi.TLP(1 + r.IntN(4))}
	switch r.IntN(8) {
	case 0:
		l.TLP = noroshi.Red
	case 1:
		l.TLP = noroshi.NoTLP
	case 2:
		l.Unknown = []string{"granular"}
	}
	return l
}

// above reports that the partner may not see the object whatever people sign.
func above(it release.Item) bool {
	return it.Type != "marking-definition" && (it.Label.TLP == noroshi.Red || it.Label.TLP == noroshi.NoTLP || len(it.Label.Unknown) > 0)
}

func link(r *rand.Rand, c *release.Case, i int) {
	it := &c.Items[i]
	target := func() stix.ID {
		if r.IntN(8) == 0 {
			id := stix.ID(fmt.Sprintf("tool--00000000-0000-4000-8000-%012d", r.IntN(4)))
			if _, drawn := c.Around[id]; !drawn {
				c.Around[id] = release.Standing(r.IntN(3))
			}
			return id
		}
		return c.Items[r.IntN(len(c.Items))].ID
	}
	switch it.Type {
	case "relationship":
		it.Refs = append(it.Refs, stix.Ref{Path: "source_ref", Target: target(), Required: true}, stix.Ref{Path: "target_ref", Target: target(), Required: true})
	case "sighting":
		it.Refs = append(it.Refs, stix.Ref{Path: "sighting_of_ref", Target: target(), Required: true})
	case "language-content":
		it.Refs = append(it.Refs, stix.Ref{Path: "object_ref", Target: target(), Required: true})
	case "report", "note":
		for k := range 1 + r.IntN(3) {
			it.Refs = append(it.Refs, stix.Ref{Path: fmt.Sprintf("object_refs.[%d]", k), Target: target(), Required: true})
		}
	}
	switch r.IntN(6) {
	case 0:
		it.Refs = append(it.Refs, stix.Ref{Path: "created_by_ref", Target: usa.Identity})
	case 1:
		it.Refs = append(it.Refs, stix.Ref{Path: "created_by_ref", Target: target()})
	case 2:
		it.Refs = append(it.Refs, stix.Ref{Path: "x_seen_by_ref", Target: target(), Custom: true})
	case 3:
		for _, m := range c.Items {
			if m.Type == "marking-definition" && m.ID != it.ID {
				it.Markings = append(it.Markings, m.ID)
				break
			}
		}
	}
}

// sent returns what goes without a further act, with all a batch is keyed by.
func sent(c release.Case) map[stix.ID]string {
	out := map[stix.ID]string{}
	for i, d := range release.Decide(c) {
		it := &c.Items[i]
		if (d.Outcome == noroshi.Release || d.Outcome == noroshi.Redact) && !it.Done {
			out[it.ID] = d.Clause + " " + d.Label.String() + " " + it.Precedence.String()
			for _, r := range it.Refs {
				if !slices.Contains(d.Cut, r.Path) {
					out[it.ID] += " " + string(r.Target)
				}
			}
		}
	}
	return out
}

func copyCase(c release.Case) release.Case {
	c.Items = slices.Clone(c.Items)
	for i := range c.Items {
		c.Items[i].Refs = slices.Clone(c.Items[i].Refs)
	}
	return c
}

// TestNonInterference is L1: whatever is changed in objects above the partner,
// what leaves is the same.
func TestNonInterference(t *testing.T) {
	clauses := agreed(t)
	var graphs, withheldEnds, cycles, translations, sightings int
	for seed := range uint64(tier.N(20_000, 100_000)) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := randomCase(r, clauses)
		before := sent(c)
		changed := copyCase(c)
		for i := range changed.Items {
			if above(changed.Items[i]) {
				changeAbove(r, &changed, i)
			}
		}
		for id, s := range changed.Around {
			if s == release.Withheld && !customTarget(c, id) {
				delete(changed.Around, id) // held or not held: the same
			}
		}
		after := sent(changed)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("seed %d: what leaves depends on what may not:\n%s", seed, diff)
		}
		graphs++
		w, cy, tr, si := statistics(c)
		withheldEnds, cycles, translations, sightings = withheldEnds+w, cycles+cy, translations+tr, sightings+si
	}
	for name, n := range map[string]int{"withheld ends (30 %)": withheldEnds * 100 / 30, "cycles (10 %)": cycles * 10, "translations (10 %)": translations * 10, "sightings (10 %)": sightings * 10} {
		if n < graphs {
			t.Errorf("the generator makes too few %s of %d graphs", name, graphs)
		}
	}
}

// changeAbove changes everything but the level of an object the partner may
// not see.
func changeAbove(r *rand.Rand, c *release.Case, i int) {
	it := &c.Items[i]
	it.Mark = []string{"", "(TS)"}[r.IntN(2)]
	it.Origin = release.Origin(r.IntN(3))
	it.KnownGood, it.Revoked, it.Conflict = r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0
	it.Group = "run-2"
	it.Refs, it.Markings = nil, nil
	link(r, c, i)
	if it.Label.TLP == noroshi.Red && r.IntN(2) == 0 {
		it.Label.Unknown = []string{"unresolved"}
	}
}

func customTarget(c release.Case, id stix.ID) bool {
	for _, it := range c.Items {
		for _, r := range it.Refs {
			if r.Custom && r.Target == id {
				return true
			}
		}
	}
	return false
}

// statistics says whether a graph has an end that is withheld from something
// that could else go, a cycle, a translation, a sighting.
func statistics(c release.Case) (withheld, cycle, translation, sighting int) {
	by := map[stix.ID]release.Item{}
	for _, it := range c.Items {
		by[it.ID] = it
	}
	for _, it := range c.Items {
		switch it.Type {
		case "language-content":
			translation = 1
		case "sighting":
			sighting = 1
		}
		for _, r := range it.Refs {
			if to, ok := by[r.Target]; ok && above(to) && !above(it) {
				withheld = 1
			}
			if reaches(by, r.Target, it.ID, map[stix.ID]bool{}) {
				cycle = 1
			}
		}
	}
	return withheld, cycle, translation, sighting
}

func reaches(by map[stix.ID]release.Item, from, to stix.ID, seen map[stix.ID]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, r := range by[from].Refs {
		if reaches(by, r.Target, to, seen) {
			return true
		}
	}
	return false
}

// TestOrderFree is L4: the order of objects and of references decides nothing.
func TestOrderFree(t *testing.T) {
	clauses := agreed(t)
	for seed := range uint64(tier.N(2_000, 50_000)) {
		r := rand.New(rand.NewPCG(seed, 4))
		c := randomCase(r, clauses)
		want := map[stix.ID]release.Decision{}
		for i, d := range release.Decide(c) {
			want[c.Items[i].ID] = d
		}
		m := copyCase(c)
		r.Shuffle(len(m.Items), func(i, j int) { m.Items[i], m.Items[j] = m.Items[j], m.Items[i] })
		for i, d := range release.Decide(m) {
			if diff := cmp.Diff(want[m.Items[i].ID], d); diff != "" {
				t.Fatalf("seed %d: %s: %s", seed, m.Items[i].ID, diff)
			}
		}
	}
}

// TestMonotone is L6: a marking added to any object, a text mark, a withdrawal
// never widens what leaves.
func TestMonotone(t *testing.T) {
	clauses := agreed(t)
	for seed := range uint64(tier.N(5_000, 100_000)) {
		r := rand.New(rand.NewPCG(seed, 6))
		c := randomCase(r, clauses)
		before := sent(c)
		m := copyCase(c)
		it := &m.Items[r.IntN(len(m.Items))]
		switch r.IntN(4) {
		case 0:
			it.Mark = "(S)"
		case 1:
			it.Withdrawn = true
		default:
			if !it.Label.Handled() {
				continue // the first handling marking is what lifts "unmarked"
			}
			it.Label = it.Label.Join(randomLabel(r))
		}
		for id := range sent(m) {
			if _, ok := before[id]; !ok {
				t.Fatalf("seed %d: %s leaves only because %s was marked more strictly", seed, id, it.ID)
			}
		}
	}
}

// TestNothingWithoutAnAgreementInForce is L7: no agreement, one of another
// realm, one not yet or no longer in force: everything is denied.
func TestNothingWithoutAnAgreementInForce(t *testing.T) {
	clauses := agreed(t)
	drill, err := noroshi.ParseRealm("exercise:ex-1")
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(500) {
		c := randomCase(rand.New(rand.NewPCG(seed, 7)), clauses)
		for name, change := range map[string]func(*release.Case){
			"none":        func(c *release.Case) { c.Clauses = nil },
			"expired":     func(c *release.Case) { c.Now = clauses.Agreement().Until },
			"not yet":     func(c *release.Case) { c.Now = clauses.Agreement().From.Add(-time.Second) },
			"other realm": func(c *release.Case) { c.Realm = drill },
			"no realm":    func(c *release.Case) { c.Realm = noroshi.Realm{} },
		} {
			m := copyCase(c)
			change(&m)
			for i, d := range release.Decide(m) {
				if d.Outcome != noroshi.Deny || len(d.Reasons) == 0 {
					t.Fatalf("seed %d, %s: %s is %s", seed, name, m.Items[i].ID, d.Outcome)
				}
			}
		}
	}
}
