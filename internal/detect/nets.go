package detect

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// nets holds the CIDR blocks: a persistent prefix table behind the index's
// pointer. Blocks are few beside addresses, so they afford pointers.
type nets struct {
	table *bart.Table[[]netEntry]
}

// netEntry is one indicator of a block.
type netEntry struct {
	id    stix.ID
	seq   int64
	valid validity
}

// blocks returns the CIDR values of an entry.
func blocks(vs []noroshi.Value) []netip.Prefix {
	var out []netip.Prefix
	for _, v := range vs {
		if v.Kind == noroshi.CIDR {
			if p, err := netip.ParsePrefix(v.Text); err == nil && !slices.Contains(out, p.Masked()) {
				out = append(out, p.Masked())
			}
		}
	}
	return out
}

// with returns nets with an entry's blocks added; n itself is not changed.
func (n *nets) with(e *Entry, ps []netip.Prefix) *nets {
	t := n.table
	for _, p := range ps {
		have, _ := t.Get(p)
		t = t.InsertPersist(p, append(slices.Clip(have), netEntry{e.ID, e.Seq, validityOf(*e)}))
	}
	return &nets{t}
}

// without returns nets without an indicator's blocks.
func (n *nets) without(id stix.ID, ps []netip.Prefix) *nets {
	t := n.table
	for _, p := range ps {
		have, _ := t.Get(p)
		left := slices.DeleteFunc(slices.Clone(have), func(e netEntry) bool { return e.id == id })
		if len(left) == 0 {
			t = t.DeletePersist(p)
		} else {
			t = t.InsertPersist(p, left)
		}
	}
	return &nets{t}
}

// covers reports whether any block holds the address, without allocation.
func (n *nets) covers(a netip.Addr) bool { return n.table.Size() > 0 && n.table.Contains(a) }

// each calls f for every block that holds the address and each indicator of it.
func (n *nets) each(a netip.Addr, f func(netip.Prefix, netEntry)) {
	for p, es := range n.table.Supernets(netip.PrefixFrom(a, a.BitLen())) {
		for _, e := range es {
			f(p, e)
		}
	}
}
