package message

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// leapUnit is by how much a leap a second later is higher: more than a leap is drawn
// from, with all KEYSETs that may follow on it in a second.
const leapUnit = 1 << 18

// Leap is Renew for keys that were put back from a backup: the version leaps, by
// an amount nobody can foresee. Partners may hold KEYSETs this node has forgotten
// it made, and two bodies of one version would be a fork. Put back from the same
// backup again, the keys leap above where they leapt to before, as long as the clock
// has gone on; those in the folder are newer, and leap above themselves in any case.
// Where they are lost too and the clock stands or went back, a partner may hold a
// higher version: its STATE says so, and nothing is taken back meanwhile.
func (k *Keyring) Leap(now time.Time) error {
	k.turning.Lock()
	defer k.turning.Unlock()
	var b [2]byte
	rand.Read(b[:])
	h := k.head.Load()
	ks := h.successor(now)
	since := max(0, now.Sub(h.keyset.Created)) / time.Second
	ks.Version += 1<<10 + uint64(binary.BigEndian.Uint16(b[:])) + leapUnit*uint64(since)
	return k.publish(ks, h.clone())
}
