package intake

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/gaissmai/bart"

	"github.com/noroshi-cti/noroshi"
)

// WarningLists are MISP warning-lists: values known to be good, or at least
// known to raise false alarms. They are immutable once read and safe for
// concurrent use; a nil *WarningLists names nothing. The networks are taken in
// when the first address is held against them: they are nearly all there is.
//
// A list is matched by its type:
//   - string: the value equals an entry, addresses and hashes included; an
//     entry that begins with a dot names every name below it
//   - hostname: the name, or the host of the URL, is an entry or lies below one
//   - cidr: the address lies in an entry, the network wholly so
//   - substring: the value contains an entry
//   - regex: an entry finds something in the value
//
// The address of an address+port value is checked, whatever its port. The
// address in a URL is not: a URL names one page, and a whole cloud in a list
// says nothing about it.
type WarningLists struct {
	lists  []WarningList      // sorted by name; a list's number is its place
	exact  map[string]listSet // normal text of a value
	under  map[string]listSet // a name and all below it
	below  map[string]listSet // only what is below a name
	parts  map[string]listSet // substrings
	exprs  []listExpr         // regular expressions
	faults []WarningListFault // what was refused when reading
	nets   func() *listNets   // the lists of networks, read once
}

// listNets are the lists of networks.
type listNets struct {
	table  bart.Table[listSet] // the lists that have exactly this network
	counts map[uint16]int      // entries of each list; one that is not here was refused
	faults []WarningListFault
}

// WarningList says what one list is.
type WarningList struct {
	Name    string `json:"name"` // its file's or folder's name, such as "whats-my-ip"
	Title   string `json:"title"`
	Type    string `json:"type"`
	Version string `json:"version"`
	Entries int    `json:"entries"`
}

// WarningListFault is a list or an entry that was refused; the others count.
type WarningListFault struct {
	List  string `json:"list"`
	Entry string `json:"entry,omitempty"` // its beginning; "" = the whole list
	Msg   string `json:"msg"`
}

// listSet holds numbers of lists, sorted and unique.
type listSet []uint16

type listExpr struct {
	list listSet
	expr *regexp.Regexp
}

// Lists returns the lists, sorted by name.
func (w *WarningLists) Lists() []WarningList {
	if w == nil {
		return nil
	}
	counts := w.nets().counts
	lists := make([]WarningList, 0, len(w.lists))
	for i, l := range w.lists {
		if l.Type == listOfNets {
			n, ok := counts[uint16(i)]
			if !ok {
				continue
			}
			l.Entries = n
		}
		lists = append(lists, l)
	}
	return lists
}

// Faults returns what was refused when the lists were read.
func (w *WarningLists) Faults() []WarningListFault {
	if w == nil {
		return nil
	}
	return slices.Concat(w.faults, w.nets().faults)
}

// Check returns the sorted names of the lists that name the value, nil when
// none does. It allocates nothing for a value in no list.
func (w *WarningLists) Check(v noroshi.Value) []string {
	if w == nil {
		return nil
	}
	var found listSet
	switch v.Kind {
	case noroshi.IPv4, noroshi.IPv6, noroshi.AddrPort:
		if a, err := netip.ParseAddr(v.Text); err == nil {
			a = a.Unmap().WithZone("")
			found = w.nets().covering(netip.PrefixFrom(a, a.BitLen()))
		}
	case noroshi.CIDR:
		if p, err := netip.ParsePrefix(v.Text); err == nil {
			found = w.nets().covering(p.Masked())
		}
	case noroshi.DomainName:
		found = w.name(v.Text)
	case noroshi.URL, noroshi.URLPart:
		if host := hostOf(v); host != "" {
			found = w.name(host)
		}
	}
	found = found.with(w.exact[v.Text])
	switch v.Kind {
	case noroshi.DomainName, noroshi.URL, noroshi.URLPart, noroshi.EmailAddr:
		found = w.contained(v.Text, found)
	}
	if len(found) == 0 {
		return nil
	}
	names := make([]string, len(found))
	for i, n := range found {
		names[i] = w.lists[n].Name
	}
	return names
}

// covering returns the lists of every network that p lies in.
func (n *listNets) covering(p netip.Prefix) (found listSet) {
	for {
		net, s, ok := n.table.LookupPrefixLPM(p)
		if !ok {
			return found
		}
		found = found.with(s)
		if net.Bits() == 0 {
			return found
		}
		p = netip.PrefixFrom(net.Addr(), net.Bits()-1).Masked()
	}
}

// name walks a name and its parents.
func (w *WarningLists) name(host string) listSet {
	found := w.under[host]
	for i := range len(host) {
		if host[i] != '.' {
			continue
		}
		if s, ok := w.under[host[i+1:]]; ok {
			found = found.with(s)
		}
		if s, ok := w.below[host[i+1:]]; ok {
			found = found.with(s)
		}
	}
	return found
}

// contained asks the lists that look inside a value.
func (w *WarningLists) contained(text string, found listSet) listSet {
	for part, s := range w.parts {
		if strings.Contains(text, part) {
			found = found.with(s)
		}
	}
	for _, e := range w.exprs {
		if e.expr.MatchString(text) {
			found = found.with(e.list)
		}
	}
	return found
}

// with returns the union; neither set is changed.
func (s listSet) with(t listSet) listSet {
	if len(t) == 0 {
		return s
	}
	if len(s) == 0 {
		return t
	}
	u := slices.Concat(s, t)
	slices.Sort(u)
	return slices.Compact(u)
}

// hostOf returns the host of a URL or of a URL part that names one, without
// user and port, "" when there is none or it is an address.
func hostOf(v noroshi.Value) string {
	s := v.Text
	if v.Kind == noroshi.URL {
		_, rest, ok := strings.Cut(s, "://")
		if !ok {
			return ""
		}
		s = rest
	}
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		s = s[:i]
	}
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[i+1:]
	}
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		s = s[:i]
	}
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(s, "."))
}
