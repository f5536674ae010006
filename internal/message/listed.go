package message

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// The list profile carries indicators a node made of a list's entries: all their
// bytes are a function of its identity, the list's name, the time of the first
// import and the value (docs/wire.md §6), and their ids UUIDv5 of these. What is
// not made so exactly is not coded so.

// listPatterns are the kinds of values and what their pattern is around the
// value. Values with a quote, a backslash or what JSON escapes do not go so.
var listPatterns = []struct {
	kind          noroshi.ValueKind
	before, after string
}{
	{noroshi.DomainName, "[domain-name:value = '", "']"},
	{noroshi.IPv4, "[ipv4-addr:value = '", "']"},
	{noroshi.IPv6, "[ipv6-addr:value = '", "']"},
	{noroshi.URL, "[url:value = '", "']"},
	{noroshi.EmailAddr, "[email-addr:value = '", "']"},
	{noroshi.MD5, "[file:hashes.MD5 = '", "']"},
	{noroshi.SHA1, "[file:hashes.'SHA-1' = '", "']"},
	{noroshi.SHA256, "[file:hashes.'SHA-256' = '", "']"},
	{noroshi.SHA512, "[file:hashes.'SHA-512' = '", "']"},
}

// ListIndicator makes the bytes of a list-made indicator: of the identity that
// made it, the list's name, the time of its first import, and an entry, for the
// nth time. They are those of intake, which a test holds.
func ListIndicator(self, name, at string, kind noroshi.ValueKind, value string, nth int) []byte {
	for _, p := range listPatterns {
		if p.kind == kind {
			return listIndicator(self, name, at, p.before+value+p.after, string(kind), value, nth)
		}
	}
	return nil
}

func listIndicator(self, name, at, pattern, kind, value string, nth int) []byte {
	var space [16]byte
	if !uuidOf(self, &space) {
		return nil
	}
	seed := name + "\n" + kind + "\n" + value
	if nth > 1 {
		seed += "\n" + strconv.Itoa(nth)
	}
	var b bytes.Buffer
	b.WriteString(`{"type":"indicator","spec_version":"2.1","id":"` + string(stix.DeriveID("indicator", space, seed)))
	b.WriteString(`","created_by_ref":"` + self + `","created":"` + at + `","modified":"` + at + `","name":"` + name)
	b.WriteString(`","indicator_types":["malicious-activity"],"pattern":"` + pattern)
	b.WriteString(`","pattern_type":"stix","pattern_version":"2.1","valid_from":"` + at + `"}`)
	return b.Bytes()
}

// wireListed is the list profile of a content.
type wireListed struct {
	_      struct{} `cbor:",toarray"`
	Self   [16]byte // of the identity
	Name   string
	At     string
	Size   uint32 // of the lines
	Packed []byte // zstd frame of the lines
}

// maxListed bounds the lines of one list: a batch's values.
const maxListed = MaxBatchLen

// packList codes a content in the list profile; nil when it is not made so.
func packList(content []byte) []byte {
	objects, err := DecodeObjects(content)
	if err != nil {
		return nil
	}
	var w wireListed
	var lines []byte
	var self string
	kind := -1
	for i, o := range objects {
		e, ok := readListed(o.Bytes)
		if i == 0 && ok {
			self, w.Name, w.At = e.CreatedBy, e.Name, e.Created
		}
		k, value := e.value()
		if !ok || o.View != 0 || k < 0 || e.CreatedBy != self || e.Name != w.Name || e.Created != w.At {
			return nil
		}
		nth := e.nth(o.Bytes, k, value)
		if nth == 0 {
			return nil
		}
		if k != kind {
			lines = append(lines, 1, byte('A'+k))
			kind = k
		}
		lines = append(lines, value...)
		if nth > 1 {
			lines = append(lines, 2, byte('0'+nth))
		}
		lines = append(lines, '\n')
	}
	if len(lines) > maxListed || !uuidOf(self, &w.Self) {
		return nil
	}
	w.Size, w.Packed = uint32(len(lines)), lineCompressor().EncodeAll(lines, nil)
	b := encode(w)
	if again, err := unpackList(b, len(content)); err != nil || !bytes.Equal(again, content) {
		return nil // our own reading decides whether it is used
	}
	return b
}

// unpackList makes the content again.
func unpackList(b []byte, size int) ([]byte, error) {
	var w wireListed
	if err := decode("list", b, &w); err != nil {
		return nil, err
	}
	if w.Size > maxListed || size > MaxBatchLen {
		return nil, badFrame("list is too long")
	}
	if err := checkFrame(w.Packed, int(w.Size), 0); err != nil {
		return nil, err
	}
	lines, err := decompressor().DecodeAll(w.Packed, make([]byte, 0, w.Size))
	if err != nil {
		return nil, badFrame(err.Error())
	}
	objects, err := w.objects(lines, size)
	if err != nil {
		return nil, err
	}
	content := EncodeObjects(objects)
	if len(content) != size {
		return nil, badFrame("list does not make the signed length")
	}
	return content, nil
}

func (w *wireListed) objects(lines []byte, size int) (list []Object, err error) {
	self := "identity--" + uuidText(w.Self)
	kind, made := -1, 0
	for line := range bytes.Lines(lines) {
		text, ok := bytes.CutSuffix(line, []byte("\n"))
		if len(text) > 1 && text[0] == 1 {
			kind, text = int(text[1])-'A', text[2:]
		}
		nth := 1
		if n := len(text); n > 1 && text[n-2] == 2 {
			nth, text = int(text[n-1])-'0', text[:n-2]
		}
		if !ok || kind < 0 || kind >= len(listPatterns) || nth < 1 || nth > maxNth || len(list) == MaxBatch {
			return nil, badFrame("a line of the list is malformed")
		}
		p := listPatterns[kind]
		o := listIndicator(self, w.Name, w.At, p.before+string(text)+p.after, string(p.kind), string(text), nth)
		if made += len(o); made > size {
			return nil, badFrame("list makes more than the signed length")
		}
		list = append(list, Object{Bytes: o})
	}
	return list, nil
}

// listEntry is what a list-made indicator is made of, as it reads.
type listEntry struct {
	CreatedBy string `json:"created_by_ref"`
	Created   string `json:"created"`
	Name      string `json:"name"`
	Pattern   string `json:"pattern"`
}

// maxNth is how often an entry may be back to be coded.
const maxNth = 9

func readListed(o []byte) (e listEntry, ok bool) {
	return e, json.Unmarshal(o, &e) == nil
}

// value takes the pattern apart; -1 when it is none of a list.
func (e listEntry) value() (kind int, value string) {
	for i, p := range listPatterns {
		v, ok := strings.CutPrefix(e.Pattern, p.before)
		if v, end := strings.CutSuffix(v, p.after); ok && end && plain(v) {
			return i, v
		}
	}
	return -1, ""
}

// plain reports whether a value stands in pattern and JSON as it is.
func plain(v string) bool {
	for _, c := range []byte(v) {
		if c < ' ' || c == '\'' || c == '"' || c == '\\' {
			return false
		}
	}
	return v != ""
}

// nth finds for the how manieth time the entry is there, by making it again; 0
// when the object is made of something else.
func (e listEntry) nth(o []byte, kind int, value string) int {
	p := listPatterns[kind]
	for n := 1; n <= maxNth; n++ {
		if bytes.Equal(listIndicator(e.CreatedBy, e.Name, e.Created, e.Pattern, string(p.kind), value, n), o) {
			return n
		}
	}
	return 0
}

func uuidOf(identity string, u *[16]byte) bool {
	text, ok := strings.CutPrefix(identity, "identity--")
	n, err := hex.Decode(u[:], []byte(strings.ReplaceAll(text, "-", "")))
	return ok && err == nil && n == 16 && uuidText(*u) == text
}

func uuidText(u [16]byte) string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
