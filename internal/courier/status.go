package courier

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
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
	Channel    string           `json:"channel,omitempty"` // path in use, of those that statements may go by
	Paths      []PathStatus     `json:"paths,omitempty"`
	LastSwitch string           `json:"last_switch,omitempty"` // last change of path since the start, and why: "https > mail, silent"
	Unheard    bool             `json:"unheard,omitempty"`     // our log began anew and the partner has not said that it heard of it: what waits goes then
	Recovering string           `json:"recovering,omitempty"`  // what is waited for after a restore: "epoch", "recalls", "person", "keys", "tail"; "others" = another link's
	Lost       uint64           `json:"lost,omitempty"`        // messages that this node forgot and the partner lacks: they may still arrive
	LostUntil  time.Time        `json:"lost_until,omitzero"`   // those that have not by then are closed
	LastError  noroshi.Told     `json:"last_error,omitzero"`
	KeysStale  time.Time        `json:"keys_not_confirmed_since,omitzero"` // what comes is applied all the same
	NewKeys    []string         `json:"new_release_keys,omitempty"`        // of the partner's, made in the last seven days
}

// keysNew is how long a release key that came after the first KEYSET is shown as
// new: who is not told of it by the partner asks.
const keysNew = 7 * 24 * time.Hour

// keys says what there is to look at in a partner's KEYSET.
func (st *LinkStatus) keys(ks *message.Keyset, now time.Time) {
	if !ks.Fresh(now) {
		st.KeysStale = ks.FreshUntil
	}
	for _, k := range ks.Keys {
		if ks.Version > 1 && k.Use == message.UseRelease && k.From.After(now.Add(-keysNew)) && ks.RevokedKey(k.ID) == nil && k.From.After(oldest(ks)) {
			st.NewKeys = append(st.NewKeys, kid(k.ID))
		}
	}
}

// oldest is when the first of the release keys began.
func oldest(ks *message.Keyset) (first time.Time) {
	for _, k := range ks.Keys {
		if k.Use == message.UseRelease && (first.IsZero() || k.From.Before(first)) {
			first = k.From
		}
	}
	return first
}

// PathStatus is what is known of one channel to a partner.
type PathStatus struct {
	Channel   string        `json:"channel"`
	Kind      string        `json:"kind"`
	State     string        `json:"state"`             // proven, unproven, silent, down, absent
	Why       noroshi.Told  `json:"why,omitzero"`      // of down and absent: what the channel says
	Listed    bool          `json:"listed"`            // the agreement in force lets it be used
	OneWay    bool          `json:"one_way,omitempty"` // nothing comes back on it
	RoundTrip time.Duration `json:"round_trip_ns,omitempty"`
	Heard     time.Time     `json:"heard,omitzero"`  // when something last came back that had gone by it
	Cost      int           `json:"cost"`            // less is preferred
	UpTo      string        `json:"up_to,omitempty"` // highest TLP level it may carry unclassified
	Flying    int           `json:"flying"`          // messages being handed over to it
	Open      int           `json:"open"`            // messages that went by it and have no receipt
}

// Links returns the state of every partner's link, by call sign. Without a
// running courier it is what the store knows: down, and what was sent, came
// and is missing.
func (c *Courier) Links(ctx context.Context) ([]LinkStatus, error) {
	partners, err := c.s.Partners(ctx)
	if err != nil {
		return nil, err
	}
	list := []LinkStatus{}
	for _, p := range partners {
		st := LinkStatus{Partner: p.Node, CallSign: p.Organisation.CallSign, Trust: p.Trust, Waiting: map[string]int{}}
		switch l, err := c.link(p.Node); {
		case err == nil:
			l.status(&st)
			if err := l.recorded(ctx, &st); err != nil {
				return nil, err
			}
		case noroshi.KindOf(err) == noroshi.Queued:
			if err := c.stored(ctx, p, &st); err != nil {
				return nil, err
			}
		}
		if err := c.owed(ctx, p, &st); err != nil {
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

// recorded leaves of what the partner is heard to have what is on record too:
// the act that records a receipt ends after it was heard.
func (l *link) recorded(ctx context.Context, st *LinkStatus) error {
	l.mu.Lock()
	mine := l.memo.Mine
	l.mu.Unlock()
	if len(mine) == 0 {
		return nil
	}
	present := mine[len(mine)-1]
	// A message is in the stream a moment before memory knows of it.
	if out, err := l.c.s.Out(ctx, l.node(), present, st.OutHead+1, 1); err != nil {
		return err
	} else if len(out) > 0 {
		st.OutHead = out[0].Seq
	}
	stored, applied, err := l.c.s.Receipted(ctx, l.node(), present)
	st.OutStored, st.OutApplied = min(st.OutStored, stored), min(st.OutApplied, applied)
	return err
}

func (l *link) status(st *LinkStatus) {
	_, barred := l.c.barred()
	ours := l.c.o.Keys.Keyset().Version
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.side.Status()
	st.Up, st.Confirmed, st.LastHeard, st.RoundTrip = answering(s), s.Confirmed, s.Heard, s.Trip
	st.Unheard = s.Confirmed && !s.Counts
	st.OutHead, st.OutStored, st.OutApplied = s.Head, s.Stored, s.Applied
	st.InHead, st.InApplied, st.Missing, st.Held = s.InHead, s.InApplied, s.Missing, s.Held
	st.Channel, st.LastError, st.LastSwitch, st.Recovering = s.Path, l.lastErr, l.lastSwitch, l.memo.Recover.waits()
	for _, r := range l.underWay.runs {
		st.Lost, st.LostUntil = st.Lost+r.Range.B-r.Range.A+1, l.underWay.until
	}
	switch {
	case st.Recovering == "" && barred:
		st.Recovering = "others"
	case st.Recovering == "tail" && (l.memo.forgotten(l.keysNamed().Version, ours) || l.lostTail.unsigned == ours):
		st.Recovering = "keys"
	}
	for _, p := range s.Paths {
		x := PathStatus{Channel: p.Name, Kind: p.Kind, State: p.State.String(), Why: l.why(p), Listed: p.Control, OneWay: p.OneWay, RoundTrip: p.Trip,
			Heard: p.Heard, Cost: p.Cost, Flying: p.Flying, Open: p.Open}
		for t := noroshi.Clear; t <= noroshi.Red && p.Admits != nil && p.Admits(t.String()); t++ {
			x.UpTo = t.String()
		}
		st.Paths = append(st.Paths, x)
	}
	st.keys(l.view.Load().keys, l.c.o.Now())
	for p, n := range s.Waiting {
		if n > 0 {
			st.Waiting[noroshi.Precedence(p).String()] += n
		}
	}
	for _, p := range l.pending {
		st.Waiting[p.Prec.String()]++
	}
}

// why says why a channel is down or absent, in the words of its last failure.
func (l *link) why(p message.PathStatus) noroshi.Told {
	if last := l.failing[p.Name]; last.Message == p.Why {
		return last
	}
	return noroshi.Told{Message: p.Why}
}

// answering reports whether a link is up: the partner has answered since the
// start, and nothing speaks against one of the ways to it.
func answering(s message.Status) bool {
	return s.Confirmed && slices.ContainsFunc(s.Paths, func(p message.PathStatus) bool { return p.Control && p.State <= message.PathUnproven })
}

// Test sends a STATE with a fresh challenge over a channel, over all of them when
// none is named, and returns the round trip once one is echoed, or a Queued error
// when ctx ends first.
func (c *Courier) Test(ctx context.Context, partner noroshi.NodeID, channel string) (time.Duration, error) {
	l, err := c.link(partner)
	if err != nil {
		return 0, err
	}
	if channel != "" && c.channel(channel) == nil {
		return 0, noroshi.Errorf(noroshi.NotFound, "courier.channel", "this node has no channel %s", channel)
	}
	l.step(message.Probe{Channel: channel})
	for {
		l.mu.Lock()
		trip, answered := l.side.Answered(channel)
		heard, last := l.heard, l.lastErr
		l.mu.Unlock()
		if answered {
			return trip, nil
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return 0, noAnswer(l.callSign(), last)
		}
	}
}

func noAnswer(from noroshi.CallSign, last noroshi.Told) error {
	if last.Message == "" {
		return noroshi.Errorf(noroshi.Queued, "courier.silent", "%s did not answer in time", from)
	}
	return noroshi.Errorf(noroshi.Queued, "courier.no-answer", "%s did not answer in time: %w", from, last.Error(noroshi.Other))
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
	Chained       int64 // sequences gone over up to the last good points of revoked keys
	OverQuota     int64 // messages beyond what is kept of a partner in a day
	Alarms        int64
	Switches      int64 // changes of path
	BytesSent     int64
	BytesReceived int64
}

type counters struct {
	Written, Sent, Statements, Received, Applied, Seconds, Withheld, Dropped, Refused, Chained, OverQuota, Alarms, Switches, BytesSent, BytesReceived atomic.Int64
}

// Counters returns the figures for metrics.
func (c *Courier) Counters() Counters {
	n := &c.counts
	return Counters{n.Written.Load(), n.Sent.Load(), n.Statements.Load(), n.Received.Load(), n.Applied.Load(), n.Seconds.Load(),
		n.Withheld.Load(), n.Dropped.Load(), n.Refused.Load(), n.Chained.Load(), n.OverQuota.Load(), n.Alarms.Load(), n.Switches.Load(), n.BytesSent.Load(), n.BytesReceived.Load()}
}
