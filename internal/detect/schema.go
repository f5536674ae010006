package detect

import "math/bits"

// schema says which members of an object are wanted. Zeek's logs and EVE
// records are told apart by content: what only one of them has is looked for in
// every line, and "host", which both have and mean differently, is sorted out
// at the end of the line.
type schema struct {
	rules []rule
	mul   uint64
	slots [256]*rule // by the hash of the name
}

// rule says what to do with a member.
type rule struct {
	name  string
	field string // Hit.Field
	do    action
	end   int     // which end of the connection, for doAddr and doPort
	sub   *schema // of objects inside, also inside an array
	bit   uint64  // the rule's own in its schema
	key   key     // of the name
}

// action says what a member's strings and numbers are.
type action uint8

const (
	doNothing action = iota
	doTime
	doZeekLog
	doEveLog
	doName   // a name or an address
	doAnswer // the same, but text with a space is a TXT answer
	doMail
	doHash
	doHost
	doURI
	doURL // a whole URL
	doAddr
	doPort
)

// maxMultipliers bounds the search for one that fits: the 46 names of the
// largest schema find one among some hundred.
const maxMultipliers = 1 << 20

// newSchema finds a multiplier under which no two names share a slot.
func newSchema(rules ...rule) *schema {
	sc := &schema{rules: rules, mul: 0x9e3779b97f4a7c15}
	for i := range rules {
		r := &rules[i]
		if len(r.name) > maxWanted || i == 64 {
			panic("detect: " + r.name + " is longer than maxWanted, or there are more than 64 names")
		}
		r.bit, r.key = 1<<i, keyOf(append(make([]byte, 0, maxWanted), r.name...))
		if r.field == "" {
			r.field = r.name
		}
	}
	for range maxMultipliers {
		if sc.fill() {
			return sc
		}
		sc.mul *= 0xd1342543de82ef95
	}
	panic("detect: two names of the schema that begins with " + rules[0].name + " share every slot")
}

func (sc *schema) fill() bool {
	clear(sc.slots[:])
	for i := range sc.rules {
		r := &sc.rules[i]
		at := &sc.slots[r.key.slot(sc.mul)]
		if *at != nil {
			return false
		}
		*at = r
	}
	return true
}

// find returns the rule of a name, nil when there is none.
func (sc *schema) find(name []byte) *rule {
	if len(name) > maxWanted {
		return nil
	}
	if cap(name) < maxWanted {
		var room [maxWanted]byte
		name = append(room[:0], name...)
	}
	k := keyOf(name)
	if r := sc.slots[k.slot(sc.mul)]; r != nil && r.key == k {
		return r
	}
	return nil
}

// maxWanted is the length up to which a name is told by its key.
const maxWanted = 16

// key is a name of up to maxWanted bytes as its length, its first eight and its
// last eight bytes; of a shorter one both are the whole, behind zeros.
type key struct {
	head, tail uint64
	n          int
}

// keyOf wants a name with room for maxWanted bytes. It looks at what stands
// there behind the name, but lets it count for nothing: so names of all lengths
// go the same way.
func keyOf(name []byte) key {
	n, b := len(name), name[:maxWanted]
	spare := (64 - 8*min(n, 8)) & 63
	return key{word(b, 0) << spare, word(b, max(n, 8)-8) << spare, n}
}

func (k key) slot(mul uint64) uint8 {
	return uint8((k.head ^ bits.RotateLeft64(k.tail, 29) ^ uint64(k.n)) * mul >> 56)
}

// The ends of a connection.
const (
	endOrig = iota
	endResp
	endSrc // of a Zeek notice
	endDst
	ends
)

// answerSchema is one DNS record of EVE: version 2 and 3 answers, and the flat
// form of version 1.
var answerSchema = newSchema(
	rule{name: "rrname", field: "dns.rrname", do: doName},
	rule{name: "rdata", field: "dns.rdata", do: doAnswer},
)

var topSchema = newSchema(
	// Zeek: https://docs.zeek.org, "Zeek Log Formats and Inspection", JSON.
	rule{name: "ts", do: doTime},
	rule{name: "_path", do: doZeekLog},
	rule{name: "id.orig_h", do: doAddr, end: endOrig},
	rule{name: "id.orig_p", do: doPort, end: endOrig},
	rule{name: "id.resp_h", do: doAddr, end: endResp},
	rule{name: "id.resp_p", do: doPort, end: endResp},
	rule{name: "id", sub: newSchema(
		rule{name: "orig_h", field: "id.orig_h", do: doAddr, end: endOrig},
		rule{name: "orig_p", field: "id.orig_p", do: doPort, end: endOrig},
		rule{name: "resp_h", field: "id.resp_h", do: doAddr, end: endResp},
		rule{name: "resp_p", field: "id.resp_p", do: doPort, end: endResp},
	)},
	rule{name: "src", do: doAddr, end: endSrc},
	rule{name: "dst", do: doAddr, end: endDst},
	rule{name: "p", do: doPort, end: endDst},
	rule{name: "query", do: doName},
	rule{name: "answers", do: doAnswer},
	rule{name: "server_name", do: doName},
	rule{name: "host", do: doHost},
	rule{name: "uri", do: doURI},
	rule{name: "helo", do: doName},
	rule{name: "mailfrom", do: doMail},
	rule{name: "rcptto", do: doMail},
	rule{name: "from", do: doMail},
	rule{name: "to", do: doMail},
	rule{name: "cc", do: doMail},
	rule{name: "reply_to", do: doMail},
	rule{name: "x_originating_ip", do: doName},
	rule{name: "path", do: doName},
	rule{name: "tx_hosts", do: doName},
	rule{name: "rx_hosts", do: doName},
	rule{name: "md5", do: doHash},
	rule{name: "sha1", do: doHash},
	rule{name: "sha256", do: doHash},
	rule{name: "san.dns", do: doName},
	rule{name: "san.ip", do: doName},
	rule{name: "san.email", do: doMail},
	rule{name: "san.uri", do: doURL},
	// Suricata: "EVE JSON Format".
	rule{name: "timestamp", do: doTime},
	rule{name: "event_type", do: doEveLog},
	rule{name: "src_ip", do: doAddr, end: endOrig},
	rule{name: "src_port", do: doPort, end: endOrig},
	rule{name: "dest_ip", do: doAddr, end: endResp},
	rule{name: "dest_port", do: doPort, end: endResp},
	rule{name: "dns", sub: newSchema(
		rule{name: "rrname", field: "dns.rrname", do: doName},
		rule{name: "rdata", field: "dns.rdata", do: doAnswer},
		rule{name: "query", field: "dns.query", sub: answerSchema},
		rule{name: "queries", field: "dns.queries", sub: answerSchema},
		rule{name: "answer", field: "dns.answer", sub: answerSchema},
		rule{name: "answers", field: "dns.answers", sub: answerSchema},
		rule{name: "authorities", field: "dns.authorities", sub: answerSchema},
		rule{name: "additionals", field: "dns.additionals", sub: answerSchema},
		rule{name: "grouped", sub: newSchema(
			rule{name: "A", field: "dns.grouped.A", do: doAnswer},
			rule{name: "AAAA", field: "dns.grouped.AAAA", do: doAnswer},
			rule{name: "CNAME", field: "dns.grouped.CNAME", do: doAnswer},
			rule{name: "MX", field: "dns.grouped.MX", do: doAnswer},
			rule{name: "NS", field: "dns.grouped.NS", do: doAnswer},
			rule{name: "PTR", field: "dns.grouped.PTR", do: doAnswer},
		)},
	)},
	rule{name: "tls", sub: newSchema(
		rule{name: "sni", field: "tls.sni", do: doName},
		rule{name: "subjectaltname", field: "tls.subjectaltname", do: doName},
	)},
	rule{name: "quic", sub: newSchema(rule{name: "sni", field: "quic.sni", do: doName})},
	rule{name: "http", sub: newSchema(
		rule{name: "hostname", field: "http.hostname", do: doHost},
		rule{name: "url", field: "http.url", do: doURI},
	)},
	rule{name: "fileinfo", sub: fileSchema},
	rule{name: "files", sub: fileSchema},
	rule{name: "email", sub: newSchema(
		rule{name: "from", field: "email.from", do: doMail},
		rule{name: "to", field: "email.to", do: doMail},
		rule{name: "cc", field: "email.cc", do: doMail},
		rule{name: "url", field: "email.url", do: doURL},
	)},
	rule{name: "smtp", sub: newSchema(
		rule{name: "helo", field: "smtp.helo", do: doName},
		rule{name: "mail_from", field: "smtp.mail_from", do: doMail},
		rule{name: "rcpt_to", field: "smtp.rcpt_to", do: doMail},
	)},
)

var fileSchema = newSchema(
	rule{name: "md5", field: "fileinfo.md5", do: doHash},
	rule{name: "sha1", field: "fileinfo.sha1", do: doHash},
	rule{name: "sha256", field: "fileinfo.sha256", do: doHash},
)
