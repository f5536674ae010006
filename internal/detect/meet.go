package detect

import (
	"bytes"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// What one event gives.
//
// An event meets an indicator's value once, however many of its fields carry
// it: the hit names the first such field, in the order name and answer fields,
// then connection ends, then the request.
//
// A weak meeting is about the address, not about an entry: several entries of
// one address with other ports say no more than one. So an event gives weak
// hits for at most one port of an address, the lowest listed, for each
// indicator that has it; and none where the address was met strongly in the
// same event, by its port or by an entry without one.

// settleMeets applies these rules.
func settleMeets(all []meet) []meet {
	var out []meet
	for i := range all {
		if !all[i].weak {
			out = addMeet(out, all[i])
		}
	}
	strong := len(out)
	for i := range all {
		w := &all[i]
		if w.weak && !metStrongly(out[:strong], w) && lowestPort(all, w) {
			out = addMeet(out, *w)
		}
	}
	return out
}

// addMeet appends a meeting unless the same indicator and value is there.
func addMeet(out []meet, m meet) []meet {
	for i := range out {
		if out[i].sameAs(&m) {
			return out
		}
	}
	return append(out, m)
}

func (m *meet) sameAs(o *meet) bool {
	if m.arena == nil || o.arena == nil {
		return m.arena == nil && o.arena == nil && m.net == o.net && m.entry.id == o.entry.id
	}
	return m.record.kind == o.record.kind && bytes.Equal(m.record.value, o.record.value) && o.own.is(m.own.id, m.own.odd)
}

// addr is the address of an address or address+port record, nil for others.
func (m *meet) addr() []byte {
	if m.arena == nil {
		return nil
	}
	switch m.record.kind {
	case 1, 2:
		return m.record.value
	case kindPort4, kindPort6:
		return m.record.value[:len(m.record.value)-2]
	}
	return nil
}

func metStrongly(strong []meet, w *meet) bool {
	for i := range strong {
		if a := strong[i].addr(); a != nil && bytes.Equal(a, w.addr()) {
			return true
		}
	}
	return false
}

func lowestPort(all []meet, w *meet) bool {
	for i := range all {
		if o := &all[i]; o.weak && o.record.port() < w.record.port() && bytes.Equal(o.addr(), w.addr()) {
			return false
		}
	}
	return true
}

// Strength of a hit.
type Strength string

// Strong: the event meets the entry as it is. Weak: an address+port entry met
// its bare address elsewhere.
const (
	Strong Strength = "strong"
	Weak   Strength = "weak"
)

// Hit is an event that met an indicator. An event gives one hit for each
// indicator and value it meets, and weak ones for one port of an address only.
type Hit struct {
	Indicator stix.ID       `json:"indicator"`
	Seq       int64         `json:"-"`
	Value     noroshi.Value `json:"value"`    // the indicator's value
	Observed  string        `json:"observed"` // what the event carried
	Field     string        `json:"field"`    // where: "query", "answers", "server_name", ...
	Strength  Strength      `json:"strength"`
	Flagged   bool          `json:"flagged,omitempty"`
	Time      time.Time     `json:"time"` // of the event; zero when it has none that can be read
	Line      int           `json:"line"`
	Offset    int64         `json:"offset"`
	Log       string        `json:"log"` // "dns", "ssl", "alert" ...
}

// hit makes the Hit of a meeting.
func (m *meet) hit() Hit {
	h := Hit{Observed: string(m.seen.text), Field: m.seen.rule.field, Strength: Strong}
	if m.weak {
		h.Strength = Weak
	}
	if m.arena == nil {
		h.Indicator, h.Seq, h.Flagged = m.entry.id, m.entry.seq, m.entry.valid.flagged
		h.Value = noroshi.Value{Kind: noroshi.CIDR, Text: m.net.String()}
		return h
	}
	h.Indicator, h.Seq, h.Flagged = m.own.ID(), m.own.seq, m.own.valid.flagged
	h.Value = m.record.Value()
	return h
}
