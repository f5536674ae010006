package courier_test

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/stix"
)

// officer adds a person who may order and refuse recalls, and returns who signs
// for them.
func (n *node) officer(id string, roles ...noroshi.Role) func(a noroshi.Action, subject string, bound noroshi.Hash) noroshi.Signed {
	n.t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		n.t.Fatal(err)
	}
	body, err := json.Marshal(noroshi.Person{ID: id, Roles: roles, Key: pub})
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.store.Do(n.t.Context(), noroshi.Act{Action: noroshi.ActAddPerson, Subject: id}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocPerson, id, body)
	}); err != nil {
		n.t.Fatal(err)
	}
	return func(a noroshi.Action, subject string, bound noroshi.Hash) noroshi.Signed {
		return noroshi.SignAct(id, key, noroshi.ActDigest(noroshi.Real, n.id(), a, subject, bound))
	}
}

// first returns the n-th indicator a node has.
func (n *node) indicator(at int) (found store.Record) {
	n.t.Helper()
	i := 0
	if err := n.store.Each(n.t.Context(), "indicator", 0, func(r store.Record) error {
		if i++; i == at {
			found = r
		}
		return nil
	}); err != nil {
		n.t.Fatal(err)
	}
	if found.Object == nil {
		n.t.Fatalf("%s has no indicator %d", n.sign, at)
	}
	return found
}

// recall orders a recall at a node, by one officer.
func (n *node) recall(c *courier.Courier, id stix.ID, scope message.RecallScope) courier.RecallState {
	n.t.Helper()
	sign := n.officer("duty", noroshi.Duty)
	order := courier.RecallOrder{Object: id, Reason: message.RecallSpill, Scope: scope}
	plan, err := c.RecallPlan(n.t.Context(), order)
	if err != nil {
		n.t.Fatal(err)
	}
	state, err := c.Recall(n.t.Context(), order, sign(noroshi.ActRecall, string(id), plan.Bound))
	if err != nil || state.ID == "" {
		n.t.Fatalf("%+v, %v", state, err)
	}
	return state
}

// to returns what the newest recall came to at its only partner.
func (n *node) to() courier.RecallTo {
	list, err := n.running().Recalls(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	if len(list) == 0 || len(list[0].To) != 1 {
		return courier.RecallTo{}
	}
	return list[0].To[0]
}

func (n *node) current(id stix.ID) store.Record {
	n.t.Helper()
	r, err := n.store.Current(n.t.Context(), id)
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

func (p *pair) intact() {
	p.t.Helper()
	for _, n := range []*node{p.a, p.b} {
		if v, err := n.store.Verify(p.t.Context(), nil); err != nil || len(v.Faults) > 0 {
			p.t.Errorf("%s: audit: %v %v", n.sign, v.Faults, err)
		}
	}
}

// TestRecall: what went is withdrawn on both sides and the answer comes back,
// over a wire that loses and doubles. Those who may not, and an order changed
// after it was signed, recall nothing.
func TestRecall(t *testing.T) {
	t.Parallel()
	p := newPair(t, 21, 20, 20)
	p.start()
	p.a.importList("list.txt", 0, 20)
	p.until("it is there", 20*time.Second, func() bool { return p.b.count("indicator") == 20 && p.settled() })
	victim := p.a.indicator(10)
	id := victim.Object.ID
	order := courier.RecallOrder{Object: id, Reason: message.RecallMistaken, Scope: message.RecallStopUse}
	plan, err := p.a.running().RecallPlan(t.Context(), order)
	if err != nil || plan.Needs != 1 || !slices.Equal(plan.Has, []noroshi.NodeID{p.b.id()}) {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	viewer := p.a.officer("viewer", noroshi.Viewer, noroshi.Administrator)
	if _, err := p.a.running().Recall(t.Context(), order, viewer(noroshi.ActRecall, string(id), plan.Bound)); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("an administrator recalled: %v", err)
	}
	analyst := p.a.officer("analyst", noroshi.Analyst)
	other := order
	other.Scope = message.RecallDelete
	if _, err := p.a.running().Recall(t.Context(), other, analyst(noroshi.ActRecall, string(id), plan.Bound)); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("an order that was not signed was done: %v", err)
	}
	if p.a.current(id).Withdrawn {
		t.Fatal("withdrawn by nobody")
	}
	p.a.recall(p.a.running(), id, message.RecallDelete)
	if !p.a.current(id).Withdrawn {
		t.Error("not withdrawn where it was made")
	}
	p.until("the answer", 20*time.Second, func() bool { return p.a.to().Answer != nil })
	if got, want := p.a.to().Answer.Results, []message.RecallResult{{Found: 1, ActiveBefore: 1}}; !slices.Equal(got, want) {
		t.Errorf("answer %+v, want %+v", got, want)
	}
	if p.a.to().Open() || !p.b.current(id).Withdrawn || p.b.count("indicator") != 19 {
		t.Errorf("at B withdrawn is %v, %d indicators", p.b.current(id).Withdrawn, p.b.count("indicator"))
	}
	came, err := p.b.running().RecalledHere(t.Context())
	if err != nil || len(came) != 1 || came[0].From != p.a.id() || came[0].Entries[0].Object != id || came[0].Entries[0].Reason != message.RecallSpill {
		t.Errorf("B knows %+v, %v", came, err)
	}
	// B may not recall what is A's.
	if _, err := p.b.running().RecallPlan(t.Context(), courier.RecallOrder{Object: p.a.indicator(1).Object.ID, Reason: 1, Scope: 1}); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("a plan for another's object: %v", err)
	}
	p.until("quiet", 20*time.Second, p.settled)
	p.intact()
}

// TestRecallRefused: a person refuses what is more than stopping the use, with
// a reason, and the originator sees it; the object stays out of use.
func TestRecallRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t, 22, 0, 0)
	p.start()
	p.a.importList("list.txt", 0, 1)
	p.until("it is there", 10*time.Second, func() bool { return p.b.count("indicator") == 1 && p.settled() })
	id := p.a.indicator(1).Object.ID
	p.a.recall(p.a.running(), id, message.RecallDelete)
	p.until("the answer", 10*time.Second, func() bool { return p.a.to().Answer != nil })
	came, err := p.b.running().RecalledHere(t.Context())
	if err != nil || len(came) != 1 {
		t.Fatal(came, err)
	}
	msg := came[0].Message
	analyst := p.b.officer("analyst", noroshi.Analyst)
	if err := p.b.running().RefuseRecall(t.Context(), msg, message.RefusedLaw, analyst(noroshi.ActRefuseRecall, msg.String(), courier.RefusalBound(message.RefusedLaw))); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("an analyst refused: %v", err)
	}
	duty := p.b.officer("duty", noroshi.Duty)
	if err := p.b.running().RefuseRecall(t.Context(), msg, message.RefusedDuty, duty(noroshi.ActRefuseRecall, msg.String(), courier.RefusalBound(message.RefusedLaw))); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("another reason than was signed: %v", err)
	}
	for _, why := range []message.Refusal{message.RefusedReview, message.RefusedLaw} {
		if err := p.b.running().RefuseRecall(t.Context(), msg, why, duty(noroshi.ActRefuseRecall, msg.String(), courier.RefusalBound(why))); err != nil {
			t.Fatal(err)
		}
		p.until("the refusal", 10*time.Second, func() bool { return p.a.to().Refused() == why })
		if p.a.to().Open() != (why == message.RefusedReview) {
			t.Errorf("refusal %d: open is %v", why, p.a.to().Open())
		}
	}
	if !p.b.current(id).Withdrawn {
		t.Error("a refused recall is in use again")
	}
	p.intact()
}

// TestRecallOvertakes (I9): a message lost on its way is withheld by the
// recall, and when a copy of it comes after all, behind the RECALL, nothing of
// it is in use. The rest of it goes again.
func TestRecallOvertakes(t *testing.T) {
	t.Parallel()
	p := newPair(t, 23, 0, 0)
	p.start()
	p.until("the link is confirmed", 5*time.Second, p.settled)
	p.net.mu.Lock()
	p.net.watch, p.net.loss = true, 100
	p.net.mu.Unlock()
	sent := p.a.running().Counters().Sent
	p.a.importList("list.txt", 0, 20)
	victim := stix.ID("")
	p.until("it was handed over", 10*time.Second, func() bool {
		list, err := p.a.store.List(t.Context(), store.Filter{Type: "indicator", Limit: 20})
		if err != nil || len(list) < 20 {
			return false
		}
		victim = list[9].Object.ID
		carriers, err := p.a.store.Carriers(t.Context(), p.b.id(), list[9:10])
		return err == nil && len(carriers) == 1 && carriers[0].Message.Attempts > 0 && p.a.running().Counters().Sent > sent
	})
	state := p.a.recall(p.a.running(), victim, message.RecallStopUse)
	if len(state.To) != 1 || state.To[0].Withheld != 1 || len(state.To[0].Entries) != 1 {
		t.Fatalf("recalled %+v", state.To)
	}
	p.net.mu.Lock()
	late := slices.Clone(p.net.seen)
	p.net.watch, p.net.loss = false, 0
	p.net.mu.Unlock()
	p.until("the answer", 10*time.Second, func() bool { return p.a.to().Answer != nil })
	if got, want := p.a.to().Answer.Results, []message.RecallResult{{}}; !slices.Equal(got, want) {
		t.Errorf("answer %+v, want %+v", got, want)
	}
	p.until("the others", 10*time.Second, func() bool { return p.b.count("indicator") == 19 && p.settled() })
	for _, e := range late {
		_ = p.b.running().Receive(t.Context(), "https", p.a.id(), e)
	}
	p.until("what was overtaken", 10*time.Second, func() bool {
		held, err := p.b.store.Held(t.Context(), []stix.ID{victim})
		return err == nil && held[victim]
	})
	if !p.b.current(victim).Withdrawn || p.b.count("indicator") != 19 {
		t.Error("what was recalled is in use")
	}
	p.intact()
}

// TestRecallAtRest: a recall needs no link: where nothing was ever handed over
// nobody is told, and nothing of it leaves when the node runs.
func TestRecallAtRest(t *testing.T) {
	t.Parallel()
	p := newPair(t, 24, 0, 0)
	p.a.importList("list.txt", 0, 3)
	c, err := courier.New(p.a.store, p.a.gate, p.a.desk, courier.Options{Realm: noroshi.Real, Node: p.a.id(), Keys: p.a.keys})
	if err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		if more, err = p.a.desk.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	id := p.a.indicator(2).Object.ID
	if state := p.a.recall(c, id, message.RecallStopUse); len(state.To) != 0 {
		t.Errorf("told %+v of what never left", state.To)
	}
	p.start()
	p.until("the others", 10*time.Second, func() bool { return p.b.count("indicator") == 2 && p.settled() })
	if held, err := p.b.store.Held(t.Context(), []stix.ID{id}); err != nil || held[id] {
		t.Errorf("what was recalled left (error %v)", err)
	}
	p.intact()
}

// TestRecallByADelegate: who was passed the role of a release officer recalls
// and refuses recalls with it, so long as it lasts.
func TestRecallByADelegate(t *testing.T) {
	t.Parallel()
	p := newPair(t, 28, 0, 0)
	p.a.importList("list.txt", 0, 2)
	c, err := courier.New(p.a.store, p.a.gate, p.a.desk, courier.Options{Realm: noroshi.Real, Node: p.a.id(), Keys: p.a.keys})
	if err != nil {
		t.Fatal(err)
	}
	p.a.officer("chief", noroshi.ReleaseOffice)
	sign := p.a.officer("deputy", noroshi.Viewer)
	now := time.Now()
	delegate := func(until time.Time) {
		register, err := p.a.store.Persons(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		deputy := register["deputy"]
		deputy.Delegated = []noroshi.Delegation{{Role: noroshi.ReleaseOffice, From: now.Add(-time.Hour), Until: until, By: []string{"chief"}}}
		body, err := json.Marshal(deputy)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.a.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActDelegate, Subject: "deputy"}, func(tx *store.Tx) error {
			return tx.PutDoc(noroshi.DocPerson, "deputy", body)
		}); err != nil {
			t.Fatal(err)
		}
	}
	order := courier.RecallOrder{Object: p.a.indicator(1).Object.ID, Reason: message.RecallMistaken, Scope: message.RecallStopUse}
	plan, err := c.RecallPlan(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	recall := func() error {
		_, err := c.Recall(t.Context(), order, sign(noroshi.ActRecall, string(order.Object), plan.Bound))
		return err
	}
	refuse := func() error {
		msg, why := noroshi.Sum([]byte("none")), message.RefusedLaw
		return c.RefuseRecall(t.Context(), msg, why, sign(noroshi.ActRefuseRecall, msg.String(), courier.RefusalBound(why)))
	}
	delegate(now.Add(-time.Minute))
	if err := recall(); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("recalled after the delegation ended: %v", err)
	}
	delegate(now.Add(time.Hour))
	if err := refuse(); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("a delegate refuses what never came: %v, want NotFound", err)
	}
	if err := recall(); err != nil {
		t.Errorf("a delegate recalls: %v", err)
	}
}

// TestRecallForgotten (I9): both databases are put back from backups made
// before the recall. The lists beside them, in no backup, take it back again
// before anything runs.
func TestRecallForgotten(t *testing.T) {
	t.Parallel()
	p := newPair(t, 25, 0, 0)
	p.start()
	p.a.importList("list.txt", 0, 3)
	p.until("it is there", 10*time.Second, func() bool { return p.b.count("indicator") == 3 && p.settled() })
	id := p.a.indicator(2).Object.ID
	p.a.end()
	p.b.end()
	backup := map[*node]string{}
	for _, n := range []*node{p.a, p.b} {
		backup[n] = storetest.Address(t, noroshi.Real)
		if _, err := store.Copy(t.Context(), n.at, backup[n], noroshi.Real, nil); err != nil {
			t.Fatal(err)
		}
		n.open()
		n.start()
	}
	p.until("the link is confirmed", 10*time.Second, p.settled)
	p.a.recall(p.a.running(), id, message.RecallStopUse)
	p.until("the answer", 10*time.Second, func() bool { return p.a.to().Answer != nil })
	for _, n := range []*node{p.a, p.b} {
		n.end()
		n.at = backup[n]
		n.open()
		if n.current(id).Withdrawn {
			t.Fatalf("%s: the backup knows of the recall", n.sign)
		}
		c, err := courier.New(n.store, n.gate, n.desk, courier.Options{Realm: noroshi.Real, Node: n.id(), Keys: n.keys})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{1, 0} {
			if got, err := c.RepeatRecalls(t.Context()); err != nil || got != want {
				t.Errorf("%s: %d recalls done again (%v), want %d", n.sign, got, err, want)
			}
		}
		if !n.current(id).Withdrawn {
			t.Errorf("%s: what was recalled is in use again", n.sign)
		}
		n.start()
	}
	p.until("the answer after all", 20*time.Second, func() bool { return p.a.to().Answer != nil })
	p.intact()
}

// TestRecallOfWhatItNeverBrought: a partner that recalls what it did not bring,
// or brings only a copy of what was warned of before, takes nothing back of what
// this node made: its warnings and the words of a file stand, and nobody is told.
func TestRecallOfWhatItNeverBrought(t *testing.T) {
	t.Parallel()
	p := newPair(t, 32, 0, 0)
	p.a.bundle("a.json", domain(openID, "ended", noroshi.Green, ""), domain(theirsID, "copied", noroshi.Red, ""))
	warned := []stix.ID{p.a.warn(1, openID), p.a.warn(2, theirsID)}
	p.a.withdraw(openID)
	p.a.withdraw(theirsID)
	p.b.bundle("b.json", domain(openID, "ended", noroshi.Red, ""), domain(theirsID, "copied", noroshi.Green, ""), domain(secretID, "theirs", noroshi.Green, ""))
	p.start()
	p.until("the copy", 20*time.Second, func() bool { return p.a.has(theirsID, p.b) && p.a.has(secretID, p.b) && p.settled() })
	late := p.a.warn(3, secretID)
	words := stix.ID("language-content--00000000-0000-4000-8000-000000000041")
	p.a.bundle("words.json", fmt.Sprintf(`{"type":"language-content","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","object_ref":%q,"contents":{"ja":{"name":"x"}},"object_marking_refs":[%q]}`,
		words, secretID, noroshi.Red.MarkingID()))
	var entries []message.RecallEntry
	for _, id := range []stix.ID{openID, theirsID, secretID} {
		entries = append(entries, message.RecallEntry{Object: id, Reason: message.RecallSpill, Scope: message.RecallStopUse})
	}
	if err := p.b.running().SendRecall(t.Context(), p.a.id(), entries); err != nil {
		t.Fatal(err)
	}
	p.until("the recall", 20*time.Second, func() bool { return p.a.current(late).Withdrawn && p.settled() })
	for _, id := range append(warned, words) {
		if p.a.current(id).Withdrawn {
			t.Errorf("%s is out of use", id)
		}
	}
	p.intact()
}

func toolID(n int) stix.ID {
	return stix.ID(fmt.Sprintf("tool--00000000-0000-4000-8000-%012d", n))
}
