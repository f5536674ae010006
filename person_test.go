package noroshi_test

import (
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// TestDelegationsLastWithTheDelegators: a delegated role lasts from its first
// moment to before its last, and only while everyone who signed for it has the
// role of their own; what they signed in advance stands just so long.
func TestDelegationsLastWithTheDelegators(t *testing.T) {
	from := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)
	until := from.Add(time.Hour)
	officer := noroshi.Person{Roles: []noroshi.Role{noroshi.ReleaseOffice}}
	removed := noroshi.Person{Roles: officer.Roles, Removed: true}
	former := noroshi.Person{Roles: []noroshi.Role{noroshi.Viewer}}
	deputy := func(by ...string) noroshi.Person {
		return noroshi.Person{ID: "deputy", Roles: []noroshi.Role{noroshi.Analyst},
			Delegated: []noroshi.Delegation{{Role: noroshi.ReleaseOffice, From: from, Until: until, By: by}}}
	}
	for name, x := range map[string]struct {
		all  noroshi.Register
		at   time.Time
		want bool
	}{
		"at once":                  {noroshi.Register{"a": officer, "b": officer, "deputy": deputy("a", "b")}, from, true},
		"before":                   {noroshi.Register{"a": officer, "b": officer, "deputy": deputy("a", "b")}, from.Add(-1), false},
		"at its end":               {noroshi.Register{"a": officer, "b": officer, "deputy": deputy("a", "b")}, until, false},
		"a delegator removed":      {noroshi.Register{"a": officer, "b": removed, "deputy": deputy("a", "b")}, from, false},
		"a delegator without role": {noroshi.Register{"a": former, "b": officer, "deputy": deputy("a", "b")}, from, false},
		"a delegator unknown":      {noroshi.Register{"a": officer, "deputy": deputy("a", "b")}, from, false},
		"by nobody":                {noroshi.Register{"deputy": deputy()}, from, false},
		"by another delegate": {noroshi.Register{"a": officer, "b": deputy("a"), "deputy": deputy("a", "b")}, from,
			false},
	} {
		if got := x.all.At("deputy", x.at).May(noroshi.ActApprove); got != x.want {
			t.Errorf("%s: the deputy may approve: %v, want %v", name, got, x.want)
		}
		rule := noroshi.StandingRule{Until: until.Add(time.Hour), By: []string{"deputy"}}
		if got := rule.Lasts(noroshi.Hash{}, x.all, x.at); got != x.want {
			t.Errorf("%s: the standing rule they signed lasts: %v, want %v", name, got, x.want)
		}
	}
	if all := (noroshi.Register{"a": officer}); all.Stand(nil, noroshi.ActStandingRule, from) || all.At("b", from).May(noroshi.ActRead) {
		t.Error("nobody may do something")
	}
}
