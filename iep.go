package noroshi

import (
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
)

// IEPExtension carries an Information Exchange Policy 2.0 of FIRST (OASIS
// common objects, IEP 2.0 marking definition).
const IEPExtension stix.ID = "extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a"

// IEP is what decisions depend on of an Information Exchange Policy 2.0: how far
// it lets a thing go, and when it is in force. Of its other fields, what a
// recipient may do is told to it by the definition, which travels.
type IEP struct {
	TLP   TLP       // Clear, Green, Amber or Red
	Start time.Time // in force from then on
	End   time.Time // and no longer than this; zero = without end
}

// InForce reports whether now lies in the policy's time; its end does not.
func (p IEP) InForce(now time.Time) bool {
	return !now.Before(p.Start) && (p.End.IsZero() || now.Before(p.End))
}

// String is the normal form, such as
// IEP:AMBER,2026-01-01T00:00:00Z,2027-01-01T00:00:00Z.
func (p IEP) String() string {
	s := "IEP:" + strings.TrimPrefix(p.TLP.String(), "TLP:") + "," + p.Start.UTC().Format(time.RFC3339Nano)
	if !p.End.IsZero() {
		s += "," + p.End.UTC().Format(time.RFC3339Nano)
	}
	return s
}

// parseIEP reads the normal form behind its name; Label checks that it is one.
func parseIEP(s string) (p IEP, ok bool) {
	word, times, _ := strings.Cut(s, ",")
	from, until, ends := strings.Cut(times, ",")
	var err error
	if p.TLP, err = ParseTLP("TLP:" + word); err != nil || p.TLP == AmberStrict {
		return IEP{}, false
	}
	if p.Start, err = time.Parse(time.RFC3339Nano, from); err != nil {
		return IEP{}, false
	}
	if ends {
		if p.End, err = time.Parse(time.RFC3339Nano, until); err != nil || p.End.IsZero() {
			return IEP{}, false
		}
	}
	return p, true
}

var iepLevels = map[string]TLP{"white": Clear, "green": Green, "amber": Amber, "red": Red}

// readIEP reads the extension: its fields and values are those of IEP 2.0 and
// no others; all but end_date are required.
func readIEP(v stix.RawValue) (p IEP, ok bool) {
	var s strict
	is := func(of ...string) func(stix.RawValue) { return func(v stix.RawValue) { s.word(v, of...) } }
	s.object(v, known{
		"extension_type": is("property-extension"),
		"iep_id":         func(v stix.RawValue) { s.text(v) },
		"iep_version":    func(v stix.RawValue) { s.bad = s.bad || string(v) != "2.0" && string(v) != "2" },
		"description":    func(v stix.RawValue) { s.bad = s.bad || len(v) == 0 || v[0] != '"' },
		"start_date":     func(v stix.RawValue) { p.Start = s.time(v).Time() },
		"end_date": func(v stix.RawValue) {
			p.End = s.time(v).Time()
			s.bad = s.bad || p.End.IsZero() // the year 1 would read as no end
		},
		"tlp":                          func(v stix.RawValue) { p.TLP = iepLevels[s.word(v, "red", "amber", "green", "white")] },
		"encrypt_in_transit":           is("must", "may"),
		"affected_party_notifications": is("may", "must-not"),
		"provider_attribution":         is("may", "must", "must-not"),
		"unmodified_resale":            is("may", "must-not"),
		"permitted_actions": is("none", "contact-for-instruction", "internally-visible-actions",
			"externally-visible-indirect-actions", "externally-visible-direct-actions"),
	}, "extension_type", "iep_id", "iep_version", "start_date", "tlp",
		"encrypt_in_transit", "permitted_actions", "affected_party_notifications", "provider_attribution", "unmodified_resale", "description")
	return p, !s.bad
}
