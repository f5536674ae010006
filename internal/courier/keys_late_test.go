package courier_test

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestConsentReachesOldSecrets: a node is put back, its secrets with it, to before the
// consent to the agreement in force, and its partner's newest LINK and KEYSET, when the
// card serves no more. Whatever secrets it has, it gets both: it can read nothing else.
func TestConsentReachesOldSecrets(t *testing.T) {
	t.Parallel()
	k := newKeyed(t, 73)
	hears := &words{came: map[uint64]int{}}
	k.b.document = hears.take
	k.late()
	old, _ := k.vb.Load()
	first := k.va.body(t)
	k.ahead.Add(int64(31 * 24 * time.Hour))
	k.until("the next LINKs", 10*time.Second, func() bool { return k.linked() && k.va.body(t).Gate != first.Gate })
	k.talks("second", func() {})
	k.ahead.Add(int64(4 * 24 * time.Hour))
	k.talks("third", func() {})
	k.comesBack(old)
	clock := k.quick()
	k.until("A's consent and KEYSET", 3*time.Second, func() bool {
		clock()
		return hears.consents.Load() > 0 && hears.times(k.a.keys.Keyset().Version) > 0
	})
}

// consents keeps a node's own consent to an agreement.
func (n *node) consents(file []byte) {
	n.t.Helper()
	consent, err := message.ConsentAgreement(n.keys, file, time.Now())
	if err != nil {
		n.t.Fatal(err)
	}
	_, err = n.store.Do(n.t.Context(), noroshi.Act{Action: noroshi.ActSignAgreement, Subject: "test"}, func(tx *store.Tx) error {
		return tx.PutDoc(noroshi.DocSignature, noroshi.Sum(file).String()+"/"+n.id().String(), consent)
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// TestRecordedIsNoLoss: what a partner said under the card's secret, recorded and said
// again when the card serves no more, makes no new LINK, however often it comes.
func TestRecordedIsNoLoss(t *testing.T) {
	t.Parallel()
	k := newKeyed(t, 75)
	k.net.watch = true
	k.start()
	k.until("both have stored the other's LINK", 10*time.Second, k.linked)
	k.net.mu.Lock()
	k.net.watch = false
	old := slices.DeleteFunc(slices.Clone(k.net.seen), func(e []byte) bool {
		return !message.GateMatch([]byte(strings.Repeat("b", 32)), noroshi.Real, k.b.id(), k.a.id(), e)
	})
	k.net.mu.Unlock()
	k.talks("first", func() {})
	k.ahead.Add(int64(4 * 24 * time.Hour))
	k.talks("the card serves no more", func() {})
	was, taken := k.va.body(t), 0
	for _, e := range old { // while nothing else is heard, and not for so long that anybody is missed
		k.silence(k.b, true)
		for range 2 {
			if k.a.running().Receive(t.Context(), "https", k.b.id(), e) == nil {
				taken++
			}
			k.ahead.Add(int64(35 * time.Second))
		}
		k.silence(k.b, false)
		_, from := k.a.running().Told(k.b.id())
		k.until("B is heard again", 5*time.Second, func() bool { _, now := k.a.running().Told(k.b.id()); return now >= from+3 })
	}
	k.until("all is receipted", 5*time.Second, k.settled)
	if taken == 0 {
		t.Errorf("none of %d envelopes that were recorded is opened", len(old))
	}
	if k.va.body(t).Gate != was.Gate {
		t.Error("a new LINK for what was recorded days ago")
	}
}

// silence loses what a node sends, until it does no more.
func (p *pair) silence(n *node, on bool) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.net.spoils = nil
	if on {
		p.net.spoils = func(from *node, _ []byte) bool { return from == n }
	}
}

// comesBack has A consent to another agreement and turn a key while B is down, and B begin
// a new life with such secrets of the link.
func (k *keyed) comesBack(secrets []byte) {
	k.t.Helper()
	k.b.end()
	k.vb.set(secrets, 0, false)
	file := append([]byte("# another\n"), k.file...)
	k.a.meet(k.b, file, []byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32)))
	k.a.consents(file)
	if err := k.a.keys.Rotate(rand.Reader, message.UseTLS, k.a.clock()); err != nil {
		k.t.Fatal(err)
	}
	k.b.open()
	k.b.beginAnew()
	k.b.start()
}

// TestConsentWaitsForNoKeyset: whoever has lost the secrets of the link, and our consent
// and newest KEYSET, gets both at once under the card's secret, which does for nothing else
// any more: each may be of no use alone.
func TestConsentWaitsForNoKeyset(t *testing.T) {
	t.Parallel()
	k := newKeyed(t, 94)
	hears := &words{came: map[uint64]int{}}
	k.b.document = hears.take
	k.late()
	k.comesBack(nil)
	k.until("A's consent and KEYSET", 3*time.Second, func() bool {
		return hears.consents.Load() > 0 && hears.times(k.a.keys.Keyset().Version) > 0
	})
}
