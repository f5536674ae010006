package courier

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// SendRecall tells a partner to take back what nobody here ordered, as a hostile
// node would.
func (c *Courier) SendRecall(ctx context.Context, to noroshi.NodeID, entries []message.RecallEntry) error {
	p := pendingMessage{Key: fmt.Sprintf("%s/recall/hostile", to), Kind: message.Recall, Prec: noroshi.Priority, Content: message.EncodeRecall(entries)}
	_, err := c.s.Do(ctx, noroshi.Act{Action: noroshi.ActRecall, Subject: "hostile"}, func(tx *store.Tx) error { return keepPending(tx, p) })
	if err == nil {
		c.settle([]reach{{node: to, pending: []pendingMessage{p}}})
	}
	return err
}

// Returned hands a courier a RETURN of a partner as if it had come.
func (c *Courier) Returned(from noroshi.NodeID, list []*message.Message) error {
	l, err := c.link(from)
	if err != nil {
		return err
	}
	return l.returnArrived(&message.Statement{Kind: message.ReturnKind, Body: message.EncodeReturn(list)})
}

// KeepRest leaves something to be sent of a batch that is not here.
func (c *Courier) KeepRest(ctx context.Context, to noroshi.NodeID, batch string) error {
	p := restOf(to, store.OutMessage{ID: noroshi.Sum([]byte(batch)), Batch: batch, Count: 1, Prec: noroshi.Routine})
	_, err := c.s.Do(ctx, noroshi.Act{Action: noroshi.ActWithhold, Subject: "test"}, func(tx *store.Tx) error { return keepPending(tx, p) })
	if err == nil {
		c.settle([]reach{{node: to, pending: []pendingMessage{p}}})
	}
	return err
}

// Wanted hands a courier a WANT of a partner as if it had come.
func (c *Courier) Wanted(from noroshi.NodeID, w message.Want) error {
	l, err := c.link(from)
	if err == nil {
		l.wanted(w)
	}
	return err
}

// Unsaid counts the parts of answers that wait to be said to a partner.
func (c *Courier) Unsaid(to noroshi.NodeID) int {
	l, err := c.link(to)
	if err != nil {
		return -1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.partsWait()
}

// Told returns the epoch and the counter of a partner's newest STATE.
func (c *Courier) Told(from noroshi.NodeID) (message.Epoch, uint64) {
	l, err := c.link(from)
	if err != nil {
		return message.Epoch{}, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told == nil {
		return message.Epoch{}, 0
	}
	return l.told.Context.Epoch, l.told.Counter
}

// SealReturn seals a RETURN to a partner for a kind of channel, as when its path had
// been chosen before.
func (c *Courier) SealReturn(to noroshi.NodeID, kind string, list []*message.Message) error {
	l, err := c.link(to)
	if err != nil {
		return err
	}
	l.mu.Lock()
	epoch := l.side.Tail().Epoch
	l.mu.Unlock()
	st, err := l.statement(context.Background(), speech{epoch: epoch, kind: message.ReturnKind, counter: 1, body: message.EncodeReturn(list)})
	if err != nil {
		return err
	}
	p := message.Plain{Statement: st}
	_, err = l.sealFor(kind, p, l.outbound(p, kind))
	return err
}

// Used returns what a partner has made this node keep today, bulk and reserve together.
func (c *Courier) Used(from noroshi.NodeID) int64 {
	l, err := c.link(from)
	if err != nil {
		return -1
	}
	l.quota.mu.Lock()
	defer l.quota.mu.Unlock()
	return l.quota.used[0] + l.quota.used[1]
}

// Moved notes in what a link waits for that it has since a second, as an act of its
// own, and MovedTo says which memory knows; ReadRecoveries is what follows a notice.
func (c *Courier) Moved(ctx context.Context, of noroshi.NodeID, to int64) error {
	l, err := c.link(of)
	if err != nil {
		return err
	}
	return l.advanceRecovery(ctx, "test", nil, func(r *recovery) { r.Since = time.Unix(to, 0).UTC() })
}

func (c *Courier) MovedTo(of noroshi.NodeID) int64 {
	l, err := c.link(of)
	if err != nil || l.recovering() == nil {
		return 0
	}
	return l.recovering().Since.Unix()
}

func (c *Courier) ReadRecoveries(ctx context.Context) error { return c.readRecoveries(ctx) }

// Recovered ends what a link waits for, as its partner's answers would.
func (c *Courier) Recovered(ctx context.Context, of noroshi.NodeID) error {
	l, err := c.link(of)
	if err != nil {
		return err
	}
	return l.advanceRecovery(ctx, "test", nil, func(r *recovery) { r.Recalls, r.Tail = true, true })
}

// NewEpoch begins a new log to a partner, of which its link hears nothing.
func (c *Courier) NewEpoch(ctx context.Context, of noroshi.NodeID) error {
	l, err := c.link(of)
	if err == nil {
		_, err = l.newEpoch(ctx, message.Open{Reason: message.OrderedEpoch})
	}
	return err
}

// KeepReads leaves READs to be sent to a partner, as of what it sent in a life that
// both have lost.
func (c *Courier) KeepReads(ctx context.Context, to noroshi.NodeID, n int) error {
	r := reach{node: to}
	_, err := c.s.Do(ctx, noroshi.Act{Action: noroshi.ActReceipt, Subject: "test"}, func(tx *store.Tx) error {
		r.pending = nil
		for i := range n {
			body := message.EncodeRead(message.ReadBody{Epoch: message.Epoch{9}, Seq: uint64(i + 1), Role: noroshi.Duty, Time: c.o.Now()})
			p := pendingMessage{Key: fmt.Sprintf("%s/read/%06d", to, i), Kind: message.Read, Prec: noroshi.Routine, Content: body}
			r.pending = append(r.pending, p)
			if err := keepPending(tx, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		c.settle([]reach{r})
	}
	return err
}

// Elsewheres returns after how many proofs in a row that begin elsewhere a partner is
// not believed any more, 0 = with none of them: runs says of each which run of the
// partner it is of, and they come so far apart. Each is answered, and of the answers
// the partner has always heard all but the latest few.
func Elsewheres(runs []byte, apart time.Duration, unheard int) int {
	var e elsewhere
	now := time.Unix(1_800_000_000, 0)
	for i, run := range runs {
		if e.again([8]byte{run}, message.Citation{Epoch: message.Epoch{1}, Counter: uint64(max(0, i-unheard))}, now) {
			return i + 1
		}
		e.answered(message.Citation{Epoch: message.Epoch{1}, Counter: uint64(i + 1)})
		now = now.Add(apart)
	}
	return 0
}

// SaidAtOnce makes the link with a partner of a courier that does not run, as Run does,
// and brings its channels anew before anything drives it, as sending a document at the
// start does. It counts the statements that wait to be said then.
func (c *Courier) SaidAtOnce(ctx context.Context, to noroshi.NodeID) (n int, err error) {
	body, err := c.s.Doc(ctx, noroshi.DocPartner, to.String())
	if err != nil {
		return 0, err
	}
	var p noroshi.Partner
	if err := json.Unmarshal(body, &p); err != nil {
		return 0, err
	}
	v, err := c.view(ctx, p)
	if err != nil {
		return 0, err
	}
	l, err := c.build(ctx, v)
	if err != nil {
		return 0, err
	}
	l.rewire()
	for _, m := range l.mouths {
		n += len(m.speeches)
	}
	return n, nil
}

// Holding is what is held of one partner's LINKs, each named by a byte.
type Holding struct{ s linkSecrets }

// Takes has a LINK come, whose sequence and key its name gives.
func (h *Holding) Takes(gate byte, now time.Time) {
	in := message.In{Epoch: message.Epoch{1}, Seq: uint64(gate), Key: [4]byte{gate}}
	h.s = h.s.took(message.LinkBody{Gate: [32]byte{gate}, Line: [32]byte{gate}, Day: message.DayOf(now)}, in, now)
}

// Hears has a KEYSET come.
func (h *Holding) Hears(ks *message.Keyset) { h.s = h.s.believed(ks) }

// Opens has a LINK open an envelope, and reports whether it is held.
func (h *Holding) Opens(gate byte, now time.Time) bool {
	partner := noroshi.NodeID{1}
	s := safe{vault: nowhere{}, links: map[noroshi.NodeID]linkSecrets{partner: h.s}}
	if err := s.used(partner, [32]byte{gate}, now); err != nil {
		return false
	}
	h.s = s.links[partner]
	return len(h.s.Held) > 0 && h.s.Held[0].Body.Gate == [32]byte{gate}
}

// nowhere keeps no secrets.
type nowhere struct{}

func (nowhere) Load() ([]byte, error) { return nil, nil }
func (nowhere) Save([]byte) error     { return nil }

// Turns moves what is held on to the day.
func (h *Holding) Turns(now time.Time) { h.s = h.s.on(now) }
