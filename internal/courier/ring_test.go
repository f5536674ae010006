package courier_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

// ring is three nodes, each in agreement with the others, whose gates hand
// each other what they clear.
type ring struct {
	t     *testing.T
	r     *rand.Rand
	nodes []*node
	made  map[stix.ID]*ringed
	ids   []stix.ID
	sent  map[[2]int]map[string]int // objects from one to another, by their bytes
	moved int
	again int
}

// ringed is an object as its maker made it.
type ringed struct {
	maker  int
	may    []bool // who may hold it, whatever the way
	direct bool   // only from its maker
	named  bool   // it says who made it
	secret string // a word that stays with its maker, if any
}

var ringSigns = []noroshi.CallSign{"USA-01", "JPN-01", "KOR-01"}

func newRing(t *testing.T, seed uint64) *ring {
	r := &ring{t: t, r: rand.New(rand.NewPCG(seed, 21)), made: map[stix.ID]*ringed{}, sent: map[[2]int]map[string]int{}}
	for i, sign := range ringSigns {
		n := newNode(t, sign, stix.ID(fmt.Sprintf("identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a00%02d", i+1)))
		n.open()
		r.nodes = append(r.nodes, n)
		t.Cleanup(n.end)
	}
	party := func(i int) noroshi.Party {
		p := r.nodes[i].party()
		p.Tokens = []string{p.CallSign.Country() + ".MOD"}
		return p
	}
	now := time.Now().UTC().Truncate(time.Second)
	for a := range r.nodes {
		for b := a + 1; b < len(r.nodes); b++ {
			file := append(release.Template(release.Draft{Realm: noroshi.Real, Self: party(a), Partner: party(b), From: now.AddDate(0, -1, 0), Until: now.AddDate(1, 0, 0)}), `
[[clause]]
id = "all"
article_en = "Article 9"
article_ja = "第9条"
en = "What its markings let go is released."
ja = "マーキングが許すものは提供する。"
cedar = 'permit (principal, action == Action::"release", resource);'
`...)
			r.nodes[a].meet(r.nodes[b], file, []byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32)))
			r.nodes[b].meet(r.nodes[a], file, []byte(strings.Repeat("b", 32)), []byte(strings.Repeat("a", 32)))
		}
	}
	return r
}

// make draws an object of a node's own, about what it holds.
func (r *ring) make(at int) {
	n, num := r.nodes[at], len(r.ids)
	x := &ringed{maker: at, may: []bool{true, true, true}}
	only := func(who ...int) {
		for i := range x.may {
			x.may[i] = i == at || slices.Contains(who, i)
		}
	}
	var marks []stix.ID
	var bodies []string
	acs := func(content string) {
		m := stix.ID(fmt.Sprintf("marking-definition--00000000-0000-4000-8000-%012d", num))
		marks = append(marks, m)
		bodies = append(bodies, fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-11-01T00:00:00.000Z","extensions":{%q:{"extension_type":"property-extension","identifier":"isa:guide.999191.ACS3-%d","create_date_time":"2026-11-01T00:00:00.000Z","responsible_entity_custodian":"%s.MOD",%s}}}`,
			m, noroshi.ACSExtension, num, n.sign.Country(), content))
	}
	permit := `"policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=permit&sharedefault=permit"`
	switch r.r.IntN(8) {
	case 0:
		marks = append(marks, noroshi.Red.MarkingID())
		only()
	case 1, 2:
		marks = append(marks, noroshi.Amber.MarkingID())
		x.direct = true
	case 3:
		to := (at + 1 + r.r.IntN(2)) % 3
		acs(fmt.Sprintf(`%s,"control_set":{"classification":"U","permitted_nationalities":["%s"]}`, permit, r.nodes[to].sign.Country()))
		only(to)
	case 4:
		acs(permit + `,"control_set":{"classification":"U","formal_determination":["NF"]}`)
		only()
	default:
		marks = append(marks, []stix.ID{noroshi.Clear.MarkingID(), noroshi.Green.MarkingID()}[r.r.IntN(2)])
	}
	any := func() stix.ID {
		if len(r.ids) == 0 || r.r.IntN(10) == 0 {
			return n.ident
		}
		id := r.ids[max(0, len(r.ids)-1-r.r.IntN(30))]
		if held, err := n.store.Held(context.Background(), []stix.ID{id}); err != nil || !held[id] {
			return n.ident // one names what one has
		}
		return id
	}
	typ := []string{"malware", "note", "report", "relationship", "sighting", "language-content", "tool"}[r.r.IntN(7)]
	members := ""
	switch typ {
	case "malware":
		members = fmt.Sprintf(`,"is_family":false,"x_from_ref":%q`, any())
	case "tool":
		members = `,"name":"t"`
	case "note":
		members = fmt.Sprintf(`,"content":"n","object_refs":[%q,%q,%q]`, any(), any(), any())
	case "report":
		members = fmt.Sprintf(`,"name":"r","published":"2026-11-01T00:00:00Z","object_refs":[%q,%q]`, any(), any())
	case "relationship":
		members = fmt.Sprintf(`,"relationship_type":"derived-from","source_ref":%q,"target_ref":%q`, any(), any())
	case "sighting":
		members = fmt.Sprintf(`,"sighting_of_ref":%q,"where_sighted_refs":[%q]`, any(), n.ident)
	case "language-content":
		members = fmt.Sprintf(`,"object_ref":%q,"contents":{"ja":{"name":"x"}}`, any())
	}
	if r.r.IntN(4) == 0 && typ != "language-content" {
		x.secret = fmt.Sprintf("zz%d-secret-", num)
		members += fmt.Sprintf(`,"description":%q,"granular_markings":[{"marking_ref":%q,"selectors":["description"]}]`, x.secret, noroshi.Red.MarkingID())
	}
	id := stix.ID(fmt.Sprintf("%s--00000000-0000-4000-8000-%012d", typ, num))
	by := fmt.Sprintf(`"created_by_ref":%q,`, n.ident)
	if x.named = r.r.IntN(3) > 0; !x.named {
		by = ""
	}
	var refs []string
	for _, m := range marks {
		refs = append(refs, fmt.Sprintf("%q", m))
	}
	bodies = append(bodies, fmt.Sprintf(`{"type":%q,"spec_version":"2.1","id":%q,%s"created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z","object_marking_refs":[%s]%s}`,
		typ, id, by, strings.Join(refs, ","), members))
	r.made[id], r.ids = x, append(r.ids, id)
	r.admit(at, noroshi.Source{Kind: noroshi.FromSelf}, bodies, nil)
}

// admit takes objects in through a node's entry gate.
func (r *ring) admit(at int, src noroshi.Source, bodies []string, views []uint32) {
	r.t.Helper()
	var raws []intake.Raw
	for i, b := range bodies {
		raw := intake.Raw{Bytes: []byte(b)}
		if views != nil {
			raw.View = views[i]
		}
		raws = append(raws, raw)
	}
	n := r.nodes[at]
	p, err := n.gate.Prepare(src, "", raws)
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = n.store.Do(context.Background(), noroshi.Act{Action: noroshi.ActImport, Subject: "ring"}, func(tx *store.Tx) error {
		done, err := n.gate.Admit(tx, p)
		if err == nil && done.Quarantined > 0 {
			r.t.Fatalf("%s: quarantined of %s", n.sign, bodies)
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// decide lets a node's desk follow everything so far.
func (r *ring) decide(at int) {
	r.t.Helper()
	for more := true; more; {
		var err error
		if more, err = r.nodes[at].desk.Step(context.Background()); err != nil {
			r.t.Fatalf("%s: %v", r.nodes[at].sign, err)
		}
	}
}

// hand gives a node what another clears for it.
func (r *ring) hand(from, to int) {
	t, a := r.t, r.nodes[from]
	t.Helper()
	ctx := context.Background()
	ids, err := a.store.UnsentBatches(ctx, r.nodes[to].id())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		place, err := a.store.Cursor(ctx, store.BatchPlace(id))
		if err != nil {
			t.Fatal(err)
		}
		for at := int(place); at < store.Exhausted; {
			c, err := a.desk.Next(ctx, id, at)
			if err != nil && noroshi.KindOf(err) != noroshi.Refused {
				t.Fatal(err)
			}
			passed, next := 0, store.Exhausted
			if c.Valid() {
				passed, next = c.First()-at, c.First()+len(c.Objects())
				r.message(from, to, c)
			} else if b, err := a.store.Batch(ctx, id); err != nil {
				t.Fatal(err)
			} else {
				passed = b.Count - at
			}
			if _, err := a.store.Do(ctx, noroshi.Act{Action: noroshi.ActWithhold}, func(tx *store.Tx) error {
				if err := tx.PassRows(id, at, passed); err != nil {
					return err
				}
				return tx.SetCursor(store.BatchPlace(id), int64(next))
			}); err != nil {
				t.Fatal(err)
			}
			at = next
		}
	}
}

// message puts one message into the stream and hands it over.
func (r *ring) message(from, to int, c release.Cleared) {
	t, a, ctx := r.t, r.nodes[from], context.Background()
	t.Helper()
	var bodies []string
	var views []uint32
	way := [2]int{from, to}
	if r.sent[way] == nil {
		r.sent[way] = map[string]int{}
	}
	for _, o := range c.Objects() {
		bodies, views = append(bodies, string(o.Bytes)), append(views, o.View)
		r.moved++
		if r.sent[way][string(o.Bytes)]++; r.sent[way][string(o.Bytes)] > 1 {
			t.Errorf("%s sends %s twice: %s", a.sign, r.nodes[to].sign, o.Bytes)
		}
		ob, err := stix.Parse(o.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		x := r.made[ob.ID]
		switch {
		case x == nil: // a definition
		case x.maker == to && x.named, x.maker != from && a.has(ob.ID, r.nodes[to]):
			t.Errorf("%s sends %s what that made or brought: %s", a.sign, r.nodes[to].sign, o.Bytes)
		case x.maker != from:
			r.again++
		}
	}
	b := c.Batch()
	out, err := a.store.Out(ctx, b.Partner, [16]byte{1}, 1, 1000)
	for err == nil && len(out)%1000 == 0 && len(out) > 0 {
		var more []store.OutMessage
		if more, err = a.store.Out(ctx, b.Partner, [16]byte{1}, uint64(len(out)+1), 1000); len(more) == 0 {
			break
		}
		out = append(out, more...)
	}
	if err != nil {
		t.Fatal(err)
	}
	id := noroshi.Sum(fmt.Append(nil, b.ID, c.First()))
	_, err = a.store.Do(ctx, noroshi.Act{Action: noroshi.ActSend, Subject: b.ID}, func(tx *store.Tx) error {
		return tx.PutOut(store.OutMessage{Partner: b.Partner, Epoch: [16]byte{1}, Seq: uint64(len(out) + 1), ID: id, Kind: 1, Prec: b.Precedence,
			Created: time.Now(), Batch: b.ID, First: c.First(), Count: len(c.Objects()), Signed: []byte{1}})
	})
	if err != nil {
		t.Fatal(err)
	}
	r.admit(to, noroshi.Source{Kind: noroshi.FromPartner, Partner: a.id(), Message: id}, bodies, views)
}

// has reports whether a node has had an object from another.
func (n *node) has(id stix.ID, from *node) bool {
	n.t.Helper()
	versions, err := n.store.Versions(context.Background(), id)
	if err != nil {
		n.t.Fatal(err)
	}
	return slices.ContainsFunc(versions, func(r store.Record) bool {
		return r.Source.Kind == noroshi.FromPartner && r.Source.Partner == from.id()
	})
}

// check looks at everything every node holds: nobody has what its way forbids,
// names it, or knows a word of what is cut out.
func (r *ring) check(from []int64) {
	r.t.Helper()
	for at, n := range r.nodes {
		for {
			recs, err := n.store.List(context.Background(), store.Filter{After: from[at], Limit: 500, All: true})
			if err != nil {
				r.t.Fatal(err)
			}
			if len(recs) == 0 {
				break
			}
			for _, rec := range recs {
				from[at] = rec.Seq
				r.checkOne(at, rec)
			}
		}
	}
}

func (r *ring) checkOne(at int, rec store.Record) {
	r.t.Helper()
	if rec.Source.Kind == noroshi.FromSelf {
		return
	}
	n, bytes := r.nodes[at], string(rec.Object.Bytes())
	if x := r.made[rec.Object.ID]; x != nil {
		if !x.may[at] {
			r.t.Errorf("%s holds %s", n.sign, bytes)
		}
		if x.direct && rec.Source.Partner != r.nodes[x.maker].id() {
			r.t.Errorf("%s holds from a third party: %s", n.sign, bytes)
		}
	}
	if i := strings.Index(bytes, "-secret-"); i >= 0 {
		r.t.Errorf("%s knows a word that was cut out: %s", n.sign, bytes)
	}
	for _, ref := range rec.Object.Refs() {
		if x := r.made[ref.Target]; x != nil && !x.may[at] {
			r.t.Errorf("%s is told of %s by %s", n.sign, ref.Target, bytes)
		}
	}
}

// whole checks that at rest nothing is left between the desk and the stream:
// what is released to a partner is in its stream.
func (r *ring) whole() {
	r.t.Helper()
	ctx := context.Background()
	for _, n := range r.nodes {
		recs := map[int64]store.Record{}
		for _, id := range r.ids {
			rec, err := n.store.Current(ctx, id)
			if err == nil {
				recs[rec.Seq] = rec
			}
		}
		seqs := slices.Sorted(maps.Keys(recs))
		for _, to := range r.nodes {
			released, err := n.store.Released(ctx, to.id(), seqs)
			if err != nil {
				r.t.Fatal(err)
			}
			in, err := n.store.Streamed(ctx, to.id(), seqs)
			if err != nil {
				r.t.Fatal(err)
			}
			for seq, batch := range released {
				if !in[seq] {
					r.t.Errorf("%s has released to %s and does not send, in batch %s: %s", n.sign, to.sign, batch, recs[seq].Object.Bytes())
				}
			}
		}
	}
}

// TestRing: three nodes in a ring make, relabel, decide and hand on, in any
// order. Nobody comes to hold what its way forbids, nor to know its id or a word
// cut out of it; nothing goes back to its maker where it says who that is, nor to
// who brought it, and nothing twice one way. (Two nodes may cross in handing each
// other a third one's object.)
func TestRing(t *testing.T) {
	t.Parallel()
	steps := tier.Few(tier.N(400, 10_000))
	r := newRing(t, 1)
	from := make([]int64, len(r.nodes))
	for range steps {
		at := r.r.IntN(3)
		switch r.r.IntN(8) {
		case 0, 1, 2:
			r.make(at)
		case 3:
			r.relabel(at)
		case 4, 5:
			r.decide(at)
		default:
			r.hand(at, (at+1+r.r.IntN(2))%3)
		}
		if r.check(from); t.Failed() {
			return
		}
	}
	for range 3 {
		for at := range r.nodes {
			r.decide(at)
			r.hand(at, (at+1)%3)
			r.hand(at, (at+2)%3)
		}
	}
	r.check(from)
	r.whole()
	t.Logf("%d objects made, %d handed over, %d of them on for somebody else", len(r.ids), r.moved, r.again)
	if r.moved < steps/4 || r.again == 0 {
		t.Errorf("%d objects moved, %d of them on", r.moved, r.again)
	}
}

// relabel marks something a node made RED: who does not hold it by then never
// does, and nobody is told of it.
func (r *ring) relabel(at int) {
	r.t.Helper()
	if len(r.ids) == 0 {
		return
	}
	id := r.ids[max(0, len(r.ids)-1-r.r.IntN(10))]
	x := r.made[id]
	if x.maker != at {
		return
	}
	ctx := context.Background()
	for i, n := range r.nodes {
		held, err := n.store.Held(ctx, []stix.ID{id})
		if err != nil {
			r.t.Fatal(err)
		}
		if i != at && held[id] {
			return // it may have gone on
		}
	}
	rec, err := r.nodes[at].store.Current(ctx, id)
	if err != nil {
		r.t.Fatal(err)
	}
	x.may = []bool{at == 0, at == 1, at == 2}
	_, err = r.nodes[at].store.Do(ctx, noroshi.Act{Action: noroshi.ActAssignMarking, Subject: string(id)}, func(tx *store.Tx) error {
		if err := tx.AssignMarking(rec.Seq, noroshi.Red.MarkingID()); err != nil {
			return err
		}
		return tx.Notice(store.MarkingAssigned, fmt.Sprint(rec.Seq))
	})
	if err != nil {
		r.t.Fatal(err)
	}
}
