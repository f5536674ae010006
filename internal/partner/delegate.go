package partner

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// longestDelegation bounds for how long a role may be passed on.
const longestDelegation = 92 * 24 * time.Hour

// person reads one person's record as it is kept.
func person(ctx context.Context, r store.Reads, id string) (p noroshi.Person, err error) {
	body, err := r.Doc(ctx, noroshi.DocPerson, id)
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if noroshi.KindOf(err) == noroshi.NotFound || err == nil && p.Removed {
		return p, noroshi.Errorf(noroshi.Forbidden, "person.unknown", "person %q is not known here", id)
	}
	return p, err
}

// delegable refuses what may not be delegated: any role but that of a release
// officer, for no time or too long, to who has it, or to an administrator, who
// could give it to further persons.
func (o *Office) delegable(ctx context.Context, r store.Reads, order noroshi.Order) error {
	p, err := person(ctx, r, order.Person)
	if err != nil {
		return err
	}
	now := o.o.Now()
	switch {
	case order.Role != noroshi.ReleaseOffice:
		return noroshi.Errorf(noroshi.Refused, "person.not-delegable", "role %s cannot be delegated", string(order.Role))
	case !order.Until.After(now) || order.Until.After(now.Add(longestDelegation)):
		return noroshi.Errorf(noroshi.Invalid, "person.delegation-time", "a delegation must end within 92 days from now")
	case slices.Contains(p.Roles, order.Role):
		return noroshi.Errorf(noroshi.Conflict, "person.has-role", "%s has the role already", p.ID)
	case slices.Contains(p.Roles, noroshi.Administrator):
		return noroshi.Errorf(noroshi.Refused, "person.administrator", "%s is an administrator, who may not release", p.ID)
	}
	return nil
}

// delegate passes a role on. Only who has the role of their own may sign for
// it: a delegate cannot make further delegates.
func (o *Office) delegate(ctx context.Context, tx *store.Tx, order noroshi.Order, by []string) error {
	for _, id := range by {
		if p, err := person(ctx, tx.Reads, id); err != nil || !slices.Contains(p.Roles, order.Role) {
			return noroshi.Errorf(noroshi.Forbidden, "person.delegate-may-not", "%s has the role by delegation and cannot pass it on", id)
		}
	}
	p, err := person(ctx, tx.Reads, order.Person)
	if err != nil {
		return err
	}
	now := o.o.Now().UTC()
	p.Delegated = slices.DeleteFunc(p.Delegated, func(d noroshi.Delegation) bool { return d.Role == order.Role })
	p.Delegated = append(p.Delegated, noroshi.Delegation{Role: order.Role, From: now, Until: order.Until.UTC(), By: by})
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return tx.PutDoc(noroshi.DocPerson, p.ID, body)
}

// allowable refuses a standing rule that is not sound.
func (o *Office) allowable(ctx context.Context, r store.Reads, order noroshi.Order) error {
	rule := order.Rule
	if rule == nil || rule.Agreement != order.Agreement || rule.ID != "" || len(rule.By) > 0 || !rule.Ended.IsZero() || len(rule.EndedBy) > 0 {
		return noroshi.Errorf(noroshi.Invalid, "standing.form", "a standing rule names its agreement, a limit and an end, and nothing else")
	}
	a, p, err := o.inForce(ctx, r, order.Agreement)
	if err != nil {
		return err
	}
	now := o.o.Now()
	switch {
	case p.Node != rule.Partner:
		return noroshi.Errorf(noroshi.Invalid, "standing.form", "a standing rule names its agreement, a limit and an end, and nothing else")
	case a.FlashPerHour == 0:
		return noroshi.Errorf(noroshi.Refused, "standing.not-agreed", "the agreement with %s provides for no standing rules", p.Organisation.CallSign)
	case rule.PerHour < 1 || rule.PerHour > a.FlashPerHour:
		return noroshi.Errorf(noroshi.Invalid, "standing.per-hour", "a standing rule lets 1 to %d an hour go under this agreement", a.FlashPerHour)
	case rule.MaxTLP < noroshi.Clear || rule.MaxTLP > noroshi.Amber:
		return noroshi.Errorf(noroshi.Invalid, "standing.level", "a standing rule is for what is marked TLP:CLEAR to TLP:AMBER")
	case !rule.Until.After(now) || rule.Until.After(now.AddDate(0, 0, noroshi.MaxStandingDays)):
		return noroshi.Errorf(noroshi.Invalid, "standing.until", "a standing rule must end within %d days from now", noroshi.MaxStandingDays)
	}
	return nil
}

func (o *Office) allow(tx *store.Tx, order noroshi.Order, by []string) error {
	rule := *order.Rule
	rule.ID, rule.By, rule.Until = order.Bound().String()[:8], by, rule.Until.UTC()
	return putRule(tx, rule)
}

func putRule(tx *store.Tx, rule noroshi.StandingRule) error {
	body, err := json.Marshal(rule)
	if err != nil {
		return err
	}
	if err := tx.PutDoc(noroshi.DocStanding, rule.ID, body); err != nil {
		return err
	}
	return tx.Notice(store.AgreementChanged, rule.Partner.String())
}

func (o *Office) rule(ctx context.Context, r store.Reads, id string) (rule noroshi.StandingRule, err error) {
	body, err := r.Doc(ctx, noroshi.DocStanding, id)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return rule, noroshi.Errorf(noroshi.NotFound, "standing.none", "no standing rule %q", id)
	}
	if err == nil {
		err = json.Unmarshal(body, &rule)
	}
	return rule, err
}

func (o *Office) endable(ctx context.Context, r store.Reads, order noroshi.Order) error {
	rule, err := o.rule(ctx, r, order.Ends)
	if err == nil && !rule.Ended.IsZero() {
		err = noroshi.Errorf(noroshi.Conflict, "standing.ended", "standing rule %s ended already", rule.ID)
	}
	return err
}

func (o *Office) endRule(ctx context.Context, tx *store.Tx, order noroshi.Order, by []string) error {
	rule, err := o.rule(ctx, tx.Reads, order.Ends)
	if err != nil {
		return err
	}
	rule.Ended, rule.EndedBy = o.o.Now().UTC(), by
	return putRule(tx, rule)
}

// RuleRow is a standing rule as lists show it.
type RuleRow struct {
	noroshi.StandingRule
	CallSign noroshi.CallSign `json:"call_sign"`
	Lasts    bool             `json:"lasts"`
}

// Rules lists every standing rule, by partner.
func (o *Office) Rules(ctx context.Context) ([]RuleRow, error) {
	docs, err := o.store.Docs(ctx, noroshi.DocStanding)
	if err != nil {
		return nil, err
	}
	rows := []RuleRow{}
	for _, body := range docs {
		var r RuleRow
		if err := json.Unmarshal(body, &r.StandingRule); err != nil {
			return nil, err
		}
		p, err := partner(ctx, o.store.Reads, r.Partner)
		if err != nil {
			return nil, err
		}
		r.CallSign, r.Lasts = p.Organisation.CallSign, r.StandingRule.Lasts(p.Agreement, o.o.Now())
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b RuleRow) int {
		return cmp.Or(strings.Compare(string(a.CallSign), string(b.CallSign)), strings.Compare(a.ID, b.ID))
	})
	return rows, nil
}
