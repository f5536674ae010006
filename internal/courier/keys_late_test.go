package courier_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestConsentReachesOldSecrets: a node is put back, its secrets with it, to before the
// consent to the agreement in force and its partner's newest LINK, when the card serves
// no more. Whatever secrets it has, it gets the consent: it can read nothing else.
func TestConsentReachesOldSecrets(t *testing.T) {
	t.Parallel()
	k := newKeyed(t, 73)
	var came atomic.Bool
	k.b.document = func(_ context.Context, _ noroshi.NodeID, doc []byte) error {
		if kind, err := message.KindOfDocument(doc); err == nil && kind == message.AgreementDocument {
			came.Store(true)
		}
		return nil
	}
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
	k.b.open()
	k.b.beginAnew()
	k.b.start()
	clock := k.quick()
	k.until("A's consent", 3*time.Second, func() bool { clock(); return came.Load() })
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
