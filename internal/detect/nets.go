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
	first [4]uint64 // bit n: some IPv4 block holds, or held, an address whose first byte is n
	six   bool      // there is, or was, an IPv6 block
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
	m := *n
	for _, p := range ps {
		have, _ := m.table.Get(p)
		m.table = m.table.InsertPersist(p, append(slices.Clip(have), netEntry{e.ID, e.Seq, validityOf(*e)}))
		m.mark(p)
	}
	return &m
}

// mark notes the first bytes of a block's addresses.
func (n *nets) mark(p netip.Prefix) {
	if p.Addr().Is6() {
		n.six = true
		return
	}
	low := int(p.Addr().As4()[0])
	for b := low; b <= low|0xff>>min(p.Bits(), 8); b++ {
		n.first[b>>6] |= 1 << (b & 63)
	}
}

// without returns nets without an indicator's blocks.
func (n *nets) without(id stix.ID, ps []netip.Prefix) *nets {
	m := *n
	for _, p := range ps {
		have, _ := m.table.Get(p)
		left := slices.DeleteFunc(slices.Clone(have), func(e netEntry) bool { return e.id == id })
		if len(left) == 0 {
			m.table = m.table.DeletePersist(p)
		} else {
			m.table = m.table.InsertPersist(p, left)
		}
	}
	return &m
}

// covers reports whether any block holds the address, without allocation.
func (n *nets) covers(a netip.Addr) bool {
	if a.Is4() {
		return n.table.Contains(a)
	}
	return n.six && n.table.Contains(a)
}

// mayCover tells most IPv4 addresses that no block holds from the first byte.
func (n *nets) mayCover(d dotted) bool {
	b := d.first()
	return n.first[b>>6]>>(b&63)&1 == 1
}

// each calls f for every block that holds the address and each indicator of it.
func (n *nets) each(a netip.Addr, f func(netip.Prefix, netEntry)) {
	for p, es := range n.table.Supernets(netip.PrefixFrom(a, a.BitLen())) {
		for _, e := range es {
			f(p, e)
		}
	}
}
