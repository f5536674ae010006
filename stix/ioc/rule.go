package ioc

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// What Suricata and Snort 3 rules have in common.

// A rule longer than this is not read: DETECT_MAX_RULE_SIZE of Suricata is 8192.
const maxRule = 8000

// A content longer than this is not written: older Suricata releases refuse
// patterns beyond 255 bytes.
const maxContent = 255

// rule is one rule before it has its number.
type rule struct {
	header string // from the action to the parenthesis
	match  string // the options that match, each ended by "; "
}

// content writes bytes as the argument of a content option. Whatever is no
// letter, digit or one of ".-_/" stands in hexadecimal between pipes, so that
// none of the characters that must be escaped (; \ " and | :, Suricata user
// guide "content"; Snort 3 reads the same notation) ever stands for itself.
func content(s string) string {
	var b strings.Builder
	b.WriteString(`content:"`)
	hex := false
	for i := range len(s) {
		c := s[i]
		plain := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' || c == '/'
		switch {
		case plain && hex:
			b.WriteByte('|')
		case !plain && !hex:
			b.WriteByte('|')
		case !plain:
			b.WriteByte(' ')
		}
		hex = !plain
		if plain {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%02X", c)
		}
	}
	if hex {
		b.WriteByte('|')
	}
	b.WriteByte('"')
	return b.String()
}

// message is the text an alert shows, marking first. ; \ and " are escaped with
// a backslash (Suricata user guide "msg"; the Snort 3 reader takes the
// character behind a backslash for itself).
func message(e *Entry, what string) string {
	name := oneLine(e.Name, 200)
	if name == "" {
		name = oneLine(e.ID, 100)
	}
	return "msg:\"" + ruleText.Replace("noroshi ["+oneLine(e.Marking, maxMarking)+"] "+clip(what, 200)+": "+name) + "\"; "
}

var ruleText = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `;`, `\;`)

// meta is the metadata option. Its values end at a comma or a semicolon and
// Snort 3 cuts them at parentheses and colons, for which there is no escape; so
// other characters than letters, digits and "._+-" become "_".
func meta(e *Entry) string {
	m := "metadata:indicator " + slug(e.ID) + ", marking " + slug(e.Marking)
	if e.Confidence > 0 {
		m += ", confidence " + strconv.Itoa(e.Confidence)
	}
	for _, t := range techniques(e) {
		m += ", mitre_technique_id " + t
	}
	return m + "; "
}

// slug makes a word of at most 100 safe characters.
func slug(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._+-", r) {
			return r
		}
		return '_'
	}, oneLine(s, 100))
	if s == "" {
		return "_"
	}
	return s
}

const maxReferences = 3

// references are the reference options. Suricata takes letters, digits and
// "-_./?=" in them and has no escape; other addresses are left out, they add
// nothing to the match.
func references(e *Entry) string {
	s, n := "", 0
	for _, r := range e.References {
		scheme, rest, found := strings.Cut(r, "://")
		if !found || scheme != "http" && scheme != "https" || rest == "" || len(rest) > 200 || n == maxReferences ||
			strings.Contains(rest, "//") || strings.Trim(rest, referenceChars) != "" || strings.ContainsFunc(rest, notReference) {
			continue
		}
		n++
		s += "reference:url," + rest + "; "
	}
	return s
}

const referenceChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./?="

func notReference(r rune) bool { return !strings.ContainsRune(referenceChars, r) }

// numbers ends a rule.
func numbers(sid uint32, modified time.Time) string {
	return fmt.Sprintf("classtype:trojan-activity; sid:%d; rev:%d;)", sid, rev(modified))
}

// rev is the revision of a rule: the second of modified, which grows with every
// version and fits 32 bits until 2106.
func rev(modified time.Time) uint32 {
	return uint32(max(1, min(modified.Unix(), 1<<32-2)))
}

// sid returns the number of rule r of value v, and whether the entry has it.
func (e *Entry) sid(v, r int) (uint32, bool) {
	n := uint64(v)*RulesPerValue + uint64(r)
	sid := uint64(e.SID) + n
	if e.SID == 0 || n >= uint64(e.SIDs) || sid >= 1<<32-1 || sid >= SetSIDBase && sid < SetSIDEnd {
		return 0, false
	}
	return uint32(sid), true
}

// rules writes the rules of value v; all or none.
func (f *out) rules(e *Entry, v int, what string, list []rule) Reason {
	texts := make([]string, 0, RulesPerValue)
	for r, one := range list {
		sid, ok := e.sid(v, r)
		if !ok {
			return NoSID
		}
		text := one.header + " (" + message(e, what) + one.match + meta(e) + references(e) + numbers(sid, e.Modified)
		if len(text) > maxRule {
			return TooLong
		}
		texts = append(texts, text)
	}
	for _, text := range texts {
		f.line(text)
	}
	return ""
}
