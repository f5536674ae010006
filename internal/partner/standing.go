package partner

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

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
	if err := tx.PutJSON(noroshi.DocStanding, rule.ID, rule); err != nil {
		return err
	}
	return tx.Notice(store.AgreementChanged, rule.Partner.String())
}

func (o *Office) rule(ctx context.Context, r store.Reads, id string) (rule noroshi.StandingRule, err error) {
	rule, err = store.DocOf[noroshi.StandingRule](ctx, r, noroshi.DocStanding, id)
	if noroshi.KindOf(err) == noroshi.NotFound {
		err = noroshi.Errorf(noroshi.NotFound, "standing.none", "no standing rule %q", id)
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
	rules, err := store.DocsOf[noroshi.StandingRule](ctx, o.store.Reads, noroshi.DocStanding)
	if err != nil {
		return nil, err
	}
	register, err := o.store.Persons(ctx)
	if err != nil {
		return nil, err
	}
	rows := []RuleRow{}
	for _, rule := range rules {
		r := RuleRow{StandingRule: rule}
		p, err := partner(ctx, o.store.Reads, r.Partner)
		if err != nil {
			return nil, err
		}
		r.CallSign, r.Lasts = p.Organisation.CallSign, r.StandingRule.Lasts(p.Agreement, register, o.o.Now())
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b RuleRow) int {
		return cmp.Or(strings.Compare(string(a.CallSign), string(b.CallSign)), strings.Compare(a.ID, b.ID))
	})
	return rows, nil
}
