package courier

import (
	"context"
	"fmt"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// paperKind is under what a paper receipt is kept as evidence. No statement has
// this number (docs/wire.md).
const paperKind = 255

// PaperReceipt is a receipt that a person reads out.
type PaperReceipt struct {
	Groups string `json:"groups"`
	Upto   uint64 `json:"upto"` // everything up to it is told
	Ranges int    `json:"ranges"`
}

// PaperReceipt writes what this node holds of a partner's stream as groups of
// digits. Too many gaps for paper are refused with the code message.paper-full.
func (c *Courier) PaperReceipt(ctx context.Context, partner noroshi.NodeID) (PaperReceipt, error) {
	l, err := c.link(partner)
	if err != nil {
		return PaperReceipt{}, err
	}
	l.packing.Lock()
	defer l.packing.Unlock()
	st, err := l.state(ctx)
	if err != nil {
		return PaperReceipt{}, err
	}
	s, err := message.DecodeState(st[0].Body)
	if err != nil {
		return PaperReceipt{}, err
	}
	l.mu.Lock()
	shown := l.side.Shown()
	l.mu.Unlock()
	i := slices.IndexFunc(s.In, func(in message.InSet) bool { return in.Epoch == shown })
	if i < 0 || s.In[i].Cum == 0 && len(s.In[i].Ranges) == 0 {
		return PaperReceipt{}, noroshi.Errorf(noroshi.NotFound, "media.nothing-came", "nothing has come from %s yet", l.callSign())
	}
	in := s.In[i]
	p := message.Paper{Counter: message.PaperCounter(c.o.Now()), Cum: in.Cum, Ranges: in.Ranges, Applied: len(in.Open) == 0}
	report, err := p.Report()
	if err != nil {
		return PaperReceipt{}, err
	}
	there, _ := l.lines()
	check, err := there.VoiceCheck(in.Epoch, report)
	if err != nil {
		return PaperReceipt{}, err
	}
	return PaperReceipt{Groups: message.WriteGroups(report, check), Upto: in.Cum, Ranges: len(in.Ranges)}, nil
}

// EnterPaper takes a paper receipt that a partner read out, from whichever
// partner it is. It moves what it tells of to stored at the partner, with the
// digits as evidence, as a STATE would. One that is older than the last entered is
// told to be; one that tells of less than the last did is alarmed: its writer may
// have been put back to an earlier state.
func (c *Courier) EnterPaper(ctx context.Context, typed string) (PaperEntered, error) {
	report, check, err := message.ReadGroups(typed)
	if err != nil {
		return PaperEntered{}, err
	}
	p, err := message.ReadReport(report)
	if err != nil {
		return PaperEntered{}, err
	}
	wrong := 0
	for _, l := range c.all() {
		epoch, group, err := l.vouches(report, check)
		if err != nil {
			return PaperEntered{}, err
		}
		if epoch == (message.Epoch{}) {
			wrong = max(wrong, group)
			continue
		}
		return l.enter(ctx, p, typed, epoch)
	}
	if wrong > 0 {
		return PaperEntered{}, noroshi.Errorf(noroshi.Invalid, "message.paper-groups", "wrong in group %s: have it read again", fmt.Sprint(wrong))
	}
	return PaperEntered{}, noroshi.Errorf(noroshi.Refused, "message.paper-check", "the last two groups do not fit the rest: have all groups read again; if they are right, the receipt is of a partner or a state this node does not know")
}

// PaperEntered says what a paper receipt told.
type PaperEntered struct {
	Partner  noroshi.CallSign `json:"partner"`
	Upto     uint64           `json:"upto"`     // everything up to it is there
	Moved    int              `json:"moved"`    // messages that had no receipt before
	Waiting  int              `json:"waiting"`  // of that epoch, still without one
	Outdated bool             `json:"outdated"` // a later one was entered before
}

// vouches finds the epoch for which the check of a report is right, or the one
// check group that alone is wrong for some.
func (l *link) vouches(report string, check uint64) (epoch message.Epoch, wrong int, err error) {
	_, here := l.lines()
	by := []message.Line{{Realm: here.Realm, From: here.From, To: here.To, Card: here.Card}}
	for _, body := range here.Links {
		by = append(by, message.Line{Realm: here.Realm, From: here.From, To: here.To, Links: []message.LinkBody{body}})
	}
	l.mu.Lock()
	mine := l.memo.Mine
	l.mu.Unlock()
	for i := len(mine) - 1; i >= max(0, len(mine)-maxPaperEpochs); i-- {
		for _, line := range by {
			want, err := line.VoiceCheck(message.Epoch(mine[i]), report)
			if err != nil {
				return epoch, 0, err
			}
			if want == check {
				return message.Epoch(mine[i]), 0, nil
			}
			if group, one := message.WrongCheck(report, check, want); one {
				wrong = group
			}
		}
	}
	return epoch, wrong, nil
}

// maxPaperEpochs bounds the epochs a receipt is tried for.
const maxPaperEpochs = 64

// enter keeps a receipt that was checked.
func (l *link) enter(ctx context.Context, p message.Paper, typed string, epoch message.Epoch) (PaperEntered, error) {
	r := PaperEntered{Partner: l.callSign(), Upto: p.Cum}
	head, err := l.head(ctx, epoch)
	if err != nil {
		return r, err
	}
	stored := append([]message.Range{{A: 1, B: p.Cum}}, p.Ranges...)
	if p.Cum == 0 {
		stored = stored[1:]
	}
	if n := len(stored); n == 0 || stored[n-1].B > head.Head {
		return r, noroshi.Errorf(noroshi.Refused, "message.paper-ahead", "%s tells of message %s, and this node has sent %s: it may have been put back to an earlier state; let the nodes talk before anything else is sent",
			l.callSign(), fmt.Sprint(top(stored)), fmt.Sprint(head.Head))
	}
	shrank, err := l.compare(ctx, p, epoch, &r)
	if err != nil {
		return r, err
	}
	before, err := l.lacking(ctx, epoch)
	if err != nil {
		return r, err
	}
	act := noroshi.Act{Action: noroshi.ActReceipt, Subject: epochText(epoch), Partner: l.node()}
	_, err = l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		if err := tx.PutEvidence(l.node(), paperKind, epoch, p.Counter, []byte(typed)); err != nil {
			return err
		}
		if err := tx.SetOutState(l.node(), epoch, expand(stored), store.StoredThere, "paper"); err != nil {
			return err
		}
		return tx.Notice(store.StreamChanged, l.node().String())
	})
	if err != nil {
		return r, err
	}
	if shrank {
		l.alarm(ctx, message.AlarmShrank, p.Cum)
	}
	l.linkStored(epoch, stored)
	l.step(message.Vouched{Epoch: epoch, Stored: stored})
	r.Waiting, err = l.lacking(ctx, epoch)
	r.Moved = before - r.Waiting
	return r, err
}

// compare holds a receipt against the last one that was entered for its epoch.
func (l *link) compare(ctx context.Context, p message.Paper, epoch message.Epoch, r *PaperEntered) (shrank bool, err error) {
	counter, typed, err := l.c.s.Evidence(ctx, l.node(), paperKind, epoch)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	report, _, err := message.ReadGroups(string(typed))
	if err != nil {
		return false, err
	}
	last, err := message.ReadReport(report)
	r.Outdated = counter > p.Counter
	return !r.Outdated && !p.Tells(last), err
}

func top(list []message.Range) uint64 {
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1].B
}

// lacking counts the messages of one of our epochs without a receipt.
func (l *link) lacking(ctx context.Context, e message.Epoch) (int, error) {
	n := 0
	err := l.c.s.EachUnreceipted(ctx, l.node(), e, func(store.OutMessage) error { n++; return nil })
	return n, err
}
