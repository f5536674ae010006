package courier

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// docLink is the kind of the document that names the epochs of a link; key:
// NodeID. It is written inside the act that changes one of them.
const docLink = "link"

// memo is the body of docLink.
type memo struct {
	Mine    []epochID `json:"mine"` // oldest first; the last is the present one
	Parents []epochID `json:"parents,omitempty"`
	Theirs  []epochID `json:"theirs,omitempty"`
	Retired []epochID `json:"retired,omitempty"`
	Live    epochID   `json:"live,omitzero"`
	Recover *recovery `json:"recover,omitempty"`
	After   *recovery `json:"after,omitempty"`   // the last that is over: what was under way then may still come
	Leaps   []Leap    `json:"leaps,omitempty"`   // of our KEYSET, by restores since the link began
	Disowns *int      `json:"disowns,omitempty"` // keys of ours that were revoked when the newest of Mine was opened; nil in a memo of before it was noted
	Ends    epochID   `json:"ends,omitzero"`     // the newest of Mine before which one was revoked: those ended with it
}

type epochID message.Epoch

// MarshalText writes hexadecimal digits.
func (e epochID) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(e[:])), nil }

// UnmarshalText reads hexadecimal digits.
func (e *epochID) UnmarshalText(b []byte) error {
	if len(b) != 2*len(e) {
		return noroshi.Errorf(noroshi.Broken, "courier.memo", "an epoch has %d characters, must have %d", len(b), 2*len(e))
	}
	_, err := hex.Decode(e[:], b)
	return err
}

// remember changes the kept memo inside an act: what another act has changed
// meanwhile stays. Once the act is sure, learn changes the one in memory alike.
func (l *link) remember(ctx context.Context, tx *store.Tx, change func(*memo)) error {
	var m memo
	body, err := tx.Doc(ctx, docLink, l.node().String())
	switch {
	case err == nil:
		err = json.Unmarshal(body, &m)
	case noroshi.KindOf(err) == noroshi.NotFound:
		err = nil
	}
	if err != nil {
		return err
	}
	if m.Disowns == nil { // as it was when the link was made
		l.mu.Lock()
		m.Disowns = l.memo.Disowns
		l.mu.Unlock()
	}
	change(&m)
	if body, err = json.Marshal(m); err != nil {
		return err
	}
	return tx.PutDoc(docLink, l.node().String(), body)
}

// learn changes the memo in memory.
func (l *link) learn(change func(*memo)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.memo)
}

// counterName is the cursor that holds the last counter issued in an epoch.
func counterName(partner noroshi.NodeID, e message.Epoch) string {
	return fmt.Sprintf("courier/counter/%s/%x", partner, e[:])
}

// build makes a link of what is durable, with the stream's first epoch if it
// has none.
func (c *Courier) build(ctx context.Context, v *view) (*link, error) {
	l := newLink(c, v)
	found, err := l.readMemo(ctx)
	if err == nil && !found {
		err = l.firstEpoch(ctx)
	}
	if err == nil {
		err = l.restore(ctx)
	}
	if err == nil {
		err = errors.Join(l.readNotary(ctx), l.readQuota(ctx), l.settleLink(ctx))
	}
	if err == nil {
		err = l.readPending(ctx)
	}
	if err != nil {
		return nil, err
	}
	l.beginAnew()
	return l, nil
}

// readMemo reads which epochs the link has; false when it has not begun.
func (l *link) readMemo(ctx context.Context) (found bool, err error) {
	body, err := l.c.s.Doc(ctx, docLink, l.node().String())
	if noroshi.KindOf(err) == noroshi.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(body, &l.memo); err != nil || len(l.memo.Mine) == 0 && l.memo.Recover == nil {
		return false, noroshi.Errorf(noroshi.Broken, "courier.memo", "the link with %s cannot be read: run audit verify", l.node())
	}
	if l.memo.Disowns == nil && len(l.memo.Mine) > 0 { // what was revoked before it was noted ended nothing that is known of
		n := l.c.o.Keys.Keyset().Disowned()
		l.memo.Disowns = &n
	}
	return len(l.memo.Mine) > 0, nil
}

// restore makes the link's side of what is durable.
func (l *link) restore(ctx context.Context) error {
	f, err := l.facts(ctx)
	if err != nil {
		return err
	}
	if f.Told != nil {
		l.known.Store(&f.Told.State.Keys[1])
	}
	l.side = message.Rebuild(l.c.rules(l.view.Load()), f, l.c.o.Now())
	return nil
}

func (c *Courier) rules(v *view) message.Rules {
	r := message.DefaultRules()
	r.Realm, r.Self, r.Partner, r.Ways = c.o.Realm, c.o.Node, v.partner.Node, c.ways(v, c.o.Now())
	r.Heartbeat, r.Probe = c.o.Heartbeat, min(r.Probe, c.o.Heartbeat)
	if c.o.Resend > 0 {
		r.Resend = c.o.Resend
	}
	return r
}

// facts reads what a Side is made of.
func (l *link) facts(ctx context.Context) (f message.Facts, err error) {
	rand.Read(f.Run[:])
	rand.Read(f.Seed[:])
	v := l.view.Load()
	f.Keys = l.keyVersions()
	f.Live = message.Epoch(l.memo.Live)
	for _, p := range l.memo.Parents {
		f.Parents = append(f.Parents, message.Epoch(p))
	}
	for _, e := range l.memo.Mine {
		head, err := l.head(ctx, message.Epoch(e))
		if err != nil {
			return f, err
		}
		f.Mine = append(f.Mine, head)
		_, why, err := l.began(ctx, head.Epoch)
		if err != nil {
			return f, err
		}
		if why.FromEarlier() {
			f.Anew = head.Epoch
		}
		out, err := l.c.s.Unreceipted(ctx, v.partner.Node, e, maxWaiting)
		if err != nil {
			return f, err
		}
		for _, o := range out {
			f.Out = append(f.Out, l.outOf(o))
		}
	}
	present := f.Mine[len(f.Mine)-1].Epoch
	n, err := l.c.s.Cursor(ctx, counterName(v.partner.Node, present))
	if err != nil {
		return f, err
	}
	f.Counter = uint64(n)
	for _, e := range l.memo.Theirs {
		life, err := l.life(ctx, message.Epoch(e))
		if err != nil {
			return f, err
		}
		life.Retired = slices.Contains(l.memo.Retired, e)
		f.Theirs = append(f.Theirs, life)
	}
	f.Told, err = l.lastTold(ctx, f.Live)
	return f, err
}

// maxWaiting bounds what is in memory of messages without a receipt; the rest
// is loaded when the partner's STATE shows that it lacks it.
const maxWaiting = 4096

// outOf makes of a message in the stream what Step needs. What cannot be read
// says nothing of its label, so no channel is admitted for it.
func (l *link) outOf(o store.OutMessage) message.Out {
	x := message.Out{Epoch: o.Epoch, Seq: o.Seq, ID: o.ID, Prec: o.Prec, Created: o.Created, TTL: o.TTL,
		Len: max(len(o.Content), 800*o.Count), Chain: o.Chain, Closed: o.State == store.Withheld || o.State == store.Expired}
	if message.Kind(o.Kind) == message.Data {
		x.Label = message.UnreadLabel
		if m, err := message.DecodeSigned(l.c.o.Realm, o.Signed); err == nil {
			x.Label = m.Header.Label
		}
	}
	return x
}

// head finds the end of one of our logs by doubling and halving.
func (l *link) head(ctx context.Context, e message.Epoch) (message.EpochHead, error) {
	h := message.EpochHead{Epoch: e, Chain: message.ChainStart(l.c.o.Realm, l.c.o.Node, l.node(), e)}
	at := func(seq uint64) (bool, error) {
		out, err := l.c.s.Out(ctx, l.node(), e, seq, 1)
		if err != nil || len(out) == 0 {
			return false, err
		}
		if out[0].Seq > h.Head {
			h.Head, h.Chain = out[0].Seq, out[0].Chain
		}
		return true, nil
	}
	low, high := uint64(0), uint64(1)
	for {
		found, err := at(high)
		if err != nil {
			return h, err
		}
		if !found {
			break
		}
		low, high = high, high*2
	}
	for low+1 < high {
		mid := low + (high-low)/2
		found, err := at(mid)
		if err != nil {
			return h, err
		}
		if found {
			low = mid
		} else {
			high = mid
		}
	}
	return h, nil
}

// life reads what is bound of one of the partner's epochs.
func (l *link) life(ctx context.Context, e message.Epoch) (message.Life, error) {
	x := message.Life{Epoch: e, Chain: message.ChainStart(l.c.o.Realm, l.node(), l.c.o.Node, e)}
	for from := uint64(1); ; {
		rows, err := l.c.s.In(ctx, l.node(), e, from, 1000)
		if err != nil {
			return x, err
		}
		for _, r := range rows {
			from = r.Seq + 1
			if r.Second {
				continue
			}
			if r.State == store.Tombstoned {
				if r.ID, err = tombID(ctx, l.c.s.Reads, l.node(), e, r.Seq); err != nil {
					return x, err
				}
			}
			if r.Seq == x.Cum+1 {
				x.Cum, x.Chain = r.Seq, message.ChainNext(x.Chain, r.ID)
			}
			if r.Seq > x.Cum || r.State != store.Applied {
				in, err := l.inOf(r)
				if err != nil {
					return x, err
				}
				x.In = append(x.In, in)
			}
		}
		if len(rows) < 1000 {
			return x, nil
		}
	}
}

// inOf makes of a kept message what Step needs.
func (l *link) inOf(r store.InMessage) (message.In, error) {
	in := message.In{Epoch: r.Epoch, Seq: r.Seq, ID: r.ID, Kind: message.Kind(r.Kind), Prec: r.Prec, Standing: message.Standing(r.State)}
	if len(r.Signed) == 0 {
		return in, nil
	}
	m, err := message.DecodeSigned(l.c.o.Realm, r.Signed)
	if err != nil {
		return in, err
	}
	in.Deps, in.Key = m.Header.Deps, m.KeyID
	return in, nil
}

// lastTold reads the newest STATE of the partner's live epoch that was kept.
func (l *link) lastTold(ctx context.Context, live message.Epoch) (*message.Told, error) {
	if live == (message.Epoch{}) {
		return nil, nil
	}
	_, signed, err := l.c.s.Evidence(ctx, l.node(), uint8(message.StateKind), live)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	st, err := message.DecodeStatement(l.c.o.Realm, signed)
	if err != nil {
		return nil, err
	}
	return toldOf(st)
}

func toldOf(st *message.Statement) (*message.Told, error) {
	s, err := message.DecodeState(st.Body)
	if err != nil {
		return nil, err
	}
	return &message.Told{Epoch: st.Context.Epoch, Counter: st.Counter, Sum: noroshi.Sum(st.Encode()), State: s}, nil
}
