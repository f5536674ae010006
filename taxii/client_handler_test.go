package taxii_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/taxii"
)

// TestClientAndHandler has the client do everything there is to do with this
// package's own server: it tells of no fault.
func TestClientAndHandler(t *testing.T) {
	t.Parallel()
	memory := taxii.NewMemory(nil)
	memory.AddClient("sensor", "secret")
	id := memory.AddCollection(taxii.Collection{Title: "警報", Alias: "alerts"})
	memory.Grant("sensor", id, true, true)
	c, _ := dial(t, taxii.NewHandler(memory, taxii.Options{}), func(o *taxii.ClientOptions) {
		o.Base = o.Base[:len(o.Base)-len("/api/")] + taxii.DiscoveryPath
		o.User, o.Password = "sensor", "secret"
		o.Now = time.Now
	})
	ctx := t.Context()
	d, err := c.Discovery(ctx)
	if err != nil || len(d.APIRoots) != 1 {
		t.Fatalf("discovery %+v, error %v", d, err)
	}
	root := d.APIRoots[0]
	if list, err := c.Collections(ctx, root); err != nil || len(list) != 1 || list[0].Title != "警報" {
		t.Fatalf("collections %+v, error %v", list, err)
	}

	// Four writers, and a reader that stops and goes on.
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := range 25 {
				s, err := c.Post(ctx, root, "alerts", [][]byte{[]byte(domainIndicator(1000*w + n)), []byte(domainIndicator(1000*w + n + 500))}, 0)
				if err != nil || s.SuccessCount != 2 {
					t.Errorf("post: %+v, error %v", s, err)
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { writers.Wait(); close(written) }()
	got := map[string]int{}
	var at taxii.Position
	for end := false; !end; {
		select {
		case <-written:
			end = true // one walk more
		default:
		}
		for p, err := range c.Objects(ctx, root, id, taxii.Query{}, at) {
			if err != nil || len(p.Faults) > 0 {
				t.Fatalf("faults %v, error %v", p.Faults, err)
			}
			for _, e := range p.Elements {
				got[string(e.Raw)]++
			}
			at = p.Position
		}
	}
	for w := range 4 {
		for n := range 50 {
			if one := domainIndicator(1000*w + n%25 + n/25*500); got[one] != 1 {
				t.Errorf("came %d times: %.90s", got[one], one)
			}
		}
	}
	handled(t, c, root, id)
}

// handled asks for one object in every way.
func handled(t *testing.T, c *taxii.Client, root, collection string) {
	t.Helper()
	ctx := t.Context()
	one := stix.ID(fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", 1003))
	entries := 0
	for _, err := range c.Manifest(ctx, root, collection, taxii.Query{IDs: []stix.ID{one}}) {
		if entries++; err != nil {
			t.Error(err)
		}
	}
	versions, err := c.Versions(ctx, root, collection, one, taxii.Query{})
	if entries != 1 || err != nil || !slices.Equal(versions, []string{"2026-03-01T00:00:00.000Z"}) {
		t.Errorf("%d manifest entries, versions %q, error %v", entries, versions, err)
	}
	if err := c.Delete(ctx, root, collection, one, taxii.Query{}); err != nil {
		t.Error(err)
	}
	var gone *taxii.Error
	for _, err := range c.Object(ctx, root, collection, one, taxii.Query{}, taxii.Position{}) {
		if !errors.As(err, &gone) || gone.HTTPStatus != 404 {
			t.Errorf("a deleted object: error %v", err)
		}
	}
	s, err := c.Post(ctx, root, collection, [][]byte{[]byte(domainIndicator(7777))}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Status(ctx, root, s.ID); err != nil || again.SuccessCount != 1 || again.ID != s.ID {
		t.Errorf("status %+v, error %v", again, err)
	}
}
