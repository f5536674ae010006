package release

import (
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Sender is a partner that brought an object, with the terms it was sent under.
type Sender struct {
	CallSign noroshi.CallSign
	Terms    *noroshi.Agreement // nil = none is known, which lets nothing be passed on
}

// inEmergency reports whether clauses see an emergency: the agreement provides
// for one, one was declared, and it lasts.
func (c *Case) inEmergency() bool {
	return c.Clauses != nil && c.Clauses.Agreement().Emergency != nil && c.Urgency.At(c.Now)
}

// limits denies what the agreement's lists of types and sectors leave out,
// whatever a clause permits. A marking definition travels with what it marks
// and is under neither; an object that names no sector is under no list of them.
func (c *Case) limits(it *Item, d *Decision) {
	a := c.terms()
	if len(a.Types) > 0 && !slices.Contains(a.Types, it.Type) {
		d.deny(noroshi.Reason{Code: "agreement.type", Args: []string{it.Type}})
	}
	if len(a.Sectors) == 0 {
		return
	}
	for _, s := range it.Sectors {
		if !slices.Contains(a.Sectors, s) {
			d.deny(noroshi.Reason{Code: "agreement.sector", Args: []string{s}})
			return
		}
	}
}

// onward says what the agreement with the partner that brought an object lets
// be passed on to this one.
func (c *Case) onward(it *Item, d *Decision) {
	if it.From == nil {
		return
	}
	if it.From.Terms == nil {
		d.deny(noroshi.Reason{Code: "onward.none", Args: []string{string(it.From.CallSign)}})
		return
	}
	if c.Public {
		if it.From.Terms.Onward != noroshi.OnwardMarked {
			d.deny(noroshi.Reason{Code: "onward.none", Args: []string{string(it.From.CallSign)}})
		}
		return
	}
	switch may, ask := it.From.Terms.PassesTo(c.Partner); {
	case may:
	case ask:
		d.hold(noroshi.TwoPersons, noroshi.Reason{Code: "onward.ask", Args: []string{string(it.From.CallSign)}})
	default:
		d.deny(noroshi.Reason{Code: "onward.none", Args: []string{string(it.From.CallSign)}})
	}
}

// Bounds of the sectors that are read of an object.
const (
	maxSectors = 64
	maxSector  = 128
)

// sectorsOf returns the sectors an object names (STIX 2.1 identity, §4.5), each
// once, sorted. What cannot be read as a list of words is one sector, "?",
// which stands in no agreement.
func sectorsOf(o *stix.Object) []string {
	raw := o.Property("sectors")
	if raw == nil {
		return nil
	}
	var list []string
	if json.Unmarshal(raw, &list) != nil || len(list) > maxSectors {
		return []string{"?"}
	}
	for i, s := range list {
		if len(s) > maxSector || s == "" || slices.ContainsFunc([]rune(s), func(r rune) bool { return r < ' ' }) {
			list[i] = "?"
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
