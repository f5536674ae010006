package door_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// open is an object the partner may see, as its text is made in one of two
// twins: what is cut out of it is not the same in both.
type open struct {
	id   stix.ID
	leaf bool // nothing open refers to it
	cut  bool // something may be cut out of it
	text func(h *rand.Rand, hidden []stix.ID) string
}

// drawOpen draws a graph of objects that may go, numbered from a number on.
func drawOpen(r *rand.Rand, from int) (all []*open) {
	level := func() noroshi.TLP { return []noroshi.TLP{noroshi.Clear, noroshi.Green}[r.IntN(2)] }
	add := func(typ string, more string) *open {
		x := &open{id: id(typ, from+len(all)), leaf: true}
		n, l := from+len(all), level()
		x.text = func(*rand.Rand, []stix.ID) string { return object(typ, n, l, more) }
		all = append(all, x)
		return x
	}
	for range 1 + r.IntN(5) {
		if r.IntN(4) == 0 {
			add("malware", fmt.Sprintf(`,"is_family":false,"name":"m%d"`, from+len(all)))
			continue
		}
		x := add("indicator", drawPattern(r, from+len(all)))
		if r.IntN(4) == 0 {
			portion(x)
		}
	}
	named := len(all)
	target := func() stix.ID {
		x := all[r.IntN(named)]
		x.leaf = false
		return x.id
	}
	for range r.IntN(3) {
		switch r.IntN(4) {
		case 0:
			add("relationship", fmt.Sprintf(`,"relationship_type":"related-to","source_ref":%q,"target_ref":%q`, target(), target()))
		case 1:
			add("sighting", fmt.Sprintf(`,"count":%d,"sighting_of_ref":%q`, 1+r.IntN(9), target()))
		default:
			listed(add("report", ""), []stix.ID{target(), target()}, level(), from+len(all)-1)
		}
	}
	return all
}

// drawPattern is what makes an indicator.
func drawPattern(r *rand.Rand, n int) string {
	pattern := []string{
		fmt.Sprintf("[domain-name:value = 'd%d.example']", n),
		fmt.Sprintf("[ipv4-addr:value = '198.51.100.%d']", n%250),
		fmt.Sprintf("[url:value = 'https://u%d.example/a;b']", n),
		fmt.Sprintf("[domain-name:value = 'd%d.example' OR domain-name:value = 'e%d.example']", n, n),
		fmt.Sprintf("[file:hashes.MD5 = '%032x']", n),
		fmt.Sprintf("[process:name = 'p%d']", n),
	}[r.IntN(6)]
	more := fmt.Sprintf(`,"name":"i%d","pattern":%q,"pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z"`, n, pattern)
	if r.IntN(5) == 0 { // over in the course of the play
		more += fmt.Sprintf(`,"valid_until":%q`, stix.TimeOf(began.Add(hour*timeOf(r.IntN(60)))).String())
	}
	return more
}

// portion gives an object a description that is withheld, in one twin as in the
// other, or in one alone.
func portion(x *open) {
	plain := x.text
	x.cut = true
	x.text = func(h *rand.Rand, hidden []stix.ID) string {
		if h == nil || h.IntN(3) == 0 {
			return plain(h, hidden)
		}
		return strings.TrimSuffix(plain(h, hidden), "}") + fmt.Sprintf(`,"description":"zq-hidden%d %s","granular_markings":[{"marking_ref":%q,"selectors":["description"]}]}`,
			h.IntN(1000), strings.Repeat("w", h.IntN(40)), noroshi.Red.MarkingID())
	}
}

// listed makes a report of a list, in which what is withheld stands too.
func listed(x *open, refs []stix.ID, level noroshi.TLP, n int) {
	x.cut = true
	x.text = func(h *rand.Rand, hidden []stix.ID) string {
		list := slices.Clone(refs)
		for h != nil && len(hidden) > 0 && h.IntN(2) == 0 && len(list) < 6 {
			list = slices.Insert(list, h.IntN(len(list)+1), hidden[h.IntN(len(hidden))])
		}
		return object("report", n, level, fmt.Sprintf(`,"name":"r%d","published":"2026-11-01T00:00:00Z","object_refs":[%s]`, n, quoted(list)))
	}
}

func quoted(ids []stix.ID) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = fmt.Sprintf("%q", id)
	}
	return strings.Join(list, ",")
}

// drawHidden draws an object the partner may not see, with a canary in it.
func drawHidden(h *rand.Rand, n int, near []stix.ID) (stix.ID, string) {
	level := []noroshi.TLP{noroshi.Red, noroshi.NoTLP, noroshi.Amber, noroshi.AmberStrict}[h.IntN(4)]
	to := func() stix.ID {
		if len(near) == 0 {
			return id("malware", 1)
		}
		return near[h.IntN(len(near))]
	}
	name := fmt.Sprintf(`,"name":"zq-hidden%d %s"`, n, strings.Repeat("w", h.IntN(20)))
	switch h.IntN(6) {
	case 0:
		return id("malware", n), object("malware", n, level, `,"is_family":false`+name)
	case 1: // marked to go, but an end of it may not
		return id("relationship", n), object("relationship", n, noroshi.Green, fmt.Sprintf(`,"relationship_type":"related-to","description":"zq-hidden%d","source_ref":%q,"target_ref":%q`, n, to(), id("malware", 999_999)))
	case 2:
		return id("note", n), object("note", n, level, fmt.Sprintf(`,"content":"zq-hidden%d","object_refs":[%q]`, n, to()))
	case 3:
		return id("sighting", n), object("sighting", n, level, fmt.Sprintf(`,"count":1,"description":"zq-hidden%d","sighting_of_ref":%q`, n, id("indicator", n)))
	}
	return id("indicator", n), indicator(n, level, name)
}
