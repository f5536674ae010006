package detect

import (
	"errors"
	"io"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Entry is one armed indicator. Its values are in normal form, as ParseValue
// and Values return them.
type Entry struct {
	Seq        int64 // the caller's number for it: the store's sequence of the version
	ID         stix.ID
	Values     []noroshi.Value
	ValidFrom  time.Time // zero = always
	ValidUntil time.Time // zero = for ever; the first instant that is no longer valid
	Flagged    bool      // a warning-list names one of its values
}

// Options of an Index.
type Options struct {
	ExactDomains bool // STIX "=" to the letter: no subdomains, no URLs below a URL without path
	NoWeak       bool // an address+port entry meets only that port
	Early        bool // events older than an indicator's ValidFrom meet it too: looking back through old logs
}

// Index holds armed indicators: an immutable table and a small delta behind one
// atomic pointer. Put is visible to Match when it returns. Any number of
// goroutines may match while others Put, Load and Remove.
//
// When the delta is full it is frozen, a new one takes its place, and table and
// frozen delta are merged in the background; a Put that finds the new one full
// too waits for the merge.
type Index struct {
	opt  Options
	seed seed

	state   atomic.Pointer[state]
	rearmed atomic.Uint64 // Puts whose new records can be seen and whose old ones may be dead

	writing sync.Mutex // held by whoever arms or disarms, all the while; taken before mu
	mu      sync.Mutex // of all below, and of changing state; never held for long
	merging chan struct{}
	killed  []stix.ID // removed from table or frozen while they are merged
	blocks  map[stix.ID][]netip.Prefix
	armed   int
}

// state is what a reader sees at one moment.
type state struct {
	base   *table
	frozen *delta // being merged, or nil
	active *delta
	nets   *nets
}

// minDelta and deltaShare set when a delta is full: at minDelta records or one
// in deltaShare of the table's.
const (
	minDelta   = 16 << 10
	deltaShare = 64
)

// NewIndex returns an empty index.
func NewIndex(o Options) *Index {
	x := &Index{opt: o, seed: newSeed(), blocks: map[stix.ID][]netip.Prefix{}}
	x.state.Store(&state{
		base: newBuilder(x.seed).build(), active: newDelta(x.seed, minDelta),
		nets: &nets{table: new(bart.Table[[]netEntry])},
	})
	return x
}

// Put arms or re-arms an indicator under its ID. Matching sees it when Put
// returns, and at no moment neither the old entry nor the new.
func (x *Index) Put(e Entry) {
	x.writing.Lock()
	defer x.writing.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.state.Load().active.fits(&e) {
		x.freeze(&e)
	}
	was := x.isArmed(e.ID)
	old := x.find(e.ID)
	d := x.state.Load().active
	key := string(e.ID)
	if own, ok := d.put(&e); ok {
		d.ids[key] = own
	} else {
		delete(d.ids, key)
	}
	x.rearmed.Add(1)
	for _, f := range old {
		f.kill(f.owner)
		x.note(f.arena, d.arena, e.ID)
	}
	x.setBlocks(&e)
	if now := x.isArmed(e.ID); now && !was {
		x.armed++
	} else if was && !now {
		x.armed--
	}
}

// Remove disarms an indicator (revoked, withdrawn, superseded).
func (x *Index) Remove(id stix.ID) {
	x.writing.Lock()
	defer x.writing.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.isArmed(id) {
		return
	}
	d := x.state.Load().active
	for _, f := range x.find(id) {
		f.kill(f.owner)
		x.note(f.arena, d.arena, id)
	}
	delete(d.ids, string(id))
	x.setBlocks(&Entry{ID: id})
	x.armed--
}

// note remembers a removal that a merge under way may have missed.
func (x *Index) note(in, active *arena, id stix.ID) {
	if x.merging != nil && in != active {
		x.killed = append(x.killed, id)
	}
}

// Armed reports whether an indicator is armed.
func (x *Index) Armed(id stix.ID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.isArmed(id)
}

func (x *Index) isArmed(id stix.ID) bool { return len(x.blocks[id]) > 0 || len(x.find(id)) > 0 }

// found is where an indicator's first record is.
type found struct {
	*arena
	owner uint32
}

// find returns where an indicator is live: one place, or none.
func (x *Index) find(id stix.ID) []found {
	s := x.state.Load()
	for _, d := range []*delta{s.active, s.frozen} {
		if d == nil {
			continue
		}
		if off, ok := d.ids[string(id)]; ok && !d.isDead(off) {
			return []found{{d.arena, off}}
		}
	}
	key, odd := idKey(id)
	if off, ok := s.base.findID(key, odd); ok {
		return []found{{s.base.arena, off}}
	}
	return nil
}

// setBlocks replaces the CIDR blocks of an indicator.
func (x *Index) setBlocks(e *Entry) {
	old, now := x.blocks[e.ID], blocks(e.Values)
	if len(old) == 0 && len(now) == 0 {
		return
	}
	s := *x.state.Load()
	s.nets = s.nets.without(e.ID, old).with(e, now)
	x.state.Store(&s)
	delete(x.blocks, e.ID)
	if len(now) > 0 {
		x.blocks[e.ID] = now
	}
}

// Load arms many at once into the table; next returns io.EOF at the end. The
// index is as before when next fails. An ID that was armed already is armed
// anew; of an ID that comes twice the last counts. Matching goes on meanwhile
// and sees all of it at once at the end, as do Armed and Stats; Put and Remove wait.
func (x *Index) Load(next func() (Entry, error)) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	x.Settle()
	b := newBuilder(x.seed)
	netted := map[stix.ID]Entry{} // entries that have blocks, or had before
	for {
		e, err := next()
		if errors.Is(err, io.EOF) {
			return x.adopt(b, netted)
		}
		if err != nil {
			return err
		}
		if !b.add(&e) {
			return noroshi.Errorf(noroshi.Refused, "detect.full", "the index is full at %d values", len(b.keys))
		}
		_, before := netted[e.ID]
		if before || len(x.blocks[e.ID]) > 0 || len(blocks(e.Values)) > 0 {
			netted[e.ID] = e
		}
	}
}

// adopt makes a loaded builder the table, what was armed before included.
func (x *Index) adopt(b *builder, netted map[stix.ID]Entry) error {
	t := b.build()
	for id, e := range netted {
		onlyBlocks := !slices.ContainsFunc(e.Values, func(v noroshi.Value) bool { return v.Kind != noroshi.CIDR })
		if off, ok := t.findID(idKey(id)); ok && onlyBlocks {
			t.kill(off)
		}
	}
	s := *x.state.Load()
	if s.base.owners > 0 || s.active.records.Load() > 0 {
		if t = x.join(t, s.base.arena, s.active.arena, netted); t == nil {
			return noroshi.Errorf(noroshi.Refused, "detect.full", "the index is full")
		}
	}
	s.base, s.active = t, newDelta(x.seed, deltaRoom(t))
	live := t.live()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.state.Store(&s)
	for _, e := range netted {
		x.setBlocks(&e)
	}
	x.armed = live
	for id := range x.blocks {
		if len(x.find(id)) == 0 {
			x.armed++
		}
	}
	return nil
}

// join merges what is armed with a newer table, which goes before.
func (x *Index) join(newer *table, base, active *arena, netted map[stix.ID]Entry) *table {
	again := func(o owner) bool {
		if len(netted) > 0 {
			if _, ok := netted[o.ID()]; ok {
				return true
			}
		}
		_, ok := newer.findID(o.id, o.odd)
		return ok
	}
	b := newBuilder(x.seed)
	if !b.copyLive(base, again) || !b.copyLive(active, again) || !b.copyLive(newer.arena, nil) {
		return nil
	}
	return b.build()
}

func deltaRoom(t *table) int { return max(minDelta, t.records/deltaShare) }

// freeze puts a new delta that holds e before the full one and merges in the
// background.
func (x *Index) freeze(e *Entry) {
	x.settle()
	s := x.state.Load()
	x.startMerge(max(deltaRoom(s.base), 3*len(e.Values), 3*sizeOf(e)/recordBytes))
}

// startMerge freezes the delta, gives the next one room, and merges.
func (x *Index) startMerge(room int) {
	s := *x.state.Load()
	s.frozen, s.active = s.active, newDelta(x.seed, room)
	x.state.Store(&s)
	x.merging = make(chan struct{})
	go x.merge(s.base, s.frozen, x.merging)
}

// merge builds a table from base and frozen and puts it in their place.
func (x *Index) merge(base *table, frozen *delta, done chan struct{}) {
	defer close(done)
	b := newBuilder(x.seed)
	if !b.copyLive(base.arena, nil) || !b.copyLive(frozen.arena, nil) {
		panic("detect: more than 2 GiB of entries")
	}
	t := b.build()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, id := range x.killed {
		key, odd := idKey(id)
		if off, ok := t.findID(key, odd); ok {
			t.kill(off)
		}
	}
	x.killed, x.merging = nil, nil
	s := *x.state.Load()
	s.base, s.frozen = t, nil
	x.state.Store(&s)
}

// Settle returns when no merge is under way.
func (x *Index) Settle() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.settle()
}

// settle waits for a merge; it lets go of the lock meanwhile.
func (x *Index) settle() {
	for x.merging != nil {
		done := x.merging
		x.mu.Unlock()
		<-done
		x.mu.Lock()
	}
}

// Stats of an index.
type Stats struct {
	Indicators int // armed
	Values     int // index entries, disarmed ones included until the next merge
	Bytes      int // memory of tables and values
}

// Stats counts.
func (x *Index) Stats() Stats {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.state.Load()
	out := Stats{Indicators: x.armed, Values: s.base.records, Bytes: s.base.bytes()}
	for _, d := range []*delta{s.active, s.frozen} {
		if d != nil {
			out.Values += int(d.records.Load())
			out.Bytes += d.bytes()
		}
	}
	for _, ps := range x.blocks {
		out.Values += len(ps)
	}
	return out
}
