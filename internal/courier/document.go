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
	paperBurst = 32          // documents of a partner that are looked at, of a kind, at once,
	paperToken = time.Minute // and then one in each of these: they come again
	firstPaper = time.Second // before a document is sent again; doubles
	lastPaper  = 5 * time.Minute

	consentBurst = 2  // consents that may go at once to who speaks under no agreement,
	consentTurns = 60 // and then one in so many turns of a slow path, of which it takes some fifteen,
	consentRest  = 30 // so many times less often while the agreement is suspended, and to who has it
	consentBeats = 2  // heartbeats in which who has it would speak under it
)

// paper is a document of ours until the partner shows that it has it: a KEYSET
// when its STATE names it or one of ours that overtook it, an AGREEMENT when it speaks
// under it.
// A SUSPENSION of ours is kept for as long as it is our latest word on an agreement, or
// until its room is needed while it is heeded, and goes again whenever the partner does
// not heed it: that it once seemed to is no proof, for an earlier word may have been
// still on its way. Of one matter one document waits (rank).
type paper struct {
	doc       []byte
	keys      message.KeyVersion // of a KEYSET
	agreement noroshi.Hash
	word      message.Suspension // ours on an agreement, its counter from 1; else the zero value
	once      bool               // it goes once, for what it answers comes again: one of the partner's own, given back, a KEYSET on an old STATE, a consent on one that is not under the agreement
	left      bool               // a channel has taken it
	flying    int                // how often it is being handed over
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
	key := noroshi.Sum(doc).String()
	if same := l.papers[key]; same != nil && !same.once || l.has(p) {
		return nil // it goes already, or is there
	}
	for key, other := range l.papers {
		switch {
		case !p.sameMatter(other):
		case l.rank(other) > l.rank(p):
			return nil // what says more was handed in before it
		default:
			delete(l.papers, key)
		}
	}
	if len(l.papers) >= maxPapers {
		maps.DeleteFunc(l.papers, func(_ string, other *paper) bool { return l.heeded(other) })
	}
	if len(l.papers) >= maxPapers {
		return noroshi.Errorf(noroshi.Busy, "courier.documents", "%d documents wait for %s already", maxPapers, partner)
	}
	l.papers[key] = p
	signal(l.kick)
	return nil
}

// sameMatter reports whether of two documents of ours the partner needs one alone: words
// on one agreement, or AGREEMENTs of one file.
func (p *paper) sameMatter(other *paper) bool {
	words := p.word.Counter > 0 && other.word.Counter > 0 && p.word.Agreement == other.word.Agreement
	return words || !p.agreement.IsZero() && p.agreement == other.agreement
}

// rank orders documents of ours of one matter: a later word, and of AGREEMENTs a consent,
// which brings the file as a proposal does, stand above. Below stands what no key of ours
// that is good has signed: whoever holds our KEYSET refuses it, and keeps it for a person
// each time.
func (l *link) rank(p *paper) uint64 {
	if p.word.Counter > 0 {
		return p.word.Counter
	}
	ks := l.c.o.Keys.Keyset()
	if _, err := message.VerifyConsent(p.doc, ks); err == nil {
		return 2
	}
	if _, err := message.VerifyAgreement(p.doc, ks); err == nil {
		return 1
	}
	return 0
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

// sendPapers sends the documents that are due, while there is a channel.
func (l *link) sendPapers() {
	ch, now := l.c.channel(l.path()), l.c.o.Now()
	var due []*paper
	l.mu.Lock()
	for key, p := range l.papers {
		switch {
		case l.heeded(p) || p.due.After(now):
		case ch == nil:
			p.due = now.Add(firstPaper)
		default:
			due = append(due, p)
			if p.flying++; p.once {
				delete(l.papers, key)
			}
			p.due = now.Add(p.wait)
			p.wait = min(2*p.wait, lastPaper)
		}
	}
	l.mu.Unlock()
	for _, p := range due {
		l.spawn(func(ctx context.Context) {
			envelope, err := l.envelope(ch, message.Plain{Document: p.doc})
			if err != nil {
				l.note(err)
			} else if err = l.handOver(ctx, ch, noroshi.Immediate, envelope); err != nil && noroshi.KindOf(err) != noroshi.Invalid {
				l.hurry(p)
			}
			l.flew(p, err == nil)
		})
	}
}

// path is the channel statements and documents go by now, "" when there is none.
func (l *link) path() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.side.Status().Path
}

// hurry shortens the wait of a document that the channel did not take.
func (l *link) hurry(p *paper) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if soon := l.c.o.Now().Add(firstPaper); p.due.After(soon) {
		p.due, p.wait = soon, firstPaper
	}
}

// flew takes note of whether a document left. One that goes once waits again when it
// did not, unless another has taken its place.
func (l *link) flew(p *paper, left bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.flying--
	p.left = p.left || left
	if key := noroshi.Sum(p.doc).String(); p.once && !left && l.papers[key] == nil && (p.agreement.IsZero() || !l.consents(p.agreement)) {
		l.papers[key] = p
	}
	signal(l.kick)
}

// ackPapers forgets documents the partner's newest STATE shows it has; under mu.
func (l *link) ackPapers() {
	maps.DeleteFunc(l.papers, func(_ string, p *paper) bool { return l.has(p) })
}

// has reports whether the partner's newest STATE shows that it has a KEYSET, or one
// that overtook it, or an AGREEMENT. Of KEYSETs only what it names exactly, and what
// lies below our newest, is taken for ours: a thief of the root gives versions as high
// as they like. Nobody speaks under an agreement that is suspended or over: it has to
// go once. Under mu.
func (l *link) has(p *paper) bool {
	switch {
	case p.keys.Version > 0:
		there, newest := l.keysNamed(), l.c.o.Keys.Keyset().KeyVersion()
		return there == p.keys || there == newest || p.keys.Version < there.Version && there.Version < newest.Version
	case p.agreement.IsZero():
		return false
	}
	v := l.view.Load()
	now, _ := v.inForce(l.c.o.Now())
	return l.told != nil && l.told.Context.Agreement == p.agreement || p.left && v.partner.Agreement == p.agreement && now != p.agreement
}

// consentLacked sends our consent to the agreement both signed on a STATE that is not
// under it. That may be of before;
// but it may as well be of a partner that was put back to before it had our consent,
// which can read nothing that we say under the agreement, and never says that it lacks
// it. To a life not heard before it goes at once, to another when it does not speak
// under the agreement for a while, and not often (mayConsent).
func (l *link) consentLacked(st *message.Statement, run [8]byte, anew bool) {
	v, now := l.view.Load(), l.c.o.Now()
	ours := v.partner.Agreement
	if st.Context.Agreement == ours || !v.would(ours, now) {
		return
	}
	var turn time.Duration
	if ch := l.c.channel(l.path()); ch != nil {
		turn = ch.Traits().Turn
	}
	due, pace := now, max(cardKeys, consentTurns*turn)
	if !anew {
		due = now.Add(max(consentBeats*l.c.o.Heartbeat, consentTurns/3*turn))
	}
	if !l.mayConsent(st, underOf{ours, run}, anew, pace) {
		return
	}
	l.spawn(func(ctx context.Context) {
		doc, err := l.c.s.Doc(ctx, noroshi.DocSignature, ours.String()+"/"+l.c.o.Node.String())
		if err != nil {
			l.note(quiet(ctx, err))
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.consents(ours) {
			l.papers[noroshi.Sum(doc).String()] = &paper{doc: doc, agreement: ours, due: due, wait: firstPaper, once: true}
			signal(l.kick)
		}
	})
}

// mayConsent reports whether our consent may go now on a STATE of a run that is not under
// the agreement. It goes much less often while that is suspended, when a partner that has
// all says the same. A run that has spoken under it has our consent. While nobody has
// suspended it, as far as is known here, and the newest STATE of that run is not under it
// any more, the partner may hold a word of ours that a thief signed: it answers a consent
// with that, and this node hears of it by nothing else.
func (l *link) mayConsent(st *message.Statement, run underOf, anew bool, pace time.Duration) bool {
	suspended, now := l.view.Load().suspended(), l.c.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	has := l.spoke == run
	rests := has || suspended && !anew
	switch {
	case has && (suspended || st != l.told), l.consents(run.agreement), len(l.papers) >= maxPapers:
		return false
	case rests && now.Before(l.unsignedAt) || !l.unsigned.take(1, now, consentBurst, pace):
		return false
	}
	if rests {
		l.unsignedAt = now.Add(consentRest * pace)
	}
	return true
}

// consents reports whether an AGREEMENT document of ours waits; under mu.
func (l *link) consents(h noroshi.Hash) bool {
	for _, p := range l.papers {
		if p.agreement == h {
			return true
		}
	}
	return false
}

// underOf is a run of the partner, and the agreement it spoke under.
type underOf struct {
	agreement noroshi.Hash
	run       [8]byte
}

// heeded reports whether a word of ours on an agreement has left, or leaves, and the partner's
// newest STATE is as it says: not under one that we suspended, under one that we
// resumed. Not under one that is over is as it should be too; while only the partner's
// own suspension keeps us from speaking under it, nothing shows that it has our word.
// Under mu.
func (l *link) heeded(p *paper) bool {
	if p.word.Counter == 0 || !p.left && p.flying == 0 || l.told == nil {
		return false
	}
	theirs := l.told.Context.Agreement == p.word.Agreement
	return theirs == p.word.Resumed || p.word.Resumed && !l.view.Load().would(p.word.Agreement, l.c.o.Now())
}
