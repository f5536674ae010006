package courier_test

import (
	"testing"
	"time"
)

func TestBulkArrivesOnce(t *testing.T) {
	p := newPair(t, 1, 0, 0)
	p.start()
	p.a.importList("list.txt", 0, 5000)
	p.until("5,000 indicators at B", 20*time.Second, func() bool { return p.b.count("indicator") == 5000 })
	p.until("all receipted at A", 5*time.Second, func() bool {
		links, err := p.a.running().Links(t.Context())
		return err == nil && len(links) == 1 && links[0].OutHead > 1 && links[0].OutApplied == links[0].OutHead && len(links[0].Waiting) == 0
	})
	total, by := p.a.acts()
	btotal, bby := p.b.acts()
	t.Logf("A: %d acts %v; B: %d %v\n%s\n%s", total, by, btotal, bby, p.a.show(), p.b.show())
}
