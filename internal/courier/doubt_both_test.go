package courier_test

import (
	"crypto/rand"
	"encoding/hex"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// bothSay has thieves of A's first release key and of the one behind it send B the same
// object, and returns the keys.
func (p *pair) bothSay(end message.LastGood) (first, second [4]byte) {
	p.t.Helper()
	p.until("all receipted", 5*time.Second, p.settled)
	p.net.setCut(true)
	thief, err := p.a.keys.Copy(), error(nil)
	if first, err = thief.Signing(message.UseRelease, 1, time.Now()); err == nil {
		err = p.a.keys.Rotate(rand.Reader, message.UseRelease, time.Now())
	}
	if err == nil {
		second, err = p.a.keys.Signing(message.UseRelease, p.a.keys.Keyset().Version, time.Now())
	}
	if err != nil || first == second {
		p.t.Fatalf("the keys %x and %x: %v", first, second, err)
	}
	p.b.takeKeys(p.a)
	o := p.indicator(stix.NewID("indicator"), "thief.example")
	content := message.EncodeObjects([]message.Object{{Bytes: o.Bytes()}})
	for i, keys := range []*message.Keyring{thief, p.a.keys.Copy()} {
		seq := end.Seq + 1 + uint64(i)
		envelope := p.forgedAs(keys, end.Epoch, message.Header{Seq: seq, Kind: message.Data, Label: "TLP:GREEN", Form: message.ObjectsForm}, content)
		p.until("it is applied", 5*time.Second, func() bool {
			_ = p.b.running().Receive(p.t.Context(), "https", p.a.id(), envelope)
			rows, err := p.b.store.In(p.t.Context(), p.a.id(), end.Epoch, seq, 1)
			return err == nil && len(rows) == 1 && rows[0].Seq == seq && rows[0].State == store.Applied
		})
	}
	p.until("the thieves'", 5*time.Second, p.usable(4))
	return first, second
}

// disowns has a key of A's revoked by whoever has the keys, and B hear it; it returns
// what B says of that key then.
func (p *pair) disowns(keys *message.Keyring, id [4]byte, ends []message.LastGood) (d courier.Doubted) {
	p.t.Helper()
	if err := keys.Revoke(rand.Reader, message.Revocation{ID: id, Last: ends}, time.Now()); err != nil {
		p.t.Fatal(err)
	}
	own := p.a.keys
	p.a.keys = keys
	p.b.takeKeys(p.a)
	p.a.keys = own
	p.until("its report", 5*time.Second, func() (found bool) {
		d, found = p.reported(id)
		return found && d.Root == noroshi.Sum(keys.Keyset().Root)
	})
	return d
}

// reported is what B says of one of A's keys.
func (p *pair) reported(id [4]byte) (courier.Doubted, bool) {
	p.t.Helper()
	list, err := p.b.running().KeyEffects(p.t.Context(), p.a.id())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, d := range list {
		if d.Key == hex.EncodeToString(id[:]) {
			return d, true
		}
	}
	return courier.Doubted{}, false
}

// TestBothDisowned: what the thieves of two keys said stays as long as one of the keys
// is believed, and goes out of use with the other, whichever was revoked first, and
// though the report under another root tells of the same message.
func TestBothDisowned(t *testing.T) {
	t.Parallel()
	for name, nextRoot := range map[string]bool{"under one root": false, "under the next": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, ends := began(t, 93)
			first, second := p.bothSay(ends[0])
			own, last := p.a.keys, second
			if nextRoot {
				p.disowns(own.Copy(), first, ends) // by a thief of the root
				if err := own.RotateRoot(rand.Reader, nil, true, time.Now()); err != nil {
					t.Fatal(err)
				}
				p.disowns(own, second, ends)
				last = first
			} else {
				p.disowns(own, first, ends)
			}
			if !p.usable(4)() {
				t.Fatal("what the other key bears out is out of use")
			}
			d := p.disowns(own, last, ends)
			if p.until("what nobody believed says is out of use", 2*time.Second, p.usable(3)); d.Count != 1 || len(d.Objects) != 1 {
				t.Errorf("report: %+v", d)
			}
			if err := own.RotateRoot(rand.Reader, nil, false, time.Now()); err != nil {
				t.Fatal(err)
			}
			p.b.takeKeys(p.a)
			p.until("it stands under the next root", 5*time.Second, func() bool {
				now, _ := p.reported(last)
				return now.Root != d.Root
			})
			if now, _ := p.reported(last); now.Time != d.Time || len(now.Objects) != 1 {
				t.Errorf("report under a root that says the same: %+v", now)
			}
		})
	}
}
