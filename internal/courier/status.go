package courier

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// LinkStatus is what is known of a link now.
type LinkStatus struct {
	Partner    noroshi.NodeID   `json:"partner"`
	CallSign   noroshi.CallSign `json:"call_sign"`
	Trust      noroshi.Trust    `json:"trust"`
	Up         bool             `json:"up"`
	Confirmed  bool             `json:"confirmed"` // a STATE echoed our challenge since start
	LastHeard  time.Time        `json:"last_heard,omitzero"`
	RoundTrip  time.Duration    `json:"round_trip_ns,omitempty"`
	OutHead    uint64           `json:"out_head"`   // last sequence in our stream
	OutStored  uint64           `json:"out_stored"` // of them receipted as stored
	OutApplied uint64           `json:"out_applied"`
	Waiting    map[string]int   `json:"waiting"` // messages not yet receipted, by precedence; batches not yet in the stream count by their messages, what else waits to join it as one each
	Late       int              `json:"late"`    // of those waiting, past the receipt clock of their precedence in the agreement
	InHead     uint64           `json:"in_head"` // the partner's head as it says
	InApplied  uint64           `json:"in_applied"`
	Missing    []message.Range  `json:"missing,omitempty"` // gaps in what we have
	Held       int              `json:"held"`
	Channel    string           `json:"channel,omitempty"` // path in use
	LastError  string           `json:"last_error,omitempty"`
}

// Links returns the state of every partner's link, by call sign. Without a
// running courier it is what the store knows: down, and what was sent, came
// and is missing.
func (c *Courier) Links(ctx context.Context) ([]LinkStatus, error) {
	docs, err := c.s.Docs(ctx, noroshi.DocPartner)
	if err != nil {
		return nil, err
	}
	list := []LinkStatus{}
	for _, body := range docs {
		var p noroshi.Partner
		if err := json.Unmarshal(body, &p); err != nil {
			return nil, noroshi.Errorf(noroshi.Broken, "courier.partner", "read a partner's document: %w", err)
		}
		st := LinkStatus{Partner: p.Node, CallSign: p.Organisation.CallSign, Trust: p.Trust, Waiting: map[string]int{}}
		switch l, err := c.link(p.Node); {
		case err == nil:
			l.status(&st)
		case noroshi.KindOf(err) == noroshi.Queued:
			if err := c.stored(ctx, p, &st); err != nil {
				return nil, err
			}
		}
		if err := c.unsent(ctx, &st); err != nil {
			return nil, err
		}
		if st.Late, err = c.late(ctx, p); err != nil {
			return nil, err
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b LinkStatus) int { return strings.Compare(string(a.CallSign), string(b.CallSign)) })
	return list, nil
}

// stored fills in what the store knows of a link that nothing drives now. It
// writes nothing: a link that has not begun has no state.
func (c *Courier) stored(ctx context.Context, p noroshi.Partner, st *LinkStatus) error {
	if p.Trust != noroshi.InForce && p.Trust != noroshi.Introduced {
		return nil
	}
	v, err := c.view(ctx, p)
	if err != nil {
		return err
	}
	l := newLink(c, v)
	if found, err := l.readMemo(ctx); err != nil || !found {
		return err
	}
	if err := errors.Join(l.restore(ctx), l.readPending(ctx)); err != nil {
		return err
	}
	l.status(st)
	st.OutStored, st.OutApplied, err = c.s.Receipted(ctx, p.Node, l.memo.Mine[len(l.memo.Mine)-1])
	return err
}

func (l *link) status(st *LinkStatus) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.side.Status()
	st.Up, st.Confirmed, st.LastHeard, st.RoundTrip = s.Up && s.Confirmed, s.Confirmed, s.Heard, s.Trip
	st.OutHead, st.OutStored, st.OutApplied = s.Head, s.Stored, s.Applied
	st.InHead, st.InApplied, st.Missing, st.Held = s.InHead, s.InApplied, s.Missing, s.Held
	st.Channel, st.LastError = l.channel, l.lastErr
	for p, n := range s.Waiting {
		if n > 0 {
			st.Waiting[noroshi.Precedence(p).String()] += n
		}
	}
	for _, p := range l.pending {
		st.Waiting[p.Prec.String()]++
	}
}

// unsent adds what was released and is not yet in the stream.
func (c *Courier) unsent(ctx context.Context, st *LinkStatus) error {
	ids, err := c.s.UnsentBatches(ctx, st.Partner)
	if err != nil {
		return err
	}
	for _, id := range ids {
		b, err := c.s.Batch(ctx, id)
		if err != nil {
			return err
		}
		next, err := c.s.Cursor(ctx, store.BatchPlace(id))
		if err != nil {
			return err
		}
		if left := b.Count - int(next); left > 0 {
			st.Waiting[b.Precedence.String()] += (left + message.MaxBatch - 1) / message.MaxBatch
		}
	}
	return nil
}

// Test sends a STATE with a fresh challenge over a channel and returns the
// round trip once it is echoed, or a Queued error when ctx ends first.
func (c *Courier) Test(ctx context.Context, partner noroshi.NodeID) (time.Duration, error) {
	l, err := c.link(partner)
	if err != nil {
		return 0, err
	}
	l.step(message.Probe{})
	for {
		l.mu.Lock()
		answered, trip, heard, last := l.side.Answered(), l.side.Status().Trip, l.heard, l.lastErr
		l.mu.Unlock()
		if answered {
			return trip, nil
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return 0, noroshi.Errorf(noroshi.Queued, "courier.no-answer", "%s did not answer in time (%s)", l.view.Load().partner.Organisation.CallSign, last)
		}
	}
}

// Receipted counts the objects of a type that the partner has receipted as
// applied.
func (c *Courier) Receipted(ctx context.Context, partner noroshi.NodeID, typ string) (int, error) {
	if l, err := c.link(partner); err == nil {
		l.keepReceipts(ctx) // what Links shows already is kept before it is counted
	}
	runs, err := c.s.AppliedThere(ctx, partner)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, r := range runs {
		rows, err := c.s.BatchRows(ctx, r.Batch, r.First, r.Count)
		if err != nil {
			return 0, err
		}
		seqs := make([]int64, len(rows))
		for i, d := range rows {
			seqs[i] = d.Seq
		}
		recs, err := c.s.Records(ctx, seqs)
		if err != nil {
			return 0, err
		}
		for _, rec := range recs {
			if rec.Object.Type == typ {
				n++
			}
		}
	}
	return n, nil
}

// Counters count since the courier was made.
type Counters struct {
	Written       int64 // messages put into streams
	Sent          int64 // envelopes of messages handed over
	Statements    int64 // statements said
	Received      int64 // messages that came and verified
	Applied       int64 // messages applied
	Seconds       int64 // second ids under one sequence
	Withheld      int64 // messages closed by a tombstone
	Dropped       int64 // envelopes that matched no link
	Refused       int64 // envelopes that did not verify
	Alarms        int64
	BytesSent     int64
	BytesReceived int64
}

type counters struct {
	Written, Sent, Statements, Received, Applied, Seconds, Withheld, Dropped, Refused, Alarms, BytesSent, BytesReceived atomic.Int64
}

// Counters returns the figures for metrics.
func (c *Courier) Counters() Counters {
	n := &c.counts
	return Counters{n.Written.Load(), n.Sent.Load(), n.Statements.Load(), n.Received.Load(), n.Applied.Load(), n.Seconds.Load(),
		n.Withheld.Load(), n.Dropped.Load(), n.Refused.Load(), n.Alarms.Load(), n.BytesSent.Load(), n.BytesReceived.Load()}
}
