package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/demodata"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// mitre is the statement marking of ATT&CK, which the agreement allow-lists.
const mitre = "Copyright 2015-2025, The MITRE Corporation. MITRE ATT&CK and ATT&CK are registered trademarks of The MITRE Corporation."

func (s *show) nodesUp(ctx context.Context) error {
	var err error
	if s.usa, err = newParty(ctx, s.Exe, filepath.Join(s.dir, "usa"), "USA-01", "USA.DOD", "northern-america", s.passphrase, americans); err != nil {
		return err
	}
	if s.jpn, err = newParty(ctx, s.Exe, filepath.Join(s.dir, "jpn"), "JPN-01", "JPN.MOD", "eastern-asia", s.passphrase, japanese); err != nil {
		return err
	}
	for _, p := range []*party{s.usa, s.jpn} {
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	s.said("nodes", len(crew.Members))
	return nil
}

func (s *show) introduce(ctx context.Context) error {
	spoken, err := crew.Introduce(ctx, &s.usa.Crew, &s.jpn.Crew)
	if err == nil {
		s.said("introduced", spoken)
	}
	return err
}

func (s *show) agree(ctx context.Context) error {
	a, err := crew.Agree(ctx, &s.usa.Crew, &s.jpn.Crew, mitre)
	if err == nil {
		s.said("agreed", a.Hash.String()[:12], len(a.Clauses))
	}
	return err
}

// importAll imports at USA-01: bundles as TLP:GREEN, lists as TLP:AMBER.
func (s *show) importAll(ctx context.Context) error {
	start := time.Now()
	objects, entries := 0, 0
	for _, set := range []struct {
		files   fs.FS
		marking string
		count   *int
	}{{demodata.STIX(), "tlp:green", &objects}, {demodata.Lists(), "tlp:amber", &entries}} {
		names, err := fs.Glob(set.files, "*")
		if err != nil {
			return err
		}
		for _, name := range names {
			var r intake.Report
			in := web.ImportRef{Name: strings.TrimSuffix(name, ".gz"), Marking: set.marking}
			if err := s.usa.callBody(ctx, "import", in, func() (io.ReadCloser, error) { return set.files.Open(name) }, &r); err != nil {
				return err
			}
			if r.Quarantined > 0 {
				return fmt.Errorf("%s: %d quarantined: %v", name, r.Quarantined, r.Faults)
			}
			*set.count += r.New + r.Unchanged + r.Updated + r.Resumed
		}
	}
	s.f.ImportSeconds = time.Since(start).Seconds()
	s.said("imported", objects, entries, fmt.Sprintf("%.1f", s.f.ImportSeconds))
	return nil
}

// approve has two officers sign every hold that two persons lift, and waits
// until JPN-01 is armed with all of it.
func (s *show) approve(ctx context.Context) error {
	head, err := s.usa.Settled(ctx)
	if err != nil {
		return err
	}
	var armed web.ArmedState
	err = crew.Until(ctx, time.Minute, "USA-01 armed", func() (bool, error) {
		err := s.usa.call(ctx, "indicator.armed", web.ArmedRef{}, &armed)
		return armed.Seq >= head, err
	})
	if err != nil {
		return err
	}
	holds, count, err := s.usa.ApproveHolds(ctx)
	if err != nil {
		return err
	}
	signed := time.Now()
	s.said("approved", holds, count)
	s.f.IndicatorsPublished = armed.Indicators
	err = s.until(ctx, 3*time.Minute, "JPN-01 armed", func() (bool, error) {
		var a web.ArmedState
		err := s.jpn.call(ctx, "indicator.armed", web.ArmedRef{}, &a)
		s.f.IndicatorsArmed, s.f.NotArmed = a.Indicators, a.NotArmed
		return a.Indicators == armed.Indicators, err
	})
	if err != nil {
		return fmt.Errorf("%d of %d indicators: %w", s.f.IndicatorsArmed, armed.Indicators, err)
	}
	s.f.ReleaseSeconds = time.Since(signed).Seconds()
	s.said("armed", s.f.IndicatorsArmed, fmt.Sprintf("%.1f", s.f.ReleaseSeconds))
	return nil
}

// publish imports single indicators and measures until JPN-01 has each armed.
func (s *show) publish(ctx context.Context) error {
	const trials = 20
	var took []time.Duration
	for i := range trials {
		name := fmt.Sprintf("demo-%02d.example", i)
		var r intake.Report
		start := time.Now()
		line := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(name + "\n")), nil }
		if err := s.usa.callBody(ctx, "import", web.ImportRef{Name: name, Format: "list", Marking: "tlp:green"}, line, &r); err != nil {
			return err
		}
		var rows []web.ListedObject
		if err := s.usa.call(ctx, "object.list", web.ListRef{Run: r.Run, Type: "indicator"}, &rows); err != nil {
			return err
		}
		if len(rows) != 1 {
			return fmt.Errorf("%s: %d indicators", name, len(rows))
		}
		if err := s.jpn.Armed(ctx, rows[0].ID); err != nil {
			return err
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	s.f.PublishToArmedMS, s.f.PublishToArmedP99, s.f.Trials = ms(took[trials/2]), ms(took[trials-1]), trials
	s.f.IndicatorsPublished += trials
	s.f.IndicatorsArmed += trials
	s.said("published", trials, fmt.Sprintf("%.1f", s.f.PublishToArmedMS), fmt.Sprintf("%.1f", s.f.PublishToArmedP99))
	return nil
}

// telemetry writes an embedded log where noroshi match can read it.
func (s *show) telemetry(name string) (path string, err error) {
	src, err := demodata.Telemetry().Open(name)
	if err != nil {
		return "", err
	}
	defer src.Close()
	path = filepath.Join(s.dir, name)
	dst, err := os.Create(path)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(dst, src)
	return path, errors.Join(err, dst.Close())
}

// until is crew.Until for what has to cross the link; what did not come in time
// is told with what either side knows of the link.
func (s *show) until(ctx context.Context, limit time.Duration, what string, ok func() (bool, error)) error {
	err := crew.Until(ctx, limit, what, ok)
	if err == nil || ctx.Err() != nil {
		return err
	}
	for _, p := range []*party{s.usa, s.jpn} {
		err = fmt.Errorf("%w\n%s", err, p.state(ctx))
	}
	return err
}

// state is what a party knows of its only link, in one line.
func (p *party) state(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	l, err := p.link(ctx)
	if err != nil {
		return fmt.Sprintf("%s, started again %d times: %v", p.Sign, p.restarts.Load(), err)
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s, started again %d times: %s", p.Sign, p.restarts.Load(), text)
}

// link returns a party's only link.
func (p *party) link(ctx context.Context) (courier.LinkStatus, error) {
	var rows []courier.LinkStatus
	if err := p.call(ctx, "link.list", nil, &rows); err != nil {
		return courier.LinkStatus{}, err
	}
	if len(rows) != 1 {
		return courier.LinkStatus{}, fmt.Errorf("%s has %d links", p.Sign, len(rows))
	}
	return rows[0], nil
}
