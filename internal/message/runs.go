package message

import (
	"slices"
	"sort"
)

// runs is a set of sequences as sorted, disjoint, non-touching ranges: what
// receipts are made of. A set of a million sequences without gaps is one range.
type runs []Range

func (r runs) at(n uint64) int {
	return sort.Search(len(r), func(i int) bool { return r[i].B >= n })
}

func (r runs) has(n uint64) bool {
	i := r.at(n)
	return i < len(r) && r[i].A <= n
}

// add returns the set with a..b in it.
func (r runs) add(a, b uint64) runs {
	if a > b || b == 0 {
		return r
	}
	a = max(a, 1)
	i := sort.Search(len(r), func(i int) bool { return r[i].B+1 >= a })
	j := i
	for j < len(r) && r[j].A <= b+1 {
		a, b = min(a, r[j].A), max(b, r[j].B)
		j++
	}
	if i+1 == j { // the common case grows one range in place
		r[i] = Range{a, b}
		return r
	}
	out := make(runs, 0, len(r)+1)
	out = append(append(append(out, r[:i]...), Range{a, b}), r[j:]...)
	return out
}

// union returns r with every range of o.
func (r runs) union(o runs) runs {
	for _, x := range o {
		r = r.add(x.A, x.B)
	}
	return r
}

// less returns what r has and o has not.
func (r runs) less(o runs) runs {
	var out runs
	j := 0
	for _, x := range r {
		a := x.A
		for j < len(o) && o[j].B < a {
			j++
		}
		for k := j; k < len(o) && o[k].A <= x.B; k++ {
			if o[k].A > a {
				out = append(out, Range{a, o[k].A - 1})
			}
			a = o[k].B + 1
		}
		if a <= x.B {
			out = append(out, Range{a, x.B})
		}
	}
	return out
}

// count returns how many sequences are in the set.
func (r runs) count() (n uint64) {
	for _, x := range r {
		n += x.B - x.A + 1
	}
	return n
}

func (r runs) max() uint64 {
	if len(r) == 0 {
		return 0
	}
	return r[len(r)-1].B
}

func (r runs) clone() runs { return append(runs(nil), r...) }

// Holds reports whether the side that says so has stored a sequence of an epoch,
// or holds a tombstone for it.
func (s State) Holds(e Epoch, seq uint64) bool {
	return slices.ContainsFunc(s.In, func(in InSet) bool {
		return in.Epoch == e && (seq > 0 && seq <= in.Cum || slices.ContainsFunc(in.Ranges, func(r Range) bool { return r.A <= seq && seq <= r.B }))
	})
}

// sets reads the two sets of a receipt: stored, and applied (stored less open).
func (in InSet) sets() (stored, applied runs) {
	stored = stored.add(1, in.Cum)
	for _, x := range in.Ranges {
		stored = stored.add(x.A, x.B)
	}
	var open runs
	for _, n := range in.Open {
		open = open.add(n, n)
	}
	applied = stored.less(open)
	if len(in.Open) == maxRanges { // the list may have been cut: nothing above it is known
		applied = applied.less(runs{{in.Open[maxRanges-1], max(stored.max(), in.Open[maxRanges-1])}})
	}
	return stored, applied
}
