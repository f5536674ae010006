package watch_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/stix"
)

func draft() watch.Draft {
	return watch.Draft{ID: stix.NewID("report"), TitleEN: "Wiper on grid dispatch", TitleJA: "給電指令系へのワイパー攻撃",
		TextEN: "Isolate the dispatch hosts.", TextJA: "給電指令の機器を隔離してください。", Severity: noroshi.Critical, Precedence: noroshi.Flash,
		Action: "isolate", Audience: []string{"USA-01"}, Refs: []stix.ID{indicatorID(1)}, Marking: "tlp:amber"}
}

func (d *desk) write(by string, w watch.Draft) error {
	return d.watch.New(d.t.Context(), w, d.as(by, noroshi.ActWarn, string(w.ID), w.Bound()))
}

func (d *desk) ack(by string, row watch.Row) error {
	return d.watch.Ack(d.t.Context(), row.ID, d.as(by, noroshi.ActAck, string(row.ID), row.Hash))
}

func TestAPersonWritesAWarning(t *testing.T) {
	d := newDesk(t)
	d.inForce("tlp:amber", "")
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Amber, ""))
	w := draft()
	if err := d.write("tanaka", w); err != nil {
		t.Fatal(err)
	}
	row := d.one(w.ID)
	if row.Title != w.TitleEN || row.TitleJA != w.TitleJA || row.TextJA != w.TextJA || row.Severity != w.Severity || row.Precedence != noroshi.Flash ||
		len(row.Audience) != 1 || row.Label != "TLP:AMBER" || row.CallSign != "JPN-01" {
		t.Errorf("row %+v", row.Row)
	}
	for _, typ := range []string{"report", "language-content"} {
		for _, o := range d.objects(typ) {
			if p := stix.Validate(o); len(p) > 0 {
				t.Errorf("%s: %v", o.ID, p)
			}
		}
	}
	if err := d.write("tanaka", w); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("the same again: %v, want Conflict", err)
	}
	newer := draft()
	newer.Replaces, newer.Marks = w.ID, []stix.ID{"marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168"}
	if err := d.write("tanaka", newer); err != nil {
		t.Fatal(err)
	}
	// Its id must not travel where the closure of references does not see it.
	if refs := d.one(newer.ID).Refs; len(refs) != 2 || refs[1] != w.ID {
		t.Errorf("the replaced warning is not among what it refers to: %v", refs)
	}
	unknown := draft()
	unknown.Replaces = stix.NewID("report")
	if err := d.write("tanaka", unknown); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("replaces a warning that is not here: %v, want Invalid", err)
	}
	if row := d.one(w.ID); row.Replaced != newer.ID || row.Open() {
		t.Errorf("replaced by %q, open %v", row.Replaced, row.Open())
	}
	d.restart()
	if row := d.one(w.ID); row.Replaced != newer.ID || row.TitleJA != w.TitleJA {
		t.Errorf("after a restart: replaced by %q, %q", row.Replaced, row.TitleJA)
	}
	d.intact()
}

func TestDraftsThatAreRefused(t *testing.T) {
	d := newDesk(t)
	d.inForce("tlp:amber", "")
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Amber, ""))
	for name, change := range map[string]func(*watch.Draft){
		"no id":             func(w *watch.Draft) { w.ID = "" },
		"another type":      func(w *watch.Draft) { w.ID = stix.NewID("note") },
		"one language":      func(w *watch.Draft) { w.TitleJA = "" },
		"no text":           func(w *watch.Draft) { w.TextEN = "" },
		"a book":            func(w *watch.Draft) { w.TextJA = strings.Repeat("長", 10_001) },
		"severity":          func(w *watch.Draft) { w.Severity = "bad" },
		"precedence":        func(w *watch.Draft) { w.Precedence = 9 },
		"action":            func(w *watch.Draft) { w.Action = "retaliate" },
		"about nothing":     func(w *watch.Draft) { w.Refs = nil },
		"about what is not": func(w *watch.Draft) { w.Refs = []stix.ID{indicatorID(77)} },
		"audience":          func(w *watch.Draft) { w.Audience = []string{"everyone"} },
		"for a stranger":    func(w *watch.Draft) { w.Audience = []string{"USA-01", "KOR-01"} },
		"unmarked":          func(w *watch.Draft) { w.Marking = "" },
	} {
		t.Run(name, func(t *testing.T) {
			w := draft()
			change(&w)
			if err := d.write("tanaka", w); noroshi.KindOf(err) != noroshi.Invalid {
				t.Errorf("%v, want Invalid", err)
			}
		})
	}
	w := draft()
	signed := d.as("tanaka", noroshi.ActWarn, string(w.ID), w.Bound())
	w.TextEN = "Something else."
	if err := d.watch.New(t.Context(), w, signed); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("changed after it was signed: %v, want Forbidden", err)
	}
	if n := len(d.objects("report")); n != 0 {
		t.Errorf("%d reports after refusals", n)
	}
}

// partnerWarning writes what USA-01 would send: a report and its Japanese.
func partnerWarning(n int, modified, more string) (id stix.ID, report, words string) {
	id = stix.ID(fmt.Sprintf("report--00000000-0000-4000-8000-%012d", n))
	head := func(typ, id string) string {
		return fmt.Sprintf(`{"type":%q,"spec_version":"2.1","id":%q,"created":"2026-11-24T05:00:00.000Z","modified":%q,"created_by_ref":"identity--00000000-0000-4000-8000-000000000001"`, typ, id, modified)
	}
	report = head("report", string(id)) + fmt.Sprintf(`,"name":"From USA","description":"Text","published":"2026-11-24T05:00:00Z","object_refs":[%q],"object_marking_refs":[%q],`+
		`"extensions":{%q:{"extension_type":"property-extension","severity":"critical","precedence":"flash","action":"block"%s}}}`,
		indicatorID(1), noroshi.Amber.MarkingID(), noroshi.WarningExtension, more)
	words = head("language-content", fmt.Sprintf("language-content--00000000-0000-4000-8000-%012d", n)) +
		fmt.Sprintf(`,"object_ref":%q,"object_modified":%q,"contents":{"ja":{"name":"米側からの警報","description":"本文"}}}`, id, modified)
	return id, report, words
}

const flashClock = "[[clock]]\nprecedence = \"flash\"\nreceipt = \"1m\"\nacknowledge = \"10m\"\n"

func TestAPartnersWarningIsAcknowledged(t *testing.T) {
	d := newDesk(t)
	d.inForce("tlp:amber", flashClock)
	stop := d.running()
	id, report, words := partnerWarning(1, "2026-11-24T05:00:00.000Z", "")
	d.admit(fromPartner, report, words)
	row := d.one(id).Row
	if row.From != usa || row.CallSign != "USA-01" || row.TitleJA != "米側からの警報" || row.Precedence != noroshi.Flash {
		t.Errorf("row %+v", row)
	}
	if want := d.clock().Add(10 * time.Minute); !row.AckDue.Equal(want) || row.Late(want) || !row.Late(want.Add(time.Second)) {
		t.Errorf("to be acknowledged by %s, want %s", row.AckDue, want)
	}
	if err := d.ack("tanaka", row); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("an analyst acknowledges: %v, want Forbidden", err)
	}
	if err := d.ack("yamada", row); err != nil {
		t.Fatal(err)
	}
	if err := d.ack("yamada", row); err != nil {
		t.Errorf("twice: %v", err)
	}
	row = d.one(id).Row
	if len(row.Acks) != 1 || row.Acks[0].Person != "yamada" || row.Acks[0].Role != noroshi.Duty || row.Open() {
		t.Errorf("acks %+v", row.Acks)
	}
	d.toldOnce()
	stop()
	if at, err := d.store.Cursor(t.Context(), "watch-read"); err != nil || at == 0 {
		t.Errorf("told up to %d is on record, %v", at, err)
	}
	if open, err := d.watch.List(t.Context(), true); err != nil || len(open) != 0 {
		t.Errorf("%d open, %v", len(open), err)
	}

	// A start later does not tell again, and shows the same.
	d.restart()
	stop = d.running()
	d.settled()
	if row := d.one(id).Row; len(row.Acks) != 1 {
		t.Errorf("after a restart: %+v", row.Acks)
	}
	stop()
	if n := len(d.told); n != 0 {
		t.Errorf("told %d times more", n)
	}
	d.intact()
}

// toldOnce waits until the partner was told of a READ, and checks it.
func (d *desk) toldOnce() {
	d.t.Helper()
	select {
	case got := <-d.told:
		if want := (read{usa, usaMessage, noroshi.Duty}); got != want {
			d.t.Errorf("told %+v, want %+v", got, want)
		}
	case <-time.After(30 * time.Second):
		d.t.Fatal("the partner was not told")
	}
}

func TestAnAckWithoutARunningNodeIsToldLater(t *testing.T) {
	d := newDesk(t)
	d.inForce("tlp:amber", flashClock)
	id, report, words := partnerWarning(1, "2026-11-24T05:00:00.000Z", "")
	d.admit(fromPartner, report, words)
	if err := d.ack("yamada", d.one(id).Row); err != nil {
		t.Fatal(err)
	}
	d.restart()
	d.running()
	d.toldOnce()
}

// TestAReadTheCourierCannotTakeYet: it is told as soon as the courier can take
// it, though nothing else happens here.
func TestAReadTheCourierCannotTakeYet(t *testing.T) {
	d := newDesk(t)
	d.inForce("tlp:amber", flashClock)
	id, report, words := partnerWarning(1, "2026-11-24T05:00:00.000Z", "")
	d.admit(fromPartner, report, words)
	d.deaf = 1
	d.running()
	if err := d.ack("yamada", d.one(id).Row); err != nil {
		t.Fatal(err)
	}
	d.toldOnce()
}

func TestAckIsOverWhatWasShown(t *testing.T) {
	d := newDesk(t)
	d.inForce("tlp:amber", "")
	id, report, words := partnerWarning(1, "2026-11-24T05:00:00.000Z", "")
	d.admit(fromPartner, report, words)
	shown := d.one(id).Row
	_, newer, _ := partnerWarning(1, "2026-11-24T05:10:00.000Z", `,"due":"2026-11-24T06:00:00Z"`)
	d.admit(fromPartner, newer)
	if err := d.ack("yamada", shown); noroshi.KindOf(err) != noroshi.Forbidden {
		t.Errorf("acknowledged unseen bytes: %v, want Forbidden", err)
	}
	row := d.one(id).Row
	if row.TitleJA != "" {
		t.Errorf("a translation of the older version is shown: %s", row.TitleJA)
	}
	if title, _ := row.In(locale.JA); title != "From USA" {
		t.Errorf("without Japanese: %q, want the original", title)
	}
	if row.Due.IsZero() {
		t.Error("the newer version's due time is not shown")
	}
}

// TestADelegateAcknowledges: a role passed on counts here as everywhere.
func TestADelegateAcknowledges(t *testing.T) {
	d := newDesk(t)
	d.inForce("tlp:amber", "")
	id, report, words := partnerWarning(1, "2026-11-24T05:00:00.000Z", "")
	d.admit(fromPartner, report, words)
	register, err := d.store.Persons(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	deputy := register["tanaka"]
	deputy.Delegated = []noroshi.Delegation{{Role: noroshi.Duty, From: d.now, Until: d.now.Add(time.Hour), By: []string{"yamada"}}}
	d.put(noroshi.DocPerson, deputy.ID, deputy)
	if err := d.ack("tanaka", d.one(id).Row); err != nil {
		t.Errorf("a delegate: %v", err)
	}
}

func TestNobodyElseTranslatesOrReplacesAWarning(t *testing.T) {
	d := newDesk(t)
	id, report, words := partnerWarning(1, "2026-11-24T05:00:00.000Z", "")
	d.admit(fromPartner, report)
	other := noroshi.Source{Kind: noroshi.FromPartner, Partner: noroshi.NodeID{8}, Message: usaMessage}
	d.admit(other, words)
	_, replacing, _ := partnerWarning(2, "2026-11-24T05:00:00.000Z", fmt.Sprintf(`,"replaces":%q`, id))
	d.admit(other, replacing)
	row := d.one(id).Row
	if row.TitleJA != "" || row.Replaced != "" || !row.Open() {
		t.Errorf("another partner spoke for USA-01: %+v", row)
	}
}

func TestWithdrawnWarningsAreNotOpen(t *testing.T) {
	d := newDesk(t)
	id, report, _ := partnerWarning(1, "2026-11-24T05:00:00.000Z", "")
	d.admit(fromPartner, report)
	if !d.one(id).Open() {
		t.Fatal("not open")
	}
	_, err := d.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActWithdraw, Subject: string(id)}, func(tx *store.Tx) error {
		return tx.Withdraw(id, fromPartner.Owner())
	})
	if err != nil {
		t.Fatal(err)
	}
	if d.one(id).Open() {
		t.Error("still open")
	}
	if _, err := d.watch.Show(t.Context(), stix.NewID("report")); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("%v, want NotFound", err)
	}
}

func TestAReportWithoutTheExtensionIsNoWarning(t *testing.T) {
	d := newDesk(t)
	_, report, _ := partnerWarning(1, "2026-11-24T05:00:00.000Z", "")
	d.admit(fromPartner, strings.Replace(report, string(noroshi.WarningExtension), "extension-definition--00000000-02d1-44aa-88a3-1808c901d359", 1))
	if rows, err := d.watch.List(t.Context(), false); err != nil || len(rows) != 0 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// TestFlashIsRare: one person makes ten warnings an hour FLASH, and no more;
// another person, and a lower precedence, are not concerned.
func TestFlashIsRare(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.inForce("tlp:amber", "")
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Amber, ""))
	d.hire("sato", noroshi.Duty)
	d.hire("mori", noroshi.Duty)
	give := func(by string, p noroshi.Precedence) error {
		w := draft()
		w.Precedence = p
		return d.write(by, w)
	}
	for n := range 10 {
		d.later(time.Minute)
		if err := give("sato", noroshi.Flash); err != nil {
			t.Fatalf("FLASH %d: %v", n+1, err)
		}
	}
	if err := give("sato", noroshi.Flash); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("an eleventh FLASH: %v, want it refused", err)
	}
	if err := give("sato", noroshi.Immediate); err != nil {
		t.Errorf("IMMEDIATE of the same person: %v", err)
	}
	if err := give("mori", noroshi.Flash); err != nil {
		t.Errorf("FLASH of another: %v", err)
	}
	d.later(51 * time.Minute) // the first is an hour old
	if err := give("sato", noroshi.Flash); err != nil {
		t.Errorf("an hour after the first: %v", err)
	}
	if err := give("sato", noroshi.Flash); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("ten in this hour already: %v", err)
	}
}
