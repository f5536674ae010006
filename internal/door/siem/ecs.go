package siem

import (
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/noroshi-cti/noroshi"
)

// ecsVersion is the version of the Elastic Common Schema whose fields are used.
const ecsVersion = "8.17.0"

// ecs writes an event as one JSON object of the Elastic Common Schema, in a
// fixed order and in ASCII: then no byte order mark stands before it and it has
// no line ends. What the schema has no field for stands under "noroshi".
func ecs(version string, e *Event) []byte {
	return appendObject(nil, object{
		{"@timestamp", timestamp(e.Time)},
		{"ecs", object{{"version", ecsVersion}}},
		{"event", happened(e)},
		{"message", clean(e.head(), maxTitle, false)},
		{"labels", object{
			{"realm", e.Realm.String()},
			{"exercise", e.Realm.Exercise()},
			{"marking", clean(marking(e), maxLabel, false)},
			{"precedence", precedence(e)},
		}},
		{"tags", exerciseTags(e)},
		{"observer", object{{"name", clean(string(e.CallSign), maxWord, false)}, {"vendor", "noroshi"}, {"product", "noroshi"}, {"type", "threat-exchange"}, {"version", clean(version, 31, false)}}},
		{"rule", rule(e)},
		{"threat", threat(e)},
		{"user", persons(e)},
		{"noroshi", own(e)},
	})
}

// happened fills event.* by the categorisation fields of the schema.
func happened(e *Event) object {
	kind, category, typ := "event", "threat", "indicator"
	switch e.Kind {
	case Warning:
		kind = "alert"
	case Audit:
		category, typ = categoryOf(e.Action)
	}
	o := object{
		{"id", clean(e.ID, maxWord, false)},
		{"kind", kind},
		{"category", []string{category}},
		{"type", []string{typ}},
		{"action", clean(e.Is(), maxWord, false)},
		{"severity", int64(e.Severity)},
		{"module", "noroshi"},
		{"dataset", "noroshi." + clean(string(e.Kind), maxWord, false)},
		{"provider", clean(e.Source, maxWord, false)},
		{"reason", clean(e.Text, maxText, true)},
	}
	if e.Kind == Audit {
		outcome := "success"
		if e.Action == noroshi.ActRefuse {
			outcome = "failure"
		}
		o = append(o, member{"outcome", outcome}, member{"sequence", int64(e.Index)})
	}
	return o
}

// categoryOf returns event.category and the event.type allowed with it.
func categoryOf(a noroshi.Action) (category, typ string) {
	switch a {
	case noroshi.ActAddPerson, noroshi.ActRemovePerson, noroshi.ActCountersign, noroshi.ActDelegate:
		return "iam", "admin"
	case noroshi.ActAlarm, noroshi.ActRefuse:
		return "intrusion_detection", "info"
	case noroshi.ActInit, noroshi.ActKeys, noroshi.ActConfigure, noroshi.ActIntroduce, noroshi.ActSignAgreement, noroshi.ActProposeAgreement,
		noroshi.ActAgreementInForce, noroshi.ActSuspendAgreement, noroshi.ActResumeAgreement, noroshi.ActStandingRule, noroshi.ActEndStandingRule,
		noroshi.ActDeclareEmergency:
		return "configuration", "change"
	}
	return "database", "info"
}

func exerciseTags(e *Event) []string {
	if e.Realm.Exercise() == "" {
		return nil
	}
	return []string{"exercise"}
}

// rule names what raised a warning: the indicator.
func rule(e *Event) object {
	if e.Kind != Warning {
		return nil
	}
	return object{{"id", clean(string(e.Indicator), maxWord, false)}, {"name", clean(e.Title, maxTitle, false)}, {"ruleset", "noroshi"}}
}

func persons(e *Event) object {
	if len(e.Persons) == 0 {
		return nil
	}
	ids := make([]string, len(e.Persons))
	for i, p := range e.Persons {
		ids[i] = clean(p, maxWord, false)
	}
	return object{{"id", ids}}
}

// threat fills threat.indicator.*; its types are those of STIX.
func threat(e *Event) object {
	if e.Indicator == "" {
		return nil
	}
	o := object{{"provider", clean(e.Source, maxWord, false)}}
	if e.Value.Text != "" {
		o = append(o, shown(e)...)
	}
	if e.Kind == Sighting {
		o = append(o, member{"sightings", int64(e.Count)}, member{"first_seen", dayText(e.First)}, member{"last_seen", dayText(e.Last)})
	}
	if e.Label.TLP != noroshi.NoTLP {
		o = append(o, member{"marking", object{{"tlp", strings.TrimPrefix(e.Label.TLP.String(), "TLP:")}, {"tlp_version", "2.0"}}})
	}
	return object{{"indicator", o}}
}

// shown fills the fields of an indicator's value.
func shown(e *Event) object {
	v, text := e.Value, clean(e.Value.Text, maxValue, false)
	o := object{{"name", value(e)}}
	switch v.Kind {
	case noroshi.IPv4, noroshi.IPv6:
		return append(o, member{"type", string(v.Kind)}, member{"ip", text})
	case noroshi.AddrPort:
		typ := "ipv4-addr"
		if strings.Contains(text, ":") {
			typ = "ipv6-addr"
		}
		return append(o, member{"type", typ}, member{"ip", text}, member{"port", int64(v.Port)})
	case noroshi.DomainName:
		return append(o, member{"type", "domain-name"}, member{"url", object{{"domain", text}}})
	case noroshi.URL:
		return append(o, member{"type", "url"}, member{"url", object{{"full", text}}})
	case noroshi.URLPart:
		return append(o, member{"type", "url"}, member{"url", object{{"original", text}}})
	case noroshi.EmailAddr:
		return append(o, member{"type", "email-addr"}, member{"email", object{{"address", text}}})
	case noroshi.MD5, noroshi.SHA1, noroshi.SHA256, noroshi.SHA512:
		return append(o, member{"type", "file"}, member{"file", object{{"hash", object{{strings.ReplaceAll(string(v.Kind), "-", ""), text}}}}})
	}
	return append(o, member{"type", clean(string(v.Kind), maxWord, false)}) // a network: ECS has no field for one
}

// own is what the schema has no field for.
func own(e *Event) object {
	o := object{{"node", e.Node.String()}}
	if e.Kind == Audit {
		return append(o, member{"index", int64(e.Index)}, member{"subject", clean(e.Subject, maxWord, false)}, member{"partner", clean(e.Partner, maxWord, false)},
			member{"agreement", hashText(e.Agreed)}, member{"count", number(e.Count)})
	}
	return append(o, member{"object", clean(string(e.Object), maxWord, false)}, member{"indicator", clean(string(e.Indicator), maxWord, false)}, member{"asked", clean(e.Asked, maxWord, false)}, member{"due", dayText(e.Due)})
}

// member is one name and value of a JSON object: a string, an int64, a list of
// strings or an object. Empty ones are not written; the number 0 is.
type member struct {
	name  string
	value any
}

type object []member

func appendObject(b []byte, o object) []byte {
	b = append(b, '{')
	first := true
	for _, m := range o {
		if blank(m.value) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendValue(append(appendString(b, m.name), ':'), m.value)
	}
	return append(b, '}')
}

func blank(v any) bool {
	switch v := v.(type) {
	case string:
		return v == ""
	case []string:
		return len(v) == 0
	case object:
		for _, m := range v {
			if !blank(m.value) {
				return false
			}
		}
		return true
	}
	return false
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case []string:
		b = append(b, '[')
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, s)
		}
		return append(b, ']')
	case object:
		return appendObject(b, v)
	}
	panic("siem: a JSON value of no known type")
}

// appendString writes a JSON string (RFC 8259 §7) in ASCII.
func appendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	unit := func(u uint16) {
		b = append(b, '\\', 'u', hexDigits[u>>12], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
	}
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r >= ' ' && r < 127:
			b = append(b, byte(r))
		default:
			for _, u := range utf16.Encode([]rune{r}) {
				unit(u)
			}
		}
	}
	return append(b, '"')
}
