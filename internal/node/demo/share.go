package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/demodata"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// mitre is the statement marking of ATT&CK, which the agreement allow-lists.
const mitre = "Copyright 2015-2025, The MITRE Corporation. MITRE ATT&CK and ATT&CK are registered trademarks of The MITRE Corporation."

func (s *show) nodesUp(ctx context.Context) error {
	var err error
	if s.usa, err = newParty(ctx, s.Exe, filepath.Join(s.dir, "usa"), "USA-01", "USA.DOD"); err != nil {
		return err
	}
	if s.jpn, err = newParty(ctx, s.Exe, filepath.Join(s.dir, "jpn"), "JPN-01", "JPN.MOD"); err != nil {
		return err
	}
	for _, p := range []*party{s.usa, s.jpn} {
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	s.said("nodes", len(persons))
	return nil
}

// introduce exchanges cards and has two persons on each side confirm the
// fingerprint the other side reads aloud.
func (s *show) introduce(ctx context.Context) error {
	var spoken string
	for _, pair := range [][2]*party{{s.usa, s.jpn}, {s.jpn, s.usa}} {
		from, to := pair[0], pair[1]
		card, err := from.card(ctx, to.sign)
		if err != nil {
			return err
		}
		var st web.Status
		if err := from.call(ctx, "status", nil, &st); err != nil {
			return err
		}
		spoken = st.Fingerprint
		if err := to.takeCard(ctx, card, spoken); err != nil {
			return err
		}
	}
	s.said("introduced", spoken)
	return nil
}

func (p *party) card(ctx context.Context, partnerSign noroshi.CallSign) (card []byte, err error) {
	var endpoints []string
	if err := p.call(ctx, "partner.endpoints", nil, &endpoints); err != nil {
		return nil, err
	}
	by, err := p.signed(ctx, "liaison", noroshi.ActIntroduce, "card/"+string(partnerSign), partner.CardBound(endpoints))
	if err != nil {
		return nil, err
	}
	err = p.call(ctx, "partner.card", web.CardRef{For: partnerSign, By: by}, &card)
	return card, err
}

func (p *party) takeCard(ctx context.Context, card []byte, heard string) error {
	by, err := p.signed(ctx, "liaison", noroshi.ActIntroduce, "receive", noroshi.Sum(card))
	if err != nil {
		return err
	}
	var row partner.Row
	if err := p.call(ctx, "partner.receive", web.ReceiveRef{Card: card, By: by}, &row); err != nil {
		return err
	}
	for _, person := range []string{"liaison", "admin"} {
		by, err := p.signed(ctx, person, noroshi.ActIntroduce, row.Node.String(), partner.FingerprintBound(heard))
		if err != nil {
			return err
		}
		var done web.Confirmed
		if err := p.call(ctx, "partner.confirm", web.ConfirmRef{Node: row.Node, Fingerprint: heard, By: by}, &done); err != nil {
			return err
		}
		if done.Waiting == 0 {
			return nil
		}
	}
	return fmt.Errorf("%s: two persons confirmed and the partner is not introduced", p.sign)
}

// agree drafts, proposes and signs the agreement: two release officers a side.
func (s *show) agree(ctx context.Context) error {
	var text string
	if err := s.usa.call(ctx, "agreement.draft", web.DraftRef{With: s.jpn.sign, Days: 365, Statements: []string{mitre}}, &text); err != nil {
		return err
	}
	file := []byte(text)
	h := noroshi.Sum(file)
	by, err := s.usa.signed(ctx, "liaison", noroshi.ActProposeAgreement, h.String(), h)
	if err != nil {
		return err
	}
	if err := s.usa.call(ctx, "agreement.propose", web.ProposeRef{File: file, By: by}, nil); err != nil {
		return err
	}
	err = until(ctx, time.Minute, "agreement proposed at JPN-01", func() (bool, error) {
		var rows []partner.AgreementRow
		err := s.jpn.call(ctx, "agreement.list", nil, &rows)
		return slices.ContainsFunc(rows, func(a partner.AgreementRow) bool { return a.Hash == h }), err
	})
	if err != nil {
		return err
	}
	for _, p := range []*party{s.usa, s.jpn} {
		for _, person := range []string{"release1", "release2"} {
			by, err := p.signed(ctx, person, noroshi.ActSignAgreement, h.String(), h)
			if err != nil {
				return err
			}
			if err := p.call(ctx, "agreement.sign", web.SignRef{Hash: h, By: by}, nil); err != nil {
				return err
			}
		}
	}
	err = until(ctx, time.Minute, "agreement in force on both sides", func() (bool, error) {
		for _, p := range []*party{s.usa, s.jpn} {
			var rows []partner.AgreementRow
			if err := p.call(ctx, "agreement.list", nil, &rows); err != nil || !slices.ContainsFunc(rows, func(a partner.AgreementRow) bool { return a.Hash == h && a.InForce }) {
				return false, err
			}
		}
		return true, nil
	})
	if err == nil {
		a, perr := noroshi.ParseAgreement(file)
		if perr != nil {
			return perr
		}
		s.said("agreed", h.String()[:12], len(a.Clauses))
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
	var armed web.ArmedState
	if err := s.usa.call(ctx, "indicator.armed", web.ArmedRef{}, &armed); err != nil {
		return err
	}
	if err := s.settled(ctx, armed.Seq); err != nil {
		return err
	}
	holds, count, err := s.approveHolds(ctx)
	if err != nil {
		return err
	}
	signed := time.Now()
	s.said("approved", holds, count)
	s.f.IndicatorsPublished = armed.Indicators
	err = until(ctx, 3*time.Minute, "JPN-01 armed", func() (bool, error) {
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

// settled waits until USA-01's exit gate has looked at everything up to a
// sequence of its change feed.
func (s *show) settled(ctx context.Context, seq int64) error {
	return until(ctx, 2*time.Minute, "release decided", func() (bool, error) {
		var d web.Decided
		err := s.usa.call(ctx, "release.decided", nil, &d)
		return d.UpTo >= seq, err
	})
}

// approveHolds signs every open two-person hold at USA-01 as two officers.
func (s *show) approveHolds(ctx context.Context) (holds, count int, err error) {
	var rows []web.HoldRow
	if err := s.usa.call(ctx, "release.list", web.HoldRef{}, &rows); err != nil {
		return 0, 0, err
	}
	for _, h := range rows {
		if h.Key != noroshi.TwoPersons {
			return 0, 0, fmt.Errorf("hold %s needs %s: %v", h.ID, h.Key, h.Reasons)
		}
		for _, officer := range []string{"release1", "release2"} {
			var d web.HoldDetail
			if err := s.usa.call(ctx, "release.show", web.HoldRef{Hold: h.ID}, &d); err != nil {
				return 0, 0, err
			}
			if d.State != "open" || slices.Contains(d.Approvals, officer) {
				continue
			}
			by, err := s.usa.signed(ctx, officer, noroshi.ActApprove, h.ID, d.Digest)
			if err != nil {
				return 0, 0, err
			}
			if err := s.usa.call(ctx, "release.approve", web.SignedRef{Subject: h.ID, By: by}, nil); err != nil {
				return 0, 0, err
			}
		}
		holds++
		count += h.Count
	}
	return holds, count, nil
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
		if err := s.jpn.waitArmed(ctx, rows[0].ID); err != nil {
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

func (p *party) waitArmed(ctx context.Context, id stix.ID) error {
	return until(ctx, time.Minute, "armed at "+string(p.sign), func() (bool, error) {
		var a web.ArmedState
		err := p.call(ctx, "indicator.armed", web.ArmedRef{ID: id, Wait: 10_000}, &a)
		return a.IsArmed, err
	})
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

// link returns a party's only link.
func (p *party) link(ctx context.Context) (courier.LinkStatus, error) {
	var rows []courier.LinkStatus
	if err := p.call(ctx, "link.list", nil, &rows); err != nil {
		return courier.LinkStatus{}, err
	}
	if len(rows) != 1 {
		return courier.LinkStatus{}, fmt.Errorf("%s has %d links", p.sign, len(rows))
	}
	return rows[0], nil
}
