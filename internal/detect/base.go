package detect

import (
	"slices"
)

// table is the immutable part of an index: records, a filter over their keys,
// and open addressing from key to record.
//
// tags and places are parallel: an 8-bit tag of the key (0 is empty) and the
// record's offset, or, with listed set, where in lists the count and offsets of
// several records with that key begin. ids is open addressing from indicator to
// its first record, as offset+1.
type table struct {
	*arena
	seed    seed
	filter  bloom
	tags    []uint8
	places  []uint32
	lists   []uint32
	ids     []uint32
	owners  int
	records int
}

const listed = 1 << 31

func tagOf(h uint64) uint8 {
	if t := uint8(h >> 24); t != 0 {
		return t
	}
	return 1
}

// builder collects the records of a table.
type builder struct {
	*arena
	seed   seed
	keys   []keyed
	owners []keyed // by the hash of the id
	buf    []byte
	value  []byte
}

type keyed struct {
	hash uint64
	off  uint32
}

func newBuilder(s seed) *builder { return &builder{arena: newArena(0), seed: s} }

// add writes an entry's records and reports whether there was room. An entry
// without a value that can be indexed leaves nothing.
func (b *builder) add(e *Entry) bool {
	first, own := true, uint32(0)
	return encode(b.arena, b.seed, e, &b.buf, &b.value, func(rec []byte, h uint64) bool {
		off, ok := b.write(rec)
		if !ok {
			return false
		}
		if first {
			first, own = false, off
			id, _ := idKey(e.ID)
			b.owners = append(b.owners, keyed{b.seed.key(classID, id), off})
		}
		b.keys = append(b.keys, keyed{h, off})
		return true
	}, func() uint32 { return own })
}

// build makes the table; the builder must not be used afterwards. Of an
// indicator that was added twice the last counts.
func (b *builder) build() *table {
	t := &table{arena: b.arena, seed: b.seed, owners: len(b.owners), records: len(b.keys)}
	t.ids = make([]uint32, len(b.owners)*20/17+1)
	owners := sortKeys(b.owners)
	b.owners = nil
	for i, k := range owners {
		if i+1 == len(owners) || !t.twins(k, owners[i+1]) {
			t.addID(k)
		} else {
			t.kill(k.off)
		}
	}
	keys := sortKeys(b.keys)
	b.keys = nil
	distinct := 0
	for i := range keys {
		if i == 0 || keys[i].hash != keys[i-1].hash {
			distinct++
		}
	}
	t.filter = newBloom(distinct)
	n := distinct*20/17 + 1
	t.tags, t.places = make([]uint8, n), make([]uint32, n)
	for len(keys) > 0 {
		same := 1
		for same < len(keys) && keys[same].hash == keys[0].hash {
			same++
		}
		t.insert(keys[:same])
		keys = keys[same:]
	}
	t.lists = slices.Clip(t.lists)
	return t
}

// twins reports whether two records are of one indicator, loaded twice.
func (t *table) twins(a, b keyed) bool {
	if a.hash != b.hash {
		return false
	}
	o := t.arena.owner(a.off)
	return t.arena.owner(b.off).is(o.id, o.odd)
}

func (t *table) addID(k keyed) {
	i := place(k.hash, len(t.ids))
	for t.ids[i] != 0 {
		if i++; i == len(t.ids) {
			i = 0
		}
	}
	t.ids[i] = k.off + 1
}

// insert puts the records of one key into a free place.
func (t *table) insert(same []keyed) {
	h := same[0].hash
	t.filter.add(h)
	where := same[0].off
	if len(same) > 1 {
		where = listed | uint32(len(t.lists))
		t.lists = append(t.lists, uint32(len(same)))
		for _, k := range same {
			t.lists = append(t.lists, k.off)
		}
	}
	i := place(h, len(t.tags))
	for t.tags[i] != 0 {
		if i++; i == len(t.tags) {
			i = 0
		}
	}
	t.tags[i], t.places[i] = tagOf(h), where
}

// sortKeys orders by hash: first into buckets by the top bits, so that each
// sort stays within the cache.
func sortKeys(keys []keyed) []keyed {
	const bits = 11
	var ends [1<<bits + 1]int
	for _, k := range keys {
		ends[k.hash>>(64-bits)+1]++
	}
	for i := range ends[1:] {
		ends[i+1] += ends[i]
	}
	starts := ends
	out := make([]keyed, len(keys))
	for _, k := range keys {
		b := k.hash >> (64 - bits)
		out[starts[b]] = k
		starts[b]++
	}
	for i := range ends[1:] {
		slices.SortFunc(out[ends[i]:ends[i+1]], func(a, b keyed) int {
			switch {
			case a.hash < b.hash:
				return -1
			case a.hash > b.hash:
				return 1
			}
			return int(a.off) - int(b.off)
		})
	}
	return out
}

// find appends the offsets of the records that may have the key; the caller
// compares them.
func (t *table) find(dst []uint32, h uint64) []uint32 {
	if len(t.tags) == 0 {
		return dst
	}
	tag := tagOf(h)
	for i := place(h, len(t.tags)); t.tags[i] != 0; {
		if t.tags[i] == tag {
			if p := t.places[i]; p&listed == 0 {
				dst = append(dst, p)
			} else {
				p &^= listed
				dst = append(dst, t.lists[p+1:p+1+t.lists[p]]...)
			}
		}
		if i++; i == len(t.tags) {
			i = 0
		}
	}
	return dst
}

// findID returns the offset of a live indicator.
func (t *table) findID(key []byte, odd bool) (uint32, bool) {
	if len(t.ids) == 0 {
		return 0, false
	}
	for i := place(t.seed.key(classID, key), len(t.ids)); t.ids[i] != 0; {
		off := t.ids[i] - 1
		if t.arena.owner(off).is(key, odd) && !t.isDead(off) {
			return off, true
		}
		if i++; i == len(t.ids) {
			i = 0
		}
	}
	return 0, false
}

func (t *table) bytes() int {
	return t.arena.bytes() + len(t.filter)*8 + len(t.tags) + 4*(len(t.places)+len(t.lists)+len(t.ids))
}

// copyLive adds every live record of another arena, in its order, but those of
// indicators to skip.
func (b *builder) copyLive(src *arena, skip func(owner) bool) bool {
	var from, to, skipped uint32
	skipping := false
	for c := range src.n {
		for at := 0; at < chunkSize; {
			off := uint32(c)<<chunkBits | uint32(at)
			raw := src.at(off)
			if raw[0] == 0 {
				break // the rest of the chunk is unused
			}
			r, o, size := src.decode(off)
			at += max(size, 16)
			if r.owner == off {
				skipping = src.isDead(off) || skip != nil && skip(o)
				skipped = off
			}
			if skipping && r.owner == skipped {
				continue
			}
			rec := b.buf[:0]
			if r.owner == off {
				rec = b.appendIndicator(rec, r.kind, o)
			} else {
				rec = appendRefers(rec, r.kind, to)
			}
			rec = appendValue(rec, r.kind, r.value)
			b.buf = rec
			now, ok := b.write(rec)
			if !ok {
				return false
			}
			if r.owner == off {
				from, to = off, now
				b.owners = append(b.owners, keyed{b.seed.key(classID, o.id), now})
			} else if r.owner != from {
				panic("detect: a record stands among another indicator's")
			}
			b.keys = append(b.keys, keyed{b.seed.hash(r), now})
		}
	}
	return true
}

// live counts the indicators that are armed.
func (t *table) live() int {
	n := 0
	t.eachOwner(func(uint32, owner) { n++ })
	return n
}

// eachOwner calls f for every live indicator in the order written.
func (a *arena) eachOwner(f func(off uint32, o owner)) {
	for c := range a.n {
		for at := 0; at < chunkSize; {
			off := uint32(c)<<chunkBits | uint32(at)
			if a.at(off)[0] == 0 {
				break
			}
			r, o, size := a.decode(off)
			at += max(size, 16)
			if r.owner == off && !a.isDead(off) {
				f(off, o)
			}
		}
	}
}
