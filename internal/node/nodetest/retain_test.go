package nodetest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestRetention: what was received goes out of use when the days the agreement
// gives it are over, of itself and without a word to anybody; what this node has
// from somewhere else too stays by that claim alone, of which the partner is not
// told. A version that comes later, or the same bytes, begins a new term.
func TestRetention(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.New(t, "USA-01", noroshi.Real), nodetest.New(t, "JPN-01", noroshi.Real)
	if _, err := crew.Introduce(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
		t.Fatal(err)
	}
	var text string
	usa.Must("agreement.draft", web.DraftRef{With: jpn.Sign, Days: 365}, &text)
	text = strings.Replace(text, "suites = ", "retention_days = 30\nsuites = ", 1)
	if _, err := crew.Sign(t.Context(), &usa.Crew, &jpn.Crew, []byte(text)); err != nil {
		t.Fatal(err)
	}
	object := func(n, day int) string {
		return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-%02dT00:00:00.000Z","valid_from":"2026-01-01T00:00:00Z",
			"pattern_type":"stix","pattern":"[domain-name:value = 'kept-%d.example']","indicator_types":["malicious-activity"]}`, keptID(n), day, n)
	}
	usa.Import("three.json", "tlp:green", strings.NewReader("["+object(1, 1)+","+object(2, 1)+","+object(3, 1)+"]"))
	jpn.Until("it is there", func() (bool, error) { return jpn.Node.Index.Stats().Indicators == 3, nil })
	jpn.Import("too.json", "tlp:green", strings.NewReader("["+object(2, 1)+"]"))
	nodetest.Whole(t, usa, jpn)

	days := 0
	later := func(by int) {
		t.Helper()
		days += by
		for _, p := range []*nodetest.Party{usa, jpn} {
			p.Stop()
			p.Ahead = time.Duration(days) * 24 * time.Hour
			p.Start()
		}
		nodetest.Whole(t, usa, jpn)
		jpn.Settle()
	}
	check := func(step string, ended int, kept ...bool) {
		t.Helper()
		for i, want := range kept {
			armed(jpn, keptID(i+1), want)
			armed(usa, keptID(i+1), true)
			if got := withdrawnAt(t, jpn, keptID(i+1)); got == want {
				t.Errorf("%s: object %d in use is %v, want %v", step, i+1, !got, want)
			}
		}
		var st web.Status
		jpn.Must("status", nil, &st)
		if st.Ended != ended {
			t.Errorf("%s: %d terms have ended, want %d", step, st.Ended, ended)
		}
		if len(recalls(jpn, true))+len(recalls(usa, true)) > 0 {
			t.Errorf("%s: there are recalls", step)
		}
		jpn.Intact()
	}
	later(29)
	check("before the end", 0, true, true, true)
	usa.Import("later.json", "tlp:green", strings.NewReader("["+object(3, 2)+"]"))
	jpn.Until("the later version", func() (bool, error) {
		r, err := jpn.Node.Store.Current(t.Context(), keptID(3))
		return err == nil && r.Object.Modified.String() == "2026-01-02T00:00:00.000Z", err
	})
	later(2)
	jpn.Until("the end", func() (bool, error) { return withdrawnAt(t, jpn, keptID(1)), nil })
	check("at the end", 3, false, true, true)
	usa.Import("anew.json", "tlp:green", strings.NewReader("["+object(1, 2)+"]"))
	armed(jpn, keptID(1), true)
	check("received anew", 3, true, true, true)
	later(29)
	jpn.Until("the end of the later version", func() (bool, error) { return withdrawnAt(t, jpn, keptID(3)), nil })
	check("the new term", 3, true, true, false)
	later(2)
	jpn.Until("the end of the new term", func() (bool, error) { return withdrawnAt(t, jpn, keptID(1)), nil })
	check("all over", 3, false, true, false)
	if _, err := recall(t, usa, "duty", keptID(2)); err != nil {
		t.Fatal(err)
	}
	usa.Until("the answer", func() (bool, error) {
		rows := recalls(usa, true)
		return len(rows) == 1 && rows[0].State == "confirmed" && rows[0].Found == 1, nil
	})
	if list, err := jpn.Node.Courier.RecalledHere(t.Context()); err != nil || len(list) != 1 || list[0].Results[0].ActiveBefore != 0 {
		t.Errorf("the answer tells of another's claim: %+v, %v", list, err)
	}
	armed(jpn, keptID(2), true)
}

func keptID(n int) stix.ID {
	return stix.ID(fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", 40+n))
}
