package door_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// serves are the acts of reads on record.
func (o *office) serves() []store.Entry {
	o.t.Helper()
	acts, err := o.store.Acts(o.ctx, 0, 1000)
	if err != nil {
		o.t.Fatal(err)
	}
	return slices.DeleteFunc(acts, func(e store.Entry) bool { return e.Act.Action != noroshi.ActServe })
}

// TestToolReadsInRuns: what a tool of our own reads of one collection within a
// short while is on record before it goes as a run that may have read anything,
// and when it is over with count and range; other clients and collections have
// runs of their own.
func TestToolReadsInRuns(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.shelf("tools")
	o.shelf("other")
	both := []string{"tools", "other"}
	tool := o.letIn(door.NewClient{Name: "tool", Read: both, Write: both})
	second := o.letIn(door.NewClient{Name: "second", Read: both})
	var list []string
	for n := range 40 {
		list = append(list, indicator(n+1, noroshi.Green, ""))
	}
	tool.post("tools", list...)
	tool.post("other", list[0])
	pages := func(v visitor) {
		next := ""
		for range 10 {
			body := v.get(inColl + "tools/objects/?limit=4" + next)
			_, rest, _ := strings.Cut(body, `"next":"`)
			next, _, _ = strings.Cut(rest, `"`)
			next = "&next=" + next
		}
	}
	pages(tool)
	if acts := o.serves(); len(acts) != 1 || acts[0].Act.Count != 0 || !strings.HasPrefix(acts[0].Act.Subject, "client tool ") {
		t.Fatalf("while it reads: %d acts, %+v", len(acts), acts)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { pages(second) })
	}
	wg.Wait()
	tool.get(inColl + "other/objects/")
	if n := len(o.serves()); n != 3 {
		t.Errorf("%d runs, want 3", n)
	}
	o.pass(time.Minute)
	o.step()
	counts := map[int]int{}
	for _, e := range o.serves() {
		counts[e.Act.Count]++
		if e.Act.Count > 0 && o.serves()[0].Time.IsZero() {
			t.Error("without a time")
		}
	}
	if counts[0] != 3 || counts[40] != 1 || counts[160] != 1 || counts[1] != 1 {
		t.Errorf("when they are over, acts by count: %v", counts)
	}
	tool.get(inColl + "tools/objects/?limit=1")
	if n := len(o.serves()); n != 7 {
		t.Errorf("a read later: %d acts, want 7", n)
	}
}

// TestRunThatDied: a run whose end is not on record may have read all that lay
// there then, and nothing that came later.
func TestRunThatDied(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "tool", Read: []string{"tools"}, Write: []string{"tools"}})
	tool.post("tools", indicator(1, noroshi.Green, ""), indicator(2, noroshi.Green, ""))
	tool.get(inColl + "tools/objects/?limit=1")
	o.restart()
	o.pass(time.Minute)
	tool.post("tools", indicator(3, noroshi.Green, ""))
	for n, want := range map[int]int{1: 1, 2: 1, 3: 0} {
		reads, err := o.door.Reads(o.ctx, []int64{o.current(id("indicator", n)).Seq})
		if err != nil || len(reads) != want {
			t.Errorf("object %d: %+v %v, want %d reads", n, reads, err, want)
		}
	}
}

// TestPartnerReadsCiteTheirClauses: a partner's read is an act of its own, before
// it goes, with the agreement and the clauses by which it goes now.
func TestPartnerReadsCiteTheirClauses(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	o.put(made, indicator(1, noroshi.Green, ""))
	o.settle(jpn)
	soc := o.letPartner("soc", jpn)
	o.step()
	o.agree(jpn, began.AddDate(0, 3, 0))
	o.settle(jpn)
	all, err := o.store.Doc(o.ctx, noroshi.DocPartner, jpn.Node.String())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		soc.get(inColl + "partner.0200000000000000/objects/")
	}
	acts := o.serves()
	for _, e := range acts {
		if a := e.Act; a.Count != 1 || !strings.Contains(a.Subject, " clauses=1 ") || !strings.Contains(string(all), a.Agreement.String()) {
			t.Errorf("on record: %+v", a)
		}
	}
	if len(acts) != 2 {
		t.Errorf("%d acts, want one a read", len(acts))
	}
}
