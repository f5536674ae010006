package siem

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/noroshi-cti/noroshi"
)

// maxMessage bounds a message: what every receiver should take (RFC 5425
// §4.3.1; it must take 2048 octets).
const maxMessage = 8192

// Bounds of single fields in bytes, before escaping.
const (
	maxTitle = 400
	maxText  = 1000
	maxValue = 1000
	maxWord  = 200
	maxLabel = 4000 // of a custom string of CEF; a longer label is not cut, its event does not go
)

// sdID is the id of our structured data. Names without "@" are IANA's to give
// (RFC 5424 §6.3.2); 32473 is the enterprise number of examples (RFC 5612), since
// noroshi has none of its own.
const sdID = "noroshi@32473"

// Facilities (RFC 5424 §6.2.1).
const (
	facilitySecurity = 4
	facilityAudit    = 13
)

// Message writes an event as one RFC 5424 message. Of one that would be longer
// than maxMessage the text is shortened, then the value; never a marking. ok is
// false when it is too long all the same.
func Message(f Format, version string, e *Event) (msg []byte, ok bool) {
	if len(marking(e)) > maxLabel {
		return nil, false
	}
	short := *e
	for _, n := range []int{maxText, maxText / 4, 0} {
		short.Text = cut(e.Text, n)
		if n == 0 {
			short.Text, short.Value.Text = "", cut(e.Value.Text, maxWord)
		}
		if msg = message(f, version, &short); len(msg) <= maxMessage {
			return msg, true
		}
	}
	return nil, false
}

func message(f Format, version string, e *Event) []byte {
	b := header(e)
	switch f {
	case CEF:
		return text(append(routing(b, e), ' '), cef(version, e))
	case ECS:
		return append(append(routing(b, e), ' '), ecs(version, e)...) // ASCII
	}
	b = append(structured(b, e), ' ')
	words := clean(e.head(), maxTitle, false)
	if t := strings.ReplaceAll(clean(e.Text, maxText, true), "\n", " "); t != "" { // RFC 5424 §6.4: no controls
		words += ": " + t
	}
	return text(b, words)
}

// header writes everything before the structured data (RFC 5424 §6.2).
func header(e *Event) []byte {
	facility := facilitySecurity
	if e.Kind == Audit {
		facility = facilityAudit
	}
	return fmt.Appendf(nil, "<%d>1 %s %s noroshi - %s ", facility*8+syslogSeverity(e.Severity), timestamp(e.Time), printable(string(e.CallSign), 255), printable(string(e.Kind), 32))
}

// syslogSeverity returns the severity of RFC 5424 §6.2.1 for one of 0 to 10.
// Emergency and alert are for the receiver's own house.
func syslogSeverity(s int) int {
	switch {
	case s >= 9:
		return 2 // critical
	case s >= 7:
		return 3 // error
	case s >= 5:
		return 4 // warning
	case s >= 3:
		return 5 // notice
	}
	return 6 // informational
}

// timestamp writes a time as RFC 5424 §6.2.3 asks: at most microseconds, the T
// and Z upper case.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

// printable returns a header field: PRINTUSASCII without spaces, "-" for none.
func printable(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < 33 || r > 126 {
			return '_'
		}
		return r
	}, s)
	if s = s[:min(len(s), n)]; s == "" {
		return "-"
	}
	return s
}

// routing writes the structured data of messages whose text is CEF or JSON: so
// much that a relay can tell what is real and drop what it has.
func routing(b []byte, e *Event) []byte {
	b = param(param(append(append(b, '['), sdID...), "id", e.ID), "realm", e.Realm.String())
	return append(b, ']')
}

// structured writes an event as structured data.
func structured(b []byte, e *Event) []byte {
	b = append(append(b, '['), sdID...)
	for _, f := range fields(e) {
		b = param(b, f.name, f.text)
	}
	return append(b, ']')
}

// field is one named thing of an event, cleaned.
type field struct{ name, text string }

// fields lists what an event says by itself, in the order it is written. An
// empty one is not written.
func fields(e *Event) []field {
	word := func(s string) string { return clean(s, maxWord, false) }
	list := []field{
		{"id", word(e.ID)}, {"kind", word(string(e.Kind))}, {"action", word(e.Is())}, {"severity", strconv.Itoa(e.Severity)},
		{"realm", e.Realm.String()}, {"exercise", e.Realm.Exercise()}, {"node", e.Node.String()}, {"source", word(e.Source)},
		{"label", clean(marking(e), maxLabel, false)},
	}
	if e.Kind == Audit {
		return append(list, field{"index", strconv.FormatUint(e.Index, 10)}, field{"persons", word(strings.Join(e.Persons, " "))}, field{"subject", word(e.Subject)},
			field{"partner", word(e.Partner)}, field{"agreement", hashText(e.Agreed)}, field{"count", number(e.Count)})
	}
	return append(list, field{"object", word(string(e.Object))}, field{"precedence", precedence(e)}, field{"asked", word(e.Asked)}, field{"due", dayText(e.Due)},
		field{"indicator", word(string(e.Indicator))}, field{"valueType", word(string(e.Value.Kind))}, field{"value", value(e)},
		field{"count", number(e.Count)}, field{"first", dayText(e.First)}, field{"last", dayText(e.Last)})
}

// marking returns the label as it stands in every format. An act that is about
// nothing with a marking is the node's own housekeeping and has none.
func marking(e *Event) string {
	if l := e.Label.String(); e.Kind != Audit || e.Label.Handled() || e.Label.Exercise != "" {
		return l
	}
	return ""
}

func value(e *Event) string {
	if e.Value.Text == "" {
		return ""
	}
	return clean(e.Value.String(), maxValue, false)
}

func precedence(e *Event) string {
	if e.Precedence == 0 {
		return ""
	}
	return e.Precedence.String()
}

func dayText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func hashText(h noroshi.Hash) string {
	if h.IsZero() {
		return ""
	}
	return h.String()
}

// text writes the MSG part: with a byte order mark unless it is ASCII, which
// needs none (RFC 5424 §6.4).
func text(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			b = append(b, "\ufeff"...)
			break
		}
	}
	return append(b, s...)
}

// param writes one SD-PARAM: '"', '\' and ']' are escaped (RFC 5424 §6.3.3).
func param(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, ' '), name...), `="`...)
	for i := range len(value) {
		if c := value[i]; c == '"' || c == '\\' || c == ']' {
			b = append(b, '\\')
		}
		b = append(b, value[i])
	}
	return append(b, '"')
}

// Frame appends a message with its length before it (RFC 5425 §4.3).
func Frame(b, msg []byte) []byte {
	b = strconv.AppendInt(b, int64(len(msg)), 10)
	return append(append(b, ' '), msg...)
}
