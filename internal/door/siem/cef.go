package siem

import (
	"strconv"
	"strings"
	"time"
)

// cef writes an event in the ArcSight Common Event Format, version 0
// ("Implementing ArcSight Common Event Format", version 26): seven header fields
// parted by "|", then an extension of key=value. In the header "\" and "|" are
// escaped and no line ends ("Character encoding"); in the extension "\", "=" and
// line ends are, and "|" is not. Keys, and how long their values may be, are
// those of its dictionary for event producers.
func cef(version string, e *Event) string {
	var b strings.Builder
	b.WriteString("CEF:0")
	for _, f := range []string{"noroshi", "noroshi", clean(version, 31, false), clean(e.Is(), maxWord, false), clean(e.head(), maxTitle, false), strconv.Itoa(e.Severity)} {
		b.WriteByte('|')
		b.WriteString(cefHeader.Replace(f))
	}
	b.WriteByte('|')
	for i, f := range extension(e) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(f.name + "=" + cefValue.Replace(f.text))
	}
	return b.String()
}

var (
	cefHeader = strings.NewReplacer(`\`, `\\`, `|`, `\|`)
	cefValue  = strings.NewReplacer(`\`, `\\`, `=`, `\=`, "\n", `\n`)
)

// extension lists the fields an event fills. The custom fields mean the same in
// every event: each goes with the label that says what it is.
func extension(e *Event) (list []field) {
	add := func(name, text string) {
		if text = strings.TrimSpace(text); text != "" {
			list = append(list, field{name, text})
		}
	}
	custom := func(name, label, text string) {
		if strings.TrimSpace(text) != "" {
			add(name+"Label", label)
			add(name, text)
		}
	}
	add("rt", millis(e.Time))
	add("cat", string(e.Kind))
	add("act", clean(e.Is(), 63, false))
	add("externalId", clean(e.ID, 40, false))
	add("dvchost", clean(string(e.CallSign), 100, false))
	add("deviceExternalId", e.Node.String())
	custom("cs1", "label", clean(marking(e), maxLabel, false))
	custom("cs2", "realm", e.Realm.String())
	custom("flexString1", "exercise", e.Realm.Exercise())
	if e.Kind == Audit {
		custom("cs3", "subject", clean(e.Subject, maxWord, false))
		custom("cs4", "partner", clean(e.Partner, maxWord, false))
		custom("cs5", "agreement", hashText(e.Agreed))
		custom("cn1", "index", strconv.FormatUint(e.Index, 10))
		add("suid", clean(strings.Join(e.Persons, ","), maxWord, false))
	} else {
		custom("cs3", "indicator", value(e))
		custom("cs4", "indicatorType", clean(string(e.Value.Kind), maxWord, false))
		custom("cs5", "object", clean(string(e.Object), maxWord, false))
		custom("cs6", "source", clean(e.Source, maxWord, false))
		custom("flexString2", "precedence", precedence(e))
		custom("deviceCustomDate1", "due", millis(e.Due))
		add("start", millis(e.First))
		add("end", millis(e.Last))
	}
	add("cnt", number(e.Count))
	add("msg", clean(e.Text, maxText, true))
	return list
}

func millis(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}
