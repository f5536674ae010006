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
	k.b.end()
	k.vb.set(old, 0, false)
	file := append([]byte("# another\n"), k.file...)
	k.a.meet(k.b, file, []byte(strings.Repeat("a", 32)), []byte(strings.Repeat("b", 32)))
	k.a.consents(file)
	if err := k.a.keys.Rotate(rand.Reader, message.UseTLS, k.a.clock()); err != nil {
		t.Fatal(err)
	}
	k.b.open()
	k.b.beginAnew()
	k.b.start()
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
	was, hears, taken := k.va.body(t), &worded{pair: k.pair}, 0
	for _, e := range old {
		k.ahead.Add(int64(11 * time.Minute))
		hears.more(k.b, 1)
		if k.a.running().Receive(t.Context(), "https", k.b.id(), e) == nil {
			taken++
		}
	}
	hears.more(k.a, 6)
	k.until("all is receipted", 5*time.Second, k.settled)
	if k.va.body(t).Gate != was.Gate || taken == 0 {
		t.Errorf("a new LINK for one of %d envelopes recorded days ago", taken)
	}
}
