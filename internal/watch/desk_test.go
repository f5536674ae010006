package watch_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/stix"
)

// desk is one node as far as a watch needs it: a real store, gate and index.
type desk struct {
	t      testing.TB
	realm  noroshi.Realm
	node   noroshi.NodeID
	self   noroshi.Organisation
	store  *store.Store
	gate   *intake.Gate
	index  *detect.Index
	watch  *watch.Watch
	people map[string]ed25519.PrivateKey

	sectors []string // what sightings say of where
	region  string

	mu   sync.Mutex // guards now, deaf
	now  time.Time
	deaf int       // how many READs more the courier cannot take
	told chan read // every READ the courier was asked to send
}

type read struct {
	partner noroshi.NodeID
	msg     noroshi.Hash
	role    noroshi.Role
}

// ReadBy is the courier's part.
func (d *desk) ReadBy(_ context.Context, partner noroshi.NodeID, msg noroshi.Hash, role noroshi.Role, _ time.Time) error {
	d.mu.Lock()
	deaf := d.deaf > 0
	d.deaf--
	d.mu.Unlock()
	if deaf {
		return noroshi.Errorf(noroshi.Queued, "courier.starting", "the courier is starting")
	}
	d.told <- read{partner, msg, role}
	return nil
}

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) later(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	return newDeskIn(t, noroshi.Real)
}

func newDeskIn(t testing.TB, realm noroshi.Realm) *desk {
	t.Helper()
	d := &desk{t: t, realm: realm, people: map[string]ed25519.PrivateKey{}, told: make(chan read, 16), now: time.Date(2026, 11, 24, 5, 30, 0, 0, time.UTC)}
	d.self = noroshi.Organisation{CallSign: "JPN-01", Identity: stix.NewID("identity")}
	keys, err := message.NewKeyring(d.realm, d.now)
	if err != nil {
		t.Fatal(err)
	}
	d.node = keys.NodeID()
	public, sign := keys.Control()
	d.store, err = store.Open(t.Context(), storetest.Address(t, realm),
		store.Options{Realm: d.realm, Node: d.node, Sign: sign, Key: public, Now: d.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.store.Close() })
	lists, err := intake.ReadWarningListsFS(fstest.MapFS{"good/list.json": {Data: []byte(
		`{"name":"Known good sites","description":"d","version":1,"type":"hostname","list":["good.example"],"matching_attributes":["domain"]}`)}})
	if err != nil {
		t.Fatal(err)
	}
	d.gate = intake.New(d.store, intake.Options{Realm: d.realm, Node: d.node, Self: d.self, Lists: func() *intake.WarningLists { return lists }, Now: d.clock})
	d.restart()
	d.hire("yamada", noroshi.Duty)
	d.hire("tanaka", noroshi.Analyst)
	return d
}

// restart forgets everything that is not in the store.
func (d *desk) restart() {
	d.index = detect.NewIndex(detect.Options{})
	d.watch = watch.New(d.store, d.gate, d.index, d, watch.Options{Realm: d.realm, Node: d.node, Self: d.self, Now: d.clock,
		Sectors: d.sectors, Region: d.region})
}

func (d *desk) hire(name string, role noroshi.Role) {
	d.t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	d.people[name] = private
	d.put(noroshi.DocPerson, name, noroshi.Person{ID: name, Name: name, Roles: []noroshi.Role{role}, Key: public})
}

// put writes a document as JSON.
func (d *desk) put(kind, key string, v any) {
	d.t.Helper()
	body, ok := v.([]byte)
	if !ok {
		var err error
		if body, err = json.Marshal(v); err != nil {
			d.t.Fatal(err)
		}
	}
	_, err := d.store.Do(d.t.Context(), noroshi.Act{Action: noroshi.ActConfigure, Subject: key}, func(tx *store.Tx) error {
		return tx.PutDoc(kind, key, body)
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) as(name string, a noroshi.Action, subject string, bound noroshi.Hash) noroshi.Signed {
	d.t.Helper()
	return noroshi.SignAct(name, d.people[name], noroshi.ActDigest(d.realm, d.node, a, subject, bound))
}

// admit puts objects as from a source.
func (d *desk) admit(src noroshi.Source, objects ...string) []int64 {
	d.t.Helper()
	var raws []intake.Raw
	for _, o := range objects {
		raws = append(raws, intake.Raw{Bytes: []byte(o)})
	}
	p, err := d.gate.Prepare(src, "", raws)
	if err != nil {
		d.t.Fatal(err)
	}
	var a intake.Admitted
	_, err = d.store.Do(d.t.Context(), noroshi.Act{Action: noroshi.ActImport, Subject: "test"}, func(tx *store.Tx) error {
		a, err = d.gate.Admit(tx, p)
		return err
	})
	if err != nil || a.Quarantined > 0 {
		d.t.Fatalf("admit: %v, %+v", err, a)
	}
	return a.Seqs
}

var (
	fromFile    = noroshi.Source{Kind: noroshi.FromFile, Name: "list.txt"}
	usa         = noroshi.NodeID{7}
	usaMessage  = noroshi.Sum([]byte("a message of USA-01"))
	fromPartner = noroshi.Source{Kind: noroshi.FromPartner, Partner: usa, Message: usaMessage}
)

// indicator writes one; n tells them apart, marks is a level or "".
func indicator(n int, pattern string, mark noroshi.TLP, more string) string {
	marks := ""
	if mark != noroshi.NoTLP {
		marks = fmt.Sprintf(`,"object_marking_refs":[%q]`, mark.MarkingID())
	}
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z",`+
		`"pattern":%q,"pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"%s%s}`, indicatorID(n), pattern, marks, more)
}

func indicatorID(n int) stix.ID {
	return stix.ID(fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n))
}

func domain(name string) string { return "[domain-name:value = '" + name + "']" }

// hit is one event that met a domain indicator.
func hit(n int, name string, at time.Time) detect.Hit {
	return detect.Hit{Indicator: indicatorID(n), Value: noroshi.Value{Kind: noroshi.DomainName, Text: name},
		Observed: "canary-observed." + name, Field: "canary-field", Strength: detect.Strong, Time: at, Log: "dns"}
}

func (d *desk) observe(sensor string, hits ...detect.Hit) watch.Observed {
	d.t.Helper()
	o, err := d.watch.Observe(d.t.Context(), sensor, hits)
	if err != nil {
		d.t.Fatal(err)
	}
	return o
}

// objects returns the current objects of a type.
func (d *desk) objects(typ string) []*stix.Object {
	d.t.Helper()
	records, err := d.store.List(d.t.Context(), store.Filter{Type: typ, Limit: 1000})
	if err != nil {
		d.t.Fatal(err)
	}
	var list []*stix.Object
	for _, r := range records {
		list = append(list, r.Object)
	}
	return list
}

// intact fails when the ledger does not verify.
func (d *desk) intact() {
	d.t.Helper()
	v, err := d.store.Verify(d.t.Context(), nil)
	if err != nil || len(v.Faults) > 0 {
		d.t.Fatalf("ledger: %v %v", err, v.Faults)
	}
}

// running runs the watch until the test ends or stop is called.
func (d *desk) running() (stop func()) {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	done := make(chan error, 1)
	w := d.watch
	go func() {
		told := make(chan error, 1)
		go func() { told <- w.Tell(ctx) }()
		err := w.Run(ctx)
		if e := <-told; !errors.Is(e, context.Canceled) {
			err = errors.Join(err, e)
		}
		done <- err
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				d.t.Errorf("run: %v", err)
			}
		})
	}
	d.t.Cleanup(stop)
	return stop
}

// settled waits until the index stands at the head of the feed.
func (d *desk) settled() {
	d.t.Helper()
	head, err := d.store.Head(d.t.Context())
	if err == nil {
		err = d.watch.ArmedUpTo(d.t.Context(), head)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// inForce makes USA-01 a partner with an agreement in force.
func (d *desk) inForce(sightingMark, clocks string) {
	d.t.Helper()
	file := fmt.Appendf(nil, `version = 1
title_en = "Test"
title_ja = "試験"
realm = "real"
from = 2026-01-01T00:00:00Z
until = 2027-01-01T00:00:00Z
sighting_mark = %q
suites = ["S1"]
channels = ["https"]
%s
[[party]]
call_sign = "JPN-01"
node = %q
identity = %q
[[party]]
call_sign = "USA-01"
node = %q
identity = "identity--00000000-0000-4000-8000-000000000001"
`, sightingMark, clocks, d.node, d.self.Identity, usa)
	a, err := noroshi.ParseAgreement(file)
	if err != nil {
		d.t.Fatal(err)
	}
	d.put(noroshi.DocAgreement, a.Hash.String(), file)
	d.put(noroshi.DocPartner, usa.String(), noroshi.Partner{Node: usa, Trust: noroshi.InForce, Agreement: a.Hash,
		Organisation: noroshi.Organisation{CallSign: "USA-01", Identity: "identity--00000000-0000-4000-8000-000000000001"}})
}
