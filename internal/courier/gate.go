package courier

import (
	"context"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// opening says with which secret of a link an envelope matches.
type opening struct {
	secret []byte
	link   bool // of a LINK; else of the card
	few    bool // the card's, good for STATE, LINK, KEYSET and AGREEMENT alone
}

// opens tries the secrets of a link at the gate of an envelope: those of LINKs,
// then the card's.
func (l *link) opens(g message.Gate, envelope []byte) (opening, bool) {
	p, now := l.view.Load().partner, l.c.o.Now()
	s := l.c.safe.of(p.Node)
	if g.Suite() == message.S2 {
		for _, body := range s.bodies() {
			line := message.Line{Realm: l.c.o.Realm, From: p.Node, To: l.c.o.Node, Links: []message.LinkBody{body}}
			if line.Opens(envelope, now) {
				return opening{secret: body.Gate[:], link: true}, true
			}
		}
		return opening{}, false
	}
	for _, body := range s.bodies() {
		if g.Match(body.Gate[:], l.c.o.Realm, p.Node, l.c.o.Node) {
			return opening{secret: body.Gate[:], link: true}, true
		}
	}
	if !g.Match(p.GateIn, l.c.o.Realm, p.Node, l.c.o.Node) {
		return opening{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	few := !s.cardServes(l.side.Live(), now)
	return opening{secret: p.GateIn, few: few}, !few || l.doubt.takes(len(envelope), now)
}

// takes takes one of the few envelopes that are still opened under the card's
// secret; under the link's mu. What may hold a document is counted by itself: a
// partner whose STATEs do not verify before its KEYSET is here says them without
// end. Only what is in it tells (wasNone).
func (d *doubt) takes(size int, now time.Time) bool {
	if size > cardLarge {
		return d.large.take(1, now, cardBurst, cardKeys/2)
	}
	return d.tokens.take(1, now, cardBurst, cardToken)
}

// wasNone has an envelope that takes counted with the large, and that turned out to
// hold no document, count with the others instead, as long as those have room: what
// it cost to open is paid for either way. The STATE of a partner that has heard with
// many gaps is as large as a KEYSET.
func (d *doubt) wasNone(size int, now time.Time) {
	if size > cardLarge && d.tokens.take(1, now, cardBurst, cardToken) {
		d.large.n++
	}
}

// tokens are of a thing that may happen so often at once, and then at a pace.
type tokens struct {
	n  float64
	at time.Time
}

// take takes n, of burst at most, one of which comes back in each pace.
func (t *tokens) take(n float64, now time.Time, burst float64, pace time.Duration) bool {
	if t.at.IsZero() {
		t.n = burst
	} else {
		t.n = min(burst, t.n+float64(now.Sub(t.at))/float64(pace))
	}
	t.at = now
	if t.n < n {
		return false
	}
	t.n -= n
	return true
}

// opened takes note of a verified envelope and the secret it came under.
func (l *link) opened(ctx context.Context, o opening, p message.Plain) error {
	now := l.c.o.Now()
	if o.link {
		l.note(l.c.safe.used(l.node(), [32]byte(o.secret), now))
		l.mu.Lock()
		l.doubt.heard, l.doubt.cardRun = now, time.Time{}
		l.mu.Unlock()
		return nil
	}
	state := p.Statement != nil && p.Statement.Kind == message.StateKind
	key := p.Message != nil && p.Message.Header.Kind == message.Link
	if o.few && !state && !key && !documentIs(p, message.KeysetDocument) && !documentIs(p, message.AgreementDocument) {
		return noroshi.Errorf(noroshi.Refused, "courier.card-secret", "%s sent under the secret of the card what goes under a LINK", l.node())
	}
	if p.Document != nil { // which proves itself to whoever takes it, and no life
		return nil
	}
	if key {
		h := p.Message.Header
		row, err := l.c.s.In(ctx, l.node(), p.Message.Context.Epoch, h.Seq, 1)
		if key = len(row) == 0 || row[0].Seq != h.Seq; err != nil || !key {
			return err // who has it already may be told again by anybody
		}
	}
	if key || state {
		l.suspect(p.Statement, now)
	}
	return nil
}

func documentIs(p message.Plain, kind message.DocumentKind) bool {
	is, err := message.KindOfDocument(p.Document)
	return p.Document != nil && err == nil && is == kind
}

// suspect concludes from what came under the card's secret that the partner may have
// lost our LINK: by a LINK of its own that is not here yet (st is nil), by a second
// STATE in a row half a minute later, or by one of a life that is new, for it was put
// back, and its vault may be gone with its disk. Then it gets a new one. What is not
// newer than what was heard says nothing: whoever recorded it may say it again.
func (l *link) suspect(st *message.Statement, now time.Time) {
	s := l.c.safe.of(l.node())
	newest := s.Made
	if s.Next != nil {
		newest = s.Next
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d := &l.doubt
	anew, again := false, false
	if st != nil {
		if anew = !l.side.Knows(st.Context.Epoch); !anew && (!newer(l.side.Live(), l.told, st) || l.told != nil && l.told.Counter == st.Counter) {
			return
		}
		if d.cardRun.IsZero() {
			d.cardRun = now
		}
		anew, again = anew && len(l.memo.Theirs) > 0, now.Sub(d.cardRun) >= cardEvery/2
	}
	d.heard = now
	if s.Made != nil && (anew || (st == nil || again) && now.Sub(newest.At) >= linkPause) {
		d.here = true
		signal(l.kick)
	}
}
