package courier

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Vault keeps the secrets of links: outside of the database, in which nothing
// can be erased, and sealed as the node's keys are.
type Vault interface {
	// Load returns what Save was given last; nil when there is nothing.
	Load() ([]byte, error)
	// Save puts secrets in the place of those before. It is durable when Save
	// returns, and those before are gone.
	Save(secrets []byte) error
}

const (
	// secretOverlap is how long a secret counts behind the first use of one that came
	// later, for what is under way: twice the slowest channel.
	secretOverlap = 72 * time.Hour
	// linkEvery is how long the secrets of one LINK are used.
	linkEvery = 30 * 24 * time.Hour
	// maxHeld bounds the LINKs of a partner that count at once.
	maxHeld = 8
)

// linkSecrets are those of both directions of one link. A value is never changed
// in place.
type linkSecrets struct {
	Made  *made     `json:"made,omitempty"` // the newest of ours the partner has stored
	Next  *made     `json:"next,omitempty"` // one it has not stored yet
	Held  []held    `json:"held,omitempty"` // the partner's that count, the last used first
	Since time.Time `json:"since,omitzero"` // when something was first opened since the partner's life gave its first
}

// made is a LINK of ours. Until the partner has it, its secrets stand as they
// were signed, or it could not be sent again.
type made struct {
	Body  wireBody      `json:"body"`
	At    time.Time     `json:"at"`
	Epoch message.Epoch `json:"epoch"` // of the message, once it is in the stream
	Seq   uint64        `json:"seq,omitempty"`
}

// held is a LINK of the partner's.
type held struct {
	Body  wireBody      `json:"body"`
	Epoch message.Epoch `json:"epoch"` // life of the partner's that gave it
	Seq   uint64        `json:"seq,omitempty"`
	Key   [4]byte       `json:"key,omitzero"` // that signed it
	Came  time.Time     `json:"came"`
	First time.Time     `json:"first,omitzero"` // when it first opened something
	Used  time.Time     `json:"used"`           // when it last did, or came
}

// wireBody is written as the message has it.
type wireBody message.LinkBody

// MarshalJSON writes the content of a LINK.
func (b wireBody) MarshalJSON() ([]byte, error) {
	return json.Marshal(message.EncodeLink(message.LinkBody(b)))
}

// UnmarshalJSON reads the content of a LINK.
func (b *wireBody) UnmarshalJSON(text []byte) error {
	var raw []byte
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	body, err := message.DecodeLink(raw)
	*b = wireBody(body)
	return err
}

// safe is what a courier knows of its vault.
type safe struct {
	vault Vault // nil: no LINK is made, the cards' secrets serve

	mu    sync.Mutex // held while the vault is written
	links map[noroshi.NodeID]linkSecrets
	day   uint32 // the day the secrets were last moved on to
}

// load reads the vault: another process of the node may have led before.
func (s *safe) load() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links, s.day = map[noroshi.NodeID]linkSecrets{}, 0
	if s.vault == nil {
		return nil
	}
	b, err := s.vault.Load()
	if err != nil || len(b) == 0 {
		return err
	}
	if err := json.Unmarshal(b, &s.links); err != nil {
		return noroshi.Errorf(noroshi.Broken, "courier.secrets", "the secrets of the links cannot be read")
	}
	return nil
}

// of returns what is held for a link.
func (s *safe) of(partner noroshi.NodeID) linkSecrets {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.links[partner]
}

// change makes something else of the secrets of one link, durably: what cannot
// be kept is not used.
func (s *safe) change(partner noroshi.NodeID, fn func(linkSecrets) linkSecrets) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.vault == nil {
		return nil
	}
	next := maps.Clone(s.links)
	if next == nil {
		next = map[noroshi.NodeID]linkSecrets{}
	}
	next[partner] = fn(next[partner])
	return s.put(next)
}

// put writes all secrets; under mu.
func (s *safe) put(next map[noroshi.NodeID]linkSecrets) error {
	b, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := s.vault.Save(b); err != nil {
		return err
	}
	s.links = next
	return nil
}

// turn moves every secret on to the day of now, once a day: what was before it
// is gone from the vault.
func (s *safe) turn(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	day := message.DayOf(now)
	if s.vault == nil || day <= s.day || len(s.links) == 0 {
		return nil
	}
	next := map[noroshi.NodeID]linkSecrets{}
	for partner, l := range s.links {
		next[partner] = l.on(now)
	}
	if err := s.put(next); err != nil {
		return err
	}
	s.day = day
	return nil
}

// on is what is left of the secrets at now.
func (l linkSecrets) on(now time.Time) linkSecrets {
	if l.Made != nil {
		m := *l.Made
		if k, ok := message.LinkBody(m.Body).On(max(m.Body.Day, message.DayOf(now))); ok {
			m.Body = wireBody(k)
		}
		l.Made = &m
	}
	var left []held
	for _, h := range l.Held {
		if !l.replaced(h, now) {
			h.Body = wireBody(message.LinkBody(h.Body).Kept(now))
			left = append(left, h)
		}
	}
	l.Held = left
	return l
}

// replaced reports whether a LINK of the partner's counts no more at now: one that came
// later was first used so long ago. One that came and was never used the partner may
// begin with at any time, for it learns late that it is here where the link was cut.
func (l linkSecrets) replaced(h held, now time.Time) bool {
	return slices.ContainsFunc(l.Held, func(o held) bool {
		return o.Came.After(h.Came) && !o.First.IsZero() && now.Sub(o.First) > secretOverlap
	})
}

// tookLink keeps the secrets of a LINK of the partner, nil for none.
func (l *link) tookLink(in message.In, body *message.LinkBody) error {
	if body == nil {
		return nil
	}
	now := l.c.o.Now()
	return l.c.safe.change(l.node(), func(s linkSecrets) linkSecrets { return s.took(*body, in, now) })
}

// took adds a LINK that a life of the partner's gave; one that is held already stays
// as it is. The first of a life ends the time of the card's secret anew. Where there are
// too many, those go first that were never used: who sends them without end shuts out
// none that is.
func (l linkSecrets) took(body message.LinkBody, in message.In, now time.Time) linkSecrets {
	if slices.ContainsFunc(l.Held, func(h held) bool { return h.Body.Gate == body.Gate && h.Epoch == in.Epoch }) {
		return l
	}
	if !l.gave(in.Epoch) {
		l.Since = time.Time{}
	}
	others := slices.DeleteFunc(slices.Clone(l.Held), func(h held) bool { return h.Body.Gate == body.Gate })
	l.Held = append([]held{{Body: wireBody(body.Kept(now)), Epoch: in.Epoch, Seq: in.Seq, Key: in.Key, Came: now, Used: now}}, others...)
	if len(l.Held) > maxHeld {
		last := maxHeld
		for i := last; i > 0; i-- {
			if l.Held[i].First.IsZero() {
				last = i
				break
			}
		}
		l.Held = slices.Delete(l.Held, last, last+1)
	}
	return l
}

// believed is what is left of the secrets when a KEYSET says whose keys are revoked: no
// LINK above the last good point of its own.
func (l linkSecrets) believed(ks *message.Keyset) linkSecrets {
	l.Held = slices.DeleteFunc(slices.Clone(l.Held), func(h held) bool {
		r := ks.RevokedKey(h.Key)
		return r != nil && !goodOf(r)(h.Epoch, h.Seq)
	})
	return l
}

// gave reports whether a LINK of a life of the partner's is held.
func (l linkSecrets) gave(life message.Epoch) bool {
	return slices.ContainsFunc(l.Held, func(h held) bool { return h.Epoch == life })
}

// used notes that a LINK of the partner's opened something. Its first use is kept at
// once, when it was used last with the next change: nothing rests on that. The time of
// the card's secret runs from the first use of one of the newest life.
func (s *safe) used(partner noroshi.NodeID, gate [32]byte, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.links[partner]
	i := slices.IndexFunc(l.Held, func(h held) bool { return h.Body.Gate == gate })
	if i < 0 {
		return nil
	}
	h := l.Held[i]
	first := h.First.IsZero()
	if h.Used = now; first {
		h.First = now
	}
	newest := slices.MaxFunc(l.Held, func(a, b held) int { return a.Came.Compare(b.Came) })
	if l.Since.IsZero() && h.Epoch == newest.Epoch {
		l.Since, first = now, true
	}
	l.Held = append([]held{h}, slices.Delete(slices.Clone(l.Held), i, i+1)...)
	if !first {
		s.links[partner] = l
		return nil
	}
	next := maps.Clone(s.links)
	next[partner] = l
	return s.put(next)
}

// bodies are the partner's LINKs, the last used first.
func (l linkSecrets) bodies() []message.LinkBody {
	list := make([]message.LinkBody, len(l.Held))
	for i, h := range l.Held {
		list[i] = message.LinkBody(h.Body)
	}
	return list
}

// cardServes reports whether the card's gate secret is good for everything: for a
// while, and for a life of the partner's, zero while none counts, that has given no
// LINK. It begins with the card's, whatever those before had given.
func (l linkSecrets) cardServes(life message.Epoch, now time.Time) bool {
	return l.Since.IsZero() || now.Sub(l.Since) <= secretOverlap || life != (message.Epoch{}) && !l.gave(life)
}
