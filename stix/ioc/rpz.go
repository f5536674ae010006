package ioc

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Action is what a resolver does when it meets a name or address of the zone.
type Action string

// The actions (draft-vixie-dnsop-dns-rpz §3).
const (
	NXDomain Action = ""     // the name does not exist; the default
	NoData   Action = "*"    // the name has no such record
	Drop     Action = "drop" // no answer
)

// ZoneOptions describe a response policy zone.
type ZoneOptions struct {
	Origin   string        // name of the zone, such as rpz.example.mil; required
	Serial   uint32        // of the SOA; must grow with every change (RFC 1982); required
	TTL      time.Duration // of all records; 0 is 5 minutes
	Action   Action        // NXDomain, NoData, Drop
	Garden   string        // a name to answer with instead (walled garden), not with an Action; of an address given twice Unbound then keeps the first and logs an error
	Wildcard bool          // names below a name too, as noroshi itself matches
}

// RPZ writes a DNS response policy zone (draft-vixie-dnsop-dns-rpz-00): names as
// QNAME triggers, addresses and networks as response IP triggers. Each record
// has marking and indicator in a comment, the zone has its highest marking in a
// TXT record at the top, which resolvers pass over and zone transfers keep.
//
// Names that are no DNS names, that are too long below the zone, and names
// special to every machine or to RPZ itself are left out. URLs are left out: a
// resolver sees only their host, which others may share.
func RPZ(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error) {
	z, err := newZone(o.RPZ)
	if err != nil {
		return Result{}, err
	}
	f := newOut(w, &o)
	f.header(";", "response policy zone")
	z.top(f)
	f.each(entries, func(e *Entry, p *parsed, _ int) Reason {
		owners, r := z.owners(p)
		for _, owner := range owners {
			f.line(owner, " ", z.record, " ; ", oneLine(e.Marking, maxMarking), " ", oneLine(e.ID, 100))
		}
		return r
	})
	f.footer(";")
	return f.close()
}

// zone is a checked ZoneOptions.
type zone struct {
	ZoneOptions
	record string // type and data of every record
}

func newZone(o ZoneOptions) (*zone, error) {
	origin, ok := domain(o.Origin)
	if !ok || !inDNS(origin) {
		return nil, fmt.Errorf("response policy zone: %q is no name for a zone: give one of two labels or more", o.Origin)
	}
	if o.Serial == 0 {
		return nil, errors.New("response policy zone: the SOA needs a serial that grows with every change")
	}
	if o.TTL == 0 {
		o.TTL = 5 * time.Minute
	}
	if o.TTL < time.Second || o.TTL >= 1<<31*time.Second {
		return nil, fmt.Errorf("response policy zone: a TTL of %s does not fit a record", o.TTL)
	}
	z := &zone{ZoneOptions: o}
	z.Origin = origin
	var err error
	z.record, err = o.data()
	return z, err
}

// data is the record of the action.
func (o ZoneOptions) data() (string, error) {
	if o.Garden != "" {
		garden, ok := domain(o.Garden)
		if !ok || !inDNS(garden) || o.Action != NXDomain {
			return "", fmt.Errorf("response policy zone: %q is no name to answer with, or an action is given beside it", o.Garden)
		}
		return "CNAME " + garden + ".", nil
	}
	switch o.Action {
	case NXDomain:
		return "CNAME .", nil
	case NoData:
		return "CNAME *.", nil
	case Drop:
		return "CNAME rpz-drop.", nil
	}
	return "", fmt.Errorf("response policy zone: action %q is not known", o.Action)
}

// top writes what every zone begins with (RFC 1035 §3.3.13, §5.1).
func (z *zone) top(f *out) {
	ttl := int64(z.TTL / time.Second)
	f.put(fmt.Sprintf("$TTL %d\n$ORIGIN %s.\n", ttl, z.Origin))
	f.put(fmt.Sprintf("@ SOA localhost. nobody.invalid. %d 3600 600 604800 %d\n", z.Serial, ttl))
	f.put("@ NS localhost.\n")
	for _, text := range []string{"node: " + f.o.Node, "highest marking: " + f.o.Marking} {
		f.put("@ TXT ", characterString(text), "\n")
	}
}

// characterString quotes text for a zone file (RFC 1035 §5.1): backslash and
// quote behind a backslash, bytes beyond ASCII as \DDD, 255 bytes at most.
func characterString(s string) string {
	s = oneLine(s, 200)
	s = s[:min(len(s), 255)]
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.Write([]byte{'\\', c})
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// owners are the owner names of a value, relative to the zone.
func (z *zone) owners(p *parsed) ([]string, Reason) {
	switch p.kind {
	case IPv4, IPv6:
		return z.address(netip.PrefixFrom(p.addr, p.addr.BitLen()))
	case CIDR:
		return z.address(p.net)
	case DomainName:
		return z.name(p.text)
	}
	return nil, NotCarried
}

func (z *zone) name(name string) ([]string, Reason) {
	switch {
	case special(name):
		return nil, Reserved
	case !inDNS(name) || len("*.")+len(name)+1+len(z.Origin) > 253:
		return nil, NotAName
	case z.Wildcard:
		return []string{name, "*." + name}, ""
	}
	return []string{name}, ""
}

// address encodes a network (draft §4.1.1): length, then the parts of the
// address last one first; in IPv6 "zz" stands for the longest run of zeros.
func (z *zone) address(n netip.Prefix) ([]string, Reason) {
	if n.Bits() == 0 {
		return nil, Reserved
	}
	text, sep := n.Addr().String(), "."
	if n.Addr().Is6() {
		text, sep = expand(n.Addr()), ":"
	}
	parts := strings.Split(text, sep)
	slices.Reverse(parts)
	owner := strconv.Itoa(n.Bits()) + "." + strings.Join(parts, ".") + ".rpz-ip"
	if len(owner)+1+len(z.Origin) > 253 {
		return nil, NotAName
	}
	return []string{owner}, ""
}

// expand writes an IPv6 address as RFC 5952 §4 does, but with zz for "::".
func expand(a netip.Addr) string {
	head, tail, found := strings.Cut(netip.AddrFrom16(a.As16()).String(), "::")
	if !found {
		return head
	}
	s := "zz"
	if head != "" {
		s = head + ":" + s
	}
	if tail != "" {
		s += ":" + tail
	}
	return s
}
