package release

import (
	"slices"

	"github.com/noroshi-cti/noroshi"
)

// acs is rule 5, in its order: the first step that decides ends it. What it
// says of naming the source and of cutting portions holds beside any outcome.
func (j *judge) acs(a noroshi.ACS) {
	m := acsCase{ACS: a, j: j, marking: "ACS:" + a.Level.String() + "," + a.Custodian, holders: j.c.holderIs(a.Custodian)}
	m.partners = !m.holders && j.c.partnerIs(a.Custodian)
	m.actions()
	if m.formal() && m.audience() && m.custody() {
		m.level()
	}
}

// acsCase is one ACS marking and one partner.
type acsCase struct {
	noroshi.ACS
	j                 *judge
	marking           string
	holders, partners bool // who the custodian is; neither = another
}

func (m *acsCase) reason(code string, args ...string) noroshi.Reason {
	return noroshi.Reason{Code: code, Marking: m.marking, Args: args}
}

// formal is about classification and formal determinations; false when it
// decides.
func (m *acsCase) formal() bool {
	switch c := m.j.c; {
	case m.Level > noroshi.Unclassified && !m.Authorised:
		m.j.hold(noroshi.NotUnderstood, m.reason("acs.unauthorised", m.Level.String()))
	case m.Has(noroshi.NoForeign):
		m.j.deny(m.reason("acs.noforn"))
	case m.Has(noroshi.PublicRel) && m.public():
		m.j.release(m.reason("acs.public"))
	case m.Has(noroshi.PublicRel):
		m.j.hold(noroshi.NotUnderstood, m.reason("acs.public-contradicts"))
	case c.Public:
		m.j.deny(m.reason("acs.not-public"))
	default:
		return true
	}
	return false
}

// public reports whether nothing contradicts a formal public release.
func (m *acsCase) public() bool {
	return m.Level == noroshi.Unclassified && m.Released && !m.Has(noroshi.OfficialUse) &&
		len(m.Sensitivity)+len(m.Nations)+len(m.Orgs) == 0
}

// audience is about whom the marking names; false when it decides. A denial of
// sharing is read widely: ALL and the partner's country count as well, which in
// a permit name nobody.
func (m *acsCase) audience() bool {
	c := m.j.c
	switch {
	case len(m.Nations) > 0 && !m.nation():
		m.j.deny(m.reason("acs.nation", c.toWhom()))
	case len(m.Orgs) > 0 && !m.organisation():
		m.j.deny(m.reason("acs.organisation", c.toWhom()))
	case len(m.Entities) > 0 && !meet(m.Entities, c.terms().Entities):
		m.j.deny(m.reason("acs.entity"))
	case m.Compartments:
		m.j.deny(m.reason("acs.compartment"))
	case m.scope(m.Withhold) || meet(m.Withhold, []string{noroshi.All, c.country()}):
		m.j.deny(m.reason("acs.sharing-denied", c.toWhom()))
	default:
		return true
	}
	return false
}

// custody is about who may pass it on; false when it decides.
func (m *acsCase) custody() bool {
	permitted := m.scope(m.Share)
	listed := permitted || len(m.Nations) > 0 && m.nation() || len(m.Orgs) > 0 && m.organisation()
	switch {
	case !m.holders && !m.partners && !permitted && !m.SharePermit:
		m.j.deny(m.reason("acs.third-party", m.Custodian))
	case m.holders && !m.PrivPermit && !listed:
		m.j.deny(m.reason("acs.not-listed", m.j.c.toWhom()))
	case (m.Level > noroshi.Unclassified || m.Has(noroshi.OfficialUse) || len(m.Sensitivity) > 0) && !listed:
		m.j.deny(m.reason("acs.not-listed", m.j.c.toWhom()))
	default:
		return true
	}
	return false
}

// level is about how high it is and what a person has to look at.
func (m *acsCase) level() {
	open := m.j.level(m.Level, m.marking)
	look := slices.Concat(m.Sensitivity, m.Caveats)
	if m.Has(noroshi.PIINecessary) {
		look = append(look, noroshi.PIINecessary)
	}
	for _, what := range look {
		m.j.hold(noroshi.Review, m.reason("acs.sensitive", what))
	}
	if open && len(look) == 0 {
		m.j.release(m.reason("acs.permitted", m.j.c.toWhom()))
	}
}

// actions says whether the source may be named and portions be cut out.
func (m *acsCase) actions() {
	if !m.holders && !m.partners && !m.may(noroshi.ShowSource) {
		m.j.sourceDenied = true
	}
	if !m.may(noroshi.TearLine) {
		m.j.noCuts = true
	}
}

// may reports whether an action is permitted to the partner: by a rule for it,
// of which a denial wins, else when the custodian is the holder, else by the
// default.
func (m *acsCase) may(action string) bool {
	permitted := false
	for _, r := range m.Access {
		if r.Action != action || !m.meant(r) {
			continue
		}
		if !r.Permit {
			return false
		}
		permitted = true
	}
	return permitted || m.holders || m.PrivPermit
}

// meant reports whether each list of a rule holds the partner.
func (m *acsCase) meant(r noroshi.ACSRule) bool {
	c := m.j.c
	return (len(r.Nations) == 0 || slices.Contains(r.Nations, c.country())) &&
		(len(r.Orgs) == 0 || c.anyToken(r.Orgs)) &&
		(len(r.Entities) == 0 || meet(r.Entities, c.terms().Entities))
}

func (m *acsCase) nation() bool {
	return slices.Contains(m.Nations, noroshi.All) || slices.Contains(m.Nations, m.j.c.country())
}

func (m *acsCase) organisation() bool {
	return slices.Contains(m.Orgs, noroshi.All) || m.j.c.anyToken(m.Orgs)
}

// scope reports whether a scope of further sharing is the partner's.
func (m *acsCase) scope(scopes []string) bool {
	return slices.Contains(scopes, noroshi.ForeignGov) || m.j.c.anyToken(scopes)
}

// anyToken reports whether one of the names is the partner's.
func (c *Case) anyToken(names []string) bool {
	return slices.ContainsFunc(names, c.partnerIs)
}

// meet reports whether two lists have something in common.
func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
