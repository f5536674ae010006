package release_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/tier"
)

// pick returns one of these.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// pickSome returns up to two of these, sorted and unique, or nothing.
func pickSome(r *rand.Rand, of ...string) []string {
	var list []string
	for range r.IntN(3) {
		list = append(list, pick(r, of...))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// randomMarking draws what one marking means; most of them let something out.
func randomMarking(r *rand.Rand) noroshi.Label {
	switch r.IntN(8) {
	case 0, 1:
		return noroshi.Label{TLP: noroshi.TLP(1 + r.IntN(5))}
	case 2:
		p := noroshi.IEP{TLP: pick(r, noroshi.Clear, noroshi.Green, noroshi.Amber, noroshi.Red), Start: now.AddDate(0, 0, r.IntN(8)-6)}
		if r.IntN(2) == 0 {
			p.End = now.AddDate(0, 0, r.IntN(8)-1)
		}
		return noroshi.Label{IEP: []noroshi.IEP{p}}
	case 3:
		return noroshi.Label{JPN: []noroshi.Japanese{{Kubun: pick(r, "公開", "部内限り", "秘", "極秘", "特定秘密", "機密"),
			Originator: pick(r, "JPN.MOD", "USA.DOD", "JPN.MOFA"), To: pickSome(r, "JPN", "KOR", "USA")}}}
	case 4:
		return pick(r, noroshi.Label{Unknown: []string{"unresolved"}}, noroshi.Label{Exercise: "ex-2026-1"}, noroshi.Label{Exercise: "ex-2"})
	}
	a := noroshi.ACS{
		Level: pick(r, noroshi.Unclassified, noroshi.Unclassified, noroshi.Unclassified, noroshi.Confidential, noroshi.Secret, noroshi.TopSecret), Authorised: r.IntN(8) > 0,
		Custodian: pick(r, "USA.DOD", "USA.DHS", "JPN.MOD"), PrivPermit: r.IntN(2) == 0, SharePermit: r.IntN(2) == 0, Released: r.IntN(2) == 0,
		Compartments: r.IntN(12) == 0, Nations: pickSome(r, "ALL", "JPN", "KOR"), Share: pickSome(r, "FOREIGNGOV", "JPN.MOD"),
	}
	switch r.IntN(8) {
	case 0:
		a.Formal = pickSome(r, "FOUO", "NF", "PUBREL")
	case 1:
		a.Orgs = pickSome(r, "ALL", "JPN.MOD")
	case 2:
		a.Entities = pickSome(r, "CTR", "MIL")
	case 3:
		a.Sensitivity = pickSome(r, "LES", "PII")
	case 4:
		a.Withhold = pickSome(r, "FOREIGNGOV", "KOR.MND")
	case 5:
		a.Access = []noroshi.ACSRule{{Permit: r.IntN(2) == 0, Action: pick(r, "IDSRC", "TEARLINE"), Nations: pickSome(r, "JPN")}}
	}
	return noroshi.Label{ACS: []noroshi.ACS{a}}
}

// TestMarkingsNeverWiden is L6 and L4 for every kind of marking: one more, in
// any place and any order, never lets a thing go further, names no source and
// frees no cut; nor does a partner get more than its own agreement says.
func TestMarkingsNeverWiden(t *testing.T) {
	w := readWorld(t)
	var cases []release.Case
	for _, realm := range []noroshi.Realm{noroshi.Real, realmOf(t, "exercise")} {
		for _, p := range partners {
			cases = append(cases, w.caseOf(t, "USA", p, realm))
		}
		for _, p := range []string{"USA", "ROK", public} {
			cases = append(cases, w.caseOf(t, "JPN", p, realm))
		}
	}
	released := map[string]int{}
	for seed := range uint64(tier.N(20_000, 500_000)) {
		r := rand.New(rand.NewPCG(seed, 5))
		list := make([]noroshi.Label, 1+r.IntN(4))
		for i := range list {
			list[i] = randomMarking(r)
		}
		join := func(list []noroshi.Label) (l noroshi.Label) {
			for _, m := range list {
				l = l.Join(m)
			}
			return l
		}
		l, fewer := join(list), join(list[1:])
		shuffled := append(slices.Clone(list), list[r.IntN(len(list))])
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if s := join(shuffled); s.String() != l.String() {
			t.Fatalf("seed %d: %s in another order is %s", seed, l, s)
		}
		from := release.Origin(r.IntN(3))
		for _, c := range cases {
			more := c.Judge(l, from)
			if reach(more) == 3 {
				released[kinds(l)]++
			}
			if c.Public && reach(more) > 0 && reach(more) < 3 {
				t.Fatalf("seed %d: %s waits for persons to go to everybody", seed, l)
			}
			if !fewer.Handled() && len(fewer.Unknown) == 0 {
				continue // the first handling marking is what lifts "unmarked"
			}
			less := c.Judge(fewer, from)
			if c.Realm.Exercise() != "" && fewer.Exercise == "" {
				continue // nor does anything go in an exercise without its marking
			}
			if more.Outcome < less.Outcome || reach(more) > reach(less) || less.SourceDenied && !more.SourceDenied || less.NoCuts && !more.NoCuts {
				t.Fatalf("seed %d, %s: %s is %+v, with one less, %s, it is %+v", seed, c.Partner.CallSign, l, more, fewer, less)
			}
		}
	}
	for _, kind := range []string{"TLP", "IEP", "ACS", "JPN", "TLP ACS", "IEP ACS", "ACS JPN", "TLP EXERCISE"} {
		if released[kind] == 0 {
			t.Errorf("nothing marked %s ever went: %v", kind, released)
		}
	}
}

// kinds are the kinds of markings in a label.
func kinds(l noroshi.Label) string {
	var list []string
	for _, p := range strings.Split(l.String(), ";") {
		kind, _, _ := strings.Cut(p, ":")
		list = append(list, kind)
	}
	return strings.Join(slices.Compact(list), " ")
}
