package watch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

const (
	maxSensor = 100    // bytes of a sensor's name
	maxOpen   = 20_000 // hours open at once; beyond it all are written and closed
	maxWrite  = 100    // hours written in one act: what a FLASH may have to wait for
	idleHour  = 5 * time.Minute
)

// Observed is what became of hits.
type Observed struct {
	Hits      int         `json:"hits"`
	Sightings []stix.ID   `json:"sightings,omitempty"` // made now
	Warnings  []stix.ID   `json:"warnings,omitempty"`  // raised now
	Explained []Explained `json:"explained,omitempty"` // known good: recorded, nobody paged
	Repeated  int         `json:"repeated"`            // counted before: the same log again
	Stale     int         `json:"stale"`               // of indicators that are current no more
	Seq       int64       `json:"seq"`                 // feed sequence of the last commit, 0 when nothing was written
}

// Add joins what became of the hits that came next.
func (o *Observed) Add(next Observed) {
	o.Hits, o.Repeated, o.Stale = o.Hits+next.Hits, o.Repeated+next.Repeated, o.Stale+next.Stale
	o.Sightings, o.Warnings = append(o.Sightings, next.Sightings...), append(o.Warnings, next.Warnings...)
	for _, e := range next.Explained {
		i := slices.IndexFunc(o.Explained, func(x Explained) bool {
			return x.Indicator == e.Indicator && x.Sensor == e.Sensor && x.Hour.Equal(e.Hour)
		})
		if i >= 0 {
			o.Explained[i].Count += e.Count
		} else {
			o.Explained = append(o.Explained, e)
		}
	}
	sortExplained(o.Explained)
	o.Seq = max(o.Seq, next.Seq)
}

// Explained is what a warning-list explains: hits on a known-good value within
// an hour at a sensor.
type Explained struct {
	Indicator stix.ID       `json:"indicator"`
	Value     noroshi.Value `json:"value"`
	Sensor    string        `json:"sensor"`
	Hour      time.Time     `json:"hour"`
	Lists     []string      `json:"lists"`
	Count     int           `json:"count"`
}

// openHours are the places with hits whose final count was not written yet.
type openHours struct {
	mu    sync.Mutex // guards places, and one Observe, Finish or closing at a time
	place map[place]*hour
}

// hour is one place being counted.
type hour struct {
	place
	id      stix.ID
	marks   []stix.ID
	tally   tally                             // as it stands now, written or not
	before  map[string]time.Time              // by log, the last event a former session counted
	written int                               // count in the store; 0 = nothing is there
	touched time.Time                         // our clock at the last hit
	first   map[detect.Strength]noroshi.Value // what a rule was not asked about yet
	asked   map[detect.Strength]bool
}

// tally is the document behind a sighting, or instead of one where a
// warning-list explains the hits: what was counted, exactly.
type tally struct {
	Indicator stix.ID              `json:"indicator"`
	Value     noroshi.Value        `json:"value"`
	Sensor    string               `json:"sensor"`
	Hour      time.Time            `json:"hour"`
	Lists     []string             `json:"lists,omitempty"`
	Count     int                  `json:"count"`
	Last      map[string]time.Time `json:"last"` // by log
	Created   time.Time            `json:"created"`
	Modified  time.Time            `json:"modified"`
}

// Kinds of documents; the key of both is the id of the place's sighting.
const (
	docTally     = "tally"
	docExplained = "explained"
)

func (t tally) kind() string {
	if len(t.Lists) > 0 {
		return docExplained
	}
	return docTally
}

// Observe records hits of a sensor: one sighting per indicator, sensor and
// hour, made at the first hit and once more with the final count (Finish, or
// when the hour has passed); a warning per rule, at most one a day for an
// indicator and strength.
//
// Hits on values a warning-list names are recorded with the names of the lists.
// They raise no warning, and no sighting of them is made: a partner could read
// from one which good addresses we look at.
//
// A log that is read again counts nothing: events of one log at or before the
// last one a former session counted in that hour are repeats.
func (w *Watch) Observe(ctx context.Context, sensor string, hits []detect.Hit) (Observed, error) {
	out := Observed{Hits: len(hits)}
	if sensor == "" || len(sensor) > maxSensor {
		return out, noroshi.Errorf(noroshi.Invalid, "watch.sensor", "a sensor's name must have 1 to %d bytes", maxSensor)
	}
	w.heard.note(sensor, len(hits), w.o.Now())
	w.open.mu.Lock()
	defer w.open.mu.Unlock()
	salt, err := w.readSalt(ctx)
	if err != nil {
		return out, err
	}
	mark, err := w.sightingMark(ctx)
	if err != nil {
		return out, err
	}
	explained := map[*hour]int{}
	var fresh []*hour
	for _, hit := range hits {
		h, err := w.hourOf(ctx, sensor, hit, salt, mark)
		switch {
		case err != nil:
			return out, err
		case h == nil:
			out.Stale++
			continue
		case !h.count(hit, w.o.Now()):
			out.Repeated++
			continue
		}
		if len(h.tally.Lists) > 0 {
			explained[h]++
		}
		if h.tally.Count == 1 || len(h.first) > 0 {
			fresh = appendOnce(fresh, h)
		}
	}
	for h, n := range explained {
		out.Explained = append(out.Explained, h.explained(n))
	}
	sortExplained(out.Explained)
	if err := w.write(ctx, fresh, &out); err != nil {
		return out, err
	}
	if len(w.open.place) > maxOpen {
		return out, w.closeWhere(ctx, everyHour)
	}
	return out, nil
}

func appendOnce(list []*hour, h *hour) []*hour {
	if n := len(list); n > 0 && list[n-1] == h {
		return list
	}
	for _, x := range list {
		if x == h {
			return list
		}
	}
	return append(list, h)
}

// hourOf returns the open hour a hit belongs to, opening it if need be; nil
// when the indicator is current no more.
func (w *Watch) hourOf(ctx context.Context, sensor string, hit detect.Hit, salt [16]byte, mark noroshi.TLP) (*hour, error) {
	p := place{hit.Indicator, sensor, hit.Time.UTC().Truncate(time.Hour)}
	if h, ok := w.open.place[p]; ok {
		return h, nil
	}
	r, err := w.store.Current(ctx, hit.Indicator)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if r.Withdrawn || r.Conflict || r.Object.Revoked {
		return nil, nil
	}
	defs, err := w.bodiesFor(ctx, r, marksOn(r))
	if err != nil {
		return nil, err
	}
	h := &hour{place: p, id: sightingID(salt, p), marks: sightingMarks(r, mark, defs),
		first: map[detect.Strength]noroshi.Value{}, asked: map[detect.Strength]bool{}}
	h.tally = tally{Indicator: p.Indicator, Value: hit.Value, Sensor: sensor, Hour: p.Hour, Lists: r.Flags, Last: map[string]time.Time{}}
	if err := w.resume(ctx, h); err != nil {
		return nil, err
	}
	if w.open.place == nil {
		w.open.place = map[place]*hour{}
	}
	w.open.place[p] = h
	return h, nil
}

// count adds a hit; false when a former session counted it.
func (h *hour) count(hit detect.Hit, now time.Time) bool {
	if last, ok := h.before[hit.Log]; ok && !hit.Time.After(last) {
		return false
	}
	h.tally.Count++
	h.touched = now
	if hit.Time.After(h.tally.Last[hit.Log]) {
		h.tally.Last[hit.Log] = hit.Time
	}
	if !h.asked[hit.Strength] && len(h.tally.Lists) == 0 {
		h.asked[hit.Strength] = true
		h.first[hit.Strength] = hit.Value
	}
	return true
}

func (h *hour) explained(n int) Explained {
	t := h.tally
	return Explained{Indicator: t.Indicator, Value: t.Value, Sensor: t.Sensor, Hour: t.Hour, Lists: t.Lists, Count: n}
}

// Finish ends a replay: what the sensor's open hours have counted is written.
func (w *Watch) Finish(ctx context.Context, sensor string) error {
	return w.finish(ctx, func(h *hour) bool { return h.Sensor == sensor })
}

func everyHour(*hour) bool { return true }

func (w *Watch) finish(ctx context.Context, which func(*hour) bool) error {
	w.open.mu.Lock()
	defer w.open.mu.Unlock()
	return w.closeWhere(ctx, which)
}

// closeHours closes hours that are over, until ctx ends.
func (w *Watch) closeHours(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := w.o.Now()
		err := w.finish(ctx, func(h *hour) bool {
			return now.Sub(h.touched) >= idleHour && now.After(h.Hour.Add(time.Hour+idleHour))
		})
		if err != nil {
			return err
		}
	}
}

// closeWhere writes final counts and forgets the hours; the lock is held.
func (w *Watch) closeWhere(ctx context.Context, which func(*hour) bool) error {
	var closing []*hour
	for _, h := range w.open.place {
		if which(h) {
			closing = append(closing, h)
		}
	}
	sortHours(closing)
	if err := w.write(ctx, closing, &Observed{}); err != nil {
		return err
	}
	for _, h := range closing {
		delete(w.open.place, h.place)
	}
	return nil
}

// ExplainedHits lists what warning-lists explained, newest hour first.
func (w *Watch) ExplainedHits(ctx context.Context) ([]Explained, error) {
	docs, err := w.store.Docs(ctx, docExplained)
	if err != nil {
		return nil, err
	}
	list := []Explained{}
	for _, body := range docs {
		t, err := readTally(body)
		if err != nil {
			return nil, err
		}
		list = append(list, (&hour{tally: t}).explained(t.Count))
	}
	sortExplained(list)
	return list, nil
}

// resume loads what a former session wrote about the hour.
func (w *Watch) resume(ctx context.Context, h *hour) error {
	body, err := w.store.Doc(ctx, h.tally.kind(), string(h.id))
	if noroshi.KindOf(err) == noroshi.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	t, err := readTally(body)
	if err != nil {
		return err
	}
	lists := h.tally.Lists
	h.tally, h.written = t, t.Count
	h.tally.Lists = lists
	h.before = map[string]time.Time{}
	for log, last := range t.Last {
		h.before[log] = last
	}
	return nil
}

// keep writes the tally inside an act.
func (h *hour) keep(tx *store.Tx) error {
	body, err := writeTally(h.tally)
	if err != nil {
		return err
	}
	return tx.PutDoc(h.tally.kind(), string(h.id), body)
}
