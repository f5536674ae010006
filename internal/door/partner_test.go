package door_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
)

// TestPartnerReads: a partner's client reads what messages to it carry as long
// as it may go now, and nothing of another partner's or of a shelf.
func TestPartnerReads(t *testing.T) {
	t.Parallel()
	const own = "partner.0200000000000000"
	for name, c := range map[string]struct {
		change func(o *office)
		want   string
		files  string // its names
	}{
		"nothing changes": {func(*office) {}, "1 2 3", "d1.example d2.example d3.example"},
		"suspended":       {func(o *office) { o.stand(jpn, noroshi.Suspended, o.agreement()) }, "", ""},
		"suspended and in force again": {func(o *office) {
			h := o.agreement()
			o.stand(jpn, noroshi.Suspended, h)
			o.settle(jpn)
			o.stand(jpn, noroshi.InForce, h)
		}, "1 2 3", "d1.example d2.example d3.example"},
		"expired":                         {func(o *office) { o.set(began.AddDate(0, 2, 0)) }, "", ""},
		"removed":                         {func(o *office) { o.stand(jpn, noroshi.Introduced, noroshi.Hash{}) }, "", ""},
		"withdrawn":                       {func(o *office) { o.withdraw(id("indicator", 2)) }, "1 3", "d1.example d3.example"},
		"marked higher":                   {func(o *office) { o.remark(id("indicator", 2), noroshi.Red) }, "1 3", "d1.example d3.example"},
		"a later version":                 {func(o *office) { o.put(made, on(3, indicator(2, noroshi.Green, ""))) }, "1 3 2", "d1.example d2.example d3.example"},
		"a later version that is revoked": {func(o *office) { o.put(made, on(3, indicator(2, noroshi.Green, `,"revoked":true`))) }, "1 3 2", "d1.example d3.example"},
		"more":                            {func(o *office) { o.put(made, indicator(4, noroshi.Red, ""), indicator(5, noroshi.Green, "")) }, "1 2 3 5", "d1.example d2.example d3.example d5.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, jpn, kor)
			o.put(made, indicator(1, noroshi.Green, ""), indicator(2, noroshi.Green, ""), indicator(3, noroshi.Green, ""), indicator(9, noroshi.Red, ""))
			o.settle(jpn)
			soc, other := o.letPartner("soc", jpn), o.letPartner("ksoc", kor)
			o.step()
			o.pass(time.Minute)
			c.change(o)
			o.settle(jpn)
			if got := soc.ids(own, ""); got != c.want {
				t.Errorf("reads %s, want %s", got, c.want)
			}
			if got := o.lines(soc, own+"/domains"); got != c.files {
				t.Errorf("fetches %s, want %s", got, c.files)
			}
			if got := other.ids("partner.0300000000000000", ""); got != "" {
				t.Errorf("another partner, to whom nothing went, reads %s", got)
			}
			for _, path := range []string{inColl + own + "/", inColl + own + "/objects/", inColl + own + "/manifest/", "/export/" + own + "/csv"} {
				there, not := other.ask("GET", path, ""), other.ask("GET", strings.Replace(path, own, elsewise, 1), "")
				if there.Code != 404 || there.Body.String() != not.Body.String() {
					t.Errorf("%s answers another partner %d %s, what is not there %s", path, there.Code, there.Body, not.Body)
				}
			}
		})
	}
}

// agreement is the agreement with Japan.
func (o *office) agreement() noroshi.Hash {
	o.t.Helper()
	all, err := o.store.Docs(o.ctx, noroshi.DocAgreement)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, file := range all {
		a, err := noroshi.ParseAgreement(file)
		if err != nil {
			o.t.Fatal(err)
		}
		if p, ok := a.Other(usa.Node); ok && p.Node == jpn.Node {
			return a.Hash
		}
	}
	o.t.Fatal("there is no agreement")
	return noroshi.Hash{}
}

// TestAnotherAgreement: under another agreement what was let go under the one
// before is read where a clause lets it go now too, and not where persons
// approved it.
func TestAnotherAgreement(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	o.put(made, indicator(1, noroshi.Green, ""), indicator(3, noroshi.Amber, fmt.Sprintf(`,"created_by_ref":%q`, usa.Identity)))
	o.settle(jpn)
	o.approve()
	o.settle(jpn)
	soc := o.letPartner("soc", jpn)
	o.step()
	own := "partner.0200000000000000"
	if got := strings.Fields(soc.ids(own, "")); len(got) != 2 {
		t.Fatalf("under the first agreement: %s", got)
	}
	o.agree(jpn, began.AddDate(0, 3, 0))
	o.put(made, indicator(2, noroshi.Green, ""))
	o.settle(jpn)
	got := soc.ids(own, "")
	if got != "1 2" {
		t.Errorf("of 1, 2, which clauses let go, and 3, which persons did under the former agreement, are read: %s", got)
	}
}

// TestPartnersTitle: whether an export or a client was first is not seen.
func TestPartnersTitle(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	if _, err := o.door.Write(o.ctx, &strings.Builder{}, door.Export{Format: "csv", Partner: jpn.Node}); err != nil {
		t.Fatal(err)
	}
	if body := o.letPartner("soc", jpn).get(inColl); !strings.Contains(body, `"title":"JPN-01"`) {
		t.Errorf("collections: %s", body)
	}
	if _, err := o.door.Write(o.ctx, &strings.Builder{}, door.Export{Format: "csv", Partner: kor.Node}); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("to no partner: %v", err)
	}
}

// TestPagesOfMany: with much that is not shown between, pages are as full as
// they may be, by number and by size, and end where there is no more.
func TestPagesOfMany(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	var list []string
	for n := 1; n <= 60; n++ {
		list = append(list, indicator(n, noroshi.Green, fmt.Sprintf(`,"name":"%0700d"`, n)))
	}
	o.put(made, list...)
	soc := o.letPartner("soc", jpn)
	o.settle(jpn)
	for n := 1; n <= 60; n++ {
		if n%3 > 0 {
			o.remark(id("indicator", n), noroshi.Red)
		}
	}
	own := "partner.0200000000000000"
	for query, want := range map[string][]int{"?limit=7": {7, 6}, "?limit=1000": {6, 7}, "?limit=2": {2, 2}} {
		w := soc.ask("GET", inColl+own+"/objects/"+query, "")
		n := strings.Count(w.Body.String(), `"spec_version"`)
		if n < min(want[0], want[1]) || n > max(want[0], want[1]) || !strings.Contains(w.Body.String(), `"more":true`) {
			t.Errorf("%s: %d objects", query, n)
		}
	}
	if got := soc.ids(own, "?limit=20&added_after=2000-01-01T00:00:00Z"); len(strings.Fields(got)) != 20 {
		t.Errorf("all: %s", got)
	}
	if w := soc.ask("GET", inColl+own+"/manifest/?limit=20", ""); strings.Contains(w.Body.String(), `"more"`) {
		t.Errorf("more than all: %s", w.Body)
	}
}

// TestPartnersTakeTurns: what partners ask for waits for its turn, and our own
// tools do not wait for partners.
func TestPartnersTakeTurns(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	o.shelf("tools")
	tool := o.letIn(door.NewClient{Name: "tool", Read: []string{"tools"}})
	o.put(made, indicator(1, noroshi.Green, ""))
	o.settle(jpn)
	soc, own := o.letPartner("soc", jpn), "partner.0200000000000000"
	o.step()
	free := o.door.TakePages()
	got := make(chan string, 1)
	go func() { got <- soc.ids(own, "") }()
	for range 50 {
		if w := tool.ask("GET", inColl+"tools/objects/", ""); w.Code != http.StatusOK {
			t.Errorf("a tool while partners read: %d", w.Code)
		}
	}
	select {
	case ids := <-got:
		t.Errorf("without a turn: %q", ids)
		got <- ids
	default:
	}
	free()
	if ids := <-got; ids != "1" {
		t.Errorf("when its turn came: %q", ids)
	}
	for range 5 { // each gives its turn back
		if ids := soc.ids(own, ""); ids != "1" {
			t.Errorf("with a turn: %q", ids)
		}
	}
}

// TestOneCollectionAPartner: a partner has one collection, and a name stands for
// one, also when several exports and persons ask for it at once.
func TestOneCollectionAPartner(t *testing.T) {
	t.Parallel()
	o := newOffice(t, jpn)
	var wg sync.WaitGroup
	var made atomic.Int32
	for i := range 12 {
		wg.Go(func() {
			if i%2 == 0 {
				if _, err := o.door.Write(o.ctx, io.Discard, door.Export{Format: "csv", Partner: jpn.Node}); err != nil {
					t.Error(err)
				}
				return
			}
			switch _, err := o.door.AddCollection(o.ctx, door.Collection{Name: "tools"}); noroshi.KindOf(err) {
			case noroshi.Conflict:
			default:
				if made.Add(1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all, err := o.door.Collections(o.ctx)
	if err != nil || len(all) != 2 || made.Load() != 1 {
		t.Errorf("%d collections, %d made: %+v %v", len(all), made.Load(), all, err)
	}
}
