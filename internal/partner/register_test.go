package partner_test

import (
	"slices"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
)

// newcomer is a person with a key of their own who is not in the register yet.
func newcomer(t *testing.T, id string, roles ...noroshi.Role) noroshi.Person {
	t.Helper()
	p, err := noroshi.NewPerson(id, "", roles, []byte("correct-horse-battery"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// adds has an administrator, and an officer unless with is "", add a person.
func (s *side) adds(by, with string, p noroshi.Person) error {
	signed := s.as(by, noroshi.ActAddPerson, p.ID, partner.PersonBound(p))
	return s.office.AddPerson(s.t.Context(), p, &signed, s.counter(with, p.ID, signed))
}

func (s *side) removes(by, with string, r partner.Removal) error {
	signed := s.as(by, noroshi.ActRemovePerson, r.Person, r.Bound())
	return s.office.RemovePerson(s.t.Context(), r, signed, s.counter(with, r.Person, signed))
}

func (s *side) counter(with, subject string, signed noroshi.Signed) *noroshi.Signed {
	if with == "" {
		return nil
	}
	c := s.as(with, noroshi.ActCountersign, subject, signed.Digest)
	return &c
}

// TestOneAdministratorMakesNoOfficers: the first release officer is for the
// administrator to add, a further one takes an officer's signature over the same
// person; nobody is administrator and release officer at once.
func TestOneAdministratorMakesNoOfficers(t *testing.T) {
	s := newSide(t, "USA-01", noroshi.Real, map[string]noroshi.Role{"alice": noroshi.Administrator, "erin": noroshi.Duty})
	if _, err := noroshi.NewPerson("both", "", []noroshi.Role{noroshi.Administrator, noroshi.ReleaseOffice}, []byte("correct-horse-battery")); code(err) != "person.administrator" {
		t.Errorf("both roles are made: %v", err)
	}
	both := newcomer(t, "both", noroshi.ReleaseOffice)
	both.Roles = append(both.Roles, noroshi.Administrator)
	if err := s.adds("alice", "", both); code(err) != "person.administrator" {
		t.Errorf("both roles: %v", err)
	}
	if err := s.adds("alice", "", newcomer(t, "first", noroshi.ReleaseOffice)); err != nil {
		t.Fatalf("the first officer: %v", err)
	}
	s.hire("carol", noroshi.ReleaseOffice) // an officer whose key the test has
	s.hire("frank", noroshi.Analyst)
	s.record("frank", func(p *noroshi.Person) {
		p.Delegated = []noroshi.Delegation{{Role: noroshi.ReleaseOffice, From: s.now, Until: s.now.AddDate(0, 0, 1), By: []string{"carol"}}}
	})
	next := newcomer(t, "next", noroshi.Analyst, noroshi.ReleaseOffice)
	for name, x := range map[string]struct{ with, want string }{
		"without an officer": {"", "person.needs-officer"},
		"with a duty":        {"erin", "person.role-may-not"},
		"with a delegate":    {"frank", "person.role-may-not"},
		"with themself":      {"alice", "order.second-person"},
	} {
		if err := s.adds("alice", x.with, next); code(err) != x.want {
			t.Errorf("%s: %v, want %s", name, err, x.want)
		}
	}
	other := newcomer(t, "next", noroshi.ReleaseOffice)
	signed := s.as("alice", noroshi.ActAddPerson, "next", partner.PersonBound(next))
	over := s.as("alice", noroshi.ActAddPerson, "next", partner.PersonBound(other))
	if err := s.office.AddPerson(t.Context(), next, &signed, s.counter("carol", "next", over)); code(err) != "person.signature" {
		t.Errorf("countersigned for another key: %v", err)
	}
	if err := s.adds("alice", "", newcomer(t, "duty", noroshi.Duty)); err != nil {
		t.Errorf("somebody who may not release: %v", err)
	}
	if err := s.adds("alice", "carol", next); err != nil {
		t.Errorf("with an officer: %v", err)
	}
	if _, by := s.acts(noroshi.ActAddPerson); !slices.Equal(by, []string{"alice", "carol"}) {
		t.Errorf("on record for the addition: %v", by)
	}
	s.intact()
}

// TestRemoved: a person or a role is removed by an administrator, a release
// officer with another's signature, the last of either role never. Who is
// removed signs nothing new, what they signed verifies, their id stays theirs.
func TestRemoved(t *testing.T) {
	s := newSide(t, "USA-01", noroshi.Real, map[string]noroshi.Role{"alice": noroshi.Administrator, "bob": noroshi.Liaison,
		"carol": noroshi.ReleaseOffice, "dave": noroshi.ReleaseOffice, "erin": noroshi.Duty})
	person, role := func(id string) partner.Removal { return partner.Removal{Person: id} }, func(id string, roles ...noroshi.Role) partner.Removal {
		return partner.Removal{Person: id, Roles: roles}
	}
	s.record("erin", func(p *noroshi.Person) { p.Roles = []noroshi.Role{noroshi.Duty, noroshi.Analyst} })
	s.card("bob", "JPN-01")
	for name, x := range map[string]struct {
		by, with string
		removal  partner.Removal
		want     string
	}{
		"by an officer":              {"carol", "", person("erin"), "person.role-may-not"},
		"of nobody":                  {"alice", "", person("nobody"), "person.unknown"},
		"the last administrator":     {"alice", "carol", person("alice"), "person.last"},
		"the last one's role":        {"alice", "carol", role("alice", noroshi.Administrator), "person.last"},
		"an officer, by one":         {"alice", "", person("dave"), "person.needs-officer"},
		"an officer's role, by one":  {"alice", "", role("dave", noroshi.ReleaseOffice), "person.needs-officer"},
		"an officer, with a duty":    {"alice", "erin", person("dave"), "person.role-may-not"},
		"a role that is not theirs":  {"alice", "", role("erin", noroshi.Liaison), "person.has-not-role"},
		"a role, signed as a person": {"alice", "", partner.Removal{}, "person.signature"},
	} {
		err := s.removes(x.by, x.with, x.removal)
		if name == "a role, signed as a person" {
			err = s.office.RemovePerson(t.Context(), role("erin", noroshi.Duty), s.as("alice", noroshi.ActRemovePerson, "erin", person("erin").Bound()), nil)
		}
		if code(err) != x.want {
			t.Errorf("%s: %v, want %s", name, err, x.want)
		}
	}
	for _, x := range []struct {
		with    string
		removal partner.Removal
	}{{"", person("bob")}, {"", role("erin", noroshi.Analyst)}, {"carol", person("dave")}} {
		if err := s.removes("alice", x.with, x.removal); err != nil {
			t.Fatalf("%+v: %v", x.removal, err)
		}
	}
	if _, by := s.acts(noroshi.ActRemovePerson); !slices.Equal(by, []string{"alice", "carol"}) {
		t.Errorf("on record for the removal: %v", by)
	}
	register, err := s.store.Persons(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for id, may := range map[string]map[noroshi.Action]bool{"bob": {noroshi.ActRead: false}, "dave": {noroshi.ActRead: false},
		"erin": {noroshi.ActAck: true, noroshi.ActAssignMarking: false}, "carol": {noroshi.ActApprove: true}} {
		for a, want := range may {
			if got := register.At(id, s.now).May(a); got != want {
				t.Errorf("%s may %s: %v, want %v", id, a, got, want)
			}
		}
	}
	ends := []string{"https://usa.example/"}
	if _, err := s.office.Card(t.Context(), "JPN-01", ends, s.as("bob", noroshi.ActIntroduce, "card/JPN-01", partner.CardBound(ends))); code(err) != "person.unknown" {
		t.Errorf("a removed person signs: %v", err)
	}
	if err := s.adds("alice", "", newcomer(t, "bob", noroshi.Liaison)); code(err) != "person.exists" {
		t.Errorf("another under the id of somebody removed: %v", err)
	}
	if err := s.removes("alice", "carol", person("carol")); code(err) != "person.last" {
		t.Errorf("the last officer: %v", err)
	}
	if err := s.removes("alice", "", person("bob")); code(err) != "person.unknown" {
		t.Errorf("once more: %v", err)
	}
	s.intact()
}
