package message

import "slices"

// Doubt is an epoch of ours in which a revoked key of ours may have signed what this
// node never wrote: what others hold of it is this node's own for certain up to Good,
// and above that it may be a thief's.
type Doubt struct {
	Epoch Epoch
	Good  uint64
}

// Doubt reports how far what a partner says to hold of an epoch of ours, by a STATE,
// which names no keys, shows that this node wrote it: up to the lowest last good point
// that a revocation names of it. ended says that a key was revoked since the epoch was
// opened: where no revocation names it then, of it nothing is shown, as where the key
// was a stranger's. False where all is.
func (ks *Keyset) Doubt(e Epoch, ended bool) (d Doubt, ok bool) {
	d.Epoch = e
	for i := range ks.Revoked {
		if g, named := ks.Revoked[i].Good(e); named && (!ok || g.Seq < d.Good) {
			d.Good, ok = g.Seq, true
		}
	}
	return d, ok || ended
}

// Disowned counts the keys revoked that may have signed what goes on a link: all that
// are not named as of another use. A key that this node never had is of any, and one
// that is not in the KEYSET any more: the oldest revoked goes where it has no room left
// for the keys of a use.
func (ks *Keyset) Disowned() (n int) {
	for _, r := range ks.Revoked {
		i := slices.IndexFunc(ks.Keys, func(k Key) bool { return k.ID == r.ID })
		if i < 0 || ks.Keys[i].Use == UseRelease || ks.Keys[i].Use == UseControl {
			n++
		}
	}
	return n
}
