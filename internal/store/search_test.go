package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

func TestSearch(t *testing.T) {
	s := open(t)
	texts := []string{"ランサムウェアの標的", "ﾗﾝｻﾑｳｪｱ半角", "Énergie RANSOMWARE campaign", "狼煙", "ＡＰＴ２８ Fancy Bear", "火"}
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error {
		for i, text := range texts {
			v := indicator(t, i+1, "2024-01-01T00:00:00Z")
			v.Text = text
			if _, _, err := tx.Put(v); err != nil {
				return err
			}
		}
		return nil
	})
	if err := store.Derive(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ query, want string }{
		{"らんさむ", "[1 2]"}, {"ランサム", "[1 2]"}, {"標的", "[1]"}, {"ransomware", "[3]"}, {"énergie", "[3]"}, {"ENERGIE", "[]"},
		{"狼煙", "[4]"}, {"apt28", "[5]"}, {"bear apt28", "[5]"}, {"bear wolf", "[]"}, {"火", "[6]"}, {`" OR *`, "[]"}, {"", "[]"},
	} {
		found, behind, err := s.Search(t.Context(), c.query, store.Along{Limit: 10})
		got := []int64{}
		for _, r := range found {
			got = append(got, r.Seq)
		}
		if err != nil || behind != 0 || fmt.Sprint(got) != c.want {
			t.Errorf("search %q: got %v, behind %d, %v, want %s", c.query, got, behind, err, c.want)
		}
	}
}

// TestSearchForALongWord: a word longer than the engine's index takes is found, and
// audit verify finds nothing wrong with it.
func TestSearchForALongWord(t *testing.T) {
	s := open(t)
	for i, word := range []string{strings.Repeat("0f", 1<<15), "я" + strings.Repeat("x", 1<<15-3) + "яяя"} {
		do(t, s, noroshi.Act{}, func(tx *store.Tx) error {
			v := indicator(t, i+1, "2024-01-01T00:00:00Z")
			v.Text = word
			_, _, err := tx.Put(v)
			return err
		})
		if err := store.Derive(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if found, _, err := s.Search(t.Context(), word, store.Along{Limit: 10}); err != nil || len(found) != 1 {
			t.Errorf("a word of %d bytes: %d found, %v", len(word), len(found), err)
		}
	}
	if v, err := s.Verify(t.Context(), nil); err != nil || len(v.Faults) > 0 {
		t.Errorf("verify: %v, %v", v.Faults, err)
	}
}

func TestByValue(t *testing.T) {
	s := open(t)
	values := []noroshi.Value{
		{Kind: noroshi.IPv4, Text: "10.1.2.3"}, {Kind: noroshi.CIDR, Text: "10.1.0.0/16"}, {Kind: noroshi.AddrPort, Text: "10.1.2.3", Port: 443},
		{Kind: noroshi.IPv6, Text: "2001:db8::1"}, {Kind: noroshi.CIDR, Text: "2001:db8::/32"}, {Kind: noroshi.CIDR, Text: "0.0.0.0/0"},
		{Kind: noroshi.DomainName, Text: "a.example"}, {Kind: noroshi.URL, Text: "a.example"}, {Kind: noroshi.IPv4, Text: "192.0.2.1"},
	}
	do(t, s, noroshi.Act{}, func(tx *store.Tx) error {
		for i, v := range values {
			x := indicator(t, i+1, "2024-01-01T00:00:00Z")
			x.Values = []noroshi.Value{v, v}
			if _, _, err := tx.Put(x); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range []struct {
		v     noroshi.Value
		after int64
		limit int
		want  string
	}{
		{values[0], 0, 10, "[1 2 3 6]"}, {values[0], 1, 1, "[2]"}, {values[2], 0, 10, "[1 2 3 6]"},
		{noroshi.Value{Kind: noroshi.AddrPort, Text: "10.1.2.3", Port: 80}, 0, 10, "[1 2 6]"},
		{noroshi.Value{Kind: noroshi.CIDR, Text: "10.0.0.0/8"}, 0, 10, "[1 2 3 6]"}, {noroshi.Value{Kind: noroshi.IPv4, Text: "10.1.9.9"}, 0, 10, "[2 6]"},
		{values[3], 0, 10, "[4 5]"}, {noroshi.Value{Kind: noroshi.CIDR, Text: "2001::/16"}, 0, 10, "[4 5]"}, {values[5], 0, 10, "[1 2 3 6 9]"},
		{values[6], 0, 10, "[7]"}, {values[7], 0, 10, "[8]"}, {noroshi.Value{Kind: noroshi.DomainName, Text: "b.example"}, 0, 10, "[]"},
	} {
		found, err := s.ByValue(t.Context(), c.v, store.Along{After: c.after, Limit: c.limit})
		got := []int64{}
		for _, r := range found {
			got = append(got, r.Seq)
		}
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("by value %s after %d: got %v, %v, want %s", c.v, c.after, got, err, c.want)
		}
	}
	if v := verify(t, s); len(v.Faults) > 0 {
		t.Error(v.Faults)
	}
}

func TestListPages(t *testing.T) {
	s := open(t)
	fill(t, s, 25)
	var got []int64
	for after := int64(0); ; {
		list, err := s.List(t.Context(), store.Filter{Type: "indicator", Run: "run-1", After: after, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, r := range list {
			got = append(got, r.Seq)
		}
		after = got[len(got)-1]
	}
	if len(got) != 25 || got[24] != 25 {
		t.Errorf("pages: got %v", got)
	}
	if list, err := s.List(t.Context(), store.Filter{Type: "malware"}); err != nil || len(list) != 0 {
		t.Errorf("unknown type: got %v, %v", list, err)
	}
}

// TestTermsOfPlainText: an ASCII text has the terms it has before a word of
// another script.
func TestTermsOfPlainText(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		text := make([]byte, r.IntN(40))
		for i := range text {
			text[i] = byte(r.IntN(128))
		}
		got, want := append(store.Terms(string(text)), "é"), store.Terms(string(text)+" é")
		if !slices.Equal(got, want) {
			t.Errorf("terms of %q: %q, before another word %q", text, got, want)
		}
	}
}
