package courier

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// saidByNone returns of versions that the partner brought those that no message of it
// that is believed brought too, as saidAgain has it.
func saidByNone(list []taken, said map[broughtObject]bool) (left []taken) {
	for _, t := range list {
		t.versions = slices.DeleteFunc(slices.Clone(t.versions), func(v store.Record) bool {
			return said[broughtObject{ID: v.Object.ID, View: v.View, Hash: v.Hash}]
		})
		if len(t.versions) > 0 {
			t.entry.Modified = modifiedText(newestOf(t.versions))
			left = append(left, t)
		}
	}
	return left
}

// saidAgain returns what messages of the partner that are believed list of what some
// objects' versions say. A version belongs to the message that came first with it; one
// that came later with the same bytes lists them. believed says which count.
func (l *link) saidAgain(ctx context.Context, r store.Reads, list []taken, believed func(*message.Message) bool) (map[broughtObject]bool, error) {
	if len(list) == 0 {
		return nil, nil
	}
	about := map[stix.ID]bool{}
	for _, t := range list {
		about[t.entry.Object] = true
	}
	said := map[broughtObject]bool{}
	among := func(o broughtObject) bool { return about[o.ID] }
	err := l.eachListing(ctx, r, among, func(m *message.Message, objects []broughtObject) {
		if believed(m) {
			for _, o := range objects {
				said[o] = true
			}
		}
	})
	return said, err
}

// eachListing calls fn for every message of the partner that lists what it brought, with
// what of that is asked for.
func (l *link) eachListing(ctx context.Context, r store.Reads, asked func(broughtObject) bool, fn func(*message.Message, []broughtObject)) error {
	docs, err := r.DocsUnder(ctx, docBrought, l.node().String())
	if err != nil {
		return err
	}
	for key, body := range docs {
		var objects []broughtObject
		if json.Unmarshal(body, &objects) != nil {
			return noroshi.Errorf(noroshi.Broken, "courier.stream", "what message %s brought cannot be read: run audit verify", key)
		}
		objects = slices.DeleteFunc(objects, func(o broughtObject) bool { return !asked(o) })
		if len(objects) == 0 {
			continue
		}
		m, err := l.listing(ctx, r, key)
		if err != nil {
			return err
		}
		if m != nil {
			fn(m, objects)
		}
	}
	return nil
}

// listing returns the message that a document of docBrought is of, nil for one that
// brings nothing.
func (l *link) listing(ctx context.Context, r store.Reads, key string) (*message.Message, error) {
	var e epochID
	of, number, _ := strings.Cut(strings.TrimPrefix(key, l.node().String()+"/"), "/")
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil || e.UnmarshalText([]byte(of)) != nil {
		return nil, noroshi.Errorf(noroshi.Broken, "courier.stream", "%q names no message: run audit verify", key)
	}
	rows, err := r.In(ctx, l.node(), message.Epoch(e), seq, 1)
	if err != nil || len(rows) == 0 || rows[0].Seq != seq || rows[0].State != store.Applied || len(rows[0].Signed) == 0 {
		return nil, err
	}
	return message.DecodeSigned(l.c.o.Realm, rows[0].Signed)
}
