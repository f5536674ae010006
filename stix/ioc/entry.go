package ioc

import (
	"time"
)

// Kind says what a value is. The words are those of noroshi's value kinds.
type Kind string

// The kinds of values. Text forms are normal: addresses as net/netip prints
// them, networks masked, names in lower-case A-labels without trailing dot,
// hashes in lower-case hexadecimal, URLs in ASCII without user and fragment.
const (
	IPv4       Kind = "ipv4-addr"
	IPv6       Kind = "ipv6-addr"
	CIDR       Kind = "ip-net"
	AddrPort   Kind = "ip-port"     // Text is the address, Port the port
	DomainName Kind = "domain-name" // the name and every name below it
	URL        Kind = "url"
	URLPart    Kind = "url-part" // host and path without scheme, or /path: every URL that begins with it
	MD5        Kind = "md5"
	SHA1       Kind = "sha-1"
	SHA256     Kind = "sha-256"
	SHA512     Kind = "sha-512"
	EmailAddr  Kind = "email-addr"
)

// Value is one thing an indicator names.
type Value struct {
	Kind Kind
	Text string
	Port uint16 // AddrPort only
}

// Entry is one indicator with its values. All text may be hostile.
type Entry struct {
	ID          string // STIX id of the indicator
	Name        string
	Description string
	Modified    time.Time
	ValidUntil  time.Time // zero: no end
	Confidence  int       // 0 to 100 (STIX 2.1 §3.2); 0 also when none is given
	Marking     string    // banner text such as "TLP:AMBER", in an exercise saying so; an entry without one is not written
	Techniques  []string  // ATT&CK ids, T1059 or T1059.001
	References  []string  // URLs of reports
	Values      []Value

	// SID is the first of SIDs consecutive rule numbers that belong to this
	// entry for ever (Suricata, Snort). Rule r of value v has the number
	// SID + v*RulesPerValue + r, so that one rule keeps its number when others
	// come or go. SIDs must be unique over all files a sensor loads; the
	// numbers from SetSIDBase to SetSIDEnd are taken by the rules of datasets.
	SID  uint32
	SIDs uint32
}

// RulesPerValue is how many rules one value may take: an entry that is to keep
// all its rules has SIDs = RulesPerValue * len(Values).
const RulesPerValue = 3

// Options of all writers. The zero value is usable but for RPZ.
type Options struct {
	Node    string    // name of the node, in the header
	Made    time.Time // when the file is made: in the header, and the measure of ValidUntil
	Marking string    // highest marking in the file, in the header
	Count   int       // entries to come, in the header; 0 leaves the line out

	Individual bool   // Suricata: a rule for each value instead of datasets
	Sinkhole   string // Hosts: the address names are pointed at; "" is 0.0.0.0
	RPZ        ZoneOptions
	Navigator  LayerOptions
}

// Reason says why a value is not in a file.
type Reason string

// The reasons.
const (
	NotCarried Reason = "not-carried" // the format has no place for this kind
	NotValid   Reason = "not-valid"   // the text is not of its kind
	NotAName   Reason = "not-a-name"  // no name the DNS can hold, or too long below the zone
	Reserved   Reason = "reserved"    // a name with a meaning of its own: localhost, a single label, rpz-ip
	TooLong    Reason = "too-long"    // longer than the tool reads
	NoSID      Reason = "no-sid"      // the entry's rule numbers are used up, or none was given
	NoValue    Reason = "no-value"    // the entry has no value; for a layer, no technique
	Unmarked   Reason = "unmarked"    // the entry has no marking text
	Expired    Reason = "expired"     // ValidUntil is not after Made
	ManyMarks  Reason = "many-marks"  // more than MaxMarkings different markings in one export
)

// Skip is a value that was not written; Value is empty when the whole entry was
// left out.
type Skip struct {
	ID     string
	Value  Value
	Reason Reason
}

// MaxExamples bounds Result.Examples.
const MaxExamples = 20

// Result says what became of the entries.
type Result struct {
	Entries  int            // read
	Carried  int            // entries of which at least one value is in the file or its sets
	Values   int            // values written
	Lines    int            // lines, rules or objects written, without comments
	Skipped  map[Reason]int // values (or whole entries) left out
	Examples []Skip         // the first MaxExamples of them
	Sets     []Set          // Suricata: the dataset files that belong to the rules
}
