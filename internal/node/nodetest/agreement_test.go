package nodetest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// refusals returns the refusals of an operation on record, oldest first.
func refusals(t *testing.T, p *nodetest.Party, op string) (said []string) {
	t.Helper()
	for _, e := range record(t, p.Node.Store) {
		if e.Act.Action == noroshi.ActRefuse && strings.HasPrefix(e.Act.Subject, op+" ") {
			said = append(said, e.Act.Subject)
		}
	}
	return said
}

func code(err error) string {
	var e *noroshi.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// approval signs a hold as it stands now.
func approval(t *testing.T, p *nodetest.Party, person, hold string) noroshi.Signed {
	t.Helper()
	var d web.HoldDetail
	p.Must("release.show", web.HoldRef{Hold: hold}, &d)
	by, err := p.Signed(t.Context(), person, noroshi.ActApprove, hold, d.Digest)
	if err != nil {
		t.Fatal(err)
	}
	return by
}

// TestRefusedApprovals: same person, two credentials of one person, an
// administrator, an approval replayed after one byte changed, and the approval
// of another digest are refused, and each refusal is on record.
func TestRefusedApprovals(t *testing.T) {
	t.Parallel()
	usa, _ := nodetest.Alliance(t, noroshi.Real)
	tool := func(name, modified string) {
		usa.Import("tool.json", "", strings.NewReader(fmt.Sprintf(`[{"type":"tool","id":"tool--00000000-0000-4000-8000-0000000000e1","spec_version":"2.1","created":"2026-01-01T00:00:00.000Z","modified":%q,"name":"(C) %s","object_marking_refs":[%q]}]`,
			modified, name, noroshi.Green.MarkingID())))
		usa.Settle()
	}
	open := func() string {
		t.Helper()
		var holds []web.HoldRow
		usa.Must("release.list", web.HoldRef{}, &holds)
		if len(holds) != 1 {
			t.Fatalf("%d holds: %+v", len(holds), holds)
		}
		return holds[0].ID
	}
	approve := func(hold string, by noroshi.Signed) error {
		return usa.Do(t.Context(), "release.approve", web.SignedRef{Subject: hold, By: by}, nil)
	}
	usa.Import("list.tsv", "tlp:amber", strings.NewReader("domain-name\ta.example\n"))
	usa.Settle()
	hold := open()

	second(t, usa, "alias")
	alias := approval(t, usa, "release1", hold)
	alias.Person = "alias"
	if err := approve(hold, approval(t, usa, "release1", hold)); err != nil {
		t.Fatal(err)
	}
	other, err := usa.Signed(t.Context(), "release2", noroshi.ActApprove, hold, noroshi.Sum([]byte("another hold's")))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name, code string
		by         noroshi.Signed
	}{
		{"same person", "release.same-person", approval(t, usa, "release1", hold)},
		{"two credentials of one person", "release.same-person", alias},
		{"an administrator", "person.role-may-not", approval(t, usa, "admin", hold)},
		{"another digest", "person.signature", other},
	} {
		before := len(refusals(t, usa, "release.approve"))
		if err := approve(hold, x.by); code(err) != x.code {
			t.Errorf("%s: %v, want %s", x.name, err, x.code)
		}
		said := refusals(t, usa, "release.approve")
		if want := strings.Join([]string{"release.approve", hold, x.by.Person, x.code}, " "); len(said) != before+1 || said[before] != want {
			t.Errorf("%s: on record is %q, want %q", x.name, said, want)
		}
	}
	if err := approve(hold, approval(t, usa, "release2", hold)); err != nil {
		t.Fatal(err)
	}

	// One byte changes after an officer has signed.
	tool("probe", "2026-01-01T00:00:00.000Z")
	hold = open()
	old := approval(t, usa, "release1", hold)
	tool("prone", "2026-01-01T00:00:00.001Z")
	now := open()
	for _, h := range slices.Compact([]string{hold, now}) {
		if err := approve(h, old); err == nil {
			t.Errorf("an approval counted for hold %s after one byte changed", h)
		}
		said := refusals(t, usa, "release.approve")
		if last := said[len(said)-1]; !strings.HasPrefix(last, "release.approve "+h+" release1 ") {
			t.Errorf("replayed over hold %s: on record is %q", h, last)
		}
	}
	usa.Intact()
}

// second gives the first officer's key a second account, as no command does.
func second(t *testing.T, p *nodetest.Party, id string) {
	t.Helper()
	var first noroshi.Person
	body, err := p.Node.Store.Doc(t.Context(), noroshi.DocPerson, "release1")
	if err == nil {
		err = json.Unmarshal(body, &first)
	}
	if err != nil {
		t.Fatal(err)
	}
	first.ID = id
	if body, err = json.Marshal(first); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Node.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActAddPerson, Subject: id}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocPerson, id, body)
	}); err != nil {
		t.Fatal(err)
	}
}

// TestRefusedSignatures: the same of an agreement. It is in force only with both
// nodes' consent to one hash, two officers each.
func TestRefusedSignatures(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.New(t, "USA-01", noroshi.Real), nodetest.New(t, "JPN-01", noroshi.Real)
	if _, err := crew.Introduce(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
		t.Fatal(err)
	}
	second(t, usa, "alias")
	var text string
	usa.Must("agreement.draft", web.DraftRef{With: "JPN-01", Days: 30}, &text)
	propose := func(text string) noroshi.Hash {
		t.Helper()
		h := noroshi.Sum([]byte(text))
		by, err := usa.Signed(t.Context(), "liaison", noroshi.ActProposeAgreement, h.String(), h)
		if err != nil {
			t.Fatal(err)
		}
		usa.Must("agreement.propose", web.ProposeRef{File: []byte(text), By: by}, nil)
		return h
	}
	h, other := propose(text), propose(strings.Replace(text, "Article 1", "Article I", 1))
	signed := func(person string, h noroshi.Hash) noroshi.Signed {
		t.Helper()
		by, err := usa.Signed(t.Context(), strings.Replace(person, "alias", "release1", 1), noroshi.ActSignAgreement, h.String(), h)
		if err != nil {
			t.Fatal(err)
		}
		by.Person = person
		return by
	}
	usa.Must("agreement.sign", web.SignRef{Hash: h, By: signed("release1", h)}, nil)
	for _, x := range []struct {
		name, code string
		by         noroshi.Signed
	}{
		{"same person", "agreement.second-person", signed("release1", h)},
		{"two credentials of one person", "agreement.second-person", signed("alias", h)},
		{"an administrator", "person.role-may-not", signed("admin", h)},
		{"replayed over a file with one byte changed", "person.signature", signed("release2", other)},
		{"another digest", "person.signature", signed("release2", noroshi.Sum(nil))},
	} {
		if err := usa.Do(t.Context(), "agreement.sign", web.SignRef{Hash: h, By: x.by}, nil); code(err) != x.code {
			t.Errorf("%s: %v, want %s", x.name, err, x.code)
		}
		said := refusals(t, usa, "agreement.sign") // one that is repeated within a minute is counted
		if want := strings.Join([]string{"agreement.sign", h.String(), x.by.Person, x.code}, " "); said[len(said)-1] != want {
			t.Errorf("%s: on record is %q, want %q", x.name, said, want)
		}
	}
	var rows []partner.AgreementRow
	usa.Must("agreement.list", nil, &rows)
	if len(rows) == 0 {
		t.Error("no agreement is listed")
	}
	for _, r := range rows {
		if r.State != "proposed" || r.Ours {
			t.Errorf("agreement %s is %s after refusals, ours %v", r.Hash, r.State, r.Ours)
		}
	}
	usa.Intact()
}

// order has two officers sign an order.
func order(t *testing.T, p *nodetest.Party, op string, want noroshi.Order) {
	t.Helper()
	for i, person := range []string{"release1", "release2"} {
		var o partner.Ordered
		p.Must("order.draw", want, &o)
		by, err := p.Signed(t.Context(), person, want.Action, o.Order.Subject(), o.Order.Bound())
		if err != nil {
			t.Fatal(err)
		}
		p.Must(op, web.OrderRef{Order: o.Order, By: by}, &o)
		if o.Waiting != 1-i {
			t.Fatalf("%s as %s: %d waiting", op, person, o.Waiting)
		}
	}
}

// TestSuspendStopsWhatIsQueued: of what was queued when an agreement was suspended
// nothing arrives, at both ends nothing goes, and all of it goes when it
// is resumed.
func TestSuspendStopsWhatIsQueued(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	nodetest.Whole(t, usa, jpn)
	state := func(p *nodetest.Party, want string) {
		t.Helper()
		p.Until("agreement "+want, func() (bool, error) {
			var rows []partner.AgreementRow
			err := p.Do(t.Context(), "agreement.list", nil, &rows)
			return len(rows) == 1 && rows[0].State == want, err
		})
	}
	lists := func(p *nodetest.Party) (n int) {
		t.Helper()
		if err := p.Node.Store.Each(t.Context(), "indicator", 0, func(store.Record) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	jpn.Stop()
	usa.Import("queued.txt", "tlp:green", strings.NewReader("queued.example\n"))
	usa.Settle()
	usa.Until("no path", func() (bool, error) { // the first try ends before anybody listens again
		alarms, err := usa.Node.Store.Alarms(t.Context(), 10)
		return slices.ContainsFunc(alarms, func(e store.Entry) bool { return e.Act.Subject == "no-path" }), err
	})
	var rows []partner.AgreementRow
	usa.Must("agreement.list", nil, &rows)
	h := rows[0].Hash
	order(t, usa, "agreement.suspend", noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h})
	usa.Until("its link suspended", func() (bool, error) { // the order is given; the link hears of it from the feed
		var l courier.LinkStatus
		err := usa.Do(t.Context(), "link.show", web.PartnerRef{Partner: "JPN-01"}, &l)
		return l.Trust != noroshi.InForce, err
	})
	jpn.Start()
	state(usa, "suspended")
	state(jpn, "suspended")
	jpn.Import("there.txt", "tlp:green", strings.NewReader("there.example\n"))
	usa.Import("here.txt", "tlp:green", strings.NewReader("here.example\n"))
	usa.Settle()
	jpn.Settle()
	for range 3 { // the control stream goes on: what would go has had its turns
		for _, pair := range [][2]*nodetest.Party{{usa, jpn}, {jpn, usa}} {
			if _, err := pair[0].Node.Courier.Test(t.Context(), pair[1].Node.Keys.NodeID(), ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, want := [2]int{lists(usa), lists(jpn)}, [2]int{2, 1}; got != want {
		for _, p := range []*nodetest.Party{usa, jpn} {
			if err := p.Node.Store.Each(t.Context(), "indicator", 0, func(r store.Record) error { t.Logf("%s has %+v", p.Sign, r); return nil }); err != nil {
				t.Log(err)
			}
			for _, e := range record(t, p.Node.Store) {
				t.Logf("%s %s %s %s %d", p.Sign, e.Time.Format("05.000"), e.Act.Action, e.Act.Subject, e.Act.Count)
			}
		}
		t.Fatalf("suspended, the nodes hold %v indicators, want %v", got, want)
	}
	order(t, usa, "agreement.resume", noroshi.Order{Action: noroshi.ActResumeAgreement, Agreement: h})
	state(usa, "in-force")
	state(jpn, "in-force")
	for _, p := range []*nodetest.Party{usa, jpn} {
		p.Until("all three", func() (bool, error) { return lists(p) == 3, nil })
	}
	nodetest.Whole(t, usa, jpn)
	usa.Intact()
	jpn.Intact()
}

// TestSuspendMeetsWhatIsOnItsWay: the receiver suspends while data is on its
// way and the sender does not know yet. Nothing of it is taken, and nothing is
// lost when the agreement is resumed.
func TestSuspendMeetsWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	nodetest.Whole(t, usa, jpn)
	jpn.Stop()
	usa.Import("list.txt", "tlp:green", strings.NewReader("a.example\nb.example\n"))
	usa.Settle()
	usa.Stop()
	jpn.Start()
	var rows []partner.AgreementRow
	jpn.Must("agreement.list", nil, &rows)
	h := rows[0].Hash
	order(t, jpn, "agreement.suspend", noroshi.Order{Action: noroshi.ActSuspendAgreement, Agreement: h})
	usa.Start()
	held := func() (n int) {
		if err := jpn.Node.Store.Each(t.Context(), "indicator", 0, func(store.Record) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	usa.Until("suspended", func() (bool, error) {
		err := usa.Do(t.Context(), "agreement.list", nil, &rows)
		return rows[0].State == "suspended", err
	})
	if n := held(); n != 0 {
		t.Fatalf("suspended, %d indicators arrived", n)
	}
	order(t, jpn, "agreement.resume", noroshi.Order{Action: noroshi.ActResumeAgreement, Agreement: h})
	jpn.Until("both", func() (bool, error) { return held() == 2, nil })
	nodetest.Whole(t, usa, jpn)
	usa.Intact()
	jpn.Intact()
}
