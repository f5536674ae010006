package message_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// TestRotate: the copy turns, the keyring follows when it adopts it; what was
// signed before is good after, and who holds the version before is written to
// with what it knows.
func TestRotate(t *testing.T) {
	t.Parallel()
	for use := message.UseRelease; use <= message.UseTLS; use++ {
		k, err := message.NewKeyringFrom(seed("a"), noroshi.Real, now)
		if err != nil {
			t.Fatal(err)
		}
		first, later := k.Keyset(), now.Add(time.Hour)
		turned, other := k.Copy(), k.Copy()
		if err := errors.Join(turned.Rotate(seed("b"), use, later), other.Rotate(seed("c"), use, later)); err != nil {
			t.Fatal(err)
		}
		if k.Keyset() != first {
			t.Fatalf("use %d: turning a copy changed the keyring", use)
		}
		saved, err := turned.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if turned, err = message.UnmarshalKeyring(saved); err != nil {
			t.Fatalf("use %d: %v", use, err)
		}
		if err := errors.Join(k.Adopt(turned), k.Adopt(turned)); err != nil {
			t.Fatal(err)
		}
		code(t, k.Adopt(other), "keyring.moved")
		if confirm, err := k.Keyset().Succeeds(first); confirm || err != nil {
			t.Errorf("use %d: confirm %t, %v", use, confirm, err)
		}
		if use > message.UseControl {
			continue
		}
		old, err1 := k.Signing(use, 1, later)
		fresh, err2 := k.Signing(use, 2, later)
		after, err3 := k.Signing(use, 1, later.Add(message.Overlap+time.Hour))
		if err1 != nil || err2 != nil || err3 != nil || old == fresh || after != fresh {
			t.Errorf("use %d: signs as %x, %x, %x (%v %v %v)", use, old, fresh, after, err1, err2, err3)
		}
	}
}

// TestRotateTooOften: a KEYSET never has more than eight keys of a use, and one
// that still serves does not go.
func TestRotateTooOften(t *testing.T) {
	t.Parallel()
	k, err := message.NewKeyringFrom(seed("a"), noroshi.Real, now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 7 {
		if err := k.Rotate(seed(string(rune('b'+i))), message.UseRelease, now.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	code(t, k.Rotate(seed("z"), message.UseRelease, now.Add(8*time.Hour)), "keyring.full")
	if err := k.Rotate(seed("z"), message.UseRelease, now.Add(message.Overlap+2*24*time.Hour)); err != nil {
		t.Errorf("after the overlap: %v", err)
	}
}

// TestRevoke: what the revoked key signed is believed up to the last good
// sequence of an epoch, and it signs no more.
func TestRevoke(t *testing.T) {
	t.Parallel()
	p := newPair(t, noroshi.Real)
	k := p.a
	kid, err := k.Signing(message.UseRelease, 1, now)
	if err != nil {
		t.Fatal(err)
	}
	e := message.Epoch{1}
	c := message.Context{Realm: noroshi.Real, From: k.NodeID(), To: p.b.NodeID(), Epoch: e, Agreement: noroshi.Hash{1}}
	sign := func(seq uint64) *message.Message {
		m, err := message.Sign(k, c, message.Header{Seq: seq, Kind: message.Data, Prec: noroshi.Routine, Created: now, Label: "tlp:clear", Form: message.ObjectsForm}, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	good, bad := sign(3), sign(4)
	if err := k.Revoke(seed("r"), message.Revocation{ID: kid, Last: []message.LastGood{{Epoch: e, Seq: 3}}}, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	code(t, k.Revoke(seed("r"), message.Revocation{ID: kid}, now), "keyring.revoked")
	if err := good.Verify(k.Keyset()); err != nil {
		t.Errorf("up to the last good: %v", err)
	}
	code(t, bad.Verify(k.Keyset()), "message.key-revoked")
	bad.Signature[0] ^= 1
	code(t, bad.Verify(k.Keyset()), "message.signature")
	if got, err := k.Signing(message.UseRelease, 1, now); err != nil || got == kid {
		t.Errorf("signs with %x, %v after %x was revoked", got, err, kid)
	}
}

// TestRevokeInAFullKeyset: a stolen key is revoked however many there are: the
// oldest that was rotated away makes room, then the oldest that was revoked,
// never the one that signs.
func TestRevokeInAFullKeyset(t *testing.T) {
	t.Parallel()
	for _, use := range []message.KeyUse{message.UseRelease, message.UseControl, message.UseKEM, message.UseTLS} {
		k, err := message.NewKeyringFrom(seed("a"), noroshi.Real, now)
		if err != nil {
			t.Fatal(err)
		}
		of := func() (ids [][4]byte) {
			for _, x := range k.Keyset().Keys {
				if x.Use == use {
					ids = append(ids, x.ID)
				}
			}
			return ids
		}
		for i := range 7 {
			if err := k.Rotate(seed(string(rune('b'+i))), use, now.Add(time.Duration(i+1)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 10 {
			before := of()
			stolen := before[7]
			if err := k.Revoke(seed(string(rune('n'+i))), message.Revocation{ID: stolen}, now.Add(time.Duration(10+i)*time.Hour)); err != nil {
				t.Fatalf("use %d, revocation %d: %v", use, i, err)
			}
			after := of()
			if len(after) != 8 || after[6] != stolen || after[0] == before[0] || k.Keyset().RevokedKey(stolen) == nil || !k.Holds(after[7]) || k.Holds(before[0]) {
				t.Fatalf("use %d, revocation %d: %x after %x", use, i, after, before)
			}
			if _, err := message.ParseKeyset(noroshi.Real, k.Keyset().Bytes()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRootApart: the next root is kept elsewhere and brought for the change;
// another is refused.
func TestRootApart(t *testing.T) {
	t.Parallel()
	k, err := message.NewKeyringFrom(seed("a"), noroshi.Real, now)
	if err != nil {
		t.Fatal(err)
	}
	next := k.TakeNext()
	if again := k.TakeNext(); len(next) != 32 || again != nil {
		t.Fatalf("took %d and %d bytes", len(next), len(again))
	}
	if err := k.Renew(now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	old := k.Keyset()
	code(t, k.RotateRoot(seed("n"), nil, false, now.Add(2*time.Hour)), "keyring.no-next")
	code(t, k.RotateRoot(seed("n"), make([]byte, 32), false, now.Add(2*time.Hour)), "keyring.next")
	alone := k.Copy()
	if err := alone.RotateRoot(seed("n"), next, true, now.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if confirm, err := alone.Keyset().Succeeds(old); !confirm || err != nil {
		t.Errorf("without the old root: confirm %t, %v", confirm, err)
	}
	if err := k.RotateRoot(seed("n"), next, false, now.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if confirm, err := k.Keyset().Succeeds(old); confirm || err != nil {
		t.Errorf("with the old root: confirm %t, %v", confirm, err)
	}
}

// TestTurnsOfKeys: between two turns nothing is told anew of what a node can open,
// and the moments at which it comes and goes are turns.
func TestTurnsOfKeys(t *testing.T) {
	t.Parallel()
	k, err := message.NewKeyringFrom(seed("a"), noroshi.Real, now)
	if err == nil {
		err = k.Strengthen(seed("b"), now.AddDate(0, 1, 0))
	}
	if err == nil {
		err = k.Rotate(seed("c"), message.UseKEM, now.AddDate(0, 2, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
	ks := k.Keyset()
	says := func(at time.Time) [2]bool { return [2]bool{ks.Has(message.S1, at), ks.Has(message.S1H, at)} }
	var told [][2]bool
	at := now.AddDate(-1, 0, 0)
	for n := 0; ; n++ {
		next, ok := ks.Turns(at)
		if !ok {
			break
		}
		if n > 2*8 || !next.After(at) {
			t.Fatalf("turn %d is at %v, after %v", n, next, at)
		}
		if was, last := says(at), says(next.Add(-1)); was != last {
			t.Errorf("between %v and %v it goes from %v to %v", at, next, was, last)
		}
		if len(told) == 0 || told[len(told)-1] != says(next) {
			told = append(told, says(next))
		}
		at = next
	}
	if says(at.AddDate(10, 0, 0)) != says(at) {
		t.Errorf("after the last turn, %v, it changes", at)
	}
	if want := [][2]bool{{true, false}, {true, true}, {false, false}}; !slices.Equal(told, want) {
		t.Errorf("it says %v in turn, want %v", told, want)
	}
}

// TestRevokedKeepTheirUse: what signs nothing on a link is not counted among what may
// have when it was revoked, however often keys of its use are rotated afterwards.
func TestRevokedKeepTheirUse(t *testing.T) {
	p := newPair(t, noroshi.Real)
	at := now
	for i, use := range []message.KeyUse{message.UseTLS, message.UseKEM, message.UseRelease, message.UseControl} {
		at = at.Add(time.Hour)
		keys := p.a.Keyset().Keys
		x := keys[slices.IndexFunc(keys, func(k message.Key) bool { return k.Use == use })]
		if err := p.a.Revoke(rand.Reader, message.Revocation{ID: x.ID}, at); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if n := p.a.Keyset().Disowned(); n != max(0, i-1) {
				t.Fatalf("%d keys of %d revoked may have signed on a link, want %d", n, i+1, max(0, i-1))
			}
			at = at.AddDate(0, 2, 0)
			if err := p.a.Rotate(rand.Reader, use, at); err != nil {
				t.Fatal(err)
			}
		}
	}
}
