package courier

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// candidates lists what is to be packed, in order: the EPOCH of our log, FLASH,
// what was on no medium since all was, the rest. When nothing is new, or anew is
// asked for, a new round begins.
func (k *packer) candidates(ctx context.Context, anew bool) ([]store.OutMessage, error) {
	all, err := k.unreceipted(ctx)
	if err != nil {
		return nil, err
	}
	if k.before, err = k.recall(ctx); err != nil {
		return nil, err
	}
	was := func(o store.OutMessage) bool { return k.before.has(o.Epoch, o.Seq) }
	if anew || !slices.ContainsFunc(all, func(o store.OutMessage) bool { return !was(o) }) {
		was = func(store.OutMessage) bool { return false }
	}
	k.packed = seqSet{}
	for _, o := range all { // what has a receipt by now is forgotten
		if was(o) {
			k.packed.add(o.Epoch, o.Seq)
		}
	}
	rank := func(o store.OutMessage) int {
		switch {
		case message.Kind(o.Kind) == message.EpochStart:
			return 0
		case o.Prec == noroshi.Flash:
			return 1
		case !was(o):
			return 2
		}
		return 3
	}
	slices.SortStableFunc(all, func(a, b store.OutMessage) int {
		return cmp.Or(rank(a)-rank(b), int(b.Prec)-int(a.Prec), k.order[a.Epoch]-k.order[b.Epoch], cmp.Compare(a.Seq, b.Seq))
	})
	return all, nil
}

// unreceipted reads all that the partner has no receipt for and that may go on media: not
// what is expired, nor what the agreement bars from this kind of channel. The
// EPOCH of our present log is always among it: without it nobody who begins anew
// understands the rest.
func (k *packer) unreceipted(ctx context.Context) (list []store.OutMessage, err error) {
	k.l.mu.Lock()
	mine := slices.Clone(k.l.memo.Mine)
	k.l.mu.Unlock()
	k.order = map[message.Epoch]int{}
	for i, e := range mine {
		k.order[message.Epoch(e)] = i
		err := k.l.c.s.EachUnreceipted(ctx, k.l.node(), message.Epoch(e), func(o store.OutMessage) error {
			if !k.barred(o) {
				o.Signed, o.Content = nil, nil // there may be many
				list = append(list, o)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	first, err := k.l.c.s.Out(ctx, k.l.node(), mine[len(mine)-1], 1, 1)
	if err != nil {
		return nil, err
	}
	if len(first) > 0 && !slices.ContainsFunc(list, func(o store.OutMessage) bool { return o.ID == first[0].ID }) && !k.barred(first[0]) {
		list = append(list, first[0])
	}
	return list, nil
}

// barred reports whether a message is not for media, and counts those the
// agreement keeps from it. Without an agreement in force no DATA goes anyway.
func (k *packer) barred(o store.OutMessage) bool {
	if o.TTL > 0 && !o.Created.Add(time.Duration(o.TTL)*time.Second).After(k.l.c.o.Now()) {
		return true
	}
	if a := k.l.view.Load().agreement; a != nil && message.Kind(o.Kind) == message.Data {
		m, err := message.DecodeSigned(k.l.c.o.Realm, o.Signed)
		if err == nil {
			var label noroshi.Label
			if label, err = noroshi.ParseLabel(m.Header.Label); err == nil && a.Carries(noroshi.ChannelMedia, label) {
				return false
			}
		}
		k.report.Barred++
		return true
	}
	return false
}

// recall reads what has been packed since all was.
func (k *packer) recall(ctx context.Context) (seqSet, error) {
	packed := seqSet{}
	var body map[epochID][]message.Range
	if _, err := readJSON(ctx, k.l.c.s.Reads, docMedia, k.l.node().String(), &body); err != nil {
		return nil, err
	}
	for e, list := range body {
		for _, n := range expand(list) {
			packed.add(message.Epoch(e), n)
		}
	}
	return packed, nil
}

// seqSet is a set of sequences of several epochs.
type seqSet map[message.Epoch]map[uint64]bool

func (s seqSet) has(e message.Epoch, n uint64) bool { return s[e][n] }

func (s seqSet) add(e message.Epoch, n uint64) {
	if s[e] == nil {
		s[e] = map[uint64]bool{}
	}
	s[e][n] = true
}

// ranges writes the set as runs.
func (s seqSet) ranges() map[epochID][]message.Range {
	out := map[epochID][]message.Range{}
	for e, set := range s {
		var list []message.Range
		for _, n := range slices.Sorted(maps.Keys(set)) {
			if k := len(list); k > 0 && list[k-1].B+1 == n {
				list[k-1].B = n
				continue
			}
			list = append(list, message.Range{A: n, B: n})
		}
		out[epochID(e)] = list
	}
	return out
}
