package web

import (
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/watch"
)

// Picture is the situation as a duty officer sees it: what waits, and whether the
// partners are reached. Nothing in it costs more the more is held.
type Picture struct {
	Warnings watch.Page     `json:"warnings"`         // the first few that are open
	Urgent   *watch.Row     `json:"urgent,omitempty"` // the open one that needs somebody first
	Holds    HoldsWaiting   `json:"holds"`
	Links    []PictureLink  `json:"links"`
	Switches []Switch       `json:"switches"` // of the last day, the latest first
	Hours    []Hour         `json:"hours"`    // of the last day, the oldest first
	Seen     Seen           `json:"seen"`
	Sensors  []watch.Source `json:"sensors"`
	Feeds    []PictureFeed  `json:"feeds"`
	Alarms   []Alarm        `json:"alarms,omitempty"`   // of the last days, the latest first
	Counting bool           `json:"counting,omitempty"` // the last day is not wholly counted yet
}

// HoldsWaiting is what waits for a release officer.
type HoldsWaiting struct {
	Open   int       `json:"open"`
	Signed int       `json:"signed"` // of them, one officer has signed
	Oldest time.Time `json:"oldest,omitzero"`
}

// Seen is what this node's telemetry met within the last day.
type Seen struct {
	Hits       int `json:"hits"`
	Indicators int `json:"indicators"`
}

// PictureLink is a link and how it was of late.
type PictureLink struct {
	courier.LinkStatus
	Reach Reach    `json:"reach"`
	Strip []string `json:"strip"` // of the last day in half hours, the oldest first: see Strip states
}

// Strip states: what the path to a partner was in half an hour.
const (
	StripUnknown = "unknown" // the link had not begun
	StripUp      = "up"
	StripChanged = "changed" // another path was taken, or not the preferred one
	StripDown    = "down"    // there was none
)

// PictureFeed is a feed and when it was last read.
type PictureFeed struct {
	Name   string    `json:"name"`
	Read   time.Time `json:"read,omitzero"` // when it last ended well
	Silent bool      `json:"silent,omitempty"`
}

// PictureRef says how much is asked for.
type PictureRef struct {
	Warnings int `json:"warnings,omitempty"` // how many, 7 unless told
}

const (
	pictureWarnings  = 7
	pictureSwitches  = 3
	pictureApprovals = 50 // holds of which is looked who has signed
	tallyAtOnce      = 10 * time.Millisecond
)

func picture(ctx context.Context, c *Call) (any, error) {
	in := PictureRef{Warnings: pictureWarnings}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	var p Picture
	var err error
	if p.Warnings, err = c.Watch.Page(ctx, true, "", in.Warnings); err != nil {
		return nil, err
	}
	if err := c.exactly(ctx, p.Warnings.Rows); err != nil {
		return nil, err
	}
	if p.Urgent, err = c.urgent(ctx); err != nil {
		return nil, err
	}
	if p.Holds, err = c.holdsWaiting(ctx); err != nil {
		return nil, err
	}
	if err := c.pictureLinks(ctx, &p); err != nil {
		return nil, err
	}
	if p.Alarms, err = c.alarms(ctx); err != nil {
		return nil, err
	}
	p.Sensors = c.Watch.Sources()
	p.Feeds, err = c.pictureFeeds(ctx)
	return p, err
}

// urgent is the warning that needs somebody first, nil when none is open.
func (c *Call) urgent(ctx context.Context) (*watch.Row, error) {
	row, err := c.Watch.Urgent(ctx)
	if err != nil || row == nil {
		return nil, err
	}
	rows := []watch.Row{*row}
	return &rows[0], c.exactly(ctx, rows)
}

// holdsWaiting counts what waits for a release officer.
func (s *Services) holdsWaiting(ctx context.Context) (w HoldsWaiting, err error) {
	holds, err := s.Store.Holds(ctx, "open")
	if err != nil {
		return w, err
	}
	holds = slices.DeleteFunc(holds, emptied)
	w.Open = len(holds)
	for i, h := range holds { // the newest first
		w.Oldest = h.Opened
		if i < pictureApprovals {
			signed, err := s.Store.Approvals(ctx, h.ID)
			if err != nil {
				return w, err
			}
			if len(signed) == 1 {
				w.Signed++
			}
		}
	}
	return w, nil
}

// pictureLinks fills in the links and what the record says of the last day.
func (c *Call) pictureLinks(ctx context.Context, p *Picture) error {
	links, err := c.Courier.Links(ctx)
	if err != nil {
		return err
	}
	t, now := c.Tally, c.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	whole, err := t.advance(ctx, tallyAtOnce)
	if err != nil {
		return err
	}
	p.Counting, p.Hours, p.Switches, p.Links = !whole, t.day(now), []Switch{}, []PictureLink{}
	met := map[string]bool{}
	for _, s := range t.seen {
		p.Seen.Hits += s.count
		met[string(s.of)] = true
	}
	p.Seen.Indicators = len(met)
	signs := map[noroshi.NodeID]noroshi.CallSign{}
	for _, l := range links {
		signs[l.Partner] = l.CallSign
		r := t.reach(l.Partner)
		r.Partner = l.CallSign
		p.Links = append(p.Links, PictureLink{l, r, strip(l, t.switches, t.began[l.Partner], now)})
	}
	for _, x := range slices.Backward(t.switches) {
		if x.Partner = signs[x.node]; len(p.Switches) < pictureSwitches {
			p.Switches = append(p.Switches, x)
		}
	}
	return nil
}

// stripSlot is one cell of a strip.
const stripSlot = 30 * time.Minute

// strip says which path a link had in each half hour of the last day, from what
// it has now backwards: between two changes it had what the first led to.
func strip(l courier.LinkStatus, all []Switch, began, now time.Time) []string {
	cells := make([]string, tallied/stripSlot)
	best := preferred(l)
	path := l.Channel
	if !l.Up {
		path = ""
	}
	changes := slices.DeleteFunc(slices.Clone(all), func(x Switch) bool { return x.node != l.Partner })
	for i := len(cells) - 1; i >= 0; i-- {
		start := now.Add(-time.Duration(len(cells)-i) * stripSlot)
		cells[i] = stripOf(path, best)
		for len(changes) > 0 && !changes[len(changes)-1].Time.Before(start) {
			x := changes[len(changes)-1]
			path = x.From
			changes = changes[:len(changes)-1]
			cells[i] = worse(cells[i], worse(stripOf(x.From, best), StripChanged))
		}
	}
	for i := range cells {
		end := now.Add(-time.Duration(len(cells)-i-1) * stripSlot)
		if l.Trust != noroshi.InForce && l.Trust != noroshi.Introduced || end.Before(began) {
			cells[i] = StripUnknown
		}
	}
	return cells
}

// preferred is the cheapest channel of those that are there.
func preferred(l courier.LinkStatus) (name string) {
	cost := -1
	for _, p := range l.Paths {
		if p.Listed && (cost < 0 || p.Cost < cost) {
			name, cost = p.Channel, p.Cost
		}
	}
	return name
}

func stripOf(path, best string) string {
	switch path {
	case "":
		return StripDown
	case best:
		return StripUp
	}
	return StripChanged
}

func worse(a, b string) string {
	order := []string{StripUnknown, StripUp, StripChanged, StripDown}
	if slices.Index(order, a) < slices.Index(order, b) {
		return b
	}
	return a
}

func (c *Call) pictureFeeds(ctx context.Context) ([]PictureFeed, error) {
	feeds, err := c.Feeds.Statuses(ctx)
	list := []PictureFeed{}
	for _, f := range feeds {
		list = append(list, PictureFeed{f.Name, f.State.Good, f.Silent})
	}
	return list, err
}

// WarningPageRef selects a page of warnings.
type WarningPageRef struct {
	All   bool   `json:"all,omitempty"` // also those acknowledged, withdrawn or replaced
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

func warningPage(ctx context.Context, c *Call) (any, error) {
	in := WarningPageRef{Limit: 50}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p, err := c.Watch.Page(ctx, !in.All, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return p, c.exactly(ctx, p.Rows)
}

// Waiting is what waits for somebody, for the edge of every page.
type Waiting struct {
	Warnings int        `json:"warnings"`
	Flash    int        `json:"flash"` // of them
	Last     *watch.Row `json:"last_flash,omitempty"`
	Releases int        `json:"releases"`
}

func waiting(ctx context.Context, c *Call) (any, error) {
	p, err := c.Watch.Pending(ctx)
	if err != nil {
		return nil, err
	}
	holds, err := c.Store.CountHolds(ctx)
	return Waiting{p.Open, p.Flash, p.Last, holds}, err
}

// sensorList lists the sensors that reported since the node was started.
func sensorList(_ context.Context, c *Call) (any, error) { return c.Watch.Sources(), nil }
