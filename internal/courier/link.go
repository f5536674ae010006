package courier

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Bounds of a link.
const (
	inboxBulk  = 24 // messages below FLASH, or MiB of them, between arrival and commit; the largest needs 17
	inboxFlash = 64 // FLASH and IMMEDIATE: a lane of their own
)

// link drives one link. Side is changed under mu alone; what Step asks for is
// done outside of it.
type link struct {
	c    *Courier
	view atomic.Pointer[view]

	mu           sync.Mutex
	side         message.Side
	arriving     map[arrival]arrived          // between Arrived and Kept
	told         *message.Statement           // the newest STATE that Step took
	shown        []message.Epoch              // ours that it shows
	doubt        doubt                        // whether both still hold the other's secrets
	pending      map[string]pendingMessage    // control messages not yet in the stream
	receipts     map[message.Epoch]*receipted // believed and not yet kept
	papers       map[string]*paper            // documents not yet acknowledged
	sends        []message.Send               // below FLASH, to be sealed in the next turn
	mouths       map[string]*mouth            // what is to be said, by channel; the map does not change
	halts        map[halt]func()              // ends of what is being handed over
	heard        chan struct{}                // closed and made anew at each STATE
	turns        time.Time                    // when keys come into use or go out of it next
	turning      bool                         // they do
	lastErr      noroshi.Told
	failing      map[string]noroshi.Told // by channel: why it last took nothing
	lastSwitch   string                  // the last change of path, as it is on record
	switchMinute time.Time
	switches     int                  // changes of path in it
	alarmed      map[string]time.Time // when a code was last put into the feed
	rejected     map[string]*rejected // what of the partner did not verify or read, by code

	known    atomic.Pointer[message.KeyVersion] // the KEYSET of ours that the partner's last STATE names; nil = it has said nothing yet
	released atomic.Bool                        // something was released since the puller last looked

	lostTail   asking    // for what a restore lost
	gaveBack   time.Time // when a WANT for lost messages or recalls was last answered
	giving     bool      // one is being answered
	closedAt   time.Time // when a WANT for what nobody has was last answered
	underWay   underWay
	papersIn   map[message.DocumentKind]tokens // documents of the partner that may come now
	lacked     tokens                          // KEYSETs that may go to it on a STATE that is not its newest
	unsigned   tokens                          // consents that may go to it on a STATE that is not under the agreement
	unsignedAt time.Time                       // from when, while the agreement is suspended, or to a run that has spoken under it
	spoke      underOf                         // the last run whose newest STATE was under an agreement
	looks      tokens                          // lookUnits of sequences that may be looked through for it now
	lostNow    chan struct{}

	comparing sync.Mutex // held by a comparison; taken before mu
	asking    [8]byte    // nonce of the HOLDINGS that waits for its answer
	reply     chan *message.Statement
	answering bool // a HOLDINGS of the partner is being answered
	checked   bool // since the link was last down, its first STATE was compared with our logs

	partnerRun [8]byte // of the STATE that was

	memo    memo // epochs, as kept; changed inside acts alone
	urgent  chan func(context.Context)
	bulk    chan func(context.Context)
	inUrg   room
	inBulk  room
	kick    chan struct{}
	pullNow chan struct{}
	tally   chan struct{}
	sealNow chan struct{}

	tallying sync.Mutex // held while receipts are being kept
	pulling  sync.Mutex // held while the stream is filled; taken before mu
	packing  sync.Mutex // held while a medium is packed; taken before pulling
	issuing  sync.Mutex // held while a counter is made durable; guards issued
	issued   issued     // the last that is
	tending  sync.Mutex // held while a LINK is made
	minding  sync.Mutex // held while what the link waits for is changed, kept and in memory; taken before mu
	taking   sync.Mutex // held while what came back is taken in

	notary notary
	quota  quota

	lastGood lastGood
	left     left
}

type arrival struct {
	epoch message.Epoch
	seq   uint64
	id    noroshi.Hash
}

func newLink(c *Courier, v *view) *link {
	l := &link{c: c, arriving: map[arrival]arrived{}, pending: map[string]pendingMessage{},
		receipts: map[message.Epoch]*receipted{}, papers: map[string]*paper{}, papersIn: map[message.DocumentKind]tokens{}, heard: make(chan struct{}), alarmed: map[string]time.Time{}, rejected: map[string]*rejected{}, failing: map[string]noroshi.Told{},
		urgent: make(chan func(context.Context), 4*inboxFlash), bulk: make(chan func(context.Context), 4*inboxBulk),
		inUrg: newRoom(inboxFlash), inBulk: newRoom(inboxBulk), halts: map[halt]func(){}, mouths: map[string]*mouth{}, left: left{held: map[arrival]message.In{}},
		kick: make(chan struct{}, 1), pullNow: make(chan struct{}, 1), tally: make(chan struct{}, 1), sealNow: make(chan struct{}, 1)}
	l.notary.wake = make(chan struct{}, 1)
	l.lostNow = make(chan struct{}, 1)
	l.view.Store(v)
	l.quota.max = c.o.Quota
	for _, ch := range c.o.Channels {
		l.mouths[ch.Name()] = &mouth{channel: ch, wake: make(chan struct{}, 1)}
	}
	l.doubt.heard, l.doubt.citedAt = c.o.Now(), c.o.Now()
	return l
}

func (l *link) node() noroshi.NodeID { return l.view.Load().partner.Node }

// run drives the link until ctx ends.
func (l *link) run(ctx context.Context) {
	l.reopen()
	var tasks sync.WaitGroup
	tasks.Go(func() { work(ctx, l.urgent) })
	tasks.Go(func() { work(ctx, l.bulk) })
	for _, m := range l.mouths {
		tasks.Go(func() { l.speaker(ctx, m) })
	}
	tasks.Go(func() { l.puller(ctx) })
	tasks.Go(func() { l.tallier(ctx) })
	tasks.Go(func() { l.sealer(ctx) })
	tasks.Go(func() { // a revocation that a crash came into
		l.note(quiet(ctx, errors.Join(l.doubtKeys(ctx), l.disavow(ctx))))
		l.resume(ctx)
	})
	tasks.Go(func() { l.recoverer(ctx) })
	tasks.Go(func() { l.attester(ctx) })
	l.clock(ctx)
	tasks.Wait()
}

func work(ctx context.Context, jobs <-chan func(context.Context)) {
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-jobs:
			job(ctx)
		}
	}
}

// clock ticks when Step wants it to.
func (l *link) clock(ctx context.Context) {
	l.rewire()
	for {
		l.mu.Lock()
		wait := l.side.Next().Sub(l.c.o.Now())
		if at, ok := l.nextPaper(); ok {
			wait = min(wait, at.Sub(l.c.o.Now()))
		}
		if l.turning {
			wait = min(wait, l.turns.Sub(l.c.o.Now()))
		}
		if at, ok := l.nextRejected(); ok {
			wait = min(wait, at.Sub(l.c.o.Now()))
		}
		if at := l.left.next; !at.IsZero() {
			wait = min(wait, at.Sub(l.c.o.Now()))
		}
		l.mu.Unlock()
		timer := time.NewTimer(max(wait, time.Millisecond))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-l.kick:
			timer.Stop()
			continue
		case <-timer.C:
		}
		if l.turned() {
			l.rewire()
		}
		l.step(message.Tick{})
		l.tryAgain()
		l.sendPapers()
		l.tend(ctx)
		l.tellRejected(ctx)
	}
}

// step feeds an event to Step and does what it asks for.
func (l *link) step(e message.Event) {
	l.mu.Lock()
	fx := l.advance(e)
	l.mu.Unlock()
	l.perform(fx)
}

// advance is Step under the lock. What is to be said is queued under it too:
// statements go in the order of their counters, whoever stepped.
func (l *link) advance(e message.Event) (fx []message.Effect) {
	was := l.side.Confirmed()
	l.side, fx = message.Step(l.side, e, l.c.o.Now())
	l.sayAll(fx)
	for _, x := range fx {
		if r, ok := x.(message.Receipt); ok {
			l.noteReceipt(r)
		}
	}
	if !was && l.side.Confirmed() {
		l.wakePull()
		signal(l.lostNow)
		signal(l.notary.wake)
	}
	signal(l.kick)
	return fx
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (l *link) wakePull() { signal(l.pullNow) }

// perform hands each effect to whoever does it, but for what advance has queued
// to be said. Sends of one step travel together: one act is the evidence of all
// their attempts.
func (l *link) perform(fx []message.Effect) {
	var urgent, bulk []message.Send
	for _, x := range fx {
		switch x := x.(type) {
		case message.Keep:
			l.lane(x.In.Prec, func(ctx context.Context) { l.keep(ctx, x.In, x.Apply) })
		case message.Apply:
			l.lane(0, func(ctx context.Context) { l.applyKept(ctx, x.In) })
		case message.Send:
			if x.Prec == noroshi.Flash {
				urgent = append(urgent, x)
			} else {
				bulk = append(bulk, x)
			}
		case message.Halt:
			l.stop(x)
		case message.Switched:
			l.lane(noroshi.Immediate, func(ctx context.Context) { l.switched(ctx, x) })
		case message.Receipt:
			l.linkStored(x.Epoch, x.Stored)
			signal(l.tally)
		case message.Expire:
			l.lane(0, func(ctx context.Context) { l.withhold(ctx, x.Epoch, x.Seqs, store.Expired) })
		case message.Load:
			l.lane(0, func(ctx context.Context) { l.load(ctx, x) })
		case message.Open:
			l.lane(noroshi.Flash, func(ctx context.Context) { l.open(ctx, x) })
		case message.Lives:
			l.lane(noroshi.Flash, func(ctx context.Context) { l.rememberLives(ctx, x) })
		case message.Alarm:
			l.lane(noroshi.Flash, func(ctx context.Context) { l.alarm(ctx, x.Code, x.Seq) })
		}
	}
	if len(urgent) > 0 {
		l.spawn(func(ctx context.Context) { l.turn(ctx, urgent) })
	}
	if len(bulk) > 0 {
		l.mu.Lock()
		l.sends = append(l.sends, bulk...)
		l.mu.Unlock()
		signal(l.sealNow)
	}
}

// lane queues a job. Urgent ones never wait behind bulk.
func (l *link) lane(p noroshi.Precedence, job func(context.Context)) {
	ch := l.bulk
	if p >= noroshi.Immediate {
		ch = l.urgent
	}
	select {
	case ch <- job:
	default: // the queue is full: a goroutine of its own keeps the order of nothing it need not keep
		l.spawn(job)
	}
}

// spawn runs a job that ends with the courier.
func (l *link) spawn(job func(context.Context)) {
	l.c.mu.Lock()
	ctx := l.c.ctx
	if ctx != nil && ctx.Err() == nil {
		l.c.tasks.Go(func() { job(ctx) })
	}
	l.c.mu.Unlock()
}

// alarmPause is how long an alarm of one code stands for further ones: a partner
// that misbehaves without end must not fill the ledger.
const alarmPause = time.Minute

// alarm puts a code into the feed for both duty officers to see.
func (l *link) alarm(ctx context.Context, code string, seq uint64) {
	l.c.counts.Alarms.Add(1)
	if !l.first(code) {
		return
	}
	act := noroshi.Act{Action: noroshi.ActAlarm, Subject: code, Partner: l.node(), Count: int(min(seq, 1<<31)), Precedence: noroshi.Immediate}
	_, err := l.c.s.Do(ctx, act, func(tx *store.Tx) error { return tx.Notice(store.AlarmRaised, "link."+code) })
	l.note(err)
}

// first reports whether a thing has not been told of for alarmPause, and notes
// that it is told of now.
func (l *link) first(code string) bool {
	now := l.c.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, told := l.alarmed[code]; told && now.Sub(last) < alarmPause {
		return false
	}
	if len(l.alarmed) >= maxAlarmed {
		maps.DeleteFunc(l.alarmed, func(_ string, last time.Time) bool { return now.Sub(last) >= alarmPause })
	}
	l.alarmed[code] = now
	return true
}

// maxAlarmed is how many codes are kept before those whose time is over are
// forgotten.
const maxAlarmed = 1024

// note keeps the last thing that went wrong, for people to see.
func (l *link) note(err error) {
	if err == nil || noroshi.KindOf(err) == noroshi.Busy {
		return
	}
	l.mu.Lock()
	l.lastErr = noroshi.Tell(err)
	l.mu.Unlock()
}
