package intake_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// refuseBad refuses what names bad.example.
func refuseBad(values []noroshi.Value) error {
	for _, v := range values {
		if strings.HasSuffix(v.Text, "bad.example") {
			return noroshi.Errorf(noroshi.Refused, "test.bad", "%s is ours", v)
		}
	}
	return nil
}

// TestSurvey: of every format, a survey says what the import after it does, writes
// nothing, and finds nothing new after it.
func TestSurvey(t *testing.T) {
	t.Parallel()
	inputs := map[string]string{
		"list": "a.example\nb.example\nb.example\n!!!\nwww.bad.example\n",
		"csv":  "value,description\na.example,x\nwww.bad.example,y\n192.0.2.7,z\n",
		"json": `[{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"[domain-name:value = 'a.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"},
			{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000002","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"[domain-name:value = 'bad.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"},
			{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000003","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","revoked":true,"pattern":"[domain-name:value = 'bad.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"},
			{"type":"domain-name","spec_version":"2.1","id":"domain-name--3c10e93f-798e-5a26-a0c1-08156efab7f5","value":"bad.example"}, 7]`,
	}
	for _, name := range []string{"csaf-vendor.json", "every-type-2.0.json"} {
		b, err := os.ReadFile(filepath.Join("lift", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		inputs[name] = string(b)
	}
	event, err := os.ReadFile("../../stix/misp/testdata/misp-telebots.json")
	if err != nil {
		t.Fatal(err)
	}
	inputs["misp"] = string(event)
	for name, text := range inputs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, noroshi.Real, nil)
			s, g := h.store, h.Gate
			o := intake.ImportOptions{Name: name, Feed: "cert", Refuse: refuseBad, Listed: true}
			if name == "csv" {
				o.Format = "csv"
			}
			acts := func() uint64 {
				n, err := s.NextAct(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			before := acts()
			said, err := g.Survey(t.Context(), strings.NewReader(text), o)
			if err != nil {
				t.Fatal(err)
			}
			if acts() != before {
				t.Error("a survey wrote something")
			}
			told := 0
			o.Last = func(_ *store.Tx, r intake.Report) error { told = r.New; return nil }
			r, err := g.Import(t.Context(), strings.NewReader(text), o)
			if err != nil {
				t.Fatal(err)
			}
			twice := 0
			if name == "list" {
				twice = 1 // a survey does not know yet what its own input brings
			}
			if said.New != r.New+r.Updated+twice || said.Protected+said.Refused != r.Quarantined || told != r.New || r.New == 0 {
				t.Errorf("surveyed %d new, %d protected, %d refused; imported %+v, told %d", said.New, said.Protected, said.Refused, r, told)
			}
			after, err := g.Survey(t.Context(), strings.NewReader(text), o)
			if err != nil || after.New != 0 || after.Protected != said.Protected || !slices.Equal(after.Listed, said.Listed) {
				t.Errorf("surveyed again: %d new, %d protected, %v", after.New, after.Protected, err)
			}
			if again, err := g.Import(t.Context(), strings.NewReader(text), o); err != nil || again.New != 0 {
				t.Errorf("imported again: %+v, %v", again, err)
			}
			err = s.Each(t.Context(), "indicator", 0, func(x store.Record) error {
				if x.Source.Name != "cert" || x.Source.Kind != noroshi.FromFeed && x.Source.Kind != noroshi.FromSelf {
					t.Errorf("%s comes from %+v", x.Object.ID, x.Source)
				}
				if refuseBad(x.Values) != nil {
					t.Errorf("%s is in use", x.Object.ID)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			q, err := s.QuarantineList(t.Context(), 0, 1000)
			if err != nil || len(q) != said.Protected+said.Refused {
				t.Errorf("%d in quarantine, %v", len(q), err)
			}
			for _, x := range q {
				if x.Source != (noroshi.Source{Kind: noroshi.FromFeed, Name: "cert"}) {
					t.Errorf("quarantined from %+v", x.Source)
				}
			}
		})
	}
}

// TestRetire: what a list had is revoked for good and comes back under the next
// id; what a person withdrew stays so; another list's entry is not touched.
func TestRetire(t *testing.T) {
	t.Parallel()
	h := open(t, noroshi.Real, nil)
	s, g := h.store, h.Gate
	take := func(feed string) []stix.ID {
		t.Helper()
		o := intake.ImportOptions{Name: "x", Feed: feed, Marking: noroshi.Amber, Listed: true}
		if _, err := g.Import(t.Context(), strings.NewReader("a.example\nb.example\n"), o); err != nil {
			t.Fatal(err)
		}
		said, err := g.Survey(t.Context(), strings.NewReader("a.example\nb.example\n"), o)
		if err != nil || len(said.Listed) != 2 || said.New != 0 {
			t.Fatalf("listed %v, %d new, %v", said.Listed, said.New, err)
		}
		return said.Listed
	}
	retire := func(feed string, ids []stix.ID) int {
		t.Helper()
		v, err := g.PrepareVanished(t.Context(), feed, "run", ids)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Do(t.Context(), noroshi.Act{Action: noroshi.ActWithdraw}, func(tx *store.Tx) error { return g.Retire(tx, v) }); err != nil {
			t.Fatal(err)
		}
		return v.Count
	}
	one, two := take("one"), take("two")
	if n := retire("one", two); n != 0 {
		t.Errorf("%d of another feed's were retired", n)
	}
	if n := retire("one", one); n != 2 {
		t.Errorf("%d retired", n)
	}
	if n := retire("one", one); n != 0 {
		t.Errorf("%d retired again", n)
	}
	r, err := s.Current(t.Context(), one[0])
	if err != nil || !r.Object.Revoked || r.Object.Modified.Compare(r.Object.Created) <= 0 || !slices.Contains(r.Assigned, noroshi.Amber.MarkingID()) || !r.Creator {
		t.Errorf("revoked: %s %+v, %v", r.Object.Bytes(), r.Assigned, err)
	}
	if problems := stix.Validate(r.Object); len(problems) > 0 {
		t.Errorf("revoked: %v", problems)
	}
	back := take("one")
	if slices.ContainsFunc(back, func(id stix.ID) bool { return slices.Contains(one, id) }) {
		t.Errorf("back under the revoked ids: %v", back)
	}
	if _, err := s.Do(t.Context(), noroshi.Act{Action: noroshi.ActWithdraw}, func(tx *store.Tx) error { return tx.Withdraw(back[0], "self") }); err != nil {
		t.Fatal(err)
	}
	if still := take("one"); !slices.Equal(still, back) {
		t.Errorf("what a person withdrew is back: %v, had %v", still, back)
	}
	if n := retire("one", back); n != 1 {
		t.Errorf("%d retired, want the one in use", n)
	}
}
