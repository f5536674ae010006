package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// sensor is the demo's source of telemetry at JPN-01; its name never leaves.
const sensor = "demo-zeek"

// matched is what noroshi match --record -o json prints.
type matched struct {
	Report   detect.Report   `json:"report"`
	Seconds  float64         `json:"seconds"`
	Handed   time.Time       `json:"handed"`
	Recorded *watch.Observed `json:"recorded"`
}

// replay matches real Zeek logs at JPN-01, records the hits, and waits until
// the sightings are back at USA-01.
func (s *show) replay(ctx context.Context) error {
	follow, stop := context.WithCancel(ctx)
	defer stop()
	at := &arrivals{first: map[stix.ID]time.Time{}}
	for _, p := range []*party{s.usa, s.jpn} {
		started, err := p.follow(follow, func(l web.FeedLine) { at.note(p.Sign, l) })
		if err != nil {
			return err
		}
		<-started
	}
	var seconds float64
	var warnings, sightings []stix.ID
	var handed time.Time
	for _, log := range []string{"dns.json.gz", "ssl.json.gz"} {
		path, err := s.telemetry(log)
		if err != nil {
			return err
		}
		out, err := s.jpn.output(ctx, "match", path, "--record", "--sensor", sensor, "-o", "json", "-q")
		if err != nil {
			return err
		}
		var m matched
		if err := json.Unmarshal(out, &m); err != nil {
			return err
		}
		if handed.IsZero() {
			handed = m.Handed
		}
		seconds += m.Seconds
		s.f.Events += m.Report.Events
		s.f.Hits += m.Report.Hits
		s.f.Strong += m.Report.Strong
		s.f.Weak += m.Report.Weak
		warnings = append(warnings, m.Recorded.Warnings...)
		sightings = append(sightings, m.Recorded.Sightings...)
		if len(warnings) > 0 && s.f.HitToWarningMS == 0 {
			if err := s.firstWarning(ctx, at, m.Recorded.Warnings, m.Handed); err != nil {
				return err
			}
		}
	}
	if err := s.jpn.call(ctx, "hits.finish", web.HitsRef{Sensor: sensor}, nil); err != nil {
		return err
	}
	s.f.EventsPerSecond = float64(s.f.Events) / seconds
	s.f.Warnings, s.f.Sightings = len(warnings), len(sightings)
	var explained []watch.Explained
	if err := s.jpn.call(ctx, "hits.explained", nil, &explained); err != nil {
		return err
	}
	for _, e := range explained {
		s.f.Explained += int64(e.Count)
	}
	s.said("replayed", s.f.Events, s.f.Hits, s.f.Strong, s.f.Weak, int64(s.f.EventsPerSecond))
	s.said("warned", s.f.Warnings, fmt.Sprintf("%.1f", s.f.HitToWarningMS))
	s.said("explained", s.f.Explained)
	if err := s.sightingsBack(ctx, at, sightings, handed); err != nil {
		return err
	}
	s.said("back", s.f.Sightings, fmt.Sprintf("%.1f", s.f.HitToOriginatorMS))
	if err := s.where(ctx, sightings[0]); err != nil {
		return err
	}
	return s.tell(ctx)
}

// arrivals notes when an object's first change was seen in each feed.
type arrivals struct {
	mu    sync.Mutex
	first map[stix.ID]time.Time // "CALLSIGN " + id
}

func (a *arrivals) note(who noroshi.CallSign, l web.FeedLine) {
	if l.Kind != store.ObjectChanged {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	key := stix.ID(string(who) + " " + l.ID)
	if _, ok := a.first[key]; !ok {
		a.first[key] = time.Now()
	}
}

// when returns the first time one of the objects was seen at a party.
func (a *arrivals) when(who noroshi.CallSign, ids []stix.ID) (t time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		if at, ok := a.first[stix.ID(string(who)+" "+string(id))]; ok && (t.IsZero() || at.Before(t)) {
			t = at
		}
	}
	return t
}

func (s *show) firstWarning(ctx context.Context, at *arrivals, ids []stix.ID, handed time.Time) error {
	return crew.Until(ctx, 20*time.Second, "warning in the feed", func() (bool, error) {
		t := at.when(s.jpn.Sign, ids)
		if t.IsZero() {
			return false, nil
		}
		s.f.HitToWarningMS = ms(t.Sub(handed))
		return true, nil
	})
}

// sightingsBack waits until every sighting made at JPN-01 is in USA-01's store.
func (s *show) sightingsBack(ctx context.Context, at *arrivals, want []stix.ID, handed time.Time) error {
	err := s.until(ctx, time.Minute, "sightings at USA-01", func() (bool, error) {
		var rows []web.ListedObject
		err := s.usa.call(ctx, "object.list", web.ListRef{Type: "sighting", Limit: 1000}, &rows)
		have := 0
		for _, id := range want {
			if slices.ContainsFunc(rows, func(r web.ListedObject) bool { return r.ID == id }) {
				have++
			}
		}
		return have == len(want) && have > 0, err
	})
	if err != nil {
		return err
	}
	return crew.Until(ctx, 20*time.Second, "sighting in USA-01's feed", func() (bool, error) {
		t := at.when(s.usa.Sign, want)
		if t.IsZero() {
			return false, nil
		}
		s.f.HitToOriginatorMS = ms(t.Sub(handed))
		return true, nil
	})
}

// where prints what USA-01 learns from a sighting of where it was.
func (s *show) where(ctx context.Context, sighting stix.ID) error {
	shown := func(id stix.ID) (o *stix.Object, err error) {
		var d web.ObjectDetail
		if err := s.usa.call(ctx, "indicator.show", web.ObjectRef{ID: id}, &d); err != nil {
			return nil, err
		}
		return stix.Parse([]byte(d.JSON))
	}
	o, err := shown(sighting)
	if err != nil {
		return err
	}
	says := map[string]string{}
	for _, r := range o.Refs() {
		if typ := r.Target.Type(); typ != "identity" && typ != "location" || r.Path == "created_by_ref" {
			continue
		}
		x, err := shown(r.Target)
		if err != nil {
			return err
		}
		says[x.Type] = x.Text("name")
	}
	if len(says) != 2 {
		return fmt.Errorf("a sighting at USA-01 says of where: %v", says)
	}
	s.said("where", says["identity"], says["location"])
	return nil
}

// tell prints the warnings as JPN-01's duty officer sees them.
func (s *show) tell(ctx context.Context) error {
	var rows []watch.Row
	if err := s.jpn.call(ctx, "warning.list", web.WarningsRef{}, &rows); err != nil {
		return err
	}
	for _, r := range rows {
		title, _ := r.In(s.Lang)
		s.print(fmt.Sprintf("          %s  %s", r.Precedence.Prosign(), title))
	}
	return nil
}
