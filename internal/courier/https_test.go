package courier_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/https"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// overHTTPS puts a pair on real https on loopback.
func overHTTPS(t testing.TB, p *pair) {
	t.Helper()
	for _, n := range []*node{p.a, p.b} {
		other := p.a
		if n == p.a {
			other = p.b
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		sender, listener, err := https.New(ln, https.Options{Key: n.keys.TLSKey(1), Peers: func() map[noroshi.NodeID][][32]byte {
			return map[noroshi.NodeID][][32]byte{other.id(): other.keys.Keyset().Pins(time.Now())}
		}})
		if err != nil {
			t.Fatal(err)
		}
		n.wire = sender.Ways(1)[0]
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			done <- listener.Serve(ctx, func(ctx context.Context, channel string, from noroshi.NodeID, envelope []byte) error {
				c := n.running()
				if c == nil {
					return noroshi.Errorf(noroshi.Busy, "test.down", "down")
				}
				return c.Receive(ctx, channel, from, envelope)
			})
		}()
		t.Cleanup(func() {
			sender.Close()
			stop()
			<-done
		})
		other.endpoint(n, "https://"+ln.Addr().String())
	}
}

// endpoint writes where a partner listens.
func (n *node) endpoint(o *node, url string) {
	n.t.Helper()
	ctx := context.Background()
	body, err := n.store.Doc(ctx, noroshi.DocPartner, o.id().String())
	if err != nil {
		n.t.Fatal(err)
	}
	var p noroshi.Partner
	if err := json.Unmarshal(body, &p); err != nil {
		n.t.Fatal(err)
	}
	p.Endpoints = []string{url}
	if body, err = json.Marshal(p); err != nil {
		n.t.Fatal(err)
	}
	_, err = n.store.Do(ctx, noroshi.Act{Action: noroshi.ActConfigure, Subject: "test"}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocPartner, o.id().String(), body)
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

func TestOverHTTPSWithRestart(t *testing.T) {
	t.Parallel()
	p := newPair(t, 21, 0, 0)
	overHTTPS(t, p)
	p.start()
	p.a.importList("one.txt", 0, 2000)
	p.b.end()
	p.b.open()
	p.b.start()
	p.a.importList("two.txt", 2000, 3000)
	p.until("3,000 at B", 30*time.Second, func() bool { return p.b.count("indicator") == 3000 })
	p.until("all receipted", 10*time.Second, p.settled)
	once(t, p.b, 3000)
}

// publish makes one indicator at n, as an analyst would, and returns its id.
func (n *node) publish(i int) {
	n.t.Helper()
	text := fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--9d1c3c1e-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"[domain-name:value = 'h%d.example.org']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]}`, i, i)
	pr, err := n.gate.Prepare(noroshi.Source{Kind: noroshi.FromFile, Name: "test"}, "", []intake.Raw{{Bytes: []byte(text)}})
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.store.Do(context.Background(), noroshi.Act{Action: noroshi.ActImport, Precedence: noroshi.Priority}, func(tx *store.Tx) error {
		_, err := n.gate.Admit(tx, pr)
		return err
	}); err != nil {
		n.t.Fatal(err)
	}
}

// BenchmarkPublishToApplied is a budget: an indicator published here is
// applied at the partner, over https on loopback, idle.
func BenchmarkPublishToApplied(b *testing.B) {
	p := newPair(b, 31, 0, 0)
	overHTTPS(b, p)
	p.start()
	p.until("the link is confirmed", 5*time.Second, p.settled)
	var took []time.Duration
	i := 0
	for b.Loop() {
		head, err := p.b.store.Head(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		p.a.publish(i)
		for want := i + 1; ; {
			if err := p.b.store.Wait(b.Context(), head); err != nil {
				b.Fatal(err)
			}
			list, err := p.b.store.Feed(b.Context(), head, 100)
			if err != nil {
				b.Fatal(err)
			}
			if slices.ContainsFunc(list, func(c store.Change) bool {
				return c.Kind == store.ObjectChanged && c.ID == fmt.Sprintf("indicator--9d1c3c1e-0000-4000-8000-%012d", want-1)
			}) {
				break
			}
			head = list[len(list)-1].Seq
		}
		took = append(took, time.Since(begin))
		i++
		b.StopTimer()
		p.until("quiet", 5*time.Second, p.settled)
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
