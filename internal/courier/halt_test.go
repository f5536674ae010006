package courier_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// endless is a narrow line that takes what is large for as long as it may.
type endless struct {
	courier.Channel
	begun, ended chan struct{}
}

func (e endless) Send(ctx context.Context, p noroshi.Partner, prec noroshi.Precedence, envelope []byte) error {
	if len(envelope) < 3_500 {
		return e.Channel.Send(ctx, p, prec, envelope)
	}
	e.begun <- struct{}{}
	<-ctx.Done()
	e.ended <- struct{}{}
	return ctx.Err()
}

// TestNothingGoesOnAlongTheLine: what a narrow line is sending is stopped when the
// agreement is suspended, as it is when what it says is recalled.
func TestNothingGoesOnAlongTheLine(t *testing.T) {
	for name, strike := range map[string]func(p *pair){
		"suspended": func(p *pair) { p.a.suspend(p.b) },
		"recalled": func(p *pair) {
			p.a.recall(p.a.running(), "indicator--0a0b0c0d-0001-4000-8000-000000000000", message.RecallStopUse)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPairUnder(t, 91, 0, 0, func(file string) string {
				return strings.Replace(file, `channels = ["https"]`, `channels = ["line"]`, 1)
			})
			p.net.narrow = true
			e := endless{p.a.wire, make(chan struct{}, 100), make(chan struct{}, 100)}
			p.a.wire = e
			p.start()
			p.until("confirmed", 5*time.Second, p.settled)
			p.a.importLarge("large.json", 0, 1)
			p.until("it goes", 5*time.Second, func() bool { return len(e.begun) > 0 })
			strike(p)
			p.until("it goes no more", 5*time.Second, func() bool { return len(e.begun) == len(e.ended) })
		})
	}
}
