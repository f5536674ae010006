package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/noroshi-cti/noroshi"
)

// compareHolds compares the holds, and what is held, released and sent.
func (p *replay) compareHolds(ctx context.Context, c *conn, differs differ) error {
	hold := func(id string, h holdState) row {
		return p.called(func() string { return "hold " + id }, "hold", id, fmt.Sprint(h))
	}
	err := p.table("hold", derived(ctx, c, "SELECT id, n, partner, state, opened, body, members FROM hold", func(rows *sql.Rows) (row, error) {
		var id string
		var h holdState
		var partner, body []byte
		err := rows.Scan(&id, &h.n, &partner, &h.state, &h.opened, &body, &h.members)
		copy(h.partner[:], partner)
		h.body = noroshi.Sum(body)
		return hold(id, h), err
	}), func(fn func(row)) error {
		for id, h := range p.holds {
			fn(hold(id, *h))
		}
		return nil
	}, differs)
	if err != nil {
		return err
	}
	if err := p.compareSpans(ctx, c, differs); err != nil {
		return err
	}
	unsent := func(partner []byte, rank, batch, sent int64) row {
		return p.called(func() string { return fmt.Sprintf("batch %d to %x", batch, partner) }, "unsent", string(partner), rank, batch, sent)
	}
	return p.table("unsent", derived(ctx, c, "SELECT partner, rank, batch, sent FROM unsent", func(rows *sql.Rows) (row, error) {
		var partner []byte
		var rank, batch, sent int64
		err := rows.Scan(&partner, &rank, &batch, &sent)
		return unsent(partner, rank, batch, sent), err
	}), func(fn func(row)) error {
		for _, b := range p.batches {
			if !b.done {
				fn(unsent(b.partner[:], b.rank, b.n, b.sent))
			}
		}
		return nil
	}, differs)
}

// spanKinds says what a span tells of its versions.
var spanKinds = map[int]string{spanHeld: "held", spanReleased: "released", spanSent: "sent", spanView: "sent as a view"}

func (p *replay) compareSpans(ctx context.Context, c *conn, differs differ) error {
	one := func(kind int, partner []byte, x span) row {
		return p.called(func() string {
			return fmt.Sprintf("that versions %d to %d are %s for %x", x.lo, x.hi, spanKinds[kind], partner)
		}, "span", int64(kind), string(partner), fmt.Sprint(x))
	}
	return p.table("span", derived(ctx, c, "SELECT kind, partner, lo, hi, val FROM span", func(rows *sql.Rows) (row, error) {
		var kind int
		var partner []byte
		var x span
		err := rows.Scan(&kind, &partner, &x.lo, &x.hi, &x.val)
		return one(kind, partner, x), err
	}), func(fn func(row)) error {
		for k, list := range p.spans {
			for _, x := range list {
				fn(one(k.kind, k.partner[:], x))
			}
		}
		return nil
	}, differs)
}

// compareStreams compares the states of what was sent and of what came.
func (p *replay) compareStreams(ctx context.Context, c *conn, differs differ) error {
	state := func(n, state, at, attempts int64) row {
		return p.called(func() string { return fmt.Sprintf("the state of out_message %d", n) }, "out", n, state, at, attempts)
	}
	err := p.table("out_state", derived(ctx, c, "SELECT n, state, time, attempts FROM out_state", func(rows *sql.Rows) (row, error) {
		var n, to, at, attempts int64
		err := rows.Scan(&n, &to, &at, &attempts)
		return state(n, to, at, attempts), err
	}), func(fn func(row)) error {
		for _, m := range p.outs {
			fn(state(m.n, int64(m.state), m.time, m.attempts))
		}
		return nil
	}, differs)
	if err != nil {
		return err
	}
	pending := func(partner, epoch []byte, rank, seq int64) row {
		return p.called(func() string { return fmt.Sprintf("message %d to %x in epoch %x", seq, partner, epoch) }, "pending", string(partner), string(epoch), rank, seq)
	}
	err = p.table("pending", derived(ctx, c, "SELECT partner, epoch, rank, seq FROM pending", func(rows *sql.Rows) (row, error) {
		var partner, epoch []byte
		var rank, seq int64
		err := rows.Scan(&partner, &epoch, &rank, &seq)
		return pending(partner, epoch, rank, seq), err
	}), func(fn func(row)) error {
		for k, m := range p.outs {
			if m.state < StoredThere {
				fn(pending(k.partner[:], k.epoch[:], m.rank, k.seq))
			}
		}
		return nil
	}, differs)
	if err != nil {
		return err
	}
	return p.compareCame(ctx, c, differs)
}

// compareCame compares the states and contents of received messages.
func (p *replay) compareCame(ctx context.Context, c *conn, differs differ) error {
	state := func(partner, epoch []byte, seq, state, at int64) row {
		return p.called(func() string { return fmt.Sprintf("message %d of %x in epoch %x", seq, partner, epoch) }, "in", string(partner), string(epoch), seq, state, at)
	}
	err := p.table("in_state", derived(ctx, c, "SELECT partner, epoch, seq, state, time FROM in_state", func(rows *sql.Rows) (row, error) {
		var partner, epoch []byte
		var seq, to, at int64
		err := rows.Scan(&partner, &epoch, &seq, &to, &at)
		return state(partner, epoch, seq, to, at), err
	}), func(fn func(row)) error {
		for k, m := range p.ins {
			fn(state(k.partner[:], k.epoch[:], k.seq, int64(m.state), m.time))
		}
		return nil
	}, differs)
	if err != nil {
		return err
	}
	content := func(n int64, hash noroshi.Hash) row {
		return p.called(func() string { return fmt.Sprintf("the content of in_message %d", n) }, "content", n, string(hash[:]))
	}
	return p.table("in_content", derived(ctx, c, "SELECT n, content FROM in_content", func(rows *sql.Rows) (row, error) {
		var n int64
		var b sql.RawBytes
		err := rows.Scan(&n, &b)
		return content(n, sum(b)), err
	}), func(fn func(row)) error {
		for n, m := range p.content {
			if m.keep {
				fn(content(n, m.hash))
			}
		}
		return nil
	}, differs)
}
