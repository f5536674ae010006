package nodetest_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// reauthor draws a clear object from one as a person.
func reauthor(t *testing.T, p *nodetest.Party, person string, id stix.ID, clear string, markings ...string) (d web.Redrawn, err error) {
	t.Helper()
	if err := p.Do(t.Context(), "indicator.redraw", intake.Redraft{Original: id, Clear: clear, Markings: markings}, &d); err != nil {
		return d, err
	}
	by, err := p.Signed(t.Context(), person, noroshi.ActReauthor, string(id), intake.ReauthorBound([]byte(d.Object), []byte(d.Link)))
	if err != nil {
		t.Fatal(err)
	}
	return d, p.Do(t.Context(), "indicator.reauthor", web.ReauthorRef{Redraft: d.Redraft, By: by}, nil)
}

// TestReauthor is L10 for what persons draw from restricted objects: a partner
// that may not see the original gets the new object, and never the original's
// id, what relates the two, or that there is something; one that may gets all
// three. What came from a partner is not re-authored at all.
func TestReauthor(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	kor := nodetest.New(t, "KOR-01", noroshi.Real)
	nodetest.Ally(t, usa, kor)
	const (
		rel    = "marking-definition--00000000-0000-4000-8000-0000000000b1"
		shared = "indicator--aaaaaaaa-1111-4111-8111-1111111111b2" // releasable to JPN
		closed = "indicator--aaaaaaaa-2222-4222-8222-2222222222b3" // to nobody
	)
	object := func(id, word string, marks ...string) string {
		return `{"type":"indicator","spec_version":"2.1","id":"` + id + `","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"zz-canary-` + word + `","pattern":"[domain-name:value = '` + word + `.example']",
"pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","object_marking_refs":["` + strings.Join(marks, `","`) + `"]}`
	}
	usa.Import("in.json", "", strings.NewReader(`[`+acsTo(rel, `"USA","JPN"`)+`,`+
		object(shared, "shared", string(noroshi.Green.MarkingID()), rel)+`,`+object(closed, "closed", string(noroshi.Green.MarkingID()), string(noroshi.Red.MarkingID()))+`]`))
	usa.Settle()
	const clear = `{"name":"seen in the field","pattern":"[domain-name:value = 'clear.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`
	one, err := reauthor(t, usa, "duty", shared, clear, "tlp:green")
	if err != nil {
		t.Fatal(err)
	}
	two, err := reauthor(t, usa, "release1", closed, clear, "tlp:green")
	if err != nil {
		t.Fatal(err)
	}
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	nodetest.Whole(t, usa, kor)

	has := func(p *nodetest.Party, id stix.ID, want bool) {
		t.Helper()
		if _, err := p.Node.Store.Current(t.Context(), id); (err == nil) != want {
			t.Errorf("%s has %s: %v, want %v", p.Sign, id, err, want)
		}
	}
	for _, p := range []*nodetest.Party{jpn, kor} {
		has(p, one.Redraft.ID, true)
		has(p, two.Redraft.ID, true)
		has(p, closed, false)
		has(p, two.Redraft.Link, false)
		has(p, shared, p == jpn)
		has(p, one.Redraft.Link, p == jpn)
	}

	// Both directions are shown where they are known.
	show := func(p *nodetest.Party, id stix.ID) (d web.ObjectDetail) {
		p.Must("indicator.show", web.ObjectRef{ID: id}, &d)
		return d
	}
	for _, p := range []*nodetest.Party{usa, jpn} {
		if d := show(p, one.Redraft.ID); !slices.Equal(d.DerivedFrom, []stix.ID{shared}) || len(d.Derived) > 0 {
			t.Errorf("%s: drawn from %v, re-authored as %v", p.Sign, d.DerivedFrom, d.Derived)
		}
		if d := show(p, shared); !slices.Equal(d.Derived, []stix.ID{one.Redraft.ID}) || len(d.DerivedFrom) > 0 {
			t.Errorf("%s: drawn from %v, re-authored as %v", p.Sign, d.DerivedFrom, d.Derived)
		}
	}
	if d := show(kor, one.Redraft.ID); len(d.DerivedFrom)+len(d.Derived)+len(d.Referrers) > 0 {
		t.Errorf("KOR-01 is shown %v", d)
	}
	if list, err := kor.Node.Store.List(t.Context(), store.Filter{Type: "relationship", Limit: 10}); err != nil || len(list) > 0 {
		t.Errorf("KOR-01 has relationships %v, %v", list, err)
	}

	// The text is scanned like any other.
	dirty, err := reauthor(t, usa, "duty", closed, strings.Replace(clear, "seen in", "(S//NF) seen in", 1), "tlp:green")
	if err != nil {
		t.Fatal(err)
	}
	usa.Settle()
	var rows []web.HoldRow
	usa.Must("release.list", web.HoldRef{}, &rows)
	if len(rows) != 2 || rows[0].Key != noroshi.Review || rows[1].Key != noroshi.Review {
		t.Errorf("holds: %+v", rows)
	}
	has(jpn, dirty.Redraft.ID, false)

	// A partner's word is a partner's.
	var e *noroshi.Error
	if _, err := reauthor(t, jpn, "duty", shared, clear, "tlp:clear"); !errors.As(err, &e) || e.Code != "reauthor.partners" || !slices.Contains(e.Args, "USA-01") {
		t.Errorf("JPN-01 re-authored what came from USA-01: %v", err)
	}
	for _, p := range []*nodetest.Party{usa, jpn, kor} {
		p.Intact()
	}
	words := []string{"zz-canary-closed", closed[11:], string(two.Redraft.Link)[14:]}
	jpn.Stop()
	search(t, jpn.Dir, words)
	kor.Stop()
	search(t, kor.Dir, append(words, "zz-canary-shared", shared[11:], string(one.Redraft.Link)[14:], intake.DerivedFrom))
}

// TestReauthorIsSigned: the person signs exactly the bytes of both objects; what
// they did not see is not done.
func TestReauthorIsSigned(t *testing.T) {
	t.Parallel()
	usa := nodetest.New(t, "USA-01", noroshi.Real)
	usa.Import("list.txt", "tlp:red", strings.NewReader("signed.example\n"))
	id := only(t, usa)
	const clear = `{"type":"note","content":"clear","object_refs":["identity--00000000-0000-4000-8000-000000000001"]}`
	if _, err := reauthor(t, usa, "liaison", id, clear, "tlp:green"); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("a liaison officer re-authored: %v", err)
	}
	d, err := reauthor(t, usa, "duty", id, clear, "tlp:green")
	if err != nil {
		t.Fatal(err)
	}
	by, err := usa.Signed(t.Context(), "duty", noroshi.ActReauthor, string(id), intake.ReauthorBound([]byte(d.Object), []byte(d.Link)))
	if err != nil {
		t.Fatal(err)
	}
	again := web.ReauthorRef{Redraft: d.Redraft, By: by}
	if err := usa.Do(t.Context(), "indicator.reauthor", again, nil); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("carried out twice: %v", err)
	}
	for name, change := range map[string]func(*intake.Redraft){
		"text":    func(x *intake.Redraft) { x.Clear = strings.Replace(x.Clear, "clear", "other", 1) },
		"marking": func(x *intake.Redraft) { x.Markings = []string{"tlp:clear"} },
		"id":      func(x *intake.Redraft) { x.ID = "note--00000000-0000-4000-8000-000000000002" },
	} {
		other := again
		change(&other.Redraft)
		if err := usa.Do(t.Context(), "indicator.reauthor", other, nil); noroshi.KindOf(err) != noroshi.Forbidden {
			t.Errorf("another %s than was signed: %v", name, err)
		}
	}
	var note struct {
		CreatedBy stix.ID   `json:"created_by_ref"`
		Markings  []stix.ID `json:"object_marking_refs"`
	}
	if err := json.Unmarshal([]byte(d.Object), &note); err != nil || note.CreatedBy != usa.Node.Self.Identity || !slices.Equal(note.Markings, []stix.ID{noroshi.Green.MarkingID()}) {
		t.Errorf("made %s", d.Object)
	}
	if err := json.Unmarshal([]byte(d.Link), &note); err != nil || !slices.Equal(note.Markings, []stix.ID{noroshi.Red.MarkingID()}) {
		t.Errorf("made %s", d.Link)
	}

	// Marked otherwise between the signature and the act, the relationship is
	// another.
	usa.Import("list2.txt", "tlp:green", strings.NewReader("remarked.example\n"))
	recs, err := usa.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 10})
	if err != nil || len(recs) != 2 {
		t.Fatal(recs, err)
	}
	id = recs[1].Object.ID
	var r web.Redrawn
	usa.Must("indicator.redraw", intake.Redraft{Original: id, Clear: clear, Markings: []string{"tlp:clear"}}, &r)
	if by, err = usa.Signed(t.Context(), "duty", noroshi.ActReauthor, string(id), intake.ReauthorBound([]byte(r.Object), []byte(r.Link))); err != nil {
		t.Fatal(err)
	}
	if _, err := mark(t, usa, "duty", id, "tlp:red"); err != nil {
		t.Fatal(err)
	}
	if err := usa.Do(t.Context(), "indicator.reauthor", web.ReauthorRef{Redraft: r.Redraft, By: by}, nil); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("re-authored under the marking the original had: %v", err)
	}
	usa.Intact()
}
