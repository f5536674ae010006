package store

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"fmt"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// differ names a difference in a derived table.
type differ func(table, format string, args ...any)

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
		func() error { return compareCursors(ctx, c, o, keys, differs) },
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
		h := p.key64(sid)
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

func (p *replay) compareHeads(ctx context.Context, c *conn, currents map[int64]int64, differs differ) error {
	n := 0
	err := c.each(ctx, func(rows *sql.Rows) error {
		var h, first, current int64
		if err := rows.Scan(&h, &first, &current); err != nil {
			return err
		}
		n++
		want, changed := currents[h]
		if !changed {
			want = first
		}
		if p.heads[h] != first || current != want {
			differs("head", "id of version %d: first is %d and current %d, should be %d and %d", first, first, current, p.heads[h], want)
		}
		return nil
	}, "SELECT h, first, current FROM head")
	if err != nil {
		return err
	}
	if n != len(p.heads) {
		differs("head", "it has %d ids, should have %d", n, len(p.heads))
	}
	var have, want sumOf
	for h, list := range p.later {
		for _, seq := range list {
			want.add(p.pair(h, seq))
		}
	}
	for seq, m := range p.marks {
		if m != 0 {
			want.add(p.pair(-seq, int64(m)))
		}
	}
	add := func(sign int64) func(rows *sql.Rows) error {
		return func(rows *sql.Rows) error {
			var a, b int64
			err := rows.Scan(&a, &b)
			have.add(p.pair(sign*a, b))
			return err
		}
	}
	if err := c.each(ctx, add(1), "SELECT h, seq FROM version"); err != nil {
		return err
	}
	if err := c.each(ctx, add(-1), "SELECT seq, bits FROM mark"); err != nil {
		return err
	}
	if have != want {
		differs("mark", "the marks or lists of versions are not what the versions give")
	}
	return nil
}

func (p *replay) compareIndexes(ctx context.Context, c *conn, differs differ) error {
	var values, addrs, refs, words sumOf
	err := c.each(ctx, func(rows *sql.Rows) error {
		var h, seq int64
		err := rows.Scan(&h, &seq)
		values.add(p.pair(h, seq))
		return err
	}, "SELECT h, seq FROM value")
	if err != nil {
		return err
	}
	err = c.each(ctx, func(rows *sql.Rows) error {
		var ip sql.RawBytes
		var bits, seq, port int64
		err := rows.Scan(&ip, &bits, &seq, &port)
		addrs.add(p.texts(string(ip), fmt.Sprint(bits, seq, port)))
		return err
	}, "SELECT ip, bits, seq, port FROM addr")
	if err != nil {
		return err
	}
	err = c.each(ctx, func(rows *sql.Rows) error {
		var target, sid string
		err := rows.Scan(&target, &sid)
		refs.add(p.texts(target, sid))
		return err
	}, "SELECT target, sid FROM ref")
	if err != nil {
		return err
	}
	if words, err = p.textEntries(ctx, c); err != nil {
		differs("fts", "it cannot be read: %v", err)
		words = p.words
	}
	for _, x := range []struct {
		table      string
		have, want sumOf
	}{{"value", values, p.values}, {"addr", addrs, p.addrs}, {"ref", refs, p.refs}, {"fts", words, p.words}} {
		if x.have != x.want {
			differs(x.table, "its %d entries are not the %d the objects give", x.have.n, x.want.n)
		}
	}
	return nil
}

// textEntries reads the full-text index both ways: term by term as it lies, and
// each term as a search would find it.
func (p *replay) textEntries(ctx context.Context, c *conn) (have sumOf, err error) {
	last, n := "", 0
	found := func() error {
		var hits int
		if last == "" {
			return nil
		}
		if _, err := c.one(to(&hits), "SELECT count(*) FROM fts WHERE fts MATCH $1", `"`+last+`"`); err != nil {
			return err
		}
		if hits != n {
			return fmt.Errorf("a search for %q finds %d of its %d entries", last, hits, n)
		}
		return nil
	}
	err = c.each(ctx, func(rows *sql.Rows) error {
		var term string
		var seq int64
		if err := rows.Scan(&term, &seq); err != nil {
			return err
		}
		if term != last {
			if err := found(); err != nil {
				return err
			}
			last, n = term, 0
		}
		n++
		have.add(p.texts(term, fmt.Sprint(seq)))
		return nil
	}, "SELECT term, doc FROM fts_terms")
	if err == nil {
		err = found()
	}
	return have, err
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
			differs("armed", "block %d is not what the indicators give", block)
		}
		i = block + 1
		return err
	}, "SELECT block, entries FROM armed ORDER BY block")
}

func (p *replay) compareHolds(ctx context.Context, c *conn, differs differ) error {
	holds := 0
	err := c.each(ctx, func(rows *sql.Rows) error {
		var id string
		var h holdState
		var partner, body []byte
		if err := rows.Scan(&id, &h.n, &partner, &h.state, &h.opened, &body, &h.members); err != nil {
			return err
		}
		copy(h.partner[:], partner)
		h.body = noroshi.Sum(body)
		holds++
		if want := p.holds[id]; want == nil || *want != h {
			differs("hold", "hold %s is not what its record gives", id)
		}
		return nil
	}, "SELECT id, n, partner, state, opened, body, members FROM hold")
	if err != nil {
		return err
	}
	if holds != len(p.holds) {
		differs("hold", "there are %d holds, should be %d", holds, len(p.holds))
	}
	var have, want sumOf
	for k, list := range p.spans {
		for _, x := range list {
			want.add(p.texts(string(k.partner[:]), fmt.Sprint(k.kind, x)))
		}
	}
	err = c.each(ctx, func(rows *sql.Rows) error {
		var kind int
		var partner sql.RawBytes
		var x span
		err := rows.Scan(&kind, &partner, &x.lo, &x.hi, &x.val)
		have.add(p.texts(string(partner), fmt.Sprint(kind, x)))
		return err
	}, "SELECT kind, partner, lo, hi, val FROM span")
	if err != nil {
		return err
	}
	if have != want {
		differs("span", "what is held, released and sent is not what holds, batches and messages give")
	}
	have, want = sumOf{}, sumOf{}
	for _, b := range p.batches {
		if !b.done {
			want.add(p.texts(string(b.partner[:]), fmt.Sprint(b.rank, b.n, b.sent)))
		}
	}
	err = c.each(ctx, func(rows *sql.Rows) error {
		var partner sql.RawBytes
		var rank, batch, sent int64
		err := rows.Scan(&partner, &rank, &batch, &sent)
		have.add(p.texts(string(partner), fmt.Sprint(rank, batch, sent)))
		return err
	}, "SELECT partner, rank, batch, sent FROM unsent")
	if have != want {
		differs("unsent", "it is not what batches and messages give")
	}
	return err
}

func (p *replay) compareStreams(ctx context.Context, c *conn, differs differ) error {
	var have, want sumOf
	for k, m := range p.outs {
		want.add(p.texts("out", fmt.Sprint(m.n, int64(m.state), m.time, m.attempts)))
		if m.state < StoredThere {
			want.add(p.texts("pending", string(k.partner[:]), string(k.epoch[:]), fmt.Sprint(m.rank, k.seq)))
		}
	}
	err := c.each(ctx, func(rows *sql.Rows) error {
		var n, state, at, attempts int64
		err := rows.Scan(&n, &state, &at, &attempts)
		have.add(p.texts("out", fmt.Sprint(n, state, at, attempts)))
		return err
	}, "SELECT n, state, time, attempts FROM out_state")
	if err != nil {
		return err
	}
	err = c.each(ctx, func(rows *sql.Rows) error {
		var partner, epoch sql.RawBytes
		var rank, seq int64
		err := rows.Scan(&partner, &epoch, &rank, &seq)
		have.add(p.texts("pending", string(partner), string(epoch), fmt.Sprint(rank, seq)))
		return err
	}, "SELECT partner, epoch, rank, seq FROM pending")
	if err != nil {
		return err
	}
	if have != want {
		differs("out_state", "the states of sent messages are not what their record gives")
	}
	have, want = sumOf{}, sumOf{}
	for k, m := range p.ins {
		want.add(p.texts(string(k.partner[:]), string(k.epoch[:]), fmt.Sprint(k.seq, int64(m.state), m.time)))
	}
	for n, m := range p.content {
		if m.keep {
			want.add(p.texts(string(m.hash[:]), fmt.Sprint(n)))
		}
	}
	err = c.each(ctx, func(rows *sql.Rows) error {
		var partner, epoch sql.RawBytes
		var seq, state, at int64
		err := rows.Scan(&partner, &epoch, &seq, &state, &at)
		have.add(p.texts(string(partner), string(epoch), fmt.Sprint(seq, state, at)))
		return err
	}, "SELECT partner, epoch, seq, state, time FROM in_state")
	if err != nil {
		return err
	}
	err = c.each(ctx, func(rows *sql.Rows) error {
		var n int64
		var content sql.RawBytes
		err := rows.Scan(&n, &content)
		h := sum(content)
		have.add(p.texts(string(h[:]), fmt.Sprint(n)))
		return err
	}, "SELECT n, content FROM in_content")
	if have != want {
		differs("in_state", "the states or contents of received messages are not what their record gives")
	}
	return err
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
			differs("cursor", "the place of %s was not set by this node", follower)
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
		differs("cursor", "%d followers have a place, %d were given one", have, max(want, 0))
	}
	return nil
}
