package courier_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// TestLargeStatesShutOutNoKeyset: a partner that has heard with many gaps says STATEs
// as large as a KEYSET, under the card's secret, at the pace of one that may have lost
// our secrets. Whether they verify or not, its KEYSET is opened when it comes.
func TestLargeStatesShutOutNoKeyset(t *testing.T) {
	t.Parallel()
	for name, verifies := range map[string]bool{"that verify": true, "under a key not known yet": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeyed(t, 27)
			came := 0
			k.b.document = func(context.Context, noroshi.NodeID, []byte) error { came++; return nil }
			k.late()
			k.a.end()
			keys := k.a.keys.Copy()
			use := map[bool]message.KeyUse{true: message.UseTLS, false: message.UseControl}[verifies]
			if err := keys.Rotate(rand.Reader, use, k.a.clock()); err != nil {
				t.Fatal(err)
			}
			body := message.State{In: []message.InSet{{Epoch: message.Epoch{5}}}}
			for i := range uint64(200) {
				body.In[0].Ranges = append(body.In[0].Ranges, message.Range{A: 1000 * (i + 2), B: 1000*(i+2) + 300})
			}
			hand := func(p message.Plain) error {
				t.Helper()
				envelope, err := message.Seal(p, message.Outbound{Realm: noroshi.Real, From: k.a.id(), To: k.b.keys.Keyset(), Secret: []byte(strings.Repeat("a", 32)), Now: k.a.clock()}, rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				if len(envelope) <= 4<<10 {
					t.Fatalf("an envelope has %d bytes, want more than 4 KiB", len(envelope))
				}
				return k.b.running().Receive(t.Context(), "https", k.a.id(), envelope)
			}
			want := map[bool]string{true: "", false: "message.key"}[verifies]
			for minute := range 20 {
				k.ahead.Add(int64(time.Minute))
				st, err := message.SignStatement(keys, message.Context{Realm: noroshi.Real, From: k.a.id(), To: k.b.id(), Epoch: message.Epoch{6}}, uint64(minute+1), message.StateKind, k.a.clock(), message.EncodeState(body))
				if err != nil {
					t.Fatal(err)
				}
				if err := hand(message.Plain{Statement: st}); code(err) != want {
					t.Errorf("minute %d: the STATE: %v", minute, err)
				}
				if minute%2 == 1 {
					if err := hand(message.Plain{Document: keys.Keyset().Bytes()}); err != nil {
						t.Errorf("minute %d: the KEYSET: %v", minute, err)
					}
				}
			}
			if came != 10 {
				t.Errorf("%d of 10 KEYSETs were looked at", came)
			}
		})
	}
}

// TestRecordedDocumentsShutOutNoKeyset: what a partner sent long ago, said again and
// again by somebody else, keeps out no KEYSET that comes.
func TestRecordedDocumentsShutOutNoKeyset(t *testing.T) {
	t.Parallel()
	p := newPair(t, 78, 0, 0)
	w := &words{came: map[uint64]int{}}
	p.b.document = w.take
	p.b.start()
	hand := func(doc []byte) error {
		t.Helper()
		envelope, err := message.Seal(message.Plain{Document: doc}, message.Outbound{Realm: noroshi.Real, From: p.a.id(), To: p.b.keys.Keyset(), Secret: []byte(strings.Repeat("a", 32)), Now: time.Now()}, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return p.b.running().Receive(t.Context(), "https", p.a.id(), envelope)
	}
	consent, err := message.ConsentAgreement(p.a.keys, p.file, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p.until("B takes what comes", 5*time.Second, func() bool { return hand(consent) == nil })
	for range 40 {
		_, _ = hand(p.a.keys.Keyset().Bytes()), hand(consent)
	}
	if n := w.consents.Load(); n != 32 {
		t.Errorf("%d of 41 consents were looked at", n)
	}
	if err := p.a.keys.Rotate(rand.Reader, message.UseTLS, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := hand(p.a.keys.Keyset().Bytes()); err != nil || w.times(2) != 1 {
		t.Errorf("the KEYSET came %d times: %v", w.times(2), err)
	}
}
