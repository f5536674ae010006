package intake_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/intake/sheet"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// columnsOf makes a mapping of field=column.
func columnsOf(t *testing.T, columns ...string) *sheet.Mapping {
	t.Helper()
	m := &sheet.Mapping{}
	if err := m.ParseColumns(columns); err != nil {
		t.Fatal(err)
	}
	return m
}

func domainID(list, name string) stix.ID {
	return stix.DeriveID("indicator", space, list+"\ndomain-name\n"+name)
}

// TestTable takes rows in, good ones and bad ones, and the same again.
func TestTable(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	text := "ioc,what,score,tlp,since\na.example,C2,90,AMBER,2026-01-02\nb.example,,,,\nnot a value,,,,\nc.example,,,社外秘,\nd.example,,200,,\na.example,C2,90,AMBER,2026-01-02\na.example,other,,,\n\"open,,\n"
	o := intake.ImportOptions{Columns: columnsOf(t, "value=ioc", "description=what", "confidence=score", "marking=tlp", "valid_from=since"), Marking: noroshi.Green}
	r := h.take("feed.csv", text, o)
	if got := sum(r); got != "new 3 updated 0 unchanged 1 older 0 foreign 0 conflicts 0 quarantined 4 marked 0" {
		t.Fatalf("%s: %+v", got, r.Faults)
	}
	var faults []string
	for _, f := range r.Faults {
		faults = append(faults, fmt.Sprintf("%d %s %.20s", f.Line, f.Code, f.Msg))
	}
	if got := strings.Join(faults, "; "); got != `4 malformed value: "not a value"; 6 malformed confidence: "200" is; 8 twice an earlier part of t; 9 malformed a quote that does no` {
		t.Errorf("faults %s", got)
	}
	a := h.current(domainID("feed", "a.example"))
	if o := a.Object; o.Text("description") != "C2" || o.Text("valid_from") != "2026-01-02T00:00:00.000Z" || string(o.Property("confidence")) != "90" || len(stix.Validate(o)) > 0 {
		t.Errorf("made %s", o.Bytes())
	}
	for name, want := range map[string][]stix.ID{"a.example": {noroshi.Amber.MarkingID()}, "b.example": {noroshi.Green.MarkingID()}, "c.example": nil} {
		if got := h.current(domainID("feed", name)).Assigned; !slices.Equal(got, want) {
			t.Errorf("%s is assigned %v, want %s", name, got, want)
		}
	}
	if got := string(h.current(domainID("feed", "c.example")).Object.Property("labels")); got != `["handling: 社外秘"]` {
		t.Errorf("what is held is labelled %s", got)
	}
	if again := h.take("feed.csv", text, o); sum(again) != "new 0 updated 0 unchanged 4 older 0 foreign 0 conflicts 0 quarantined 4 marked 0" || len(h.quarantine()) != 4 {
		t.Errorf("the same again: %s, %d in quarantine", sum(again), len(h.quarantine()))
	}
}

// TestMarkingColumnNarrows: never below the import's marking, and later never
// below what is there.
func TestMarkingColumnNarrows(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	id := domainID("x", "a.example")
	for i, c := range []struct {
		column string
		with   noroshi.TLP
		want   noroshi.TLP
	}{{"CLEAR", noroshi.Green, noroshi.Green}, {"AMBER", noroshi.Green, noroshi.Amber}, {"GREEN", noroshi.Clear, noroshi.Amber}, {"RED", noroshi.NoTLP, noroshi.Red}} {
		h.take("x.csv", "value,tlp\na.example,"+c.column+"\n", intake.ImportOptions{Columns: columnsOf(t, "value=value", "marking=tlp"), Marking: c.with})
		got := noroshi.NoTLP
		for _, m := range h.current(id).Assigned {
			got = max(got, noroshi.TLPOf(m))
		}
		if got != c.want {
			t.Errorf("%d: column %s, import %s: marked %s, want %s", i, c.column, c.with, got, c.want)
		}
	}
}

// TestUnknownMarkingHolds: a word that is no level leaves the row unmarked; what
// a person then says stands when the same file comes again, and a row that begins
// to say such a word is judged anew.
func TestUnknownMarkingHolds(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	id := domainID("x", "a.example")
	take := func(word string) store.Record {
		h.take("x.csv", "value,tlp\na.example,"+word+"\n", intake.ImportOptions{Columns: columnsOf(t, "marking=tlp"), Marking: noroshi.Green})
		return h.current(id)
	}
	if r := take("ours"); len(r.Assigned) != 0 {
		t.Fatalf("assigned %v", r.Assigned)
	}
	if _, err := h.Mark(t.Context(), h.current(id), noroshi.Amber, noroshi.Signed{Person: "hana"}); err != nil {
		t.Fatal(err)
	}
	if r := take("ours"); !slices.Equal(r.Assigned, []stix.ID{noroshi.Amber.MarkingID()}) {
		t.Errorf("the same again: assigned %v, want what the person said", r.Assigned)
	}
	if r := take(""); !slices.Equal(r.Assigned, []stix.ID{noroshi.Green.MarkingID()}) {
		t.Errorf("without the word: assigned %v", r.Assigned)
	}
	if r := take("theirs"); len(r.Assigned) != 0 {
		t.Errorf("another word: assigned %v, want none", r.Assigned)
	}
}

// TestRowLikeAListEntry is that entry, byte for byte; a row that says more is
// its later version.
func TestRowLikeAListEntry(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	h.take("x.txt", "a.example\n", intake.ImportOptions{})
	if r := h.take("x.csv", "value\na.example\n", intake.ImportOptions{Format: "csv"}); r.Unchanged != 1 {
		t.Errorf("a bare row: %s, want it unchanged", sum(r))
	}
	if r := h.take("x.csv", "value,d\na.example,seen\n", intake.ImportOptions{Columns: columnsOf(t, "description=d")}); r.Updated != 1 {
		t.Errorf("a row that says more: %s, want a later version", sum(r))
	}
	if o := h.current(domainID("x", "a.example")).Object; o.Text("description") != "seen" || o.Modified.Compare(o.Created) <= 0 || o.Text("valid_from") != o.Created.String() {
		t.Errorf("made %s", o.Bytes())
	}
}

// TestPastRow: what has ended may not begin with this import, but stays where it
// is here.
func TestPastRow(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	o := intake.ImportOptions{Columns: columnsOf(t, "value=1", "valid_until=2")}
	r := h.take("x.csv", "value,until\na.example,2026-01-01\nb.example,2027-01-01\n", o)
	if r.New != 1 || r.Quarantined != 1 || !strings.Contains(r.Faults[0].Msg, "has passed") {
		t.Errorf("%s: %+v", sum(r), r.Faults)
	}
}

func TestTableResumes(t *testing.T) {
	var b strings.Builder
	b.WriteString("value,n\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "h%d.example,%d\n", i, i)
	}
	h := open(t, noroshi.Real, nil)
	ctx, cancel := context.WithCancel(t.Context())
	o := intake.ImportOptions{Name: "x.csv", Size: int64(b.Len()), Columns: columnsOf(t, "description=n"), Progress: func(intake.Progress) { cancel() }}
	first, err := h.Import(ctx, strings.NewReader(b.String()), o)
	if !errors.Is(err, context.Canceled) || first.New != 1000 {
		t.Fatalf("interrupted: %s, error %v", sum(first), err)
	}
	o.Progress = nil
	if r, err := h.Import(t.Context(), strings.NewReader(b.String()), o); err != nil || r.Run != first.Run || r.Resumed != 1000 || r.New != 1000 {
		t.Errorf("taken up: %s resumed %d, error %v", sum(r), r.Resumed, err)
	}
}

func TestPreviewWritesNothing(t *testing.T) {
	p, err := intake.PreviewTable(strings.NewReader("ioc;tlp\na.example;AMBER\nnonsense;\nb.example;ours\n"), intake.ImportOptions{Columns: columnsOf(t, "marking=tlp"), Marking: noroshi.Green}, 3)
	if err != nil || len(p.Rows) != 3 || p.Dialect.Delimiter != ";" {
		t.Fatalf("%+v, error %v", p, err)
	}
	if r := p.Rows; r[0].Marking != "TLP:AMBER" || r[0].Value != "a.example" || r[1].Wrong == "" || r[1].Line != 3 || r[2].Held != "ours" {
		t.Errorf("%+v", p.Rows)
	}
}
