package door

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/taxii"
)

// TAXII returns the collections as TAXII serves them. Inside says that whoever
// comes has come through the inner door: elsewhere our own tools are not let in,
// as if they were not known.
func (d *Door) TAXII(inside bool) taxii.Backend { return &backend{d, inside} }

type backend struct {
	*Door
	inside bool
}

// Authenticate says which client sends a request.
func (b *backend) Authenticate(_ context.Context, r *http.Request) (string, error) {
	c, err := b.client(r)
	if err != nil {
		return "", err
	}
	if c.Partner == (noroshi.NodeID{}) && !b.inside {
		return "", taxii.ErrUnauthorized
	}
	return c.Name, nil
}

// known returns a client that was let in a moment ago.
func (b *backend) known(ctx context.Context, name string) (Client, error) {
	all, err := store.DocsOf[Client](ctx, b.store.Reads, DocClient)
	if err != nil {
		return Client{}, err
	}
	c, ok := all[name]
	if !ok || c.Revoked {
		return Client{}, taxii.ErrUnauthorized
	}
	return c, nil
}

// may says what a client may do with a collection.
func (c Client) may(col Collection) (read, write bool) {
	if c.Partner != (noroshi.NodeID{}) || col.Partner != (noroshi.NodeID{}) {
		return c.Partner == col.Partner, false
	}
	return slices.Contains(c.Read, col.ID), slices.Contains(c.Write, col.ID)
}

// Collections lists what a client can see.
func (b *backend) Collections(ctx context.Context, client string) ([]taxii.Collection, error) {
	c, err := b.known(ctx, client)
	if err != nil {
		return nil, err
	}
	all, err := b.Door.Collections(ctx)
	if err != nil {
		return nil, err
	}
	list := []taxii.Collection{}
	for _, col := range all {
		read, write := c.may(col)
		if !read && !write {
			continue
		}
		t := taxii.Collection{ID: col.ID, Title: col.Title, Description: col.Description, Alias: col.Name,
			CanRead: read, CanWrite: write, MediaTypes: []string{taxii.StixMediaType}}
		if t.Title == "" {
			t.Title = col.Name
		}
		list = append(list, t)
	}
	return list, nil
}

// allowed returns the client and the collection if the one may do what it asks
// for with the other.
func (b *backend) allowed(ctx context.Context, client, collection string, write bool) (c Client, col Collection, err error) {
	if c, err = b.known(ctx, client); err != nil {
		return c, col, err
	}
	col, err = b.Collection(ctx, collection)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return c, col, taxii.ErrNotFound
	}
	if err != nil {
		return c, col, err
	}
	mayRead, mayWrite := c.may(col)
	switch {
	case !mayRead && !mayWrite:
		return c, col, taxii.ErrNotFound
	case write && !mayWrite, !write && !mayRead:
		return c, col, taxii.ErrForbidden
	}
	return c, col, nil
}

// Page returns what a client may read of a collection. That it was read is on
// record before it goes.
func (b *backend) Page(ctx context.Context, client, collection string, q taxii.Query) ([]taxii.Record, bool, error) {
	c, col, err := b.allowed(ctx, client, collection, false)
	if err != nil {
		return nil, false, err
	}
	if err := b.o.MayLeave(ctx); noroshi.KindOf(err) == noroshi.Refused {
		return nil, false, taxii.ErrUnavailable
	} else if err != nil {
		return nil, false, err
	}
	show, atOnce := b.own, store.MaxPage
	by := citations{clause: map[time.Time]string{}}
	if col.Partner != (noroshi.NodeID{}) {
		show, atOnce = b.cleared(&by), clearedAtOnce
		if !b.paces.read(col.Partner, b.o.Now()) {
			return nil, false, taxii.ErrUnavailable
		}
		select {
		case b.clears <- struct{}{}:
			defer func() { <-b.clears }()
		case <-ctx.Done():
			return nil, false, taxii.ErrUnavailable
		}
	}
	sq := queryOf(col, q)
	var out []taxii.Record
	size, more := 0, true
	// What is not shown counts for nothing: where a page ends tells only of what is.
	full := func() bool { return len(out) >= q.Limit || q.Size > 0 && size >= q.Size }
	for more && !full() {
		var list []store.Shelved
		sq.Limit, sq.Size = min(q.Limit-len(out), atOnce), max(q.Size-size, 0)
		if col.Partner != (noroshi.NodeID{}) {
			sq.Size = clearedBytes
		}
		if list, more, err = b.store.Shelf(ctx, sq); err != nil {
			return nil, false, err
		}
		part, err := show(ctx, c, list, q.Bodies)
		if err != nil {
			return nil, false, err
		}
		for _, r := range part {
			if full() {
				break
			}
			out, size = append(out, r), size+len(r.Bytes)
		}
		if len(list) > 0 {
			sq.After = list[len(list)-1].Added
		}
	}
	if full() {
		sq.After = out[len(out)-1].Added
		if more, err = b.follows(ctx, c, sq, show); err != nil {
			return nil, false, err
		}
	}
	if col.Partner != (noroshi.NodeID{}) {
		return out, more, b.noteServed(ctx, c, col, out, by)
	}
	return out, more, b.noteRead(ctx, c, col, out)
}

// Bounds of what is cleared for a partner at a time: objects, and bytes of them,
// beyond which one more is not begun.
const (
	clearedAtOnce = 128
	clearedBytes  = 16 << 20
)

// follows reports whether anything the client may see comes after a full page.
func (b *backend) follows(ctx context.Context, c Client, sq store.ShelfQuery, show shower) (bool, error) {
	sq.Limit, sq.Size, sq.Bodies = 1, clearedBytes, false
	for {
		list, more, err := b.store.Shelf(ctx, sq)
		if err != nil || len(list) == 0 {
			return false, err
		}
		part, err := show(ctx, c, list, false)
		if err != nil || len(part) > 0 {
			return len(part) > 0, err
		}
		if !more {
			return false, nil
		}
		sq.After, sq.Limit = list[len(list)-1].Added, clearedAtOnce
	}
}

func queryOf(col Collection, q taxii.Query) store.ShelfQuery {
	sq := store.ShelfQuery{Collection: col.ID, After: q.After, Bodies: q.Bodies && col.Partner == noroshi.NodeID{}, IDs: q.IDs, Types: q.Types}
	if len(q.Specs) > 0 && !slices.Contains(q.Specs, "2.1") {
		sq.Types = []string{""} // everything here is STIX 2.1
	}
	for _, v := range q.Version {
		sq.Versions = append(sq.Versions, store.VersionOf{First: v.Kind == taxii.First, Last: v.Kind == taxii.Last, All: v.Kind == taxii.All, At: v.At})
	}
	return sq
}

// shower turns what lies on a shelf into what a client sees of it.
type shower func(ctx context.Context, c Client, list []store.Shelved, bodies bool) ([]taxii.Record, error)

func recordOf(x store.Shelved, body []byte) taxii.Record {
	r := taxii.Record{ID: x.ID, Version: x.Version, Added: x.Added, Bytes: body}
	if r.Version == "" {
		r.Version = taxii.Timestamp(x.Added)
	}
	return r
}

// own shows one of our own tools what is not above its highest label, with the
// markings that were assigned here among its own: the tool has no label beside
// an object. What has none assigned goes as it came.
func (b *backend) own(ctx context.Context, c Client, list []store.Shelved, bodies bool) ([]taxii.Record, error) {
	within, err := b.ceiling(c.Max)
	if err != nil {
		return nil, err
	}
	known, err := b.records(ctx, list, len(c.Max) > 0)
	if err != nil {
		return nil, err
	}
	out, labels := make([]taxii.Record, 0, len(list)), b.store.Labels(nil)
	for _, x := range list {
		r, ok := known[x.Seq]
		if !ok && (len(c.Max) > 0 || x.Beside) {
			continue // gone meanwhile
		}
		if ok {
			label, err := labels.Of(ctx, r)
			if err != nil {
				return nil, err
			}
			if !within(label) {
				continue
			}
			if bodies && x.Beside {
				o, err := noroshi.Labelled(r.Object, label)
				if err != nil {
					return nil, err
				}
				x.Body = o.Bytes()
			}
		}
		out = append(out, recordOf(x, x.Body))
	}
	return out, nil
}

// records reads the records, by sequence, whose label a page needs: all of
// them, or those that markings were assigned to.
func (b *backend) records(ctx context.Context, list []store.Shelved, all bool) (map[int64]store.Record, error) {
	var seqs []int64
	for _, x := range list {
		if all || x.Beside {
			seqs = append(seqs, x.Seq)
		}
	}
	if len(seqs) == 0 {
		return nil, nil
	}
	recs, err := b.store.Records(ctx, seqs)
	if err != nil {
		return nil, err
	}
	bySeq := make(map[int64]store.Record, len(recs))
	for _, r := range recs {
		bySeq[r.Seq] = r
	}
	return bySeq, nil
}

// cleared shows a partner what the exit gate clears now, and notes by what.
func (b *backend) cleared(by *citations) shower {
	return func(ctx context.Context, c Client, list []store.Shelved, bodies bool) ([]taxii.Record, error) {
		places := make([]release.Place, len(list))
		for i, x := range list {
			places[i] = release.Place{Batch: x.Batch, Row: x.Ordinal}
		}
		fetched, err := b.desk.Fetch(ctx, c.Partner, places)
		if err != nil {
			return nil, err
		}
		out := make([]taxii.Record, 0, len(list))
		for i, cleared := range fetched {
			if !cleared.Valid() {
				continue
			}
			r := recordOf(list[i], nil)
			if bodies {
				r.Bytes = cleared.Objects()[0].Bytes
			}
			by.agreement, by.clause[r.Added] = cleared.Batch().Agreement, cleared.Batch().Clause
			out = append(out, r)
		}
		return out, nil
	}
}
