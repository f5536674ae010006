package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/noroshi-cti/noroshi"
)

// prefixOf reads an address value: single addresses are prefixes of full
// length. Other values, and addresses that do not parse, have none.
func prefixOf(v *noroshi.Value) (p netip.Prefix, ok bool) {
	switch v.Kind {
	case noroshi.IPv4, noroshi.IPv6, noroshi.AddrPort:
		a, err := netip.ParseAddr(v.Text)
		if err != nil || a.Zone() != "" {
			return p, false
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	case noroshi.CIDR:
		p, err := netip.ParsePrefix(v.Text)
		if err != nil {
			return p, false
		}
		return p.Masked(), true
	}
	return p, false
}

// valueText is what the hashed index knows a value by.
func valueText(v *noroshi.Value) string {
	return string(v.Kind) + "\x00" + v.Text + "\x00" + strconv.Itoa(int(v.Port))
}

// indexValue enters a value: addresses in address order, all else by hash.
func (t *Tx) indexValue(v *noroshi.Value, seq int64) error {
	if p, ok := prefixOf(v); ok {
		return t.c.append(addrInsert, p.Addr().AsSlice(), p.Bits(), seq, int64(v.Port))
	}
	return t.c.append(valueInsert, t.s.key64(valueText(v)), seq)
}

var (
	addrInsert  = insertInto("addr", "ip", "bits", "seq", "port")
	valueInsert = insertInto("value", "h", "seq")
)

// indexed is what a value is entered by.
type indexed struct {
	prefix netip.Prefix
	port   uint16
	h      int64
}

// indexValues enters a version's values, each entry once.
func (t *Tx) indexValues(values []noroshi.Value, seq int64) error {
	if len(values) == 1 {
		return t.indexValue(&values[0], seq)
	}
	seen := map[indexed]bool{}
	for i := range values {
		v := &values[i]
		e := indexed{port: v.Port}
		var ok bool
		if e.prefix, ok = prefixOf(v); !ok {
			e = indexed{h: t.s.key64(valueText(v))}
		}
		if seen[e] {
			continue
		}
		seen[e] = true
		if err := t.indexValue(v, seq); err != nil {
			return err
		}
	}
	return nil
}

// ByValue returns current objects with the value; withdrawn ones are marked so.
// CIDR values find the addresses inside them and the reverse; an address finds
// its entries with any port, an address with a port those with that port or none.
// Of a network with very many entries, see Wide.
func (r Reads) ByValue(ctx context.Context, v noroshi.Value, a Along) (list []Record, err error) {
	a.Limit = page(a.Limit)
	err = r.on(ctx, func(c *conn) error {
		if p, ok := prefixOf(&v); ok {
			list, err = r.byAddress(ctx, c, p, v.Port, a)
			return err
		}
		list, err = r.records(ctx, c, "JOIN value v ON v.seq = o.seq WHERE v.h = $1 AND "+a.beyond("v.seq", 2)+" AND "+isCurrent+a.order("v.seq")+" LIMIT $3",
			r.s.key64(valueText(&v)), a.start(), a.Limit)
		list = slices.DeleteFunc(list, func(rec Record) bool { return !slices.Contains(rec.Values, v) })
		return err
	})
	return list, err
}

var isCurrent = fmt.Sprintf("(m.bits IS NULL OR m.bits & %d = 0)", superseded)

// byAddress finds what lies inside a prefix and the prefixes around it.
func (r Reads) byAddress(ctx context.Context, c *conn, p netip.Prefix, port uint16, a Along) ([]Record, error) {
	var seqs []int64
	collect := func(rows *sql.Rows) error {
		var seq int64
		err := rows.Scan(&seq)
		seqs = append(seqs, seq)
		return err
	}
	tail := " AND " + a.beyond("a.seq", 4) + " AND ($5 = 0 OR a.port = 0 OR a.port = $5) AND (m.bits IS NULL OR m.bits & 1 = 0)" + a.order("a.seq") + " LIMIT $6"
	const from = "SELECT DISTINCT a.seq FROM addr a LEFT JOIN mark m ON m.seq = a.seq WHERE "
	lo, hi := p.Addr().AsSlice(), last(p).AsSlice()
	if err := c.each(ctx, collect, from+"a.ip BETWEEN $1 AND $2 AND a.bits >= $3 AND length(a.ip) = length($1)"+tail, lo, hi, p.Bits(), a.start(), int64(port), a.Limit); err != nil {
		return nil, err
	}
	for bits := p.Bits() - 1; bits >= 0; bits-- {
		around, err := p.Addr().Prefix(bits)
		if err != nil {
			return nil, err
		}
		ip := around.Addr().AsSlice()
		if err := c.each(ctx, collect, from+"a.ip = $1 AND a.ip = $2 AND a.bits = $3"+tail, ip, ip, bits, a.start(), int64(port), a.Limit); err != nil {
			return nil, err
		}
	}
	slices.Sort(seqs)
	if seqs = slices.Compact(seqs); a.Back {
		slices.Reverse(seqs)
	}
	var list []Record
	for _, seq := range seqs[:min(len(seqs), a.Limit)] {
		rec, found, err := r.bySeq(ctx, c, seq)
		if err != nil {
			return nil, err
		}
		if found {
			list = append(list, rec)
		}
	}
	return list, nil
}

// last returns the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
