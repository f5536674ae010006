// Package nodetest runs several real nodes in one process, over real HTTPS on
// loopback, for stories that speak as each party in turn.
package nodetest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// Mitre is the statement marking of ATT&CK, for agreements that allow it.
const Mitre = "Copyright 2015-2025, The MITRE Corporation. MITRE ATT&CK and ATT&CK are registered trademarks of The MITRE Corporation."

// Party is one node and its crew.
type Party struct {
	crew.Crew
	Dir   string
	Node  *node.Node
	Log   *Log
	Ahead time.Duration // how far the node's clock is ahead, from the next Start on

	t     testing.TB
	realm noroshi.Realm
	addr  string // where partners reach it, from the first start on
	stop  context.CancelFunc
	gone  sync.WaitGroup
}

// Log keeps what a node logged.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns everything logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const passphrase = "correct-horse-battery"

// New makes a node with a crew in a folder of the test and serves it until the
// test ends.
func New(t testing.TB, sign noroshi.CallSign, realm noroshi.Realm) *Party {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.ToLower(string(sign)))
	if err := node.Init(t.Context(), dir, node.Config{CallSign: sign, Tokens: []string{sign.Country() + ".MOD"}}); err != nil {
		t.Fatal(err)
	}
	return In(t, dir, sign, realm)
}

// In serves a realm of a node that Init made in dir, with a crew of its own.
func In(t testing.TB, dir string, sign noroshi.CallSign, realm noroshi.Realm) *Party {
	t.Helper()
	p := &Party{Dir: dir, Log: &Log{}, t: t, realm: realm}
	p.Crew = crew.Crew{Sign: sign, Do: p.call, Passphrase: func(string) ([]byte, error) { return []byte(passphrase), nil }}
	p.Start()
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// Start opens and serves the node.
func (p *Party) Start() {
	p.t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(p.t.Context()))
	ahead := p.Ahead
	n, err := node.Open(ctx, p.Dir, p.realm, node.Options{Serving: true, Now: func() time.Time { return time.Now().Add(ahead) }, Log: slog.New(slog.NewJSONHandler(p.Log, nil)),
		Override: func(c *node.Config) { c.Listen = cmp.Or(p.addr, c.Listen) }})
	if err != nil {
		stop()
		p.t.Fatalf("%s: %v", p.Sign, err)
	}
	p.Node, p.stop = n, stop
	p.addr = strings.TrimPrefix(n.Endpoints()[0], "https://") // partners know it
	ready := make(chan struct{})
	open := sync.OnceFunc(func() { close(ready) })
	p.gone.Go(func() {
		defer open() // a node that ends at once keeps nobody waiting
		if err := n.Serve(ctx, open); err != nil {
			p.t.Errorf("%s: serve: %v", p.Sign, err)
		}
		if err := n.Close(); err != nil {
			p.t.Errorf("%s: close: %v", p.Sign, err)
		}
	})
	<-ready
}

// Stop ends the node gracefully; Start runs it again.
func (p *Party) Stop() {
	if p.stop != nil {
		p.stop()
		p.gone.Wait()
		p.stop = nil
	}
}

// call runs an operation at the node as its API would: through JSON.
func (p *Party) call(ctx context.Context, op string, in, out any) error {
	return p.callBody(ctx, op, in, nil, out)
}

func (p *Party) callBody(ctx context.Context, op string, in any, body io.Reader, out any) error {
	input, err := json.Marshal(in)
	if err != nil {
		return err
	}
	result, err := web.Invoke(ctx, p.Node.Services(), op, input, body, nil)
	if err != nil || out == nil {
		return err
	}
	b, err := json.Marshal(result)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// Must runs an operation that must succeed.
func (p *Party) Must(op string, in, out any) {
	p.t.Helper()
	if err := p.call(p.t.Context(), op, in, out); err != nil {
		p.t.Fatalf("%s: %s: %v", p.Sign, op, err)
	}
}

// Import takes an input in; nothing of it may be quarantined.
func (p *Party) Import(name, marking string, body io.Reader) intake.Report {
	p.t.Helper()
	var r intake.Report
	if err := p.callBody(p.t.Context(), "import", web.ImportRef{Name: name, Marking: marking}, body, &r); err != nil {
		p.t.Fatalf("%s: import %s: %v", p.Sign, name, err)
	}
	if r.Quarantined > 0 {
		p.t.Fatalf("%s: import %s: %d quarantined: %v", p.Sign, name, r.Quarantined, r.Faults)
	}
	return r
}

// Head is the last sequence of the node's change feed.
func (p *Party) Head() int64 {
	p.t.Helper()
	head, err := p.Node.Store.Head(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return head
}

// Settle waits until the exit gate has looked at everything so far.
func (p *Party) Settle() {
	p.t.Helper()
	if _, err := p.Settled(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// Approve has two officers approve every open hold that two persons lift.
func (p *Party) Approve() (holds, count int) {
	p.t.Helper()
	p.Settle()
	holds, count, err := p.ApproveHolds(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return holds, count
}

// Until waits for something for at most a minute.
func (p *Party) Until(what string, ok func() (bool, error)) {
	p.t.Helper()
	if err := crew.Until(p.t.Context(), time.Minute, what, ok); err != nil {
		p.t.Fatalf("%s: %v", p.Sign, err)
	}
}

// Intact verifies the record.
func (p *Party) Intact() {
	p.t.Helper()
	v, err := p.Node.Store.Verify(p.t.Context(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range v.Faults {
		p.t.Errorf("%s: audit: %s at %d in %s: %s", p.Sign, f.Code, f.Index, f.Table, f.Msg)
	}
}

// Alliance is USA-01 and JPN-01 in one realm, introduced, with the agreement of
// agreement draft in force.
func Alliance(t testing.TB, realm noroshi.Realm) (usa, jpn *Party) {
	t.Helper()
	usa, jpn = New(t, "USA-01", realm), New(t, "JPN-01", realm)
	Ally(t, usa, jpn)
	return usa, jpn
}

// Ally introduces two nodes and puts an agreement in force.
func Ally(t testing.TB, a, b *Party) {
	t.Helper()
	if _, err := crew.Introduce(t.Context(), &a.Crew, &b.Crew); err != nil {
		t.Fatal(err)
	}
	if _, err := crew.Agree(t.Context(), &a.Crew, &b.Crew, Mitre); err != nil {
		t.Fatal(err)
	}
}

// Whole waits until both streams between two nodes are applied on both sides
// with nothing missing, and nothing waits in a batch that is not sent.
func Whole(t testing.TB, a, b *Party) {
	t.Helper()
	for _, pair := range [][2]*Party{{a, b}, {b, a}} {
		from, to := pair[0], pair[1]
		from.Until("stream to "+string(to.Sign)+" whole", func() (bool, error) {
			unsent, err := from.Node.Store.UnsentBatches(t.Context(), to.Node.Keys.NodeID())
			if err != nil || len(unsent) > 0 {
				return false, err
			}
			links, err := from.Node.Courier.Links(t.Context())
			i := slices.IndexFunc(links, func(l courier.LinkStatus) bool { return l.CallSign == to.Sign })
			if err != nil || i < 0 {
				return false, err
			}
			return links[i].OutApplied == links[i].OutHead && len(links[i].Missing) == 0, nil
		})
	}
}
