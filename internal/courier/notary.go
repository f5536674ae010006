package courier

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/audit"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Times of checkpoints, as parts of Options.Checkpoint.
const (
	gapParts    = 60 // at least so much lies between two, FLASH or not
	steadyTries = 4  // a head is said so often at the pace of heads,
	maxPatience = 6  // then its wait for a cosignature doubles so often
	maxAnswers  = 8  // answers in one turn to what is not new
)

// notary is the state of a link's checkpoints. mu is taken before the link's.
type notary struct {
	mu     sync.Mutex
	issued audit.Issued
	held   uint64    // size of our ledger the partner countersigned last, as far as it says
	said   time.Time // when the last CHECKPOINT went
	tries  int       // since it was issued
	flash  atomic.Bool
	wake   chan struct{}

	kept      time.Time // when a head of the partner's was kept last
	elsewhere elsewhere
	answered  int       // COSIGNs for nothing new,
	window    time.Time // since then

	came sync.Map // message.Kind to the latest *message.Statement of it that waits
}

// Proofs that begin elsewhere than the partner was told, before its ledger counts as
// rewritten. Of so many answers all are lost once in a million, where half of all is
// lost. One is lost when the partner has heard what was said behind it: until then it
// may be under way. One that dies as it takes the answer in does not know of it when it
// is started again, so those of one run count by themselves; who is started again
// without end, or never says what it has heard, and keeps nothing for a day is not
// believed either.
const (
	maxElsewhere = 20
	elsewhereFor = 24 * time.Hour
)

// elsewhere counts them, in a row.
type elsewhere struct {
	run       [8]byte // of the partner, which the last was of
	inRun, of int     // in it, whose answer was lost, and of all runs
	since     time.Time
	told      message.Citation // where our first answer stands since the last that counted
}

// again counts one more, and reports whether it is one too many; cited is of ours what
// the partner says it has heard last.
func (e *elsewhere) again(run [8]byte, cited message.Citation, now time.Time) bool {
	if e.of == 0 {
		e.since = now
	}
	if e.run != run {
		e.run, e.inRun, e.told = run, 0, message.Citation{}
	}
	heard := e.told != (message.Citation{}) && cited.Epoch == e.told.Epoch && cited.Counter >= e.told.Counter
	if e.inRun == 0 || heard {
		e.inRun++
		e.told = message.Citation{}
	}
	e.of++
	return e.inRun >= maxElsewhere || e.of >= maxElsewhere && now.Sub(e.since) >= elsewhereFor
}

// answered notes where the answer to the last stands.
func (e *elsewhere) answered(at message.Citation) {
	if e.told.Epoch != at.Epoch {
		e.told = at
	}
}

// names are those of the two ledgers of the link.
func (l *link) names() audit.Names {
	return audit.Names{Realm: l.c.o.Realm, Node: l.c.o.Node, Partner: l.node()}
}

// readNotary takes up the checkpoints where they were left.
func (l *link) readNotary(ctx context.Context) (err error) {
	n := &l.notary
	if n.issued, err = audit.LastIssued(ctx, l.c.s.Reads, l.node()); err != nil {
		return err
	}
	n.held, err = audit.LastCosigned(ctx, l.c.s.Reads, l.c.o.Realm, l.node())
	return err
}

// attestSoon asks for a checkpoint without waiting for the next turn: a FLASH
// has joined the stream.
func (l *link) attestSoon() {
	l.notary.flash.Store(true)
	signal(l.notary.wake)
}

// attester issues the heads of the link's ledger.
func (l *link) attester(ctx context.Context) {
	look := min(l.c.o.Heartbeat, l.c.o.Checkpoint)
	for {
		wait := look
		if l.notary.flash.Load() {
			wait = l.c.o.Checkpoint / gapParts
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-l.notary.wake:
			timer.Stop()
		case <-timer.C:
		}
		for _, do := range []func(context.Context) error{l.takeCosign, l.takeCheckpoint, l.attest} {
			if err := do(ctx); err != nil {
				l.note(quiet(ctx, err))
			}
		}
	}
}

// wait leaves a statement about the ledgers to the attester, in the place of an
// older one that still waits: however many come, one is at hand.
func (n *notary) wait(st *message.Statement) {
	n.came.Store(st.Kind, st)
	signal(n.wake)
}

func (n *notary) take(k message.Kind) *message.Statement {
	st, _ := n.came.LoadAndDelete(k)
	s, _ := st.(*message.Statement)
	return s
}

// attest issues a head when an act stands behind the last one and its time has
// come, and says the last one again while nobody has countersigned it. Which is
// told at what time depends on the acts of this link alone.
func (l *link) attest(ctx context.Context) error {
	n := &l.notary
	n.mu.Lock()
	defer n.mu.Unlock()
	l.mu.Lock()
	st := l.side.Status()
	l.mu.Unlock()
	if !st.Confirmed || !st.Up || st.Opening {
		return nil
	}
	now := l.c.o.Now()
	flash := n.flash.Load()
	if due(now, n.issued.At, l.c.o.Checkpoint) || flash && due(now, n.issued.At, l.c.o.Checkpoint/gapParts) {
		n.flash.Store(false)
		acted, _, err := l.c.s.LinkActed(ctx, l.node(), n.issued.Size)
		if err != nil {
			return err
		}
		if acted {
			return l.issue(ctx)
		}
	}
	if n.issued.Size > n.held && due(now, n.said, l.c.o.Checkpoint<<min(max(n.tries-steadyTries, 0), maxPatience)) {
		return l.tell(ctx)
	}
	return nil
}

// due reports whether a time has passed since a moment; a clock that was put
// back does not make it wait.
func due(now, since time.Time, wait time.Duration) bool {
	return !now.Before(since.Add(wait)) || now.Before(since)
}

// issue makes the present head durable as issued, then tells it.
func (l *link) issue(ctx context.Context) error {
	act := noroshi.Act{Action: noroshi.ActCheckpoint, Partner: l.node()}
	var x audit.Issued
	_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) (err error) {
		x, err = audit.Issue(tx, l.node())
		return err
	})
	if err != nil {
		return err
	}
	l.notary.issued, l.notary.tries = x, 0
	return l.tell(ctx)
}

// tell says the head issued last, with the proof from what the partner holds.
func (l *link) tell(ctx context.Context) error {
	n := &l.notary
	body, err := n.issued.Statement(ctx, l.c.s.Reads, l.node(), n.held)
	if err != nil {
		return err
	}
	n.said = l.c.o.Now()
	n.tries++
	l.step(message.Attest{Kind: message.CheckpointKind, Body: message.EncodeCheckpoint(body)})
	return nil
}

// takeCosign takes a COSIGN: what the partner countersigned last of our ledger.
// One of what our ledger is not says that it was rewritten here, cut or put
// back.
func (l *link) takeCosign(ctx context.Context) error {
	n := &l.notary
	st := n.take(message.CosignKind)
	if st == nil {
		return nil
	}
	body, err := message.DecodeCosign(st.Body)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return l.cosigned(ctx, st, body)
}

func (l *link) cosigned(ctx context.Context, st *message.Statement, body message.CosignBody) error {
	n := &l.notary
	c, err := audit.OpenCosign(ctx, l.c.s.Reads, l.names(), l.view.Load().keys, body)
	if err != nil {
		return err
	}
	if !c.Fits {
		return l.foreign(ctx, st, body)
	}
	before := n.held
	switch {
	case body.Size > before:
		act := noroshi.Act{Action: noroshi.ActCosign, Partner: l.node(), Subject: "checkpoint " + strconv.FormatUint(body.Size, 10)}
		if _, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error {
			return tx.PutEvidence(l.node(), uint8(st.Kind), st.Context.Epoch, st.Counter, st.Encode())
		}); err != nil {
			return err
		}
		n.held = body.Size
		if body.Size == n.issued.Size {
			n.tries = 0
			return nil
		}
	case body.Size < before && body.Size < n.issued.Size && n.tries > 0:
		n.held = body.Size // it lost what it countersigned since: the proof begins there
	default:
		return nil
	}
	return l.tell(ctx)
}

// foreign keeps a COSIGN of what our ledger is not. After a restore it is that
// of the branch that was lost; else both duty officers are told.
func (l *link) foreign(ctx context.Context, st *message.Statement, body message.CosignBody) error {
	restored, err := l.isRestored(ctx)
	if err != nil {
		return err
	}
	kind := store.ForeignCosign
	if restored {
		kind = store.LostCosign
	}
	known, err := l.knows(ctx, kind, func(old *message.Statement) bool {
		b, err := message.DecodeCosign(old.Body)
		return err == nil && b.Checkpoint == body.Checkpoint
	})
	if err != nil {
		return err
	}
	if !known && l.first("cosign."+strconv.Itoa(int(kind))) {
		act := noroshi.Act{Action: noroshi.ActCosign, Partner: l.node(), Subject: "checkpoint " + strconv.FormatUint(body.Size, 10), Precedence: noroshi.Immediate}
		if _, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error {
			return tx.PutEvidence(l.node(), kind, st.Context.Epoch, st.Counter, st.Encode())
		}); err != nil {
			return err
		}
	}
	if !restored {
		l.alarm(ctx, "own-log", body.Size)
		return nil
	}
	if l.notary.held == 0 {
		return nil
	}
	l.notary.held = 0 // what the backup says the partner holds it does not: from the beginning
	return l.tell(ctx)
}

// knows reports whether what was kept last of a kind of evidence is like this.
func (l *link) knows(ctx context.Context, kind uint8, like func(*message.Statement) bool) (bool, error) {
	rows, err := l.c.s.EvidenceOf(ctx, l.node(), kind, 0, 1)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	st, err := message.DecodeStatement(l.c.o.Realm, rows[0].Signed)
	return err == nil && like(st), err
}

// isRestored reports whether our present epoch began because this node was put
// back.
func (l *link) isRestored(ctx context.Context) (bool, error) {
	l.mu.Lock()
	e := l.side.Tail().Epoch
	l.mu.Unlock()
	out, err := l.c.s.Out(ctx, l.node(), e, 1, 1)
	if err != nil || len(out) == 0 || out[0].Seq != 1 {
		return false, err
	}
	return fromEarlier(out[0].Kind, out[0].Content), nil
}

// fromEarlier reports whether a message is an EPOCH of a node that began anew from
// an earlier state.
func fromEarlier(kind uint8, content []byte) bool {
	body, err := message.DecodeEpoch(content)
	return message.Kind(kind) == message.EpochStart && err == nil && body.Reason.FromEarlier()
}
