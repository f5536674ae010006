package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
)

// place is a keyed hash of what lies where on a shelf.
func (p *replay) place(collection string, added, seq, at int64) uint64 {
	return p.texts(collection, string(appendInts(make([]byte, 0, 3*binary.MaxVarintLen64), added, seq, at)))
}

// shelf takes a row of what was laid on a shelf or taken off it.
func (p *replay) shelf(s *scan) {
	collection := s.text("collection")
	_ = eachLaid(s.int("what"), s.int("added"), s.bytes("members"), func(sign int, added, seq, at int64) {
		if h := p.place(collection, added, seq, at); sign > 0 {
			p.shelves.add(h)
		} else {
			p.shelves.sub(h)
		}
	}) // a row that is no such list differs from its leaf, which is reported
}

// compareShelves compares what lies on the shelves with what was laid there, and
// how it is found there with the versions themselves. A row of no collection, or of
// no version, is taken too: it was put there by hand.
func (p *replay) compareShelves(ctx context.Context, c *conn, differs differ) error {
	have, wrong := sumOf{}, []string{}
	var group []standing
	of, name := int64(0), ""
	settle := func() {
		for i, ends := range endsOf(group) {
			if ends != group[i].ends {
				wrong = append(wrong, placed(group[i].seq, name, group[i].added))
			}
		}
		group = group[:0]
	}
	err := c.each(ctx, func(rows *sql.Rows) error {
		var collection, modified string
		var n, h int64
		var typed bool
		var body []byte
		var s standing
		if err := rows.Scan(&n, &collection, &s.added, &s.seq, &s.at, &h, &typed, &s.ver, &s.ends, &s.id, &modified, &body); err != nil {
			return err
		}
		have.add(p.place(collection, s.added, s.seq, s.at))
		if ver, err := versionText(modified, body); err != nil || s.ver != instantOf(ver) || h != p.s.key64(s.id) || !typed {
			wrong = append(wrong, placed(s.seq, collection, s.added))
		}
		if len(group) > 0 && (of != n || group[0].id != s.id) {
			settle()
		}
		of, name, group = n, collection, append(group, s)
		return nil
	}, `SELECT s.c, coalesce(w.text, ''), s.added, s.seq, s.at, s.h, coalesce(s.type = o.type, FALSE), s.ver, s.ends,
		coalesce(o.sid, ''), coalesce(o.modified, ''), CASE WHEN o.modified = '' THEN o.body END
		FROM shelved s LEFT JOIN word w ON w.n = s.c LEFT JOIN object o ON o.seq = s.seq ORDER BY s.c, s.h, o.sid, s.added`)
	if err != nil {
		return err
	}
	settle()
	if have != p.shelves {
		if err := p.nameShelved(ctx, c, differs); err != nil {
			return err
		}
	}
	for _, what := range wrong[:min(len(wrong), maxNamed)] {
		differs("shelf", "shelved", "%s: it is not found there as it should be", what)
	}
	return nil
}

func placed(seq int64, collection string, added int64) string {
	return fmt.Sprintf("version %d in the collection %s, added at %d", seq, collection, added)
}

// nameShelved says what lies on shelves that was not laid there, and what does not
// that was.
func (p *replay) nameShelved(ctx context.Context, c *conn, differs differ) error {
	one := func(collection string, added, seq, at int64) row {
		return row{p.place(collection, added, seq, at), func() string { return placed(seq, collection, added) }}
	}
	return name("shelved", derived(ctx, c, "SELECT coalesce(w.text, ''), s.added, s.seq, s.at FROM shelved s LEFT JOIN word w ON w.n = s.c", func(rows *sql.Rows) (row, error) {
		var collection string
		var added, seq, at int64
		err := rows.Scan(&collection, &added, &seq, &at)
		return one(collection, added, seq, at), err
	}), func(fn func(row)) error {
		left := map[uint64]row{}
		s, err := openScan(c, shelfTable)
		if err != nil {
			return err
		}
		defer s.close()
		for ; s.ok && err == nil; err = s.next() {
			collection := s.text("collection")
			_ = eachLaid(s.int("what"), s.int("added"), s.bytes("members"), func(sign int, added, seq, at int64) {
				r := one(collection, added, seq, at)
				if left[r.hash] = r; sign < 0 {
					delete(left, r.hash)
				}
			}) // a row that is no such list differs from its leaf
		}
		for _, r := range left {
			fn(r)
		}
		return err
	}, differs)
}
