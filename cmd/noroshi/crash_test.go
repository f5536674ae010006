package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/backup"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// eight are the acts whose commit is a point of its own in the small story.
var eight = []string{"release commit", "send commit", "receive commit", "receipt commit", "recall commit", "rotate-key commit", "checkpoint commit"}

// TestDiesAtEveryPoint: two real nodes release, send, receive, recall, rotate
// keys, countersign and warn, and each dies at every crash point as it comes to
// it, is started again and goes on until it dies at the next. Then, in the same
// way, the disk fails at every point. Then one is put back from a backup, and dies as
// it takes back what it lost. In the end both hold the same, once, and nothing that a
// command confirmed is missing.
func TestDiesAtEveryPoint(t *testing.T) {
	t.Parallel()
	seal, err := backup.Seal(backup.Key, []byte(backupKey))
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange{t: t, recalled: map[stix.ID]bool{}, seal: seal}
	exe := crashProgram(t)
	x.usa, x.jpn = newMortal(t, exe, "USA-01"), newMortal(t, exe, "JPN-01")
	if _, err := crew.Introduce(t.Context(), &x.usa.Crew, &x.jpn.Crew); err != nil {
		t.Fatal(err)
	}
	if _, err := crew.Agree(t.Context(), &x.usa.Crew, &x.jpn.Crew); err != nil {
		t.Fatal(err)
	}
	dies, fails := plan{Times: 1}, plan{Times: 1, Fail: true}
	if tier.N(0, 1) == 0 { // the two share some sixty, and the files and three acts
		dies.Half, dies.Steps = 1, append([]string{" committed", " sync", " written", " moved"}, eight...)
		fails.Half, fails.Steps = 1, []string{"keys write", "keys sync", "keys move", "root write", "root sync", "root move", "links write", "links sync",
			"list write", "list sync", "backup write", "send wal sync", "receive wal write 1", "recall wal sync"}
	}
	torn := [2]tears{}
	for i := range torn {
		torn[i] = tears{t: t, random: rand.New(rand.NewPCG(uint64(i), 1)), every: 3}
	}
	died := x.play(dies, func(i int, m *mortal) { torn[i].at(m) })
	failed := x.play(fails, func(int, *mortal) {})
	t.Logf("%d deaths, %d failures of the disk, %d rounds", died, failed, x.rounds)
	if died < 50 || failed < 10 {
		t.Error("too few for a story: points are not reached any more")
	}
	t.Logf("%d copies torn, the act in doubt gone in %d", torn[0].torn+torn[1].torn, torn[0].worn+torn[1].worn)
	if torn[0].worn+torn[1].worn == 0 {
		t.Error("in no copy the act in doubt was gone: nothing was torn")
	}
	if back := x.putBack(); back < 4 {
		t.Errorf("%d deaths of a node that was put back: points are not reached any more", back)
	}
	x.settle()
}

// play has both nodes meet a plan until there is nothing new to meet, and says
// how often something was.
func (x *exchange) play(p plan, died func(int, *mortal)) (struck int) {
	x.t.Helper()
	both := []*mortal{x.usa, x.jpn}
	count := func() int { return len(x.usa.struck()) + len(x.jpn.struck()) }
	for i, m := range both {
		m.arm(p, func() { died(i, m) })
		if p.Half > 0 {
			p.Half++
		}
	}
	x.before = x.rounds
	all := p.Half == 0 && len(p.Steps) == 0
	// What has to be on its way just then, as what is withheld has, comes not in every round.
	for spare := 12; ; {
		if x.rounds >= x.before+3 && count() == struck {
			if spare--; !all || spare < 0 || len(x.missing(p)) == 0 {
				break
			}
		}
		struck = count()
		if x.round(); x.t.Failed() {
			x.t.FailNow()
		}
	}
	if all {
		x.everyStruck(p)
	}
	for _, m := range both {
		m.disarm()
		x.t.Logf("%s:\n%s", m.Sign, strings.Join(m.struck(), "\n"))
	}
	return struck
}

// exchange is the load.
type exchange struct {
	t        *testing.T
	usa, jpn *mortal
	rounds   int
	before   int    // of them those of a plan that is over
	listed   [2]int // names imported by each
	recalled map[stix.ID]bool
	seal     backup.Sealing
}

// round has each side do a little of everything.
func (x *exchange) round() {
	x.t.Helper()
	uses := []noroshi.KeyWord{noroshi.KeyRelease, noroshi.KeyControl, noroshi.KeyKEM, noroshi.KeyTLS, noroshi.KeyLink, noroshi.KeyRoot}
	for i, m := range []*mortal{x.usa, x.jpn} {
		other := []*mortal{x.jpn, x.usa}[i]
		from := x.listed[i]
		x.listed[i] += 8
		if err := m.take("list", listOf(string(m.Sign), from, from+8), nil); err != nil {
			x.t.Fatalf("%s: %v", m.Sign, err)
		}
		ids := m.named(from, from+8)
		m.recall(ids[0])
		x.recalled[ids[0]] = true
		m.rotate(uses[(x.rounds+3*i)%len(uses)])
		prec := noroshi.Immediate
		if x.rounds < x.before+4 { // officers approve it under each plan; a person may make ten within an hour
			prec = noroshi.Flash
		}
		other.acknowledge(m.warn(ids[1], prec))
	}
	saver := []*mortal{x.usa, x.jpn}[x.rounds%2]
	saver.save(filepath.Join(x.t.TempDir(), "backup"), x.seal)
	x.rounds++
}

// named finds the indicators of names of a list.
func (m *mortal) named(from, to int) (ids []stix.ID) {
	m.t.Helper()
	for n := from; n < to; n++ {
		var f web.Found
		name := listOf(string(m.Sign), n, n+1)
		m.must("indicator.find", web.FindRef{Query: name[:len(name)-1]}, &f)
		if len(f.Data) != 1 {
			m.t.Fatalf("%s: %d indicators of %s", m.Sign, len(f.Data), name)
		}
		ids = append(ids, f.Data[0].ID)
	}
	return ids
}

// settle waits until everything is where it belongs, and compares.
func (x *exchange) settle() {
	x.t.Helper()
	calm(x.t, x.usa.site, x.jpn.site)
	for _, m := range []*mortal{x.usa, x.jpn} {
		err := crew.Until(x.t.Context(), crew.Patience, "every recall answered", func() (bool, error) {
			var s web.Status
			err := m.call(x.t.Context(), "status", nil, &s)
			return s.Recalls == 0, err
		})
		if err != nil {
			x.t.Fatal(err)
		}
	}
	calm(x.t, x.usa.site, x.jpn.site)
	for _, m := range []*mortal{x.usa, x.jpn} {
		var s web.Status
		m.must("status", nil, &s)
		for _, a := range slices.DeleteFunc(s.Alarms, func(a web.Alarm) bool { return a.Code == "peer-restored" }) {
			x.t.Errorf("%s: alarm %+v", m.Sign, a)
		}
		var v web.Audited
		m.must("audit.verify", nil, &v)
		for _, f := range v.Faults {
			x.t.Errorf("%s: audit: %s at %d in %s: %s", m.Sign, f.Code, f.Index, f.Table, f.Msg)
		}
		m.end()
	}
	x.same(x.usa, x.jpn, x.listed[0])
	x.same(x.jpn, x.usa, x.listed[1])
}

// same compares what one side sent with what the other has.
func (x *exchange) same(from, to *mortal, want int) {
	x.t.Helper()
	a, b := from.store(x.t), to.store(x.t)
	kept := map[stix.ID]store.Record{}
	for _, r := range versions(x.t, b) {
		if r.Source.Kind != noroshi.FromPartner {
			continue
		}
		if _, twice := kept[r.Object.ID]; twice {
			x.t.Errorf("%s has two versions of %s", to.Sign, r.Object.ID)
		}
		kept[r.Object.ID] = r
	}
	sent := 0
	for _, r := range versions(x.t, a) {
		if r.Source.Kind == noroshi.FromPartner {
			continue
		}
		sent++
		k, there := kept[r.Object.ID]
		switch recalled := x.recalled[r.Object.ID]; {
		case !there && !recalled:
			x.t.Errorf("%s is lost on its way to %s", r.Object.ID, to.Sign)
		case there && string(k.Object.Bytes()) != string(r.Object.Bytes()):
			x.t.Errorf("%s differs at %s", r.Object.ID, to.Sign)
		case there && k.Withdrawn != recalled:
			x.t.Errorf("%s at %s: withdrawn is %v", r.Object.ID, to.Sign, k.Withdrawn)
		}
	}
	if sent != want {
		x.t.Errorf("%s has %d indicators, want %d", from.Sign, sent, want)
	}
	x.sameStream(a, b)
}

// sameStream compares a stream as its sender and its receiver keep it. What a
// recall withheld is closed there by its tombstone; that no object is missing for
// it is looked at above.
func (x *exchange) sameStream(a, b *node.Node) {
	x.t.Helper()
	sender, receiver := a.Keys.NodeID(), b.Keys.NodeID()
	out := map[string]store.OutMessage{}
	for _, e := range epochs(x.t, a, receiver).Mine {
		list, err := a.Store.Out(x.t.Context(), receiver, e, 1, 1000)
		if err != nil {
			x.t.Fatal(err)
		}
		for _, m := range list {
			out[fmt.Sprint(e, " ", m.Seq)] = m
		}
	}
	count := 0
	for _, e := range epochs(x.t, b, sender).Theirs {
		list, err := b.Store.In(x.t.Context(), sender, e, 1, 1000)
		if err != nil {
			x.t.Fatal(err)
		}
		for _, m := range list {
			count++
			o := out[fmt.Sprint(e, " ", m.Seq)]
			applied, closed := m.State == store.Applied && m.ID == o.ID, m.State == store.Tombstoned && message.Kind(o.Kind) == message.Data
			if o.Seq == 0 || !applied && !closed {
				x.t.Errorf("message %d of %s: %s has %s in state %d, %s has %s in state %d", m.Seq, e, sender, o.ID, o.State, receiver, m.ID, m.State)
			}
		}
	}
	if count != len(out) || count == 0 {
		x.t.Errorf("%s has %d messages to %s, which has %d", sender, len(out), receiver, count)
	}
}
