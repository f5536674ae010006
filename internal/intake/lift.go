package intake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake/lift"
	"github.com/noroshi-cti/noroshi/stix"
)

// Formats lists what ImportOptions.Format may name.
func Formats() []string { return append([]string{"stix", "list", "tsv", "csv"}, lift.Names()...) }

// feedOf says for whom a document is lifted.
func (g *Gate) feedOf(o ImportOptions, doc Run) (lift.Feed, error) {
	space, err := namespace(g.o.Self.Identity)
	if err != nil {
		return lift.Feed{}, err
	}
	first, err := stix.ParseTime(doc.Started)
	name := o.Feed
	if name == "" {
		name = feedName(o.Name)
	}
	return lift.Feed{Name: name, Self: g.o.Self.Identity, Space: space, First: first}, err
}

// feedName is the name a document's feed goes by, as listName is a list's.
func feedName(file string) string {
	return listName(strings.TrimSuffix(strings.TrimSuffix(file, ".gz"), ".json"))
}

// readLifted reads a whole document, lifts it and hands its items out. The
// place of an item in the run is its number: an interrupted import lifts the
// same document again and goes on behind what it had done.
func (p *pipe) readLifted(ctx context.Context) error {
	want := p.im.in.want
	b, err := io.ReadAll(io.LimitReader(p.im.in, lift.MaxBytes+1))
	switch {
	case err != nil:
		return err
	case len(b) > lift.MaxBytes:
		return noroshi.Errorf(noroshi.Invalid, "import.document-size", "a %s document may have at most %d MiB", p.im.doc.Format, lift.MaxBytes>>20)
	case want.read > 0 && p.im.in.at() != want:
		return errChanged
	}
	d, err := p.im.lifts.Lift(b, p.im.feed)
	if err != nil {
		return noroshi.Errorf(noroshi.Invalid, "import.document", "%s is no %s document, nothing of it was taken in: %s", p.im.o.Name, p.im.doc.Format, err.Error())
	}
	if err := p.im.meetBeside(ctx, d.Beside); err != nil {
		return err
	}
	p.im.notes(&lines{b: b}, d.Notes)
	return p.sendLifted(ctx, &lines{b: b}, d.Items)
}

func (p *pipe) sendLifted(ctx context.Context, l *lines, items []lift.Item) error {
	c := &chunk{}
	for i, item := range items {
		if int64(i) < p.im.from {
			p.im.report.Resumed++
			continue
		}
		if item.At.Line == 0 {
			item.At.Line = l.of(item.At.Offset)
		}
		c.lifted = append(c.lifted, liftedItem{item, i})
		if item.Object != nil {
			c.bytes += len(item.Object.Bytes())
		}
		if len(c.lifted) == chunkElements || c.bytes >= chunkBytes {
			if err := p.send(ctx, c); err != nil {
				return err
			}
			c = &chunk{}
		}
	}
	return joinEnd(p.send(ctx, c))
}

// joinEnd is io.EOF, or what went wrong before it.
func joinEnd(err error) error {
	if err != nil {
		return err
	}
	return io.EOF
}

// liftedItem is an item and its number in the document.
type liftedItem struct {
	lift.Item
	nth int
}

// lines counts lines of a document, onward from the last place asked for.
type lines struct {
	b    []byte
	at   int64
	line int
}

func (l *lines) of(offset int64) int {
	offset = min(max(offset, 0), int64(len(l.b)))
	if offset < l.at {
		l.at, l.line = 0, 0
	}
	l.line += bytes.Count(l.b[l.at:offset], []byte("\n"))
	l.at = offset
	return l.line + 1
}

// prepareLifted checks what was lifted as the objects of a STIX file are.
func (im *importing) prepareLifted(items []liftedItem) []element {
	elements := make([]element, len(items))
	for i, item := range items {
		e := im.lifted(item)
		e.index = i
		e.place = place{line: item.At.Line, offset: item.At.Offset, end: int64(item.nth) + 1, path: item.At.Path}
		elements[i] = e
	}
	im.gate.checkRealm(elements)
	for i, item := range items {
		im.complete(&elements[i], item.raw())
	}
	return elements
}

// raw is what quarantine keeps of an item.
func (i liftedItem) raw() []byte {
	switch {
	case i.Fault != nil:
		return i.Fault.Raw
	case i.Object != nil:
		return i.Object.Bytes()
	}
	return nil
}

// refusedPart says why a part of a document became no object.
func refusedPart(f *lift.Fault) *refusal {
	if f.Why != nil {
		return refuseFor(f.Code, f.Why)
	}
	return refuse(f.Code, "%s", f.Msg)
}

func (im *importing) lifted(item liftedItem) element {
	r := im.rules
	if item.Own {
		r = im.own
	}
	o := item.Object
	switch {
	case item.Fault != nil:
		return element{refused: refusedPart(item.Fault)}
	case item.Make != nil:
		var err error
		if o, err = makeFirst(item.Item, im.feed.First); err != nil {
			return element{refused: refuse(codeMalformed, "no object can be made of it: %s", err)}
		}
	}
	e := im.gate.check(r, o)
	if e.version == nil {
		return e
	}
	if item.Make != nil {
		e.made = &made{item.Item, o.Hash()}
	}
	im.labelled(&e, item.Item)
	im.tagged(&e, item.Item)
	return e
}

// labelled assigns what the source itself says of an object's handling, in
// words of its own: with the import's marking the stricter of the two. What is
// not understood leaves the object unmarked, so that it is held until a person
// marks it, or in doubt where its own markings might let it go.
func (im *importing) labelled(e *element, item lift.Item) {
	v := e.version
	switch {
	case v.Object.Type == "marking-definition":
	case item.Held != "":
		if v.Assign, e.mapped = nil, (Mapped{Rule: HeldLabel, What: Beginning([]byte(item.Held))}); len(v.Object.Markings) > 0 {
			v.Assign = []stix.ID{noroshi.Doubt}
		}
	case item.TLP > strictest(v.Object.Markings) && item.TLP > strictest(v.Assign):
		v.Assign = append(slices.DeleteFunc(v.Assign, func(id stix.ID) bool { return noroshi.TLPOf(id) != noroshi.NoTLP }), item.TLP.MarkingID())
		e.mapped = Mapped{Rule: MappedLabel, What: item.TLP.String(), Marking: item.TLP.String()}
	}
}

// notes adds what a lifter says to the report.
func (im *importing) notes(l *lines, list []lift.Note) {
	r := &im.report
	for _, n := range list {
		count := max(n.Count, 1)
		r.Noted += count
		i := slices.IndexFunc(r.Notes, func(x Noted) bool { return x.Code == n.Code && slices.Equal(x.Args, n.Args) })
		switch {
		case i >= 0:
			r.Notes[i].Count += count
		case len(r.Notes) < maxNotes:
			if n.Place.Line == 0 {
				n.Place.Line = l.of(n.Place.Offset)
			}
			r.Notes = append(r.Notes, Noted{Code: n.Code, Args: n.Args, Count: count, Line: n.Place.Line, Path: n.Place.Path})
		}
	}
}

// maxNotes bounds how many different notes a report lists.
const maxNotes = 100

// Noted is something a lifter changed or could not carry, and how often.
type Noted struct {
	Code  string   `json:"code"`
	Args  []string `json:"args,omitempty"`
	Count int      `json:"count"`
	Line  int      `json:"line,omitempty"` // of the first
	Path  string   `json:"path,omitempty"` // JSON pointer of the first
}

// String says a place for a person: its line, its byte and where in the document.
func (p place) String() string {
	s := fmt.Sprintf("line %d, byte %d", p.line, p.offset)
	if p.path != "" {
		s += ", " + p.path
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
