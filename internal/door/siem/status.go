package siem

import (
	"context"
	"sync"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Status is how a destination stands. Counts are since the node started.
type Status struct {
	Name     string       `json:"name"`
	Address  string       `json:"address"`
	Format   Format       `json:"format"`
	Max      string       `json:"max"`
	Sent     uint64       `json:"sent"`     // events the receiver has read
	Withheld uint64       `json:"withheld"` // events above the highest label, or too long to go with their marking
	Behind   int64        `json:"behind"`   // acts and changes that were not looked at
	Oldest   time.Time    `json:"oldest,omitzero"`
	Written  time.Time    `json:"last_sent,omitzero"`
	Settled  time.Time    `json:"confirmed,omitzero"` // when the receiver last answered
	Error    noroshi.Told `json:"error,omitzero"`     // why nothing goes, the zero value when it does
	Since    time.Time    `json:"since,omitzero"`     // since when nothing goes
}

// state is what Status tells of a running sender.
type state struct {
	mu      sync.Mutex // guards what follows
	running bool
	at      place
	turns   uint64
	status  Status
}

func (s *state) stands(at place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.at = true, at
}

func (s *state) wrote(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Written = now.UTC()
}

func (s *state) settle(sent, withheld int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turns++
	s.status.Sent += uint64(sent)
	s.status.Withheld += uint64(withheld)
	s.status.Error, s.status.Since = noroshi.Told{}, time.Time{}
	if sent > 0 {
		s.status.Settled = now.UTC()
	}
}

// settled counts how often a place was made durable.
func (s *state) settled() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turns
}

func (s *state) fail(err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.Error.Message == "" {
		s.status.Since = now.UTC()
	}
	s.status.Error = noroshi.Tell(err)
}

// Status tells how the destination stands; of a node that does not run what the
// store says.
func (s *Sender) Status(ctx context.Context) (Status, error) {
	s.state.mu.Lock()
	st, at, running := s.state.status, s.state.at, s.state.running
	s.state.mu.Unlock()
	st.Name, st.Address, st.Format, st.Max = s.dest.Name, s.dest.Address, s.dest.Format, s.dest.Max.String()
	var err error
	if !running {
		if at, err = s.kept(ctx); err != nil {
			return st, err
		}
	}
	head, err := s.head(ctx)
	if err != nil {
		return st, err
	}
	if s.wants(Audit) && head.acts > at.acts {
		st.Behind += head.acts - at.acts
		acts, err := s.store.Acts(ctx, uint64(at.acts), 1)
		if err != nil {
			return st, err
		}
		for _, a := range acts {
			st.Oldest = a.Time
		}
	}
	if s.follows() && head.feed > at.feed {
		st.Behind += head.feed - at.feed
		changes, err := s.store.Feed(ctx, at.feed, 1)
		if err != nil {
			return st, err
		}
		for _, c := range changes {
			if st.Oldest.IsZero() || c.Time.Before(st.Oldest) {
				st.Oldest = c.Time
			}
		}
	}
	return st, nil
}

// follows reports whether the destination takes anything of the feed.
func (s *Sender) follows() bool { return s.wants(Warning) || s.wants(Sighting) }
