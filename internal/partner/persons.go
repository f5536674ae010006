package partner

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// persons returns everyone who is in the node's register, by id.
func persons(ctx context.Context, r store.Reads) (map[string]noroshi.Person, error) {
	docs, err := r.Docs(ctx, noroshi.DocPerson)
	if err != nil {
		return nil, err
	}
	all := make(map[string]noroshi.Person, len(docs))
	for id, body := range docs {
		var p noroshi.Person
		if err := json.Unmarshal(body, &p); err != nil {
			return nil, fmt.Errorf("read person %s: %w", id, err)
		}
		all[id] = p
	}
	return all, nil
}

// needed returns how many different persons an action of two takes: two, or
// one where the node has a single person who may do it.
func needed(all map[string]noroshi.Person, a noroshi.Action) int {
	n := 0
	for _, p := range all {
		if p.May(a) {
			n++
		}
	}
	return min(max(n, 1), 2)
}

// ordered checks that a person of this node may do the action and signed
// exactly this subject and these bytes.
func (o *Office) ordered(ctx context.Context, by noroshi.Signed, a noroshi.Action, subject string, bound noroshi.Hash) error {
	all, err := persons(ctx, o.store.Reads)
	if err != nil {
		return err
	}
	digest := noroshi.ActDigest(o.o.Realm, o.o.Keys.NodeID(), a, subject, bound)
	return all[by.Person].Check(by, a, digest)
}
