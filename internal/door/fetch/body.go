package fetch

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// watch ends an exchange that takes too long or falls silent.
type watch struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	whole   *time.Timer
	quiet   *time.Timer
	silence time.Duration
	host    string
}

func (t *Transport) watch(ctx context.Context, host string) (context.Context, *watch) {
	w := &watch{silence: t.o.Silence, host: host}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	slow := noroshi.Errorf(noroshi.Busy, "feed.slow", "%s is too slow: nothing for %v, or not done in %v", host, t.o.Silence, t.o.Timeout)
	w.whole = time.AfterFunc(t.o.Timeout, func() { w.cancel(slow) })
	w.quiet = time.AfterFunc(t.o.Silence, func() { w.cancel(slow) })
	return w.ctx, w
}

func (w *watch) end() {
	w.whole.Stop()
	w.quiet.Stop()
	w.cancel(nil)
}

// explain returns the reason behind an error of the exchange, as an error with a
// code.
func (w *watch) explain(err error) error {
	var coded *noroshi.Error
	if errors.As(context.Cause(w.ctx), &coded) || errors.As(err, &coded) {
		return coded
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err // the caller's own doing
	}
	return noroshi.Errorf(noroshi.Busy, "feed.unreachable", "%s cannot be read: %w", w.host, err)
}

// body is the body of an answer, bounded in size and time.
type body struct {
	io.ReadCloser
	watch *watch
	left  int64
	large error
}

// Read reads up to the limit; what stands behind it is an error.
func (b *body) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	b.watch.quiet.Reset(b.watch.silence) // counts while the server is waited for, not while the reader thinks
	n, err := b.ReadCloser.Read(p)
	b.watch.quiet.Stop()
	if b.left -= int64(n); b.left < 0 {
		return 0, b.large
	}
	// A server that hears of the end of a slow exchange before the connection is
	// gone may end its answer properly: what came so is no whole answer.
	if err != nil && (err != io.EOF || b.watch.ctx.Err() != nil) {
		err = b.watch.explain(cmp.Or(b.watch.ctx.Err(), err))
	}
	return n, err
}

// Close ends the exchange.
func (b *body) Close() error {
	b.watch.end()
	return b.ReadCloser.Close()
}
