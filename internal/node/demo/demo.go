// Package demo plays the main job of noroshi between two throw-away nodes on
// loopback: real processes of the program itself, real keys, real data. It
// takes no short cut the product does not have: it types the commands a user
// types and calls the operations they call.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/noroshi-cti/noroshi/internal/locale"
)

// Options of Run.
type Options struct {
	Exe    string    // the program itself
	Out    io.Writer // what a person reads
	Lang   locale.Lang
	Report string // file for the figures as JSON; "" = none
	Break  string // "link": the cable stays cut, and the demo must fail
	Keep   string // folder that keeps both nodes; "" = a temporary one, removed
	Once   bool   // end after the last step instead of leaving the nodes up
}

// Figures is what the demo measured.
type Figures struct {
	PublishToArmedMS    float64 `json:"publish_to_armed_ms"` // median of Trials
	PublishToArmedP99   float64 `json:"publish_to_armed_p99_ms"`
	Trials              int     `json:"publish_trials"`
	HitToWarningMS      float64 `json:"hit_to_warning_ms"`    // hits handed to the node -> feed event of the committed warning
	HitToOriginatorMS   float64 `json:"hit_to_originator_ms"` // -> sighting in the originator's store
	IndicatorsPublished int     `json:"indicators_published"` // armed at USA-01
	IndicatorsArmed     int     `json:"indicators_armed"`     // in JPN-01's index, each come in a message
	IndicatorsReceipted int     `json:"indicators_receipted"`
	NotArmed            int     `json:"not_armed"`
	Events              int64   `json:"events"`
	EventsPerSecond     float64 `json:"events_per_second"`
	Hits                int64   `json:"hits"`
	Strong              int64   `json:"strong"`
	Weak                int64   `json:"weak"`
	Sightings           int     `json:"sightings"`
	Warnings            int     `json:"warnings"`
	Explained           int64   `json:"false_positives_explained"` // hits
	MessagesSent        uint64  `json:"messages_sent"`
	MessagesLost        uint64  `json:"messages_lost"`
	FlashWaitedMS       float64 `json:"flash_waited_ms"` // cut -> mended
	FlashAfterMS        float64 `json:"flash_after_ms"`  // mended -> at the partner
	ReleaseSeconds      float64 `json:"release_seconds"` // second signature -> everything armed at the partner
	ImportSeconds       float64 `json:"import_seconds"`
	LedgerEntries       uint64  `json:"ledger_entries"` // of USA-01 when all has arrived
	Audit               string  `json:"audit"`          // "intact" or the first fault
	Restarts            int     `json:"restarts"`       // times a node's process died and was started again
	Seconds             float64 `json:"seconds"`
}

// show is one run of the demo.
type show struct {
	Options
	usa, jpn   *party
	dir        string
	passphrase string // of everybody
	start      time.Time
	f          Figures
}

// step is one step: what it does; it says its own line when done.
type step struct {
	name string
	run  func(*show, context.Context) error
}

var steps = []step{
	{"nodes", (*show).nodesUp},
	{"introduce", (*show).introduce},
	{"agree", (*show).agree},
	{"import", (*show).importAll},
	{"approve", (*show).approve},
	{"publish", (*show).publish},
	{"replay", (*show).replay},
	{"cut", (*show).cutAndMend},
	{"acknowledge", (*show).acknowledge},
	{"count", (*show).count},
	{"audit", (*show).audit},
}

// Run plays the demo; nil only when every step held.
func Run(ctx context.Context, o Options) error {
	text := rand.Text()
	s := &show{Options: o, start: time.Now(), passphrase: text[:4] + "-" + text[4:8] + "-" + text[8:12]}
	if err := s.folder(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.end(cancel)
	s.print(locale.T(o.Lang, "demo.banner"))
	for _, st := range steps {
		if err := st.run(s, ctx); err != nil {
			s.print(locale.T(o.Lang, "demo.failed", locale.T(o.Lang, "step."+st.name)))
			return errors.Join(fmt.Errorf("demo: %s: %w", st.name, err), s.report())
		}
	}
	s.f.Seconds = time.Since(s.start).Seconds()
	if err := s.report(); err != nil {
		return err
	}
	if o.Once && o.Keep == "" {
		s.print(locale.T(o.Lang, "demo.look-again"))
		return nil
	}
	if !o.Once {
		return s.stay(ctx)
	}
	s.print(locale.T(o.Lang, "demo.look", s.usa.dir, s.jpn.dir))
	return nil
}

// folder makes the place both nodes live in.
func (s *show) folder() (err error) {
	if s.Keep == "" {
		s.dir, err = os.MkdirTemp("", "noroshi-demo-")
		return err
	}
	s.dir, err = filepath.Abs(s.Keep)
	if err != nil {
		return err
	}
	return os.MkdirAll(s.dir, 0o700)
}

// end stops both nodes and removes a temporary folder.
func (s *show) end(cancel context.CancelFunc) {
	cancel()
	for _, p := range []*party{s.usa, s.jpn} {
		if p != nil {
			p.end()
		}
	}
	if s.Keep == "" {
		_ = os.RemoveAll(s.dir)
	}
}

func (s *show) report() error {
	if s.Report == "" {
		return nil
	}
	if s.usa != nil && s.jpn != nil {
		s.f.Restarts = int(s.usa.restarts.Load() + s.jpn.restarts.Load())
	}
	b, err := json.MarshalIndent(s.f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.Report, append(b, '\n'), 0o644)
}

func (s *show) print(text string) { fmt.Fprintln(s.Out, text) }

// said prints a step's line with the time since the start.
func (s *show) said(key string, args ...any) {
	s.print(fmt.Sprintf("%5.1f s  ● %s", time.Since(s.start).Seconds(), locale.T(s.Lang, "demo."+key, args...)))
}

// noted prints a line of something that is wrong on purpose or waits.
func (s *show) noted(shape, key string, args ...any) {
	s.print(fmt.Sprintf("%5.1f s  %s %s", time.Since(s.start).Seconds(), shape, locale.T(s.Lang, "demo."+key, args...)))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
