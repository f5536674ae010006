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
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/backup"
	"github.com/noroshi-cti/noroshi/internal/node/cable"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
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

	Checkpoint time.Duration        // of its configuration, from the next Start on
	Quota      int64                // likewise, MiB; 0 = as configured
	SIEM       []node.SIEMConfig    // likewise
	Translate  node.TranslateConfig // likewise, where it names a service

	t     testing.TB
	realm noroshi.Realm
	addr  string // where partners reach it; "" = as configured, until the first start
	dsn   string // of its database, "" when its store is a file
	roles node.Roles
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

// Passphrase opens the key of every member of a party's crew.
const Passphrase = "correct-horse-battery"

// New makes a node with a crew in a folder of the test and serves it until the
// test ends.
func New(t testing.TB, sign noroshi.CallSign, realm noroshi.Realm) *Party {
	t.Helper()
	return joined(t, begin(t, filepath.Join(t.TempDir(), strings.ToLower(string(sign))), sign, realm))
}

// begin makes a node in a folder.
func begin(t testing.TB, dir string, sign noroshi.CallSign, realm noroshi.Realm) *Party {
	t.Helper()
	config := node.Config{CallSign: sign, Tokens: []string{sign.Country() + ".MOD"}}
	if storetest.Engine() == storetest.Postgres {
		config.Store.DSN = storetest.DSN(t)
	}
	if err := node.Init(t.Context(), dir, config); err != nil {
		t.Fatal(err)
	}
	p := newParty(t, dir, sign, realm, config.Store.DSN)
	p.addr = Free(t)
	return p
}

// Free returns an address of loopback that nobody else is given while the test runs.
func Free(t testing.TB) string {
	t.Helper()
	l, err := cable.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Bare makes a node without persons, and serves it until the test ends.
func Bare(t testing.TB, sign noroshi.CallSign, realm noroshi.Realm) *Party {
	t.Helper()
	p := begin(t, filepath.Join(t.TempDir(), strings.ToLower(string(sign))), sign, realm)
	p.Start()
	t.Cleanup(p.Stop)
	return p
}

// In serves a realm of a node that Init made in dir, with a crew of its own.
func In(t testing.TB, dir string, sign noroshi.CallSign, realm noroshi.Realm) *Party {
	t.Helper()
	return joined(t, newParty(t, dir, sign, realm, ""))
}

func newParty(t testing.TB, dir string, sign noroshi.CallSign, realm noroshi.Realm, dsn string) *Party {
	p := &Party{Dir: dir, Log: &Log{}, t: t, realm: realm, dsn: dsn}
	p.Crew = crew.Crew{Sign: sign, Do: p.call, Passphrase: func(string) ([]byte, error) { return []byte(Passphrase), nil }, Cast: &cast}
	return p
}

// cast are the persons of all parties.
var cast crew.Cast

// joined serves a party until the test ends, and adds its crew.
func joined(t testing.TB, p *Party) *Party {
	t.Helper()
	p.Start()
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// Beside starts another process of the party's node, in effect: a node of its
// own on the same folder and database.
func (p *Party) Beside(roles ...node.Role) *Party {
	p.t.Helper()
	q := &Party{Dir: p.Dir, Log: &Log{}, t: p.t, realm: p.realm, dsn: p.dsn, addr: p.addr, roles: roles}
	q.Crew = crew.Crew{Sign: p.Sign, Do: q.call, Passphrase: p.Passphrase, Cast: &cast}
	q.Start()
	p.t.Cleanup(q.Stop)
	return q
}

// Start opens and serves the node.
func (p *Party) Start() {
	p.t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(p.t.Context()))
	ahead := p.Ahead
	n, err := node.Open(ctx, p.Dir, p.realm, node.Options{Serving: true, Roles: p.roles, Now: func() time.Time { return time.Now().Add(ahead) }, Log: slog.New(slog.NewJSONHandler(p.Log, nil)),
		Override: p.override})
	if err != nil {
		stop()
		p.t.Fatalf("%s: %v", p.Sign, err)
	}
	p.Node, p.stop = n, stop
	if e := n.Endpoints(); len(e) > 0 && len(n.Config.Endpoints) == 0 {
		p.addr = strings.TrimPrefix(e[0], "https://") // partners know it
	}
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

func (p *Party) override(c *node.Config) {
	c.Checkpoint, c.Quota = cmp.Or(p.Checkpoint, c.Checkpoint), cmp.Or(p.Quota, c.Quota)
	c.SIEM = append(c.SIEM, p.SIEM...)
	if p.Translate.URL != "" {
		c.Translate = p.Translate
	}
	c.Listen, c.Store.DSN = cmp.Or(p.addr, c.Listen), cmp.Or(p.dsn, c.Store.DSN)
}

// Backup copies the store of a node that is stopped; restore, called while it is
// stopped again, puts the node back to that.
func (p *Party) Backup() (restore func()) {
	p.t.Helper()
	file := filepath.Join(p.Dir, p.realm.File())
	copied := storetest.In(p.t, p.t.TempDir(), p.realm)
	if _, err := store.Copy(p.t.Context(), cmp.Or(p.dsn, file), copied, p.realm, nil); err != nil {
		p.t.Fatal(err)
	}
	return func() {
		if p.dsn != "" {
			p.dsn = copied
			return
		}
		if err := os.Rename(copied, file); err != nil {
			p.t.Fatal(err)
		}
	}
}

// backupKey seals the backups of parties.
const backupKey = "a key of 32 bytes, no passphrase"

// BackupTo has the running node write a backup.
func (p *Party) BackupTo(file string) (done web.BackedUp) {
	p.t.Helper()
	s, err := backup.Seal(backup.Key, []byte(backupKey))
	if err != nil {
		p.t.Fatal(err)
	}
	p.Must("backup", web.BackupOrder{File: file, How: string(s.How), Salt: s.Salt, Key: s.Key}, &done)
	return done
}

// Restore puts a node that is stopped back from a backup, on another disk: of
// the old folder and database nothing is left to it. Two officers sign.
func (p *Party) Restore(file string) {
	p.t.Helper()
	dir := p.t.TempDir()
	if p.dsn != "" { // a database is named by the configuration of the new folder
		config, err := os.ReadFile(filepath.Join(p.Dir, "noroshi.toml"))
		if err != nil {
			p.t.Fatal(err)
		}
		dsn := storetest.DSN(p.t)
		if err := os.WriteFile(filepath.Join(dir, "noroshi.toml"), bytes.ReplaceAll(config, []byte(p.dsn), []byte(dsn)), 0o600); err != nil {
			p.t.Fatal(err)
		}
		p.dsn = dsn
	}
	f, err := os.Open(file)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	r, err := node.BeginRestore(p.t.Context(), dir, f, func(backup.How) ([]byte, error) { return []byte(backupKey), nil })
	if err != nil {
		p.t.Fatal(err)
	}
	var by []noroshi.Signed
	for _, id := range []string{"release1", "release2"} {
		person, err := r.Person(id)
		if err != nil {
			p.t.Fatal(err)
		}
		key, err := person.Unseal([]byte(Passphrase))
		if err != nil {
			p.t.Fatal(err)
		}
		by = append(by, noroshi.SignAct(id, key, r.Digest()))
	}
	if _, err := r.Commit(p.t.Context(), by); err != nil {
		p.t.Fatal(err)
	}
	if err := r.Abandon(); err != nil {
		p.t.Fatal(err)
	}
	p.Dir = dir
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

// Until waits for something, for crew.Patience at most.
func (p *Party) Until(what string, ok func() (bool, error)) {
	p.t.Helper()
	if err := crew.Until(p.t.Context(), crew.Patience, what, ok); err != nil {
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

// Harden introduces two nodes, puts an agreement in force that lists suite S1H,
// and waits until both have the keys for it.
func Harden(t testing.TB, a, b *Party) {
	t.Helper()
	if _, err := crew.Introduce(t.Context(), &a.Crew, &b.Crew); err != nil {
		t.Fatal(err)
	}
	var text string
	a.Must("agreement.draft", web.DraftRef{With: b.Sign, Days: 365, Statements: []string{Mitre}}, &text)
	text = strings.Replace(text, `suites = ["S1", "S2"]`, `suites = ["S1", "S1H", "S2"]`, 1)
	if _, err := crew.Sign(t.Context(), &a.Crew, &b.Crew, []byte(text)); err != nil {
		t.Fatal(err)
	}
	for _, side := range [][2]*Party{{a, b}, {b, a}} {
		from, to := side[0], side[1]
		if err := from.Node.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		to.Until("the keys of "+string(from.Sign), func() (bool, error) {
			doc, err := to.Node.Store.Doc(t.Context(), noroshi.DocKeyset, from.Node.Keys.NodeID().String())
			if err != nil {
				return false, err
			}
			ks, err := message.ParseKeyset(to.realm, doc)
			return err == nil && ks.Has(message.S1H, time.Now()), err
		})
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
