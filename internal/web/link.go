package web

import (
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/door/feed"
	"github.com/noroshi-cti/noroshi/internal/door/siem"
	"github.com/noroshi-cti/noroshi/stix"
)

// Status is what a duty officer needs first.
type Status struct {
	CallSign    noroshi.CallSign     `json:"call_sign"`
	Realm       noroshi.Realm        `json:"realm"`
	Node        noroshi.NodeID       `json:"node"`
	Fingerprint string               `json:"fingerprint"` // what our officer reads aloud at an introduction
	Running     bool                 `json:"running"`
	Version     string               `json:"version"`
	Console     string               `json:"console,omitempty"` // URL of the screens
	Armed       int                  `json:"indicators_armed"`
	NotArmed    int                  `json:"not_armed"`
	Arming      bool                 `json:"arming,omitempty"`   // after a start what is armed is still being read: neither is counted yet
	Counting    bool                 `json:"counting,omitempty"` // NotArmed is not counted yet
	Warnings    int                  `json:"warnings_open"`
	Holds       int                  `json:"holds_open"`
	Quarantined int                  `json:"quarantined"`      // at most 1000 are counted
	Recalls     int                  `json:"recalls_open"`     // sent or passed on, not answered by everyone
	Ended       int                  `json:"retention_ended"`  // objects of which versions went out of use because their term was over
	Alarms      []Alarm              `json:"alarms,omitempty"` // of the last days, the latest first
	Unreadable  []noroshi.CallSign   `json:"unreadable_agreements,omitempty"`
	SIEM        []siem.Status        `json:"siem,omitempty"`
	Exports     []KeptExport         `json:"exports,omitempty"` // of a node that runs
	Feeds       []feed.Status        `json:"feeds,omitempty"`
	Links       []courier.LinkStatus `json:"links"`
}

// KeptExport is a file kept for sensors, and how it stands.
type KeptExport struct {
	File   string       `json:"file"`
	Looked time.Time    `json:"looked,omitzero"` // when the file was last found or made to be what it should be
	Error  noroshi.Told `json:"error,omitzero"`  // why it is not now
}

// Alarm is what should not have happened, and asks a person to look.
type Alarm struct {
	Time    string           `json:"time"`
	Partner noroshi.CallSign `json:"partner,omitempty"`
	Code    string           `json:"code"`
}

const (
	alarmDays  = 7  // so long status shows an alarm
	maxAlarmed = 10 // and so many
)

func (c *Call) alarms(ctx context.Context) ([]Alarm, error) {
	acts, err := c.Store.Alarms(ctx, maxAlarmed)
	var list []Alarm
	for _, e := range acts {
		if e.Time.Before(c.Now().AddDate(0, 0, -alarmDays)) {
			break
		}
		a := Alarm{Time: rfc(e.Time), Code: e.Act.Subject}
		if e.Act.Partner != (noroshi.NodeID{}) {
			a.Partner = c.callSign(ctx, e.Act.Partner)
		}
		list = append(list, a)
	}
	return list, err
}

func status(ctx context.Context, c *Call) (any, error) {
	s := Status{CallSign: c.Self.CallSign, Realm: c.Realm, Node: c.Node, Fingerprint: c.Office.Fingerprint(), Running: c.Running, Version: c.Version, Console: c.Console}
	holds, err := c.Store.Holds(ctx, "open")
	if err != nil {
		return nil, err
	}
	open, err := c.Watch.List(ctx, true)
	if err != nil {
		return nil, err
	}
	q, err := c.Store.QuarantineList(ctx, 0, 1000)
	if err != nil {
		return nil, err
	}
	armed, err := c.Watch.Armed(ctx)
	if err != nil {
		return nil, err
	}
	holds = slices.DeleteFunc(holds, emptied)
	s.Holds, s.Warnings, s.Quarantined, s.Armed, s.NotArmed = len(holds), len(open), len(q), armed.Indicators, armed.NotArmed
	s.Arming, s.Counting = armed.Loading, armed.Counting && c.Watch.Loaded()
	if s.Ended, err = c.Store.Ended(ctx); err != nil {
		return nil, err
	}
	if s.Recalls, err = c.openRecalls(ctx); err != nil {
		return nil, err
	}
	if s.Alarms, err = c.alarms(ctx); err != nil {
		return nil, err
	}
	if s.Unreadable, err = c.Services.Unreadable(ctx); err != nil {
		return nil, err
	}
	s.Exports = c.Services.Exports()
	if s.SIEM, err = c.Services.SIEM(ctx); err != nil {
		return nil, err
	}
	if s.Feeds, err = c.Feeds.Statuses(ctx); err != nil {
		return nil, err
	}
	s.Links, err = c.Courier.Links(ctx)
	return s, err
}

func doctor(ctx context.Context, c *Call) (any, error) { return c.Doctor(ctx), nil }

// PartnerRef names a partner by call sign, or by node id.
type PartnerRef struct {
	Partner noroshi.CallSign `json:"partner"`
}

// Tested is the outcome of link.test.
type Tested struct {
	RoundTrip string `json:"round_trip"`
}

// LinkTest asks for a round trip.
type LinkTest struct {
	Partner noroshi.CallSign `json:"partner"`
	Channel string           `json:"channel,omitempty"` // as this node calls it; empty = by all
}

func linkList(ctx context.Context, c *Call) (any, error) { return c.Courier.Links(ctx) }

// linkShow returns one link.
func linkShow(ctx context.Context, c *Call) (any, error) {
	p, err := c.partner(ctx)
	if err != nil {
		return nil, err
	}
	links, err := c.Courier.Links(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(links, func(l courier.LinkStatus) bool { return l.Partner == p.Node })
	if i < 0 {
		return nil, noroshi.Errorf(noroshi.NotFound, "courier.no-link", "there is no link with %s", p.Organisation.CallSign)
	}
	return links[i], nil
}

func linkTest(ctx context.Context, c *Call) (any, error) {
	var in LinkTest
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p, err := c.Office.Partner(ctx, string(in.Partner))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, testTime)
	defer stop()
	d, err := c.Courier.Test(ctx, p.Node, in.Channel)
	return Tested{d.Round(10 * time.Microsecond).String()}, err
}

// testTime is how long link.test waits for an answer.
const testTime = 10 * time.Second

// Exchanged counts the indicators that went over a link.
type Exchanged struct {
	ArmedFrom           int `json:"armed_from"`           // in the index here, each come in a message of the partner
	NotArmedFrom        int `json:"not_armed_from"`       // come so, of a form that is not armed
	IndicatorsReceipted int `json:"indicators_receipted"` // ours in messages the partner applied
}

// linkExchanged counts from the records: index, provenance and receipts, not
// from any counter kept beside them.
func linkExchanged(ctx context.Context, c *Call) (any, error) {
	p, err := c.partner(ctx)
	if err != nil {
		return nil, err
	}
	armed, err := c.Watch.Armed(ctx)
	if err == nil && armed.Loading {
		err = c.Watch.ArmedUpTo(ctx, 0)
	}
	if err != nil {
		return nil, err
	}
	var x Exchanged
	err = c.Store.EachFrom(ctx, "indicator", func(id stix.ID, from noroshi.Source) error {
		switch {
		case from.Kind != noroshi.FromPartner || from.Partner != p.Node:
		case c.Index.Armed(id):
			x.ArmedFrom++
		default:
			x.NotArmedFrom++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	x.IndicatorsReceipted, err = c.receipted(ctx, p.Node, "indicator")
	return x, err
}

// receipted counts our objects of a type in messages the partner applied.
func (s *Services) receipted(ctx context.Context, partner noroshi.NodeID, typ string) (n int, err error) {
	runs, err := s.Store.AppliedThere(ctx, partner)
	if err != nil {
		return 0, err
	}
	for _, d := range runs {
		rows, err := s.Store.BatchRows(ctx, d.Batch, d.First, d.Count)
		if err != nil {
			return 0, err
		}
		seqs := make([]int64, len(rows))
		for i, r := range rows {
			seqs[i] = r.Seq
		}
		of, err := s.Store.Count(ctx, typ, seqs)
		if err != nil {
			return 0, err
		}
		n += of
	}
	return n, nil
}

// Decided says how far the exit gate has followed the change feed.
type Decided struct {
	UpTo int64 `json:"up_to"`
	Head int64 `json:"head"` // last sequence of the feed
}

func releaseDecided(ctx context.Context, c *Call) (any, error) {
	head, err := c.Store.Head(ctx)
	if err != nil {
		return nil, err
	}
	seq, err := c.Store.Cursor(ctx, "release")
	return Decided{seq, head}, err
}

// GoOnRef is a person's word that a link goes on without what its partner was
// asked for after a restore, or takes back what it says was lost.
type GoOnRef struct {
	Partner  noroshi.NodeID `json:"partner"`
	TakeBack bool           `json:"take_back,omitempty"`
	By       noroshi.Signed `json:"by"`
}

func linkGoOn(ctx context.Context, c *Call) (any, error) {
	var in GoOnRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Courier.GoOn(ctx, in.Partner, in.TakeBack, in.By)
}

// compareTime is how long link.compare waits for a partner's answers.
const compareTime = time.Minute

func linkCompare(ctx context.Context, c *Call) (any, error) {
	p, err := c.partner(ctx)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, compareTime)
	defer stop()
	return c.Courier.Compare(ctx, p.Node)
}
