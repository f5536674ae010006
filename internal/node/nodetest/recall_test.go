package nodetest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// recall orders a recall as a person and returns what came of it.
func recall(t *testing.T, p *nodetest.Party, person string, id stix.ID) (web.RecallSent, error) {
	t.Helper()
	var plan web.RecallPlanned
	p.Must("recall.plan", courier.RecallOrder{Object: id, Reason: message.RecallSpill, Scope: message.RecallDelete, Deadline: time.Now().Add(time.Hour)}, &plan)
	by, err := p.Signed(t.Context(), person, noroshi.ActRecall, string(id), plan.Bound)
	if err != nil {
		t.Fatal(err)
	}
	var sent web.RecallSent
	err = p.Do(t.Context(), "recall.send", web.RecallSend{Order: plan.Order, By: by}, &sent)
	return sent, err
}

func recalls(p *nodetest.Party, all bool) (rows []web.RecallRow) {
	p.Must("recall.list", web.RecallListRef{All: all}, &rows)
	return rows
}

// only is the one indicator a node has.
func only(t *testing.T, p *nodetest.Party) stix.ID {
	t.Helper()
	recs, err := p.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 10})
	if err != nil || len(recs) != 1 {
		t.Fatalf("%s has %d indicators (%v), want one", p.Sign, len(recs), err)
	}
	return recs[0].Object.ID
}

func armed(p *nodetest.Party, id stix.ID, want bool) {
	p.Until("armed", func() (bool, error) { return p.Node.Index.Armed(id) == want, nil })
}

func withdrawnAt(t *testing.T, p *nodetest.Party, id stix.ID) bool {
	t.Helper()
	r, err := p.Node.Store.Current(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r.Withdrawn
}

// TestRecallByTwo: what two persons let go two must take back; the partner's
// index drops it, and what a person asks says where it is and who answered.
func TestRecallByTwo(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("list.txt", "tlp:amber", strings.NewReader("recalled.example\n"))
	usa.Approve()
	nodetest.Whole(t, usa, jpn)
	id := only(t, usa)
	armed(jpn, id, true)
	if sent, err := recall(t, usa, "duty", id); err != nil || sent.ID != "" {
		t.Fatalf("one person recalled what two let go: %+v, %v", sent, err)
	}
	if rows := recalls(usa, false); len(rows) != 1 || rows[0].State != "unsigned" || withdrawnAt(t, usa, id) {
		t.Errorf("waiting: %+v", rows)
	}
	if _, err := recall(t, usa, "duty", id); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("the same person signed twice: %v", err)
	}
	register, err := usa.Node.Store.Persons(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(noroshi.Person{ID: "duty2", Roles: []noroshi.Role{noroshi.Duty}, Key: register["duty"].Key})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := usa.Node.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActAddPerson, Subject: "duty2"}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocPerson, "duty2", again)
	}); err != nil {
		t.Fatal(err)
	}
	var plan web.RecallPlanned
	usa.Must("recall.plan", courier.RecallOrder{Object: id, Reason: message.RecallSpill, Scope: message.RecallDelete}, &plan)
	by, err := usa.Signed(t.Context(), "duty", noroshi.ActRecall, string(id), plan.Bound)
	if err != nil {
		t.Fatal(err)
	}
	by.Person = "duty2"
	if err := usa.Do(t.Context(), "recall.send", web.RecallSend{Order: plan.Order, By: by}, nil); code(err) != "recall.same-person" {
		t.Errorf("the same key signed twice: %v", err)
	}
	sent, err := recall(t, usa, "release1", id)
	if err != nil || sent.ID == "" || !slices.Equal(sent.From, []noroshi.CallSign{"JPN-01"}) {
		t.Fatalf("recalled: %+v, %v", sent, err)
	}
	armed(jpn, id, false)
	usa.Until("the answer", func() (bool, error) { return len(recalls(usa, false)) == 0, nil })
	rows := recalls(usa, true)
	if len(rows) != 1 || rows[0].State != "confirmed" || rows[0].Found != 1 || rows[0].InUse != 0 || !slices.Equal(rows[0].By, []string{"duty", "release1"}) {
		t.Errorf("recalls: %+v", rows)
	}
	var traced web.Traced
	usa.Must("recall.find", web.ObjectRef{ID: id}, &traced)
	if len(traced.Origins) != 1 || traced.Origins[0].State != "withdrawn" || len(traced.Copies) != 1 || traced.Copies[0].State != "applied" || len(traced.Recalls) != 1 {
		t.Errorf("found: %+v", traced)
	}
	jpn.Must("recall.find", web.ObjectRef{ID: id}, &traced)
	if o := traced.Origins; len(o) != 1 || o[0].From != "USA-01" || o[0].Kind != noroshi.FromPartner || o[0].Message.IsZero() || o[0].State != "withdrawn" {
		t.Errorf("origins at JPN-01: %+v", o)
	}
	usa.Intact()
	jpn.Intact()
}

// TestRecallWhileAway: a recall while the partner is away is a visible silence
// until it is back; both sides are stopped and started in between.
func TestRecallWhileAway(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("list.txt", "tlp:green", strings.NewReader("away.example\n"))
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	id := only(t, usa)
	armed(jpn, id, true)
	jpn.Stop()
	if sent, err := recall(t, usa, "duty", id); err != nil || len(sent.From) != 1 {
		t.Fatalf("recalled: %+v, %v", sent, err)
	}
	silent := func() {
		t.Helper()
		rows := recalls(usa, false)
		var s web.Status
		usa.Must("status", nil, &s)
		if len(rows) != 1 || rows[0].State != "silent" || rows[0].Since.IsZero() || s.Recalls != 1 {
			t.Errorf("recalls %+v, %d open", rows, s.Recalls)
		}
	}
	silent()
	usa.Stop()
	usa.Start()
	silent()
	jpn.Start()
	usa.Until("the answer", func() (bool, error) { return len(recalls(usa, false)) == 0, nil })
	if !withdrawnAt(t, jpn, id) {
		t.Error("in use at JPN-01")
	}
	armed(jpn, id, false)
	// Nobody withdraws at JPN-01 what is USA-01's, and a refusal is told.
	came := recalls(jpn, false)
	if len(came) != 1 || came[0].Direction != "came" || came[0].Partner != "USA-01" || came[0].Reason != message.RecallSpill {
		t.Fatalf("at JPN-01: %+v", came)
	}
	by, err := jpn.Signed(t.Context(), "duty", noroshi.ActRefuseRecall, came[0].Recall, courier.RefusalBound(message.RefusedLaw))
	if err != nil {
		t.Fatal(err)
	}
	in := web.RecallRefuse{Why: message.RefusedLaw, By: by}
	if err := in.Message.UnmarshalText([]byte(came[0].Recall)); err != nil {
		t.Fatal(err)
	}
	jpn.Must("recall.refuse", in, nil)
	usa.Until("the refusal", func() (bool, error) {
		rows := recalls(usa, true)
		return len(rows) == 1 && rows[0].State == "refused" && rows[0].Refusal == message.RefusedLaw, nil
	})
	if jpn.Node.Index.Armed(id) {
		t.Error("what was refused is armed again")
	}
	usa.Intact()
	jpn.Intact()
}

// TestRecallAlongTheRing: USA-01 gave JPN-01 what it gave KOR-01, and is
// connected with KOR-01 too. The recall goes the same way and no farther, the
// answers come back; another's claim of the same value stays.
func TestRecallAlongTheRing(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	kor := nodetest.New(t, "KOR-01", noroshi.Real)
	nodetest.Ally(t, jpn, kor)
	nodetest.Ally(t, usa, kor)
	// The same value of KOR-01's own: another claim, another object.
	kor.Import("own.txt", "tlp:green", strings.NewReader("ring.example\n"))
	kor.Settle()
	own := only(t, kor)
	armed(usa, own, true)
	armed(jpn, own, true)
	kor.Stop() // so that it has USA-01's object from JPN-01 as well
	usa.Import("list.txt", "tlp:green", strings.NewReader("ring.example\n"))
	usa.Settle()
	recs, err := usa.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var id stix.ID
	for _, r := range recs {
		if r.Object.ID != own {
			id = r.Object.ID
		}
	}
	armed(jpn, id, true)
	jpn.Settle()
	kor.Start()
	kor.Until("a claim by each way", func() (bool, error) {
		versions, err := kor.Node.Store.Versions(t.Context(), id)
		return len(versions) == 2, err
	})
	armed(kor, id, true)
	if sent, err := recall(t, usa, "duty", id); err != nil || !slices.Equal(sent.From, []noroshi.CallSign{"JPN-01", "KOR-01"}) && !slices.Equal(sent.From, []noroshi.CallSign{"KOR-01", "JPN-01"}) {
		t.Fatalf("recalled: %+v, %v", sent, err)
	}
	usa.Until("all answers", func() (bool, error) {
		rows := slices.DeleteFunc(recalls(usa, true), func(r web.RecallRow) bool { return r.Direction == "came" })
		return len(rows) == 2 && !slices.ContainsFunc(rows, func(r web.RecallRow) bool {
			// KOR-01 may have passed it on to JPN-01 before it came from there.
			return r.State != "confirmed" || r.Found != 1 || r.Answered != r.Onward || r.Partner == "JPN-01" && r.Onward != 1
		}), nil
	})
	passed := recalls(jpn, true)
	if !slices.ContainsFunc(passed, func(r web.RecallRow) bool {
		return r.Direction == "sent" && r.Partner == "KOR-01" && r.For == "USA-01" && r.State == "confirmed"
	}) {
		t.Errorf("at JPN-01: %+v", passed)
	}
	for _, p := range []*nodetest.Party{usa, jpn, kor} {
		armed(p, id, false)
		if !withdrawnAt(t, p, id) {
			t.Errorf("in use at %s", p.Sign)
		}
		armed(p, own, true)
		everybodyAnswered(p)
		p.Intact()
	}
}

// everybodyAnswered waits until no recall that went out from a party is open.
func everybodyAnswered(p *nodetest.Party) {
	p.Until("everybody answered", func() (bool, error) {
		return len(slices.DeleteFunc(recalls(p, false), func(r web.RecallRow) bool { return r.Direction == "came" })) == 0, nil
	})
}

// TestTwoOrigins: the same value from two partners stays two claims with two
// markings. A hit makes a sighting of each, as strict as its own claim; neither
// says where but for the hour, and each goes to its own originator alone. A
// recall of one leaves the other in use.
func TestTwoOrigins(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	kor := nodetest.New(t, "KOR-01", noroshi.Real)
	nodetest.Ally(t, usa, kor)
	jpn.Import("jpn.txt", "tlp:amber+strict", strings.NewReader("same.example\n"))
	kor.Import("kor.txt", "tlp:amber", strings.NewReader("same.example\n"))
	jpn.Approve()
	kor.Approve()
	nodetest.Whole(t, usa, jpn)
	nodetest.Whole(t, usa, kor)
	ids := map[*nodetest.Party]stix.ID{jpn: only(t, jpn), kor: only(t, kor)}
	marks := map[*nodetest.Party]string{jpn: "TLP:AMBER+STRICT", kor: "TLP:AMBER"}
	var hits []detect.Hit
	for p, id := range ids {
		armed(usa, id, true)
		var d web.ObjectDetail
		usa.Must("indicator.show", web.ObjectRef{ID: id}, &d)
		if d.Marking != marks[p] || len(d.Origins) != 1 || d.Origins[0].From != string(p.Sign) || d.Origins[0].Marking != marks[p] {
			t.Errorf("the claim of %s is %s from %+v", p.Sign, d.Marking, d.Origins)
		}
		hits = append(hits, detect.Hit{Indicator: id, Time: time.Now(), Strength: detect.Strong, Value: noroshi.Value{Kind: noroshi.DomainName, Text: "same.example"}})
	}
	seen, err := usa.Node.Watch.Observe(t.Context(), "tap-victim-7", hits)
	if err != nil || len(seen.Sightings) != 2 {
		t.Fatalf("observed %+v, %v", seen, err)
	}
	usa.Approve()
	nodetest.Whole(t, usa, jpn)
	nodetest.Whole(t, usa, kor)
	for _, id := range seen.Sightings {
		r, err := usa.Node.Store.Current(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Object.Sighting()
		if err != nil {
			t.Fatal(err)
		}
		text := string(r.Object.Bytes())
		if r.Object.Property("where_sighted_refs") != nil || strings.Contains(text, "victim") || !strings.Contains(text, ":00:00") {
			t.Errorf("the sighting says too much: %s", text)
		}
		for p, of := range ids {
			_, err := p.Node.Store.Current(t.Context(), id)
			if there := err == nil; there != (of == s.SightingOf) {
				t.Errorf("%s has the sighting of %s: %v", p.Sign, s.SightingOf, there)
			}
			if of == s.SightingOf && !slices.Contains(r.Object.Markings, map[string]stix.ID{"TLP:AMBER": noroshi.Amber.MarkingID(), "TLP:AMBER+STRICT": noroshi.AmberStrict.MarkingID()}[marks[p]]) {
				t.Errorf("the sighting of %s is marked %v", marks[p], r.Object.Markings)
			}
		}
	}
	if _, err := recall(t, kor, "duty", ids[kor]); err != nil {
		t.Fatal(err)
	}
	if sent, err := recall(t, kor, "release1", ids[kor]); err != nil || sent.ID == "" {
		t.Fatalf("%+v, %v", sent, err)
	}
	armed(usa, ids[kor], false)
	armed(usa, ids[jpn], true)
	usa.Intact()
}

// TestNoEcho: what USA-01 gave JPN-01 never comes back to it, not by JPN-01 and
// not by whom it was passed on to: it has one version of it, its own.
func TestNoEcho(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("list.txt", "tlp:green", strings.NewReader("echo.example\n"))
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	jpn.Settle()
	nodetest.Whole(t, jpn, usa)
	id := only(t, usa)
	versions, err := usa.Node.Store.Versions(t.Context(), id)
	if err != nil || len(versions) != 1 {
		t.Errorf("USA-01 has %d versions of its own object (%v)", len(versions), err)
	}
	var d web.ObjectDetail
	jpn.Must("indicator.show", web.ObjectRef{ID: id}, &d)
	if len(d.Origins) != 1 || d.Origins[0].From != "USA-01" || !d.Origins[0].Borne || d.Origins[0].Marking != "TLP:GREEN" || d.Origins[0].Time.IsZero() {
		t.Errorf("origins: %+v", d.Origins)
	}
}
