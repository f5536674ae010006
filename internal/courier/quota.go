package courier

import (
	"context"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// DefaultQuota is how much one partner can make this node keep in a day, in
// bytes. Beyond it nothing of the partner is taken and nothing receipted until
// the next day (UTC): it comes again then (exchange §1.4).
const DefaultQuota = 1 << 30

// What a thing costs besides its bytes: rows, indexes and the leaf of its act.
const (
	messageCost = 1 << 10
	objectCost  = 1 << 6
	faultCost   = 1 << 9 // an object that goes to quarantine
	recallCost  = 1 << 8 // a line of a RECALL
	tombCost    = 1 << 10
)

// reserveParts is which part of the quota FLASH and control messages have of
// their own, 16 MiB of the default: who has flooded us with bulk can still
// warn us and take back.
const reserveParts = 64

// quota counts what a partner has made this node keep today. What it counts up to
// a MiB ago survives a restart.
type quota struct {
	mu   sync.Mutex
	max  int64
	day  int64    // since 1970, UTC
	used [2]int64 // bulk, reserve
}

func dayOf(now time.Time) int64 { return now.Unix() / (24 * 60 * 60) }

// at goes on to the day of now; under mu. A clock that was put back gives
// nothing anew.
func (q *quota) at(now time.Time) {
	if d := dayOf(now); d > q.day {
		q.day, q.used = d, [2]int64{}
	}
}

// bound is how much may be used of bulk or reserve.
func (q *quota) bound(part int) int64 {
	if part == 0 {
		return q.max
	}
	return q.max / reserveParts
}

// part is what a kind of message is counted in: FLASH and control in the reserve
// while there is some, and then like the rest.
func (q *quota) part(k message.Kind, p noroshi.Precedence) int {
	if (k != message.Data || p == noroshi.Flash) && q.used[1] < q.bound(1) {
		return 1
	}
	return 0
}

// left reports whether one more message may be taken. One at the end exceeds the
// bound by itself and what its inbox holds.
func (q *quota) left(k message.Kind, p noroshi.Precedence, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.at(now)
	part := q.part(k, p)
	return q.used[part] < q.bound(part)
}

// charge counts what a message costs, and returns the count to be kept when
// another MiB is full, else zero.
func (q *quota) charge(k message.Kind, p noroshi.Precedence, cost int64, now time.Time) (part int, mark int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.at(now)
	part = q.part(k, p)
	before := q.used[part]
	q.used[part] += cost
	if before>>20 != q.used[part]>>20 {
		mark = q.day<<quotaBits | q.used[part]>>20
	}
	return part, mark
}

// quotaBits is the width of the MiB in a kept count, below the day.
const quotaBits = 24

// bareCost is what a message costs that is stored and waits.
func bareCost(content int) int64 { return messageCost + int64(content) }

// cost is what keeping a message costs, with what it comes to.
func (v verdict) cost(m *message.Message) int64 {
	return bareCost(len(m.Content)) + objectCost*int64(len(v.views)) + recallCost*int64(len(v.recall)) + tombCost*int64(len(v.tombs))
}

// quotaName is the cursor that holds what was used today of bulk or reserve.
func quotaName(partner noroshi.NodeID, part int) string {
	return "courier/quota/" + partner.String() + [2]string{"", "/reserve"}[part]
}

// readQuota takes up the count where it was left.
func (l *link) readQuota(ctx context.Context) error {
	q := &l.quota
	for part := range q.used {
		n, err := l.c.s.Cursor(ctx, quotaName(l.node(), part))
		if err != nil {
			return err
		}
		if day := n >> quotaBits; day >= q.day {
			if day > q.day {
				q.day, q.used = day, [2]int64{}
			}
			q.used[part] = (n & (1<<quotaBits - 1)) << 20
		}
	}
	return nil
}

// pay counts a message inside the act that keeps it. An act that is not
// committed has paid all the same: it was tried, and comes again.
func (l *link) pay(tx *store.Tx, m *message.Message, cost int64) error {
	part, mark := l.quota.charge(m.Header.Kind, m.Header.Prec, cost, l.c.o.Now())
	if mark == 0 {
		return nil
	}
	return tx.SetCursor(quotaName(l.node(), part), mark)
}

// affords reports whether a message may be taken at all. The first that may not is
// told to the partner and to the duty officer, and then one a minute.
func (l *link) affords(m *message.Message) error {
	now := l.c.o.Now()
	if l.quota.left(m.Header.Kind, m.Header.Prec, now) {
		return nil
	}
	l.c.counts.OverQuota.Add(1)
	if l.first("refuse.quota") {
		l.step(message.Refused{Code: refuseQuota})
		l.lane(noroshi.Immediate, func(ctx context.Context) { l.alarm(ctx, "quota", m.Header.Seq) })
	}
	return noroshi.Errorf(noroshi.Refused, "courier.quota", "%s has sent as much as is kept of a partner in a day (%d MiB)", l.node(), l.quota.max>>20)
}
