package mail_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/mail"
	"github.com/noroshi-cti/noroshi/internal/courier/mail/mailtest"
)

// handOn delivers a letter to a node.
func handOn(t *testing.T, x *inbox, letter []byte) error {
	t.Helper()
	return mailtest.Deliver(x.addr, "gateway@elsewhere.example", "noroshi@jpn.example", letter)
}

// TestSizesOfOthers: what one partner's gateway says of a letter's size is not said
// of others, and a mailbox that is full says nothing of it.
func TestSizesOfOthers(t *testing.T) {
	t.Parallel()
	g := newGateway(t, 0)
	largest, small := map[string]int{}, noroshi.Partner(kor)
	full := noroshi.Partner{Node: noroshi.NodeID{4}, Endpoints: []string{"mailto:noroshi@usa.example"}}
	reply := &smtp.SMTPError{}
	g.data = func(letter []byte) error {
		to := headers(letter)["To"]
		switch {
		case strings.Contains(to, "usa") && reply != nil:
			return reply
		case strings.Contains(to, "kor") && len(letter) > 200_000:
			return &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 2, 3}, Message: "Too large for this mailbox"}
		}
		largest[to] = max(largest[to], len(letter))
		return nil
	}
	a := open(t, func(o *mail.Options) { over(g)(o); o.MaxLetter = 1 << 20; o.Retry = time.Nanosecond })
	for _, reply = range []*smtp.SMTPError{{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 2, 2}, Message: "Mailbox full"}, nil} {
		for _, p := range []noroshi.Partner{small, jpn, full} {
			err := a.Send(t.Context(), p, noroshi.Routine, envelope(600_000))
			for n := 0; noroshi.KindOf(err) == noroshi.Busy && n < 10; n++ {
				err = a.Send(t.Context(), p, noroshi.Flash, envelope(600_000))
			}
			if refused := reply != nil && p.Node == full.Node; err != nil != refused || refused && noroshi.KindOf(err) != noroshi.Refused {
				t.Errorf("to %s: %v", p.Endpoints[0], err)
			}
		}
	}
	for to, n := range largest {
		if strings.Contains(to, "kor") != (n <= 200_000) {
			t.Errorf("the largest letter to %s has %d bytes", to, n)
		}
	}
	if len(largest) != 3 {
		t.Errorf("letters went to %v", largest)
	}
}

// TestPartsInAnyOrder: parts that come twice, in any order and with a "come again
// later" at the last make one envelope; one that was changed makes none.
func TestPartsInAnyOrder(t *testing.T) {
	t.Parallel()
	g := newGateway(t, 100_000)
	a := open(t, over(g))
	want := envelope(300_000)
	if err := a.Send(t.Context(), jpn, noroshi.Routine, want); err != nil {
		t.Fatal(err)
	}
	b := open(t, nil)
	b.hold(1)
	letters := g.letters
	for i := len(letters) - 1; i >= 0; i-- {
		for range 2 {
			err := handOn(t, b, letters[i])
			var reply *smtp.SMTPError
			if i > 0 && err != nil || err != nil && (!errors.As(err, &reply) || reply.Code != 451) {
				t.Fatalf("letter %d: %v", i, err)
			}
		}
	}
	if got := b.all(); len(got) != 1 || !bytes.Equal(got[0], want) {
		t.Fatalf("%d envelopes", len(got))
	}
	forged := open(t, func(o *mail.Options) {
		o.Check = func([]byte) (noroshi.NodeID, bool) { return noroshi.NodeID{}, false }
	})
	for _, l := range letters {
		if err := handOn(t, forged, l); err != nil {
			t.Error(err)
		}
	}
	if c := forged.Counts(); len(forged.all()) > 0 || c.Dropped != int64(len(letters)) {
		t.Errorf("without a key: %d envelopes, %+v", len(forged.all()), c)
	}
}
