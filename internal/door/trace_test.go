package door_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
)

// TestTrace: of a version it is known which exports had it and which reads may
// have had it, also when it lies on the shelf no more and a client's name has
// spaces.
func TestTrace(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "tool", Write: []string{"tools"}, Read: []string{"tools"}})
	desk := o.letIn(door.NewClient{Name: "the second desk", Read: []string{"tools"}})
	soc := o.letPartner("soc", jpn)
	seqs := o.put(made, indicator(1, noroshi.Green, ""), indicator(2, noroshi.Red, ""))
	o.settle(jpn)
	tick := func() { o.pass(time.Minute) }
	tick()
	tool.post("tools", indicator(3, noroshi.Green, ""))
	tick()
	tool.post("tools", indicator(4, noroshi.Green, ""))
	tick()
	desk.get(inColl + "tools/objects/?limit=1")
	tick()
	tool.get(inColl + "tools/manifest/?added_after=2026-11-21T00:01:00Z")
	tick()
	desk.get("/export/tools/domains")
	soc.get("/export/partner.0200000000000000/csv")
	soc.get(inColl + "partner.0200000000000000/objects/")
	if _, err := o.door.Write(o.ctx, io.Discard, door.Export{Format: "hosts"}); err != nil {
		t.Fatal(err)
	}
	if w := tool.ask("DELETE", inColl+"tools/objects/"+string(id("indicator", 3))+"/", ""); w.Code != 200 {
		t.Fatal(w.Code)
	}
	tick()
	tool.get(inColl + "tools/objects/")
	three, four := o.current(id("indicator", 3)).Seq, o.current(id("indicator", 4)).Seq
	for name, c := range map[string]struct {
		seqs           []int64
		exports, reads string
	}{
		"released":              {seqs[:1], "csv:02 hosts:00", "soc@partner.0200000000000000:csv soc@partner.0200000000000000:"},
		"withheld":              {seqs[1:], "hosts:00", ""},
		"posted and taken off":  {[]int64{three}, "domains:00 hosts:00", "the second desk@tools: the second desk@tools:domains"},
		"posted":                {[]int64{four}, "domains:00 hosts:00", "tool@tools: the second desk@tools:domains tool@tools:"},
		"nothing":               {[]int64{9999}, "", ""},
		"nothing that is asked": {nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			exports, err := o.door.Exports(o.ctx, c.seqs)
			if err != nil {
				t.Fatal(err)
			}
			reads, err := o.door.Reads(o.ctx, c.seqs)
			if err != nil {
				t.Fatal(err)
			}
			var left, read []string
			for _, x := range exports {
				left = append(left, x.Format+":"+x.Partner.String()[:2])
			}
			for _, r := range reads {
				if r.At.IsZero() || r.Count == 0 {
					t.Errorf("a read without time or count: %+v", r)
				}
				read = append(read, r.Client+"@"+r.Collection+":"+r.Format)
			}
			slices.Sort(left)
			if strings.Join(left, " ") != c.exports || strings.Join(read, " ") != c.reads {
				t.Errorf("exports %q, reads %q; want %q, %q", left, read, c.exports, c.reads)
			}
		})
	}
}
