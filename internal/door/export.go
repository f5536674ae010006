package door

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/ioc"
)

// Export says what is written, and in which format.
type Export struct {
	Format     string         `json:"format"`               // of Formats
	Partner    noroshi.NodeID `json:"partner,omitzero"`     // to whom; zero = inside the organisation
	Collection string         `json:"collection,omitempty"` // inside: name or id of a shelf; "" = all that is held
	Max        []string       `json:"max,omitempty"`        // inside: the highest label (noroshi.ParseCeiling); none = no bound
	Event      string         `json:"event,omitempty"`      // misp, inside: the UUID of an event that came here; "" = all that is asked for
	Individual bool           `json:"individual,omitempty"` // Suricata: a rule for each value instead of datasets
	Zone       string         `json:"zone,omitempty"`       // RPZ: name of the zone
	Wildcard   bool           `json:"wildcard,omitempty"`   // RPZ: names below a name too
	Sinkhole   string         `json:"sinkhole,omitempty"`   // hosts: where names are pointed at
}

// bundleFormat is a format made of objects, not of entries.
const bundleFormat = "stix"

// ofObjects are the formats made of objects, not of entries.
var ofObjects = []ioc.Format{
	{Name: bundleFormat, MediaType: "application/stix+json;version=2.1", Ending: ".json"},
	{Name: mispFormat, MediaType: "application/json", Ending: ".json"},
}

// Formats names the formats in the order in which people look for them.
func Formats() (names []string) {
	for _, f := range formats() {
		names = append(names, f.Name)
	}
	return names
}

func formats() []ioc.Format { return append(ioc.Formats(), ofObjects...) }

// format returns how a format is written.
func format(name string) (ioc.Format, bool) {
	for _, f := range formats() {
		if f.Name == name {
			return f, true
		}
	}
	return ioc.Format{}, false
}

// Check says what is wrong with an export, without the store.
func (x Export) Check() error {
	if _, ok := format(x.Format); !ok {
		return noroshi.Errorf(noroshi.Invalid, "export.format", "%q is no format: there are %s", x.Format, strings.Join(Formats(), ", "))
	}
	if len(x.Max) > 0 {
		if _, err := noroshi.ParseCeiling(x.Max); err != nil {
			return err
		}
	}
	if x.Partner != (noroshi.NodeID{}) && (x.Collection != "" || len(x.Max) > 0) {
		return noroshi.Errorf(noroshi.Invalid, "export.partner", "to a partner goes what was released to it: name no collection and no highest label")
	}
	if x.Sinkhole != "" && x.Format != "hosts" || x.Wildcard && x.Format != "rpz" || x.Individual && x.Format != "suricata" {
		return noroshi.Errorf(noroshi.Invalid, "export.other-format", "an address to point names at is for the format hosts, names below a name for rpz, a rule for each value for suricata")
	}
	if x.Event != "" && (x.Format != mispFormat || x.Partner != (noroshi.NodeID{}) || x.Collection != "") {
		return noroshi.Errorf(noroshi.Invalid, "export.event-alone", "an event is named for the format misp, inside the organisation, without a collection")
	}
	if (x.Format == "rpz") != (x.Zone != "") {
		return noroshi.Errorf(noroshi.Invalid, "export.zone", "a zone is named for the format rpz, and for no other")
	}
	if f, _ := format(x.Format); f.Write != nil {
		nothing := func(func(ioc.Entry) bool) {}
		if _, err := f.Write(io.Discard, nothing, x.options("noroshi", Exported{Made: time.Unix(1, 0)})); err != nil {
			return noroshi.Errorf(noroshi.Invalid, "export.options", "%w", err)
		}
	}
	return nil
}

// Several reports whether an export has files beside the first.
func (x Export) Several() bool { return x.Format == "suricata" && !x.Individual }

// Exported says what was written.
type Exported struct {
	ID      string             `json:"id"` // of the export, in the record
	Format  string             `json:"format"`
	Made    time.Time          `json:"made"`
	Marking string             `json:"marking"` // the highest in it
	Entries int                `json:"entries"` // objects looked at
	Carried int                `json:"carried"` // of them those that are in it
	Skipped map[ioc.Reason]int `json:"skipped,omitempty"`
	Notes   int                `json:"notes,omitempty"` // MISP: what it has no place for
	Sets    []ioc.Set          `json:"-"`               // Suricata: the files beside the rules
}

// result is what a writer says of what it wrote.
type result struct {
	ioc.Result
	Notes int
}

// item is one object on its way out.
type item struct {
	object *stix.Object // as it goes
	label  noroshi.Label
	seq    int64
	number int64 // by which its rules are numbered
}

// Write writes an export and puts on record what went. Refused while nothing may
// leave.
func (d *Door) Write(ctx context.Context, w io.Writer, x Export) (Exported, error) {
	if err := x.Check(); err != nil {
		return Exported{}, err
	}
	if err := d.o.MayLeave(ctx); err != nil {
		return Exported{}, err
	}
	out, in, err := d.write(ctx, w, x, d.o.Now())
	if err != nil {
		return out, err
	}
	return out, d.noteExport(ctx, x, &out, in.seqs, nil)
}

// content is what of the store is in an export.
type content struct {
	seqs  []int64   // versions
	until time.Time // when the next of them is over; zero = none will be
	now   time.Time
}

// note notes one that is on its way out.
func (c *content) note(it item) {
	c.seqs = append(c.seqs, it.seq)
	until := validUntil(it.object)
	if until.After(c.now) && (c.until.IsZero() || until.Before(c.until)) {
		c.until = until
	}
}

// write writes an export as of a moment, and returns what is in it.
func (d *Door) write(ctx context.Context, w io.Writer, x Export, made time.Time) (out Exported, in content, err error) {
	in.now = d.o.Now()
	col, err := d.source(ctx, x)
	if err != nil {
		return out, in, err
	}
	high, err := d.highest(ctx, x, col)
	if err != nil {
		return out, in, err
	}
	f, _ := format(x.Format)
	out = Exported{Format: x.Format, Made: made, Marking: high.String()}
	var failed, unmarked error
	items := d.below(ctx, x, col, high, &failed)
	noted := func(yield func(item) bool) {
		for it := range items {
			in.note(it)
			if !yield(it) {
				return
			}
		}
	}
	var r result
	switch x.Format {
	case mispFormat:
		r, err = d.writeEvent(ctx, w, x, noted)
	case bundleFormat:
		of := noroshi.Sum([]byte(d.o.Name + "/" + col.ID))
		r.Result, err = ioc.Bundle(w, stix.DeriveID("bundle", [16]byte(of[:16]), stix.TimeOf(made).String()), objectsOf(noted, &unmarked))
	default:
		r.Result, err = f.Write(w, d.entriesOf(noted, out.Made), x.options(d.o.Name, out))
	}
	out.Entries, out.Carried, out.Skipped, out.Notes, out.Sets = r.Entries, r.Carried, r.Skipped, r.Notes, r.Sets
	return out, in, errors.Join(failed, unmarked, err)
}

// WriteSet writes one of the files beside Suricata's rules.
func (d *Door) WriteSet(ctx context.Context, w io.Writer, x Export, out Exported, set ioc.Set) error {
	col, err := d.source(ctx, x)
	if err != nil {
		return err
	}
	high, err := noroshi.KeptLabel(out.Marking)
	if err != nil {
		return err
	}
	var failed error
	_, err = ioc.SuricataSet(w, set, d.entriesOf(d.below(ctx, x, col, high, &failed), out.Made), x.options(d.o.Name, out))
	return errors.Join(failed, err)
}

// below are the items of an export that are marked no higher than its head says:
// what was marked higher since is in the next file. What went wrong is in failed
// when they end.
func (d *Door) below(ctx context.Context, x Export, col Collection, high noroshi.Label, failed *error) iter.Seq[item] {
	return func(yield func(item) bool) {
		*failed = d.items(ctx, x, col, func(it item) bool {
			return high.Join(it.label).String() != high.String() || yield(it)
		})
	}
}

func (x Export) options(node string, out Exported) ioc.Options {
	return ioc.Options{Node: node, Made: out.Made, Marking: out.Marking, Individual: x.Individual, Sinkhole: x.Sinkhole,
		RPZ: ioc.ZoneOptions{Origin: x.Zone, Serial: uint32(out.Made.Unix()), Wildcard: x.Wildcard}}
}

// source returns the collection an export is made of; the zero one is all that
// is held.
func (d *Door) source(ctx context.Context, x Export) (Collection, error) {
	if x.Partner != (noroshi.NodeID{}) {
		all, err := d.Collections(ctx)
		i := slices.IndexFunc(all, func(c Collection) bool { return c.Partner == x.Partner })
		if err == nil && i < 0 {
			p, err := d.partner(ctx, x.Partner)
			if err != nil {
				return Collection{}, err
			}
			return d.collectionOf(ctx, p)
		}
		if err != nil {
			return Collection{}, err
		}
		return all[i], nil
	}
	if x.Collection == "" {
		return Collection{}, nil
	}
	c, err := d.Collection(ctx, x.Collection)
	if err == nil && c.Partner != (noroshi.NodeID{}) {
		err = noroshi.Errorf(noroshi.Refused, "door.not-a-shelf", "collection %q is a partner's: only the partner's own clients read it", x.Collection)
	}
	return c, err
}

// partner returns a partner as it is kept.
func (d *Door) partner(ctx context.Context, id noroshi.NodeID) (noroshi.Partner, error) {
	return store.DocOf[noroshi.Partner](ctx, d.store.Reads, noroshi.DocPartner, id.String())
}

// highest is the join of the labels of all that an export will have.
func (d *Door) highest(ctx context.Context, x Export, col Collection) (high noroshi.Label, err error) {
	err = d.items(ctx, x, col, func(it item) bool {
		high = high.Join(it.label)
		return true
	})
	return high, err
}

// items calls fn for everything an export has, until it returns false.
func (d *Door) items(ctx context.Context, x Export, col Collection, fn func(item) bool) error {
	number, err := d.numbers(ctx, x, col)
	if err != nil {
		return err
	}
	give := func(it item) (bool, error) {
		var err error
		if it.object.Revoked && x.Format != mispFormat { // there it is a deleted attribute
			return true, nil
		}
		if it.number, err = number(it.object.ID); err != nil {
			return false, err
		}
		return fn(it), nil
	}
	switch {
	case x.Partner != (noroshi.NodeID{}):
		return d.partnerItems(ctx, x.Partner, col, give)
	case x.Event != "":
		return d.eventItems(ctx, x, give)
	case col.ID != "":
		return d.shelfItems(ctx, x, col, give)
	}
	return d.heldItems(ctx, x, give)
}

// numbers says by what number the rules of an object go: inside by where it
// first came into this node, to a partner by when it first came into the
// partner's collection, which tells nothing of what did not.
func (d *Door) numbers(ctx context.Context, x Export, col Collection) (func(stix.ID) (int64, error), error) {
	switch {
	case x.Format != "snort" && x.Format != "suricata":
		return func(stix.ID) (int64, error) { return 0, nil }, nil
	case x.Partner == (noroshi.NodeID{}):
		return func(id stix.ID) (int64, error) { return d.store.First(ctx, id) }, nil
	}
	numbers, err := d.store.Numbers(ctx, col.ID)
	return func(id stix.ID) (int64, error) { return numbers[id], nil }, err
}

// heldItems are all objects in use here.
func (d *Door) heldItems(ctx context.Context, x Export, give func(item) (bool, error)) error {
	within, err := d.ceiling(x.Max)
	if err != nil {
		return err
	}
	filter := store.Filter{Limit: store.MaxPage}
	if x.Format != bundleFormat && x.Format != mispFormat {
		filter.Type = "indicator"
	}
	labels := d.store.Labels(nil)
	for {
		recs, err := d.store.List(ctx, filter)
		if err != nil || len(recs) == 0 {
			return err
		}
		for _, r := range recs {
			label, err := labels.Of(ctx, r)
			if err != nil {
				return err
			}
			if r.Withdrawn || r.Foreign || r.Conflict || !within(label) {
				continue
			}
			if more, err := give(item{object: r.Object, label: label, seq: r.Seq}); err != nil || !more {
				return err
			}
		}
		filter.After = recs[len(recs)-1].Seq
	}
}

// shelfItems are the last versions that lie on a shelf.
func (d *Door) shelfItems(ctx context.Context, x Export, col Collection, give func(item) (bool, error)) error {
	within, err := d.ceiling(x.Max)
	if err != nil {
		return err
	}
	labels := d.store.Labels(nil)
	return d.pages(ctx, col, func(list []store.Shelved) (bool, error) {
		seqs := make([]int64, len(list))
		for i, s := range list {
			seqs[i] = s.Seq
		}
		recs, err := d.store.Records(ctx, seqs)
		if err != nil {
			return false, err
		}
		for _, r := range recs {
			label, err := labels.Of(ctx, r)
			if err != nil {
				return false, err
			}
			if r.Conflict || !within(label) {
				continue
			}
			if more, err := give(item{object: r.Object, label: label, seq: r.Seq}); err != nil || !more {
				return false, err
			}
		}
		return true, nil
	})
}

// partnerItems are what the exit gate clears now of what a partner was sent.
func (d *Door) partnerItems(ctx context.Context, partner noroshi.NodeID, col Collection, give func(item) (bool, error)) error {
	for more := true; more; {
		var err error
		if more, err = d.carried(ctx, col); err != nil {
			return err
		}
	}
	return d.pages(ctx, col, func(list []store.Shelved) (bool, error) {
		places := make([]release.Place, len(list))
		for i, s := range list {
			places[i] = release.Place{Batch: s.Batch, Row: s.Ordinal}
		}
		clear, err := d.desk.Fetch(ctx, partner, places)
		if err != nil {
			return false, err
		}
		for i, c := range clear {
			if !c.Valid() {
				continue
			}
			o, err := stix.Parse(c.Objects()[0].Bytes)
			if err != nil {
				return false, err
			}
			label, err := noroshi.ParseLabel(c.Batch().Label)
			if err != nil {
				return false, err
			}
			if more, err := give(item{object: o, label: label, seq: list[i].Seq}); err != nil || !more {
				return false, err
			}
		}
		return true, nil
	})
}

// pages calls fn for the pages of a collection until it returns false.
func (d *Door) pages(ctx context.Context, col Collection, fn func([]store.Shelved) (bool, error)) error {
	q := store.ShelfQuery{Collection: col.ID, Limit: store.MaxPage}
	for {
		list, more, err := d.store.Shelf(ctx, q)
		if err != nil || len(list) == 0 {
			return err
		}
		if goOn, err := fn(list); err != nil || !goOn || !more {
			return err
		}
		q.After = list[len(list)-1].Added
	}
}

// ceiling says which labels are not above a highest one; without one, all.
func (d *Door) ceiling(highest []string) (func(noroshi.Label) bool, error) {
	if len(highest) == 0 {
		return func(noroshi.Label) bool { return true }, nil
	}
	c, err := noroshi.ParseCeiling(highest)
	return c.Admits, err
}

// objectsOf are the objects of items as a file shows them, which has no label
// beside an object. What went wrong is in failed when they end.
func objectsOf(items iter.Seq[item], failed *error) iter.Seq[*stix.Object] {
	return func(yield func(*stix.Object) bool) {
		for it := range items {
			var o *stix.Object
			if o, *failed = noroshi.Labelled(it.object, it.label); *failed != nil || !yield(o) {
				return
			}
		}
	}
}

// Rule numbers of this program begin here, and every object has room for the
// rules of four values.
const (
	firstSID = 1_000_000
	sidsEach = 4 * ioc.RulesPerValue
)

// entriesOf makes entries of indicators, for a file as of a moment. What is over
// by now is over for it too: the file of an edition made before changes then.
func (d *Door) entriesOf(items iter.Seq[item], made time.Time) iter.Seq[ioc.Entry] {
	now := d.o.Now()
	return func(yield func(ioc.Entry) bool) {
		for it := range items {
			if it.object.Type != "indicator" {
				continue
			}
			e := entryOf(it)
			if !e.ValidUntil.IsZero() && !e.ValidUntil.After(now) {
				e.ValidUntil = made
			}
			if !yield(e) {
				return
			}
		}
	}
}

// validUntil is when an indicator is over; zero = it is not said.
func validUntil(o *stix.Object) time.Time {
	until, err := stix.ParseTime(o.Text("valid_until"))
	if err != nil {
		return time.Time{}
	}
	return until.Time()
}

func entryOf(it item) ioc.Entry {
	o := it.object
	e := ioc.Entry{ID: string(o.ID), Name: o.Text("name"), Description: o.Text("description"), Modified: o.Modified.Time(), Marking: it.label.String(), ValidUntil: validUntil(o)}
	values, _ := intake.ValuesOf(o)
	for _, v := range values {
		e.Values = append(e.Values, ioc.Value{Kind: ioc.Kind(v.Kind), Text: v.Text, Port: v.Port})
	}
	if sid := firstSID + it.number*sidsEach; it.number > 0 && sid < ioc.SetSIDBase-sidsEach {
		e.SID, e.SIDs = uint32(sid), sidsEach
	}
	return e
}

// DocExport is the kind of document that keeps what went in an export; its key
// is the export's id.
const DocExport = "export"

// exportDoc is an export as it is kept.
type exportDoc struct {
	Export
	Made  time.Time `json:"made"`
	Label string    `json:"label"`
	Seqs  []byte    `json:"seqs"` // versions, packed
}

// noteExport puts on record what went, and what more belongs to the act.
func (d *Door) noteExport(ctx context.Context, x Export, out *Exported, seqs []int64, more func(*store.Tx) error) error {
	out.ID = uuid.NewString()
	body, err := json.Marshal(exportDoc{x, out.Made, out.Marking, packSeqs(seqs)})
	if err != nil {
		return err
	}
	act := noroshi.Act{Action: noroshi.ActExport, Subject: out.ID, Partner: x.Partner, Label: out.Marking, Count: len(seqs)}
	_, err = d.store.Do(ctx, act, func(tx *store.Tx) error {
		if err := tx.PutDoc(DocExport, out.ID, body); err != nil || more == nil {
			return err
		}
		return more(tx)
	})
	return err
}

// Ending is how names of files of a format end, with the dot.
func Ending(name string) string {
	f, _ := format(name)
	return f.Ending
}
