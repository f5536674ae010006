package store_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestSift: what is sought is found once and in order in either direction, in
// packed blocks and behind them, page by page, whatever the page's size.
func TestSift(t *testing.T) {
	s := open(t)
	const n = 9000 // two packed blocks and some
	for from := 1; from <= n; from += 1000 {
		do(t, s, noroshi.Act{}, func(tx *store.Tx) error {
			for i := from; i < from+1000; i++ {
				v := indicator(t, i, "2024-01-01T00:00:00Z")
				v.Values = []noroshi.Value{{Kind: noroshi.DomainName, Text: fmt.Sprintf("h%d.example", i)}}
				if i%3000 == 1 {
					v.Values = []noroshi.Value{{Kind: noroshi.DomainName, Text: fmt.Sprintf("a.evil%d.example", i)}, {Kind: noroshi.IPv4, Text: fmt.Sprintf("192.0.2.%d", i%250)}}
				}
				if i == 42 { // a path keeps its case, and what is no ASCII may change it
					v.Values = []noroshi.Value{{Kind: noroshi.URL, Text: "http://h42.example/Sign-In/Éclair"}}
				}
				if _, _, err := tx.Put(v); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := store.Derive(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	within := store.Sought{Within: netip.MustParsePrefix("192.0.2.0/24")}
	for _, c := range []struct {
		what string
		of   store.Sought
		want []int64
	}{
		{"end", store.Sought{Pattern: "*.evil3001.example"}, []int64{3001}}, {"middle", store.Sought{Pattern: "*evil*"}, []int64{1, 3001, 6001}},
		{"beginning", store.Sought{Pattern: "a.evil*"}, []int64{1, 3001, 6001}}, {"network", within, []int64{1, 3001, 6001}},
		{"any case", store.Sought{Pattern: "*/sign-in*"}, []int64{42}}, {"any case of any letter", store.Sought{Pattern: "*éclair"}, []int64{42}},
		{"nothing", store.Sought{Pattern: "*evil4*"}, nil}, {"not twice the same letters", store.Sought{Pattern: "a.evil1.*1.example"}, nil},
	} {
		for _, a := range []store.Along{{Limit: 1}, {Limit: 2, Back: true}, {Limit: 100}, {Limit: 100, Back: true}} {
			var got []int64
			for more := true; more; {
				page, err := s.Sift(t.Context(), c.of, a)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Records {
					got = append(got, r.Seq)
				}
				a.After, more = page.UpTo, page.UpTo != 0
			}
			if a.Back {
				slices.Reverse(got)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, %+v: %v, want %v", c.what, a, got, c.want)
			}
		}
	}
}

// TestBackwards: every question that has pages gives the same backwards.
func TestBackwards(t *testing.T) {
	s := open(t)
	v := noroshi.Value{Kind: noroshi.DomainName, Text: "a.example"}
	at := noroshi.Value{Kind: noroshi.IPv4, Text: "192.0.2.1"}
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error {
		for i := range 7 {
			x := indicator(t, i+1, "2024-01-01T00:00:00Z")
			x.Values, x.Text = []noroshi.Value{v, at}, "狼煙 beacon"
			if _, _, err := tx.Put(x); err != nil {
				return err
			}
		}
		return nil
	})
	if err := store.Derive(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(store.Along) ([]store.Record, error){
		"value":   func(a store.Along) ([]store.Record, error) { return s.ByValue(t.Context(), v, a) },
		"address": func(a store.Along) ([]store.Record, error) { return s.ByValue(t.Context(), at, a) },
		"words": func(a store.Along) ([]store.Record, error) {
			list, _, err := s.Search(t.Context(), "狼煙 beacon", a)
			return list, err
		},
		"list": func(a store.Along) ([]store.Record, error) {
			return s.List(t.Context(), store.Filter{Type: "indicator", After: a.After, Limit: a.Limit, Back: a.Back})
		},
	} {
		var got []int64
		for a := (store.Along{Back: true, Limit: 3}); ; a.After = got[len(got)-1] {
			page, err := ask(a)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				got = append(got, r.Seq)
			}
			if len(page) < 3 {
				break
			}
		}
		if want := []int64{7, 6, 5, 4, 3, 2, 1}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
