package courier

import (
	"context"
	"maps"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Bounds of documents on their way.
const (
	maxPapers  = 64
	paperBurst = 32          // documents of a partner that are looked at, at once,
	paperToken = time.Minute // and then one in each of these: they come again
	firstPaper = time.Second // before a document is sent again; doubles
	lastPaper  = 5 * time.Minute
)

// paper is a document of ours until the partner shows that it has it: a KEYSET
// when its STATE names that version, an AGREEMENT when it speaks under it. A
// SUSPENSION of ours is kept for as long as it is our latest word on an agreement and
// goes again whenever the partner does not heed it: that it once seemed to is no proof,
// for an earlier word may have been still on its way.
type paper struct {
	doc       []byte
	keys      message.KeyVersion
	agreement noroshi.Hash
	word      message.Suspension // ours on an agreement, its counter from 1; else the zero value
	once      bool               // it goes once, for what it answers comes again: one of the partner's own, given back, or a KEYSET on an old STATE
	left      bool
	due       time.Time
	wait      time.Duration
}

// Document sends a self-signed document (KEYSET, AGREEMENT) to a partner, and
// again until its STATE or answer shows it arrived, or this process ends: then
// whoever made it hands it in again. The error is Queued when no courier runs.
func (c *Courier) Document(ctx context.Context, partner noroshi.NodeID, doc []byte) error {
	kind, err := message.KindOfDocument(doc)
	if err != nil {
		return err
	}
	if kind == message.CardDocument {
		return noroshi.Errorf(noroshi.Refused, "courier.card", "a card is handed over by a person, not by a link")
	}
	// A partner may have become one a moment ago: the feed has not said so yet.
	if err := c.refreshOne(ctx, partner); err != nil {
		return err
	}
	l, err := c.link(partner)
	if err != nil {
		return err
	}
	p := &paper{doc: doc, due: c.o.Now(), wait: firstPaper}
	switch kind {
	case message.KeysetDocument:
		ks, err := message.ParseKeyset(c.o.Realm, doc)
		if err != nil {
			return err
		}
		p.keys = ks.KeyVersion()
	case message.AgreementDocument:
		p.agreement = agreementOf(doc, c.o.Keys.Keyset())
	case message.SuspensionDocument:
		s, err := message.ReadSuspension(c.o.Realm, doc)
		if err != nil {
			return err
		}
		if p.once = s.Node == partner; !p.once {
			p.word = s
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, other := range l.papers {
		if p.word.Counter == 0 || other.word.Counter == 0 || other.word.Agreement != p.word.Agreement {
			continue
		}
		if other.word.Counter > p.word.Counter {
			return nil // a later word of ours was handed in before it
		}
		delete(l.papers, key)
	}
	if len(l.papers) >= maxPapers {
		maps.DeleteFunc(l.papers, func(_ string, other *paper) bool { return l.heeded(other) })
	}
	key := noroshi.Sum(doc).String()
	if l.papers[key] == nil && len(l.papers) >= maxPapers {
		return noroshi.Errorf(noroshi.Busy, "courier.documents", "%d documents wait for %s already", maxPapers, partner)
	}
	l.papers[key] = p
	signal(l.kick)
	return nil
}

// agreementOf returns the hash of the agreement a document proposes or
// consents to, zero when it cannot be told.
func agreementOf(doc []byte, ours *message.Keyset) noroshi.Hash {
	if file, _, err := message.AgreementFile(doc); err == nil && len(file) > 0 {
		return noroshi.Sum(file)
	}
	h, _ := message.VerifyConsent(doc, ours)
	return h
}

// refreshOne starts the link of a partner the feed has not yet told of.
func (c *Courier) refreshOne(ctx context.Context, partner noroshi.NodeID) error {
	c.mu.Lock()
	known := c.links[partner] != nil || c.ctx == nil
	c.mu.Unlock()
	if known {
		return nil
	}
	return c.refresh(ctx)
}

// nextPaper is when a document is to be sent; under mu.
func (l *link) nextPaper() (at time.Time, ok bool) {
	for _, p := range l.papers {
		if !l.heeded(p) && (!ok || p.due.Before(at)) {
			at, ok = p.due, true
		}
	}
	return at, ok
}

// sendPapers sends the documents that are due.
func (l *link) sendPapers() {
	now := l.c.o.Now()
	var due [][]byte
	l.mu.Lock()
	for key, p := range l.papers {
		if !l.heeded(p) && !p.due.After(now) {
			due = append(due, p.doc)
			if p.left = true; p.once {
				delete(l.papers, key)
			}
			p.due = now.Add(p.wait)
			p.wait = min(2*p.wait, lastPaper)
		}
	}
	l.mu.Unlock()
	for _, doc := range due {
		l.spawn(func(ctx context.Context) {
			ch := l.c.channel(l.path())
			if ch == nil {
				l.hurryPapers()
				return
			}
			envelope, err := l.envelope(ch, message.Plain{Document: doc})
			if err != nil {
				l.note(err)
				return
			}
			if l.handOver(ctx, ch, noroshi.Immediate, envelope) != nil {
				l.hurryPapers()
			}
		})
	}
}

// path is the channel statements and documents go by now, "" when there is none.
func (l *link) path() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.side.Status().Path
}

// hurryPapers shortens the wait of what did not even leave.
func (l *link) hurryPapers() {
	soon := l.c.o.Now().Add(firstPaper)
	l.mu.Lock()
	for _, p := range l.papers {
		if p.due.After(soon) {
			p.due, p.wait = soon, firstPaper
		}
	}
	l.mu.Unlock()
}

// ackPapers forgets documents the partner's newest STATE shows it has; under mu.
func (l *link) ackPapers(st message.State, theirs noroshi.Hash) {
	maps.DeleteFunc(l.papers, func(_ string, p *paper) bool {
		return p.keys.Version > 0 && p.keys == st.Keys[1] || !p.agreement.IsZero() && p.agreement == theirs
	})
}

// heeded reports whether a word of ours on an agreement has left and the partner's
// newest STATE is as it says: not under an agreement that we suspended, under one that
// we resumed and speak under ourselves. Under mu.
func (l *link) heeded(p *paper) bool {
	if p.word.Counter == 0 || !p.left || l.told == nil {
		return false
	}
	theirs := l.told.Context.Agreement == p.word.Agreement
	ours, _ := l.view.Load().inForce(l.c.o.Now())
	return theirs == p.word.Resumed || p.word.Resumed && ours != p.word.Agreement
}
