package door_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/taxii"
)

var (
	began = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	usa   = noroshi.Party{CallSign: "USA-01", Node: noroshi.NodeID{1}, Identity: "identity--d57b5236-557d-55b7-833c-5085983e62d4"}
	jpn   = noroshi.Party{CallSign: "JPN-01", Node: noroshi.NodeID{2}, Identity: "identity--5790eeaa-9674-55aa-ad8c-e5ea8bd3fd48"}
	kor   = noroshi.Party{CallSign: "KOR-01", Node: noroshi.NodeID{3}, Identity: "identity--ea891413-555c-5175-a1c0-125e24cb3093"}

	made = noroshi.Source{Kind: noroshi.FromSelf}
	feed = noroshi.Source{Kind: noroshi.FromFile, Name: "vendor.json", Person: "sato"}
)

// office is a node's store, gates and door, with partners and a clock that
// stands still until a test moves it.
type office struct {
	t     testing.TB
	ctx   context.Context
	path  string
	micro atomic.Int64 // the clock, in microseconds since 1970: the store's own worker reads it too
	store *store.Store
	gate  *intake.Gate
	desk  *release.Desk
	door  *door.Door

	inner, outer http.Handler // what each address serves
}

func newOffice(t testing.TB, partners ...noroshi.Party) *office {
	t.Helper()
	o := &office{t: t, ctx: t.Context(), path: filepath.Join(t.TempDir(), noroshi.Real.File())}
	o.set(began)
	o.open()
	for _, p := range partners {
		o.agree(p, began.AddDate(0, 1, 0))
	}
	return o
}

// now is what the clock says.
func (o *office) now() time.Time { return time.UnixMicro(o.micro.Load()).UTC() }

// set sets the clock.
func (o *office) set(now time.Time) { o.micro.Store(now.UnixMicro()) }

// pass lets time pass.
func (o *office) pass(d time.Duration) { o.set(o.now().Add(d)) }

// open opens the store, as a start of the node does.
func (o *office) open() {
	o.t.Helper()
	self := noroshi.Organisation{CallSign: usa.CallSign, Identity: usa.Identity, Tokens: []string{"USA.DOD"}}
	s, err := store.Open(o.ctx, o.path, store.Options{Realm: noroshi.Real, Node: usa.Node, Now: o.now})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { s.Close() })
	o.store = s
	o.gate = intake.New(s, intake.Options{Realm: noroshi.Real, Node: usa.Node, Self: self, Now: o.now})
	if o.desk, err = release.New(s, release.Options{Realm: noroshi.Real, Node: usa.Node, Self: self, Now: o.now}); err != nil {
		o.t.Fatal(err)
	}
	o.door = door.New(s, o.gate, o.desk, door.Options{Realm: noroshi.Real, Name: string(usa.CallSign), Now: o.now})
	o.inner, o.outer = o.serve(o.door.TAXII(true), o.door.Sensors(true)), o.serve(o.door.TAXII(false), o.door.Sensors(false))
}

func (o *office) serve(b taxii.Backend, sensors http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", taxii.NewHandler(b, taxii.Options{Title: string(usa.CallSign), Realm: "noroshi", Key: make([]byte, 32), PageSize: 6000}))
	mux.Handle(door.SensorPath, sensors)
	return mux
}

// restart ends the node and starts it again.
func (o *office) restart() {
	o.t.Helper()
	if err := o.store.Close(); err != nil {
		o.t.Fatal(err)
	}
	o.open()
}

func (o *office) do(a noroshi.Action, fn func(tx *store.Tx) error) {
	o.t.Helper()
	if _, err := o.store.Do(o.ctx, noroshi.Act{Action: a, Subject: "test"}, fn); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) doc(kind, key string, v any) {
	o.t.Helper()
	body, ok := v.([]byte)
	if !ok {
		var err error
		if body, err = json.Marshal(v); err != nil {
			o.t.Fatal(err)
		}
	}
	o.do(noroshi.ActConfigure, func(tx *store.Tx) error { return tx.PutDoc(kind, key, body) })
}

// agree brings an agreement with a partner into force.
func (o *office) agree(p noroshi.Party, until time.Time) {
	o.t.Helper()
	file := release.Template(release.Draft{Realm: noroshi.Real, Self: usa, Partner: p, From: began.AddDate(0, -1, 0), Until: until})
	a, err := noroshi.ParseAgreement(file)
	if err != nil {
		o.t.Fatal(err)
	}
	o.doc(noroshi.DocAgreement, a.Hash.String(), file)
	o.stand(p, noroshi.InForce, a.Hash)
}

// stand says how this node stands with a partner.
func (o *office) stand(p noroshi.Party, trust noroshi.Trust, agreement noroshi.Hash) {
	o.t.Helper()
	o.doc(noroshi.DocPartner, p.Node.String(), o.partner(p, trust, agreement))
	o.do(noroshi.ActAgreementInForce, func(tx *store.Tx) error { return tx.Notice(store.AgreementChanged, p.Node.String()) })
}

func (o *office) partner(p noroshi.Party, trust noroshi.Trust, agreement noroshi.Hash) noroshi.Partner {
	return noroshi.Partner{Node: p.Node, Trust: trust, Agreement: agreement, Organisation: noroshi.Organisation{CallSign: p.CallSign, Identity: p.Identity}}
}

// put admits objects of a source in one act.
func (o *office) put(src noroshi.Source, objects ...string) (seqs []int64) {
	o.t.Helper()
	raws := make([]intake.Raw, len(objects))
	for i, text := range objects {
		raws[i] = intake.Raw{Bytes: []byte(text), Place: fmt.Sprintf("object %d", i)}
	}
	p, err := o.gate.Prepare(src, "", raws)
	if err != nil {
		o.t.Fatal(err)
	}
	o.do(noroshi.ActImport, func(tx *store.Tx) error {
		a, err := o.gate.Admit(tx, p)
		for i, x := range a.Each {
			if err == nil && x.Seq == 0 {
				o.t.Fatalf("object %d is not admitted: %s: %s", i, x.Code, objects[i])
			}
			seqs = append(seqs, x.Seq)
		}
		return err
	})
	return seqs
}

// settle lets the desk decide, puts what is cleared into the streams as the
// courier does, and lays everything on its shelves.
func (o *office) settle(partners ...noroshi.Party) {
	o.t.Helper()
	for more := true; more; {
		var err error
		if more, err = o.desk.Step(o.ctx); err != nil {
			o.t.Fatal(err)
		}
	}
	for _, p := range partners {
		o.send(p)
	}
	o.step()
}

// step lays everything on its shelves.
func (o *office) step() {
	o.t.Helper()
	for more := true; more; {
		var err error
		if more, err = o.door.Step(o.ctx); err != nil {
			o.t.Fatal(err)
		}
	}
}

// send puts what is cleared for a partner into its stream.
func (o *office) send(p noroshi.Party) {
	o.t.Helper()
	ids, err := o.store.UnsentBatches(o.ctx, p.Node)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, id := range ids {
		at, err := o.store.Cursor(o.ctx, store.BatchPlace(id))
		if err != nil {
			o.t.Fatal(err)
		}
		for {
			c, err := o.desk.Next(o.ctx, id, int(at))
			if err != nil && noroshi.KindOf(err) != noroshi.Refused {
				o.t.Fatal(err)
			}
			if !c.Valid() {
				o.place(id, store.Exhausted)
				break
			}
			o.carry(p, c)
			at = int64(c.First() + len(c.Objects()))
			o.place(id, int(at))
		}
	}
}

func (o *office) place(batch string, at int) {
	o.t.Helper()
	if err := o.store.Advance(o.ctx, store.BatchPlace(batch), int64(at)); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) carry(p noroshi.Party, c release.Cleared) {
	o.t.Helper()
	last, err := o.store.Out(o.ctx, p.Node, [16]byte{1}, 1, 1000)
	if err != nil {
		o.t.Fatal(err)
	}
	b := c.Batch()
	o.do(noroshi.ActSend, func(tx *store.Tx) error {
		return tx.PutOut(store.OutMessage{
			Partner: p.Node, Epoch: [16]byte{1}, Seq: uint64(len(last) + 1), ID: noroshi.Sum(fmt.Append(nil, b.ID, c.First())), Kind: 1,
			Prec: b.Precedence, Created: o.now(), Batch: b.ID, First: c.First(), Count: len(c.Objects()), Signed: []byte{1},
		})
	})
}

func (o *office) current(id stix.ID) store.Record {
	o.t.Helper()
	r, err := o.store.Current(o.ctx, id)
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

func (o *office) withdraw(id stix.ID) {
	o.t.Helper()
	r := o.current(id)
	o.do(noroshi.ActWithdraw, func(tx *store.Tx) error { return tx.Withdraw(id, r.Source.Owner()) })
}

func (o *office) remark(id stix.ID, level noroshi.TLP) {
	o.t.Helper()
	seq := o.current(id).Seq
	o.do(noroshi.ActAssignMarking, func(tx *store.Tx) error { return tx.AssignMarking(seq, level.MarkingID()) })
}

// visitor is who comes to a door.
type visitor struct {
	o       *office
	handler func() http.Handler
	change  func(*http.Request) // proves who comes
}

// letIn adds a client and comes with its token, to the door it belongs at.
func (o *office) letIn(n door.NewClient) visitor {
	o.t.Helper()
	token, err := o.door.AddClient(o.ctx, n)
	if err != nil {
		o.t.Fatal(err)
	}
	if n.Partner != nil {
		return o.at(false, bearer(token))
	}
	return o.at(true, bearer(token))
}

// letPartner adds a client of a partner's.
func (o *office) letPartner(name string, p noroshi.Party) visitor {
	o.t.Helper()
	x := o.partner(p, noroshi.InForce, noroshi.Hash{})
	return o.letIn(door.NewClient{Name: name, Partner: &x})
}

// shelf makes a shelf and returns its id.
func (o *office) shelf(name string, conditions ...string) string {
	o.t.Helper()
	c, err := o.door.AddCollection(o.ctx, door.Collection{Name: name, Select: conditions})
	if err != nil {
		o.t.Fatal(err)
	}
	return c.ID
}

func (o *office) at(inside bool, change func(*http.Request)) visitor {
	return visitor{o, func() http.Handler {
		if inside {
			return o.inner
		}
		return o.outer
	}, change}
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// ask sends a request; head is further header lines "Name: value".
func (v visitor) ask(method, path, body string, head ...string) *httptest.ResponseRecorder {
	v.o.t.Helper()
	r := httptest.NewRequestWithContext(v.o.ctx, method, path, strings.NewReader(body))
	if v.change != nil {
		v.change(r)
	}
	if body != "" {
		r.Header.Set("Content-Type", taxii.MediaType)
	}
	for _, h := range head {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	v.handler().ServeHTTP(w, r)
	return w
}

// get asks for what must be there.
func (v visitor) get(path string, head ...string) string {
	v.o.t.Helper()
	w := v.ask("GET", path, "", head...)
	if w.Code != http.StatusOK {
		v.o.t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

const (
	root     = "/taxii2/api1/"
	inColl   = root + "collections/"
	anywhen  = "?match[version]=all"
	elsewise = "00000000-0000-4000-8000-0000000000ff" // no collection
)

// post posts objects and returns what became of them.
func (v visitor) post(collection string, objects ...string) (st taxii.Status) {
	v.o.t.Helper()
	w := v.ask("POST", inColl+collection+"/objects/", `{"objects":[`+strings.Join(objects, ",")+`]}`)
	if w.Code != http.StatusAccepted {
		v.o.t.Fatalf("POST: %d %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &st); err != nil {
		v.o.t.Fatal(err)
	}
	return st
}

// ids are the ends of the ids of what lies in a collection, each with the day
// of its version where query asks for all.
func (v visitor) ids(collection, query string) string {
	v.o.t.Helper()
	var page struct {
		Objects []struct {
			ID      string `json:"id"`
			Version string `json:"version"`
		} `json:"objects"`
	}
	if err := json.Unmarshal([]byte(v.get(inColl+collection+"/manifest/"+query)), &page); err != nil {
		v.o.t.Fatal(err)
	}
	var list []string
	for _, x := range page.Objects {
		short := strings.TrimLeft(x.ID[strings.LastIndexByte(x.ID, '-')+1:], "0")
		if query != "" {
			short += "@" + x.Version[8:10]
		}
		list = append(list, short)
	}
	return strings.Join(list, " ")
}

func id(typ string, n int) stix.ID {
	return stix.ID(fmt.Sprintf("%s--00000000-0000-4000-8000-%012d", typ, n))
}

// indicator writes an indicator of a domain; more is further members.
func indicator(n int, level noroshi.TLP, more string) string {
	return object("indicator", n, level, fmt.Sprintf(`,"pattern":"[domain-name:value = 'd%d.example']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z"`, n)+more)
}

func object(typ string, n int, level noroshi.TLP, more string) string {
	marks := ""
	if level != noroshi.NoTLP {
		marks = fmt.Sprintf(`,"object_marking_refs":[%q]`, level.MarkingID())
	}
	return fmt.Sprintf(`{"type":%q,"spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z"%s%s}`, typ, id(typ, n), marks, more)
}

// on is the same object as of another day.
func on(day int, object string) string {
	return strings.Replace(object, `"modified":"2026-11-01`, fmt.Sprintf(`"modified":"2026-11-%02d`, day), 1)
}

// approve has two release officers approve every open hold.
func (o *office) approve() {
	o.t.Helper()
	holds, err := o.store.Holds(o.ctx, store.HoldOpen)
	if err != nil {
		o.t.Fatal(err)
	}
	if len(holds) == 0 {
		o.t.Fatal("nothing is held")
	}
	for n, who := range []string{"sato", "jones"} {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(n + 1)}, ed25519.SeedSize))
		o.doc(noroshi.DocPerson, who, noroshi.Person{ID: who, Roles: []noroshi.Role{noroshi.ReleaseOffice}, Key: key.Public().(ed25519.PublicKey)})
		for _, h := range holds {
			seen, err := o.desk.Outline(o.ctx, h.ID)
			if err != nil {
				o.t.Fatal(err)
			}
			if _, _, err := o.desk.Approve(o.ctx, h.ID, nil, noroshi.SignAct(who, key, noroshi.ActDigest(noroshi.Real, usa.Node, noroshi.ActApprove, h.ID, seen.Digest))); err != nil {
				o.t.Fatal(err)
			}
		}
	}
}
