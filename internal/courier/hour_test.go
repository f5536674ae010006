package courier_test

import (
	"context"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/stix"
)

// hour is a victim with a good partner and a foe, in virtual time.
type hour struct {
	t       *testing.T
	v, good *node
	foe     *foe                // nil in a quiet hour
	change  func(string) string // of agreements
	rng     *mrand.Rand
	late    []time.Duration // how long each FLASH of the good partner took
	size    int64           // bytes of the victim's store
	peak    uint64          // bytes of heap
	held    map[string]bool // of everybody but the foe
}

// wires is the victim's channel: what goes to the foe ends there.
type wires struct {
	good *roughEnd
	foe  *foe
}

func (w wires) Name() string { return noroshi.ChannelHTTPS }

func (w wires) Traits() courier.Traits { return w.good.Traits() }

func (w wires) Send(ctx context.Context, p noroshi.Partner, prec noroshi.Precedence, envelope []byte) error {
	if w.foe == nil || p.Node != w.foe.id() {
		return w.good.Send(ctx, p, prec, envelope)
	}
	w.foe.mu.Lock()
	defer w.foe.mu.Unlock()
	w.foe.hear(envelope)
	return nil
}

func (h *hour) node(sign noroshi.CallSign, n int) *node {
	keys, err := message.NewKeyring(noroshi.Real, time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	dir, err := os.MkdirTemp(inMemory(), "noroshi-hostile-")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { os.RemoveAll(dir) })
	return &node{t: h.t, sign: sign, dir: dir, at: filepath.Join(dir, noroshi.Real.File()), keys: keys,
		ident: stix.ID(fmt.Sprintf("identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a00%02d", n)), beat: 10 * time.Second}
}

var hourQuota = int64(tier.N(6, 128)) << 20

func newHour(t *testing.T, hostile bool) *hour {
	return newHourUnder(t, hostile, func(file string) string { return file })
}

// newHourUnder is an hour under changed agreements.
func newHourUnder(t *testing.T, hostile bool, change func(string) string) *hour {
	h := &hour{t: t, rng: mrand.New(mrand.NewPCG(5, 9)), change: change}
	h.v, h.good = h.node("USA-01", 1), h.node("JPN-01", 2)
	h.v.quota = hourQuota
	net := &rough{rng: mrand.New(mrand.NewPCG(5, 1)), stopped: make(chan struct{})}
	h.good.wire = &roughEnd{net: net, from: h.good, to: h.v}
	w := wires{good: &roughEnd{net: net, from: h.v, to: h.good}}
	h.v.open()
	h.good.open()
	file := h.agreement(h.good, h.v)
	ab, ba := []byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32))
	h.good.meet(h.v, file, ab, ba)
	h.v.meet(h.good, file, ba, ab)
	if hostile {
		n := h.node("KOR-01", 3)
		h.foe = &foe{node: n, v: h.v, rng: h.rng, in: []byte(strings.Repeat("c", 32)), out: []byte(strings.Repeat("d", 32)), epoch: freshEpoch()}
		file := h.agreement(n, h.v)
		a, err := noroshi.ParseAgreement(file)
		if err != nil {
			t.Fatal(err)
		}
		h.foe.agreement, h.foe.packings = a.Hash, message.Packings(a)
		h.v.meet(n, file, h.foe.out, h.foe.in)
		w.foe = h.foe
	}
	h.v.wire = w
	h.allowFlash(noroshi.Sum(file))
	t.Cleanup(func() {
		close(net.stopped)
		net.drain(h.good, h.v)
	})
	return h
}

// inMemory is a folder in memory where there is one: nothing here is about disks.
func inMemory() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return ""
}

// mute sends no documents.
type mute struct{}

func (mute) Document(context.Context, noroshi.NodeID, []byte) error { return nil }

func (h *hour) agreement(a, b *node) []byte {
	now := time.Now().UTC().Truncate(time.Second)
	return append([]byte("flash_per_hour = 60\n"), h.change(string(release.Template(release.Draft{Realm: noroshi.Real, Self: a.party(), Partner: b.party(), From: now.AddDate(0, -1, 0), Until: now.AddDate(1, 0, 0)})))...)
}

// allowFlash lets the good partner send FLASH under a standing rule.
func (h *hour) allowFlash(agreement noroshi.Hash) {
	h.good.officer("smith", noroshi.ReleaseOffice)
	h.good.officer("jones", noroshi.ReleaseOffice)
	rule := noroshi.StandingRule{ID: "r1", Partner: h.v.id(), Agreement: agreement, MaxTLP: noroshi.Green, PerHour: 60, Until: time.Now().UTC().Truncate(time.Second).AddDate(0, 0, 9), By: []string{"smith", "jones"}}
	h.good.doc(noroshi.DocStanding, rule.ID, rule)
}

func (h *hour) start() {
	h.v.document = partner.New(h.v.store, mute{}, partner.Options{Realm: noroshi.Real, Self: noroshi.Organisation{CallSign: h.v.sign, Identity: h.v.ident}, Keys: h.v.keys}).Document
	h.v.start()
	h.good.start()
	h.v.importList("own.txt", 0, 20)
	h.good.importList("good.txt", 100, 140)
	h.settle(func() bool { return h.v.count("indicator") >= 40 && h.good.count("indicator") == 20 })
}

// settle lets time go by until something is so.
func (h *hour) settle(ok func() bool) {
	h.t.Helper()
	for range 600 {
		time.Sleep(time.Second)
		if ok() {
			return
		}
	}
	h.t.Fatalf("not in ten minutes\nvictim: %s\ngood: %s", h.v.show(), h.good.show())
}

// warn has the good partner warn with FLASH, and takes how long the victim takes
// to have it.
func (h *hour) warn(n int) {
	id, at := stix.ID(fmt.Sprintf("report--00000000-0000-4000-8000-%012d", n+1)), time.Now()
	when := at.UTC().Format("2006-01-02T15:04:05.000Z")
	body := fmt.Sprintf(`{"type":"report","spec_version":"2.1","id":%q,"created_by_ref":%q,"created":%q,"modified":%[3]q,"object_marking_refs":[%[4]q],"name":"w","published":%[3]q,"object_refs":[%[2]q],`+
		`"extensions":{%[5]q:{"extension_type":"property-extension","precedence":"flash"}}}`, id, h.good.ident, when, noroshi.Green.MarkingID(), noroshi.WarningExtension)
	ready, err := h.good.gate.Prepare(noroshi.Source{Kind: noroshi.FromSelf}, "", []intake.Raw{{Bytes: []byte(body)}})
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.good.store.Do(context.Background(), noroshi.Act{Action: noroshi.ActImport, Subject: "warning"}, func(tx *store.Tx) error {
		_, err := h.good.gate.Admit(tx, ready)
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
	for {
		list, err := h.v.store.Versions(context.Background(), id)
		if err != nil {
			h.t.Fatal(err)
		}
		if took := time.Since(at); len(list) > 0 || took > 5*time.Minute {
			h.late = append(h.late, took)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// storm sends acts from several hands at once, as many connections would.
func (h *hour) storm(list []assault) {
	f := h.foe
	if f == nil {
		return
	}
	var hands sync.WaitGroup
	queue := make(chan []byte)
	for range 4 {
		hands.Go(func() {
			for e := range queue {
				_ = f.hand(e)
			}
		})
	}
	for _, a := range list {
		f.mu.Lock()
		envelopes := a.do(f)
		f.mu.Unlock()
		for _, e := range envelopes {
			queue <- e
		}
	}
	close(queue)
	hands.Wait()
}

// play plays the hour: each minute a storm, in the middle of it a FLASH of the
// good partner and something of less urgency.
func (h *hour) play(minutes, acts int) {
	h.start()
	deck := []assault{}
	for minute := range minutes {
		list := make([]assault, 0, acts)
		for range acts {
			if len(deck) == 0 {
				deck = slices.Clone(assaults)
				h.rng.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
			}
			list, deck = append(list, deck[0]), deck[1:]
		}
		var storm sync.WaitGroup
		storm.Go(func() { h.storm(list) })
		h.warn(minute)
		h.good.importList(fmt.Sprintf("good-%d.txt", minute), 1000+minute*10, 1010+minute*10)
		storm.Wait()
		if h.foe != nil { // now and then it speaks as a partner does
			_ = h.foe.hand(h.foe.locked(func(f *foe) []byte { return f.state(nil) }))
		}
		h.measure()
		time.Sleep(time.Minute)
	}
	h.settle(func() bool {
		l := h.good.link()
		return l.Confirmed && len(l.Waiting) == 0 && l.OutApplied == l.OutHead && h.v.count("report") >= minutes
	})
	synctest.Wait()
	h.held = h.kept()
}

// end stops the victim and takes the size of its database.
func (h *hour) end() {
	h.v.end()
	info, err := os.Stat(h.v.at)
	if err != nil {
		h.t.Fatal(err)
	}
	h.size = info.Size()
}

func (f *foe) locked(fn func(*foe) []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fn(f)
}

func (h *hour) measure() {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	h.peak = max(h.peak, m.HeapAlloc)
}

// kept is what the victim holds of everybody but the foe.
func (h *hour) kept() map[string]bool {
	list := map[string]bool{}
	for _, typ := range []string{"indicator", "report", "identity"} {
		err := h.v.store.Each(context.Background(), typ, 0, func(r store.Record) error {
			if h.foe == nil || r.Source.Partner != h.foe.id() {
				what := string(r.Object.ID)
				if typ == "indicator" { // list entries have identifiers of their node, which is new each time
					what = r.Object.Type
				}
				list[fmt.Sprint(what, r.Source.Kind, r.Current, r.Withdrawn, r.Conflict, r.Object.Revoked)] = true
			}
			return nil
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return list
}
