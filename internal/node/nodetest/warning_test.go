package nodetest_test

import (
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// warn has the duty officer warn of an indicator imported just for it.
func warn(t *testing.T, p *nodetest.Party, audience ...string) (stix.ID, error) {
	t.Helper()
	p.Import("warn.txt", "tlp:green", strings.NewReader("warned-of.example\n"))
	recs, err := p.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 1})
	if err != nil || len(recs) != 1 {
		t.Fatalf("%d indicators: %v", len(recs), err)
	}
	d := watch.Draft{ID: stix.NewID("report"), TitleEN: "title", TitleJA: "表題", TextEN: "text", TextJA: "本文", Severity: noroshi.High,
		Precedence: noroshi.Immediate, Action: "check", Refs: []stix.ID{recs[0].Object.ID}, Marking: "tlp:green", Audience: audience}
	by, err := p.Signed(t.Context(), "duty", noroshi.ActWarn, string(d.ID), d.Bound())
	if err != nil {
		t.Fatal(err)
	}
	err = p.Do(t.Context(), "warning.new", web.NewWarning{Draft: d, By: by}, nil)
	p.Settle()
	return d.ID, err
}

// TestWhoHasRead: who sent a warning sees in what role it was read, and no name.
func TestWhoHasRead(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	id, err := warn(t, usa)
	if err != nil {
		t.Fatal(err)
	}
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	show := func(p *nodetest.Party) (d watch.Detail) {
		t.Helper()
		p.Must("warning.show", web.ObjectRef{ID: id}, &d)
		return d
	}
	usa.Until("delivered", func() (bool, error) {
		d := show(usa).Deliveries
		return len(d) == 1 && d[0].State == "applied" && d[0].Reader == "", nil
	})
	by, err := jpn.Signed(t.Context(), "duty", noroshi.ActAck, string(id), show(jpn).Hash)
	if err != nil {
		t.Fatal(err)
	}
	jpn.Must("warning.ack", web.SignedRef{Subject: string(id), By: by}, nil)
	usa.Until("read", func() (bool, error) { return show(usa).Deliveries[0].State == "read", nil })
	if d := show(usa).Deliveries[0]; d.Reader != noroshi.Duty || d.CallSign != jpn.Sign {
		t.Errorf("read by %+v, want a duty officer of %s", d, jpn.Sign)
	}
	if d := show(jpn); len(d.Acks) != 1 || d.Acks[0].Person != "duty" {
		t.Errorf("at home %+v, want the person", d.Acks)
	}
}

// TestReceiptsThatAreLate: what has no receipt by the agreement's clock, or got
// it after, is shown as late.
func TestReceiptsThatAreLate(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	link := func() courier.LinkStatus {
		t.Helper()
		var rows []courier.LinkStatus
		usa.Must("link.list", nil, &rows)
		if len(rows) != 1 {
			t.Fatalf("%d links", len(rows))
		}
		return rows[0]
	}
	delivery := func(id stix.ID) (one watch.Delivery) {
		t.Helper()
		var d watch.Detail
		usa.Must("warning.show", web.ObjectRef{ID: id}, &d)
		if len(d.Deliveries) == 1 {
			one = d.Deliveries[0]
		}
		return one
	}
	early, err := warn(t, usa)
	if err != nil {
		t.Fatal(err)
	}
	usa.Until("delivered", func() (bool, error) { return delivery(early).State == "applied", nil })
	if delivery(early).Late || link().Late != 0 {
		t.Errorf("late within the hour: %+v, link %+v", delivery(early), link())
	}
	var text string
	usa.Must("agreement.draft", web.DraftRef{With: jpn.Sign}, &text)
	text = regexp.MustCompile(`receipt = ".*"`).ReplaceAllString(text, `receipt = "1ns"`)
	if _, err := crew.Sign(t.Context(), &usa.Crew, &jpn.Crew, []byte(text)); err != nil {
		t.Fatal(err)
	}
	if !delivery(early).Late {
		t.Errorf("not late after a nanosecond: %+v", delivery(early))
	}
	usa.Until("all receipts are kept", func() (bool, error) { return link().Late == 0, nil })
	jpn.Stop()
	shown, over := make(chan struct{}), make(chan struct{})
	go func() { // what is late stays late while what was released becomes a message
		defer close(shown)
		for was := 0; ; {
			rows, err := usa.Node.Courier.Links(t.Context())
			if err != nil || len(rows) != 1 {
				t.Errorf("%d links: %v", len(rows), err)
				return
			}
			if rows[0].Late < was {
				t.Errorf("was late with %d: %+v", was, rows[0])
			}
			was = rows[0].Late
			select {
			case <-over:
				return
			default:
			}
		}
	}()
	watched := sync.OnceFunc(func() { close(over); <-shown })
	defer watched()
	waits, err := warn(t, usa)
	if err != nil {
		t.Fatal(err)
	}
	if d, l := delivery(waits), link(); !d.Late || l.Late == 0 {
		t.Errorf("without a receipt: %+v, link %+v", d, l)
	}
	watched()
	jpn.Start()
	usa.Until("delivered", func() (bool, error) { return delivery(waits).State == "applied" && link().Late == 0, nil })
	if !delivery(waits).Late {
		t.Error("a late receipt made it early")
	}
}
