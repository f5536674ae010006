package intake_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/stix"
)

const (
	self    stix.ID = "identity--11111111-1111-4111-8111-111111111111"
	partner stix.ID = "identity--22222222-2222-4222-8222-222222222222"
)

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// house is a store and its gate.
type house struct {
	*testing.T
	*intake.Gate
	store *store.Store
}

func open(t *testing.T, realm noroshi.Realm, lists *intake.WarningLists) house {
	t.Helper()
	return openAt(t, storetest.Address(t, realm), realm, lists)
}

func openAt(t *testing.T, path string, realm noroshi.Realm, lists *intake.WarningLists) house {
	t.Helper()
	s, err := store.Open(t.Context(), path, store.Options{Realm: realm})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return house{t, gateOf(s, realm, lists), s}
}

func gateOf(s *store.Store, realm noroshi.Realm, lists *intake.WarningLists) *intake.Gate {
	return intake.New(s, intake.Options{
		Realm: realm, Lists: func() *intake.WarningLists { return lists }, Now: func() time.Time { return now },
		Self: noroshi.Organisation{CallSign: "USA-01", Identity: self},
	})
}

var fromFile = noroshi.Source{Kind: noroshi.FromFile, Name: "test.json", Person: "hana"}

// admit prepares and admits objects of a source.
func (h house) admit(src noroshi.Source, objects ...string) intake.Admitted {
	h.Helper()
	raws := make([]intake.Raw, len(objects))
	for i, o := range objects {
		raws[i] = intake.Raw{Bytes: []byte(o), Place: fmt.Sprintf("object %d", i)}
	}
	p, err := h.Prepare(src, "run", raws)
	if err != nil {
		h.Fatal(err)
	}
	var a intake.Admitted
	_, err = h.store.Do(h.Context(), noroshi.Act{Action: noroshi.ActImport, Subject: "run"}, func(tx *store.Tx) (err error) {
		a, err = h.Admit(tx, p)
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return a
}

func (h house) current(id stix.ID) store.Record {
	h.Helper()
	r, err := h.store.Current(h.Context(), id)
	if err != nil {
		h.Fatal(err)
	}
	return r
}

func (h house) quarantine() []store.Quarantined {
	h.Helper()
	q, err := h.store.QuarantineList(h.Context(), 0, 1000)
	if err != nil {
		h.Fatal(err)
	}
	return q
}

// indicator returns an indicator's text; more is further members.
func indicator(n int, modified, pattern, more string) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z","modified":"%s","pattern":%q,"pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"%s}`,
		n, modified, pattern, more)
}

func indicatorID(n int) stix.ID {
	return stix.ID(fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n))
}

const old = "2026-01-01T00:00:00.000Z"

// TestNothingEntersUnnamed is law 3.
func TestNothingEntersUnnamed(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	good := []intake.Raw{{Bytes: []byte(indicator(1, old, "[domain-name:value='a.example']", ""))}}
	for name, src := range map[string]noroshi.Source{
		"zero":                    {},
		"partner without message": {Kind: noroshi.FromPartner, Partner: noroshi.NodeID{1}},
		"file without name":       {Kind: noroshi.FromFile},
		"unknown kind":            {Kind: "rumour", Name: "x"},
	} {
		if _, err := h.Prepare(src, "", good); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("Prepare from %s: error %v, want Invalid", name, err)
		}
		if _, err := h.PrepareObjects(src, "", nil); noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("PrepareObjects from %s: error %v, want Invalid", name, err)
		}
	}
	other := open(t, noroshi.Real, nil)
	foreign, err := other.Prepare(fromFile, "", good)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*intake.Prepared{"nil": nil, "zero": {}, "another gate's": foreign} {
		var a intake.Admitted
		_, err := h.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActImport, Subject: "x"}, func(tx *store.Tx) (err error) {
			a, err = h.Admit(tx, p)
			return err
		})
		if a.New != 0 || (err != nil) != (p == foreign) {
			t.Errorf("%s Prepared admits %d, error %v", name, a.New, err)
		}
	}
	if held, err := h.store.Held(t.Context(), []stix.ID{indicatorID(1)}); err != nil || held[indicatorID(1)] {
		t.Errorf("held %v, error %v; want nothing", held, err)
	}
	if _, err := intake.New(h.store, intake.Options{}).Prepare(fromFile, "", good); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("a gate without realm prepares: %v", err)
	}
}

func TestPrepareRefuses(t *testing.T) {
	good := indicator(1, old, "[domain-name:value='good.example']", "")
	for name, c := range map[string]struct{ text, code, detail string }{
		"duplicate key":   {strings.Replace(good, `{`, `{"type":"x",`, 1), "malformed", "duplicate-key"},
		"case clash":      {strings.Replace(good, `{`, `{"Type":"x",`, 1), "malformed", "case-key"},
		"bad UTF-8":       {strings.Replace(good, "good", "g\xffod", 1), "malformed", "utf8"},
		"deep nesting":    {strings.Replace(good, `}`, `,"x_deep":`+strings.Repeat("[", 65)+strings.Repeat("]", 65)+`}`, 1), "malformed", "depth"},
		"type is no text": {`{"type": 5, "id":"indicator--00000000-0000-4000-8000-000000000001"}`, "malformed", "type"},
		"trailing bytes":  {good + "x", "malformed", "trailing"},
		"no JSON":         {"nonsense", "malformed", ""},
		"nothing":         {"", "malformed", ""},
		"a bundle":        {`{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000001"}`, "malformed", "bundle"},
		"too large":       {strings.Replace(good, `}`, `,"x_big":"`+strings.Repeat("a", stix.MaxObjectBytes)+`"}`, 1), "too-large", "size"},
		"from tomorrow":   {indicator(1, "2026-11-23T10:00:00.001Z", "[domain-name:value='good.example']", ""), "future", "24 hours"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, noroshi.Real, nil)
			a := h.admit(fromFile, indicator(2, old, "[ipv4-addr:value='192.0.2.1']", ""), c.text, indicator(3, "2026-11-23T10:00:00.000Z", "[ipv4-addr:value='192.0.2.2']", ""))
			if a.New != 2 || a.Quarantined != 1 || len(a.Faults) != 1 || a.Faults[0] != (intake.Fault{Index: 1, Code: c.code}) {
				t.Errorf("admitted %+v, want 2 new and object 1 quarantined as %s", a, c.code)
			}
			q := h.quarantine()
			if len(q) != 1 {
				t.Fatalf("%d things in quarantine, want 1", len(q))
			}
			if q[0].Code != c.code || q[0].Place != "object 1" || q[0].Source != fromFile || q[0].Run != "run" || !strings.Contains(q[0].Detail, c.detail) {
				t.Errorf("quarantined %+v, want code %s and detail %q", q[0], c.code, c.detail)
			}
			if int(q[0].Size) != len(c.text) || !strings.HasPrefix(c.text, string(q[0].Raw)) || len(q[0].Raw) > 64<<10 {
				t.Errorf("kept %d bytes of %d, want the beginning of %d", len(q[0].Raw), q[0].Size, len(c.text))
			}
		})
	}
}

// TestKept holds what is odd but no fault: it is kept, and what it may do is
// judged elsewhere.
func TestKept(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	huge := "[domain-name:value='" + strings.Repeat("a", 128<<10) + "']"
	if a := h.admit(fromFile, indicator(1, old, huge, "")); a.New != 1 {
		t.Errorf("huge pattern: %+v, want it kept", a)
	}
	if r := h.current(indicatorID(1)); len(r.Values) != 0 {
		t.Errorf("huge pattern has %d values, want none", len(r.Values))
	}

	marking := `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000000-0000-4000-8000-000000000009","created":"2026-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"%s"}}`
	a := h.admit(fromFile, fmt.Sprintf(marking, "one"), fmt.Sprintf(marking, "two"))
	versions, err := h.store.Versions(t.Context(), "marking-definition--00000000-0000-4000-8000-000000000009")
	if err != nil || a.New != 2 || len(versions) != 2 {
		t.Errorf("a marking defined twice: %+v, %d editions, error %v; want both", a, len(versions), err)
	}

	first := indicator(2, old, "[domain-name:value='first.example']", "")
	second := indicator(2, "2026-02-01T00:00:00.000Z", "[domain-name:value='second.example']", "")
	sender := noroshi.Source{Kind: noroshi.FromPartner, Partner: noroshi.NodeID{7}, Message: noroshi.Hash{1}}
	if a := h.admit(fromFile, first); a.New != 1 {
		t.Errorf("first: %+v", a)
	}
	if a := h.admit(sender, second); a.Foreign != 1 {
		t.Errorf("another source's later version: %+v, want foreign", a)
	}
	if r := h.current(indicatorID(2)); string(r.Object.Bytes()) != first {
		t.Errorf("current is %s, want the first source's", r.Object.Bytes())
	}
	if a := h.admit(fromFile, second); a.Updated != 1 {
		t.Errorf("own later version: %+v, want updated", a)
	}
	if a := h.admit(fromFile, first); a.Unchanged != 1 {
		t.Errorf("own first version again: %+v, want unchanged", a)
	}
	other := indicator(2, "2026-02-01T00:00:00.000Z", "[domain-name:value='third.example']", "")
	if a := h.admit(fromFile, other); a.Conflicts != 1 || len(a.Faults) != 1 || a.Faults[0].Code != "conflict" {
		t.Errorf("two bodies of one version: %+v, want a conflict", a)
	}

	rel := `{"type":"relationship","spec_version":"2.1","id":"relationship--00000000-0000-4000-8000-00000000000%d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","relationship_type":"related-to","source_ref":"relationship--00000000-0000-4000-8000-00000000000%d","target_ref":"relationship--00000000-0000-4000-8000-00000000000%d"}`
	if a := h.admit(fromFile, fmt.Sprintf(rel, 1, 2, 1), fmt.Sprintf(rel, 2, 1, 2)); a.New != 2 {
		t.Errorf("objects in a circle: %+v, want them kept", a)
	}
	from, err := h.store.Referrers(t.Context(), "relationship--00000000-0000-4000-8000-000000000001", "", 10)
	if err != nil || len(from) != 2 {
		t.Errorf("referrers %v, error %v; want both of the circle", from, err)
	}
}

// TestClaimedMaker: an object says who made it; only its path bears it out.
func TestClaimedMaker(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	claim := fmt.Sprintf(`,"created_by_ref":"%s"`, self)
	h.admit(fromFile, indicator(1, old, "[domain-name:value='a.example']", claim))
	if r := h.current(indicatorID(1)); r.Creator || r.Source != fromFile {
		t.Errorf("a file speaks for us: %+v", r.Source)
	}
	h.admit(noroshi.Source{Kind: noroshi.FromSelf}, indicator(2, old, "[domain-name:value='b.example']", claim))
	if r := h.current(indicatorID(2)); !r.Creator {
		t.Error("what was made here is not ours")
	}
	node := noroshi.NodeID{9}
	_, err := h.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActIntroduce, Subject: "x"}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocPartner, node.String(), fmt.Appendf(nil, `{"node":"%s","organisation":{"call_sign":"JPN-01","identity":"%s"}}`, node, partner))
	})
	if err != nil {
		t.Fatal(err)
	}
	sender := noroshi.Source{Kind: noroshi.FromPartner, Partner: node, Message: noroshi.Hash{1}}
	h.admit(sender, indicator(3, old, "[domain-name:value='c.example']", fmt.Sprintf(`,"created_by_ref":"%s"`, partner)),
		indicator(4, old, "[domain-name:value='d.example']", claim))
	if r := h.current(indicatorID(3)); !r.Creator {
		t.Error("what a partner made and sent is not its own")
	}
	if r := h.current(indicatorID(4)); r.Creator {
		t.Error("a partner speaks for us")
	}
}

func TestRealm(t *testing.T) {
	marking := func(n int, exercise string) string {
		return fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000000-0000-4000-8000-00000000000%d","created":"2026-01-01T00:00:00.000Z","name":"exercise","extensions":{"%s":{"extension_type":"property-extension","exercise_id":"%s"}}}`, n, noroshi.ExerciseExtension, exercise)
	}
	marked := func(n, m int) string {
		return indicator(n, old, "[ipv4-addr:value='192.0.2.1']", fmt.Sprintf(`,"object_marking_refs":["marking-definition--00000000-0000-4000-8000-00000000000%d"]`, m))
	}
	granular := func(n, m int) string {
		return indicator(n, old, "[ipv4-addr:value='192.0.2.1']", fmt.Sprintf(`,"granular_markings":[{"marking_ref":"marking-definition--00000000-0000-4000-8000-00000000000%d","selectors":["pattern"]}]`, m))
	}
	all := []string{marked(1, 1), marking(1, "keen-2027"), marking(2, "other"), marked(2, 2), granular(3, 1), granular(4, 2),
		indicator(5, old, "[ipv4-addr:value='192.0.2.1']", "")}
	drill, err := noroshi.ParseRealm("exercise:keen-2027")
	if err != nil {
		t.Fatal(err)
	}
	for realm, want := range map[noroshi.Realm][]int{
		noroshi.Real: {0, 1, 2, 3, 4, 5},
		drill:        {2, 3, 5},
	} {
		h := open(t, realm, nil)
		a := h.admit(fromFile, all...)
		var got []int
		for _, f := range a.Faults {
			if got = append(got, f.Index); f.Code != "realm" {
				t.Errorf("%s: fault %+v, want code realm", realm, f)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: quarantined %v, want %v", realm, got, want)
		}
		if a := h.admit(fromFile, marked(6, 2)); a.Quarantined != 1 {
			t.Errorf("%s: a later object with the marking: %+v, want it quarantined", realm, a)
		}
	}
}

func TestValuesFlagsAndWords(t *testing.T) {
	h := open(t, noroshi.Real, realLists(t))
	h.admit(fromFile,
		indicator(1, old, "[domain-name:value='whatismyipaddress.com' OR ipv4-addr:value='204.79.197.200']", `,"name":"Beacon whatismyipaddress.com of Kimsuky","description":"狼煙 signal","labels":["botnet"]`),
		indicator(2, old, "[process:name='x']", ""),
		`{"type":"domain-name","spec_version":"2.1","id":"domain-name--00000000-0000-4000-8000-000000000001","value":"Weebly.COM"}`,
		`{"type":"file","spec_version":"2.1","id":"file--00000000-0000-4000-8000-000000000001","name":"a.exe","hashes":{"MD5":"D41D8CD98F00B204E9800998ECF8427E","SSDEEP":"3::"}}`,
		`{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--00000000-0000-4000-8000-000000000001","value":"192.0.2.0/24"}`)
	for _, c := range []struct {
		id     stix.ID
		values string
		flags  string
	}{
		{indicatorID(1), "whatismyipaddress.com 204.79.197.200", "cloudflare-top10k microsoft-azure tranco10k whats-my-ip"},
		{indicatorID(2), "", ""},
		{"domain-name--00000000-0000-4000-8000-000000000001", "weebly.com", "cloudflare-top10k tranco10k"},
		{"file--00000000-0000-4000-8000-000000000001", "d41d8cd98f00b204e9800998ecf8427e", "common-ioc-false-positive empty-hashes"},
		{"ipv4-addr--00000000-0000-4000-8000-000000000001", "192.0.2.0/24", "rfc5735"},
	} {
		r := h.current(c.id)
		var values []string
		for _, v := range r.Values {
			values = append(values, v.String())
		}
		if got := strings.Join(values, " "); got != c.values {
			t.Errorf("%s: values %q, want %q", c.id, got, c.values)
		}
		if got := strings.Join(r.Flags, " "); got != c.flags {
			t.Errorf("%s: flags %q, want %q", c.id, got, c.flags)
		}
	}
	for text, want := range map[string]int{"kimsuky": 1, "狼煙": 1, "botnet": 1, "whatismyipaddress": 0} {
		if got := h.search(text); len(got) != want {
			t.Errorf("search %q finds %d, want %d", text, len(got), want)
		}
	}
}

// search waits until the text index has followed.
func (h house) search(text string) []store.Record {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), 10*time.Second)
	defer cancel()
	for {
		found, behind, err := h.store.Search(ctx, text, store.Along{Limit: 10})
		if err != nil {
			h.Fatal(err)
		}
		if behind == 0 {
			return found
		}
	}
}

func TestPrepareObjects(t *testing.T) {
	h := open(t, noroshi.Real, nil)
	o, err := stix.Parse([]byte(indicator(1, old, "[domain-name:value='a.example']", "")))
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.PrepareObjects(noroshi.Source{Kind: noroshi.FromSelf}, "", []*stix.Object{o})
	if err != nil {
		t.Fatal(err)
	}
	var a intake.Admitted
	_, err = h.store.Do(t.Context(), noroshi.Act{Action: noroshi.ActObserve, Subject: "x"}, func(tx *store.Tx) (err error) {
		a, err = h.Admit(tx, p)
		return err
	})
	if err != nil || a.New != 1 || len(a.Seqs) != 1 {
		t.Errorf("admitted %+v, error %v; want one new", a, err)
	}
}

// FuzzPrepare: whatever comes is prepared, without a store, and nothing panics.
func FuzzPrepare(f *testing.F) {
	for _, name := range []string{"markings/d001-tlp-clear.json", "markings/d043-granular-tearline-denied.json", "tlp-2.0.stix.json"} {
		raw, err := os.ReadFile(testdata + name)
		if err != nil {
			f.Fatal(err)
		}
		var bundle struct {
			Objects []json.RawMessage `json:"objects"`
		}
		if err := json.Unmarshal(raw, &bundle); err != nil {
			f.Fatal(err)
		}
		for _, o := range bundle.Objects {
			f.Add([]byte(o))
		}
	}
	f.Add([]byte(indicator(1, old, "[file:hashes.MD5='d41d8cd98f00b204e9800998ecf8427e']", `,"labels":["a",{"b":["c"]}],"contents":5`)))
	f.Add([]byte(`{"type":"file","id":"file--00000000-0000-4000-8000-000000000001","hashes":{"MD5":5}}`))
	g := gateOf(nil, noroshi.Real, nil)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := g.Prepare(fromFile, "", []intake.Raw{{Bytes: raw}}); err != nil {
			t.Error(err)
		}
	})
}
