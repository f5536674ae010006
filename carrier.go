package noroshi

import (
	"fmt"
	"slices"
)

// Carrier is what an agreement says of one kind of channel: up to where it may
// carry, sealed in what. What a Carrier leaves out, and a kind that is listed in
// channels without one, is read as Agreement.Carries and SuitesOn say.
type Carrier struct {
	Kind     string   `toml:"kind"`                // of channels
	MaxTLP   TLPBound `toml:"max_tlp,omitempty"`   // highest TLP level, written as sighting_mark is
	MaxLevel Level    `toml:"max_level,omitempty"` // highest classification, of ACS and Japanese markings
	Suites   []string `toml:"suites,omitempty"`    // of suites
}

// TLPBound is a TLP level as a bound in an agreement file; the zero value is
// none.
type TLPBound TLP

// UnmarshalText reads what ParseTLP reads.
func (b *TLPBound) UnmarshalText(text []byte) error {
	t, err := ParseTLP(string(text))
	*b = TLPBound(t)
	return err
}

// carrier returns what is said of a kind, or the zero Carrier.
func (a *Agreement) carrier(kind string) Carrier {
	for _, c := range a.Carriers {
		if c.Kind == kind {
			return c
		}
	}
	return Carrier{Kind: kind}
}

// Lists reports whether anything may go over a kind of channel at all: control
// messages, statements and documents, which say nothing of an object's content.
func (a *Agreement) Lists(kind string) bool { return slices.Contains(a.Channels, kind) }

// Carries reports whether objects of a label may go over a kind of channel: every
// marking is judged alone and each must pass. Where the agreement does not say,
// https carries whatever may be released, since both ends of the wire are the
// parties' own. What mail, media and lines carry lies with third parties or is
// open to everybody to keep, and so goes up to AMBER, which service providers of
// a party may see (TLP 2.0), unclassified. What has compartments goes by https
// alone.
func (a *Agreement) Carries(kind string, l Label) bool {
	if !a.Lists(kind) {
		return false
	}
	tlp, level := Red, TopSecret
	if kind != ChannelHTTPS {
		tlp, level = Amber, Unclassified
	}
	c := a.carrier(kind)
	if c.MaxTLP != TLPBound(NoTLP) {
		tlp = TLP(c.MaxTLP)
	}
	if c.MaxLevel != NoLevel {
		level = c.MaxLevel
	}
	above := func(x Level) bool { return x == NoLevel || x > level }
	return l.TLP <= tlp && len(l.Unknown) == 0 &&
		!slices.ContainsFunc(l.IEP, func(p IEP) bool { return p.TLP > tlp }) &&
		!slices.ContainsFunc(l.ACS, func(x ACS) bool { return above(x.Level) || x.Compartments && kind != ChannelHTTPS }) &&
		!slices.ContainsFunc(l.JPN, func(j Japanese) bool { return above(a.Japanese.Of(j.Kubun)) })
}

// SuitesOn returns the suites what goes over a kind of channel may be sealed
// with: those its Carrier names, else all of the agreement's that are for it.
// S2 is for lines alone (docs/wire.md §5).
func (a *Agreement) SuitesOn(kind string) (list []string) {
	if !a.Lists(kind) {
		return nil
	}
	c := a.carrier(kind)
	for _, s := range a.Suites {
		if (len(c.Suites) == 0 || slices.Contains(c.Suites, s)) && (s != SuiteS2 || kind == ChannelLine) {
			list = append(list, s)
		}
	}
	return list
}

// checkCarriers says what is wrong with the kinds of channels, by its code, or "".
func (a *Agreement) checkCarriers() (field, want string) {
	for i, k := range a.Channels {
		if !slices.Contains(ChannelKinds, k) || slices.Contains(a.Channels[:i], k) {
			return "channels", "kinds-known"
		}
	}
	for i, c := range a.Carriers {
		field := fmt.Sprintf("channel %s", c.Kind)
		same := func(o Carrier) bool { return o.Kind == c.Kind }
		switch {
		case !a.Lists(c.Kind) || slices.ContainsFunc(a.Carriers[:i], same):
			return field, "kind-listed"
		case c.MaxLevel > a.MaxLevel:
			return field, "level-below"
		case c.Suites != nil && len(c.Suites) == 0: // would read as no limit
			return field, "suites-empty"
		case slices.ContainsFunc(c.Suites, func(s string) bool { return !slices.Contains(a.Suites, s) }):
			return field, "suites-listed"
		case len(a.SuitesOn(c.Kind)) == 0:
			return field, "suites-usable"
		}
	}
	return "", ""
}
