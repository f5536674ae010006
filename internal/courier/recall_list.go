package courier

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Recalls returns the recalls this node sent or passed on, the newest first.
func (c *Courier) Recalls(ctx context.Context) ([]RecallState, error) {
	docs, err := c.s.Docs(ctx, docRecall)
	if err != nil {
		return nil, err
	}
	told, err := c.s.Docs(ctx, docRecallTo)
	if err != nil {
		return nil, err
	}
	to, err := byRecall(told)
	if err != nil {
		return nil, err
	}
	list := []RecallState{}
	for key, body := range docs {
		x := RecallState{To: to[key]}
		if err := json.Unmarshal(body, &x.Recall); err != nil {
			return nil, noroshi.Errorf(noroshi.Broken, "courier.recall", "the record of recall %s cannot be read", key)
		}
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b RecallState) int {
		if k := b.Made.Compare(a.Made); k != 0 {
			return k
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list, nil
}

// RecalledHere returns the RECALLs that came, the newest first.
func (c *Courier) RecalledHere(ctx context.Context) ([]RecallIn, error) {
	docs, err := c.s.Docs(ctx, docRecalled)
	if err != nil {
		return nil, err
	}
	list := []RecallIn{}
	for key, body := range docs {
		var x RecallIn
		if err := json.Unmarshal(body, &x); err != nil {
			return nil, noroshi.Errorf(noroshi.Broken, "courier.recall", "the record of recall %s cannot be read", key)
		}
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b RecallIn) int {
		if k := b.Time.Compare(a.Time); k != 0 {
			return k
		}
		return slices.Compare(a.Message[:], b.Message[:])
	})
	return list, nil
}

// WaitingRecalls returns the orders that wait for their second signature.
func (c *Courier) WaitingRecalls(ctx context.Context) ([]RecallPlan, error) {
	docs, err := c.s.Docs(ctx, docRecallOrder)
	if err != nil {
		return nil, err
	}
	list := []RecallPlan{}
	for key, body := range docs {
		if len(body) == 0 {
			continue
		}
		var w waitingOrder
		if err := json.Unmarshal(body, &w); err != nil {
			return nil, noroshi.Errorf(noroshi.Broken, "courier.recall", "the record of recall %s cannot be read", key)
		}
		p, err := c.RecallPlan(ctx, w.Order)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b RecallPlan) int { return strings.Compare(string(a.Order.Object), string(b.Order.Object)) })
	return list, nil
}

// recallTo returns what one recall came to at each partner.
func recallTo(ctx context.Context, r store.Reads, id string) ([]RecallTo, error) {
	docs, err := r.DocsUnder(ctx, docRecallTo, id)
	if err != nil {
		return nil, err
	}
	to, err := byRecall(docs)
	return to[id], err
}

func byRecall(docs map[string][]byte) (map[string][]RecallTo, error) {
	by := map[string][]RecallTo{}
	for key, body := range docs {
		id, _, _ := strings.Cut(key, "/")
		var r RecallTo
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, noroshi.Errorf(noroshi.Broken, "courier.recall", "the record of recall %s cannot be read", key)
		}
		by[id] = append(by[id], r)
	}
	for _, list := range by {
		slices.SortFunc(list, func(a, b RecallTo) int { return slices.Compare(a.Partner[:], b.Partner[:]) })
	}
	return by, nil
}

// RepeatRecalls does again what the recall list beside the database says was
// recalled and the database does not know of: it was put back from a backup.
// It runs before anything is armed or sent. It returns how many there were.
func (c *Courier) RepeatRecalls(ctx context.Context) (n int, err error) {
	lines, end, err := c.s.ForgottenRecalls(ctx)
	if err != nil || len(lines) == 0 {
		return 0, err
	}
	act := noroshi.Act{Action: noroshi.ActRecall, Subject: "recall list", Count: len(lines), Precedence: noroshi.Immediate}
	_, err = c.s.Do(ctx, act, func(tx *store.Tx) error {
		for _, line := range lines {
			var r Recall
			if json.Unmarshal(line, &r) != nil || r.ID == "" {
				continue // cut short by a crash, before its act committed
			}
			if err := c.repeat(ctx, tx, r); err != nil {
				return err
			}
			n++
		}
		return tx.Recalled(end)
	})
	return n, err
}

// The owners of what this node made, or had of a file.
var (
	selfOwner = noroshi.Source{Kind: noroshi.FromSelf}.Owner()
	fileOwner = noroshi.Source{Kind: noroshi.FromFile}.Owner()
)

func ours(owner string) bool { return owner == selfOwner || owner == fileOwner }

// bothOurs are the owners whose copies a recall of this node's own withdraws: where one
// of them is ours both are, for what a partner gives back may come in as either.
func bothOurs(owners []string) []string {
	if !slices.ContainsFunc(owners, ours) {
		return owners
	}
	return append([]string{selfOwner, fileOwner}, slices.DeleteFunc(slices.Clone(owners), ours)...)
}

func (c *Courier) repeat(ctx context.Context, tx *store.Tx, r Recall) error {
	if _, err := tx.Doc(ctx, docRecall, r.ID); err == nil {
		return nil
	}
	var objects []taken
	for _, e := range r.Entries {
		owners := bothOurs(r.Owners)
		if r.From != (noroshi.NodeID{}) && len(owners) == 0 {
			owners = []string{noroshi.Source{Kind: noroshi.FromPartner, Partner: r.From}.Owner()}
		}
		x := taken{entry: e, forgotten: true}
		x.entry.Message = noroshi.Hash{}
		var err error
		if x.versions, err = tx.Versions(ctx, e.Object); err != nil {
			return err
		}
		x.versions = slices.DeleteFunc(x.versions, func(v store.Record) bool {
			return len(owners) > 0 && !slices.Contains(owners, v.Source.Owner()) || !r.means(v)
		})
		if err := r.withdraw(tx, x, owners); err != nil {
			return err
		}
		objects = append(objects, x)
	}
	if _, _, err := everyPartner(ctx, tx, r, objects); err != nil {
		return err
	}
	return putJSON(tx, docRecall, r.ID, r)
}

// Delivery returns how far the RECALL to a partner has got, and since when:
// Committed with the time it was made while it waits for the stream.
func (c *Courier) Delivery(ctx context.Context, r Recall, to RecallTo) (store.OutState, time.Time, error) {
	if to.Seq == 0 {
		return store.Committed, r.Made, nil
	}
	out, err := c.s.Out(ctx, to.Partner, to.Epoch, to.Seq, 1)
	if err != nil || len(out) == 0 || out[0].ID != to.Message {
		return store.Committed, to.Sent, err
	}
	return out[0].State, out[0].StateTime, nil
}
