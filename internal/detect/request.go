package detect

import (
	"bytes"
	"slices"
)

// request looks up the URL of an HTTP request: host and path, and every prefix
// that ends at a boundary, under its host and under any host.
func (m *matcher) request() {
	m.url(hostURL, m.ev.uri.text, m.ev.host.port)
}

// url looks a URL up; text is a whole one, or a path whose host is the
// request's.
func (m *matcher) url(i int, text []byte, port uint16) {
	host := m.ev.host.text
	if n := bytes.Index(text, []byte("://")); n > 0 && n <= len("https") {
		rest := text[n+3:]
		end := bytes.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		host, text = rest[:end], rest[end:]
		host = host[bytes.LastIndexByte(host, '@')+1:]
		host, port = cutPort(host)
	} else if len(text) == 0 || text[0] != '/' && text[0] != '?' {
		return // CONNECT host:port, OPTIONS *
	}
	from := len(m.low)
	if a, ok := address(unbracket(host)); ok && a.Is6() {
		m.low = append(append(append(m.low, '['), a.String()...), ']')
	} else if len(host) > 0 {
		at, ok := m.normalName(host)
		if !ok {
			return
		}
		from = at
	}
	to := len(m.low)
	path := m.normalPath(text)
	s := m.x.seed
	if to > from {
		h := s.host(m.low[from:to])
		c := candidate{hash: h, seen: int32(i), class: uint8(classPath), host: int32(from), hostEnd: int32(to), port: port,
			from: path.from, to: path.from, end: path.to}
		m.cands = append(m.cands, c)
		m.pieces(c, path)
	}
	m.pieces(candidate{hash: s.host(nil), seen: int32(i), class: uint8(classPath), host: -1, port: port, end: path.to}, path)
}

// span is a part of matcher.path.
type span struct{ from, to int32 }

// normalPath appends a path in normal form to path. One longer than any entry is
// cut behind that length, so that it equals none.
func (m *matcher) normalPath(text []byte) span {
	if n := bytes.IndexByte(text, '#'); n >= 0 {
		text = text[:n]
	}
	from := len(m.path)
	text = text[:min(len(text), MaxValueBytes+1)]
	if slices.ContainsFunc(text, func(c byte) bool { return c >= 0x80 }) {
		m.path = append(m.path, normalPath(string(text))...)
	} else {
		m.path = append(m.path, text...)
	}
	return span{int32(from), int32(len(m.path))}
}

// pieces adds the prefixes of a path that end at a boundary.
func (m *matcher) pieces(c candidate, path span) {
	b, s, h := m.path[path.from:path.to], m.x.seed, c.hash
	c.from = path.from
	for at, n := 0, 0; at < len(b) && n < maxPieces; n++ {
		end := at
		for end < len(b) && !pathDelimiter(b[end]) {
			end++
		}
		if end < len(b) && end > at && b[end] != '=' {
			c.hash, c.to = s.bytes(h, b[at:end]), path.from+int32(end)
			m.cands = append(m.cands, c)
		}
		end = min(end+1, len(b))
		h = s.bytes(h, b[at:end])
		c.hash, c.to = h, path.from+int32(end)
		m.cands = append(m.cands, c)
		at = end
	}
}

// samePath compares a URL or URL part with the prefix a candidate stands for.
// A URL's scheme is not compared: no log of requests tells it. Its port is
// compared where it is written.
func (m *matcher) samePath(r record, c *candidate) bool {
	if r.kind != kindURL && r.kind != kindPart {
		return false
	}
	u := splitText(string(r.value))
	var host []byte
	if c.host >= 0 {
		host = m.low[c.host:c.hostEnd]
	}
	prefix := m.path[c.from:c.to]
	if u.host != string(host) || u.path != string(prefix) || u.port != 0 && u.port != c.port {
		return false
	}
	if r.kind == kindPart {
		return true
	}
	rest := m.path[c.to:c.end]
	if u.path == "" && (!m.x.opt.ExactDomains || len(rest) == 1 && rest[0] == '/') {
		return true
	}
	return len(rest) == 0
}
