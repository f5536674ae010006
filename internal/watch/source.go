package watch

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// maxSources bounds how many sensors are known by name; beyond it the one silent
// for longest is forgotten.
const maxSources = 1000

// Source is a sensor that reported since the node was started.
type Source struct {
	Sensor string    `json:"sensor"`
	Heard  time.Time `json:"heard"`            // when it last reported, with hits or without
	Hits   int       `json:"hits"`             // since the node was started
	Silent bool      `json:"silent,omitempty"` // for SensorSilent or longer
}

// SensorSilent is after how long without a report a sensor is called silent: one
// that follows a log reports each few seconds, whether anything was met or not.
const SensorSilent = 10 * time.Minute

// sources are the sensors heard, in memory alone.
type sources struct {
	mu sync.Mutex
	by map[string]Source
}

func (s *sources) note(sensor string, hits int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[string]Source{}
	}
	x := s.by[sensor]
	s.by[sensor] = Source{Sensor: sensor, Heard: now.UTC(), Hits: x.Hits + hits}
	if len(s.by) > maxSources {
		delete(s.by, s.sorted()[maxSources].Sensor)
	}
}

// sorted lists them, the last heard first; the lock is held.
func (s *sources) sorted() []Source {
	list := make([]Source, 0, len(s.by))
	for _, x := range s.by {
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b Source) int { return cmp.Or(b.Heard.Compare(a.Heard), cmp.Compare(a.Sensor, b.Sensor)) })
	return list
}

// Sources lists the sensors that reported since the node was started, the last
// heard first.
func (w *Watch) Sources() []Source {
	w.heard.mu.Lock()
	defer w.heard.mu.Unlock()
	list, now := w.heard.sorted(), w.o.Now()
	for i := range list {
		list[i].Silent = now.Sub(list[i].Heard) >= SensorSilent
	}
	return list
}
