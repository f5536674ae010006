package console

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// topic is what a page can be out of date about; the name of an event.
type topic string

// The topics. A page asks anew for the parts that are about one of them.
const (
	onWarnings   topic = "warnings"
	onRelease    topic = "release"    // what waits for a release officer
	onLinks      topic = "links"      // paths, round trips, what is on its way
	onIndicators topic = "indicators" // what is held and armed
	onTraffic    topic = "traffic"    // what the last day comes to
	onAnything   topic = "changed"    // any of them
)

// topics are all of them, with the shortest time between two events: a page need
// not follow an import object by object.
var topics = []struct {
	topic
	pause time.Duration
}{
	{onWarnings, 100 * time.Millisecond}, {onRelease, 250 * time.Millisecond}, {onLinks, time.Second},
	{onIndicators, time.Second}, {onTraffic, 5 * time.Second}, {onAnything, time.Second},
}

// topicsOf says what a change of the feed is about.
func topicsOf(c store.Change) []topic {
	typ, _, _ := strings.Cut(c.ID, "--")
	switch c.Kind {
	case store.AckGiven, store.MarkingAssigned:
		return []topic{onWarnings}
	case store.ObjectWithdrawn:
		return []topic{onWarnings, onIndicators}
	case store.HoldChanged, store.BatchReleased, store.RowsWithheld:
		return []topic{onRelease, onTraffic}
	case store.StreamChanged, store.MessageStored:
		return []topic{onLinks, onTraffic}
	case store.AgreementChanged, store.PartnerChanged, store.AlarmRaised:
		return []topic{onLinks}
	case store.ObjectChanged:
		switch typ {
		case "report", "language-content":
			return []topic{onWarnings}
		case "sighting":
			return []topic{onWarnings, onTraffic}
		case "indicator":
			return []topic{onIndicators}
		}
	}
	return nil
}

// hub watches, for all pages that are open, what changes here: one reader of the
// feed and of the links, only while somebody listens.
type hub struct {
	c *Console

	turn      sync.Mutex // one coming or going at a time; taken before mu
	listening int
	stop      context.CancelFunc
	done      chan struct{}

	mu    sync.Mutex // guards all below
	seq   int64      // place in the feed up to which everything is told
	count int64      // events told so far
	told  map[topic]int64
	next  chan struct{} // closed when something is told
}

// stuck is how many changes in the feed are not read one by one: all topics are
// told of instead.
const stuck = 5000

// join begins to listen, leave ends it: the last one to leave waits until the
// watching has ended.
func (h *hub) join() (count int64) {
	h.turn.Lock()
	defer h.turn.Unlock()
	if h.listening++; h.listening == 1 {
		ctx, stop := context.WithCancel(h.c.stopping)
		h.stop, h.done = stop, make(chan struct{})
		h.begin(ctx)
		go func() {
			defer close(h.done)
			h.watch(ctx)
		}()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

func (h *hub) leave() {
	h.turn.Lock()
	defer h.turn.Unlock()
	if h.listening--; h.listening == 0 {
		h.stop()
		<-h.done
	}
}

// begin sets the place from which on is told: whoever listens asked for their
// page before, and is told of what came between by replay.
func (h *hub) begin(ctx context.Context) {
	seq, err := h.c.Store.Head(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seq = seq; err != nil {
		h.seq = 0
	}
	h.told, h.next = map[topic]int64{}, make(chan struct{})
}

// since returns what was told after a count, the count by now, the place in the
// feed, and what is closed when more is told.
func (h *hub) since(count int64) (list []topic, now, seq int64, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range topics {
		if h.told[t.topic] > count {
			list = append(list, t.topic)
		}
	}
	return list, h.count, h.seq, h.next
}

// watch tells of what changes until ctx ends.
func (h *hub) watch(ctx context.Context) {
	h.mu.Lock()
	seq := h.seq
	h.mu.Unlock()
	waiting, last := map[topic]bool{}, map[topic]time.Time{}
	var links string
	var looked time.Time
	for ctx.Err() == nil {
		seq = h.read(ctx, seq, waiting)
		if now := time.Now(); now.Sub(looked) >= time.Second {
			looked = now
			if state := h.links(ctx); state != links {
				if links != "" {
					waiting[onLinks], waiting[onAnything] = true, true
				}
				links = state
			}
			h.count24(ctx)
		}
		list := due(waiting, last, time.Now())
		h.tell(seq, list, len(waiting) == 0)
		pause(ctx, topics[0].pause)
		wait := time.Second
		if len(waiting) > 0 {
			wait = topics[0].pause
		}
		limit, stop := context.WithTimeout(ctx, wait)
		_ = h.c.Store.Wait(limit, seq)
		stop()
	}
}

// count24 has the last day counted on: after a start it takes a few moments, which
// no page should wait for.
func (h *hub) count24(ctx context.Context) {
	if _, err := h.c.Tally.Advance(ctx, 200*time.Millisecond); err != nil && ctx.Err() == nil {
		h.c.Log.Error("the last day cannot be counted", "err", err)
	}
}

// read notes what the feed says after a place, and returns how far it was read.
func (h *hub) read(ctx context.Context, seq int64, waiting map[topic]bool) int64 {
	head, err := h.c.Store.Head(ctx)
	if err != nil || head <= seq {
		return seq
	}
	list, err := h.changed(ctx, seq, head)
	if err != nil {
		return seq
	}
	for _, t := range append(list, onAnything) {
		waiting[t] = true
	}
	return head
}

// changed returns what the feed between two places is about.
func (h *hub) changed(ctx context.Context, after, head int64) (list []topic, err error) {
	if head-after > stuck {
		for _, t := range topics {
			list = append(list, t.topic)
		}
		return list, nil
	}
	for after < head {
		changes, err := h.c.Store.Feed(ctx, after, 1000)
		if err != nil || len(changes) == 0 {
			return list, err
		}
		for _, c := range changes {
			for _, t := range topicsOf(c) {
				if !slices.Contains(list, t) {
					list = append(list, t)
				}
			}
		}
		after = changes[len(changes)-1].Seq
	}
	return list, nil
}

// due takes out of what waits the topics whose pause is over.
func due(waiting map[topic]bool, last map[topic]time.Time, now time.Time) (list []topic) {
	for _, t := range topics {
		if waiting[t.topic] && now.Sub(last[t.topic]) >= t.pause {
			list = append(list, t.topic)
			last[t.topic] = now
			delete(waiting, t.topic)
		}
	}
	return list
}

// tell tells who listens; all says that nothing up to the place is left to tell.
func (h *hub) tell(seq int64, list []topic, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if all {
		h.seq = seq
	}
	if len(list) == 0 {
		return
	}
	h.count++
	for _, t := range list {
		h.told[t] = h.count
	}
	close(h.next)
	h.next = make(chan struct{})
}

// links is the state of the links as far as a page shows it: what moves without
// anything in the feed.
func (h *hub) links(ctx context.Context) string {
	list, err := h.c.Courier.Links(ctx)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, l := range list {
		fmt.Fprintln(&b, l.CallSign, l.Up, l.Channel, trip(l.RoundTrip), quiet(l, h.c.Now()), l.Late, l.Waiting, len(l.Missing), l.InApplied, l.OutApplied)
		for _, p := range l.Paths {
			fmt.Fprintln(&b, p.Channel, p.State, trip(p.RoundTrip))
		}
	}
	return b.String()
}

// trip is a round trip as exactly as it is worth telling: by its power of two.
func trip(d time.Duration) (power int) {
	for ; d > 0; d /= 2 {
		power++
	}
	return power
}

// quietAfter is when a link of which nothing was heard looks stale.
const quietAfter = time.Minute

func quiet(l courier.LinkStatus, now time.Time) bool { return now.Sub(l.LastHeard) > quietAfter }

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
