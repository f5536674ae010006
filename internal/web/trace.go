package web

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Origin is where one version of an object came from, and how.
type Origin struct {
	Seq      int64              `json:"seq"`
	Hash     noroshi.Hash       `json:"hash"`
	Modified string             `json:"modified,omitempty"`
	View     uint32             `json:"view,omitempty"` // number of the view a partner sent; 0 = whole
	Kind     noroshi.SourceKind `json:"kind"`
	From     string             `json:"from"`              // call sign, file or feed
	Message  noroshi.Hash       `json:"message,omitzero"`  // of the partner that brought it
	Person   string             `json:"person,omitempty"`  // who imported it
	Run      string             `json:"run,omitempty"`     // import or feed run
	Act      uint64             `json:"act"`               // ledger index of the act that brought it
	Time     time.Time          `json:"time,omitzero"`     // of that act
	Creator  stix.ID            `json:"creator,omitempty"` // created_by_ref
	Borne    bool               `json:"borne"`             // who brought it is who made it; else the maker is what it says
	Marking  string             `json:"marking"`
	State    string             `json:"state"` // "current", "withdrawn", "revoked", "foreign", "not-current", "conflict"
}

// origins tells where every version came from.
func (s *Services) origins(ctx context.Context, versions []store.Record) []Origin {
	list := []Origin{}
	for _, r := range versions {
		o := Origin{Seq: r.Seq, Hash: r.Hash, Modified: r.Object.Modified.String(), View: r.View, Kind: r.Source.Kind, From: s.from(ctx, r.Source),
			Message: r.Source.Message, Person: r.Source.Person, Run: r.Run, Act: r.Act, Creator: r.Object.CreatedBy,
			Borne: r.Creator || r.Source.Kind == noroshi.FromSelf, Marking: markingOf(r), State: versionState(r)}
		if acts, err := s.Store.Acts(ctx, r.Act, 1); err == nil && len(acts) > 0 && acts[0].Index == r.Act {
			o.Time = acts[0].Time
		}
		list = append(list, o)
	}
	return list
}

func versionState(r store.Record) string {
	switch {
	case r.Withdrawn:
		return "withdrawn"
	case r.Foreign:
		return "foreign"
	case r.Conflict:
		return "conflict"
	case !r.Current:
		return "not-current"
	case r.Object.Revoked:
		return "revoked"
	}
	return "current"
}

// Copy is one place where an object is, or was on its way to.
type Copy struct {
	Kind    string           `json:"kind"` // "message", "released" (not in the stream yet), "held"
	Partner noroshi.CallSign `json:"partner"`
	Seq     int64            `json:"seq"`            // the version
	View    uint32           `json:"view,omitempty"` // number of the view the partner gets
	Cut     []string         `json:"cut,omitempty"`  // what it does not get
	Message noroshi.Hash     `json:"message,omitzero"`
	Number  uint64           `json:"number,omitempty"` // sequence of the message
	Batch   string           `json:"batch,omitempty"`
	Hold    string           `json:"hold,omitempty"`
	State   string           `json:"state"`
	Since   time.Time        `json:"since,omitzero"`
}

// Traced is everything this node knows of where an object is: for the response
// to a spill.
type Traced struct {
	ID          stix.ID     `json:"id"`
	Origins     []Origin    `json:"origins"`
	Copies      []Copy      `json:"copies"`
	Exports     []ExportHad `json:"exports"` // files that had it
	Reads       []ReadHad   `json:"reads"`   // what clients fetched that may have had it
	Recalls     []RecallRow `json:"recalls"`
	Translation []stix.ID   `json:"translations"` // recalled with it
	Referrers   []stix.ID   `json:"referrers"`    // the first 1000: they name it
	Quarantined []int64     `json:"quarantined"`  // entries whose raw bytes name it
}

func recallFind(ctx context.Context, c *Call) (any, error) {
	var in ObjectRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	versions, err := c.Store.Versions(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	t := Traced{ID: in.ID, Origins: c.origins(ctx, versions), Copies: []Copy{}, Exports: []ExportHad{}, Reads: []ReadHad{}, Recalls: []RecallRow{}, Translation: []stix.ID{}, Referrers: []stix.ID{}, Quarantined: []int64{}}
	if err := c.copies(ctx, versions, &t); err != nil {
		return nil, err
	}
	if err := c.beside(ctx, versions, &t); err != nil {
		return nil, err
	}
	rows, err := c.recallRows(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		for _, id := range r.Objects {
			if id == in.ID {
				t.Recalls = append(t.Recalls, r)
				break
			}
		}
	}
	if len(versions)+len(t.Recalls) == 0 {
		return nil, noroshi.Errorf(noroshi.NotFound, "recall.no-object", "there is no object %s here", string(in.ID))
	}
	return t, c.around(ctx, &t)
}

// copies fills in what went, or waits to go, to each partner.
func (c *Call) copies(ctx context.Context, versions []store.Record, t *Traced) error {
	partners, err := c.Office.Partners(ctx)
	if err != nil {
		return err
	}
	seqs := make([]int64, len(versions))
	for i, v := range versions {
		seqs[i] = v.Seq
	}
	for _, p := range partners {
		sign := p.Organisation.CallSign
		carriers, err := c.Store.Carriers(ctx, p.Node, versions)
		if err != nil {
			return err
		}
		batches := map[string]bool{}
		for _, x := range carriers {
			m := x.Message
			batches[fmt.Sprint(m.Batch, x.Row.Seq)] = true
			t.Copies = append(t.Copies, Copy{Kind: "message", Partner: sign, Seq: x.Row.Seq, View: x.Row.N, Cut: x.Row.Cut, Message: m.ID, Number: m.Seq,
				Batch: m.Batch, State: deliveries[m.State], Since: m.StateTime})
		}
		released, err := c.Store.Released(ctx, p.Node, seqs)
		if err != nil {
			return err
		}
		held, err := c.Store.HeldFor(ctx, p.Node, seqs)
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			if b := released[seq]; b != "" && !batches[fmt.Sprint(b, seq)] {
				t.Copies = append(t.Copies, Copy{Kind: "released", Partner: sign, Seq: seq, Batch: b, State: "released"})
			}
			if h := held[seq]; h != "" {
				t.Copies = append(t.Copies, Copy{Kind: "held", Partner: sign, Seq: seq, Hold: h, State: "held"})
			}
		}
	}
	return nil
}

// ExportHad is an export that had an object.
type ExportHad struct {
	ID      string           `json:"id"`
	Format  string           `json:"format"`
	Partner noroshi.CallSign `json:"partner,omitempty"` // to whom; "" = inside
	Made    time.Time        `json:"made"`
	Marking string           `json:"marking"`
}

// ReadHad is what a client fetched, which may have had an object.
type ReadHad struct {
	Client     string    `json:"client"`
	Collection string    `json:"collection"`
	Format     string    `json:"format,omitempty"` // of an export; "" = a page
	Time       time.Time `json:"time"`
	Count      int       `json:"count"` // objects in it
}

// beside fills in what left by the door: exports and what clients read.
func (c *Call) beside(ctx context.Context, versions []store.Record, t *Traced) error {
	seqs := make([]int64, len(versions))
	for i, v := range versions {
		seqs[i] = v.Seq
	}
	exports, err := c.Door.Exports(ctx, seqs)
	if err != nil {
		return err
	}
	for _, x := range exports {
		had := ExportHad{ID: x.ID, Format: x.Format, Made: x.Made, Marking: x.Label}
		if x.Partner != (noroshi.NodeID{}) {
			had.Partner = c.callSign(ctx, x.Partner)
		}
		t.Exports = append(t.Exports, had)
	}
	reads, err := c.Door.Reads(ctx, seqs)
	for _, r := range reads {
		t.Reads = append(t.Reads, ReadHad{r.Client, r.Collection, r.Format, r.At, r.Count})
	}
	return err
}

// around fills in what else says something of the object.
func (c *Call) around(ctx context.Context, t *Traced) error {
	refs, err := c.Store.Referrers(ctx, t.ID, "", store.MaxPage)
	if err != nil {
		return err
	}
	for _, r := range refs {
		if t.Referrers = append(t.Referrers, r); r.Type() == "language-content" {
			t.Translation = append(t.Translation, r)
		}
	}
	for after := int64(0); ; {
		q, err := c.Store.QuarantineList(ctx, after, store.MaxPage)
		for _, x := range q {
			if after = x.Seq; bytes.Contains(x.Raw, []byte(t.ID)) {
				t.Quarantined = append(t.Quarantined, x.Seq)
			}
		}
		if err != nil || len(q) < store.MaxPage {
			return err
		}
	}
}
