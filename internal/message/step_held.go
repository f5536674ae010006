package message

import (
	"bytes"
	"cmp"
	"slices"
)

// Held returns the partner's messages that wait for a person or an upgrade, by
// epoch and sequence.
func (s Side) Held() (list []In) {
	lives := slices.Clone(s.theirs)
	slices.SortFunc(lives, func(a, b *life) int { return bytes.Compare(a.Epoch[:], b.Epoch[:]) })
	for _, l := range lives {
		list = append(list, s.HeldIn(l.Epoch)...)
	}
	return list
}

// HeldIn is Held for one epoch, by sequence.
func (s Side) HeldIn(e Epoch) (list []In) {
	l := s.life(e)
	if l == nil {
		return nil
	}
	for _, m := range l.open {
		if m.Standing == Held {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b In) int { return cmp.Compare(a.Seq, b.Seq) })
	return list
}
