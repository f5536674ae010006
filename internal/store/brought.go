package store

import (
	"context"

	"github.com/noroshi-cti/noroshi"
)

// Brought returns the versions that a partner's message put here when it was
// applied, in their order in it, those that were here already not among them.
func (r Reads) Brought(ctx context.Context, src noroshi.Source, epoch [16]byte, seq uint64) ([]Record, error) {
	var seqs []int64
	err := r.on(ctx, func(c *conn) error {
		act, found, err := appliedIn(c, src.Partner, epoch, seq)
		if err != nil || !found {
			return err
		}
		low, high := int64(0), int64(0) // of the feed: the first version of the act is above low, at most high
		if _, err := c.one(to(&high), "SELECT coalesce(max(seq), 0) FROM object"); err != nil {
			return err
		}
		for low < high {
			mid, at := low+(high-low)/2, int64(0)
			if _, err := c.one(to(&at), "SELECT act FROM object WHERE seq > $1 ORDER BY seq LIMIT 1", mid); err != nil {
				return err
			}
			if at < act {
				low = mid + 1
			} else {
				high = mid
			}
		}
		for len(seqs) < MaxPage+1 {
			var next, at int64
			found, err := c.one(to(&next, &at), "SELECT seq, act FROM object WHERE seq > $1 ORDER BY seq LIMIT 1", low)
			if err != nil || !found || at != act {
				return err
			}
			seqs, low = append(seqs, next), next
		}
		return nil
	})
	if err != nil || len(seqs) == 0 {
		return nil, err
	}
	recs, err := r.Records(ctx, seqs)
	var list []Record
	for _, x := range recs {
		if x.Source == src {
			list = append(list, x)
		}
	}
	return list, err
}

// appliedIn returns the act that applied a received message: the one that kept
// it, or the one that moved it up later.
func appliedIn(c *conn, partner noroshi.NodeID, epoch [16]byte, seq uint64) (act int64, found bool, err error) {
	var state InState
	found, err = c.one(to(&act, &state), "SELECT act, state FROM in_message WHERE partner = $1 AND epoch = $2 AND seq = $3 AND second = 0 ORDER BY n LIMIT 1",
		partner[:], epoch[:], int64(seq))
	if err != nil || !found || state == Applied {
		return act, found, err
	}
	found, err = c.one(to(&act), "SELECT act FROM in_event WHERE partner = $1 AND epoch = $2 AND seq = $3 AND state = $4 ORDER BY n LIMIT 1",
		partner[:], epoch[:], int64(seq), int64(Applied))
	return act, found, err
}
