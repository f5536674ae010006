package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// cutFor is how long HTTPS stays cut.
const cutFor = 10 * time.Second

// cutAndMend cuts HTTPS both ways, has a FLASH written and signed by two
// officers meanwhile, mends the cable, and waits until it is at JPN-01.
func (s *show) cutAndMend(ctx context.Context) error {
	s.usa.cable.Cut()
	s.jpn.cable.Cut()
	s.noted("■", "cut")
	cut := time.Now()
	flash, err := s.flash(ctx, wiper, "demo-00.example")
	if err != nil {
		return err
	}
	if err := s.approveFlash(ctx); err != nil {
		return err
	}
	s.noted("▲", "flash-waits")
	crew.Pause(ctx, time.Until(cut.Add(cutFor)))
	if there, err := s.jpn.hasWarning(ctx, flash); err != nil || there {
		return errors.Join(errors.New("the FLASH passed a cable that was cut"), err)
	}
	s.f.FlashWaitedMS = ms(time.Since(cut))
	if s.Break != "link" {
		if err := errors.Join(s.usa.cable.Mend(ctx), s.jpn.cable.Mend(ctx)); err != nil {
			return err
		}
		s.said("mended")
	}
	mended := time.Now()
	limit := time.Minute
	if s.Break == "link" {
		limit = 5 * time.Second
	}
	if err := s.until(ctx, limit, "FLASH at JPN-01", func() (bool, error) { return s.jpn.hasWarning(ctx, flash) }); err != nil {
		return err
	}
	s.f.FlashAfterMS = ms(time.Since(mended))
	s.said("flash-came", fmt.Sprintf("%.0f", s.f.FlashAfterMS))
	return nil
}

// wiper is what the FLASH of the demo says.
var wiper = watch.Draft{TitleEN: "Wiper on grid dispatch servers", TitleJA: "給電指令サーバーで破壊型マルウェアを確認",
	TextEN: "Isolate dispatch servers that contacted this name.", TextJA: "この名前と通信した給電指令サーバーを隔離してください。",
	Severity: noroshi.Critical, Precedence: noroshi.Flash, Action: "isolate", Marking: "tlp:amber"}

// flash writes a warning at USA-01 about an indicator, to be answered within an
// hour.
func (s *show) flash(ctx context.Context, d watch.Draft, about string) (stix.ID, error) {
	var f web.Found
	if err := s.usa.call(ctx, "indicator.find", web.FindRef{Query: about}, &f); err != nil {
		return "", err
	}
	if len(f.Data) == 0 {
		return "", fmt.Errorf("%s is not found by its value", about)
	}
	d.ID, d.Due, d.Refs = stix.NewID("report"), time.Now().UTC().Add(time.Hour).Truncate(time.Second), []stix.ID{f.Data[0].ID}
	by, err := s.usa.Signed(ctx, "duty", noroshi.ActWarn, string(d.ID), d.Bound())
	if err != nil {
		return "", err
	}
	err = s.usa.call(ctx, "warning.new", web.NewWarning{Draft: d, By: by}, nil)
	if noroshi.KindOf(err) == noroshi.Conflict { // asked again after a crash: it is there
		err = nil
	}
	return d.ID, err
}

// approveFlash waits for the FLASH's hold and signs it as two officers.
func (s *show) approveFlash(ctx context.Context) error {
	return crew.Until(ctx, 9*time.Second, "FLASH approved", func() (bool, error) {
		holds, _, err := s.usa.ApproveHolds(ctx)
		return holds > 0, err
	})
}

func (p *party) hasWarning(ctx context.Context, id stix.ID) (bool, error) {
	var rows []watch.Row
	err := p.call(ctx, "warning.list", web.WarningsRef{All: true}, &rows)
	for _, r := range rows {
		if r.ID == id {
			return true, err
		}
	}
	return false, err
}

// acknowledge has JPN-01's duty officer acknowledge the FLASH; USA-01 sees it
// read.
func (s *show) acknowledge(ctx context.Context) error {
	flash, err := s.jpn.acknowledgeFlash(ctx)
	if err != nil {
		return err
	}
	var d watch.Detail
	err = s.until(ctx, time.Minute, "READ at USA-01", func() (bool, error) {
		err := s.usa.call(ctx, "warning.show", web.ObjectRef{ID: flash}, &d)
		return len(d.Deliveries) == 1 && d.Deliveries[0].State == "read", err
	})
	if err != nil {
		return fmt.Errorf("%w\nUSA-01 has it as %+v", err, d.Deliveries)
	}
	s.said("acknowledged")
	return nil
}

// acknowledgeFlash has the duty officer acknowledge each FLASH that is open, and
// returns the last of them.
func (p *party) acknowledgeFlash(ctx context.Context) (last stix.ID, err error) {
	var rows []watch.Row
	if err := p.call(ctx, "warning.list", web.WarningsRef{}, &rows); err != nil {
		return "", err
	}
	for _, r := range rows {
		if r.Precedence != noroshi.Flash {
			continue
		}
		by, err := p.Signed(ctx, "duty", noroshi.ActAck, string(r.ID), r.Hash)
		if err != nil {
			return "", err
		}
		if err := p.call(ctx, "warning.ack", web.SignedRef{Subject: string(r.ID), By: by}, nil); err != nil {
			return "", err
		}
		last = r.ID
	}
	if last == "" {
		return "", fmt.Errorf("no FLASH is among the open warnings of %s", p.Sign)
	}
	return last, nil
}

// count waits until both streams are whole and counts what was lost.
func (s *show) count(ctx context.Context) error {
	err := s.until(ctx, time.Minute, "streams whole", func() (bool, error) {
		s.f.MessagesSent, s.f.MessagesLost = 0, 0
		for _, pair := range [][2]*party{{s.usa, s.jpn}, {s.jpn, s.usa}} {
			out, err := pair[0].link(ctx)
			if err != nil {
				return false, err
			}
			in, err := pair[1].link(ctx)
			if err != nil {
				return false, err
			}
			s.f.MessagesSent += out.OutHead
			s.f.MessagesLost += out.OutHead - min(out.OutHead, in.InApplied, out.OutApplied)
			for _, r := range in.Missing {
				s.f.MessagesLost += r.B - r.A + 1
			}
		}
		return s.f.MessagesLost == 0, nil
	})
	if err != nil {
		return fmt.Errorf("%d messages lost: %w", s.f.MessagesLost, err)
	}
	if err := s.receipts(ctx); err != nil {
		return err
	}
	s.said("whole", s.f.MessagesSent)
	return nil
}

// receipts counts the indicators armed at JPN-01 that came in a message, and
// those USA-01 has a receipt for: both must be all of them.
func (s *show) receipts(ctx context.Context) error {
	var came, receipted web.Exchanged
	if err := s.jpn.call(ctx, "link.exchanged", web.PartnerRef{Partner: s.usa.Sign}, &came); err != nil {
		return err
	}
	if err := s.usa.call(ctx, "link.exchanged", web.PartnerRef{Partner: s.jpn.Sign}, &receipted); err != nil {
		return err
	}
	s.f.IndicatorsArmed, s.f.IndicatorsReceipted = came.ArmedFrom, receipted.IndicatorsReceipted
	if came.ArmedFrom+came.NotArmedFrom != receipted.IndicatorsReceipted {
		return fmt.Errorf("%d indicators came, %d are receipted", came.ArmedFrom+came.NotArmedFrom, receipted.IndicatorsReceipted)
	}
	if came.ArmedFrom != s.f.IndicatorsPublished {
		return fmt.Errorf("%d indicators armed at JPN-01 came from USA-01, %d were published", came.ArmedFrom, s.f.IndicatorsPublished)
	}
	return nil
}

// audit verifies both ledgers.
func (s *show) audit(ctx context.Context) error {
	s.f.Audit = "intact"
	for _, p := range []*party{s.usa, s.jpn} {
		var v web.Audited
		if err := p.call(ctx, "audit.verify", nil, &v); err != nil {
			return err
		}
		if p == s.usa {
			s.f.LedgerEntries = v.Acts
		}
		if len(v.Faults) > 0 {
			s.f.Audit = fmt.Sprintf("%s: %s at %d: %s", p.Sign, v.Faults[0].Code, v.Faults[0].Index, v.Faults[0].Msg)
			return errors.New(s.f.Audit)
		}
		s.said("verified", string(p.Sign), v.Acts, v.Rows)
	}
	return nil
}
