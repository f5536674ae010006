package detect

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
)

// matcher looks the observations of one event after another up in an index. It
// is used by one goroutine; its buffers are reused.
type matcher struct {
	x      *Index
	state  *state
	ev     event
	scan   scanner
	cands  []candidate
	low    []byte // names in lower case
	path   []byte // of the request, in normal form
	offs   []uint32
	netted []int // observations whose address some block holds
	meets  []meet
	dead   bool // a disarmed record was met
}

// candidate is one key to look up: what part of which observation it is of.
type candidate struct {
	hash     uint64
	seen     int32 // index into ev.seen; hostURL for the request
	class    uint8
	from, to int32 // of low (names, mail) or of path
	end      int32 // classPath: where path ends
	host     int32 // classPath: begin of the host in low, -1 for any host; it ends at hostEnd
	hostEnd  int32
	port     uint16 // classPath
}

const hostURL = -1

// maxPieces bounds how many pieces of a request's path are looked up, and with
// MaxValueBytes how much of it is read.
const maxPieces = 64

// meet is a record that an observation met.
type meet struct {
	arena  *arena
	record record
	own    owner
	net    netip.Prefix // a block instead of a record
	entry  netEntry
	seen   observation
	weak   bool
}

// collect fills the candidates of the event.
func (m *matcher) collect() {
	m.cands, m.low, m.path, m.netted = m.cands[:0], m.low[:0], m.path[:0], m.netted[:0]
	for i := range m.ev.seen {
		o := &m.ev.seen[i]
		switch o.rule.do {
		case doHash:
			m.hash(i, o.text)
		case doMail:
			m.mails(i, o.text)
		case doURL:
			m.url(i, o.text, 0)
		case doAnswer:
			if bytes.IndexByte(o.text, ' ') < 0 {
				m.nameOrAddr(i, o.text)
			}
		default:
			m.nameOrAddr(i, o.text)
		}
	}
	if m.ev.uri.rule != nil && len(m.ev.uri.text) > 0 {
		m.request()
	}
}

// address reads an address in any usual spelling, mapped ones as IPv4.
func address(b []byte) (a netip.Addr, ok bool) {
	if v4, ok := parseIPv4(b); ok {
		return v4Addr(v4), true
	}
	return address6(b)
}

func address6(b []byte) (a netip.Addr, ok bool) {
	v6, ok := parseIPv6(b)
	return netip.AddrFrom16(v6).Unmap(), ok
}

func v4Addr(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}

func (s seed) addr(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return s.addr4(b[:])
	}
	b := a.As16()
	return s.key(classAddr, b[:])
}

// addr4 hashes an IPv4 address.
func (s seed) addr4(b []byte) uint64 {
	var buf [maxDotted + 1]byte
	text, _ := netip.AddrFrom4([4]byte(b)).AppendText(buf[:0])
	d, _ := dottedOf(text)
	return s.dotted(d)
}

// add adds a candidate; it is filled in in place, as a copy is dear.
func (m *matcher) add(h uint64, seen int, class uint64) *candidate {
	m.cands = append(m.cands, candidate{})
	c := &m.cands[len(m.cands)-1]
	c.hash, c.seen, c.class = h, int32(seen), uint8(class)
	return c
}

func (m *matcher) nameOrAddr(i int, text []byte) {
	if d, ok := dottedOf(text); ok { // the most frequent case
		m.add(m.x.seed.dotted(d), i, classAddr)
		if m.state.nets.mayCover(d) {
			if v4, ok := parseIPv4(text); ok && m.state.nets.covers(v4Addr(v4)) {
				m.netted = append(m.netted, i)
			}
		}
		return
	}
	a, ok := address6(text)
	if !ok {
		m.name(i, text)
		return
	}
	m.add(m.x.seed.addr(a), i, classAddr)
	if m.state.nets.covers(a) {
		m.netted = append(m.netted, i)
	}
}

// name looks up a name and its parents, but for the bare last label, which no
// entry is.
func (m *matcher) name(i int, text []byte) {
	from, ok := m.normalName(text)
	if !ok {
		return
	}
	b, s := m.low[from:], m.x.seed
	h := s.start(className)
	for end, labels := len(b), 1; end >= 0; labels++ {
		dot := end - 1
		for dot >= 0 && b[dot] != '.' {
			dot--
		}
		h = s.bytes(h, b[dot+1:end])
		if labels > 1 && (dot < 0 || !m.x.opt.ExactDomains) {
			c := m.add(h, i, className)
			c.from, c.to = int32(from+dot+1), int32(len(m.low))
		}
		if dot < 0 {
			return
		}
		end = dot
	}
}

// normalName appends a name to low in lower case and A-labels, without trailing
// dot, and returns where. Of a name longer than any can be only the last labels
// are kept.
func (m *matcher) normalName(text []byte) (from int, ok bool) {
	if n := len(text); n > 0 && text[n-1] == '.' {
		text = text[:n-1]
	}
	if len(text) > maxName {
		text = text[len(text)-maxName:]
		text = text[bytes.IndexByte(text, '.')+1:]
	}
	if len(text) < 3 {
		return 0, false
	}
	from = len(m.low)
	var plain bool
	if m.low, plain = appendLower(m.low, text); plain {
		return from, true
	}
	a, err := toASCII.ToASCII(string(text))
	if err != nil || len(a) > maxName {
		return from, true // the bytes as they are: a parent may be known
	}
	m.low = append(m.low[:from], a...)
	return from, true
}

func (m *matcher) hash(i int, text []byte) {
	var buf [64]byte
	n := len(text) / 2
	if kind := hashKind(len(text)); kind == "" {
		return
	}
	if _, err := hex.Decode(buf[:n], text); err != nil {
		return
	}
	m.add(m.x.seed.key(classHash, buf[:n]), i, classHash)
}

// mails looks up every address of a header or envelope field and the name
// behind its @.
func (m *matcher) mails(i int, text []byte) {
	for len(text) > 0 {
		part := text
		if n := bytes.IndexByte(text, ','); n >= 0 {
			part, text = text[:n], text[n+1:]
		} else {
			text = nil
		}
		if a := bytes.LastIndexByte(part, '<'); a >= 0 {
			part = part[a+1:]
			if z := bytes.IndexByte(part, '>'); z >= 0 {
				part = part[:z]
			}
		}
		m.mail(i, bytes.TrimSpace(part))
	}
}

func (m *matcher) mail(i int, addr []byte) {
	at := bytes.LastIndexByte(addr, '@')
	if at < 1 || len(addr) > maxName+65 {
		return
	}
	from := len(m.low)
	m.low, _ = appendLower(m.low, addr[:at+1])
	if _, ok := m.normalName(addr[at+1:]); ok {
		c := m.add(m.x.seed.key(classMail, m.low[from:]), i, classMail)
		c.from, c.to = int32(from), int32(len(m.low))
	}
	m.name(i, addr[at+1:])
}

// look asks filters and tables for every candidate; the filters of all are
// asked before any table, so that their waits for memory overlap. The delta
// comes last: an indicator armed anew is in it before the older record dies.
func (m *matcher) look() {
	st := m.state
	kept := m.cands[:0]
	fresh := st.frozen != nil || st.active.records.Load() > 0
	for i := range m.cands {
		h := m.cands[i].hash
		if st.base.filter.has(h) || fresh && (st.active.filter.has(h) || st.frozen != nil && st.frozen.filter.has(h)) {
			kept = append(kept, m.cands[i])
		}
	}
	for i := range kept {
		c := &kept[i]
		m.offs = st.base.find(m.offs[:0], c.hash)
		m.compare(st.base.arena, c)
		if st.frozen != nil {
			m.offs = st.frozen.find(m.offs[:0], c.hash)
			m.compare(st.frozen.arena, c)
		}
		m.offs = st.active.find(m.offs[:0], c.hash)
		m.compare(st.active.arena, c)
	}
	if len(m.netted) > 0 {
		m.lookNets()
	}
}

// compare takes the records among offs that the candidate really meets.
func (m *matcher) compare(a *arena, c *candidate) {
	for _, off := range m.offs {
		r := a.read(off)
		same, weak := m.same(r, c)
		if !same || weak && m.x.opt.NoWeak {
			continue
		}
		if a.isDead(r.owner) {
			m.dead = true
			continue
		}
		own := a.owner(r.owner)
		if own.valid.holds(m.ev.Time(), m.x.opt.Early) {
			m.meets = append(m.meets, meet{arena: a, record: r, own: own, seen: m.observation(c), weak: weak})
		}
	}
}

// observation returns what a candidate stands for.
func (m *matcher) observation(c *candidate) observation {
	if c.seen != hostURL {
		return m.ev.seen[c.seen]
	}
	o := m.ev.uri
	if m.ev.host.rule != nil && !bytes.Contains(o.text, []byte("://")) {
		o.text = append(bytes.Clone(m.ev.host.text), o.text...)
	}
	return o
}

// same compares a record with a candidate to the letter.
func (m *matcher) same(r record, c *candidate) (same, weak bool) {
	switch uint64(c.class) {
	case className:
		return r.kind == kindName && samePacked(r.value, m.low[c.from:c.to]), false
	case classMail:
		return kindNames[r.kind] == "email-addr" && bytes.Equal(r.value, m.low[c.from:c.to]), false
	case classPath:
		return m.samePath(r, c), false
	case classHash:
		if r.kind < 8 || r.kind > 11 {
			return false, false
		}
		var buf [64]byte
		n, err := hex.Decode(buf[:], m.ev.seen[c.seen].text)
		return err == nil && bytes.Equal(buf[:n], r.value), false
	}
	o := m.ev.seen[c.seen]
	a, _ := address(o.text)
	switch {
	case r.kind == 1 && a.Is4(), r.kind == kindPort4 && a.Is4():
		b := a.As4()
		same = bytes.Equal(r.value[:4], b[:])
	case r.kind == 2 && a.Is6(), r.kind == kindPort6 && a.Is6():
		b := a.As16()
		same = bytes.Equal(r.value[:16], b[:])
	}
	return same, same && (r.kind == kindPort4 || r.kind == kindPort6) && (o.port == 0 || r.port() != o.port)
}

// port is the port of an address+port record.
func (r record) port() uint16 { return binary.BigEndian.Uint16(r.value[len(r.value)-2:]) }

// lookNets takes the blocks that hold an address of the event.
func (m *matcher) lookNets() {
	when := m.ev.Time()
	for _, i := range m.netted {
		o := m.ev.seen[i]
		a, _ := address(o.text)
		m.state.nets.each(a, func(p netip.Prefix, e netEntry) {
			if e.valid.holds(when, m.x.opt.Early) {
				m.meets = append(m.meets, meet{net: p, entry: e, seen: o})
			}
		})
	}
}

// event matches what the scanner left in ev and reports to r.
func (m *matcher) event(r *run) error {
	for again := true; again; {
		rearmed := m.x.rearmed.Load()
		m.state, m.dead = m.x.state.Load(), false
		m.meets = m.meets[:0]
		m.collect()
		m.look()
		// What died under our eyes may have been armed anew behind them.
		again = m.dead && rearmed != m.x.rearmed.Load()
	}
	if len(m.meets) == 0 {
		return nil
	}
	when := m.ev.Time()
	for _, t := range settleMeets(m.meets) {
		if err := r.met(&t, when); err != nil {
			return err
		}
	}
	return nil
}
