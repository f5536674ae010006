package watch

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// List returns warnings, open ones first, then by precedence, then newest; only
// open ones when open is set.
func (w *Watch) List(ctx context.Context, open bool) ([]Row, error) {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	if err := w.catchUp(ctx); err != nil {
		return nil, err
	}
	rows := []Row{}
	for _, row := range w.board.rows {
		if open && !row.Open() {
			continue
		}
		if err := w.recount(ctx, row); err != nil {
			return nil, err
		}
		rows = append(rows, row.clone())
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(rank(b.Open()), rank(a.Open())), cmp.Compare(b.Precedence, a.Precedence),
			b.Published.Compare(a.Published), cmp.Compare(b.Seq, a.Seq))
	})
	return rows, nil
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *Row) clone() Row {
	c := *r
	c.Acks, c.Refs, c.Audience = slices.Clone(r.Acks), slices.Clone(r.Refs), slices.Clone(r.Audience)
	return c
}

// maxSightings bounds how many sightings of an indicator are looked at to count
// the events of a warning.
const maxSightings = 5000

// recount counts a warning's events anew when a sighting has come since.
func (w *Watch) recount(ctx context.Context, row *Row) error {
	if !w.board.stale[row.ID] {
		return nil
	}
	days := map[stix.ID]bool{}
	counts := map[stix.ID]int{}
	for _, ref := range row.Refs {
		if ref.Type() == "indicator" {
			if err := w.countSightings(ctx, ref, row, days, counts); err != nil {
				return err
			}
		}
	}
	row.Events = 0
	for _, n := range counts {
		row.Events += n
	}
	delete(w.board.stale, row.ID)
	return nil
}

// countSightings adds the counts of an indicator's sightings on the days of
// those the warning refers to, of the warning's source.
func (w *Watch) countSightings(ctx context.Context, indicator stix.ID, row *Row, days map[stix.ID]bool, counts map[stix.ID]int) error {
	type seen struct {
		day   string
		count int
	}
	all := map[stix.ID]seen{}
	list, err := w.store.Referring(ctx, indicator, "sighting", maxSightings)
	if err != nil {
		return err
	}
	for _, r := range list {
		s, err := r.Object.Sighting()
		if err != nil || r.Withdrawn || r.Source.Owner() != row.owner {
			continue
		}
		all[r.Object.ID] = seen{s.FirstSeen.Time().UTC().Format(time.DateOnly), max(s.Count, 1)}
	}
	for id, s := range all {
		for _, ref := range row.Refs {
			if named, ok := all[ref]; ok && named.day == s.day {
				counts[id] = s.count
			}
		}
	}
	return nil
}

// Delivery is how far a warning of ours has got with one partner.
type Delivery struct {
	Partner  noroshi.NodeID   `json:"partner"`
	CallSign noroshi.CallSign `json:"call_sign"`
	State    string           `json:"state"` // "held", "released", "sent", "stored", "applied", "read", "withheld", "expired"; a partner with none has no row
	Since    time.Time        `json:"since,omitzero"`
	Reader   noroshi.Role     `json:"reader,omitempty"` // role of the person who read it first
	Late     bool             `json:"late,omitempty"`   // its receipt came, or is missing, past the agreement's clock
	Batch    string           `json:"batch,omitempty"`
	Hold     string           `json:"hold,omitempty"`
	Ways     []string         `json:"ways,omitempty"` // channels it was handed to, in their order
	Steps    []Step           `json:"steps,omitempty"`
}

// Step is one thing a partner said of a warning of ours: "stored", "applied",
// "read"; or what was done with it here: "withheld", "expired".
type Step struct {
	State string    `json:"state"`
	Time  time.Time `json:"time"`
}

// Detail is a warning with who has it.
type Detail struct {
	Row
	JSON       string     `json:"json"` // the exact bytes
	Deliveries []Delivery `json:"deliveries,omitempty"`
}

// Show returns one warning, or NotFound.
func (w *Watch) Show(ctx context.Context, id stix.ID) (Detail, error) {
	row, err := w.row(ctx, id)
	if err != nil {
		return Detail{}, err
	}
	r, err := w.store.Current(ctx, id)
	if err != nil {
		return Detail{}, err
	}
	d := Detail{Row: row, JSON: string(r.Object.Bytes())}
	d.Deliveries, err = w.deliveries(ctx, row.Seq)
	return d, err
}

// Row returns one warning as lists show it, or NotFound.
func (w *Watch) Row(ctx context.Context, id stix.ID) (Row, error) { return w.row(ctx, id) }

func (w *Watch) row(ctx context.Context, id stix.ID) (Row, error) {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	if err := w.catchUp(ctx); err != nil {
		return Row{}, err
	}
	row := w.board.rows[id]
	if row == nil {
		return Row{}, noroshi.Errorf(noroshi.NotFound, "warning.none", "no warning %s", id)
	}
	err := w.recount(ctx, row)
	return row.clone(), err
}

func (w *Watch) deliveries(ctx context.Context, seq int64) ([]Delivery, error) {
	partners, err := w.store.Partners(ctx)
	if err != nil {
		return nil, err
	}
	var list []Delivery
	for _, p := range partners {
		d := Delivery{Partner: p.Node, CallSign: p.Organisation.CallSign}
		a, err := w.agreementOf(ctx, p)
		if err != nil {
			return nil, err
		}
		if err := w.delivery(ctx, seq, a, &d); err != nil {
			return nil, err
		}
		if d.State != "" {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b Delivery) int { return cmp.Compare(a.CallSign, b.CallSign) })
	return list, nil
}

func (w *Watch) delivery(ctx context.Context, seq int64, a *noroshi.Agreement, d *Delivery) error {
	held, err := w.store.HeldFor(ctx, d.Partner, []int64{seq})
	if err != nil {
		return err
	}
	if d.Hold = held[seq]; d.Hold != "" {
		d.State = "held"
	}
	released, err := w.store.Released(ctx, d.Partner, []int64{seq})
	if err != nil {
		return err
	}
	if d.Batch = released[seq]; d.Batch == "" {
		return nil
	}
	state, since, err := w.store.Delivery(ctx, d.Batch, seq)
	if err != nil {
		return err
	}
	d.State, d.Since = deliveryStates[state], since
	t, err := w.store.Trail(ctx, d.Batch, seq)
	d.Ways = t.Ways
	for _, s := range t.Steps {
		d.Reader = cmp.Or(d.Reader, courier.ReaderOf(s))
		d.Steps = append(d.Steps, Step{deliveryStates[s.State], s.Time})
	}
	if err == nil && t.Created.IsZero() { // it waits for its message since its release
		var b store.Batch
		if b, err = w.store.Batch(ctx, d.Batch); err != nil {
			return err
		}
		var acts []store.Entry
		if acts, err = w.store.Acts(ctx, b.Act, 1); len(acts) > 0 {
			t.Precedence, t.Created = b.Precedence, acts[0].Time
		}
	}
	d.Late = late(t, a, state, w.o.Now())
	return err
}

// late reports whether the receipt of a message came, or is missing, past the
// clock of its precedence. What was withheld or has expired waits for none.
func late(t store.Trail, a *noroshi.Agreement, state store.OutState, now time.Time) bool {
	if a == nil || state >= store.Withheld {
		return false
	}
	clock := a.ClockFor(t.Precedence)
	if len(t.Steps) > 0 {
		now = t.Steps[0].Time
	}
	return clock.Receipt > 0 && now.Sub(t.Created) > clock.Receipt
}

// deliveryStates are the words for how far a message has got.
var deliveryStates = map[store.OutState]string{
	store.Committed: "released", store.Attempted: "sent", store.StoredThere: "stored", store.AppliedThere: "applied",
	store.ReadThere: "read", store.Withheld: "withheld", store.Expired: "expired",
}
