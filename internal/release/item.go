package release

import (
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Facts is what a decision needs to know of an object version beyond its bytes.
type Facts struct {
	Label     noroshi.Label
	Source    noroshi.Source
	Self      stix.ID       // identity of this node
	Sender    stix.ID       // identity of the node that sent it, when a partner did
	Partner   noroshi.Party // to whom it is decided
	Run       string        // import or feed run
	KnownGood bool          // named by a warning-list
	Withdrawn bool
	Conflict  bool
	From      *Sender // the partner that brought it, when it is not the one it is decided for
	Had       bool    // the partner sent this id itself
	Done      bool    // this version went to the partner, or is decided to
	Freed     string  // the standing rule it was released under
	Mark      string  // PortionMark of its bytes
	Portions  []noroshi.Portion
}

// ItemOf makes the item of an object version for a decision about one partner.
func ItemOf(o *stix.Object, f Facts) Item {
	it := Item{
		ID: o.ID, Type: o.Type, Label: f.Label, Precedence: noroshi.Routine, Refs: o.Refs(),
		KnownGood: f.KnownGood, Revoked: o.Revoked, Withdrawn: f.Withdrawn, Conflict: f.Conflict,
		Done: f.Done, Group: f.Run, Mark: f.Mark, Object: o, Portions: f.Portions,
		Sectors: sectorsOf(o), From: f.From, Freed: f.Freed,
		Theirs: f.Had || (f.Source.Kind == noroshi.FromPartner && f.Source.Partner == f.Partner.Node),
	}
	it.Echo = !it.Theirs && o.Type != "marking-definition" && o.CreatedBy != "" && o.CreatedBy == f.Partner.Identity
	for _, m := range o.Markings {
		if noroshi.TLPOf(m) == noroshi.NoTLP && !slices.Contains(it.Markings, m) {
			it.Markings = append(it.Markings, m)
		}
	}
	it.Maker = noroshi.Origin(f.Source, o.CreatedBy, f.Self, f.Sender)
	switch {
	case it.Maker == "":
	case it.Maker == f.Self:
		it.Origin = Self
	case it.Maker == f.Partner.Identity:
		it.Origin = Partner
	}
	switch o.Type {
	case "sighting":
		it.Precedence = noroshi.Priority
	case "report":
		it.Precedence, it.Warning = warning(o)
	}
	return it
}

// warning reads the precedence of a report with the warning extension. One
// that cannot be read counts as FLASH, which asks for two persons.
func warning(o *stix.Object) (noroshi.Precedence, bool) {
	raw := o.Property("extensions")
	if raw == nil {
		return noroshi.Routine, false
	}
	var ext map[stix.ID]struct {
		Precedence noroshi.Precedence `json:"precedence"`
	}
	if json.Unmarshal(raw, &ext) != nil {
		return noroshi.Flash, true
	}
	w, ok := ext[noroshi.WarningExtension]
	switch {
	case !ok:
		return noroshi.Routine, false
	case w.Precedence < noroshi.Routine:
		return noroshi.Flash, true
	}
	return w.Precedence, true
}

// saysFlash reports whether an object's own words are that it is FLASH.
func saysFlash(o *stix.Object) bool {
	var ext map[stix.ID]struct {
		Precedence noroshi.Precedence `json:"precedence"`
	}
	raw := o.Property("extensions")
	return raw != nil && json.Unmarshal(raw, &ext) == nil && ext[noroshi.WarningExtension].Precedence == noroshi.Flash
}

// Translate gives translations of warnings what the warning has: a warning and
// its text in the other language go under the same clause, equally fast.
func Translate(items []Item) {
	warnings := map[stix.ID]*Item{}
	for i := range items {
		if items[i].Warning {
			warnings[items[i].ID] = &items[i]
		}
	}
	for i := range items {
		if items[i].Type != "language-content" || items[i].Warning {
			continue
		}
		for _, r := range items[i].Refs {
			if w := warnings[r.Target]; w != nil && r.Path == "object_ref" {
				items[i].Warning, items[i].Precedence = true, w.Precedence
			}
		}
	}
}
