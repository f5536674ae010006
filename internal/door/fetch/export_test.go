package fetch

import (
	"context"
	"io"
)

// MayReach is the rule for addresses.
var MayReach = mayReach

// ReadOfSlow reads an answer whose exchange was ended for being slow, out of a
// connection that then yields r.
func (t *Transport) ReadOfSlow(r io.Reader) error {
	_, w := t.watch(context.Background(), "slow.example")
	w.whole.Reset(0)
	<-w.ctx.Done()
	_, err := io.ReadAll(&body{ReadCloser: io.NopCloser(r), watch: w, left: t.o.MaxBody, large: io.ErrShortBuffer})
	return err
}
