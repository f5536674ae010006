package courier

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// recovery is what a link that begins anew from an earlier state still waits for
// from its partner. While there is one no DATA leaves on the link; while it bars,
// nothing is armed or handed out by the node at all.
type recovery struct {
	Why     message.EpochReason `json:"why"` // restored, rolled back
	Since   time.Time           `json:"since"`
	Opened  bool                `json:"opened,omitempty"`  // the new epoch is made
	Recalls bool                `json:"recalls,omitempty"` // the partner's recalls in force are done here
	Tail    bool                `json:"tail,omitempty"`    // what it holds of the lost end of our streams is back
	Late    bool                `json:"late,omitempty"`    // it was over, and more of the tail came to the partner: nothing waits for it
}

// Leap is how the version of our KEYSET changed by a restore: versions between
// are of KEYSETs that this node made after the backup and has forgotten. They stay
// forgotten, whatever became of what the link lost then.
type Leap struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// maxLeaps bounds the leaps that a link knows of: the latest count.
const maxLeaps = 64

// leapt notes a leap.
func (m *memo) leapt(keys Leap) {
	if keys.From < keys.To {
		m.Leaps = append(m.Leaps[max(0, len(m.Leaps)+1-maxLeaps):], keys)
	}
}

// forgotten reports whether a KEYSET of ours that a partner names was made by
// this node and is not known to it: it may revoke a key by which what comes back
// is signed.
func (m *memo) forgotten(held, ours uint64) bool {
	return held > ours || slices.ContainsFunc(m.Leaps, func(x Leap) bool { return x.From < held && held < x.To })
}

// believed reports whether what the partner gives back as ours is taken in. After
// a restore it is. Where only the partner's word says that this node lost
// something, a person's word comes first: it may as well be a thief who signed it
// with a key of ours.
func (r *recovery) believed() bool { return r != nil && r.Why == message.Restored }

// holdsUp reports whether no DATA goes on the link meanwhile.
func (r *recovery) holdsUp() bool { return r != nil && !r.Late }

// barsAtMost bounds for how long a partner that says that this node lost something
// can keep it from arming at a start and shut its doors, by not telling its recalls
// then, however often it says so.
const barsAtMost = time.Hour

// bars reports whether nothing may be armed or handed out, to anybody: what is
// here may have been recalled since, by the partner or by this node.
func (r *recovery) bars(now time.Time) bool {
	return r.holdsUp() && (r.believed() || !r.Recalls && now.Sub(r.Since) < barsAtMost)
}

// waits names what is waited for next, "" for nothing.
func (r *recovery) waits() string {
	switch {
	case r == nil:
		return ""
	case r.Late:
		return "late"
	case !r.Opened:
		return "epoch"
	case !r.Recalls:
		return "recalls"
	case !r.believed():
		return "person"
	}
	return "tail"
}

// begin notes that an epoch was opened: after a restore, and where the partner
// found that this side was rolled back, what was lost is asked for.
func (m *memo) begin(why message.EpochReason, now time.Time) {
	switch {
	case m.Recover.holdsUp() && !m.Recover.Opened:
		r := *m.Recover
		r.Opened = true
		if m.Recover = &r; r.Recalls && r.Tail {
			m.Recover = nil
		}
	case why.FromEarlier():
		r := recovery{Why: why, Since: now.UTC(), Opened: true}
		if m.Recover.holdsUp() { // it goes back further than was known
			r.Why, r.Since = m.Recover.Why, m.Recover.Since
		}
		m.Recover = &r
	}
}

// BeginAnew notes, inside the act that puts a database back from a backup, that
// each link begins anew: with a new epoch, what it lost asked for, and DATA only
// after that. One that had not begun by the time of the backup may have since. keys
// is how the restore changed our KEYSET.
func BeginAnew(ctx context.Context, tx *store.Tx, keys Leap) error {
	docs, err := allLinks(ctx, tx.Reads)
	if err != nil {
		return err
	}
	for key, body := range docs {
		m, err := memoOf(key, body)
		if err != nil {
			return err
		}
		m.Recover = &recovery{Why: message.Restored, Since: tx.Time().UTC()}
		m.leapt(keys)
		if err := putJSON(tx, docLink, key, m); err != nil {
			return err
		}
	}
	return nil
}

// allLinks are the memos of all links, also of those that have yet to begin.
func allLinks(ctx context.Context, r store.Reads) (map[string][]byte, error) {
	docs, err := r.Docs(ctx, docLink)
	if err != nil {
		return nil, err
	}
	partners, err := r.Docs(ctx, noroshi.DocPartner)
	for key, body := range partners {
		var p noroshi.Partner
		if err := json.Unmarshal(body, &p); err != nil {
			return nil, noroshi.Errorf(noroshi.Broken, "courier.partner", "read a partner's document: %w", err)
		}
		if docs[key] == nil && live(p) {
			docs[key] = []byte("{}")
		}
	}
	return docs, err
}

func memoOf(key string, body []byte) (m memo, err error) {
	if json.Unmarshal(body, &m) != nil {
		return m, noroshi.Errorf(noroshi.Broken, "courier.memo", "the link with %s cannot be read: run audit verify", key)
	}
	return m, nil
}

// Recovering is a link that was put back to an earlier state and waits for its
// partner.
type Recovering struct {
	Partner noroshi.NodeID
	Since   time.Time

	is *recovery
}

// Bars reports whether nothing may be armed or handed out, to anybody, before the
// partner has answered, or a person lets the link go on without.
func (r Recovering) Bars(now time.Time) bool { return r.is.bars(now) }

// RecoveringLinks returns the links that wait so, of partners that may be spoken
// to at all.
func RecoveringLinks(ctx context.Context, r store.Reads) ([]Recovering, error) {
	docs, err := r.Docs(ctx, docLink)
	if err != nil {
		return nil, err
	}
	var list []Recovering
	for key, body := range docs {
		m, err := memoOf(key, body)
		if err != nil {
			return nil, err
		}
		if m.Recover == nil {
			continue
		}
		var p noroshi.Partner
		if found, err := readJSON(ctx, r, noroshi.DocPartner, key, &p); err != nil || !found || !live(p) {
			if err != nil {
				return nil, err
			}
			continue
		}
		list = append(list, Recovering{Partner: p.Node, Since: m.Recover.Since, is: m.Recover})
	}
	slices.SortFunc(list, func(a, b Recovering) int { return slices.Compare(a.Partner[:], b.Partner[:]) })
	return list, nil
}

// RecoveryChanged is a change: id = NodeID of the partner of a link that was put
// back, or got further, or whose node found that it was.
const RecoveryChanged store.ChangeKind = "recovery"

// readRecoveries reads anew which links wait: a restore, or another process of
// this node, may have written so.
func (c *Courier) readRecoveries(ctx context.Context) error {
	c.looking.Lock()
	defer c.looking.Unlock()
	list, err := RecoveringLinks(ctx, c.s.Reads)
	if err != nil {
		return err
	}
	c.recovering.Store(&list)
	for _, l := range c.all() {
		if err := l.readRecovery(ctx); err != nil {
			return err
		}
		signal(l.lostNow)
		l.wakePull()
	}
	return nil
}

// readRecovery reads anew what a link waits for, with nobody changing it meanwhile:
// what was read before an act must not take the place of what that act came to.
func (l *link) readRecovery(ctx context.Context) error {
	l.minding.Lock()
	defer l.minding.Unlock()
	var kept memo
	if _, err := readJSON(ctx, l.c.s.Reads, docLink, l.node().String(), &kept); err != nil {
		return err
	}
	if !live(l.view.Load().partner) {
		kept.Recover = nil
	}
	l.learn(func(m *memo) { m.Recover, m.After, m.Leaps = kept.Recover, kept.After, kept.Leaps })
	return nil
}

// barred returns the partner before whose answer no DATA goes to anybody. One that
// alone says that this node lost something holds up no other's.
func (c *Courier) barred() (noroshi.NodeID, bool) {
	if list := c.recovering.Load(); list != nil {
		for _, x := range *list {
			if x.is.believed() && x.is.holdsUp() {
				return x.Partner, true
			}
		}
	}
	return noroshi.NodeID{}, false
}

// mayGive refuses while no DATA may go to the partner: this link, or another that
// something may have been recalled on, waits for what its partner has of it.
func (l *link) mayGive() error {
	on, barred := l.c.barred()
	if l.recovering().holdsUp() {
		on, barred = l.node(), true
	}
	if !barred {
		return nil
	}
	return noroshi.Errorf(noroshi.Queued, "courier.recovering", "the link with %s was put back to an earlier state: data goes when the partner has given back what was lost", on)
}

// recovering returns what the link waits for, nil for nothing.
func (l *link) recovering() *recovery {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.memo.Recover == nil {
		return nil
	}
	r := *l.memo.Recover
	return &r
}

// beginAnew opens the new epoch of a link that was put back. It is part of making the
// link: whoever has it may have it say something, which must not be in the lost life.
func (l *link) beginAnew() {
	if r := l.recovering(); r != nil && !r.Opened {
		l.step(message.PutBack{})
	}
}

// advanceRecovery notes how far a recovery has got, in one act with what also
// does. The last step of it lets DATA go again.
func (l *link) advanceRecovery(ctx context.Context, what string, also func(*store.Tx) error, change func(*recovery)) error {
	return l.moveRecovery(ctx, what, also, func(m *memo) {
		if m.Recover == nil {
			return
		}
		r := *m.Recover
		switch change(&r); {
		case !r.Opened || !r.Recalls || !r.Tail:
			m.Recover = &r
			return
		case !r.Late:
			m.After = &r
		}
		m.Recover = nil
	})
}

// moveRecovery changes what the link waits for, in one act with what also does.
func (l *link) moveRecovery(ctx context.Context, what string, also func(*store.Tx) error, move func(*memo)) error {
	l.minding.Lock()
	defer l.minding.Unlock()
	var now memo
	act := noroshi.Act{Action: noroshi.ActRecovered, Subject: what, Partner: l.node(), Precedence: noroshi.Immediate}
	_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		if err := tx.Notice(RecoveryChanged, l.node().String()); err != nil {
			return err
		}
		return l.remember(ctx, tx, func(m *memo) {
			move(m)
			now = *m
		})
	})
	if err != nil {
		return err
	}
	l.learn(func(m *memo) { m.Recover, m.After = now.Recover, now.After })
	l.cameBack()
	l.wakePull()
	return nil
}
