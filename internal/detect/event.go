package detect

import (
	"bytes"
	"strconv"
	"time"
)

// event is what a line gave; its slices point into the line or into own
// buffers, which the next line reuses.
type event struct {
	eve      bool
	log      []byte
	time     []byte // as written
	seen     []observation
	ends     [ends]endpointSeen
	host     observation
	uri      observation
	unquoted []byte // strings that had escapes
}

// observation is one text of an event.
type observation struct {
	rule *rule
	text []byte
	port uint16 // of an address, 0 when not known
}

type endpointSeen struct {
	addr *rule
	text []byte
	port uint16
}

// maxSeen bounds the observations of one event; what is beyond is not looked
// up. No log of Zeek or Suricata comes near.
const maxSeen = 4096

func (e *event) reset() {
	*e = event{seen: e.seen[:0], unquoted: e.unquoted[:0]}
}

func (e *event) unescape(raw []byte) []byte {
	from := len(e.unquoted)
	e.unquoted = appendUnescaped(e.unquoted, raw)
	return e.unquoted[from:len(e.unquoted):len(e.unquoted)]
}

// take receives a string or number of a wanted member.
func (e *event) take(r *rule, text []byte, number bool) {
	switch r.do {
	case doPort:
		if p, ok := port(text); ok {
			e.ends[r.end].port = p
		}
		return
	case doTime:
		e.time = text
		return
	}
	if number || len(text) == 0 {
		return
	}
	switch r.do {
	case doZeekLog:
		e.log = text
	case doEveLog:
		e.eve, e.log = true, text
	case doHost:
		e.host = observation{rule: r, text: text}
	case doURI:
		e.uri = observation{rule: r, text: text}
	case doAddr:
		e.ends[r.end].addr, e.ends[r.end].text = r, text
	case doName, doAnswer, doMail, doHash, doURL:
		if len(e.seen) < maxSeen {
			e.see(r, text, 0)
		}
	}
}

// see adds an observation; it is filled in in place, as a copy is dear.
func (e *event) see(r *rule, text []byte, port uint16) {
	e.seen = append(e.seen, observation{})
	o := &e.seen[len(e.seen)-1]
	o.rule, o.text, o.port = r, text, port
}

// finish sorts out what only the whole line shows.
func (e *event) finish() {
	for i := range e.ends {
		if n := &e.ends[i]; n.addr != nil {
			e.see(n.addr, n.text, n.port)
		}
	}
	if e.eve && e.host.rule != nil && e.host.rule.name == "host" {
		e.host = observation{} // in EVE the sensor's name
	}
	if e.host.rule != nil {
		e.host.text, e.host.port = cutPort(e.host.text)
		if e.host.port == 0 {
			e.host.port = e.ends[endResp].port
		}
		e.see(e.host.rule, unbracket(e.host.text), e.host.port)
	}
}

// cutPort parts host:port; a port that is none stays with the host.
func cutPort(host []byte) ([]byte, uint16) {
	i := bytes.LastIndexByte(host, ':')
	if i < 0 || bytes.IndexByte(host, ':') != i && host[i-1] != ']' {
		return host, 0
	}
	p, ok := port(host[i+1:])
	if !ok {
		return host, 0
	}
	return host[:i], p
}

// port reads a decimal port.
func port(b []byte) (uint16, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > 0xffff {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint16(n), len(b) > 0 && n <= 0xffff
}

func unbracket(host []byte) []byte {
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}

// Log returns the kind of record: Zeek's path or EVE's event type, or what the
// fields tell when the log does not name itself.
func (e *event) Log() string {
	if len(e.log) > 0 {
		return string(e.log)
	}
	for _, o := range e.seen {
		switch o.rule.name {
		case "query", "answers":
			return "dns"
		case "server_name":
			return "ssl"
		case "host", "uri":
			return "http"
		case "helo", "mailfrom", "rcptto":
			return "smtp"
		case "md5", "sha1", "sha256":
			return "files"
		case "san.dns", "san.ip", "san.email", "san.uri":
			return "x509"
		}
	}
	return "conn"
}

// Time reads the event's time: RFC 3339, EVE's form with an offset without
// colon, or seconds since 1970. The zero time when there is none.
func (e *event) Time() time.Time {
	s := string(e.time)
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC()
		}
	}
	return epoch(s)
}

// epoch reads decimal seconds without going through a float.
func epoch(s string) time.Time {
	whole, fraction := s, ""
	for i := range len(s) {
		if s[i] == '.' {
			whole, fraction = s[:i], s[i+1:]
			break
		}
	}
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || sec > 1<<40 || sec < -1<<40 {
		return time.Time{}
	}
	for len(fraction) < 9 {
		fraction += "0"
	}
	nsec, err := strconv.ParseInt(fraction[:9], 10, 64)
	if err != nil || nsec < 0 {
		return time.Time{}
	}
	if sec < 0 {
		nsec = -nsec
	}
	return time.Unix(sec, nsec).UTC()
}
