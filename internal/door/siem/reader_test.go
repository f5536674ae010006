package siem_test

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// header5424 is the HEADER of RFC 5424 §6, each field by its rule.
var header5424 = regexp.MustCompile(`^<([0-9]{1,3})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) `)

// readSyslog reads a message by the grammar of RFC 5424 §6 and returns its one
// SD-ELEMENT and its MSG.
func readSyslog(t rapid.TB, msg string) (params map[string]string, text string) {
	t.Helper()
	head := header5424.FindString(msg)
	if head == "" {
		t.Fatalf("no header of RFC 5424: %q", msg)
	}
	rest := msg[len(head):]
	params = map[string]string{}
	id := regexp.MustCompile(`^\[[!#-<>-\\^-~]{1,32}`).FindString(rest)
	if id != "[noroshi@32473" {
		t.Fatalf("SD-ID %q in %q", id, msg)
	}
	for rest = rest[len(id):]; strings.HasPrefix(rest, " "); {
		name := regexp.MustCompile(`^ ([!#-<>-\\^-~]{1,32})="`).FindStringSubmatch(rest)
		if name == nil {
			t.Fatalf("no SD-PARAM at %q", rest)
		}
		var value strings.Builder
		i := len(name[0])
		for ; rest[i] != '"'; i++ {
			if rest[i] == ']' {
				t.Fatalf("a bare ] in the value of %s: %q", name[1], msg)
			}
			if rest[i] == '\\' && strings.IndexByte(`"\]`, rest[i+1]) >= 0 {
				i++
			}
			value.WriteByte(rest[i])
		}
		if _, twice := params[name[1]]; twice {
			t.Fatalf("%s stands twice in %q", name[1], msg)
		}
		if !utf8.ValidString(value.String()) {
			t.Fatalf("%s is no UTF-8", name[1])
		}
		params[name[1]] = value.String()
		rest = rest[i+1:]
	}
	if !strings.HasPrefix(rest, "] ") {
		t.Fatalf("the structured data do not end: %q", rest)
	}
	text = rest[2:]
	bom := strings.HasPrefix(text, "\ufeff")
	text = strings.TrimPrefix(text, "\ufeff")
	ascii := strings.IndexFunc(text, func(r rune) bool { return r > 126 }) < 0
	if bom == ascii || !utf8.ValidString(text) || strings.ContainsAny(text, "\n\r\x00") {
		t.Fatalf("MSG with BOM %v: %q", bom, text)
	}
	return params, text
}

// cefKeys are the keys of the dictionary the events use; custom ones go by
// their label.
var cefKeys = regexp.MustCompile(`^[a-zA-Z0-9]+$`)

// readCEF reads a CEF line: seven fields parted by bars no backslash stands
// before, then key=value, a value ending where " key=" begins.
func readCEF(t rapid.TB, line string) (name string, fields map[string]string) {
	t.Helper()
	var head []string
	var f strings.Builder
	i := 0
	for ; len(head) < 7 && i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			if i++; line[i] != '\\' && line[i] != '|' {
				t.Fatalf("escape \\%c in the header of %q", line[i], line)
			}
			f.WriteByte(line[i])
		case c == '|':
			head = append(head, f.String())
			f.Reset()
		default:
			f.WriteByte(c)
		}
	}
	if len(head) != 7 || head[0] != "CEF:0" || !regexp.MustCompile(`^([0-9]|10)$`).MatchString(head[6]) {
		t.Fatalf("header %q of %q", head, line)
	}
	raw := map[string]string{}
	rest := line[i:]
	for rest != "" {
		key, after, ok := strings.Cut(rest, "=")
		if !ok || !cefKeys.MatchString(key) {
			t.Fatalf("no key at %q of %q", rest, line)
		}
		value, next := cefValue(t, after)
		if _, twice := raw[key]; twice {
			t.Fatalf("%s stands twice in %q", key, line)
		}
		raw[key], rest = value, next
	}
	fields = map[string]string{}
	for k, v := range raw {
		switch l, custom := raw[k+"Label"]; {
		case custom:
			fields[l] = v
		case strings.HasSuffix(k, "Label"):
		case k == "externalId":
			fields["id"] = v
		case k == "msg":
			fields["text"] = v
		default:
			fields[k] = v
		}
	}
	return head[5], fields
}

// cefValue reads a value up to the last space before the next "=" that no
// backslash stands before.
func cefValue(t rapid.TB, s string) (value, rest string) {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			i++
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case '\\', '=':
				b.WriteByte(s[i])
			default:
				t.Fatalf("escape \\%c in an extension", s[i])
			}
		case '=':
			at := strings.LastIndexByte(s[:i], ' ')
			if at < 0 {
				t.Fatalf("a bare = in %q", s)
			}
			key := s[at+1 : i]
			return strings.TrimSuffix(b.String(), " "+key), s[at+1:]
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}
