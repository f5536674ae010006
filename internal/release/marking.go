package release

import (
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
)

// Judgement is what a label means for one partner, whatever a clause permits.
type Judgement struct {
	Outcome noroshi.Outcome
	Key     noroshi.HoldKey // of a Hold
	Reasons []noroshi.Reason

	SourceDenied bool // the source may not be named: created_by_ref is to be removed
	NoCuts       bool // nothing may be cut out: where something would be, the whole is denied
}

// Judge says what a label means for the case's partner: every marking in it
// alone, and the worst of all counts. from is who made what carries the label.
// It serves a whole object and, with the join of object and portion, a property.
// A clause never lifts what it says. No label is released for want of a reason
// not to: one without a handling marking is held.
func (c *Case) Judge(l noroshi.Label, from Origin) Judgement {
	j := judge{c: c, from: from}
	elsewhere := l.Exercise != c.Realm.Exercise()
	for _, u := range l.Unknown {
		code, id, _ := strings.Cut(u, " ")
		elsewhere = elsewhere || code == noroshi.UnknownTwoExercise // one of two is not this realm's
		j.hold(noroshi.NotUnderstood, noroshi.Reason{Code: "marking." + code, Marking: id})
	}
	if !l.Handled() {
		j.hold(noroshi.Unmarked, noroshi.Reason{Code: "marking.none"})
	}
	// What is not understood may name the exercise: then it is held until it is.
	if elsewhere && (l.Exercise != "" || len(l.Unknown) == 0) {
		j.deny(noroshi.Reason{Code: "exercise.mismatch", Args: []string{l.Exercise, c.Realm.String()}})
	}
	j.tlp(l.TLP, l.TLP.String())
	for _, p := range l.IEP {
		j.iep(p)
	}
	for _, a := range l.ACS {
		j.acs(a)
	}
	for _, m := range l.JPN {
		j.japanese(m)
	}
	return Judgement{j.Outcome, j.Key, j.Reasons, j.sourceDenied, j.noCuts}
}

// judge is a judgement being made.
type judge struct {
	Decision
	c                    *Case
	from                 Origin
	sourceDenied, noCuts bool
}

// marking adds what the label means to a decision.
func (c *Case) marking(it *Item, d *Decision) Judgement {
	j := c.Judge(it.Label, it.Origin)
	for _, r := range j.Reasons {
		d.add(r)
	}
	return j
}

// tlp is rule 3: CLEAR for all; GREEN for every partner; AMBER for a partner
// only when holder or partner is the source; AMBER+STRICT two persons besides;
// RED never on a feed. marking is what to call it in reasons.
func (j *judge) tlp(level noroshi.TLP, marking string) {
	switch {
	case level == noroshi.NoTLP:
	case level == noroshi.Clear:
		j.release(noroshi.Reason{Code: "tlp.open", Marking: marking})
	case level >= noroshi.Red:
		j.deny(noroshi.Reason{Code: "tlp.red", Marking: marking})
	case j.c.Public:
		j.deny(noroshi.Reason{Code: "tlp.audience", Marking: marking})
	case level == noroshi.Green:
		j.release(noroshi.Reason{Code: "tlp.open", Marking: marking})
	case j.from == Other:
		j.deny(noroshi.Reason{Code: "tlp.third-party", Marking: marking})
	case level == noroshi.AmberStrict:
		j.hold(noroshi.TwoPersons, noroshi.Reason{Code: "tlp.strict", Marking: marking})
	default:
		j.release(noroshi.Reason{Code: "tlp.source", Marking: marking})
	}
}

// iep is rule 4: out of its time a policy is not understood, for every partner;
// in its time it means what its TLP means.
func (j *judge) iep(p noroshi.IEP) {
	if !p.InForce(j.c.Now) {
		j.hold(noroshi.NotUnderstood, noroshi.Reason{Code: "iep.not-in-force", Marking: "IEP " + p.TLP.String()})
		return
	}
	j.tlp(p.TLP, "IEP "+p.TLP.String())
}

// japanese is rule 6: 公開 for all; other classes for the countries named, when
// the originator is holder or partner, and up to the level of the agreement. A
// class the agreement does not compare is not understood.
func (j *judge) japanese(m noroshi.Japanese) {
	marking := "JPN:" + m.Kubun + "," + m.Originator
	r := func(code string, args ...string) noroshi.Reason {
		return noroshi.Reason{Code: code, Marking: marking, Args: append([]string{m.Kubun}, args...)}
	}
	level := j.c.terms().Japanese.Of(m.Kubun)
	switch {
	case m.Kubun == noroshi.KubunOpen:
		j.release(r("jpn.open"))
	case j.c.Public || !slices.Contains(m.To, j.c.country()):
		j.deny(r("jpn.not-releasable", j.c.toWhom()))
	case !j.c.holderIs(m.Originator) && !j.c.partnerIs(m.Originator):
		j.deny(r("jpn.third-party", m.Originator))
	case level == noroshi.NoLevel:
		j.hold(noroshi.NotUnderstood, r("jpn.no-level"))
	case !j.level(level, marking):
	default:
		j.release(r("jpn.releasable", j.c.toWhom()))
	}
}

// level is the rule of levels: above the agreement's denied, above U two
// persons. It reports whether neither spoke.
func (j *judge) level(level noroshi.Level, marking string) bool {
	most := max(j.c.terms().MaxLevel, noroshi.Unclassified)
	switch {
	case level > most:
		j.deny(noroshi.Reason{Code: "level.above", Marking: marking, Args: []string{level.String(), most.String()}})
	case level > noroshi.Unclassified:
		j.hold(noroshi.TwoPersons, noroshi.Reason{Code: "level.two-persons", Marking: marking, Args: []string{level.String()}})
	default:
		return true
	}
	return false
}

// terms returns the agreement in force, or the terms of none.
func (c *Case) terms() *noroshi.Agreement {
	if c.Clauses == nil || c.Public {
		return &noroshi.Agreement{}
	}
	return c.Clauses.Agreement()
}

// country returns the partner's country code; everybody is in none.
func (c *Case) country() string {
	if c.Public {
		return ""
	}
	return c.Partner.CallSign.Country()
}

// toWhom is what reasons call the partner.
func (c *Case) toWhom() string {
	if c.Public {
		return "PUBLIC"
	}
	return c.country()
}

// holderIs reports whether a token of a marking names the holder.
func (c *Case) holderIs(token string) bool { return slices.Contains(c.Holder.Tokens, token) }

// partnerIs reports whether a token of a marking names the partner.
func (c *Case) partnerIs(token string) bool {
	return !c.Public && slices.Contains(c.Partner.Tokens, token)
}
