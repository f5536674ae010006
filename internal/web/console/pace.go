package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Whoever connects holds a part of the node as long as they like, unless they must
// send and take at some pace. A request's body may keep the node waiting for
// bodyWaits, and one second more for each bodyPace bytes that came: what the node
// does between two reads does not count. Each piece of an answer is taken within
// pieceWaits; between pieces an answer may pause, as the stream of events does.
const (
	bodyWaits  = 30 * time.Second
	bodyPace   = 2 << 10 // bytes a second
	pieceWaits = time.Minute
	slowLeaves = 2 * time.Second // whoever was too slow is listened to for so long after the answer, or it is lost with the connection
)

// paced holds every visitor to that.
func paced(next http.Handler) http.Handler { return pacedWithin(next, bodyWaits) }

func pacedWithin(next http.Handler, waits time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.SetWriteDeadline(time.Time{}) // of the answer before, on the same connection
		var body *pacedBody
		if r.Body != nil && r.Body != http.NoBody {
			_ = rc.SetReadDeadline(time.Now().Add(waits)) // also of what nobody reads: the server skips it before it answers
			body = &pacedBody{ReadCloser: r.Body, deadline: rc.SetReadDeadline, left: waits}
			ctx, done := body.outlives(r.Context())
			defer done()
			r = r.WithContext(ctx)
			r.Body = body
		}
		next.ServeHTTP(&pacedWriter{w, rc}, r)
		_ = rc.SetWriteDeadline(time.Now().Add(pieceWaits)) // for what is buffered still
		if body != nil && body.tooSlow() && r.ProtoMajor == 1 {
			_ = rc.Flush()
			_ = rc.SetReadDeadline(time.Now().Add(slowLeaves))
			_, _ = io.Copy(io.Discard, body.ReadCloser)
		}
	})
}

// pacedBody is a body that must come at a pace.
type pacedBody struct {
	io.ReadCloser
	deadline func(time.Time) error
	left     time.Duration // that it may still keep us waiting
	cancel   context.CancelFunc

	mu      sync.Mutex
	reading bool
	slow    bool // a read took too long
	ended   bool // the connection, or so the server says
}

// outlives is the request's context, but one that is not ended by a read that took
// too long: over HTTP/1.1 the server takes that for the end of the connection, and
// nobody would be told.
func (b *pacedBody) outlives(request context.Context) (ctx context.Context, done func()) {
	ctx, b.cancel = context.WithCancel(context.WithoutCancel(request))
	stop := context.AfterFunc(request, func() { b.state(func() { b.ended = true }) })
	return ctx, func() { stop(); b.cancel() }
}

func (b *pacedBody) Read(p []byte) (n int, err error) {
	b.state(func() { b.reading = true })
	began := time.Now()
	_ = b.deadline(began.Add(b.left))
	n, err = b.ReadCloser.Read(p)
	b.left += time.Duration(n)*time.Second/bodyPace - time.Since(began)
	slow := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case slow: // the deadline stays: the server does not wait for the rest either
		err = noroshi.Errorf(noroshi.Invalid, "console.slow", "what was sent came at less than %d KiB a second", bodyPace>>10)
	case err != nil: // it is read, and the connection may be quiet
		_ = b.deadline(time.Time{})
	}
	b.state(func() { b.reading, b.slow = false, b.slow || slow })
	return n, err
}

// state changes what is known of the connection, and ends the context where it
// has ended by itself.
func (b *pacedBody) state(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if change(); b.ended && !b.reading && !b.slow {
		b.cancel()
	}
}

// tooSlow reports whether a read took too long.
func (b *pacedBody) tooSlow() (slow bool) {
	b.state(func() { slow = b.slow })
	return slow
}

// pacedWriter is an answer that must be taken piece by piece.
type pacedWriter struct {
	http.ResponseWriter
	rc *http.ResponseController
}

func (w *pacedWriter) Write(p []byte) (int, error) {
	_ = w.rc.SetWriteDeadline(time.Now().Add(pieceWaits))
	n, err := w.ResponseWriter.Write(p)
	if err == nil {
		_ = w.rc.SetWriteDeadline(time.Time{})
	}
	return n, err
}

// Flush is FlushError for who cannot be told of an error: what packs answers
// hands a flush on to nothing else.
func (w *pacedWriter) Flush() { _ = w.FlushError() }

var _ http.Flusher = (*pacedWriter)(nil)

// FlushError sends what is buffered.
func (w *pacedWriter) FlushError() error {
	_ = w.rc.SetWriteDeadline(time.Now().Add(pieceWaits))
	err := w.rc.Flush()
	if err == nil {
		_ = w.rc.SetWriteDeadline(time.Time{})
	}
	return err
}

// Unwrap is for http.ResponseController.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
