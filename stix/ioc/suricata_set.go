package ioc

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
)

// The rule numbers of datasets: SetSIDBase + 16*(24 bits of the marking's
// SHA-256) + the place of the rule, so that they stay when other markings come
// or go.
const (
	SetSIDBase = 3_000_000_000
	SetSIDEnd  = SetSIDBase + 1<<28
)

// MaxMarkings bounds how many different markings one Suricata export may have.
const MaxMarkings = 256

// Set is a dataset file beside a Suricata rules file: the values of one kind
// with one marking, one a line and nothing else, for a dataset file can hold no
// comment. String values are in base64 (Suricata user guide "Datasets, File
// formats").
type Set struct {
	Name    string    // of the dataset
	File    string    // name of the file; the rules load it from their own folder
	Kind    string    // "domain", "address", "md5", "sha1" or "sha256"
	Marking string    // of every value in it
	Values  int       // how many
	Newest  time.Time // latest Modified of its entries

	tag uint32 // 24 bits of the marking's hash
}

// setKind is a kind of dataset with its rules.
type setKind struct {
	name  string
	hash  bool
	rules func(s *Set) []rule
	first uint32 // place of the first rule among the 16 of a marking
}

var setKinds = []*setKind{
	{name: "domain", rules: domainSet, first: 0},
	{name: "address", rules: addressSet, first: 5},
	{name: "md5", hash: true, rules: hashSet("filemd5"), first: 7},
	{name: "sha1", hash: true, rules: hashSet("filesha1"), first: 10},
	{name: "sha256", hash: true, rules: hashSet("filesha256"), first: 13},
}

// setOf returns the kind of dataset for a kind of value, nil when there is none.
func setOf(k Kind) *setKind {
	switch k {
	case DomainName:
		return setKinds[0]
	case IPv4, IPv6:
		return setKinds[1]
	case MD5:
		return setKinds[2]
	case SHA1:
		return setKinds[3]
	case SHA256:
		return setKinds[4]
	}
	return nil
}

// domainSet looks for exact names. dns.query and tls.sni are in the case the
// client sent; the transform to lower case came with Suricata 8, so there is a
// rule for it and one for older versions, and requires keeps each where it
// works (user guide "requires").
func domainSet(s *Set) []rule {
	set := "dataset:isset," + s.Name + ",type string,load " + s.File + s.room() + "; "
	const new, old = "requires: version >= 8; ", "requires: version >= 7.0.3 < 8; "
	return []rule{
		{"alert dns any any -> any any", new + "dns.query; to_lowercase; " + set},
		{"alert dns any any -> any any", old + "dns.query; " + set},
		{"alert tls any any -> any any", new + "tls.sni; to_lowercase; " + set},
		{"alert tls any any -> any any", old + "tls.sni; " + set},
		{"alert http any any -> any any", "flow:established,to_server; http.host; " + set},
	}
}

// What Suricata gives a dataset unless a rule says otherwise, and the most it
// lets a rule ask for (datasets.defaults, datasets.limits.single-hashsize).
const (
	defaultRows = 4096
	maxRows     = 65536
	defaultMB   = 100
	valueBytes  = 512 // of memory for a value, generously
)

// room asks for the memory and the hash table a large set needs. Both grow in
// powers of two, so that a rule seldom changes.
func (s *Set) room() string {
	if s.Values <= defaultRows {
		return ""
	}
	rows, mb := defaultRows, defaultMB
	for rows < s.Values && rows < maxRows {
		rows *= 2
	}
	for mb<<20 < s.Values*valueBytes {
		mb *= 2
	}
	return fmt.Sprintf(",memcap %dmb,hashsize %d", mb, rows)
}

// addressSet looks for both ends (user guide "ip.src", "ip.dst").
func addressSet(s *Set) []rule {
	set := "dataset:isset," + s.Name + ",type ip,load " + s.File + s.room() + "; "
	return []rule{
		{"alert ip any any -> any any", "flow:to_server; ip.dst; " + set},
		{"alert ip any any -> any any", "flow:to_server; ip.src; " + set},
	}
}

// hashSet looks for files (user guide "filemd5", "filesha1", "filesha256").
func hashSet(keyword string) func(s *Set) []rule {
	return func(s *Set) []rule {
		return []rule{
			{"alert http any any -> any any", keyword + ":" + s.File + "; "},
			{"alert smtp any any -> any any", keyword + ":" + s.File + "; "},
			{"alert smb any any -> any any", keyword + ":" + s.File + "; "},
		}
	}
}

// setRules writes the rules that load a dataset.
func (f *out) setRules(s Set) {
	kind := setKinds[slices.IndexFunc(setKinds, func(k *setKind) bool { return k.name == s.Kind })]
	e := Entry{ID: s.Name, Name: f.o.Node + " " + s.Kind + " list", Marking: s.Marking, Modified: s.Newest}
	for i, r := range kind.rules(&s) {
		sid := SetSIDBase + s.tag<<4 + kind.first + uint32(i)
		f.line(r.header, " (", message(&e, s.Kind), r.match, meta(&e), numbers(sid, s.Newest))
	}
}

// sets collects which datasets an export has.
type sets struct {
	all  map[setKey]*Set
	tags map[uint32]string // marking by tag
}

type setKey struct {
	kind    *setKind
	marking string
}

func newSets() *sets { return &sets{all: map[setKey]*Set{}, tags: map[uint32]string{}} }

// add counts a value of an entry. Two markings with one tag, which 24 bits make
// unlikely, are refused rather than given one number.
func (s *sets) add(kind *setKind, e *Entry) Reason {
	key := setKey{kind, e.Marking}
	set := s.all[key]
	if set == nil {
		made := newSet(kind.name, e.Marking)
		if other, taken := s.tags[made.tag]; taken && other != e.Marking || !taken && len(s.tags) == MaxMarkings {
			return ManyMarks
		}
		s.tags[made.tag] = e.Marking
		set, s.all[key] = &made, &made
	}
	set.Values++
	if e.Modified.After(set.Newest) {
		set.Newest = e.Modified
	}
	return ""
}

// newSet names the dataset of a kind and marking. The name has at most 63
// characters (DATASET_NAME_MAX_LEN).
func newSet(kind, marking string) Set {
	h := sha256.Sum256([]byte(marking))
	word := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(slug(marking))), "-")
	name := "noroshi-" + kind + "-" + word[:min(len(word), 24)] + "-" + hex.EncodeToString(h[:3])
	return Set{Name: name, File: name + ".lst", Kind: kind, Marking: marking, tag: binary.BigEndian.Uint32(h[:4]) >> 8}
}

// list returns the sets by kind and marking.
func (s *sets) list() []Set {
	list := make([]Set, 0, len(s.all))
	for _, set := range s.all {
		list = append(list, *set)
	}
	slices.SortFunc(list, func(a, b Set) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Marking, b.Marking))
	})
	return list
}

// SuricataSet writes the file of one dataset, as named by a Result of Suricata
// on the same entries. What does not belong into it is not counted as left out.
func SuricataSet(w io.Writer, set Set, entries iter.Seq[Entry], o Options) (Result, error) {
	f := newOut(w, &o)
	for e := range entries {
		if f.err != nil {
			break
		}
		f.res.Entries++
		if e.Marking != set.Marking || f.withheld(&e) != "" {
			continue
		}
		before := f.res.Values
		for _, v := range e.Values {
			f.setLine(set.Kind, v)
		}
		if f.res.Values > before {
			f.res.Carried++
		}
	}
	return f.close()
}

// setLine writes a value into the set of its kind.
func (f *out) setLine(kind string, v Value) {
	k := setOf(v.Kind)
	if k == nil || k.name != kind {
		return
	}
	p, r := parse(v)
	if r != "" {
		return
	}
	f.res.Values++
	if kind == "domain" {
		f.line(base64.StdEncoding.EncodeToString([]byte(p.text)))
		return
	}
	f.line(p.text)
}
