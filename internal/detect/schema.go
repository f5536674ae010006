package detect

// schema says which members of an object are wanted. Zeek's logs and EVE
// records are told apart by content: what only one of them has is looked for in
// every line, and "host", which both have and mean differently, is sorted out
// at the end of the line.
type schema struct {
	rules []rule
	mul   uint32
	slots [256]uint8 // number of the rule + 1
}

// rule says what to do with a member.
type rule struct {
	name  string
	field string // Hit.Field
	do    action
	end   int     // which end of the connection, for doAddr and doPort
	sub   *schema // of objects inside, also inside an array
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

// newSchema finds a multiplier under which no two names share a slot. There is
// none when two names agree in everything that slot looks at.
func newSchema(rules ...rule) *schema {
	sc := &schema{rules: rules}
	for i := range rules {
		if rules[i].field == "" {
			rules[i].field = rules[i].name
		}
	}
	sc.mul = 0x9e3779b1
	for range maxMultipliers {
		if sc.fill() {
			return sc
		}
		sc.mul += 2
	}
	panic("detect: two names of the schema that begins with " + rules[0].name + " share every slot: slot must look at one more byte")
}

func (sc *schema) fill() bool {
	sc.slots = [256]uint8{}
	for i, r := range sc.rules {
		slot := sc.slot([]byte(r.name))
		if sc.slots[slot] != 0 {
			return false
		}
		sc.slots[slot] = uint8(i + 1)
	}
	return true
}

// slot hashes length, first, middle, last and last but two bytes of a name.
func (sc *schema) slot(name []byte) uint8 {
	n := len(name)
	w := uint32(name[0]) | uint32(name[n-1])<<8 | uint32(name[n/2])<<16 | uint32(n)<<24
	w ^= uint32(name[max(0, n-3)]) * 0x85ebca6b
	return uint8(w * sc.mul >> 24)
}

// find returns the rule of a name and its number.
func (sc *schema) find(name []byte) (*rule, int) {
	if len(name) == 0 {
		return nil, 0
	}
	n := int(sc.slots[sc.slot(name)]) - 1
	if n < 0 || sc.rules[n].name != string(name) {
		return nil, 0
	}
	return &sc.rules[n], n
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
