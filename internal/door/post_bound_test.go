package door_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/taxii"
)

// bound is a tool that may read up to TLP:GREEN and shares a shelf with others.
func bound(t testing.TB) (o *office, low, other visitor) {
	o = newOffice(t)
	o.shelf("tools")
	low = o.letIn(door.NewClient{Name: "low", Read: []string{"tools"}, Write: []string{"tools"}, Max: []string{"TLP:GREEN"}})
	return o, low, o.letIn(door.NewClient{Name: "other", Write: []string{"tools"}})
}

// standings are the ways in which something of an id may be here already: each
// puts it, at a level.
var standings = map[string]func(o *office, low, other visitor, n int, level noroshi.TLP){
	"withdrawn": func(o *office, _, _ visitor, n int, level noroshi.TLP) {
		o.put(feed, indicator(n, level, `,"name":"x"`))
		o.withdraw(id("indicator", n))
	},
	"on the shelf, withdrawn": func(o *office, _, other visitor, n int, level noroshi.TLP) {
		other.post("tools", indicator(n, level, `,"name":"x"`))
		o.withdraw(id("indicator", n))
	},
	"on the shelf": func(_ *office, _, other visitor, n int, level noroshi.TLP) {
		other.post("tools", indicator(n, level, `,"name":"x"`))
	},
	"its own, marked here": func(o *office, low, _ visitor, n int, level noroshi.TLP) {
		low.post("tools", indicator(n, noroshi.Clear, `,"name":"x"`))
		o.remark(id("indicator", n), level)
	},
	"its own, taken off, marked here": func(o *office, low, _ visitor, n int, level noroshi.TLP) {
		low.post("tools", indicator(n, noroshi.Clear, `,"name":"x"`))
		if w := low.ask("DELETE", inColl+"tools/objects/"+string(id("indicator", n))+"/", ""); w.Code != 200 {
			o.t.Fatalf("DELETE: %d", w.Code)
		}
		o.remark(id("indicator", n), level)
	},
}

// TestBoundToolLearnsNothing is non-interference of what a POST is answered: of
// what is above a tool's highest label, on whichever shelf, withdrawn or not, the
// answer and the status later are those of a node that has none of it.
func TestBoundToolLearnsNothing(t *testing.T) {
	t.Parallel()
	names := []string{"withdrawn before it came"}
	for name := range standings {
		names = append(names, name)
	}
	slices.Sort(names)
	met := map[string]int{}
	for seed := range uint64(tier.N(8, 200)) {
		var said [2]taxii.Status
		for k := range said {
			h := rand.New(rand.NewPCG(seed, 2))
			o, low, other := bound(t)
			var posted []string
			aside := 0
			for n := 1; n <= 12; n++ {
				name, level := names[h.IntN(len(names))], []noroshi.TLP{noroshi.Amber, noroshi.Red}[h.IntN(2)]
				if there := h.IntN(3) > 0; there && k == 0 {
					if put := standings[name]; put != nil {
						put(o, low, other, n, level)
					} else {
						o.do(noroshi.ActWithdraw, func(tx *store.Tx) error { return tx.Withdraw(id("indicator", n), "file") })
					}
					met[name]++
					aside++
				}
				posted = append(posted, indicator(n, noroshi.Green, ""))
			}
			q := rand.New(rand.NewPCG(seed, 3))
			q.Shuffle(len(posted), func(i, j int) { posted[i], posted[j] = posted[j], posted[i] })
			posted = append(posted, `{"type":"indicator"}`)
			st := low.post("tools", posted...)
			var later taxii.Status
			if err := json.Unmarshal([]byte(low.get(root+"status/"+st.ID+"/")), &later); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(st, later); diff != "" {
				t.Errorf("seed %d: the status later:\n%s", seed, diff)
			}
			if got := len(quarantined(o)) - 1; got != aside {
				t.Errorf("seed %d: %d wait for a person, want %d", seed, got, aside)
			}
			st.ID, st.RequestTimestamp = "", ""
			said[k] = st
		}
		if diff := cmp.Diff(said[1], said[0]); diff != "" {
			t.Errorf("seed %d: the tool can tell:\n%s", seed, diff)
		}
	}
	for _, name := range names {
		if met[name] == 0 {
			t.Errorf("%q was never drawn", name)
		}
	}
}

// quarantined are the codes of what waits for a person.
func quarantined(o *office) (codes []string) {
	o.t.Helper()
	list, err := o.store.QuarantineList(o.ctx, 0, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, q := range list {
		codes = append(codes, q.Code)
	}
	return codes
}

// TestBoundToolIsTold: a tool is told why it cannot post what meets something it
// may read; what meets something hidden is kept for a person.
func TestBoundToolIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ code string }{
		"withdrawn":                       {"withdrawn"},
		"on the shelf, withdrawn":         {"withdrawn"},
		"on the shelf":                    {"on-shelf"},
		"its own, marked here":            {"conflict"},
		"its own, taken off, marked here": {"conflict"},
	} {
		for level, want := range map[noroshi.TLP]string{noroshi.Green: "complete: 0 of 1, 1 failed, 0 pending", noroshi.Amber: "complete: 1 of 1, 0 failed, 0 pending"} {
			t.Run(fmt.Sprintf("%s at %s", name, level), func(t *testing.T) {
				t.Parallel()
				o, low, other := bound(t)
				standings[name](o, low, other, 1, level)
				st := low.post("tools", indicator(1, noroshi.Green, ""))
				if got := counts(st); got != want {
					t.Errorf("got %s, want %s: %+v", got, want, st)
				}
				waits := c.code
				if level == noroshi.Green {
					waits = ""
				}
				if got := strings.Join(quarantined(o), " "); got != waits {
					t.Errorf("for a person: %q, want %q", got, waits)
				}
			})
		}
	}
}
