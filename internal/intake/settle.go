package intake

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake/lift"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// made is what an element's object is made of: its times are settled by what is
// here already.
type made struct {
	item lift.Item
	body noroshi.Hash // of the object with the times of this import: what it says
}

// makeFirst makes an item's object as it is when it was never here.
func makeFirst(item lift.Item, first stix.Time) (*stix.Object, error) {
	created, modified := item.Created, item.Modified
	if created.IsZero() {
		created = first
	}
	if modified.IsZero() || modified.Compare(created) < 0 {
		modified = created
	}
	return item.Make(created, modified)
}

// settle gives what was made its times, in the order of the input and before
// the write lane: what says the same is here already, what says something else
// is a later version. Of two parts of one input that say different things under
// one id the first stands.
func (im *importing) settle(ctx context.Context, elements []element) error {
	var ids []stix.ID
	for i := range elements {
		if elements[i].made != nil {
			ids = append(ids, elements[i].version.Object.ID)
		}
	}
	held, err := im.gate.store.Held(ctx, ids)
	if err != nil {
		return fmt.Errorf("look up what was lifted: %w", err)
	}
	for i := range elements {
		e := &elements[i]
		if e.made == nil {
			continue
		}
		if err := im.renew(ctx, e, held); err != nil {
			return err
		}
		if im.twice(e) {
			continue
		}
		if id := e.version.Object.ID; held[id] {
			if err := im.meetMade(ctx, e); err != nil {
				return err
			}
		} else if stale := e.made.item.Stale; stale != "" {
			im.refuse(e, codeMalformed, errors.New(stale))
			continue
		}
		e.made = nil
	}
	return nil
}

// renew makes an element under its next id while the one it has was revoked as
// it had vanished.
func (im *importing) renew(ctx context.Context, e *element, held map[stix.ID]bool) error {
	for e.made.item.Next != nil && held[e.version.Object.ID] {
		known, err := im.gate.known(ctx, []stix.ID{e.version.Object.ID})
		if err != nil {
			return err
		}
		if k := known[e.version.Object.ID]; k == nil || !k.over {
			return nil
		}
		again := im.lifted(liftedItem{Item: e.made.item.Next()})
		again.index, again.raw, again.place = e.index, e.raw, e.place
		im.complete(&again, e.raw)
		if *e = again; e.version == nil || e.made == nil {
			return nil
		}
		more, err := im.gate.store.Held(ctx, []stix.ID{e.version.Object.ID})
		if err != nil {
			return err
		}
		maps.Copy(held, more)
	}
	return nil
}

// twice reports, and refuses, what an earlier part of this input contradicts.
func (im *importing) twice(e *element) bool {
	if im.said == nil {
		im.said = map[uint64]uint64{}
	}
	id := e.version.Object.ID
	key := noroshi.Sum([]byte(id))
	at, body := binary.BigEndian.Uint64(key[:]), binary.BigEndian.Uint64(e.made.body[:])
	was, again := im.said[at]
	if !again {
		im.said[at] = body
	}
	if !again || was == body {
		return false
	}
	im.refuse(e, codeTwice, noroshi.Errorf(noroshi.Conflict, "intake.twice", "an earlier part of this input says something else of the same: %s", string(id)))
	return true
}

// refuse quarantines an element that was good until its place was found.
func (im *importing) refuse(e *element, code string, why error) {
	raw := e.raw
	if raw == nil {
		raw = e.version.Object.Bytes()
	}
	*e = element{index: e.index, place: e.place, refused: refuseFor(code, why)}
	im.complete(e, raw)
}

// meetMade settles an element whose id is here.
func (im *importing) meetMade(ctx context.Context, e *element) error {
	id, item, owner := e.version.Object.ID, e.made.item, e.version.Source.Owner()
	versions, err := im.gate.store.Versions(ctx, id)
	if err != nil {
		return err
	}
	versions = slices.DeleteFunc(versions, func(r store.Record) bool { return r.Source.Owner() != owner })
	var created, latest stix.Time
	dated := item.Modified
	for _, r := range versions {
		if dated.IsZero() && !r.Current {
			continue
		}
		o, err := item.Make(r.Object.Created, r.Object.Modified)
		if err != nil {
			return err
		}
		if bytes.Equal(o.Bytes(), r.Object.Bytes()) {
			e.known = &knownVersion{seq: r.Seq, tlp: max(strictest(r.Assigned), strictest(r.Object.Markings)), assigned: r.Assigned}
			return nil
		}
	}
	for _, r := range versions {
		created = r.Object.Created
		if r.Object.Modified.Compare(latest) > 0 {
			latest = r.Object.Modified
		}
		if !dated.IsZero() && r.Object.Modified.Compare(dated) == 0 {
			dated = stix.Time{}
		}
	}
	if len(versions) == 0 {
		return nil
	}
	if dated.IsZero() {
		if dated = im.feed.First; dated.Compare(latest) <= 0 {
			dated = stix.TimeOf(latest.Time().Add(time.Millisecond))
		}
	}
	o, err := item.Make(created, dated)
	if err != nil {
		return err
	}
	e.version.Object, e.version.Hash = o, o.Hash()
	return nil
}
