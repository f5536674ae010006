package partner_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/partner"
)

// agreed brings two nodes to an agreement in force, and returns its hash.
func agreed(t *testing.T, extra string) (usa, jpn *side, h noroshi.Hash) {
	t.Helper()
	usa, jpn = introduced(t)
	file := append(agreementFile(1, usa, jpn, far), extra...)
	inForce(t, usa, jpn, file)
	return usa, jpn, noroshi.Sum(file)
}

func inForce(t *testing.T, usa, jpn *side, file []byte) {
	t.Helper()
	h := noroshi.Sum(file)
	if err := usa.propose("bob", file); err != nil {
		t.Fatal(err)
	}
	usa.carry(jpn)
	for _, by := range []string{"suzuki", "tanaka"} {
		if _, err := jpn.signs(by, h); err != nil {
			t.Fatal(err)
		}
	}
	jpn.carry(usa)
	for _, by := range []string{"carol", "dave"} {
		if _, err := usa.signs(by, h); err != nil {
			t.Fatal(err)
		}
	}
	usa.carry(jpn)
	usa.trust(jpn, noroshi.InForce)
	jpn.trust(usa, noroshi.InForce)
}

// orders draws an order up and signs it as a person.
func (s *side) orders(by string, want noroshi.Order) (partner.Ordered, error) {
	s.t.Helper()
	drawn, err := s.office.Draw(s.t.Context(), want)
	if err != nil {
		return drawn, err
	}
	return s.gives(by, drawn.Order)
}

func (s *side) gives(by string, order noroshi.Order) (partner.Ordered, error) {
	return s.office.Give(s.t.Context(), order, s.as(by, order.Action, order.Subject(), order.Bound()))
}

func code(err error) string {
	var e *noroshi.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func (s *side) state(h noroshi.Hash, want string) {
	s.t.Helper()
	if a, err := s.office.Agreement(s.t.Context(), h); err != nil || a.State != want {
		s.t.Fatalf("%s: agreement is %q, %v; want %q", s.sign, a.State, err, want)
	}
}

// TestSuspend: two officers here stop data at both ends; the partner is told,
// and what it said once counts until it says otherwise.
func TestSuspend(t *testing.T) {
	usa, jpn, h := agreed(t, "")
	stop, on := noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h}, noroshi.Order{Action: noroshi.ActResumeAgreement, Agreement: h}
	if got, err := usa.orders("carol", stop); err != nil || got.Waiting != 1 {
		t.Fatalf("first officer: %+v, %v", got, err)
	}
	usa.state(h, "in-force")
	if _, err := usa.orders("carol", stop); code(err) != "order.second-person" {
		t.Errorf("the same officer twice: %v", err)
	}
	if got, err := usa.orders("dave", stop); err != nil || got.Waiting != 0 || !slices.Equal(got.SignedBy, []string{"carol", "dave"}) {
		t.Fatalf("second officer: %+v, %v", got, err)
	}
	usa.trust(jpn, noroshi.Introduced)
	usa.state(h, "suspended")
	jpn.state(h, "in-force")
	first := slices.Clone(usa.sent)
	usa.carry(jpn)
	jpn.trust(usa, noroshi.Introduced)
	jpn.state(h, "suspended")
	if _, err := usa.orders("carol", stop); code(err) != "agreement.suspended" {
		t.Errorf("a second time: %v", err)
	}
	// Each side lets its own word go, and only that.
	if _, err := jpn.orders("suzuki", on); code(err) != "agreement.not-suspended" {
		t.Errorf("the other side resumes: %v", err)
	}
	jpn.record("tanaka", func(p *noroshi.Person) { p.Removed = true })
	if got, err := jpn.orders("suzuki", stop); err != nil || got.Waiting != 0 {
		t.Fatalf("the only officer: %+v, %v", got, err)
	}
	jpn.carry(usa)
	for _, by := range []string{"dave", "carol"} {
		if _, err := usa.orders(by, on); err != nil {
			t.Fatal(err)
		}
	}
	usa.carry(jpn)
	usa.state(h, "suspended")
	jpn.state(h, "suspended")
	// One officer stops, but it takes two to go on, or to make a deputy.
	deputy := noroshi.Order{Action: noroshi.ActDelegate, Person: "kato", Role: noroshi.ReleaseOffice, Until: jpn.now.Add(time.Hour)}
	jpn.hire("kato", noroshi.Analyst)
	for _, widens := range []noroshi.Order{on, deputy} {
		if got, err := jpn.orders("suzuki", widens); err != nil || got.Waiting != 1 {
			t.Fatalf("%s by the only officer: %+v, %v", widens.Action, got, err)
		}
	}
	jpn.state(h, "suspended")
	jpn.hire("mori", noroshi.ReleaseOffice)
	if _, err := jpn.orders("mori", on); err != nil {
		t.Fatal(err)
	}
	jpn.carry(usa)
	usa.state(h, "in-force")
	jpn.state(h, "in-force")
	// What was said before comes again and changes nothing.
	usa.sent = first
	usa.carry(jpn)
	jpn.trust(usa, noroshi.InForce)
	if n, by := usa.acts(noroshi.ActSuspendAgreement); n != 3 || len(by) != 0 { // two signatures, and the partner's
		t.Errorf("%d acts of suspension, the last by %v", n, by)
	}
	usa.intact()
	jpn.intact()
}

// talk carries what two sides say until neither says anything.
func talk(a, b *side) {
	for len(a.sent)+len(b.sent) > 0 {
		a.carry(b)
		b.carry(a)
	}
}

// TestForgottenSuspension: a node is put back to before what it said last about an
// agreement. Its partner gives it back. What stops data is taken up again; what lets
// it go on must be ordered anew. Each side can go on afterwards.
func TestForgottenSuspension(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after int    // words said before the backup, and after it
		want          string // what stands then
	}{
		{"a suspension", 0, 1, "suspended"},
		{"a second one", 2, 1, "suspended"},
		{"one resumed since", 0, 2, "in-force"},
		{"a resumption", 1, 1, "suspended"},
		{"several words", 1, 3, "suspended"},
		{"nothing", 1, 0, "suspended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			usa, jpn, h := agreed(t, "")
			words := 0
			say := func() {
				order := noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h}
				if words%2 == 1 {
					order.Action = noroshi.ActResumeAgreement
				}
				words++
				usa.now = usa.now.Add(time.Second)
				for _, by := range []string{"carol", "dave"} {
					if _, err := usa.orders(by, order); err != nil {
						t.Fatal(err)
					}
				}
				usa.carry(jpn)
			}
			for range c.before {
				say()
			}
			at := usa.copyOf()
			for range c.after {
				say()
			}
			usa.putBack(at)
			talk(usa, jpn)
			usa.state(h, c.want)
			jpn.state(h, c.want)
			for _, want := range []string{"in-force", "suspended", "in-force"} {
				if words = 1; want == "suspended" {
					words = 0
				}
				if c.want == want {
					continue
				}
				say()
				talk(usa, jpn)
				usa.state(h, want)
				jpn.state(h, want)
				c.want = want
			}
			usa.intact()
			jpn.intact()
		})
	}
}

// TestAHigherVersionIsNotSuspended: superseding lets data flow again; the
// lower version is shown as superseded.
func TestAHigherVersionIsNotSuspended(t *testing.T) {
	usa, jpn, h := agreed(t, "")
	for _, by := range []string{"carol", "dave"} {
		if _, err := usa.orders(by, noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h}); err != nil {
			t.Fatal(err)
		}
	}
	usa.carry(jpn)
	file := agreementFile(2, usa, jpn, far)
	inForce(t, usa, jpn, file)
	for _, s := range []*side{usa, jpn} {
		s.state(h, "superseded")
		s.state(noroshi.Sum(file), "in-force")
		s.intact()
	}
	if _, err := usa.orders("carol", noroshi.Order{Action: noroshi.ActResumeAgreement, Agreement: h}); code(err) != "agreement.not-in-force" {
		t.Errorf("resuming what is superseded: %v", err)
	}
}

// TestALaterVersionWaitsForItsTime: the lower version stays in force until the
// higher one begins; then it is superseded, without a further act of a person.
func TestALaterVersionWaitsForItsTime(t *testing.T) {
	usa, jpn, h := agreed(t, "")
	file := bytes.Replace(agreementFile(2, usa, jpn, far), []byte("from = 2026-11-01"), []byte("from = 2026-12-01"), 1)
	later := noroshi.Sum(file)
	inForce(t, usa, jpn, file)
	both := func(first, second string) {
		t.Helper()
		for _, s := range []*side{usa, jpn} {
			if err := s.office.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.state(h, first)
			s.state(later, second)
		}
	}
	both("in-force", "countersigned")
	usa.now, jpn.now = usa.now.AddDate(0, 0, 8), jpn.now.AddDate(0, 0, 8)
	both("superseded", "in-force")
	both("superseded", "in-force")
	for _, s := range []*side{usa, jpn} {
		if n, _ := s.acts(noroshi.ActAgreementInForce); n > 3 {
			t.Errorf("%s: %d acts of coming into force", s.sign, n)
		}
		s.intact()
	}
}

// TestOrdersThatAreRefused: what a person signed stands for nothing else, for
// nobody else and for no other time.
func TestOrdersThatAreRefused(t *testing.T) {
	usa, jpn, h := agreed(t, "[emergency]\nhours = 8\n")
	usa.alias("caroline", "carol", noroshi.ReleaseOffice)
	want := noroshi.Order{Action: noroshi.ActDeclareEmergency, Agreement: h, Hours: 4}
	drawn, err := usa.office.Draw(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	order := drawn.Order
	if _, err := usa.gives("carol", order); err != nil {
		t.Fatal(err)
	}
	longer := order
	longer.Hours = 5
	for name, x := range map[string]struct {
		order noroshi.Order
		by    noroshi.Signed
		want  string
	}{
		"same person":                       {order, usa.as("carol", order.Action, order.Subject(), order.Bound()), "order.second-person"},
		"second credential of one person":   {order, usa.as("caroline", order.Action, order.Subject(), order.Bound()), "order.second-person"},
		"administrator":                     {order, usa.as("alice", order.Action, order.Subject(), order.Bound()), "person.role-may-not"},
		"replayed for one more hour":        {longer, usa.as("dave", order.Action, order.Subject(), order.Bound()), "person.signature"},
		"another action's signature":        {order, usa.as("dave", noroshi.ActSuspendAgreement, order.Subject(), order.Bound()), "person.signature"},
		"another agreement's signature":     {order, usa.as("dave", order.Action, noroshi.Sum(nil).String(), order.Bound()), "person.signature"},
		"in the name of another":            {order, rename(usa.as("dave", order.Action, order.Subject(), order.Bound()), "carol"), "person.signature"},
		"somebody who is not in the roster": {order, rename(usa.as("dave", order.Action, order.Subject(), order.Bound()), "nobody"), "person.unknown"},
	} {
		if _, err := usa.office.Give(t.Context(), x.order, x.by); code(err) != x.want {
			t.Errorf("%s: %v, want %s", name, err, x.want)
		}
	}
	if _, err := usa.orders("dave", longer); err != nil {
		t.Errorf("an order of its own: %v", err)
	}
	if _, err := usa.orders("dave", noroshi.Order{Action: noroshi.ActDeclareEmergency, Agreement: h, Hours: 9}); code(err) != "agreement.emergency-hours" {
		t.Errorf("longer than agreed: %v", err)
	}
	usa.now = usa.now.Add(25 * time.Hour)
	if _, err := usa.gives("dave", order); code(err) != "order.stale" {
		t.Errorf("a day later: %v", err)
	}
	usa.now = usa.now.Add(-25 * time.Hour)
	if got, err := usa.gives("dave", order); err != nil || got.Waiting != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := usa.gives("dave", order); code(err) != "order.done" {
		t.Errorf("once more: %v", err)
	}
	if n, by := usa.acts(noroshi.ActDeclareEmergency); n != 3 || !slices.Equal(by, []string{"carol", "dave"}) {
		t.Errorf("%d acts, the last by %v", n, by)
	}
	// A node with one release officer declares none: it takes two.
	if got, err := jpn.orders("suzuki", want); err != nil || got.Waiting != 1 {
		t.Errorf("a single officer: %+v, %v", got, err)
	}
	usa.intact()
}

func rename(s noroshi.Signed, person string) noroshi.Signed {
	s.Person = person
	return s
}

// TestDelegation: the role is passed on until a day; a delegate is one person
// with one key, cannot pass it on, and is nobody afterwards.
func TestDelegation(t *testing.T) {
	usa, jpn := introduced(t)
	usa.hire("frank", noroshi.Analyst)
	usa.hire("grace", noroshi.Analyst)
	usa.alias("carolyn", "carol", noroshi.Analyst)
	to := func(id string, until time.Time) noroshi.Order {
		return noroshi.Order{Action: noroshi.ActDelegate, Person: id, Role: noroshi.ReleaseOffice, Until: until}
	}
	day := usa.now.Add(24 * time.Hour)
	for name, x := range map[string]struct {
		order noroshi.Order
		want  string
	}{
		"to nobody":           {to("nobody", day), "person.unknown"},
		"to who has it":       {to("dave", day), "person.has-role"},
		"to an administrator": {to("alice", day), "person.administrator"},
		"until yesterday":     {to("frank", usa.now.Add(-time.Hour)), "person.delegation-time"},
		"for ever":            {to("frank", usa.now.AddDate(1, 0, 0)), "person.delegation-time"},
		"another role":        {noroshi.Order{Action: noroshi.ActDelegate, Person: "frank", Role: noroshi.Administrator, Until: day}, "person.not-delegable"},
	} {
		if _, err := usa.orders("carol", x.order); code(err) != x.want {
			t.Errorf("%s: %v, want %s", name, err, x.want)
		}
	}
	file := agreementFile(1, usa, jpn, far)
	h := noroshi.Sum(file)
	if err := usa.propose("bob", file); err != nil {
		t.Fatal(err)
	}
	if _, err := usa.signs("frank", h); code(err) != "person.role-may-not" {
		t.Errorf("before: %v", err)
	}
	for _, id := range []string{"frank", "carolyn"} {
		for _, by := range []string{"carol", "dave"} {
			if _, err := usa.orders(by, to(id, day)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := usa.orders("frank", to("grace", day)); err != nil {
		t.Fatal(err)
	}
	if got, err := usa.orders("carol", to("grace", day)); code(err) != "person.delegate-may-not" {
		t.Errorf("a delegate passes it on: %+v, %v", got, err)
	}
	if s, err := usa.signs("carol", h); err != nil || s.Waiting != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := usa.signs("carolyn", h); code(err) != "agreement.second-person" {
		t.Errorf("officer and delegate with one key: %v", err)
	}
	usa.record("dave", func(p *noroshi.Person) { p.Removed = true })
	if _, err := usa.signs("frank", h); code(err) != "person.role-may-not" {
		t.Errorf("of a delegator since removed: %v", err)
	}
	usa.record("dave", func(p *noroshi.Person) { p.Removed = false })
	usa.now = day
	if _, err := usa.signs("frank", h); code(err) != "person.role-may-not" {
		t.Errorf("after its end: %v", err)
	}
	usa.now = day.Add(-time.Second)
	if s, err := usa.signs("frank", h); err != nil || !s.Ours {
		t.Errorf("officer and delegate: %+v, %v", s, err)
	}
	usa.intact()
}
