package courier_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
)

// compare has a node compare holdings with its partner, which a question or its answer
// that is lost puts off ever longer.
func (n *node) compare(partner *node) courier.Comparison {
	n.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	x, err := n.running().Compare(ctx, partner.id())
	if err != nil {
		n.t.Fatalf("%s compares: %v", n.sign, err)
	}
	return x
}

// TestCompare (I7, I15): two sides that hold the same end in equal roots, both
// ways and over a wire that loses and doubles; what one lacks, and another message
// under a sequence, is found, each by its
// sequence.
func TestCompare(t *testing.T) {
	t.Parallel()
	p := newPair(t, 71, 20, 20)
	p.start()
	p.a.importList("a.txt", 0, 5)
	p.b.importList("b.txt", 100, 105)
	p.until("both there", 20*time.Second, func() bool { return p.b.count("indicator") == 5 && p.a.count("indicator") == 5 && p.settled() })
	for _, n := range []*node{p.a, p.b} {
		o := p.a
		if n == p.a {
			o = p.b
		}
		x := n.compare(o)
		if !x.Equal || len(x.Epochs) != 2 || len(x.Differences) != 0 || x.Epochs[0].Head < 2 || x.Epochs[0].Stream != "sent" || x.Epochs[1].Stream != "came" {
			t.Errorf("%s: %+v", n.sign, x)
		}
	}
	if a, b := p.a.compare(p.b), p.b.compare(p.a); a.Epochs[0].Root != b.Epochs[1].Root || a.Epochs[1].Root != b.Epochs[0].Root {
		t.Errorf("the two sides have other roots: %+v, %+v", a.Epochs, b.Epochs)
	}
	if _, by := p.a.acts(); by[noroshi.ActCompare] != 2 {
		t.Errorf("%d comparisons on record, want 2", by[noroshi.ActCompare])
	}

	// What lies on a disk changes behind a node's back.
	p.net.setCut(true)
	p.b.end()
	db := storetest.Raw(t, p.b.at)
	other := noroshi.Sum([]byte("another message"))
	if r, err := db.Exec("UPDATE in_message SET id = $1 WHERE seq = 2", other[:]); err != nil {
		t.Fatal(err)
	} else if k, _ := r.RowsAffected(); k != 1 {
		t.Fatalf("%d rows changed", k)
	}
	db.Close()
	p.b.open()
	p.b.start()
	p.net.setCut(false)
	p.until("found by the first STATE after the outage", 20*time.Second, func() bool {
		_, by := p.a.acts()
		return by[noroshi.ActAlarm] == 1 && by[noroshi.ActCompare] == 3
	})
	p.until("confirmed", 20*time.Second, func() bool { return p.a.link().Confirmed && p.b.link().Confirmed })
	p.net.onlySmall(true) // what is new goes and does not arrive
	p.a.importLarge("more.json", 200, 201)
	p.until("the partner heard of it", 20*time.Second, func() bool { return p.a.link().OutHead > p.a.link().OutStored && len(p.b.link().Missing) > 0 })
	want := []string{"sent 2 second-id", fmt.Sprintf("sent %d missing-there", p.a.link().OutHead)}
	if got := differences(p.a.compare(p.b)); !slices.Equal(got, want) {
		t.Errorf("A finds %q, want %q", got, want)
	}
	want = []string{"came 2 second-id", fmt.Sprintf("came %d missing-here", p.a.link().OutHead)}
	if got := differences(p.b.compare(p.a)); !slices.Equal(got, want) {
		t.Errorf("B finds %q, want %q", got, want)
	}
}

func differences(x courier.Comparison) (list []string) {
	for _, d := range x.Differences {
		list = append(list, fmt.Sprintf("%s %d %s", d.Stream, d.Seq, d.What))
	}
	return list
}
