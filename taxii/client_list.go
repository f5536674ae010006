package taxii

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/noroshi-cti/noroshi/stix"
)

// Element is one element of a page: an object, or why it is none. One that is
// none does not keep back the others.
type Element struct {
	Object *stix.Object // nil where Err is set
	Raw    []byte       // the bytes as the server sent them
	Err    error
}

// Page is what one answer brought that a walk had not handed out yet.
type Page struct {
	Elements []Element
	Position Position // once the elements are dealt with: where to go on another time
	Faults   []Fault  // what the server did that the standard does not
}

// Fault is something a server did wrong and the walk went around.
type Fault struct {
	Code string // stable: "next", "loop", "order", "dates", "empty", "endless", "stalled", "limit"
	Msg  string // English
}

// Faults that may mean that something was not handed out.
const (
	FaultStalled = "stalled" // more records of one date than the server gives at once, and no next
	FaultOrder   = "order"   // not by date, as section 3.4 asks; harmless as long as next leads on
)

// Objects walks over the objects of a collection, oldest first (section 5.4),
// from a position on. It ends when the server, asked again from the last date,
// has nothing new; while others write without pause it goes on.
//
// Every record that can be reached is handed out at least once. What was handed
// out lately (id, version and bytes) is not handed out again, as far back
// as Remember says. q.After is the start where from is zero; q.Limit = 0 means the
// client's; q.Bodies is not looked at.
//
// An error ends the walk and stands for no page; the walk goes on another time
// from the last page's position.
func (c *Client) Objects(ctx context.Context, root, collection string, q Query, from Position) iter.Seq2[Page, error] {
	w, err := c.walk(root, collection, []string{"objects"}, q, from, listing{[]string{"objects", "items"}, readObject})
	return pagesOf(ctx, w, err)
}

// Object walks over the versions of one object that q.Version
// asks for (section 5.6), as Objects does.
func (c *Client) Object(ctx context.Context, root, collection string, id stix.ID, q Query, from Position) iter.Seq2[Page, error] {
	w, err := c.walk(root, collection, []string{"objects", string(id)}, q, from, listing{[]string{"objects", "items"}, readObject})
	return pagesOf(ctx, w, err)
}

func pagesOf(ctx context.Context, w *walk, err error) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		if err != nil {
			yield(Page{}, err)
			return
		}
		for got, err := range w.pages(ctx) {
			p := Page{Position: got.position, Faults: got.faults}
			for _, e := range got.elements {
				p.Elements = append(p.Elements, Element{e.object, e.raw, e.err})
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// Entry is an entry of the manifest (section 5.3.1).
type Entry struct {
	ID        stix.ID `json:"id"`
	DateAdded string  `json:"date_added"` // as spelled
	Version   string  `json:"version"`
	MediaType string  `json:"media_type"`
}

// Manifest walks over the manifest of a collection (section 5.3), as Objects
// does over its objects. An entry that cannot be read is an error of its own,
// and the walk goes on.
func (c *Client) Manifest(ctx context.Context, root, collection string, q Query) iter.Seq2[Entry, error] {
	w, err := c.walk(root, collection, []string{"manifest"}, q, Position{}, manifestListing)
	return func(yield func(Entry, error) bool) {
		if err != nil {
			yield(Entry{}, err)
			return
		}
		for got, err := range w.pages(ctx) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range got.elements {
				if !yield(e.entry, e.err) {
					return
				}
			}
		}
	}
}

// Versions lists the versions of an object (section 5.8), as spelled.
func (c *Client) Versions(ctx context.Context, root, collection string, id stix.ID, q Query) ([]string, error) {
	w, err := c.walk(root, collection, []string{"objects", string(id), "versions"}, q, Position{}, listing{[]string{"versions"}, readVersion})
	if err != nil {
		return nil, err
	}
	var out []string
	for got, err := range w.pages(ctx) {
		if err != nil {
			return out, err
		}
		for _, e := range got.elements {
			if e.err != nil {
				return out, e.err
			}
			out = append(out, e.entry.Version)
		}
	}
	return out, nil
}

// element is one element of a page, read.
type element struct {
	object *stix.Object
	entry  Entry
	raw    []byte
	err    error
	added  time.Time // where the element says it
	mark   mark
}

func markOf(record string, raw []byte) mark {
	r, b := sha256.Sum256([]byte(record)), sha256.Sum256(raw)
	return mark{binary.BigEndian.Uint64(r[:]), binary.BigEndian.Uint64(b[:])}
}

func readObject(raw []byte) element {
	o, err := stix.Parse(raw)
	if err != nil {
		return element{raw: raw, err: err, mark: markOf(string(raw), raw)}
	}
	return element{object: o, raw: raw, entry: Entry{ID: o.ID, Version: versionOf(o)}, mark: markOf(string(o.ID)+" "+versionOf(o), raw)}
}

// versionOf is the version of an object as TAXII counts it (section 3.4.1).
func versionOf(o *stix.Object) string {
	if !o.Modified.IsZero() {
		return o.Modified.String()
	}
	return o.Created.String()
}

var manifestListing = listing{[]string{"objects", "manifest", "items"}, readEntry}

func readEntry(raw []byte) element {
	e := element{raw: raw}
	e.err = json.Unmarshal(raw, &e.entry)
	if e.err == nil && e.entry.ID == "" {
		e.err = errors.New("no id")
	}
	if e.err != nil {
		e.err = fmt.Errorf("manifest entry: %w", e.err)
		e.mark = markOf(string(raw), raw)
		return e
	}
	e.added = headerTime(e.entry.DateAdded)
	e.mark = markOf(string(e.entry.ID)+" "+e.entry.Version, raw)
	return e
}

func readVersion(raw []byte) element {
	e := element{raw: raw, mark: markOf(string(raw), raw)}
	if err := json.Unmarshal(raw, &e.entry.Version); err != nil {
		e.err = fmt.Errorf("version: %w", err)
	}
	return e
}
