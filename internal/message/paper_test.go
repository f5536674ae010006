package message_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

func TestPaper(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	full := 0
	for range 5000 {
		p := message.Paper{Counter: 1 + random.Uint64N(1<<random.IntN(20)), Cum: random.Uint64N(1 << random.IntN(24)), Applied: random.IntN(2) == 0}
		for end := p.Cum; random.IntN(4) > 0; {
			a := end + 2 + random.Uint64N(40)
			end = a + random.Uint64N(30)
			p.Ranges = append(p.Ranges, message.Range{A: a, B: end})
		}
		report, err := p.Report()
		if err != nil {
			if e := (*noroshi.Error)(nil); !errors.As(err, &e) || e.Code != "message.paper-full" || len(p.Ranges) < 3 {
				t.Fatalf("%+v: %v", p, err)
			}
			full++
			continue
		}
		check := random.Uint64N(1e10)
		groups := message.WriteGroups(report, check)
		if n := len(strings.Fields(groups)); n > 12 {
			t.Fatalf("%+v: %d groups", p, n)
		}
		got, sum, err := message.ReadGroups(strings.ReplaceAll(groups, " ", "　"))
		if err != nil || got != report || sum != check {
			t.Fatalf("%s reads as %s, %d (%v)", groups, got, sum, err)
		}
		read, err := message.ReadReport(got)
		if err != nil || cmp.Diff(read, p) != "" {
			t.Fatalf("%s: %s (%v)", groups, cmp.Diff(read, p), err)
		}
	}
	if full == 0 || full > 2500 {
		t.Errorf("%d of 5000 do not fit", full)
	}
}

// TestAWrongDigit: every single wrong digit, every two neighbours and every two
// groups that changed places are found, and of the first the group is named.
func TestAWrongDigit(t *testing.T) {
	t.Parallel()
	report, err := message.Paper{Counter: 31, Cum: 1204, Ranges: []message.Range{{A: 1210, B: 1215}, {A: 1300, B: 1300}}, Applied: true}.Report()
	if err != nil {
		t.Fatal(err)
	}
	const check = 98765_01234
	right := message.WriteGroups(report, check)
	groups := strings.Fields(right)
	for i := range right {
		for d := byte('0'); d <= '9'; d++ {
			if right[i] == ' ' || right[i] == d {
				continue
			}
			group := i/6 + 1
			got, sum, err := message.ReadGroups(right[:i] + string(d) + right[i+1:])
			if group <= len(groups)-2 {
				if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("group %d:", group)) {
					t.Fatalf("digit %d as %c: %v", i, d, err)
				}
				continue
			}
			if named, one := message.WrongCheck(got, sum, check); err != nil || !one || named != group {
				t.Fatalf("digit %d as %c: group %d named (%v), want %d", i, d, named, err, group)
			}
		}
	}
	for i := range len(groups) - 3 {
		swapped := append([]string{}, groups...)
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
		if got, sum, err := message.ReadGroups(strings.Join(swapped, " ")); err == nil && got == report && sum == check {
			t.Errorf("groups %d and %d changed places unseen", i+1, i+2)
		}
	}
	for _, typed := range []string{"", "12345", "12345 12345 12345 1234a", "1234 1234 1234 1234", strings.Repeat("00000 ", 13)} {
		if _, _, err := message.ReadGroups(typed); err == nil {
			t.Errorf("%q is taken for a receipt", typed)
		}
	}
}

func FuzzPaper(f *testing.F) {
	f.Add("1112110000000")
	f.Add("12 345")
	f.Add("2231351205151621")
	f.Fuzz(func(t *testing.T, typed string) {
		report, _, err := message.ReadGroups(typed)
		if err != nil {
			report = typed
		}
		p, err := message.ReadReport(report)
		if err != nil {
			return
		}
		for i, r := range p.Ranges {
			if r.A > r.B || r.A <= p.Cum+1 || i > 0 && r.A <= p.Ranges[i-1].B+1 {
				t.Errorf("%q gives ranges %v above %d", report, p.Ranges, p.Cum)
			}
		}
	})
}
