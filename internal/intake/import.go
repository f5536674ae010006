package intake

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake/lift"
	"github.com/noroshi-cti/noroshi/internal/intake/sheet"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Bounds of an import.
const (
	sliceElements = 1000    // elements of one act
	sliceBytes    = 8 << 20 // or this much of them, or one larger
	maxFaults     = 100     // faults that a report names
)

// ImportOptions says how to read a file.
type ImportOptions struct {
	Name     string         // base name, shown and kept as the source's name
	Format   string         // one of Formats, "" = told by content
	Marking  noroshi.TLP    // assigned to what has no handling marking; NoTLP = none
	Columns  *sheet.Mapping // what the columns of a table mean; nil = told by their heads
	Profile  *Profile       // what stands for markings in STIX, or what is lifted with its markings; not together with Marking
	Person   noroshi.Signed // who imports; checked by the caller
	Strict   bool           // what stix.Validate finds fault with is quarantined
	Size     int64          // bytes of the input if known, for progress
	MaxBytes int64          // at most this much is read, unpacked; 0 = DefaultMaxBytes
	Progress func(Progress) // called after each slice, from the importing goroutine

	Feed   string                        // the feed that brought it: the source, and the list its entries are of; "" = a file of a person
	Refuse func([]noroshi.Value) error   // why an indicator of these values waits for a person; nil = none does
	Listed bool                          // a survey says which indicators the input lists
	Last   func(*store.Tx, Report) error // called within the act that ends the import; nil = nothing more is written
}

// source is where what an import brings comes from.
func (o ImportOptions) source() noroshi.Source {
	if o.Feed != "" {
		return noroshi.Source{Kind: noroshi.FromFeed, Name: o.Feed}
	}
	return noroshi.Source{Kind: noroshi.FromFile, Name: o.Name, Person: o.Person.Person}
}

// listed is the name of the list that entries are of.
func (o ImportOptions) listed() string {
	if o.Feed != "" {
		return o.Feed
	}
	return listName(o.Name)
}

// Progress of an import.
type Progress struct {
	Bytes, Size int64 // of the input as it came, packed or not
	Objects     int
}

// Report is the outcome of an import. What concerns warning-lists and arming
// counts every element of the input, new or not.
type Report struct {
	Run         string   `json:"run"`
	New         int      `json:"new"`
	Updated     int      `json:"updated"`
	Unchanged   int      `json:"unchanged"`
	Older       int      `json:"older"`
	Foreign     int      `json:"foreign"`
	Conflicts   int      `json:"conflicts"`
	Quarantined int      `json:"quarantined"`
	Marked      int      `json:"marked"`           // here before without a handling marking, now with the import's
	Otherwise   int      `json:"marked_otherwise"` // here before under another marking than the import's: kept as it was
	Flagged     int      `json:"flagged"`          // named by a warning-list
	NotArmed    int      `json:"not_armed"`        // indicators whose pattern is not of an armed form
	Resumed     int      `json:"resumed"`          // elements a former, interrupted run had done
	Profile     string   `json:"profile,omitempty"`
	Mapped      []Mapped `json:"mapped,omitempty"`        // what the profile made of each element, new or not
	Faults      []Placed `json:"faults,omitempty"`        // the first 100
	Unarmed     []Placed `json:"not_armed_for,omitempty"` // why, the first 100
	Noted       int      `json:"noted"`                   // what was changed or could not be carried where another format was lifted to STIX
	Notes       []Noted  `json:"notes,omitempty"`         // the first 100 that differ
}

// Nothing reports whether the input had no element at all.
func (r Report) Nothing() bool {
	return r.New+r.Updated+r.Unchanged+r.Older+r.Foreign+r.Conflicts+r.Quarantined+r.Resumed == 0
}

// Placed is a quarantined element and its place.
type Placed struct {
	Line   int    `json:"line"`
	Offset int64  `json:"offset"`         // of its first byte, unpacked
	Path   string `json:"path,omitempty"` // JSON pointer in a document that was lifted
	Code   string `json:"code"`
	Value  string `json:"value"` // the beginning of what was refused
	Msg    string `json:"msg"`

	Reason string   `json:"reason,omitempty"` // why, by a code of its own; "" = it has none
	Args   []string `json:"args,omitempty"`   // of the reason, for its words
}

// Import reads a whole input (plain or gz) and admits it in slices of at most
// 1,000 elements, each one act: a slice is admitted whole or not at all. The
// same input again adds nothing; an interrupted one goes on where it stopped.
// When the input turns out to have changed meanwhile it is imported from its
// start if r can seek; else a Conflict error asks for the import once more.
//
// A STIX input is a bundle, an array of objects, one object or JSON lines; its
// objects come from the file. A plain list has one entry a line, bare or as
// kind, tab, value; its entries become indicators of this node, whose ids are
// derived and whose times are those of the list's first import. A table
// (csv) is a list whose columns say more of an entry; a row that changes becomes
// a later version. What is in another format (Formats) is lifted to STIX objects
// and then treated as one.
//
// When ctx ends, Import ends after the slice at hand, as soon as a Read that
// waits returns. The report is good as far as it goes, also beside an error.
func (g *Gate) Import(ctx context.Context, r io.Reader, o ImportOptions) (Report, error) {
	report, err := g.importOnce(ctx, r, o)
	if !errors.Is(err, errChanged) {
		return report, err
	}
	if s, ok := r.(io.Seeker); ok {
		if _, err := s.Seek(0, io.SeekStart); err == nil {
			return g.importOnce(ctx, r, o)
		}
	}
	return report, noroshi.Errorf(noroshi.Conflict, "import.changed", "%s has changed since its interrupted import: import it again, it is then read from its start", o.Name)
}

func (g *Gate) importOnce(ctx context.Context, r io.Reader, o ImportOptions) (Report, error) {
	im, err := g.begin(ctx, r, o, g.openRun)
	if err != nil {
		return Report{}, err
	}
	if im.list != nil || im.lifts != nil || im.table != nil {
		select {
		case g.lists <- struct{}{}:
			defer func() { <-g.lists }()
		case <-ctx.Done():
			return im.report, interrupted(ctx.Err())
		}
	}
	err = im.run(ctx)
	return im.report, err
}

// importing is one import under way.
type importing struct {
	gate   *Gate
	o      ImportOptions
	rules  rules
	list   *list              // nil for STIX
	table  *table             // nil for what is no table
	lifts  *lift.Format       // nil for what is not lifted
	feed   lift.Feed          // for whom
	own    rules              // for what this node makes of what is lifted
	tags   *Profile           // what reads the tags of what is lifted, nil for a format without
	beside map[string]*beside // what is kept with the objects, by key
	said   map[uint64]uint64  // what this input said of each id, both cut short
	in     *input
	doc    Run
	print  string
	from   int64                 // elements before this offset were admitted by a former run
	kept   bool                  // the run's document was written
	seen   map[noroshi.Hash]bool // what this input has in quarantine; nil = not looked up yet
	report Report
}

// begin looks at the beginning of an input and says as what it is read.
func (g *Gate) begin(ctx context.Context, r io.Reader, o ImportOptions, open runOpener) (*importing, error) {
	in, err := openInput(r, o.Name, o.MaxBytes)
	if err != nil {
		return nil, err
	}
	if o.Columns != nil && o.Format == "" {
		o.Format = "csv"
	}
	format, err := in.format(o.Format)
	if err != nil {
		return nil, err
	}
	lifts := lift.Named(format)
	if authored := format == "stix" || lifts != nil && lifts.Authored; o.Profile != nil && (o.Marking != noroshi.NoTLP || !authored) {
		return nil, noroshi.Errorf(noroshi.Invalid, "import.profile", "a profile is for STIX and stands in place of a marking")
	}
	im := &importing{gate: g, o: o, lifts: lifts}
	if im.doc, im.print, err = open(ctx, in, o, format); err != nil {
		return nil, err
	}
	im.in, im.from, im.kept = in, im.doc.Offset, im.doc.Elements > 0
	in.want = reached{im.doc.Hashed, im.doc.Sum}
	if im.rules, err = g.rulesFor(o.source(), im.doc.ID); err != nil {
		return nil, err
	}
	im.rules.assign, im.rules.strict, im.rules.profile = o.Marking, o.Strict, o.Profile
	im.report.Run = im.doc.ID
	if o.Profile != nil {
		im.report.Profile = o.Profile.Name
	}
	switch {
	case lifts != nil:
		err = im.beginLift()
	case format == "csv":
		err = im.beginTable()
	case format != "stix":
		im.list, err = g.listOf(im)
	}
	return im, err
}

// beginLift says for whom a document is lifted, and under which rules stands
// what this node makes of it.
func (im *importing) beginLift() (err error) {
	if im.feed, err = im.gate.feedOf(im.o, im.doc); err != nil {
		return err
	}
	src := noroshi.Source{Kind: noroshi.FromSelf, Name: im.feed.Name, Person: im.o.Person.Person}
	if im.own, err = im.gate.rulesFor(src, im.doc.ID); err != nil {
		return err
	}
	im.own.assign, im.own.strict = im.o.Marking, im.o.Strict
	if im.tags = im.o.Profile; im.tags == nil && im.lifts != nil && im.lifts.Tags != "" {
		im.tags, err = ProfileNamed(im.lifts.Tags)
	}
	return err
}

// listOf says what indicators a list's entries become.
func (g *Gate) listOf(im *importing) (*list, error) {
	space, err := namespace(g.o.Self.Identity)
	if err != nil {
		return nil, err
	}
	first, err := stix.ParseTime(im.doc.Started)
	if err != nil {
		return nil, err
	}
	l := &list{rules: im.rules, format: im.doc.Format, name: im.o.listed(), self: g.o.Self.Identity, space: space, first: first}
	l.source = noroshi.Source{Kind: noroshi.FromSelf, Name: l.name, Person: im.o.Person.Person}
	return l, nil
}

// run admits everything and says how it ended.
func (im *importing) run(ctx context.Context) error {
	pipe := im.startPipe(ctx)
	defer pipe.stop()
	var pending []element
	var at reached
	for {
		elements, reach, more := pipe.next()
		pending = append(pending, elements...)
		if more {
			at = reach
		}
		for {
			n, full := sliceOf(pending)
			if n == 0 || !full && more {
				break
			}
			done, err := im.slice(ctx, pending[:n], at)
			if err != nil {
				return err
			}
			pending = slices.Delete(pending, 0, done)
		}
		if !more {
			return im.finish(ctx, pipe.err())
		}
	}
}

// sliceOf returns how many of the elements one act takes, and whether it is full.
func sliceOf(elements []element) (n int, full bool) {
	size := 0
	for n < len(elements) && n < sliceElements && size < sliceBytes {
		size += elements[n].size()
		n++
	}
	return n, n == sliceElements || size >= sliceBytes
}

// slice admits as many of the elements as the write lane allows in one act.
func (im *importing) slice(ctx context.Context, elements []element, at reached) (int, error) {
	if ctx.Err() != nil {
		return 0, interrupted(ctx.Err())
	}
	if err := im.settle(ctx, elements); err != nil {
		return 0, err
	}
	if err := im.gate.protect(ctx, im.o.Refuse, elements, im.refuse); err != nil {
		return 0, err
	}
	if err := im.recognise(ctx, elements); err != nil {
		return 0, err
	}
	for i := range elements {
		elements[i].index = i
	}
	var a Admitted
	var n int
	var doc Run
	if im.idle(elements) {
		a, n, _ = admit(nil, elements, nil)
		im.doc = im.reach(elements, a, at)
		im.after(elements, a)
		return n, nil
	}
	_, err := im.gate.store.Do(ctx, im.act(), func(tx *store.Tx) (err error) {
		if a, n, err = admit(tx, elements, tx.Yield); err != nil {
			return err
		}
		tx.Act().Count = n
		doc = im.reach(elements[:n], a, at)
		return im.keep(tx, doc)
	})
	if err != nil {
		if ctx.Err() != nil {
			err = interrupted(err)
		}
		return 0, err
	}
	im.doc, im.kept = doc, true
	im.after(elements[:n], a)
	return n, nil
}

// idle reports whether there is nothing to write for any of the elements: an
// import of what is here takes no acts but its last.
func (im *importing) idle(elements []element) bool {
	return !slices.ContainsFunc(elements, func(e element) bool { return !e.idle() })
}

// reach returns the run's document with these elements done.
func (im *importing) reach(elements []element, a Admitted, at reached) Run {
	doc := im.doc
	doc.Elements += len(elements)
	doc.Offset, doc.Hashed, doc.Sum = elements[len(elements)-1].place.end, at.read, at.sum
	doc.Counts.add(a)
	doc.Counts.Faults, doc.Counts.Seqs, doc.Counts.Each = nil, nil, nil
	return doc
}

func (im *importing) after(elements []element, a Admitted) {
	im.count(elements, a)
	if im.o.Progress != nil {
		im.o.Progress(Progress{Bytes: im.in.raw.n.Load(), Size: im.o.Size, Objects: im.doc.Elements})
	}
}

func (im *importing) act() noroshi.Act {
	act := noroshi.Act{Action: noroshi.ActImport, Subject: im.doc.ID, Precedence: noroshi.Routine}
	if im.o.Person.Person != "" {
		act.Persons = []noroshi.Signed{im.o.Person}
	}
	return act
}

// keep writes the run's document; the first time also how to find it again.
func (im *importing) keep(tx *store.Tx, doc Run) error {
	if !im.kept {
		if err := tx.PutDoc(inputOf, im.print, []byte(doc.ID)); err != nil {
			return err
		}
	}
	body, err := encodeRun(doc)
	if err != nil {
		return err
	}
	return tx.PutDoc(RunDoc, doc.ID, body)
}

// finish closes the run, unless the input broke off.
func (im *importing) finish(ctx context.Context, broken error) error {
	doc := im.doc
	doc.Done = true
	switch {
	case errors.Is(broken, errChanged): // this run ends here; the next reads all
	case broken != nil && !errors.Is(broken, io.EOF):
		return im.breakOff(ctx, broken)
	default:
		end := im.in.at()
		doc.Offset, doc.Hashed, doc.Sum = end.read, end.read, end.sum
		broken = nil
	}
	_, err := im.gate.store.Do(ctx, im.act(), func(tx *store.Tx) error {
		err := errors.Join(im.keepBeside(tx), im.keep(tx, doc))
		if err == nil && im.o.Last != nil {
			err = im.o.Last(tx, im.report)
		}
		return err
	})
	if err != nil && ctx.Err() != nil {
		err = interrupted(err)
	}
	return errors.Join(err, broken)
}

// breakOff keeps the place where the input could not be read on.
func (im *importing) breakOff(ctx context.Context, broken error) error {
	var s *stix.SyntaxError
	if ctx.Err() != nil || !errors.As(broken, &s) {
		return broken
	}
	why := refuseSyntax(s)
	e := element{refused: why, place: place{line: s.Line, offset: s.Offset, end: im.doc.Offset}}
	im.complete(&e, nil)
	if _, err := im.slice(ctx, []element{e}, reached{read: im.doc.Hashed, sum: im.doc.Sum}); err != nil {
		return err
	}
	return noroshi.Errorf(noroshi.Invalid, "import.broken", "%s is broken at line %d, byte %d: %w", im.o.Name, s.Line, s.Offset, why.why)
}

func interrupted(cause error) error {
	return noroshi.Errorf(noroshi.Busy, "import.interrupted", "the import was interrupted; the same import goes on where it stopped: %w", cause)
}

// count adds an admitted slice to the report.
func (im *importing) count(elements []element, a Admitted) {
	r := &im.report
	r.New += a.New
	r.Updated += a.Updated
	r.Unchanged += a.Unchanged
	r.Older += a.Older
	r.Foreign += a.Foreign
	r.Conflicts += a.Conflicts
	r.Quarantined += a.Quarantined
	r.Marked += a.Marked
	r.Otherwise += a.Otherwise
	for _, f := range a.Faults {
		if f.Code == codeConflict && len(r.Faults) < maxFaults {
			e := elements[f.Index]
			r.Faults = append(r.Faults, e.placed(codeConflict, string(e.version.Object.ID), "another body under this id and modified is here: both are kept and held"))
		}
	}
	for i := range elements {
		e := &elements[i]
		switch {
		case e.refused != nil:
			if len(r.Faults) < maxFaults {
				r.Faults = append(r.Faults, e.fault())
			}
		case e.note != "":
			r.NotArmed++
			if len(r.Unarmed) < maxFaults {
				r.Unarmed = append(r.Unarmed, e.placed("not-armed", string(e.version.Object.ID), e.note))
			}
		}
		if e.version != nil && len(e.version.Flags) > 0 {
			r.Flagged++
		}
		r.Mapped = Tally(r.Mapped, e.mapped)
	}
}

// fault says why an element is refused.
func (e *element) fault() Placed {
	p := e.placed(e.refused.code, Beginning(e.refused.raw), e.refused.msg)
	if why := e.refused.why; why != nil {
		p.Reason, p.Args = why.Code, why.Args
	}
	return p
}

func (e *element) placed(code, value, msg string) Placed {
	return Placed{Line: e.place.line, Offset: e.place.offset, Path: e.place.path, Code: code, Value: value, Msg: msg}
}
