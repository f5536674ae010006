package nodetest_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

const green = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"

// claimed is an indicator that says who made it.
func claimed(uuid, maker, value, modified, members string) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--%s","created_by_ref":%q,"created":"2026-01-01T00:00:00.000Z","modified":%q,"pattern":"[domain-name:value = '%s']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","object_marking_refs":[%q]%s}`,
		uuid, maker, modified, value, green, members)
}

// TestThirdParty is L10 between nodes: what JPN-01 gave USA-01 as AMBER never reaches KOR-01, nor
// does what USA-01 makes of it: sighting, warning, translation; not their ids.
func TestThirdParty(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	kor := nodetest.New(t, "KOR-01", noroshi.Real)
	nodetest.Ally(t, usa, kor)
	jpn.Import("zz-canary-list.txt", "tlp:amber", strings.NewReader("zz-canary-host.example\n"))
	jpn.Approve()
	nodetest.Whole(t, jpn, usa)
	recs, err := usa.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 10})
	if err != nil || len(recs) != 1 {
		t.Fatalf("USA-01 has %d indicators: %v", len(recs), err)
	}
	id := recs[0].Object.ID
	usa.Until("armed", func() (bool, error) { return usa.Node.Index.Armed(id), nil })
	seen, err := usa.Node.Watch.Observe(t.Context(), "tap-1", []detect.Hit{{Indicator: id, Time: time.Now(), Strength: detect.Strong,
		Value: noroshi.Value{Kind: noroshi.DomainName, Text: "zz-canary-host.example"}}})
	if err != nil || len(seen.Sightings) != 1 || len(seen.Warnings) != 1 {
		t.Fatalf("observed %+v, %v", seen, err)
	}
	// A person's own warning about it, with a milder marking.
	d := watch.Draft{ID: stix.NewID("report"), TitleEN: "zz-canary-title", TitleJA: "zz-canary-表題", TextEN: "x", TextJA: "x", Severity: noroshi.High,
		Precedence: noroshi.Immediate, Action: "check", Refs: []stix.ID{id}, Replaces: seen.Warnings[0], Marking: "tlp:green"}
	by, err := usa.Signed(t.Context(), "duty", noroshi.ActWarn, string(d.ID), d.Bound())
	if err != nil {
		t.Fatal(err)
	}
	usa.Must("warning.new", web.NewWarning{Draft: d, By: by}, nil)
	usa.Import("free.txt", "tlp:green", strings.NewReader("free.example\n"))
	usa.Settle()
	nodetest.Whole(t, usa, kor)
	nodetest.Whole(t, usa, jpn)
	if _, err := jpn.Node.Store.Current(t.Context(), seen.Sightings[0]); err != nil {
		t.Errorf("the sighting is not back at its originator: %v", err)
	}
	got, err := kor.Node.Store.List(t.Context(), store.Filter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	free := 0
	for _, r := range got {
		switch {
		case strings.Contains(string(r.Object.Bytes()), "free.example"):
			free++
		case r.Object.Type != "identity" && r.Object.Text("name") != "free":
			t.Errorf("KOR-01 has %s", r.Object.Bytes())
		}
	}
	if free == 0 {
		t.Error("KOR-01 has nothing of what may go to it")
	}
	kor.Stop()
	var words []string
	for _, x := range []stix.ID{id, seen.Sightings[0], seen.Warnings[0], d.ID} {
		_, uuid, _ := strings.Cut(string(x), "--")
		words = append(words, uuid)
	}
	search(t, kor.Dir, append(words, "zz-canary"))
}

// TestALyingPartner: JPN-01 claims what is not its own. It moves, frees, revokes
// and disarms nothing of USA-01's or KOR-01's, and what it brings as
// another's stays its own word.
func TestALyingPartner(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	kor := nodetest.New(t, "KOR-01", noroshi.Real)
	nodetest.Ally(t, usa, kor)
	const ours, secret, theirs, fresh = "eeeeeeee-1111-4111-8111-111111111111", "eeeeeeee-2222-4222-8222-222222222222", "eeeeeeee-3333-4333-8333-333333333333", "eeeeeeee-4444-4444-8444-444444444444"
	bundle := func(objects ...string) *strings.Reader {
		return strings.NewReader(`{"type":"bundle","id":"bundle--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c21","objects":[` + strings.Join(objects, ",") + `]}`)
	}
	const first, later = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"
	usaID, korID := string(usa.Node.Self.Identity), string(kor.Node.Self.Identity)
	red := string(noroshi.Red.MarkingID())
	usa.Import("ours.json", "", bundle(claimed(ours, usaID, "ours.example", first, ""),
		strings.Replace(claimed(secret, usaID, "secret.example", first, ""), green, red, 1)))
	kor.Import("theirs.json", "", bundle(claimed(theirs, korID, "theirs.example", first, "")))
	usa.Settle()
	kor.Settle()
	nodetest.Whole(t, usa, kor)
	usa.Until("armed", func() (bool, error) {
		return usa.Node.Index.Armed("indicator--"+ours) && usa.Node.Index.Armed("indicator--"+theirs), nil
	})
	// Its own copies are later, milder, revoked; one is of an id nobody uses yet.
	jpn.Import("lies.json", "", bundle(
		claimed(secret, usaID, "zz-lie-secret.example", later, ""),
		claimed(theirs, korID, "zz-lie-theirs.example", later, `,"revoked":true`),
		claimed(fresh, korID, "zz-lie-fresh.example", first, "")))
	jpn.Settle()
	nodetest.Whole(t, jpn, usa)
	usa.Import("after.txt", "tlp:green", strings.NewReader("after.example\n"))
	usa.Settle()
	nodetest.Whole(t, usa, kor)
	for _, x := range []string{ours, secret, theirs} {
		r, err := usa.Node.Store.Current(t.Context(), stix.ID("indicator--"+x))
		if err != nil || r.Source.Partner == jpn.Node.Keys.NodeID() || r.Object.Revoked {
			t.Errorf("%s was moved by JPN-01: %+v, %v", x, r.Source, err)
		}
		if !usa.Node.Index.Armed(stix.ID("indicator--" + x)) {
			t.Errorf("%s is armed no more", x)
		}
	}
	kor.Until("what came after the lies", func() (bool, error) {
		var f web.Found
		kor.Must("indicator.find", web.FindRef{Query: "after.example"}, &f)
		return len(f.Data) == 1, nil
	})
	if _, err := kor.Node.Store.Current(t.Context(), "indicator--"+secret); err == nil {
		t.Error("KOR-01 got the object USA-01 keeps RED")
	}
	usa.Intact()
}

// newToken is a token that a person may make.
func newToken(person string) web.Token {
	_, id := web.NewTokenText()
	now := time.Now().UTC()
	return web.Token{ID: id, Person: person, Name: "collector", Scope: []string{"read"}, Made: now, Expires: now.Add(time.Hour)}
}

// addToken gives a person a token.
func addToken(t *testing.T, p *nodetest.Party, person string) web.Token {
	t.Helper()
	made := newToken(person)
	by, err := p.Signed(t.Context(), person, noroshi.ActToken, made.ID, made.Bound())
	if err != nil {
		t.Fatal(err)
	}
	p.Must("token.add", web.TokenAdd{Token: made, By: by}, nil)
	return made
}

// TestEverySignedOperation: an operation the table calls signed writes nothing
// for nobody, for a stranger, or for a person whose role may not.
func TestEverySignedOperation(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("list.txt", "tlp:amber", strings.NewReader("host.example\n"))
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	var holds []web.HoldRow
	usa.Must("release.list", web.HoldRef{}, &holds)
	if len(holds) != 1 {
		t.Fatalf("%d holds", len(holds))
	}
	recs, err := usa.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 1})
	if err != nil || len(recs) != 1 {
		t.Fatal(err)
	}
	about := string(recs[0].Object.ID)
	file := []byte("version = 1")
	var draft string
	usa.Must("agreement.draft", web.DraftRef{With: "JPN-01"}, &draft)
	kept := addToken(t, usa, "release1")
	inputs := map[string]func(by noroshi.Signed) any{
		"indicator.withdraw": func(by noroshi.Signed) any { return web.SignedRef{Subject: about, By: by} },
		"marking.assign":     func(by noroshi.Signed) any { return web.MarkRef{Object: stix.ID(about), Marking: "tlp:red", By: by} },
		"indicator.reauthor": func(by noroshi.Signed) any {
			return web.ReauthorRef{Redraft: intake.Redraft{Original: stix.ID(about), Clear: `{"name":"x","pattern":"[domain-name:value = 'x.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`,
				Markings: []string{"tlp:green"}}, By: by}
		},
		"recall.send": func(by noroshi.Signed) any {
			return web.RecallSend{Order: courier.RecallOrder{Object: stix.ID(about), Reason: message.RecallMistaken, Scope: message.RecallStopUse}, By: by}
		},
		"recall.refuse": func(by noroshi.Signed) any {
			return web.RecallRefuse{Message: noroshi.Sum(file), Why: message.RefusedLaw, By: by}
		},
		"warning.new": func(by noroshi.Signed) any {
			return web.NewWarning{Draft: watch.Draft{ID: stix.NewID("report"), TitleEN: "x", TitleJA: "x", TextEN: "x", TextJA: "x", Severity: noroshi.Low,
				Precedence: noroshi.Routine, Action: "inform", Refs: []stix.ID{recs[0].Object.ID}, Marking: "tlp:green"}, By: by}
		},
		"translation.write": func(by noroshi.Signed) any {
			return web.TranslateRef{Wording: intake.Wording{Of: stix.ID(about), Version: recs[0].Object.Modified.String(), Lang: "ja", Texts: map[string]string{"name": "x"}}, By: by}
		},
		"translation.check": func(by noroshi.Signed) any { return web.SignedRef{Subject: about, By: by} },
		"warning.ack":       func(by noroshi.Signed) any { return web.SignedRef{Subject: about, By: by} },
		"release.approve":   func(by noroshi.Signed) any { return web.SignedRef{Subject: holds[0].ID, By: by} },
		"release.return": func(by noroshi.Signed) any {
			return web.HoldSigned{SignedRef: web.SignedRef{Subject: holds[0].ID, By: by}, Why: "x"}
		},
		"release.defer": func(by noroshi.Signed) any {
			return web.HoldSigned{SignedRef: web.SignedRef{Subject: holds[0].ID, By: by}, Why: "x"}
		},
		"partner.card":    func(by noroshi.Signed) any { return web.CardRef{For: "KOR-01", By: by} },
		"partner.receive": func(by noroshi.Signed) any { return web.ReceiveRef{Card: file, By: by} },
		"partner.confirm": func(by noroshi.Signed) any {
			return web.ConfirmRef{Node: jpn.Node.Keys.NodeID(), Fingerprint: "1", By: by}
		},
		"quarantine.release": func(by noroshi.Signed) any { return web.QuarantineRef{Seq: 1, By: by} },
		"agreement.propose":  func(by noroshi.Signed) any { return web.ProposeRef{File: []byte(draft), By: by} },
		"agreement.sign":     func(by noroshi.Signed) any { return web.SignRef{Hash: noroshi.Sum(file), By: by} },
		"link.go-on":         func(by noroshi.Signed) any { return web.GoOnRef{Partner: jpn.Node.Keys.NodeID(), By: by} },
		"quarantine.decide": func(by noroshi.Signed) any {
			return courier.HeldDecision{Message: noroshi.Sum(file), Apply: true, By: by}
		},
		"person.remove": func(by noroshi.Signed) any {
			return web.PersonRemove{Removal: partner.Removal{Person: "duty"}, By: by}
		},
		"person.enrol": func(by noroshi.Signed) any {
			return web.EnrolRef{Enrolment: partner.Enrolment{Person: "release1", NoCode: true}, By: by}
		},
		"token.add":    func(by noroshi.Signed) any { return web.TokenAdd{Token: newToken(by.Person), By: by} },
		"token.revoke": func(by noroshi.Signed) any { return web.TokenRef{ID: kept.ID, By: by} },
	}
	for name, action := range map[string]noroshi.Action{"agreement.suspend": noroshi.ActSuspendAgreement, "agreement.resume": noroshi.ActResumeAgreement,
		"agreement.emergency": noroshi.ActDeclareEmergency, "standing.add": noroshi.ActStandingRule, "standing.end": noroshi.ActEndStandingRule,
		"person.delegate": noroshi.ActDelegate} {
		inputs[name] = func(by noroshi.Signed) any {
			return web.OrderRef{Order: noroshi.Order{Action: action, At: time.Now().UTC(), Person: "duty", Role: noroshi.ReleaseOffice}, By: by}
		}
	}
	for name, order := range map[string]noroshi.Order{
		"key.rotate": {Action: noroshi.ActRotateKey, Key: &noroshi.KeyOrder{Use: noroshi.KeyRelease}},
		"key.revoke": {Action: noroshi.ActRevokeKey, Key: &noroshi.KeyOrder{ID: keyRow(usa, noroshi.KeyRelease).Key}}} {
		inputs[name] = func(by noroshi.Signed) any {
			order.At = time.Now().UTC()
			return web.OrderRef{Order: order, By: by}
		}
	}
	before := orders(t, usa)
	for name, op := range web.Ops {
		if op.Signed != (inputs[name] != nil) {
			t.Errorf("%s: signed is %v in the table and the test says otherwise", name, op.Signed)
		}
		if inputs[name] == nil {
			continue
		}
		// An officer's good signature, over the act of another action.
		wrong, err := usa.Signed(t.Context(), "release1", noroshi.ActRead, about, noroshi.Hash{})
		if err != nil {
			t.Fatal(err)
		}
		for _, by := range []noroshi.Signed{{}, {Person: "nobody", Signature: wrong.Signature, Digest: wrong.Digest}, wrong} {
			if err := usa.Do(t.Context(), name, inputs[name](by), nil); err == nil {
				t.Errorf("%s was done for %q", name, by.Person)
			}
		}
	}
	for name := range inputs {
		said := refusals(t, usa, name)
		if len(said) != 3 {
			t.Errorf("%s: %d refusals on record, want 3", name, len(said))
		}
		for _, s := range said {
			if strings.HasPrefix(s, name+" - ") {
				t.Errorf("%q does not say what it was about", s)
			}
		}
	}
	if after := orders(t, usa); after != before {
		t.Errorf("%d acts that persons order before, %d after", before, after)
	}
}

// TestRefusalsDoNotFloodTheRecord: what is refused again and again goes on record
// once at once and once with its count, when a minute is over or the node ends;
// and what differs without end is not told apart without end.
func TestRefusalsDoNotFloodTheRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01"}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var n *node.Node
	open := func() {
		var err error
		if n, err = node.Open(t.Context(), dir, noroshi.Real, node.Options{Now: func() time.Time { return now }}); err != nil {
			t.Fatal(err)
		}
	}
	refuse := func(subject string) {
		input, err := json.Marshal(web.SignedRef{Subject: subject, By: noroshi.Signed{Person: "nobody"}})
		if err == nil {
			_, err = web.Invoke(t.Context(), n.Services(), "warning.ack", input, nil, nil)
		}
		if noroshi.KindOf(err) != noroshi.NotFound {
			t.Fatalf("%s: %v", subject, err)
		}
	}
	counts := func() (list []int) {
		t.Helper()
		for _, e := range record(t, n.Store) {
			if e.Act.Action == noroshi.ActRefuse {
				list = append(list, e.Act.Count)
			}
		}
		return list
	}
	open()
	for range 50 {
		refuse("report--1")
	}
	if got := counts(); !slices.Equal(got, []int{0}) {
		t.Errorf("within a minute: %v, want one", got)
	}
	now = now.Add(time.Minute)
	refuse("report--1")
	refuse("report--1")
	if got := counts(); !slices.Equal(got, []int{0, 49, 0}) {
		t.Errorf("a minute later: %v, want the count of 49 and one more", got)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	open()
	if got := counts(); !slices.Equal(got, []int{0, 49, 0, 1}) {
		t.Errorf("after the node ended: %v, want the last count too", got)
	}
	for i := range 400 {
		refuse(fmt.Sprintf("report--%d", i))
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	open()
	defer n.Close()
	got := counts()[4:]
	sum := 0
	for _, again := range got {
		sum += again
	}
	if len(got) != 256+1+1 || sum != 400-256-1 {
		t.Errorf("400 that differ: %d acts that count %d, want 258 and 143", len(got), sum)
	}
}

// orders counts the acts in a node's ledger that only persons order.
func orders(t *testing.T, p *nodetest.Party) (n int) {
	t.Helper()
	for _, e := range record(t, p.Node.Store) {
		switch e.Act.Action {
		case noroshi.ActRefuse, noroshi.ActReceive, noroshi.ActReceipt, noroshi.ActSend, noroshi.ActAttempt, noroshi.ActEpoch:
		default:
			n++
		}
	}
	return n
}

// TestPersonsJoinOneAtATime: of many first persons at once one joins without a
// signature; a key that is here already gets no second account.
func TestPersonsJoinOneAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01"}); err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	add := func(p noroshi.Person) error {
		input, err := json.Marshal(web.PersonAdd{Person: p})
		if err == nil {
			_, err = web.Invoke(t.Context(), n.Services(), "person.add", input, nil, nil)
		}
		return err
	}
	var people []noroshi.Person
	for i := range 4 {
		p, err := noroshi.NewPerson(fmt.Sprintf("p%d", i), "", []noroshi.Role{noroshi.Administrator}, []byte("correct-horse-battery"))
		if err != nil {
			t.Fatal(err)
		}
		people = append(people, p)
	}
	var joined atomic.Int64
	var all sync.WaitGroup
	for _, p := range people {
		all.Go(func() {
			if add(p) == nil {
				joined.Add(1)
			}
		})
	}
	all.Wait()
	if joined.Load() != 1 {
		t.Errorf("%d persons joined without a signature, want 1", joined.Load())
	}
	for what, p := range map[string]noroshi.Person{
		"a path in the id": {ID: "a/b", Roles: people[0].Roles, Key: people[0].Key},
		"a short key":      {ID: "short", Roles: people[0].Roles, Key: people[0].Key[:31]},
		"an unknown role":  {ID: "role", Roles: []noroshi.Role{"king"}, Key: people[0].Key},
	} {
		if err := add(p); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%s: %v, want Invalid", what, err)
		}
	}
}

// TestClausesTheGateCannotRead: a partner proposes clauses that are no Cedar;
// nobody can sign them here, and what is in force goes on.
func TestClausesTheGateCannotRead(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	var text string
	jpn.Must("agreement.draft", web.DraftRef{With: "USA-01"}, &text)
	file := []byte(strings.ReplaceAll(strings.Replace(text, "version = 1", "version = 2", 1), "resource.level", "resource.nonsense"))
	h := noroshi.Sum(file)
	by, err := jpn.Signed(t.Context(), "liaison", noroshi.ActProposeAgreement, h.String(), h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jpn.Node.Office.Propose(t.Context(), file, by); err != nil { // past its own check
		t.Fatal(err)
	}
	usa.Until("the proposal", func() (bool, error) {
		err := usa.Do(t.Context(), "agreement.show", web.AgreementRef{Hash: h}, nil)
		return err == nil, nil
	})
	for _, officer := range []string{"release1", "release2"} {
		by, err := usa.Signed(t.Context(), officer, noroshi.ActSignAgreement, h.String(), h)
		if err != nil {
			t.Fatal(err)
		}
		if err := usa.Do(t.Context(), "agreement.sign", web.SignRef{Hash: h, By: by}, nil); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%s signs what nobody can read: %v, want Invalid", officer, err)
		}
	}
	usa.Import("free.txt", "tlp:green", strings.NewReader("free.example\n"))
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
}
