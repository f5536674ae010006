package courier_test

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// words is what a partner hears of suspensions, resumptions and KEYSETs; it can be deaf.
type words struct {
	mu       sync.Mutex
	deaf     bool
	heard    []message.Suspension
	consents atomic.Int64
	came     map[uint64]int // how often a word with a counter, or a KEYSET of a version, came, also to the deaf
}

func (w *words) take(_ context.Context, _ noroshi.NodeID, doc []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch kind, err := message.KindOfDocument(doc); {
	case err != nil:
		return err
	case kind == message.KeysetDocument:
		ks, err := message.ParseKeyset(noroshi.Real, doc)
		if err != nil {
			return err
		}
		w.came[ks.Version]++
	case kind == message.AgreementDocument:
		w.consents.Add(1)
	case kind == message.SuspensionDocument:
		s, err := message.ReadSuspension(noroshi.Real, doc)
		if err != nil {
			return err
		}
		if w.came[s.Counter]++; !w.deaf {
			w.heard = append(w.heard, s)
		}
	}
	return nil
}

func (w *words) set(deaf bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf, w.heard = deaf, nil
}

func (w *words) times(counter uint64) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.came[counter]
}

func (w *words) has(resumed bool) func() bool {
	return func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.heard) > 0 && w.heard[len(w.heard)-1].Resumed == resumed
	}
}

// worded is a pair of which each hears what the other says of their agreement.
type worded struct {
	*pair
	agreement noroshi.Hash
	hears     map[*node]*words
}

func newWorded(t *testing.T, seed uint64) *worded {
	t.Helper()
	return newPair(t, seed, 0, 0).worded()
}

// worded starts a pair that hears so.
func (p *pair) worded() *worded {
	p.t.Helper()
	w := &worded{p, noroshi.Sum(p.file), map[*node]*words{}}
	for _, n := range []*node{p.a, p.b} {
		w.hears[n] = &words{came: map[uint64]int{}}
		n.document = w.hears[n].take
	}
	p.start()
	p.until("the link is there", 10*time.Second, func() bool { return p.a.link().Confirmed && p.b.link().Confirmed })
	return w
}

// say has a node hand in a word on the agreement.
func (w *worded) say(from, to *node, counter uint64, resumed bool) {
	w.t.Helper()
	doc, err := message.SignSuspension(from.keys, message.Suspension{Agreement: w.agreement, Counter: counter, Resumed: resumed, Created: time.Now()})
	if err == nil {
		err = from.running().Document(w.t.Context(), to.id(), doc)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// more waits until a node has said more of itself, which the other has heard.
func (w *worded) more(n *node, times int64) {
	w.t.Helper()
	from := n.running().Counters().Statements
	w.until("it says more of itself", 20*time.Second, func() bool { return n.running().Counters().Statements > from+times })
}

// TestWordHeededForAWhile: that the partner speaks under the agreement is no proof that
// a resumption arrived: the suspension before it may come after that, with what was said
// of the resumption lost. Nor does a partner that heeded a suspension heed it for ever:
// it may be put back to before it. Our latest word goes again then, no earlier one does,
// and none while it is heeded.
func TestWordHeededForAWhile(t *testing.T) {
	t.Parallel()
	p := newWorded(t, 61)
	w := p.hears[p.b]
	w.set(true)
	p.say(p.a, p.b, 2, true)
	p.say(p.a, p.b, 1, false) // handed in late: it was overtaken
	p.more(p.b, 12)           // under the agreement, of which it has not heard that it was suspended
	if n := w.times(2); n != 1 {
		t.Errorf("a word that is heeded came %d times", n)
	}
	p.b.suspend(p.a)
	p.more(p.b, 4)
	w.set(false)
	p.until("B hears of the resumption", 10*time.Second, w.has(true))

	p.b.trusts(p.a, noroshi.InForce)
	p.a.suspend(p.b)
	p.say(p.a, p.b, 3, false)
	p.until("B hears of the suspension", 10*time.Second, w.has(false))
	p.b.suspend(p.a)
	p.more(p.b, 4)
	w.set(false)
	p.b.trusts(p.a, noroshi.InForce)
	p.until("B hears of the suspension again", 10*time.Second, w.has(false))
	if n := w.times(1); n > 0 {
		t.Errorf("a word that was overtaken came %d times", n)
	}
}

// TestBothResumeUnheard: both had suspended, and both resume while nothing goes between
// them: neither speaks under the agreement, and each has to hear of the other.
func TestBothResumeUnheard(t *testing.T) {
	t.Parallel()
	p := newWorded(t, 62)
	p.a.suspend(p.b)
	p.b.suspend(p.a)
	p.more(p.a, 4)
	p.more(p.b, 4)
	p.net.setCut(true)
	p.say(p.a, p.b, 2, true)
	p.say(p.b, p.a, 2, true)
	p.more(p.a, 4)
	p.net.setCut(false)
	for _, n := range []*node{p.a, p.b} {
		p.until("each hears of the other", 10*time.Second, p.hears[n].has(true))
	}
	// Of what left, and was lost, nothing is known either.
	for _, n := range []*node{p.a, p.b} {
		from := p.hears[n].times(2)
		p.until("each says it again", 10*time.Second, func() bool { return p.hears[n].times(2) > from })
	}
}

// TestOldKeysetIsLeft: a partner that has a later KEYSET is not sent an earlier one.
func TestOldKeysetIsLeft(t *testing.T) {
	t.Parallel()
	p := newWorded(t, 63)
	w := p.hears[p.b]
	was := p.a.keys.Keyset().Version
	hand := func() {
		t.Helper()
		if err := p.a.running().Document(t.Context(), p.b.id(), p.a.keys.Keyset().Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	p.net.setCut(true)
	for range 2 {
		if err := p.a.keys.Rotate(rand.Reader, message.UseTLS, time.Now()); err != nil {
			t.Fatal(err)
		}
		hand()
	}
	p.net.setCut(false)
	p.until("both came", 10*time.Second, func() bool { return w.times(was+1) > 0 && w.times(was+2) > 0 })
	p.b.takeKeys(p.a)
	p.more(p.b, 4)
	from := w.times(was + 1)
	p.more(p.b, 25)
	if n := w.times(was+1) - from; n > 0 {
		t.Errorf("a KEYSET that a later one overtook came %d times more", n)
	}
}

// TestOneAgreementDocumentGoes: of what we say by AGREEMENT of one file one document goes,
// in whatever order all are handed in: a consent and no proposal, and of two consents the
// one under a key that is not revoked, for the partner puts the other into quarantine each
// time it comes.
func TestOneAgreementDocumentGoes(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]string{
		"signed anew":       {"revoked", "consent"},
		"handed in late":    {"consent", "revoked"},
		"a proposal before": {"proposal", "consent"},
		"a proposal after":  {"consent", "proposal"},
		"all":               {"proposal", "revoked", "consent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeyed(t, 91)
			k.a.vault, k.b.vault = nil, nil
			var mu sync.Mutex
			came := map[noroshi.Hash]int{}
			k.b.document = func(_ context.Context, _ noroshi.NodeID, doc []byte) error {
				mu.Lock()
				defer mu.Unlock()
				came[noroshi.Sum(doc)]++
				return nil
			}
			docs := k.agreementDocuments(append([]byte("# another\n"), k.file...))
			times := func(name string) int { mu.Lock(); defer mu.Unlock(); return came[noroshi.Sum(docs[name])] }
			k.start()
			k.until("the link is there", 10*time.Second, func() bool { return k.a.link().Confirmed && k.b.link().Confirmed })
			k.net.setCut(true)
			for _, name := range order {
				if err := k.a.running().Document(t.Context(), k.b.id(), docs[name]); err != nil {
					t.Fatal(err)
				}
			}
			k.net.setCut(false)
			for n := range 3 {
				k.until("the consent", 10*time.Second, func() bool { return times("consent") > n })
				k.ahead.Add(int64(5 * time.Minute))
			}
			for _, name := range order {
				if n := times(name); n > 0 && name != "consent" {
					t.Errorf("%s came %d times", name, n)
				}
			}
		})
	}
}

// agreementDocuments has A propose a file, and consent to it under a key that it then
// revokes and under the one behind that.
func (p *pair) agreementDocuments(file []byte) map[string][]byte {
	p.t.Helper()
	now, keys := time.Now(), p.a.keys
	proposal, err := message.SignAgreement(keys, file, now)
	if err != nil {
		p.t.Fatal(err)
	}
	revoked, err := message.ConsentAgreement(keys, file, now)
	if err != nil {
		p.t.Fatal(err)
	}
	p.revoke(nil)
	consent, err := message.SignAnew(keys, revoked, message.UseRelease, now)
	if err != nil || consent == nil {
		p.t.Fatalf("signed anew: %x, %v", consent, err)
	}
	return map[string][]byte{"proposal": proposal, "revoked": revoked, "consent": consent}
}

// TestKeysetReachesWhoHoldsAThiefs: a partner that names a KEYSET a thief of our root
// made, in whatever version, is sent ours: by that alone can its officers hear the next
// root, or know of the fork.
func TestKeysetReachesWhoHoldsAThiefs(t *testing.T) {
	t.Parallel()
	rotate := func(k *message.Keyring) error { return k.Rotate(rand.Reader, message.UseTLS, time.Now()) }
	for name, x := range map[string]struct {
		theirs int // KEYSETs the thief made
		ours   func(*message.Keyring) error
	}{
		"the next root, in a lower version": {3, func(k *message.Keyring) error { return k.RotateRoot(rand.Reader, nil, true, time.Now()) }},
		"a fork":                            {1, rotate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newWorded(t, 71)
			own, thief := p.a.keys, p.a.keys.Copy()
			for range x.theirs {
				if err := rotate(thief); err != nil {
					t.Fatal(err)
				}
			}
			p.a.keys = thief
			p.b.takeKeys(p.a)
			p.a.keys = own
			p.more(p.b, 4)
			p.net.mu.Lock()
			p.net.spoils = func(from *node, _ []byte) bool { return from == p.b } // nothing late of B's asks for it
			p.net.mu.Unlock()
			if err := x.ours(own); err != nil {
				t.Fatal(err)
			}
			if err := p.a.running().Document(t.Context(), p.b.id(), own.Keyset().Bytes()); err != nil {
				t.Fatal(err)
			}
			p.until("B gets ours", 3*time.Second, func() bool { return p.hears[p.b].times(own.Keyset().Version) > 0 })
		})
	}
}

// TestConsentOnlyToWhoMayLackIt: a run of a partner that has spoken under the agreement
// has our consent. While the agreement is suspended it is not sent that; while it is in
// force here and the run speaks under it no more, it is, once for long: it may hold a word
// of ours that we never said. One that was put back to before the consent gets it either
// way.
func TestConsentOnlyToWhoMayLackIt(t *testing.T) {
	t.Parallel()
	for name, suspended := range map[string]bool{"in force": false, "suspended": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newWorded(t, 76)
			p.a.consents(p.file)
			came, want := p.hears[p.b].consents.Load, int64(0)
			if suspended {
				p.a.suspend(p.b)
				p.more(p.a, 2)
				p.b.suspend(p.a)
			} else {
				p.b.suspend(p.a)
				p.until("the consent, to who speaks under it no more", 10*time.Second, func() bool { return came() > 0 })
				want = 1
			}
			p.more(p.b, 12)
			if n := came(); n != want {
				t.Errorf("%d consents to who has it, want %d", n, want)
			}
			p.net.mu.Lock()
			p.net.full = 2 // what the wire does not take goes all the same
			p.net.mu.Unlock()
			p.b.end()
			p.b.open()
			p.b.beginAnew()
			p.b.start()
			p.until("the consent, to who was put back", 3*time.Second, func() bool { return came() > want })
		})
	}
}

// TestConsentRests: our consent goes to who may lack it every two minutes, and once an hour
// to who says the same when it has all: while the agreement is suspended, and to a run that
// has spoken under it.
func TestConsentRests(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		suspended, spoke bool
		least, most      int64 // in the next forty minutes
	}{
		"in force, to who has not spoken":  {false, false, 5, 20},
		"suspended, to who has not spoken": {true, false, 0, 2}, // one of them waited already
		"in force, to who has spoken":      {false, true, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeyed(t, 92)
			k.a.vault, k.b.vault = nil, nil
			k.a.beat, k.b.beat = 50*time.Millisecond, 50*time.Millisecond
			w := k.worded()
			k.a.consents(k.file)
			came := w.hears[k.b].consents.Load
			if x.suspended {
				k.a.suspend(k.b)
				w.more(k.a, 2)
			}
			k.b.suspend(k.a)
			if !x.spoke {
				k.b.end()
				k.b.open()
				k.b.beginAnew()
				k.b.start()
			}
			k.until("the first, and the life is known", 10*time.Second, func() bool { return came() > 0 && k.b.recovered() && k.settled() })
			minutes := func(n int) {
				for range n / 5 {
					k.ahead.Add(int64(5 * time.Minute))
					w.more(k.b, 2)
				}
			}
			from := came()
			minutes(40)
			if n := came() - from; n < x.least || n > x.most {
				t.Errorf("%d consents in forty minutes, want %d to %d", n, x.least, x.most)
			}
			from = came()
			minutes(30)
			k.until("another after an hour", 10*time.Second, func() bool { return came() > from })
		})
	}
}
