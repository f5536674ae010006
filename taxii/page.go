package taxii

import (
	"bufio"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/noroshi-cti/noroshi/stix"
)

// page is what the endpoints that give records have in common.
type page struct {
	collection Collection
	query      Query
	scope      scope
	records    []Record
	more       bool

	spec, media string // what mediaType said last
}

// objects answers section 5.4.
func (c *call) objects() error {
	p, err := c.readPage("objects", objectsFields, Query{Bodies: true})
	if err != nil {
		return err
	}
	return c.sendBodies(p)
}

// manifest answers section 5.3.
func (c *call) manifest() error {
	p, err := c.readPage("manifest", objectsFields, Query{})
	if err != nil {
		return err
	}
	return c.sendTexts(p, "objects", p.appendManifest)
}

// object answers section 5.6.
func (c *call) object() error {
	p, err := c.readObject("object", objectFields, Query{Bodies: true})
	if err != nil {
		return err
	}
	return c.sendBodies(p)
}

// versions answers section 5.8.
func (c *call) versions() error {
	p, err := c.readObject("versions", versionsFields, Query{Version: []VersionMatch{{Kind: All}}})
	if err != nil {
		return err
	}
	return c.sendTexts(p, "versions", appendVersion)
}

// readObject is readPage of the object of the path. An object that is not there
// is not found, and so is a version asked for by name that is not (section 5.7:
// what was deleted). Where there is only nothing left to give, the page is empty.
func (c *call) readObject(name string, known fields, fixed Query) (*page, error) {
	id, err := stix.ParseID(c.names[1])
	if err != nil {
		return nil, ErrNotFound
	}
	fixed.IDs = []stix.ID{id}
	p, err := c.readPage(name, known, fixed)
	if err != nil || len(p.records) > 0 {
		return p, err
	}
	there := Query{IDs: fixed.IDs, Limit: 1, Version: []VersionMatch{{Kind: All}}}
	if p.query.exact() {
		there.Version = p.query.Version
	}
	found, _, err := c.backend.Page(c.r.Context(), c.client, p.collection.ID, there)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	return p, err
}

// readPage gets a page: what the request asks for, and of that what is fixed.
func (c *call) readPage(name string, known fields, fixed Query) (*page, error) {
	col, err := c.find()
	if err != nil {
		return nil, err
	}
	if !col.CanRead {
		return nil, ErrForbidden
	}
	asked, err := parseQuery(c.r.URL.RawQuery, known)
	if err != nil {
		return nil, err
	}
	q := asked.Query
	if fixed.IDs != nil {
		q.IDs = fixed.IDs
	}
	if fixed.Version != nil {
		q.Version = fixed.Version
	}
	q.Bodies, q.Size = fixed.Bodies, c.opts.PageSize
	q.Limit = min(or(q.Limit, c.opts.PageLimit), c.opts.PageMost)
	p := &page{collection: col, scope: scope{endpoint: name, client: c.client, collection: col.ID, query: q}}
	if asked.next != "" {
		at, ok := c.key.open(p.scope, asked.next)
		if !ok {
			return nil, badParameter("next", "was not given for these filters")
		}
		if at.After(q.After) {
			q.After = at
		}
	}
	p.query = q
	p.records, p.more, err = c.backend.Page(c.r.Context(), c.client, col.ID, q)
	return p, err
}

// head writes a page up to its first record, and the headers. An empty page has
// the headers too (section 3.2 has no exception): the place the client stands at,
// so that one who goes on from there loses nothing.
func (c *call) head(p *page, list string) []byte {
	first, last := p.query.After, p.query.After
	if last.IsZero() {
		first, last = time.Unix(0, 0), time.Unix(0, 0)
	}
	if n := len(p.records); n > 0 {
		first, last = p.records[0].Added, p.records[n-1].Added
	}
	c.w.Header().Set(HeaderFirst, Timestamp(first))
	c.w.Header().Set(HeaderLast, Timestamp(last))
	b := append(make([]byte, 0, 128), '{')
	if len(p.records) == 0 {
		return b
	}
	if p.more {
		b = append(b, `"more":true,"next":"`...)
		b = append(b, c.key.make(p.scope, last)...)
		b = append(b, `",`...)
	}
	b = append(b, '"')
	b = append(b, list...)
	return append(b, `":[`...)
}

func (p *page) tail() string {
	if len(p.records) == 0 {
		return "}" // an empty list is never written (section 2)
	}
	return "]}"
}

// sendBodies answers with an envelope: the objects' bytes as the backend has them.
func (c *call) sendBodies(p *page) error {
	head, tail := c.head(p, "objects"), p.tail()
	size := len(head) + len(tail) + max(0, len(p.records)-1)
	for i := range p.records {
		size += len(p.records[i].Bytes)
	}
	return c.w.stream(http.StatusOK, size, func(w *bufio.Writer) {
		w.Write(head)
		for i := range p.records {
			if i > 0 {
				w.WriteByte(',')
			}
			w.Write(p.records[i].Bytes)
		}
		w.WriteString(tail)
	})
}

// sendTexts answers with a list of what is written of each record.
func (c *call) sendTexts(p *page, list string, one func([]byte, *Record) []byte) error {
	b := slices.Grow(c.head(p, list), 200*len(p.records)+2)
	for i := range p.records {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(b, &p.records[i])
	}
	return c.w.bytes(http.StatusOK, append(b, p.tail()...))
}

// appendManifest writes a manifest record (section 5.3.1).
func (p *page) appendManifest(b []byte, r *Record) []byte {
	b = append(b, `{"id":`...)
	b = appendText(b, string(r.ID))
	b = append(b, `,"date_added":"`...)
	b = r.Added.UTC().AppendFormat(b, timestamp)
	b = append(b, `","version":`...)
	b = appendText(b, r.Version)
	if media := p.mediaType(or(r.Spec, version21)); media != "" {
		b = append(b, `,"media_type":`...)
		b = appendText(b, media)
	}
	return append(b, '}')
}

// mediaType returns the media type of a specification version, "" where the
// collection does not list it. Neighbours are mostly of one version.
func (p *page) mediaType(spec string) string {
	if p.spec != spec {
		p.spec, p.media = spec, stixType+";version="+spec
		if !slices.Contains(p.collection.MediaTypes, p.media) {
			p.media = ""
		}
	}
	return p.media
}

func appendVersion(b []byte, r *Record) []byte { return appendText(b, r.Version) }

// appendText writes a JSON string.
func appendText(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			// Bad UTF-8, the one error there is, is mended in what is written.
			b, _ = jsontext.AppendQuote(b, s)
			return b
		}
	}
	b = append(b, '"') // as nearly all are, without the copy AppendQuote makes
	b = append(b, s...)
	return append(b, '"')
}
