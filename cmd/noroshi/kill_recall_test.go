package main

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestKilledInARecall: objects are recalled while they are being sent and both
// nodes are killed at any moment. In the end every recall is answered, nothing
// recalled is in use anywhere, everything else is, and the records are intact.
func TestKilledInARecall(t *testing.T) {
	t.Parallel()
	kills, lists, size := tier.N(10, 60), 10, 40
	usa, jpn, storm := allied(t, uint64(time.Now().UnixNano()), kills)
	var recalled []stix.ID
	for i := range lists {
		storm.until(t, i*kills/lists)
		if err := usa.take("list", listOf("usa-01", i*size, (i+1)*size), nil); err != nil {
			t.Fatal(err)
		}
		var rows []web.ListedObject
		usa.must("object.list", web.ListRef{Type: "indicator", Limit: 1000}, &rows)
		for _, r := range rows[len(rows)-size:][:4] {
			usa.recall(r.ID)
			recalled = append(recalled, r.ID)
		}
	}
	storm.until(t, kills)
	storm.end()
	if t.Failed() {
		return
	}
	calm(t, usa, jpn)
	err := crew.Until(t.Context(), crew.Patience, "every answer", func() (bool, error) {
		var s web.Status
		err := usa.call(t.Context(), "status", nil, &s)
		return s.Recalls == 0, err
	})
	if err != nil {
		t.Fatal(err)
	}
	calm(t, usa, jpn)
	for _, s := range []*site{usa, jpn} {
		var a web.ArmedState
		s.must("indicator.armed", web.ArmedRef{}, &a)
		if want := lists*size - len(recalled); a.Indicators != want {
			t.Errorf("%s: %d indicators armed, want %d", s.Sign, a.Indicators, want)
		}
		var rows []web.ListedObject
		s.must("object.list", web.ListRef{Type: "indicator", Limit: 1000}, &rows)
		for _, r := range rows {
			if r.Withdrawn != slices.Contains(recalled, r.ID) {
				t.Errorf("%s: %s is withdrawn: %v", s.Sign, r.ID, r.Withdrawn)
			}
		}
		var v web.Audited
		s.must("audit.verify", nil, &v)
		for _, f := range v.Faults {
			t.Errorf("%s: audit: %s at %d in %s: %s", s.Sign, f.Code, f.Index, f.Table, f.Msg)
		}
	}
	var rows []web.RecallRow
	usa.must("recall.list", web.RecallListRef{All: true}, &rows)
	states, _ := json.Marshal(map[string]int{"told or withheld": len(rows)})
	t.Logf("%d recalled, %s", len(recalled), states)
	for _, r := range rows {
		if r.State != "confirmed" && r.State != "not-left" || r.InUse != 0 {
			t.Errorf("recall %+v", r)
		}
	}
}

// recall orders one until it is done: a node that dies under it is asked again.
func (s *site) recall(id stix.ID) {
	s.t.Helper()
	var plan web.RecallPlanned
	s.must("recall.plan", courier.RecallOrder{Object: id, Reason: message.RecallSpill, Scope: message.RecallStopUse}, &plan)
	by, err := s.Signed(s.t.Context(), "duty", noroshi.ActRecall, string(id), plan.Bound)
	if err != nil {
		s.t.Fatal(err)
	}
	s.must("recall.send", web.RecallSend{Order: plan.Order, By: by}, nil)
}
