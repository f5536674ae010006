package courier_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
)

// TestControlKeyRevokedOutOfReach: a node revokes the key that signs its STATEs while
// its partner cannot be reached, long after its LINKs. What the partner is to
// believe it by, the KEYSET, comes under the card's secret; so it does when it is the
// partner that was put back to before it, or to before the link had begun: then it
// speaks in a life that does not count before it has the KEYSET; or in one that counts
// no more, where it was put back again, unseen.
func TestControlKeyRevokedOutOfReach(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ partnerBack, first, again bool }{
		"out of reach": {}, "the partner is put back": {partnerBack: true}, "to before the link": {partnerBack: true, first: true}, "and again": {partnerBack: true, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeyed(t, 26)
			k.b.document = func(_ context.Context, _ noroshi.NodeID, doc []byte) error {
				if ks, err := message.ParseKeyset(noroshi.Real, doc); err != nil || ks.Version < 2 {
					return err
				}
				k.b.takeKeys(k.a)
				return nil
			}
			at, again := storetest.Address(t, noroshi.Real), storetest.Address(t, noroshi.Real)
			var secrets []byte
			save := func() {
				k.b.end()
				for _, to := range []string{at, again} {
					if _, err := store.Copy(t.Context(), k.b.at, to, noroshi.Real, nil); err != nil {
						t.Fatal(err)
					}
				}
				secrets, _ = k.vb.Load()
			}
			if c.first {
				save()
				k.b.open()
			}
			k.late()
			if !c.first {
				save()
			} else {
				k.b.end()
			}
			if c.partnerBack { // it knows the new keys, and LINKs under them, and forgets both
				k.b.open()
				k.b.start()
			}
			k.a.revokeControl()
			if c.partnerBack {
				k.until("both have stored the other's LINK", 20*time.Second, k.linked)
				k.talks("under the new key", func() {})
				k.ahead.Add(int64(4 * 24 * time.Hour))
				k.talks("the card serves no more", func() {})
				k.vb.set(secrets, 0, false)
				k.b.putBack(at, true, true)
			} else {
				k.b.open()
				k.b.start()
			}
			clock := k.quick()
			heard := func() {
				t.Helper()
				k.until("the partner holds the new keys", 20*time.Second, func() bool {
					clock()
					list, err := k.a.running().KeysThere(t.Context())
					return err == nil && len(list) == 1 && list[0].Version == 2
				})
				k.until("both have stored the other's LINK", 20*time.Second, func() bool { clock(); return k.linked() && k.settled() })
			}
			if heard(); c.again {
				k.b.end()
				k.vb.set(secrets, 0, false)
				k.b.putBack(again, false, true)
				k.until("it asks a person", 20*time.Second, func() bool { clock(); return k.b.link().Recovering == "person" })
				by := k.b.officer("officer", noroshi.ReleaseOffice)(noroshi.ActGoOn, k.a.id().String(), courier.GoOnBound(k.a.id(), true))
				if err := k.b.running().GoOn(t.Context(), k.a.id(), true, by); err != nil {
					t.Fatal(err)
				}
				heard()
			}
			k.talks("at last", clock)
		})
	}
}

// revokeControl revokes the key that signs what a node says, and hands its partners
// the KEYSET that says so.
func (n *node) revokeControl() {
	n.t.Helper()
	ends, err := n.running().Ends(n.t.Context(), n.store.Reads, time.Time{})
	if err != nil {
		n.t.Fatal(err)
	}
	id, err := n.keys.Signing(message.UseControl, 1, n.clock())
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.keys.Revoke(rand.Reader, message.Revocation{ID: id, Last: ends}, n.clock()); err != nil {
		n.t.Fatal(err)
	}
	n.running().Reopen()
	if err := n.running().Document(n.t.Context(), n.link().Partner, n.keys.Keyset().Bytes()); err != nil {
		n.t.Fatal(err)
	}
}
