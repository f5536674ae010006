package web

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// longestCheck bounds one verification of the record.
const longestCheck = time.Hour

// Checker verifies the record in the background: once at a time, for whoever
// asks. What it found last it keeps in memory alone, so that a node that was
// started anew says that nobody has verified its record since.
type Checker struct {
	now  func() time.Time
	ctx  context.Context // ends with Close
	stop context.CancelFunc
	gone sync.WaitGroup

	mu     sync.Mutex
	cancel context.CancelFunc // of the verification that runs, nil when none does
	state  Checking
}

// Checking says how far a verification is, and what the last one found.
type Checking struct {
	Running bool      `json:"running"`
	Began   time.Time `json:"began,omitzero"` // of the one that runs
	Done    uint64    `json:"done"`
	Total   uint64    `json:"total"`
	Last    *Checked  `json:"last,omitempty"` // nil when none has ended since the node was started
}

// Checked is a verification that ended.
type Checked struct {
	Audited
	At      time.Time     `json:"at"`
	Stopped bool          `json:"stopped,omitempty"` // a person stopped it: it found nothing
	Error   *noroshi.Told `json:"error,omitempty"`   // why it could not be carried out
}

// Good reports whether the whole record was verified and nothing is wrong with it.
func (c *Checked) Good() bool { return c.Error == nil && !c.Stopped && len(c.Faults) == 0 }

// NewChecker returns the checker of a node. Close must be called before the
// store is closed.
func NewChecker(now func() time.Time) *Checker {
	c := &Checker{now: now}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Close stops what runs and waits for it.
func (c *Checker) Close() {
	c.stop()
	c.gone.Wait()
}

// begin verifies, unless somebody does already.
func (c *Checker) begin(verify func(ctx context.Context, progress func(done, total uint64)) (Audited, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil || c.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, longestCheck)
	c.cancel, c.state = cancel, Checking{Running: true, Began: c.now().UTC(), Last: c.state.Last}
	c.gone.Go(func() {
		defer cancel()
		found, err := verify(ctx, c.progress)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cancel, c.state = nil, Checking{Last: c.checked(found, err, errors.Is(ctx.Err(), context.Canceled))}
	})
}

func (c *Checker) progress(done, total uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Done, c.state.Total = done, total
}

// note keeps what a verification found that ran elsewhere.
func (c *Checker) note(found Audited) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Last = c.checked(found, nil, false)
}

func (c *Checker) checked(found Audited, err error, stopped bool) *Checked {
	last := &Checked{Audited: found, At: c.now().UTC(), Stopped: stopped && err != nil}
	if err != nil && !last.Stopped {
		told := noroshi.Tell(err)
		last.Error = &told
	}
	return last
}

// end stops the verification that runs, if one does.
func (c *Checker) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
}

func (c *Checker) checking() Checking {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// auditBegin begins to verify the record, with the files of third witnesses, and
// says how far it is; where it is being verified already, only that.
func auditBegin(ctx context.Context, c *Call) (any, error) {
	var in VerifyRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if err := c.witnesses(ctx, in, &Audited{}); err != nil {
		return nil, err
	}
	c.Checker.begin(func(ctx context.Context, progress func(done, total uint64)) (Audited, error) {
		found, err := c.audited(ctx, progress)
		if err == nil {
			err = c.witnesses(ctx, in, &found)
		}
		return found, err
	})
	return c.Checker.checking(), nil
}

func auditState(_ context.Context, c *Call) (any, error) { return c.Checker.checking(), nil }

func auditEnd(_ context.Context, c *Call) (any, error) {
	c.Checker.end()
	return c.Checker.checking(), nil
}
