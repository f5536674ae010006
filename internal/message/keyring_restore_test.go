package message_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// savedKeyring is a new keyring, and what a backup of it has.
func savedKeyring(t *testing.T) (k *message.Keyring, saved []byte) {
	t.Helper()
	k, err := message.NewKeyring(noroshi.Real, now)
	if err != nil {
		t.Fatal(err)
	}
	if saved, err = k.MarshalBinary(); err != nil {
		t.Fatal(err)
	}
	return k, saved
}

// Keys put back from a backup go on above all that was made since it, and a
// partner believes them at once.
func TestLeap(t *testing.T) {
	t.Parallel()
	k, saved := savedKeyring(t)
	for week := range 52 {
		if err := k.Renew(now.Add(time.Duration(week) * 7 * 24 * time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	held := k.Keyset()
	back, err := message.UnmarshalKeyring(saved)
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Renew(now); err != nil {
		t.Fatal(err)
	}
	if _, err := back.Keyset().Succeeds(held); noroshi.KindOf(err) != noroshi.Conflict {
		t.Errorf("without a leap: %v", err)
	}
	if err := back.Leap(now); err != nil {
		t.Fatal(err)
	}
	if confirm, err := back.Keyset().Succeeds(held); confirm || err != nil {
		t.Errorf("after a leap: confirm %v, %v", confirm, err)
	}
}

// Keys put back from one backup again are believed by a partner that holds those of
// the time before.
func TestLeapAgain(t *testing.T) {
	t.Parallel()
	k, saved := savedKeyring(t)
	held := k.Keyset()
	for times := range 20 {
		back, err := message.UnmarshalKeyring(saved)
		if err != nil {
			t.Fatal(err)
		}
		at := now.Add(time.Hour + time.Duration(times)*time.Second)
		if err := back.Leap(at); err != nil {
			t.Fatal(err)
		}
		if confirm, err := back.Keyset().Succeeds(held); confirm || err != nil {
			t.Fatalf("time %d: confirm %v, %v", times, confirm, err)
		}
		if err := back.Renew(at); err != nil {
			t.Fatal(err)
		}
		held = back.Keyset()
	}
}

// While the clock stands, or went back, keys leap above those that are in the folder,
// which a restore takes where they are newer; and above those of the backup where the
// folder is empty.
func TestLeapWithoutTheClock(t *testing.T) {
	t.Parallel()
	k, err := message.NewKeyring(noroshi.Real, now)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := k.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	first, held := k.Keyset(), k.Keyset()
	for times := range 20 {
		at := now.Add(-time.Duration(times) * time.Hour)
		if err := k.Leap(at); err != nil {
			t.Fatal(err)
		}
		if confirm, err := k.Keyset().Succeeds(held); confirm || err != nil {
			t.Fatalf("time %d, in the folder: confirm %v, %v", times, confirm, err)
		}
		held = k.Keyset()
		back, err := message.UnmarshalKeyring(saved)
		if err != nil {
			t.Fatal(err)
		}
		if err := back.Leap(at); err != nil {
			t.Fatal(err)
		}
		if confirm, err := back.Keyset().Succeeds(first); confirm || err != nil {
			t.Fatalf("time %d, of the backup: confirm %v, %v", times, confirm, err)
		}
	}
}

// Keys put back to before a key was revoked do not take the revocation back: no
// partner believes them until they revoke it too.
func TestLeapOverARevocation(t *testing.T) {
	t.Parallel()
	k, saved := savedKeyring(t)
	stolen, err := k.Signing(message.UseRelease, 1, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Revoke(rand.Reader, message.Revocation{ID: stolen}, now); err != nil {
		t.Fatal(err)
	}
	back, err := message.UnmarshalKeyring(saved)
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Leap(now); err != nil {
		t.Fatal(err)
	}
	if _, err := back.Keyset().Succeeds(k.Keyset()); noroshi.KindOf(err) != noroshi.Refused {
		t.Errorf("without the revocation: %v", err)
	}
	if err := back.Revoke(rand.Reader, message.Revocation{ID: stolen}, now); err != nil {
		t.Fatal(err)
	}
	if confirm, err := back.Keyset().Succeeds(k.Keyset()); confirm || err != nil {
		t.Errorf("with it: confirm %v, %v", confirm, err)
	}
}
