package courier_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// linkOf is a LINK of A's under a sequence, and an envelope of it.
func (p *pair) linkOf(c message.Context, seq uint64) (*message.Message, []byte) {
	p.t.Helper()
	m, err := message.Sign(p.a.keys, c, message.Header{Seq: seq, Kind: message.Link, Prec: noroshi.Immediate, Created: time.Now(), Form: message.ControlForm},
		message.EncodeLink(message.LinkBody{Gate: [32]byte{byte(seq)}, Line: [32]byte{1}, Day: message.DayOf(time.Now())}))
	if err != nil {
		p.t.Fatal(err)
	}
	envelope, err := message.Seal(message.Plain{Message: m}, message.Outbound{Realm: c.Realm, From: c.From, To: p.b.keys.Keyset(),
		Secret: []byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), Now: time.Now()}, rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	return m, envelope
}

// TestLinkHeldForAKey: a LINK below the last good point of its revoked key is held
// until everything up to that point is here, and is not held for ever then: its
// secrets are kept nowhere meanwhile.
func TestLinkHeldForAKey(t *testing.T) {
	t.Parallel()
	p := newPair(t, 14, 0, 0)
	p.start()
	p.a.importList("before.txt", 0, 1)
	p.until("A's own", 20*time.Second, func() bool { return p.usable(1)() && p.settled() })
	agreement, err := noroshi.ParseAgreement(p.file)
	if err != nil {
		t.Fatal(err)
	}
	e := message.Epoch{9}
	chain := message.ChainStart(noroshi.Real, p.a.id(), p.b.id(), e)
	var envelopes [][]byte
	for seq := range uint64(2) {
		m, envelope := p.linkOf(message.Context{Realm: noroshi.Real, From: p.a.id(), To: p.b.id(), Epoch: e, Agreement: agreement.Hash}, seq+1)
		chain, envelopes = message.ChainNext(chain, m.ID()), append(envelopes, envelope)
	}
	id, err := p.a.keys.Signing(message.UseControl, 1, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	x := message.Revocation{ID: id, Last: []message.LastGood{{Epoch: e, Seq: 2, Chain: chain}}}
	if err := p.a.keys.Revoke(rand.Reader, x, time.Now()); err != nil {
		t.Fatal(err)
	}
	p.b.takeKeys(p.a)
	p.until("the revocation is heard", 20*time.Second, func() bool {
		reports, err := p.b.running().KeyEffects(t.Context(), p.a.id())
		return err == nil && len(reports) == 1
	})
	for i, envelope := range envelopes {
		want := []store.InState{store.Held, store.Applied}[i]
		if err := p.b.running().Receive(t.Context(), noroshi.ChannelHTTPS, p.a.id(), envelope); err != nil {
			t.Fatal(err)
		}
		p.until("LINK is there", 20*time.Second, func() bool {
			state := store.InState(0)
			err := p.b.store.InIDs(t.Context(), p.a.id(), e, 1, 1, func(_ uint64, _ noroshi.Hash, s store.InState) { state = s })
			return err == nil && state == want
		})
	}
}
