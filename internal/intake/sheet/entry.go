package sheet

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/stix"
)

// Entry is what a row says.
type Entry struct {
	Value       noroshi.Value
	Name        string
	Description string
	ValidFrom   stix.Time // zero = not said
	ValidUntil  stix.Time
	Confidence  int    // 0 to 100, -1 = not said
	Marking     string // its word, or what the mapping says for it; "" = not said
	Labels      []string
	Reference   string // a URL
}

// maxLabels bounds the labels of one row.
const maxLabels = 50

// kindWords are the words a kind column may have, folded, and what they mean;
// "" is told by the value, which must then be of the class.
var kindWords = map[string][]string{
	"domainname": {"domain-name"}, "domain": {"domain-name"}, "hostname": {"domain-name"}, "host": {"domain-name"}, "fqdn": {"domain-name"},
	"ipv4addr": {"ipv4-addr"}, "ipv6addr": {"ipv6-addr"},
	"ip": {"", "ipv4-addr", "ipv6-addr", "ip-net", "ip-port"}, "ipaddress": {"", "ipv4-addr", "ipv6-addr", "ip-net", "ip-port"},
	"ipaddr": {"", "ipv4-addr", "ipv6-addr", "ip-net", "ip-port"}, "ipv4": {"", "ipv4-addr", "ip-net", "ip-port"}, "ipv6": {"", "ipv6-addr", "ip-net", "ip-port"},
	"ipsrc": {"", "ipv4-addr", "ipv6-addr", "ip-net"}, "ipdst": {"", "ipv4-addr", "ipv6-addr", "ip-net"},
	"ipnet": {"ip-net"}, "cidr": {"ip-net"}, "network": {"ip-net"}, "subnet": {"ip-net"}, "ipv4net": {"ipv4-net"}, "ipv6net": {"ipv6-net"},
	"ipport": {"ip-port"}, "ipv4port": {"ipv4-port"}, "ipv6port": {"ipv6-port"},
	"url": {"url"}, "uri": {"url"}, "link": {"url"}, "urlpart": {"url-part"},
	"md5": {"md5"}, "sha1": {"sha-1"}, "sha256": {"sha-256"}, "sha512": {"sha-512"},
	"filehashmd5": {"md5"}, "filehashsha1": {"sha-1"}, "filehashsha256": {"sha-256"}, "filehashsha512": {"sha-512"},
	"md5hash": {"md5"}, "sha1hash": {"sha-1"}, "sha256hash": {"sha-256"}, "sha512hash": {"sha-512"},
	"hash": {"", "md5", "sha-1", "sha-256", "sha-512"}, "filehash": {"", "md5", "sha-1", "sha-256", "sha-512"},
	"emailaddr": {"email-addr"}, "email": {"email-addr"}, "mail": {"email-addr"}, "emailaddress": {"email-addr"}, "emailsrc": {"email-addr"},
	"ドメイン": {"domain-name"}, "ドメイン名": {"domain-name"}, "ホスト名": {"domain-name"}, "ipアドレス": {"", "ipv4-addr", "ipv6-addr", "ip-net", "ip-port"},
	"ハッシュ": {"", "md5", "sha-1", "sha-256", "sha-512"}, "ハッシュ値": {"", "md5", "sha-1", "sha-256", "sha-512"}, "メールアドレス": {"email-addr"},
}

// confidences are words for a confidence (STIX 2.1 appendix A).
var confidences = map[string]int{"none": 0, "low": 15, "medium": 50, "med": 50, "high": 85, "低": 15, "中": 50, "高": 85}

// fold returns a word as words are compared.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// Read says what a row means. The error names the field.
func (m *Mapping) Read(d *Dialect, cells []string) (e Entry, err error) {
	cell := func(field string) string {
		i, ok := d.column[field]
		if !ok || i >= len(cells) {
			return ""
		}
		return strings.TrimSpace(cells[i])
	}
	e = Entry{Name: oneLine(cell("name")), Description: cell("description"), Confidence: -1, Reference: cell("reference")}
	if e.Value, err = m.value(cell("value"), cell("kind")); err != nil {
		return e, err
	}
	if e.ValidFrom, err = m.time("valid_from", cell("valid_from")); err != nil {
		return e, err
	}
	if e.ValidUntil, err = m.time("valid_until", cell("valid_until")); err != nil {
		return e, err
	}
	if !e.ValidFrom.IsZero() && !e.ValidUntil.IsZero() && e.ValidUntil.Compare(e.ValidFrom) <= 0 {
		return e, noroshi.Errorf(noroshi.Invalid, "sheet.until", "valid_until: %s is not after valid_from %s", e.ValidUntil, e.ValidFrom)
	}
	if e.Confidence, err = confidence(cell("confidence")); err != nil {
		return e, err
	}
	if text := e.Reference; text != "" && (!strings.Contains(text, "://") || strings.ContainsAny(text, " \t\r\n")) {
		return e, noroshi.Errorf(noroshi.Invalid, "sheet.reference", "reference: %q is no URL", clip(text))
	}
	if e.Labels, err = labels(cell("labels")); err != nil {
		return e, err
	}
	e.Marking = m.word(m.Markings, cell("marking"))
	return e, nil
}

func (m *Mapping) value(text, kind string) (noroshi.Value, error) {
	if text == "" {
		return noroshi.Value{}, noroshi.Errorf(noroshi.Invalid, "sheet.empty", "value: the cell is empty")
	}
	as := []string{""}
	if kind != "" {
		var ok bool
		if as, ok = kindWords[fold(m.word(m.Kinds, kind))]; !ok {
			return noroshi.Value{}, noroshi.Errorf(noroshi.Invalid, "sheet.kind", "kind: %q is not known; a mapping file can say what it means", clip(kind))
		}
	}
	var v noroshi.Value
	var err error
	if as[0] == "" {
		v, err = detect.ParseValue(text)
	} else {
		v, err = detect.ParseKindValue(as[0], text)
	}
	if err != nil {
		return v, fmt.Errorf("value: %w", err)
	}
	for _, k := range as[1:] {
		if string(v.Kind) == k {
			return v, nil
		}
	}
	if len(as) > 1 {
		return v, noroshi.Errorf(noroshi.Invalid, "sheet.not-kind", "value: %q is no %s", clip(text), clip(kind))
	}
	return v, nil
}

// word returns what a mapping says for a word, else the word.
func (m *Mapping) word(words map[string]string, word string) string {
	for _, w := range slices.Sorted(maps.Keys(words)) {
		if fold(w) == fold(word) {
			return words[w]
		}
	}
	return word
}

func confidence(text string) (int, error) {
	if text == "" {
		return -1, nil
	}
	if n, ok := confidences[strings.ToLower(text)]; ok {
		return n, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 100 {
		return -1, noroshi.Errorf(noroshi.Invalid, "sheet.confidence", "confidence: %q is no whole number from 0 to 100", clip(text))
	}
	return n, nil
}

func labels(text string) ([]string, error) {
	var list []string
	for l := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(",;|、\n", r) }) {
		if l = oneLine(strings.TrimSpace(l)); l != "" {
			list = append(list, l)
		}
	}
	if len(list) > maxLabels {
		return nil, noroshi.Errorf(noroshi.Invalid, "sheet.labels", "labels: more than %d", maxLabels)
	}
	return list, nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// timeForms are what spreadsheets write, with and without a zone.
var timeForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
	"2006/1/2 15:04:05", "2006/1/2 15:04", "2006/1/2", "2006年1月2日", "20060102"}

func (m *Mapping) time(field, text string) (stix.Time, error) {
	if text == "" {
		return stix.Time{}, nil
	}
	text = strings.TrimSuffix(text, " UTC")
	zone, err := zoneOf(m.Zone)
	if err != nil {
		return stix.Time{}, err
	}
	for _, form := range timeForms {
		if t, err := time.ParseInLocation(form, text, zone); err == nil && t.Year() >= 1970 && t.Year() < 9999 {
			return stix.TimeOf(t), nil
		}
	}
	return stix.Time{}, noroshi.Errorf(noroshi.Invalid, "sheet.time", "%s: %q is no time such as 2026-01-31 or 2026-01-31T15:04:05Z", field, clip(text))
}

func zoneOf(text string) (*time.Location, error) {
	if text == "" {
		return time.UTC, nil
	}
	t, err := time.Parse("Z07:00", text)
	if err != nil {
		return nil, err
	}
	_, offset := t.Zone()
	return time.FixedZone(text, offset), nil
}
