package door

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// DocCollection is the kind of document that keeps a Collection; its key is the
// collection's id.
const DocCollection = "collection"

// Collection is one collection of this realm.
type Collection struct {
	ID          string         `json:"id"`   // UUIDv4: its TAXII id
	Name        string         `json:"name"` // its TAXII alias; unique
	Title       string         `json:"title,omitempty"`
	Description string         `json:"description,omitempty"`
	Partner     noroshi.NodeID `json:"partner,omitzero"`  // whose it is; zero = a shelf of our own
	Select      []string       `json:"select,omitempty"`  // what is laid there of all that is held: see ParseSelection
	Removed     bool           `json:"removed,omitempty"` // nobody reads or fills it any more, and its name is free
}

// Collections lists the collections by name.
func (d *Door) Collections(ctx context.Context) ([]Collection, error) {
	all, err := store.DocsOf[Collection](ctx, d.store.Reads, DocCollection)
	if err != nil {
		return nil, err
	}
	list := slices.SortedFunc(maps.Values(all), func(a, b Collection) int { return cmp.Compare(a.Name, b.Name) })
	return slices.DeleteFunc(list, func(c Collection) bool { return c.Removed }), nil
}

// Collection returns the collection of a name or id, or NotFound.
func (d *Door) Collection(ctx context.Context, name string) (Collection, error) {
	all, err := d.Collections(ctx)
	if err != nil {
		return Collection{}, err
	}
	for _, c := range all {
		if c.Name == name || c.ID == strings.ToLower(name) {
			return c, nil
		}
	}
	return Collection{}, noroshi.Errorf(noroshi.NotFound, "door.no-collection", "there is no collection %q", name)
}

// AddCollection makes a shelf. Its id is given.
func (d *Door) AddCollection(ctx context.Context, c Collection) (Collection, error) {
	if err := noroshi.CheckName(c.Name); err != nil {
		return c, err
	}
	sel, err := ParseSelection(c.Select)
	if err != nil {
		return c, err
	}
	if err := d.knows(ctx, sel); err != nil {
		return c, err
	}
	if c.Partner != (noroshi.NodeID{}) || strings.HasPrefix(strings.ToLower(c.Name), partnerPrefix) {
		return c, noroshi.Errorf(noroshi.Invalid, "door.partner-collection", "a partner's collection is made by the node, with the partner's first client: no other has a name that begins with %s", partnerPrefix)
	}
	return d.add(ctx, c)
}

// add keeps a collection, unless there is one of its name, or its partner's, by
// whoever made it meanwhile.
func (d *Door) add(ctx context.Context, c Collection) (Collection, error) {
	c.ID = uuid.NewString()
	body, err := json.Marshal(c)
	if err != nil {
		return c, err
	}
	_, err = d.store.Do(ctx, noroshi.Act{Action: noroshi.ActConfigure, Subject: c.ID}, func(tx *store.Tx) error {
		all, err := store.DocsOf[Collection](ctx, tx.Reads, DocCollection)
		if err != nil {
			return err
		}
		for _, have := range all {
			if have.Removed {
				continue
			}
			if have.Name == c.Name || have.ID == strings.ToLower(c.Name) || c.Partner != (noroshi.NodeID{}) && have.Partner == c.Partner {
				return noroshi.Errorf(noroshi.Conflict, "door.collection-exists", "there is a collection %q already", have.Name)
			}
		}
		return tx.PutDoc(DocCollection, c.ID, body)
	})
	return c, err
}

// RemoveCollection takes a shelf away, with what its clients may do there, and
// returns their names. What lay there stays held.
func (d *Door) RemoveCollection(ctx context.Context, name string) (clients []string, err error) {
	c, err := d.Collection(ctx, name)
	if err != nil {
		return nil, err
	}
	if c.Partner != (noroshi.NodeID{}) {
		return nil, noroshi.Errorf(noroshi.Refused, "door.remove-partner", "collection %q is a partner's: revoke the partner's clients, and nobody reads it", c.Name)
	}
	c.Removed = true
	_, err = d.store.Do(ctx, noroshi.Act{Action: noroshi.ActConfigure, Subject: c.ID}, func(tx *store.Tx) error {
		clients, err = endRights(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		return tx.PutJSON(DocCollection, c.ID, c)
	})
	return clients, err
}

// endRights ends what clients may do with a collection, and returns the names of
// those that could do something there.
func endRights(ctx context.Context, tx *store.Tx, collection string) (names []string, err error) {
	all, err := store.DocsOf[Client](ctx, tx.Reads, DocClient)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if !slices.Contains(c.Read, collection) && !slices.Contains(c.Write, collection) {
			continue
		}
		c.Read = slices.DeleteFunc(c.Read, func(id string) bool { return id == collection })
		c.Write = slices.DeleteFunc(c.Write, func(id string) bool { return id == collection })
		if err := tx.PutJSON(DocClient, c.Name, c); err != nil {
			return nil, err
		}
		if !c.Revoked {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// collectionOf returns a partner's collection, made when there is none.
func (d *Door) collectionOf(ctx context.Context, p noroshi.Partner) (Collection, error) {
	of := func() (Collection, bool, error) {
		all, err := d.Collections(ctx)
		i := slices.IndexFunc(all, func(c Collection) bool { return c.Partner == p.Node })
		if err != nil || i < 0 {
			return Collection{}, false, err
		}
		return all[i], true, nil
	}
	if c, found, err := of(); found || err != nil {
		return c, err
	}
	c, err := d.add(ctx, Collection{Name: partnerPrefix + p.Node.String()[:16], Title: string(p.Organisation.CallSign), Partner: p.Node})
	if noroshi.KindOf(err) == noroshi.Conflict {
		if made, found, err := of(); found || err != nil { // meanwhile, by an export say
			return made, err
		}
	}
	return c, err
}

// partnerPrefix begins the names of partners' collections.
const partnerPrefix = "partner."

// follower is the cursor of a collection that is filled by a follower.
func (c Collection) follower() string { return "door/" + c.ID }

// Step fills collections with what has come since the last time: at most a page
// of each. more reports whether some have not all there is. What was read in runs
// that are over comes on record.
func (d *Door) Step(ctx context.Context) (more bool, err error) {
	if err := d.Settle(ctx, false); err != nil {
		return false, err
	}
	all, err := d.Collections(ctx)
	if err != nil {
		return false, err
	}
	for _, c := range all {
		step := d.selected
		switch {
		case c.Partner != noroshi.NodeID{}:
			step = d.carried
		case len(c.Select) == 0:
			continue
		}
		again, err := step(ctx, c)
		if err != nil {
			return false, err
		}
		more = more || again
	}
	return more, nil
}

// carried lays on a partner's collection what messages to it carry.
func (d *Door) carried(ctx context.Context, c Collection) (more bool, err error) {
	after, err := d.store.Cursor(ctx, c.follower())
	if err != nil {
		return false, err
	}
	const messages = 16
	list, err := d.store.CarryingAfter(ctx, c.Partner, after, messages)
	if err != nil || len(list) == 0 {
		return false, err
	}
	for _, m := range list {
		rows, err := d.store.BatchRows(ctx, m.Batch, m.First, m.Count)
		if err != nil {
			return false, err
		}
		items := make([]store.Laid, len(rows))
		for i, r := range rows {
			items[i] = store.Laid{Seq: r.Seq, Message: m.N, Row: i}
		}
		_, err = d.store.Do(ctx, noroshi.Act{Action: noroshi.ActShelve, Subject: c.ID}, func(tx *store.Tx) error {
			laid, _, err := tx.Lay(c.ID, items)
			tx.Act().Count = laid
			if err != nil {
				return err
			}
			return tx.SetCursor(c.follower(), m.N)
		})
		if err != nil {
			return false, err
		}
	}
	return len(list) == messages, nil
}
