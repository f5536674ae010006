package release

import (
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Origin says who made an object, as far as provenance bears it out, seen from
// a decision about one partner.
type Origin uint8

// The origins. Unknown and third parties are Other: neither holder nor partner.
const (
	Other Origin = iota
	Self
	Partner
)

var origins = []string{"other", "self", "partner"}

// String returns the word clauses use: other, self or partner.
func (o Origin) String() string { return origins[min(int(o), len(origins)-1)] }

// Item is one object as a decision sees it.
type Item struct {
	ID         stix.ID
	Type       string
	Label      noroshi.Label
	Origin     Origin
	Maker      stix.ID // identity the origin is, "" when unknown
	Precedence noroshi.Precedence
	Refs       []stix.Ref
	Object     *stix.Object      // its bytes; nil = nothing can be cut out of it
	Portions   []noroshi.Portion // what its granular markings say of parts of it
	Markings   []stix.ID         // markings whose definitions must travel with it
	Warning    bool              // a report with the warning extension, or its translation
	KnownGood  bool              // named by a warning-list
	Revoked    bool              // a revoked version: goes like any other
	Mark       string            // portion mark found in its text
	Sectors    []string          // that it names, sorted
	From       *Sender           // the partner that brought it, when one did and it is not the one it is decided for
	Withdrawn  bool
	Conflict   bool   // another body under the same id and modified
	Freed      string // the standing rule this version was released under
	Theirs     bool   // the partner brought it: never sent back
	Echo       bool   // names the partner as its maker and came from elsewhere: not sent back, but may be named where it might go
	Done       bool   // this version went to the partner, or is decided to
	Group      string // what it is held together with: its import or feed run
}

// Standing says how an object that is referred to, but not itself decided now,
// stands with the partner.
type Standing uint8

// The standings.
const (
	Absent   Standing = iota // this node holds no such object
	Withheld                 // held here, and the partner does not have it
	Had                      // the partner has it: it was sent, or is the partner's own
)

// Case is everything a decision depends on: a small graph of objects, one
// partner, one agreement, one realm, one moment. Deciding is pure: same case,
// same answer, whatever the order of the items.
type Case struct {
	Realm   noroshi.Realm
	Now     time.Time
	Self    stix.ID              // identity of this node
	Holder  noroshi.Party        // this node, with the tokens markings name it by
	Partner noroshi.Party        // to whom
	Public  bool                 // the partner is everybody: no agreement is with it, it has no country and no token
	Clauses *Clauses             // of the agreement in force; nil = none, which denies
	Urgency noroshi.Emergency    // the emergency declared under it; zero = none
	Allowed []Allowance          // standing rules for FLASH, sorted by id
	Items   []Item               // to be decided; ids are unique
	Around  map[stix.ID]Standing // what else they refer to; not named = Absent
	Stopped map[stix.ID]bool     // in the stream, never left, and may not leave any more: named to nobody
	Nodes   map[stix.ID]bool     // identities of other nodes known here: may be named as makers

	freed map[stix.ID]string // see free
	unfit map[part]string    // parts that cannot stay, and why
	views *views
}

// Decision is the answer for one item. Redact releases it without what Cut
// names; a Hold that persons lift releases it so too.
type Decision struct {
	Outcome  noroshi.Outcome
	Key      noroshi.HoldKey // of a Hold
	Clause   string          // that permits it, alone or with two persons
	Standing string          // rule under which a FLASH goes without further persons
	Label    noroshi.Label   // of what would leave: the object's joined with those of the portions that stay
	Cut      []string        // selectors of what is cut out, and selector=>how of what is said less exactly; sorted; see View
	Reasons  []noroshi.Reason
	Asked    []string  // clauses whose wishes that it say less count
	Group    string    // the run a Hold is grouped under
	Travels  []stix.ID // markings of the whole whose definitions leave with it
	Parts    []stix.ID // and markings of parts that stay in it
	Ring     bool      // waits together with what it refers to in a circle
	Whole    bool      // its marking lets nothing be cut out (ACS 3.0, TEARLINE denied)
	Unnamed  bool      // its marking denies the partner the source's name (ACS 3.0, IDSRC denied)

	Mild map[stix.ID]bool // markings of parts that let them go as it does; true: whole or not at all (TEARLINE denied)
}

// Decide answers for every item of a case, in their order: the worst of what
// the markings mean, what a clause permits, what the text says and what the
// graph allows, with every rule that spoke.
func Decide(c Case) []Decision {
	if c.views == nil {
		c.views = new(views)
	}
	c.free()
	out := c.apart()
	for c.closure(out) {
		out = c.apart()
	}
	for i := range c.Items {
		if c.Items[i].Echo {
			out[i].deny(noroshi.Reason{Code: "object.theirs"})
		}
		out[i].Cut = outermost(out[i].Cut)
	}
	return out
}

// apart answers for every item as if whatever it needs could go with it.
func (c *Case) apart() []Decision {
	out := make([]Decision, len(c.Items))
	for i := range c.Items {
		out[i] = c.alone(&c.Items[i])
	}
	c.translations(out)
	for i := range c.Items {
		c.text(&c.Items[i], &out[i])
	}
	c.components(out)
	return out
}

// outermost leaves out of some cuts those inside of others: one view has one
// list, whatever reasons there were for it.
func outermost(cut []string) []string {
	inner := func(c string) bool {
		return slices.ContainsFunc(cut, func(o string) bool { return o != c && within([]string{o}, c) })
	}
	if !slices.ContainsFunc(cut, inner) {
		return cut
	}
	var left []string
	for _, c := range cut {
		if !inner(c) {
			left = append(left, c)
		}
	}
	return left
}

// marks returns the markings whose definitions leave with the object.
func (d *Decision) marks() []stix.ID {
	all := slices.Clone(d.Travels)
	for _, m := range d.Parts {
		if !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return all
}

// travels is the reason of a marking definition: it leaves with what it marks.
const travels = "marking.travels"

// alone decides an item without its neighbours and its text.
func (c *Case) alone(it *Item) Decision {
	d := Decision{Group: it.Group, Travels: it.Markings, Label: it.Label}
	if it.Type == "marking-definition" {
		// It leaves only with an object it marks, and needs no label of its own.
		d.release(noroshi.Reason{Code: travels})
	} else {
		c.judge(it, it.Label, &d)
		c.portions(it, &d)
		c.unname(it, &d)
		c.generalise(it, &d)
		c.limits(it, &d)
		c.onward(it, &d)
	}
	c.standing(it, &d)
	return d
}

// text holds what has a portion mark in the text that would leave.
func (c *Case) text(it *Item, d *Decision) {
	mark, of := c.markLeft(it, d.Cut)
	if mark == "" {
		return
	}
	d.hold(noroshi.Review, noroshi.Reason{Code: "text.portion-mark", Args: []string{mark}})
	if of == nil {
		return
	}
	if look := readAs(of.Bytes(), mark); look != "" {
		d.release(noroshi.Reason{Code: ReadAs, Args: []string{look}})
	}
}

// judge says what a label of an item means and what a clause permits under it.
func (c *Case) judge(it *Item, l noroshi.Label, d *Decision) {
	as := *it
	as.Label = l
	j := c.marking(&as, d)
	d.Whole, d.Unnamed = d.Whole || j.NoCuts, d.Unnamed || j.SourceDenied
	c.clause(&as, d)
}

// unname cuts out who made what, where the marking denies the partner that.
func (c *Case) unname(it *Item, d *Decision) {
	named := slices.ContainsFunc(it.Refs, func(r stix.Ref) bool { return r.Path == "created_by_ref" })
	if d.Unnamed && named && goes(d) {
		d.cut("created_by_ref", noroshi.Reason{Code: "acs.source"})
	}
}

// markLeft returns the portion mark in what is left of an item's text, and what
// is left.
func (c *Case) markLeft(it *Item, cut []string) (string, *stix.Object) {
	if it.Mark == "" || len(cut) == 0 {
		return it.Mark, it.Object
	}
	v, err := c.views.view(it.Object, cut)
	if err != nil {
		return it.Mark, it.Object
	}
	return PortionMark(v.Bytes()), v
}

// standing says what the object's own state forbids.
func (c *Case) standing(it *Item, d *Decision) {
	if c.Clauses == nil {
		d.deny(noroshi.Reason{Code: "agreement.none"})
	} else if !c.Clauses.Agreement().InForce(c.Now) || c.Clauses.Agreement().Realm != c.Realm || c.Realm.IsZero() {
		d.deny(noroshi.Reason{Code: "agreement.not-in-force"})
	}
	if it.Withdrawn {
		d.deny(noroshi.Reason{Code: "object.withdrawn"})
	}
	if it.Theirs {
		d.deny(noroshi.Reason{Code: "object.theirs"})
	}
	if it.Conflict {
		d.hold(noroshi.NotUnderstood, noroshi.Reason{Code: "object.conflict"})
	}
}

// add takes a reason in; the later outcome and the stricter key count.
func (d *Decision) add(r noroshi.Reason) {
	d.Reasons = append(d.Reasons, r)
	if r.Outcome == noroshi.Hold && d.Outcome <= noroshi.Hold && strictness(r.Key) > strictness(d.Key) {
		d.Key = r.Key
	}
	d.Outcome = max(d.Outcome, r.Outcome)
	if d.Outcome == noroshi.Deny {
		d.Key = ""
	}
}

func (d *Decision) deny(r noroshi.Reason) {
	r.Outcome = noroshi.Deny
	d.add(r)
}

func (d *Decision) hold(k noroshi.HoldKey, r noroshi.Reason) {
	r.Outcome, r.Key = noroshi.Hold, k
	d.add(r)
}

func (d *Decision) release(r noroshi.Reason) {
	r.Outcome = noroshi.Release
	d.add(r)
}

// strictness orders the keys of holds: what cannot be approved as it is comes
// before what two persons or one may approve.
func strictness(k noroshi.HoldKey) int {
	switch k {
	case noroshi.NotUnderstood:
		return 5
	case noroshi.Unmarked:
		return 4
	case noroshi.NoClause:
		return 3
	case noroshi.TwoPersons:
		return 2
	case noroshi.Review:
		return 1
	}
	return 0
}

// Approvals returns how many persons' approvals lift a hold with this key, and
// false when none can.
func Approvals(k noroshi.HoldKey) (int, bool) {
	switch k {
	case noroshi.TwoPersons:
		return 2, true
	case noroshi.Review:
		return 1, true
	}
	return 0, false
}
