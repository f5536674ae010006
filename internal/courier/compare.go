package courier

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Comparison is what two sides hold of each other's streams.
type Comparison struct {
	Partner     noroshi.NodeID   `json:"partner"`
	CallSign    noroshi.CallSign `json:"call_sign"`
	At          time.Time        `json:"at"`
	Equal       bool             `json:"equal"`
	Epochs      []ComparedEpoch  `json:"epochs"`
	Differences []Difference     `json:"differences"`
	More        bool             `json:"more,omitempty"` // more differences than are listed
}

// ComparedEpoch is one epoch of a stream.
type ComparedEpoch struct {
	Stream string `json:"stream"` // "sent", "came"
	Epoch  string `json:"epoch"`
	Head   uint64 `json:"head"` // sequences compared: 1 to it
	Root   string `json:"root"` // of this side
	Equal  bool   `json:"equal"`
}

// Difference is a sequence, or a run of them, of which the two sides do not hold
// the same.
type Difference struct {
	Stream string       `json:"stream"`
	Epoch  string       `json:"epoch"`
	Seq    uint64       `json:"seq"`
	What   string       `json:"what"` // see the constants
	ID     noroshi.Hash `json:"id,omitzero"`
}

// What a difference is.
const (
	MissingThere = "missing-there"
	MissingHere  = "missing-here"
	SecondID     = "second-id" // each holds another message
	WithheldHere = "withheld"  // it did not go and will not; the partner has not heard so yet
	ExpiredHere  = "expired"   // likewise
)

// Bounds of a comparison.
const (
	maxCompared    = 16      // epochs of a stream, the newest
	maxDifferences = 1000    // listed
	maxSpan        = 1 << 21 // sequences one HOLDINGS is about
	splits         = 16      // a run whose roots differ is cut into so many
	maxAsked       = 128     // runs of one question
	answerWait     = time.Second
	answerLongest  = 8 * time.Second // a question waits twice as long each time it is asked again, up to this

	lookUnit  = 1 << 16 // sequences that are looked through for a partner count in these:
	lookBurst = 256     // so many at once, ten comparisons of a million,
	lookToken = time.Second / 4
)

// Streams of a comparison.
const (
	streamSent = "sent"
	streamCame = "came"
)

// Compare compares with the partner, epoch by epoch and by halves, what each side
// holds of the other's stream, until roots are equal or every difference is
// found; on record, with the partner's signed answers. Queued when it does not
// answer before ctx ends.
func (c *Courier) Compare(ctx context.Context, partner noroshi.NodeID) (Comparison, error) {
	l, err := c.link(partner)
	if err != nil {
		return Comparison{}, err
	}
	l.comparing.Lock() // one at a time
	defer l.comparing.Unlock()
	x := comparing{l: l, out: Comparison{Partner: partner, CallSign: l.view.Load().partner.Organisation.CallSign, At: c.o.Now().UTC(),
		Epochs: []ComparedEpoch{}, Differences: []Difference{}}}
	l.mu.Lock()
	mine, theirs, told, ready := slices.Clone(l.memo.Mine), slices.Clone(l.memo.Theirs), l.told, l.side.Confirmed()
	l.mu.Unlock()
	if !ready || told == nil {
		return x.out, noroshi.Errorf(noroshi.Queued, "courier.no-answer", "%s did not answer in time (%s)", x.out.CallSign, "")
	}
	st, err := message.DecodeState(told.Body)
	if err != nil {
		return x.out, err
	}
	for _, e := range newest(mine) {
		if err := x.epoch(ctx, streamSent, message.Epoch(e), heldOf(st, message.Epoch(e))); err != nil {
			return x.out, err
		}
	}
	for _, e := range newest(theirs) {
		head := uint64(0)
		if told.Context.Epoch == message.Epoch(e) {
			head = st.Out.Head
		}
		if err := x.epoch(ctx, streamCame, message.Epoch(e), head); err != nil {
			return x.out, err
		}
	}
	x.out.Equal = len(x.out.Differences) == 0
	return x.out, x.record(ctx)
}

func newest(list []epochID) []epochID { return list[max(0, len(list)-maxCompared):] }

// heldOf returns the highest sequence the partner says it holds of an epoch.
func heldOf(st message.State, e message.Epoch) (top uint64) {
	for _, in := range st.In {
		if in.Epoch == e {
			top = in.Cum
			for _, r := range in.Ranges {
				top = max(top, r.B)
			}
		}
	}
	return top
}

// comparing is one comparison under way.
type comparing struct {
	l       *link
	out     Comparison
	answers []*message.Statement
}

// epoch compares one epoch up to its head, here or as the partner says.
func (x *comparing) epoch(ctx context.Context, stream string, e message.Epoch, head uint64) error {
	ids, err := x.l.holdings(ctx, e, message.Range{A: 1, B: maxSpan})
	if err != nil {
		return err
	}
	head = min(max(head, ids.top), maxSpan)
	if head == 0 {
		return nil
	}
	all := message.Range{A: 1, B: head}
	ce := ComparedEpoch{Stream: stream, Epoch: hex.EncodeToString(e[:]), Head: head}
	root := ids.root(e, all)
	ce.Root = hex.EncodeToString(root[:])
	before := len(x.out.Differences)
	for open := []message.Range{all}; len(open) > 0 && !x.out.More; {
		n := min(len(open), maxAsked)
		differ, err := x.ask(ctx, e, ids, open[:n])
		if err != nil {
			return err
		}
		open = open[n:]
		for _, d := range differ {
			if d.Range.A == d.Range.B {
				x.differ(stream, e, ids, d)
			} else {
				open = append(open, split(d.Range)...)
			}
		}
		slices.SortFunc(open, func(a, b message.Range) int { return int(int64(a.A) - int64(b.A)) })
	}
	ce.Equal = len(x.out.Differences) == before
	x.out.Epochs = append(x.out.Epochs, ce)
	return nil
}

// split cuts a run into at most splits runs.
func split(r message.Range) (list []message.Range) {
	step := max((r.B-r.A+splits)/splits, 1)
	for a := r.A; a <= r.B; a += step {
		list = append(list, message.Range{A: a, B: min(a+step-1, r.B)})
	}
	return list
}

// differ notes one sequence of which the sides differ; there is the partner's
// root of it.
func (x *comparing) differ(stream string, e message.Epoch, ids holdings, there message.HeldRun) {
	if len(x.out.Differences) == maxDifferences {
		x.out.More = true
		return
	}
	seq := there.Range.A
	d := Difference{Stream: stream, Epoch: hex.EncodeToString(e[:]), Seq: seq, ID: ids.id(seq), What: SecondID}
	nothing := message.HoldingsRoot(e, there.Range, func(uint64) noroshi.Hash { return noroshi.Hash{} })
	switch {
	case d.ID.IsZero():
		d.What = MissingHere
	case there.Root == nothing && ids.closed[seq] == store.Withheld:
		d.What = WithheldHere
	case there.Root == nothing && ids.closed[seq] == store.Expired:
		d.What = ExpiredHere
	case there.Root == nothing:
		d.What = MissingThere
	}
	x.out.Differences = append(x.out.Differences, d)
}

// ask asks for the partner's roots of runs and returns those that are not ours.
// A statement may be lost: it is asked again until ctx ends, less and less often, since
// by mail an answer may take minutes.
func (x *comparing) ask(ctx context.Context, e message.Epoch, ids holdings, runs []message.Range) (differ []message.HeldRun, err error) {
	q := message.Holdings{Epoch: e}
	rand.Read(q.Nonce[:])
	for _, r := range runs {
		q.Runs = append(q.Runs, message.HeldRun{Range: r, Root: ids.root(e, r)})
	}
	answer := x.l.expect(q.Nonce)
	defer x.l.expect([8]byte{})
	for patience := answerWait; ; patience = min(2*patience, answerLongest) {
		x.l.step(message.Attest{Kind: message.HoldingsKind, Body: message.EncodeHoldings(q)})
		timer := time.NewTimer(patience)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, noroshi.Errorf(noroshi.Queued, "courier.no-answer", "%s did not answer in time (%s)", x.out.CallSign, "")
		case <-timer.C:
			continue
		case st := <-answer:
			timer.Stop()
			a, err := message.DecodeHoldings(st.Body)
			if err != nil || len(a.Runs) != len(q.Runs) {
				return nil, noroshi.Errorf(noroshi.Broken, "courier.answer", "%s answers something else than it was asked", x.out.CallSign)
			}
			x.answers = append(x.answers, st)
			for i, r := range a.Runs {
				if r.Range != q.Runs[i].Range {
					return nil, noroshi.Errorf(noroshi.Broken, "courier.answer", "%s answers something else than it was asked", x.out.CallSign)
				}
				if r.Root != q.Runs[i].Root {
					differ = append(differ, r)
				}
			}
			return differ, nil
		}
	}
}

// checkChains compares after an outage what the partner says it holds of each of
// our epochs with our logs, by the chains in its STATE: that costs no byte. Where
// one differs both duty officers are told, and every difference is looked for.
func (l *link) checkChains(ctx context.Context, st message.State) error {
	for _, in := range st.In {
		l.mu.Lock()
		own := slices.Contains(l.memo.Mine, epochID(in.Epoch))
		l.mu.Unlock()
		if !own || in.Cum == 0 {
			continue
		}
		out, err := l.c.s.Out(ctx, l.node(), in.Epoch, in.Cum, 1)
		if err != nil {
			return err
		}
		if len(out) == 0 || out[0].Seq != in.Cum || [16]byte(out[0].Chain[:16]) == in.ChainCum {
			continue // the same, or of what a restore lost here
		}
		l.alarm(ctx, message.AlarmChain, in.Cum)
		l.spawn(func(ctx context.Context) {
			ctx, stop := context.WithTimeout(ctx, time.Minute)
			defer stop()
			_, err := l.c.Compare(ctx, l.node())
			l.note(quiet(ctx, err))
		})
		return nil
	}
	return nil
}

// expect returns where the answer to a question arrives; of nonce zero none does.
func (l *link) expect(nonce [8]byte) <-chan *message.Statement {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking, l.reply = nonce, make(chan *message.Statement, 1)
	return l.reply
}

// maxHoldings bounds the partner's answers kept as evidence of one comparison.
const maxHoldings = 64

// record keeps what a comparison came to, with the answers that say so.
func (x *comparing) record(ctx context.Context) error {
	act := noroshi.Act{Action: noroshi.ActCompare, Partner: x.l.node(), Subject: "equal", Count: len(x.out.Differences)}
	if !x.out.Equal {
		act.Subject = "different"
	}
	_, err := x.l.c.s.Do(ctx, act, func(tx *store.Tx) error {
		for _, st := range x.answers[:min(len(x.answers), maxHoldings)] {
			if err := tx.PutEvidence(x.l.node(), uint8(st.Kind), st.Context.Epoch, st.Counter, st.Encode()); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// holdingsArrived answers a question about holdings, or hands an answer to
// whoever asked.
func (l *link) holdingsArrived(st *message.Statement) error {
	h, err := message.DecodeHoldings(st.Body)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.Answer {
		if l.asking == h.Nonce && h.Nonce != [8]byte{} && st.Context.Epoch == l.side.Status().Live {
			select {
			case l.reply <- st:
			default: // the same again
			}
		}
		return nil
	}
	first, last := h.Runs[0].Range.A, h.Runs[len(h.Runs)-1].Range.B
	known := slices.Contains(l.memo.Mine, epochID(h.Epoch)) || slices.Contains(l.memo.Theirs, epochID(h.Epoch))
	if !known || last > maxSpan || l.answering || l.partsWait() >= maxParts {
		return nil
	}
	if units := 1 + (last-first)/lookUnit; !l.looks.take(float64(units), l.c.o.Now(), lookBurst, lookToken) {
		return nil // it asks again
	}
	l.answering = true
	l.lane(0, func(ctx context.Context) { l.note(quiet(ctx, l.answerHoldings(ctx, h))) })
	return nil
}

func (l *link) answerHoldings(ctx context.Context, h message.Holdings) error {
	defer func() {
		l.mu.Lock()
		l.answering = false
		l.mu.Unlock()
	}()
	ids, err := l.holdings(ctx, h.Epoch, message.Range{A: h.Runs[0].Range.A, B: h.Runs[len(h.Runs)-1].Range.B})
	if err != nil {
		return err
	}
	a := message.Holdings{Nonce: h.Nonce, Answer: true, Epoch: h.Epoch}
	for _, r := range h.Runs {
		a.Runs = append(a.Runs, message.HeldRun{Range: r.Range, Root: ids.root(h.Epoch, r.Range)})
	}
	l.step(message.Attest{Kind: message.HoldingsKind, Body: message.EncodeHoldings(a)})
	return nil
}

// holdings are the ids of a run of one epoch at this side.
type holdings struct {
	from   uint64
	ids    []noroshi.Hash
	closed map[uint64]store.OutState // of our own: withheld or expired
	top    uint64                    // the highest there is
}

func (h *holdings) set(seq uint64, id noroshi.Hash) {
	for uint64(len(h.ids)) <= seq-h.from {
		h.ids = append(h.ids, noroshi.Hash{})
	}
	h.ids[seq-h.from], h.top = id, max(h.top, seq)
}

func (h *holdings) id(seq uint64) (id noroshi.Hash) {
	if seq >= h.from && seq-h.from < uint64(len(h.ids)) {
		id = h.ids[seq-h.from]
	}
	return id
}

func (h *holdings) root(e message.Epoch, r message.Range) [16]byte {
	return message.HoldingsRoot(e, r, h.id)
}

// holdings reads what this side has of an epoch: of its own log, or of what came.
func (l *link) holdings(ctx context.Context, e message.Epoch, r message.Range) (holdings, error) {
	h := holdings{from: r.A, closed: map[uint64]store.OutState{}}
	l.mu.Lock()
	own := slices.Contains(l.memo.Mine, epochID(e))
	l.mu.Unlock()
	if own {
		err := l.c.s.OutIDs(ctx, l.node(), e, r.A, r.B, func(seq uint64, id noroshi.Hash, state store.OutState) {
			if h.set(seq, id); state == store.Withheld || state == store.Expired {
				h.closed[seq] = state
			}
		})
		return h, err
	}
	var tombs []uint64
	err := l.c.s.InIDs(ctx, l.node(), e, r.A, r.B, func(seq uint64, id noroshi.Hash, state store.InState) {
		if h.set(seq, id); id.IsZero() {
			tombs = append(tombs, seq)
		}
	})
	for _, seq := range tombs {
		if err != nil {
			break
		}
		var id noroshi.Hash
		id, err = tombID(ctx, l.c.s.Reads, l.node(), e, seq)
		h.set(seq, id)
	}
	return h, err
}
