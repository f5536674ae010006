package store_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// step is one thing that comes: a version, or a withdrawal of a source's copy.
type step struct {
	version  *store.Version
	withdraw noroshi.Source
	upto     stix.Time // the newest version withdrawn; zero = all
}

var partnerB = noroshi.Source{Kind: noroshi.FromPartner, Partner: nodeB, Message: noroshi.Hash{1}}

// steps draws what comes for one id: versions of a few times, views and
// bodies, revoked or not, from an owner and from another source.
func steps(t *rapid.T, id stix.ID) []step {
	var list []step
	edition := rapid.Bool().Draw(t, "edition")
	creator := rapid.Bool().Draw(t, "creator")
	for range rapid.IntRange(1, 7).Draw(t, "n") {
		m := []stix.Member{{Name: "type", Value: "indicator"}, {Name: "spec_version", Value: "2.1"}, {Name: "id", Value: id}}
		if !edition {
			at := rapid.SampledFrom([]string{"2024-01-01T00:00:00Z", "2024-01-01T00:00:00.0000001Z", "2024-01-01T00:00:00.0000002Z", "2025-01-01T00:00:00.000Z"}).Draw(t, "modified")
			m = append(m, stix.Member{Name: "created", Value: "2024-01-01T00:00:00Z"}, stix.Member{Name: "modified", Value: at})
		}
		m = append(m, stix.Member{Name: "name", Value: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "body")})
		if rapid.IntRange(0, 5).Draw(t, "revoked") == 0 {
			m = append(m, stix.Member{Name: "revoked", Value: true})
		}
		o, err := stix.Make(m...)
		if err != nil {
			t.Fatal(err)
		}
		v := version(o, partnerB)
		v.View = rapid.Uint32Range(0, 1).Draw(t, "view")
		v.Creator = creator
		if creator && rapid.IntRange(0, 2).Draw(t, "foreign") == 0 { // without a creator the first to come owns it
			v.Source, v.Creator = file, false
		}
		list = append(list, step{version: v})
	}
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "withdraw") {
		x := step{withdraw: rapid.SampledFrom([]noroshi.Source{partnerB, file}).Draw(t, "of")}
		if at := rapid.SampledFrom([]string{"", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.0000001Z"}).Draw(t, "up to"); at != "" {
			x.upto, _ = stix.ParseTime(at)
		}
		list = append(list, x)
	}
	return list
}

// Any order of the same versions and withdrawals gives the same current.
func TestApplyCommutes(t *testing.T) {
	one, two := open(t), open(t)
	trial := 0
	rapid.Check(t, func(rt *rapid.T) {
		trial++
		id := stix.ID(fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", trial))
		list := steps(rt, id)
		got, want := outcome(rt, one, id, list), outcome(rt, two, id, rapid.Permutation(list).Draw(rt, "order"))
		if got != want {
			rt.Fatalf("two orders: got %s and %s", got, want)
		}
	})
	for _, s := range []*store.Store{one, two} {
		if v := verify(t, s); len(v.Faults) > 0 {
			t.Errorf("faults: %v", v.Faults[0])
		}
	}
}

// outcome applies steps and says what is in effect then.
func outcome(t *rapid.T, s *store.Store, id stix.ID, list []step) string {
	_, err := s.Do(t.Context(), noroshi.Act{Action: noroshi.ActReceive, Subject: string(id)}, func(tx *store.Tx) error {
		for _, x := range list {
			if x.version == nil {
				var err error
				if x.upto.IsZero() {
					err = tx.Withdraw(id, x.withdraw.Owner())
				} else {
					err = tx.WithdrawUpTo(id, x.withdraw.Owner(), x.upto)
				}
				if err != nil {
					return err
				}
				continue
			}
			if _, _, err := tx.Put(x.version); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rec, err := s.Current(t.Context(), id)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(rec.Hash, rec.View, rec.Withdrawn, rec.Object.Revoked, rec.Source.Kind)
}

func TestVersions(t *testing.T) {
	day := func(n int) string { return fmt.Sprintf("2024-01-%02dT00:00:00Z", n) }
	type came struct {
		src      noroshi.Source
		creator  bool
		modified string
		view     uint32
		revoked  bool
		body     string
		want     store.PutResult
	}
	cases := []struct {
		name    string
		came    []came
		current int // place in came, -1 = none
	}{
		{"later", []came{{src: file, modified: day(1), want: store.New}, {src: file, modified: day(2), want: store.Updated}}, 1},
		{"older", []came{{src: file, modified: day(2), want: store.New}, {src: file, modified: day(1), want: store.Older}}, 0},
		{"again", []came{{src: file, modified: day(1), want: store.New}, {src: file, modified: day(1), want: store.Unchanged}}, 0},
		{"another source's later version", []came{{src: file, modified: day(1), want: store.New}, {src: partnerB, modified: day(9), want: store.Foreign}}, 0},
		{"another source's same bytes", []came{{src: file, modified: day(1), want: store.New}, {src: partnerB, modified: day(1), want: store.Foreign}}, 0},
		{"the creator comes second", []came{{src: file, modified: day(9), want: store.New}, {src: partnerB, creator: true, modified: day(1), want: store.Updated}}, 1},
		{"two bodies", []came{{src: file, modified: day(1), want: store.New}, {src: file, modified: day(1), body: "b", want: store.Conflict}}, -1},
		{"two bodies above a good one", []came{{src: file, modified: day(1), want: store.New}, {src: file, modified: day(2), want: store.Updated}, {src: file, modified: day(2), body: "b", want: store.Conflict}}, 0},
		{"a higher view", []came{{src: partnerB, modified: day(1), want: store.New}, {src: partnerB, modified: day(1), view: 1, body: "cut", want: store.Updated}}, 1},
		{"nothing after revoked", []came{{src: file, modified: day(1), revoked: true, want: store.New}, {src: file, modified: day(2), want: store.Older}}, 0},
		{"below a microsecond", []came{{src: file, modified: "2024-01-01T00:00:00.0000002Z", want: store.New}, {src: file, modified: "2024-01-01T00:00:00.0000001Z", want: store.Older}}, 0},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			var seqs []int64
			for _, k := range c.came {
				extra := []stix.Member{{Name: "name", Value: k.body}}
				if k.revoked {
					extra = append(extra, stix.Member{Name: "revoked", Value: true})
				}
				v := indicator(t, i, k.modified, extra...)
				v.Source, v.Creator, v.View = k.src, k.creator, k.view
				got, seq := put(t, s, v)
				if got != k.want {
					t.Errorf("put %+v: got %v, want %v", k, got, k.want)
				}
				seqs = append(seqs, seq)
			}
			rec, err := s.Current(t.Context(), indicator(t, i, day(1)).Object.ID)
			switch {
			case c.current < 0 && noroshi.KindOf(err) != noroshi.NotFound:
				t.Errorf("current: got %d, %v, want none", rec.Seq, err)
			case c.current >= 0 && (err != nil || rec.Seq != seqs[c.current]):
				t.Errorf("current: got %d, %v, want %d", rec.Seq, err, seqs[c.current])
			}
		})
	}
}

func TestEachLeavesOutWhatIsNotInEffect(t *testing.T) {
	s := open(t)
	list := []*store.Version{
		indicator(t, 1, "2024-01-01T00:00:00Z"), indicator(t, 1, "2024-01-02T00:00:00Z"),
		indicator(t, 2, "2024-01-01T00:00:00Z", stix.Member{Name: "revoked", Value: true}),
		indicator(t, 3, "2024-01-01T00:00:00Z"), indicator(t, 4, "2024-01-01T00:00:00Z"),
	}
	list[4].Flags = []string{"top-sites"}
	for _, v := range list {
		put(t, s, v)
	}
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error { return tx.Withdraw(list[3].Object.ID, file.Owner()) })
	var got []int64
	if err := s.Each(t.Context(), "indicator", 0, func(r store.Record) error { got = append(got, r.Seq); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != "[2 5]" {
		t.Errorf("each: got %v, want [2 5]", got)
	}
	var from []string
	err := s.EachFrom(t.Context(), "indicator", func(id stix.ID, src noroshi.Source) error {
		from = append(from, fmt.Sprint(id == list[1].Object.ID, id == list[4].Object.ID, src == file))
		return nil
	})
	if err != nil || fmt.Sprint(from) != "[true false true false true true]" {
		t.Errorf("each with its source: got %v, %v", from, err)
	}
	for typ, want := range map[string]int{"indicator": 4, "malware": 0} {
		if n, err := s.Count(t.Context(), typ, []int64{1, 2, 3, 5, 99}); err != nil || n != want {
			t.Errorf("of five sequences %d are of %ss, %v; want %d", n, typ, err, want)
		}
	}
	var armed []string
	head, err := s.EachArmed(t.Context(), 0, func(a *store.Armed) error {
		armed = append(armed, fmt.Sprint(a.Seq, a.ID == list[1].Object.ID, a.Values, a.ValidFrom, a.Flagged))
		return nil
	})
	if err != nil || head != 6 || fmt.Sprint(armed) != "[2 true [n1.example] 1704067200000000 false 5 false [n4.example] 1704067200000000 true]" {
		t.Errorf("armed: got %v, %d, %v", armed, head, err)
	}
}

// TestWithdrawUpTo: a bounded withdrawal takes what came before it and what it
// overtook, no later version and nobody else's copy; withdrawing for good takes
// what comes later too.
func TestWithdrawUpTo(t *testing.T) {
	s := open(t)
	at := func(day string) *store.Version {
		v := indicator(t, 1, "2024-01-"+day+"T00:00:00Z")
		v.Source = partnerB
		return v
	}
	id := at("01").Object.ID
	withdraw := func(upto string) {
		do(t, s, noroshi.Act{Action: noroshi.ActWithdraw, Subject: string(id)}, func(tx *store.Tx) error {
			if upto == "" {
				return tx.Withdraw(id, partnerB.Owner())
			}
			bound, err := stix.ParseTime(upto)
			if err != nil {
				return err
			}
			return tx.WithdrawUpTo(id, partnerB.Owner(), bound)
		})
	}
	check := func(step string, gone ...bool) {
		t.Helper()
		list, err := s.Versions(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range list {
			if r.Withdrawn != gone[i] {
				t.Errorf("%s: version %d withdrawn %v, want %v", step, i+1, r.Withdrawn, gone[i])
			}
		}
	}
	withdraw("2024-01-02T00:00:00Z")
	put(t, s, at("02"))
	check("overtaken", true)
	put(t, s, at("03"))
	check("a later one", true, false)
	put(t, s, at("01"))
	check("an earlier one", true, false, true)
	other := at("02")
	other.Source = file
	put(t, s, other)
	check("another's", true, false, true, false)
	withdraw("2024-01-01T00:00:00Z")
	withdraw("")
	check("for good", true, true, true, false)
	put(t, s, at("04"))
	check("later than that", true, true, true, false, true)
	if v := verify(t, s); len(v.Faults) > 0 {
		t.Errorf("faults: %v", v.Faults)
	}
}

// TestEnd: what came up to a sequence goes out of use; what comes later stands
// and is current, the same bytes too, an object without modified too. Another's
// copy stays, and is current while there is nothing else.
func TestEnd(t *testing.T) {
	s := open(t)
	at := func(day string) *store.Version {
		v := indicator(t, 1, "2024-01-"+day+"T00:00:00Z")
		v.Source = partnerB
		return v
	}
	id := at("01").Object.ID
	end := func() {
		t.Helper()
		head, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			do(t, s, noroshi.Act{Action: noroshi.ActEndRetention}, func(tx *store.Tx) error { return tx.End(id, partnerB.Owner(), head) })
		}
	}
	check := func(step string, current int, gone ...bool) {
		t.Helper()
		list, err := s.Versions(t.Context(), id)
		if err != nil || len(list) != len(gone) {
			t.Fatalf("%s: %d versions, want %d; %v", step, len(list), len(gone), err)
		}
		for i, r := range list {
			if r.Withdrawn != gone[i] || r.Current != (i == current) {
				t.Errorf("%s: version %d withdrawn %v, current %v", step, i+1, r.Withdrawn, r.Current)
			}
		}
		if v := verify(t, s); len(v.Faults) > 0 {
			t.Errorf("%s: faults: %v", step, v.Faults)
		}
	}
	put(t, s, at("02"))
	other := at("02")
	other.Source = file
	put(t, s, other)
	end()
	check("ended", 1, true, false)
	put(t, s, at("02"))
	put(t, s, at("02"))
	check("the same again", 2, true, false, false)
	put(t, s, at("03"))
	check("a later one", 3, true, false, false, false)
	end()
	check("ended again", 1, true, false, true, true)
	if n, err := s.Ended(t.Context()); n != 1 || err != nil {
		t.Errorf("%d objects ended, %v", n, err)
	}
	do(t, s, noroshi.Act{Action: noroshi.ActWithdraw}, func(tx *store.Tx) error { return tx.Withdraw(id, partnerB.Owner()) })
	put(t, s, at("04"))
	check("withdrawn", 4, true, false, true, true, true)
}

// TestEndVersion: one version goes out of use, and what its owner brought before it and
// after it stands, as if it had never come: also where it said that the object is
// revoked, or stood in the place of another.
func TestEndVersion(t *testing.T) {
	for name, thiefs := range map[string]*store.Version{
		"a later one":  indicator(t, 1, "2024-01-03T00:00:00Z"),
		"one revoked":  indicator(t, 1, "2024-01-03T00:00:00Z", stix.Member{Name: "revoked", Value: true}),
		"another body": indicator(t, 1, "2024-01-02T00:00:00Z", stix.Member{Name: "name", Value: "b"}),
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			comes := func(v *store.Version) int64 {
				v.Source = partnerB
				_, seq := put(t, s, v)
				return seq
			}
			current := func(step string, want int64) {
				t.Helper()
				inUse, id := 0, thiefs.Object.ID
				if err := s.Each(t.Context(), "indicator", 0, func(store.Record) error { inUse++; return nil }); err != nil || inUse != 1 {
					t.Errorf("%s: %d are in use, %v", step, inUse, err)
				}
				if r, err := s.Current(t.Context(), id); err != nil || r.Seq != want || r.Withdrawn {
					t.Errorf("%s: version %d is current, withdrawn %v, want %d; %v", step, r.Seq, r.Withdrawn, want, err)
				}
				if v := verify(t, s); len(v.Faults) > 0 {
					t.Errorf("%s: faults: %v", step, v.Faults)
				}
			}
			good := comes(indicator(t, 1, "2024-01-02T00:00:00Z"))
			bad := comes(thiefs)
			do(t, s, noroshi.Act{Action: noroshi.ActWithdraw}, func(tx *store.Tx) error { return tx.EndVersion(thiefs.Object.ID, partnerB.Owner(), bad) })
			current("ended", good)
			comes(indicator(t, 1, "2024-01-01T00:00:00Z"))
			current("an older one", good)
			current("a later one", comes(indicator(t, 1, "2024-01-04T00:00:00Z")))
		})
	}
}

// TestEndedBefore: a database in which a version whose term was over was current, as it
// once was, is brought up to date: the version before it is current, and the audit finds
// nothing.
func TestEndedBefore(t *testing.T) {
	path := address(t)
	s := openAt(t, path)
	good, thiefs, plain := indicator(t, 1, "2024-01-02T00:00:00Z"), indicator(t, 1, "2024-01-03T00:00:00Z"), indicator(t, 2, "2024-01-02T00:00:00Z")
	good.Source, thiefs.Source, plain.Source = partnerB, partnerB, partnerB
	_, want := put(t, s, good)
	_, bad := put(t, s, thiefs)
	_, alone := put(t, s, plain)
	end := func(id stix.ID, seq int64) {
		do(t, s, noroshi.Act{Action: noroshi.ActWithdraw}, func(tx *store.Tx) error { return tx.EndVersion(id, partnerB.Owner(), seq) })
	}
	end(thiefs.Object.ID, bad)
	end(plain.Object.ID, alone)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw(t, path, "UPDATE head SET current = $1 WHERE current = $2", bad, want)
	raw(t, path, "UPDATE mark SET bits = 2 WHERE seq = $1", bad) // withdrawn
	raw(t, path, "INSERT INTO mark (seq, bits) VALUES ($1, 1)", want)
	raw(t, path, "UPDATE meta SET v = $1 WHERE k = 'schema'", []byte("3"))

	s = openAt(t, path)
	if r, err := s.Current(t.Context(), good.Object.ID); err != nil || r.Seq != want || r.Withdrawn {
		t.Errorf("version %d is current, withdrawn %v, want %d; %v", r.Seq, r.Withdrawn, want, err)
	}
	if v := verify(t, s); len(v.Faults) > 0 {
		t.Errorf("faults: %v", v.Faults)
	}
}

// A version without a run, of which nothing else is asked, has no run.
func TestNoRun(t *testing.T) {
	s := open(t)
	v := indicator(t, 1, "2024-01-01T00:00:00Z")
	v.Run = ""
	put(t, s, v)
	rec, err := s.Current(t.Context(), v.Object.ID)
	if err != nil || rec.Run != "" {
		t.Errorf("run %q, %v", rec.Run, err)
	}
}
