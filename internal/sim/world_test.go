package sim_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/stix"
)

// world is the nodes of one seed, what lies between them, and a checker that
// knows everything.
type world struct {
	seed  uint64
	rng   *rand.Rand // of the schedule; used by the world's own goroutine alone
	bug   bug
	nodes []*node
	ways  []*way
	ahead time.Duration // of the clocks before the bubble's
	tasks sync.WaitGroup
	made  int // objects

	mould    *mould
	terms    terms
	beside   *world // the other realm's, of the same organisations, over the same ways; nil in most seeds
	outer    *world // of the exercise's and of a twin's: the real one, which tells
	mute     bool   // nothing that is sent goes anywhere
	recalled []stix.ID
	last     [3]image // of each disk, after the step before
	backups  map[int][]image
	strand   *strand
	again    func() // has the process draw once more what it drew from the beginning on

	mu      sync.Mutex // guards what follows
	parcels []parcel
	stats   map[string]int
	fault   string
	story   []string // what happened, for who replays the seed
	seen    seen
	objects map[stix.ID]*object
}

// outcome is what a seed came to.
type outcome struct {
	fault string
	stats map[string]int
	story []string
}

// play plays one seed.
func play(t *testing.T, seed uint64, b bug) (out outcome) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, 0) // the cast is the same whichever seed comes first
	moulds, err := cast()
	if err != nil {
		t.Fatal(err)
	}
	for nodes := 2; nodes <= len(moulds[0].parties); nodes++ {
		for i := range nodes {
			for of := range anyTerms {
				moulds[0].file(t, i, nodes, of)
			}
		}
	}
	for i := range 2 {
		moulds[1].file(t, i, 2, plain)
	}
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, moulds[0], seed, b)
		w.again = func() { cryptotest.SetGlobalRandom(t, seed) }
		if seed%besideOf == 0 || b == strayed {
			w.beside = newWorld(t, moulds[1], seed, none)
			w.beside.beside, w.beside.outer = w, w
		}
		w.run()
		out = outcome{w.fault, w.stats, w.story}
	})
	return out
}

// besideOf is of how many seeds one has an exercise of the same organisations: it
// costs as much as the seed.
const besideOf = 30

func newWorld(t *testing.T, m *mould, seed uint64, b bug) *world {
	w := &world{seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), bug: b, stats: map[string]int{}, seen: newSeen(),
		mould: m, objects: map[stix.ID]*object{}, backups: map[int][]image{}}
	nodes := 2
	if w.rng.IntN(8) == 0 && m.realm == noroshi.Real {
		nodes = 3
	}
	switch of := w.rng.IntN(16); {
	case m.realm != noroshi.Real:
	case of == 0:
		w.terms = packed
	case of == 1:
		w.terms = high
	}
	all := allWays()
	for i, y := range all {
		if w.rng.IntN(10) < []int{8, 4, 2, 2}[i] {
			w.ways = append(w.ways, y)
		}
	}
	if len(w.ways) == 0 || w.ways[0].traits.Narrow || w.ways[0].traits.OneWay { // nothing would take what is GREEN there and back
		w.ways = slices.Insert(w.ways, 0, all[w.rng.IntN(2)])
	}
	for i := range nodes {
		n := &node{party: m.parties[i], w: w, i: i, skew: time.Duration(w.rng.IntN(10)-5) * time.Minute}
		n.disk = newDisk(m.realm, image{db: m.file(t, i, nodes, w.terms), keys: m.parties[i].ring(w.terms)})
		n.known = known{in: map[slot]standing{}, gone: map[stix.ID]bool{}, holds: map[version]bool{}, went: map[slot]bool{}, blur: map[int]uint64{}}
		w.nodes = append(w.nodes, n)
	}
	for i, a := range m.parties[:nodes] {
		for j, o := range m.parties[i+1 : nodes] {
			x, err := noroshi.ParseAgreement(m.agreement(a, o, w.terms))
			if err != nil {
				t.Fatal(err)
			}
			w.seen.agreed[[2]int{i, i + 1 + j}] = x
		}
	}
	return w
}

func (w *world) now() time.Time { return time.Now().Add(w.ahead) }

func (w *world) nodeOf(id noroshi.NodeID) int {
	return slices.IndexFunc(w.nodes, func(n *node) bool { return n.id() == id })
}

// failf keeps the first thing that is wrong.
func (w *world) failf(format string, a ...any) {
	if w.outer != nil {
		w.outer.failf("in the exercise: "+format, a...)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault == "" {
		w.fault = fmt.Sprintf(format, a...)
		w.story = append(w.story, fmt.Sprintf("%v wrong: %s", time.Since(began), w.fault))
	}
}

func (w *world) failed() bool {
	if w.outer != nil {
		return w.outer.failed()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fault != ""
}

func (w *world) note(format string, a ...any) {
	if w.outer != nil {
		w.outer.note("in the exercise: "+format, a...)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, fmt.Sprintf("%v +%v ", time.Since(began), w.ahead)+fmt.Sprintf(format, a...))
}

func (w *world) tally(what string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats[what] += n
}

// run plays the schedule, ends the faults, and looks at what is left.
func (w *world) run() {
	realms := []*world{w}
	if w.beside != nil {
		realms = append(realms, w.beside)
	}
	for _, x := range realms {
		for _, n := range x.nodes {
			n.start(nil)
		}
	}
	for steps := 6 + w.rng.IntN(7); steps > 0 && !w.failed(); steps-- {
		d := time.Duration(w.rng.Int64N(int64(2 * time.Second)))
		if w.rng.IntN(6) == 0 {
			d = 30*time.Second + time.Duration(w.rng.Int64N(int64(time.Minute)))
		}
		for _, x := range realms {
			x.step()
			x.pass(d / time.Duration(len(realms)))
			x.check()
			x.keepLast()
		}
	}
	for _, x := range realms {
		if !w.failed() {
			x.rest()
		}
	}
	if !w.failed() && w.seed%reorderedOf == 0 || w.bug == overtaken {
		w.reorder()
	}
	for _, x := range realms {
		x.close()
	}
}

// close ends every node of a realm.
func (w *world) close() {
	for _, n := range w.nodes {
		if n.live.Load() != nil {
			n.end()
		}
		n.disk.remove()
	}
	w.tasks.Wait()
}

// keepLast keeps what a disk that forgets is put back to.
func (w *world) keepLast() {
	if w.bug != forgetful {
		return
	}
	for i, n := range w.nodes {
		if l := n.live.Load(); l != nil && !l.dead.Load() {
			w.last[i] = l.disk.image()
		}
	}
}

// pass lets time go by until nothing moves any more without more of it, and
// sweeps up who was killed meanwhile.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
	for _, n := range w.nodes {
		if l := n.live.Load(); l != nil && l.dead.Load() {
			n.sweep()
		}
	}
	w.handDue()
	synctest.Wait()
}

// jump lets time go by that nobody has any work in.
func (w *world) jump(d time.Duration) {
	w.ahead += d
	w.handDue()
	synctest.Wait()
}

// slot is a place in the stream of one node to another.
type slot struct {
	from, to int
	epoch    message.Epoch
	seq      uint64
}
