package watch_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestNumbers: every warning this node makes, by a person or by rule, has a number
// of its own that can be said aloud, in its bytes; which one tells nothing of how
// many there are; it is found by it however it is typed.
func TestNumbers(t *testing.T) {
	d := newDesk(t)
	d.inForce("tlp:amber", "")
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Amber, ""))
	form := regexp.MustCompile(`^JPN-01/[0-9]{4}/[0-9]{5}$`)
	seen := map[string]stix.ID{}
	rising := 0
	last := ""
	for range 40 {
		w := draft()
		w.Precedence = noroshi.Priority // of FLASH a person makes so many an hour
		if err := d.write("tanaka", w); err != nil {
			t.Fatal(err)
		}
		n := d.one(w.ID).Number
		if !form.MatchString(n) || seen[n] != "" {
			t.Fatalf("number %q, which %q has too", n, seen[n])
		}
		if seen[n] = w.ID; n > last {
			rising++
		}
		last = n
	}
	if rising < 8 || rising > 32 {
		t.Errorf("of 40 numbers %d are above the last one: they count", rising)
	}
	for n, id := range seen {
		o, err := d.store.Current(t.Context(), id)
		if err != nil || !strings.Contains(string(o.Object.Bytes()), `"number":"`+n+`"`) {
			t.Errorf("%s is not in %s, %v", n, o.Object.Bytes(), err)
		}
		for _, typed := range []string{n, strings.ToLower(n), strings.ReplaceAll(n, "/", " "), n[strings.IndexByte(n, '/')+1:]} {
			if got, err := d.watch.Numbered(t.Context(), typed); err != nil || len(got) != 1 || got[0].ID != id {
				t.Errorf("%q finds %+v, %v", typed, got, err)
			}
			if meant, err := d.watch.Meant(t.Context(), stix.ID(typed)); err != nil || meant != id {
				t.Errorf("%q means %q, %v", typed, meant, err)
			}
		}
		tail := n[strings.IndexByte(n, '/'):]
		_, theirs, _ := partnerWarning(9, "2026-11-24T05:00:00.000Z", `,"number":"USA-01`+tail+`"`)
		d.admit(fromPartner, theirs)
		if meant, err := d.watch.Meant(t.Context(), stix.ID(tail[1:])); noroshi.CodeOf(err) != "watch.numbers-several" {
			t.Errorf("the number of two warnings means %q, %v", meant, err)
		}
		if meant, err := d.watch.Meant(t.Context(), stix.ID(n)); err != nil || meant != id {
			t.Errorf("%q means %q, %v", n, meant, err)
		}
		break
	}
	for _, typed := range []string{"JPN-01/2026/1", "", "x", "JPN-01", "2026", "10.0.0.0/8", "192.0.2.7/2026/10000"} {
		if got, err := d.watch.Numbered(t.Context(), typed); err != nil || len(got) != 0 {
			t.Errorf("%q finds %+v, %v", typed, got, err)
		}
		if meant, err := d.watch.Meant(t.Context(), stix.ID(typed)); err != nil || string(meant) != typed {
			t.Errorf("%q means %q, %v", typed, meant, err)
		}
	}
	d.restart()
	for n, id := range seen {
		if got := d.one(id).Number; got != n {
			t.Errorf("after a restart %q, before %q", got, n)
		}
	}
	d.intact()
}

// TestNumbersThatAreTaken: a number that another warning has is not given twice.
func TestNumbersThatAreTaken(t *testing.T) {
	id := stix.NewID("report")
	first := watch.NumberOf([16]byte{1}, "JPN-01", 2026, id, 0)
	if first != watch.NumberOf([16]byte{1}, "JPN-01", 2026, id, 0) {
		t.Error("the same warning has two first numbers")
	}
	for _, other := range []string{watch.NumberOf([16]byte{2}, "JPN-01", 2026, id, 0), watch.NumberOf([16]byte{1}, "JPN-01", 2026, id, 1), watch.NumberOf([16]byte{1}, "JPN-01", 2027, id, 0)} {
		if other == first {
			t.Errorf("%s twice", other)
		}
	}
	d := newDesk(t)
	d.inForce("tlp:amber", "")
	d.admit(fromFile, indicator(1, domain("one.example"), noroshi.Amber, ""))
	w := draft()
	taken, err := d.watch.FirstNumber(t.Context(), w.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActConfigure}, func(tx *store.Tx) error {
		return tx.PutDoc(watch.DocNumber, taken, []byte(stix.NewID("report")))
	}); err != nil {
		t.Fatal(err)
	}
	if err := d.write("tanaka", w); err != nil {
		t.Fatal(err)
	}
	if n := d.one(w.ID).Number; n == taken || n == "" {
		t.Errorf("number %q, taken was %q", n, taken)
	}
}
