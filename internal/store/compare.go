package store

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// differ names a difference in a derived table.
type differ func(why, table, format string, args ...any)

// compare compares the derived tables with what was replayed.
// keys are all that have signed for this file.
func (p *replay) compare(ctx context.Context, c *conn, o Options, keys [][]byte, differs differ) error {
	currents, err := p.settle(c)
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return p.compareHeads(ctx, c, currents, differs) },
		func() error { return p.compareIndexes(ctx, c, differs) },
		func() error { return p.compareBlocks(ctx, c, differs) },
		func() error { return p.compareHolds(ctx, c, differs) },
		func() error { return p.compareStreams(ctx, c, differs) },
		func() error { return p.compareShelves(ctx, c, differs) },
		func() error { return compareCursors(ctx, c, o, keys, differs) },
		func() error { return compareMeta(ctx, c, differs) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func stixID(s string) stix.ID { return stix.ID(s) }

// settle decides again what is current among the ids with several versions or
// a withdrawal; of all others the one version is.
func (p *replay) settle(c *conn) (currents map[int64]int64, err error) {
	currents = map[int64]int64{}
	r := Reads{s: &Store{}}
	for sid := range p.regroup {
		h := p.s.key64(sid)
		for ; ; h++ {
			first, ok := p.heads[h]
			if !ok {
				break
			}
			f := family{id: sid, h: h}
			var there string
			if _, err := c.one(to(&there), "SELECT sid FROM object WHERE seq = $1", first); err != nil {
				return nil, err
			}
			if there != sid {
				continue
			}
			if err := r.claimsOf(c, &f, append([]int64{first}, p.later[h]...)); err != nil {
				return nil, err
			}
			_, current, marks := settle(f.claims, p.gone[sid])
			currents[h] = current
			for i, k := range f.claims {
				p.marks[k.seq] = p.marks[k.seq]&assigned | marks[i]
			}
			break
		}
	}
	return currents, nil
}

func (p *replay) compareBlocks(ctx context.Context, c *conn, differs differ) error {
	n, err := head(c)
	if err != nil {
		return err
	}
	p.closeBlocks(n + 1)
	i := int64(0)
	return c.each(ctx, func(rows *sql.Rows) error {
		var block int64
		var packed []byte
		err := rows.Scan(&block, &packed)
		if block != i || block >= int64(len(p.blocks)) || noroshi.Sum(packed) != p.blocks[block] {
			differs("block", "armed", "block %d is not what the indicators give", block)
		}
		i = block + 1
		return err
	}, "SELECT block, entries FROM armed ORDER BY block")
}

// compareMeta checks that what tells of the database itself has no key but those
// that are read; of these the values are checked at the door, and with the places of
// ids.
func compareMeta(ctx context.Context, c *conn, differs differ) error {
	return c.each(ctx, func(rows *sql.Rows) error {
		var key string
		err := rows.Scan(&key)
		if err == nil && !slices.Contains([]string{"realm", "schema", "seed"}, key) {
			differs("key", "meta", "%q is no key of it", key)
		}
		return err
	}, "SELECT k FROM meta ORDER BY k")
}

// compareCursors checks the signatures of followers' places, and that none is
// gone.
func compareCursors(ctx context.Context, c *conn, o Options, keys [][]byte, differs differ) error {
	if o.Key == nil {
		return nil
	}
	have, want := int64(0), int64(-1)
	err := c.each(ctx, func(rows *sql.Rows) error {
		var follower string
		var seq int64
		var sig []byte
		err := rows.Scan(&follower, &seq, &sig)
		if follower == cursorCount {
			want = seq
		} else {
			have++
		}
		signed := func(key []byte) bool { return ed25519.Verify(key, cursorText(o.Realm, follower, seq), sig) }
		if !slices.ContainsFunc(keys, signed) {
			differs("place", "cursor", "the place of %s was not set by this node", follower)
		}
		return err
	}, "SELECT follower, seq, signature FROM cursor")
	if err != nil {
		return err
	}
	var begun int64 // signing has
	if _, err := c.one(to(&begun), "SELECT count(*) FROM signer WHERE length(pubkey) > 0"); err != nil {
		return err
	}
	if begun > 0 && have != want {
		differs("places", "cursor", "%d followers have a place, %d were given one", have, max(want, 0))
	}
	return nil
}
