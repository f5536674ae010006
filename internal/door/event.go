package door

import (
	"context"
	"io"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/misp"
)

// mispFormat is the format of events: a file is made whole, so it has a bound.
const (
	mispFormat  = "misp"
	mispObjects = 200_000 // at most, of one file
)

// docMISP is the kind of document in which an import keeps what STIX cannot say
// of a MISP event; its key is the event's UUID. It goes to nobody outside.
const docMISP = "misp"

// writeEvent writes items as MISP events. An event that came from MISP and is
// asked for by its UUID is written with all that was kept of it.
func (d *Door) writeEvent(ctx context.Context, w io.Writer, x Export, items func(func(item) bool)) (r result, err error) {
	var objects []*stix.Object
	tags := map[stix.ID]string{}
	for it := range items {
		if len(objects) == mispObjects {
			return r, noroshi.Errorf(noroshi.Invalid, "export.too-many", "a MISP file has at most %d objects: export a collection or an event", mispObjects)
		}
		objects = append(objects, it.object)
		tags[it.object.ID] = tagOf(it.label)
	}
	r.Entries, r.Carried = len(objects), len(objects)
	if len(objects) == 0 {
		_, err := io.WriteString(w, `{"response":[]}`+"\n")
		return r, err
	}
	var rest []byte
	if x.Event != "" {
		rest, err = d.store.Doc(ctx, docMISP, x.Event)
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			return r, err
		}
	}
	b, notes, err := misp.Write(objects, rest, misp.Options{Marking: func(o *stix.Object) string { return tags[o.ID] }})
	if err != nil {
		return r, noroshi.Errorf(noroshi.Invalid, "export.event", "no MISP event can be made of it: %w", err)
	}
	r.Notes = len(notes)
	_, err = w.Write(b)
	return r, err
}

// tagOf is a label as a MISP tag.
func tagOf(l noroshi.Label) string {
	switch {
	case len(l.Markings()) > 0 || len(l.Unknown) > 0 || l.Exercise != "":
		return `marking:"` + l.String() + `"`
	case l.TLP == noroshi.NoTLP:
		return ""
	}
	return strings.ToLower(l.TLP.String())
}

// eventItems are the objects of a MISP event that came here: what its report or
// grouping refers to, and what stands between them.
func (d *Door) eventItems(ctx context.Context, x Export, give func(item) (bool, error)) error {
	var top store.Record
	for _, typ := range []string{"report", "grouping"} {
		r, err := d.store.Current(ctx, stix.ID(typ+"--"+strings.ToLower(x.Event)))
		if err == nil {
			top = r
		} else if noroshi.KindOf(err) != noroshi.NotFound {
			return err
		}
	}
	if top.Object == nil {
		return noroshi.Errorf(noroshi.NotFound, "export.no-event", "there is no event %s here", x.Event)
	}
	within, err := d.ceiling(x.Max)
	if err != nil {
		return err
	}
	labels, seen := d.store.Labels(nil), map[stix.ID]bool{top.Object.ID: true}
	for queue := []store.Record{top}; len(queue) > 0; queue = queue[1:] {
		r := queue[0]
		label, err := labels.Of(ctx, r)
		if err != nil {
			return err
		}
		if !r.Withdrawn && !r.Conflict && within(label) {
			if more, err := give(item{object: r.Object, label: label, seq: r.Seq}); err != nil || !more {
				return err
			}
		}
		next, err := d.around(ctx, r, seen)
		if err != nil {
			return err
		}
		queue = append(queue, next...)
	}
	return nil
}

// around returns what an object of an event refers to, and what of the same
// source refers to it, unless it was seen.
func (d *Door) around(ctx context.Context, r store.Record, seen map[stix.ID]bool) (list []store.Record, err error) {
	add := func(id stix.ID) error {
		if seen[id] {
			return nil
		}
		seen[id] = true
		n, err := d.store.Current(ctx, id)
		if noroshi.KindOf(err) == noroshi.NotFound || err == nil && n.Source.Owner() != r.Source.Owner() {
			return nil
		}
		list = append(list, n)
		return err
	}
	for _, ref := range r.Object.Refs() {
		if err := add(ref.Target); err != nil {
			return nil, err
		}
	}
	// Who made it made other things too, and what was observed others observed.
	if r.Object.Type == "identity" || r.Object.Modified.IsZero() {
		return list, nil
	}
	for after := stix.ID(""); ; {
		ids, err := d.store.Referrers(ctx, r.Object.ID, after, store.MaxPage)
		if err != nil || len(ids) == 0 {
			return list, err
		}
		for _, id := range ids {
			if t := id.Type(); t == "report" {
				continue
			}
			if err := add(id); err != nil {
				return nil, err
			}
		}
		after = ids[len(ids)-1]
	}
}
