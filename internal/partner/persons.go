package partner

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// persons returns everyone who is in the node's register, by id, with the roles
// they have now.
func persons(ctx context.Context, r store.Reads, now time.Time) (map[string]noroshi.Person, error) {
	register, err := r.Persons(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]noroshi.Person, len(register))
	for id := range register {
		all[id] = register.At(id, now)
	}
	return all, nil
}

// needed returns how many different persons an action of two takes: two, or
// one where the node has a single person who may do it. Accounts that share a
// key are one person.
func needed(all map[string]noroshi.Person, a noroshi.Action) int {
	keys := map[string]bool{}
	for _, p := range all {
		if p.May(a) {
			keys[string(p.Key)] = true
		}
	}
	return min(max(len(keys), 1), 2)
}

// distinct returns those of some persons who may still do the action, each key
// once, by id.
func distinct(all map[string]noroshi.Person, ids []string, a noroshi.Action) []string {
	var stand []string
	keys := map[string]bool{}
	for _, id := range slices.Sorted(slices.Values(ids)) {
		if p := all[id]; p.May(a) && !keys[string(p.Key)] {
			keys[string(p.Key)] = true
			stand = append(stand, id)
		}
	}
	return stand
}

// sameKey returns another of the ids whose account has a person's key, "" when
// there is none.
func sameKey(all map[string]noroshi.Person, ids []string, person string) string {
	i := slices.IndexFunc(ids, func(id string) bool { return id != person && bytes.Equal(all[id].Key, all[person].Key) })
	if i < 0 {
		return ""
	}
	return ids[i]
}

// ordered checks that a person of this node may do the action and signed
// exactly this subject and these bytes.
func (o *Office) ordered(ctx context.Context, by noroshi.Signed, a noroshi.Action, subject string, bound noroshi.Hash) error {
	all, err := persons(ctx, o.store.Reads, o.o.Now())
	if err != nil {
		return err
	}
	digest := noroshi.ActDigest(o.o.Realm, o.o.Keys.NodeID(), a, subject, bound)
	return all[by.Person].Check(by, a, digest)
}
