package feed

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/noroshi-cti/noroshi"
)

// Bounds of the poisoning guard.
const (
	guardTimes = 3   // times the daily volume that still pass
	guardFloor = 100 // elements a day that pass whatever the volume was
	guardDays  = 30  // days that are remembered
	guardKnown = 3   // days with something on them, without which there is no daily volume yet
)

// Volume is how many new elements of a feed were admitted on a day.
type Volume struct {
	Day   string `json:"day"` // UTC, 2006-01-02
	Count int    `json:"count"`
}

// Counted returns the days with n more elements on the day of now, the oldest
// left out when they are too many.
func Counted(days []Volume, now time.Time, n int) []Volume {
	day := now.UTC().Format(time.DateOnly)
	days = slices.Clone(days)
	if i := slices.IndexFunc(days, func(v Volume) bool { return v.Day == day }); i >= 0 {
		days[i].Count += n
	} else if n > 0 {
		days = append(days, Volume{day, n})
	}
	slices.SortFunc(days, func(a, b Volume) int { return strings.Compare(a.Day, b.Day) })
	return days[max(0, len(days)-guardDays):]
}

// Guard holds back what a feed brings that it should not: far more than it does,
// or what would turn the node against its own. It is a value and decides by
// values alone.
type Guard struct {
	domains []string
	nets    []netip.Prefix
	known   func(noroshi.Value) []string
}

// NewGuard returns the guard of an organisation's own domains (with all below
// them) and networks; known names the lists of known good values that a value is
// in, and may be nil.
func NewGuard(domains []string, nets []netip.Prefix, known func(noroshi.Value) []string) (*Guard, error) {
	g := &Guard{known: known}
	for _, d := range domains {
		ascii, err := idna.Lookup.ToASCII(strings.Trim(d, "."))
		name := protectedDomain(ascii)
		if err != nil || name == "" {
			return nil, noroshi.Errorf(noroshi.Invalid, "feed.own-domain-form", "%q is not a domain of one's own, such as example.mil", d)
		}
		g.domains = append(g.domains, name)
	}
	for _, p := range nets {
		if !p.IsValid() || p.Bits() == 0 {
			return nil, noroshi.Errorf(noroshi.Invalid, "feed.own-net-form", "%s is not a network of one's own, such as 192.0.2.0/24", p)
		}
		g.nets = append(g.nets, p.Masked())
	}
	return g, nil
}

// Judge says why all that a run brings waits for a person, nil = it does not: n
// new elements, after the days before. The error is of kind Refused.
func (g *Guard) Judge(days []Volume, now time.Time, n int) error {
	usual, today := volume(days, now)
	if usual == 0 || n == 0 || today+n <= max(guardTimes*usual, guardFloor) {
		return nil
	}
	return noroshi.Errorf(noroshi.Refused, "feed.volume", "%d new elements today, where %d a day are usual", today+n, usual)
}

// Judges reports whether enough days are known for there to be a daily volume.
func (g *Guard) Judges(days []Volume, now time.Time) bool {
	usual, _ := volume(days, now)
	return usual > 0
}

// Refuse says why an element that names these values waits for a person, nil =
// it does not. The error is of kind Refused.
func (g *Guard) Refuse(values []noroshi.Value) error {
	for _, value := range values {
		if err := g.protects(value); err != nil {
			return err
		}
	}
	return nil
}

// volume returns the daily volume, 0 = not known yet, and what came today
// already: that counts too, so many small runs gain nothing. The daily volume is
// the median of the days before with something on them, so that neither a first
// load nor a feed that comes weekly moves it.
func volume(days []Volume, now time.Time) (usual, today int) {
	day := now.UTC().Format(time.DateOnly)
	var before []int
	for _, v := range days {
		switch {
		case v.Day == day:
			today += v.Count
		case v.Day < day && v.Count > 0:
			before = append(before, v.Count)
		}
	}
	if len(before) < guardKnown {
		return 0, today
	}
	slices.Sort(before)
	return before[(len(before)-1)/2], today
}

// protects says why a value must not be taken without a person looking.
func (g *Guard) protects(v noroshi.Value) error {
	host := hostOf(v)
	for _, own := range g.domains {
		// A name above an own domain names that too: subdomains meet.
		if host == own || strings.HasSuffix(host, "."+own) || v.Kind == noroshi.DomainName && strings.HasSuffix(own, "."+host) {
			return noroshi.Errorf(noroshi.Refused, "feed.own-domain", "%s names the domain %s, which is our own", v, own)
		}
	}
	if p := prefixOf(v, host); p.IsValid() {
		for _, own := range g.nets {
			if own.Overlaps(p) {
				return noroshi.Errorf(noroshi.Refused, "feed.own-net", "%s names the network %s, which is our own", v, own)
			}
		}
	}
	if g.known != nil {
		if lists := g.known(v); len(lists) > 0 {
			return noroshi.Errorf(noroshi.Refused, "feed.known-good", "%s is in the list %s of known good values", v, lists[0])
		}
	}
	return nil
}

// hostOf is the host that a value names, without its port; "" where it names
// none.
func hostOf(v noroshi.Value) string {
	s := v.Text
	switch v.Kind {
	case noroshi.DomainName:
		return s
	case noroshi.EmailAddr:
		return strings.ToLower(s[strings.LastIndexByte(s, '@')+1:])
	case noroshi.URL:
		_, s, _ = strings.Cut(s, "://")
	case noroshi.URLPart:
	default:
		return ""
	}
	if i := strings.IndexAny(s, `/?#\`); i >= 0 {
		s = s[:i]
	}
	s = s[strings.LastIndexByte(s, '@')+1:]
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		s = s[:i]
	}
	return strings.ToLower(strings.Trim(strings.TrimSuffix(s, "."), "[]"))
}

// prefixOf is the address or network that a value names.
func prefixOf(v noroshi.Value, host string) netip.Prefix {
	text := v.Text
	switch v.Kind {
	case noroshi.CIDR:
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return netip.Prefix{}
		}
		return p.Masked()
	case noroshi.URL, noroshi.URLPart:
		text = host
	case noroshi.IPv4, noroshi.IPv6, noroshi.AddrPort:
	default:
		return netip.Prefix{}
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen())
}

// protectedDomain is one own domain in the form values have, "" where it is
// none.
func protectedDomain(s string) string {
	s = strings.ToLower(strings.TrimPrefix(strings.TrimSuffix(s, "."), "."))
	if s == "" || !strings.Contains(s, ".") || slices.Contains(strings.Split(s, "."), "") {
		return ""
	}
	return s
}
