package noroshi

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Onward says whether and to whom what one party sends may be passed on by the
// other. It only narrows: markings and the clauses of the agreement with the
// third party speak besides.
type Onward string

// The forms of onward sharing.
const (
	OnwardMarked Onward = ""       // nothing is agreed: what the markings say
	OnwardNone   Onward = "none"   // to nobody
	OnwardAsk    Onward = "ask"    // when two release officers have signed that the originator agreed
	OnwardListed Onward = "listed" // to parties that one of OnwardTo names: call sign, country or token
)

// EmergencyTerms let clauses that read context.emergency permit more while an
// emergency lasts that two release officers have declared.
type EmergencyTerms struct {
	Hours int `toml:"hours"` // the longest one declaration may last; it ends by itself
}

// maxEmergency bounds what parties may agree: who needs longer declares again.
const maxEmergency = 7 * 24

// Emergency is the time of a declared emergency; the zero value is never.
type Emergency struct {
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// At reports whether now lies in the emergency; its end does not.
func (e Emergency) At(now time.Time) bool {
	return !e.Until.IsZero() && !now.Before(e.From) && now.Before(e.Until)
}

// PassesTo reports whether what was received under the agreement may be passed
// on to a party: yes, no, or only when the originator was asked.
func (a *Agreement) PassesTo(p Party) (may, ask bool) {
	switch a.Onward {
	case OnwardMarked:
		return true, false
	case OnwardAsk:
		return false, true
	case OnwardListed:
		named := func(t string) bool {
			return t == string(p.CallSign) || t == p.CallSign.Country() || slices.Contains(p.Tokens, t)
		}
		return slices.ContainsFunc(a.OnwardTo, named), false
	}
	return false, false
}

// checkTerms says what is wrong with the terms that limit clauses, or "".
func (a *Agreement) checkTerms() (field, want string) {
	for _, list := range []struct {
		key    string
		values []string
	}{{"types", a.Types}, {"sectors", a.Sectors}, {"communities", a.Communities}, {"onward_to", a.OnwardTo}} {
		if v := notWords(list.values); v != "" {
			return list.key, fmt.Sprintf("%q is empty, too long, there twice or has spaces", v)
		}
	}
	switch {
	case !slices.Contains([]Onward{OnwardMarked, OnwardNone, OnwardAsk, OnwardListed}, a.Onward):
		return "onward", "must be none, ask or listed"
	case a.Onward == OnwardListed && len(a.OnwardTo) == 0:
		return "onward_to", "must name to whom, when onward is listed"
	case a.Onward != OnwardListed && len(a.OnwardTo) > 0:
		return "onward_to", "belongs to onward = \"listed\""
	case a.RetentionDays < 0 || a.RetentionDays > 36500:
		return "retention_days", "must be 1 to 36500"
	case a.FlashPerHour < 0 || a.FlashPerHour > MaxStandingPerHour:
		return "flash_per_hour", fmt.Sprintf("must be 1 to %d", MaxStandingPerHour)
	case a.Emergency != nil && (a.Emergency.Hours < 1 || a.Emergency.Hours > maxEmergency):
		return "emergency", fmt.Sprintf("hours must be 1 to %d", maxEmergency)
	}
	return "", ""
}

// notWords returns the first of a list that is no word of its own, quoted by
// the caller; "" is returned as a space so that it shows.
func notWords(list []string) string {
	for i, v := range list {
		if v == "" {
			return " "
		}
		if len(v) > 64 || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0x3000 }) || slices.Contains(list[:i], v) {
			return v
		}
	}
	return ""
}
