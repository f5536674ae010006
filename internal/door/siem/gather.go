package siem

import (
	"bytes"
	"context"

	"github.com/go-json-experiment/json"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Bounds of one batch: what is read, made and written at once.
const (
	maxBatch   = 100  // events of either source
	maxChanges = 1000 // changes looked at
)

// place is how far a destination has got: the last change of the feed and how
// many acts of the ledger were looked at.
type place struct{ feed, acts int64 }

// Names of the places in the store.
func (s *Sender) feedCursor() string { return "siem/" + s.dest.Name + "/feed" }
func (s *Sender) actsCursor() string { return "siem/" + s.dest.Name + "/acts" }

// kept returns the durable place.
func (s *Sender) kept(ctx context.Context) (p place, err error) {
	if p.feed, err = s.store.Cursor(ctx, s.feedCursor()); err != nil {
		return p, err
	}
	p.acts, err = s.store.Cursor(ctx, s.actsCursor())
	return p, err
}

// keep makes a place durable. What did not move, or is not asked for, is not
// written: who asks for it later gets it from its beginning.
func (s *Sender) keep(ctx context.Context, from, to place) error {
	if to.feed != from.feed && s.follows() {
		if err := s.store.Advance(ctx, s.feedCursor(), to.feed); err != nil {
			return err
		}
	}
	if to.acts != from.acts && s.wants(Audit) {
		return s.store.Advance(ctx, s.actsCursor(), to.acts)
	}
	return nil
}

// docSIEM keeps what a destination gets, key: its name: the record of who was
// told what since when.
const docSIEM = "siem"

// announce enters in the ledger what a destination is to get, when that is new.
func (s *Sender) announce(ctx context.Context) error {
	body, err := json.Marshal(struct {
		Address    string   `json:"address"`
		Format     Format   `json:"format"`
		Max        string   `json:"max"`
		What       []Kind   `json:"what"`
		Lang       string   `json:"lang"`
		Statements []string `json:"statements,omitempty"`
	}{s.dest.Address, s.dest.Format, s.dest.Max.String(), s.dest.What, s.dest.Lang, s.dest.Statements})
	if err != nil {
		return err
	}
	old, err := s.store.Doc(ctx, docSIEM, s.dest.Name)
	if err == nil && bytes.Equal(old, body) || err != nil && noroshi.KindOf(err) != noroshi.NotFound {
		return err
	}
	act := noroshi.Act{Action: noroshi.ActConfigure, Subject: "siem:" + s.dest.Name}
	_, err = s.store.Do(ctx, act, func(tx *store.Tx) error { return tx.PutDoc(docSIEM, s.dest.Name, body) })
	return err
}

// head returns the place of everything there is.
func (s *Sender) head(ctx context.Context) (p place, err error) {
	if p.feed, err = s.store.Head(ctx); err != nil {
		return p, err
	}
	next, err := s.store.NextAct(ctx)
	p.acts = int64(next)
	return p, err
}

// batch is what comes after a place.
type batch struct {
	frames   []byte
	sent     int
	withheld int
	to       place
	more     bool // there is more right behind it
}

// gather reads what comes after a place: at most most acts, and as many changes
// as make that many events, or maxChanges of them.
func (s *Sender) gather(ctx context.Context, from place, most int) (b batch, err error) {
	b.to = from
	if err := s.changes(ctx, &b, most); err != nil {
		return b, err
	}
	return b, s.acts(ctx, &b, most)
}

// changes takes warnings and sightings out of the feed.
func (s *Sender) changes(ctx context.Context, b *batch, most int) error {
	if !s.follows() {
		var err error
		b.to.feed, err = s.store.Head(ctx)
		return err
	}
	list, err := s.store.Feed(ctx, b.to.feed, maxChanges)
	if err != nil {
		return err
	}
	b.more = b.more || len(list) == maxChanges
	var found []store.Change
	for _, c := range list {
		if typ := stix.ID(c.ID).Type(); c.Kind == store.ObjectChanged && (typ == "report" || typ == "sighting") {
			if len(found) == most {
				b.more = true
				break
			}
			found = append(found, c)
		}
		b.to.feed = c.Seq
	}
	for _, c := range found { // one by one: an object may have 8 MiB
		records, err := s.store.Records(ctx, []int64{c.Seq})
		if err != nil {
			return err
		}
		for _, r := range records {
			t, err := s.object(ctx, r, c.Time)
			if err != nil {
				return err
			}
			s.add(b, t)
		}
	}
	return nil
}

// acts takes acts out of the ledger.
func (s *Sender) acts(ctx context.Context, b *batch, most int) error {
	if !s.wants(Audit) {
		next, err := s.store.NextAct(ctx)
		b.to.acts = int64(next)
		return err
	}
	entries, err := s.store.Acts(ctx, uint64(b.to.acts), most)
	if err != nil {
		return err
	}
	b.more = b.more || len(entries) == most
	for _, a := range entries {
		t, err := s.act(ctx, a)
		if err != nil {
			return err
		}
		s.add(b, t)
		b.to.acts = int64(a.Index) + 1
	}
	return nil
}

// add writes an event into a batch, or counts it as withheld.
func (s *Sender) add(b *batch, t told) {
	if t.event == nil {
		if t.withheld {
			b.withheld++
		}
		return
	}
	msg, ok := Message(s.dest.Format, s.o.Version, t.event)
	if !ok {
		b.withheld++
		return
	}
	b.frames = Frame(b.frames, msg)
	b.sent++
}
