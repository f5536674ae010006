package release

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Allowance is a standing rule with what is left of it this hour: two officers
// signed in advance for so many FLASH of one kind. It stands for the two persons
// that precedence and clause ask for, never for those a marking asks for.
type Allowance struct {
	Rule noroshi.StandingRule
	Left int
}

// free says which items go under which standing rule, by id. The order of the
// items does not matter: ids are taken in their order. What went under a rule
// before, and the translations of what goes, use nothing of it up.
func (c *Case) free() {
	if len(c.Allowed) == 0 {
		return
	}
	c.freed = map[stix.ID]string{}
	order := make([]int, 0, len(c.Items))
	for i := range c.Items {
		if c.Items[i].Precedence >= noroshi.Flash {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(string(c.Items[a].ID), string(c.Items[b].ID)) })
	left := map[string]int{}
	for _, a := range c.Allowed {
		left[a.Rule.ID] = a.Left
	}
	for _, translations := range []bool{false, true} {
		for _, i := range order {
			if it := &c.Items[i]; (it.Type == "language-content") == translations {
				c.freeOne(it, left)
			}
		}
	}
}

func (c *Case) freeOne(it *Item, left map[string]int) {
	for _, a := range c.Allowed {
		follows := it.Type == "language-content" && c.freed[textOf(it)] == a.Rule.ID
		again := follows || it.Freed == a.Rule.ID
		if !follows && !fits(a.Rule, it) || !again && (it.Done || left[a.Rule.ID] < 1) {
			continue
		}
		c.freed[it.ID] = a.Rule.ID
		d := c.alone(it)
		if d.Outcome != noroshi.Release && d.Outcome != noroshi.Redact {
			delete(c.freed, it.ID) // something else holds or denies it
			continue
		}
		if !again {
			left[a.Rule.ID]--
		}
		return
	}
}

// textOf returns what a translation is of.
func textOf(it *Item) stix.ID {
	for _, r := range it.Refs {
		if r.Path == "object_ref" {
			return r.Target
		}
	}
	return ""
}

// fits reports whether an item is of the kind a rule is for. What counts as
// FLASH because its precedence cannot be read is of no kind.
func fits(r noroshi.StandingRule, it *Item) bool {
	if it.Object != nil && !saysFlash(it.Object) {
		return false
	}
	if len(r.Types) == 0 {
		return it.Warning
	}
	return slices.Contains(r.Types, it.Type)
}

// rule returns the standing rule that lets an item go with a label, or nil: the
// label, of the item or of a part of it, must be within the rule. A rule speaks
// of TLP only, so it is for no label that has an ACS or a Japanese marking too:
// a TLP beside such a marking would else free what the marking alone does not.
func (c *Case) rule(it *Item, level noroshi.TLP, classified noroshi.Level) *noroshi.StandingRule {
	id := c.freed[it.ID]
	i := slices.IndexFunc(c.Allowed, func(a Allowance) bool { return a.Rule.ID == id })
	if id == "" || i < 0 || level == noroshi.NoTLP || level > c.Allowed[i].Rule.MaxTLP || classified > noroshi.NoLevel {
		return nil
	}
	return &c.Allowed[i].Rule
}

// underRule marks, in a batch's clause, the standing rule its objects went by.
const underRule = " standing:"

// cited is the clause a batch cites, with the standing rule if there is one.
func (d *Decision) cited() string {
	if d.Standing == "" {
		return d.Clause
	}
	return d.Clause + underRule + d.Standing
}

// ruleCited returns the standing rule a batch cites, or "".
func ruleCited(b store.Batch) string {
	_, id, _ := strings.Cut(b.Clause, underRule)
	if b.Hold != "" {
		return ""
	}
	return id
}

// docStandingUse holds when FLASH went under a standing rule in the last hour;
// key: the rule's id; body: the times as JSON.
const docStandingUse = "standing-use"

// allowed returns the standing rules that last for a link and what is left of
// each: the rule's own limit, and that of the agreement over all of them.
func (d *Desk) allowed(ctx context.Context, l *link) ([]Allowance, error) {
	most := l.clauses.Agreement().FlashPerHour
	if most == 0 {
		return nil, nil
	}
	rules, err := store.DocsOf[noroshi.StandingRule](ctx, d.store.Reads, noroshi.DocStanding)
	if err != nil {
		return nil, err
	}
	persons, err := d.store.Persons(ctx)
	if err != nil {
		return nil, err
	}
	var list []Allowance
	all := 0
	for _, r := range rules {
		if r.Partner != l.party.Node || r.Agreement != l.clauses.Agreement().Hash {
			continue
		}
		used, err := d.used(ctx, d.store.Reads, r.ID)
		if err != nil {
			return nil, err
		}
		all += len(used)
		if r.Lasts(l.clauses.Agreement().Hash, persons, d.o.Now()) {
			list = append(list, Allowance{r, r.PerHour - len(used)})
		}
	}
	slices.SortFunc(list, func(a, b Allowance) int { return cmp.Compare(a.Rule.ID, b.Rule.ID) })
	for i := range list {
		list[i].Left = max(0, min(list[i].Left, most-all))
		most -= list[i].Left // together no more than the agreement's
	}
	return list, nil
}

// used returns when FLASH went under a rule in the hour before now.
func (d *Desk) used(ctx context.Context, r store.Reads, id string) ([]time.Time, error) {
	at, err := store.DocOrZero[[]time.Time](ctx, r, docStandingUse, id)
	hour := d.o.Now().Add(-time.Hour)
	return slices.DeleteFunc(at, func(t time.Time) bool { return !t.After(hour) }), err
}

// use notes, in the act that releases, what goes under standing rules.
func (w *plan) use(ctx context.Context, tx *store.Tx) error {
	uses := map[string]int{}
	for _, items := range w.ready {
		for _, i := range items {
			it, d := &w.c.Items[i], &w.out[i]
			if d.Standing != "" && it.Freed == "" && it.Type != "language-content" {
				uses[d.Standing]++
			}
		}
	}
	for id, n := range uses {
		at, err := w.desk.used(ctx, tx.Reads, id)
		if err != nil {
			return err
		}
		for range n {
			at = append(at, w.desk.o.Now().UTC())
		}
		body, err := json.Marshal(at)
		if err != nil {
			return err
		}
		if err := tx.PutDoc(docStandingUse, id, body); err != nil {
			return err
		}
	}
	return nil
}
