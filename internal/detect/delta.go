package detect

import "sync/atomic"

// delta is the small mutable part of an index: one writer at a time, readers
// without locks. It never grows; a full one is merged into the table.
type delta struct {
	*arena
	seed    seed
	filter  bloom
	slots   []uint64 // atomic: 32 bits of the key and offset+1; 0 is empty
	records atomic.Int64
	ids     map[string]uint32 // the writer's: indicator to its first record, live or dead
	buf     []byte
	value   []byte
}

// recordBytes is about what a record takes.
const recordBytes = 64

// newDelta returns a delta for room records.
func newDelta(s seed, room int) *delta {
	return &delta{
		arena: newArena(max(4, room*recordBytes/chunkSize+1)), seed: s, filter: newBloom(room),
		slots: make([]uint64, room*2), ids: map[string]uint32{},
	}
}

// sizeOf is what an entry's records take at most.
func sizeOf(e *Entry) int {
	size := recordBytes + len(e.ID)
	for _, v := range e.Values {
		size += len(v.Text) + recordBytes
	}
	// A record may leave the rest of a chunk unused.
	return size + (size/chunkSize+1)*(MaxValueBytes+recordBytes+len(e.ID))
}

// fits reports whether an entry's records surely have room.
func (d *delta) fits(e *Entry) bool {
	free := (len(d.chunks) - d.n) * chunkSize
	if d.n > 0 {
		free += chunkSize - d.used
	}
	return sizeOf(e) <= free && int(d.records.Load())+len(e.Values) <= len(d.slots)/2
}

// put writes an entry; every record is visible to readers when it returns.
// fits was asked before. It returns the indicator's offset; false if no value
// can be indexed.
func (d *delta) put(e *Entry) (own uint32, ok bool) {
	encode(d.arena, d.seed, e, &d.buf, &d.value, func(rec []byte, h uint64) bool {
		off, room := d.write(rec)
		if !room {
			return false
		}
		if !ok {
			ok, own = true, off
		}
		d.publish(h, off)
		return true
	}, func() uint32 { return own })
	return own, ok
}

func (d *delta) publish(h uint64, off uint32) {
	d.records.Add(1)
	d.filter.add(h)
	i := place(h, len(d.slots))
	for atomic.LoadUint64(&d.slots[i]) != 0 {
		if i++; i == len(d.slots) {
			i = 0
		}
	}
	atomic.StoreUint64(&d.slots[i], h&^(1<<32-1)|uint64(off+1))
}

// find appends the offsets of the records that may have the key.
func (d *delta) find(dst []uint32, h uint64) []uint32 {
	for i := place(h, len(d.slots)); ; {
		s := atomic.LoadUint64(&d.slots[i])
		if s == 0 {
			return dst
		}
		if s>>32 == h>>32 {
			dst = append(dst, uint32(s)-1)
		}
		if i++; i == len(d.slots) {
			i = 0
		}
	}
}

// encode writes an entry's values as records of a, one by one, and hands each
// with its key to write; own returns where the first was written. Values that
// cannot be indexed (CIDR; texts not in normal form) are left out.
func encode(a *arena, s seed, e *Entry, buf, value *[]byte, write func([]byte, uint64) bool, own func() uint32) bool {
	first := true
	for _, v := range e.Values {
		kind, text, ok := payload((*value)[:0], v)
		if !ok {
			continue
		}
		rec := (*buf)[:0]
		if first {
			rec = a.appendIndicator(rec, kind, ownerOf(e))
		} else {
			rec = appendRefers(rec, kind, own())
		}
		rec = appendValue(rec, kind, text)
		*buf, *value, first = rec, text, false
		if !write(rec, s.hash(record{kind: kind, value: text})) {
			return false
		}
	}
	return true
}

// deltaIDBytes is about what the map of ids takes for one indicator.
const deltaIDBytes = 80

func (d *delta) bytes() int {
	return d.arena.bytes() + 8*(len(d.filter)+len(d.slots)) + len(d.ids)*deltaIDBytes
}
