package feed

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Feeds lists the feeds by name.
func (rd *Reader) List(ctx context.Context) ([]Feed, error) {
	all, err := store.DocsOf[Feed](ctx, rd.store.Reads, Doc)
	if err != nil {
		return nil, err
	}
	list := slices.SortedFunc(maps.Values(all), func(a, b Feed) int { return cmp.Compare(a.Name, b.Name) })
	return slices.DeleteFunc(list, func(f Feed) bool { return f.Removed }), nil
}

// Feed returns a feed by name, or NotFound.
func (rd *Reader) Feed(ctx context.Context, name string) (Feed, error) {
	all, err := rd.List(ctx)
	if err != nil {
		return Feed{}, err
	}
	i := slices.IndexFunc(all, func(f Feed) bool { return f.Name == name })
	if i < 0 {
		return Feed{}, noroshi.Errorf(noroshi.NotFound, "feed.none", "there is no feed %q", name)
	}
	return all[i], nil
}

// Add adds a feed, which is due at once. A name that was removed may be given
// again: what the former one of it brought stays, and it begins anew.
func (rd *Reader) Add(ctx context.Context, f Feed) (Feed, error) {
	f.Added, f.Removed = rd.o.Now().UTC(), false
	if err := f.Check(); err != nil {
		return f, err
	}
	if err := rd.mayAsk(f); err != nil {
		return f, err
	}
	_, err := rd.store.Do(ctx, noroshi.Act{Action: noroshi.ActConfigure, Subject: "feed " + f.Name}, func(tx *store.Tx) error {
		had, err := tx.Doc(ctx, Doc, f.Name)
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			return err
		}
		var old Feed
		if err == nil && json.Unmarshal(had, &old) == nil && !old.Removed {
			return noroshi.Errorf(noroshi.Conflict, "feed.exists", "there is a feed %q already: remove it first", f.Name)
		}
		if err := tx.PutDoc(DocState, f.Name, []byte("{}")); err != nil {
			return err
		}
		return tx.PutJSON(Doc, f.Name, f)
	})
	rd.wakeUp()
	return f, err
}

// mayAsk says at once what fetch would say of an address at every run.
func (rd *Reader) mayAsk(f Feed) error {
	if f.URL == "" {
		return nil
	}
	out, err := rd.outside(f)
	if err != nil {
		return err
	}
	defer out.Close()
	return out.check()
}

// Pause stops or resumes the schedule of a feed; it can still be run by hand.
func (rd *Reader) Pause(ctx context.Context, name string, paused bool) error {
	f, err := rd.Feed(ctx, name)
	if err != nil || f.Paused == paused {
		return err
	}
	f.Paused = paused
	defer rd.wakeUp()
	return rd.keep(ctx, f)
}

// Remove ends a feed. What it brought stays as it is.
func (rd *Reader) Remove(ctx context.Context, name string) error {
	f, err := rd.Feed(ctx, name)
	if err != nil {
		return err
	}
	f.Removed = true
	return rd.keep(ctx, f)
}

// Status is a feed and how it stands.
type Status struct {
	Feed
	State   State     `json:"state"`
	Due     time.Time `json:"due,omitzero"`      // when it is read next; zero while it is paused
	Silent  bool      `json:"silent,omitempty"`  // not read well for three intervals
	Reading bool      `json:"reading,omitempty"` // it is being read
}

// Statuses tells how the feeds stand, by name.
func (rd *Reader) Statuses(ctx context.Context) ([]Status, error) {
	feeds, err := rd.List(ctx)
	if err != nil {
		return nil, err
	}
	states, err := store.DocsOf[State](ctx, rd.store.Reads, DocState)
	if err != nil {
		return nil, err
	}
	now := rd.o.Now()
	list := make([]Status, len(feeds))
	for i, f := range feeds {
		s := states[f.Name]
		due, _ := s.Due(f, now)
		list[i] = Status{Feed: f, State: s, Due: due, Silent: s.Silent(f, now), Reading: rd.reading(f.Name)}
	}
	return list, nil
}

// Status tells how one feed stands, or NotFound.
func (rd *Reader) Status(ctx context.Context, name string) (Status, error) {
	list, err := rd.Statuses(ctx)
	if err != nil {
		return Status{}, err
	}
	i := slices.IndexFunc(list, func(f Status) bool { return f.Name == name })
	if i < 0 {
		return Status{}, noroshi.Errorf(noroshi.NotFound, "feed.none", "there is no feed %q", name)
	}
	return list[i], nil
}

// state reads how a feed's last run went.
func (rd *Reader) state(ctx context.Context, name string) (State, error) {
	return store.DocOrZero[State](ctx, rd.store.Reads, DocState, name)
}

// keep writes a feed anew in an act of its own.
func (rd *Reader) keep(ctx context.Context, f Feed) error {
	_, err := rd.store.Do(ctx, noroshi.Act{Action: noroshi.ActConfigure, Subject: "feed " + f.Name}, func(tx *store.Tx) error {
		return tx.PutJSON(Doc, f.Name, f)
	})
	return err
}
