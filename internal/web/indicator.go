package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/intake/sheet"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/stix"
)

func rfc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func nameOf(o *stix.Object) string {
	if n := o.Text("name"); n != "" {
		return n
	}
	return o.Text("value")
}

// ObjectRow is one object as lists show it.
type ObjectRow struct {
	Seq       int64    `json:"seq"`
	ID        stix.ID  `json:"id"`
	Type      string   `json:"type"`
	Name      string   `json:"name,omitempty"`
	Pattern   string   `json:"pattern,omitempty"`
	Modified  string   `json:"modified,omitempty"`
	From      string   `json:"from"` // "self", a call sign, a file's or feed's name
	Current   bool     `json:"current"`
	Withdrawn bool     `json:"withdrawn,omitempty"`
	Revoked   bool     `json:"revoked,omitempty"`
	Armed     bool     `json:"armed,omitempty"`
	Flags     []string `json:"flags,omitempty"` // warning-lists that name a value

	// Of what was searched for:
	Values []string  `json:"values,omitempty"` // the first 20 that are matched
	Label  string    `json:"label,omitempty"`  // the exact marking, in the kept form
	Came   time.Time `json:"came,omitzero"`    // when this version came here
	Until  time.Time `json:"valid_until,omitzero"`
}

func (s *Services) row(ctx context.Context, r store.Record) ObjectRow {
	o := r.Object
	return ObjectRow{Seq: r.Seq, ID: o.ID, Type: o.Type, Name: nameOf(o), Pattern: o.Text("pattern"), Modified: o.Modified.String(),
		From: s.from(ctx, r.Source), Current: r.Current, Withdrawn: r.Withdrawn, Revoked: o.Revoked,
		Armed: s.Running && o.Type == "indicator" && s.Watch.Loaded() && s.Index.Armed(o.ID), Flags: r.Flags}
}

func (s *Services) from(ctx context.Context, src noroshi.Source) string {
	if src.Kind == noroshi.FromPartner {
		return string(s.callSign(ctx, src.Partner))
	}
	if src.Name != "" {
		return src.Name
	}
	return string(src.Kind)
}

// ObjectRef names an object.
type ObjectRef struct {
	ID stix.ID `json:"id"`
}

// ObjectDetail is an object with what hangs on it.
type ObjectDetail struct {
	ObjectRow
	JSON      string       `json:"json"` // exact bytes
	Hash      noroshi.Hash `json:"hash"` // of them: what a withdrawal is bound to
	Versions  int          `json:"versions"`
	Referrers []stix.ID    `json:"referrers,omitempty"` // the first 100
	Assigned  []stix.ID    `json:"assigned,omitempty"`
	Marking   string       `json:"marking"` // own and assigned, joined
	Origins   []Origin     `json:"origins"` // of every version, the oldest first

	DerivedFrom []stix.ID `json:"derived_from,omitempty"` // what it was re-authored from
	Derived     []stix.ID `json:"derived,omitempty"`      // and what was from it

	record store.Record
}

// markingOf says what a version is marked: TLP, and what else stands on it by
// its id.
func markingOf(r store.Record) string {
	var l noroshi.Label
	var more []string
	for _, id := range slices.Concat(r.Object.Markings, r.Assigned) {
		if t := noroshi.TLPOf(id); t != noroshi.NoTLP {
			l = l.Join(noroshi.Label{TLP: t})
		} else if !standIn(id, r) {
			more = append(more, string(id))
		}
	}
	return strings.Join(append([]string{l.String()}, more...), " ")
}

// standIn reports whether an id says what another marking of a version counts
// as: its level is assigned beside it.
func standIn(id stix.ID, r store.Record) bool {
	return slices.Contains(r.Assigned, id) && slices.ContainsFunc(r.Object.Markings, func(own stix.ID) bool {
		return noroshi.StandsFor(id, own) != noroshi.NoTLP
	})
}

func indicatorShow(ctx context.Context, c *Call) (any, error) {
	var in ObjectRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	d, _, err := c.detail(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if d.Referrers, err = c.Store.Referrers(ctx, in.ID, "", 100); err != nil {
		return nil, err
	}
	d.DerivedFrom, d.Derived, err = c.kin(ctx, in.ID)
	return d, err
}

// detail is an object without what hangs on it, and its versions.
func (c *Call) detail(ctx context.Context, id stix.ID) (d ObjectDetail, versions []store.Record, err error) {
	r, err := c.Store.Current(ctx, id)
	if err != nil {
		return d, nil, err
	}
	row := c.row(ctx, r)
	if row.Label, err = c.wholeLabel(ctx, r); err != nil {
		return d, nil, err
	}
	versions, err = c.Store.Versions(ctx, id)
	return ObjectDetail{ObjectRow: row, JSON: string(r.Object.Bytes()), Hash: r.Hash, Versions: len(versions), Assigned: r.Assigned,
		Marking: markingOf(r), Origins: c.origins(ctx, versions), record: r}, versions, err
}

func indicatorWithdraw(ctx context.Context, c *Call) (any, error) {
	var in SignedRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	r, err := c.Store.Current(ctx, stix.ID(in.Subject))
	if err != nil {
		return nil, err
	}
	if err := c.signed(ctx, in.By, noroshi.ActWithdraw, in.Subject, r.Hash); err != nil {
		return nil, err
	}
	if r.Source.Kind == noroshi.FromPartner {
		// A withdrawal is for ever and of every version: a partner's word, when
		// it is a partner's object.
		return nil, noroshi.Errorf(noroshi.Refused, "indicator.partners", "%s came from %s: only they withdraw it", in.Subject, c.callSign(ctx, r.Source.Partner))
	}
	act := noroshi.Act{Action: noroshi.ActWithdraw, Persons: []noroshi.Signed{in.By}, Subject: in.Subject, Precedence: noroshi.Immediate}
	state, has, err := c.Courier.Withdraw(ctx, act, r.Object.ID)
	if err != nil {
		return nil, err
	}
	w := Withdrawn{Recall: state.ID}
	for _, node := range has {
		if state.ID == "" {
			w.Released = append(w.Released, c.callSign(ctx, node))
		} else {
			w.Recalled = append(w.Recalled, c.callSign(ctx, node))
		}
	}
	return w, nil
}

// Withdrawn names the partners that have or may have what was withdrawn: those
// it is recalled from, or those it is not because that takes a second person.
type Withdrawn struct {
	Recall   string             `json:"recall,omitempty"`
	Recalled []noroshi.CallSign `json:"recalled_from,omitempty"`
	Released []noroshi.CallSign `json:"released_to,omitempty"`
}

// ArmedRef asks whether an indicator is armed, waiting at most Wait
// milliseconds for it.
type ArmedRef struct {
	ID   stix.ID `json:"id,omitempty"`
	Wait int     `json:"wait_ms,omitempty"`
}

// ArmedState tells the index's size and whether the indicator is in it.
type ArmedState struct {
	watch.Armed
	IsArmed bool `json:"is_armed"`
}

func indicatorArmed(ctx context.Context, c *Call) (any, error) {
	var in ArmedRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, time.Duration(min(in.Wait, 60_000))*time.Millisecond)
	defer cancel()
	for in.ID != "" && !c.Index.Armed(in.ID) {
		head, err := c.Store.Head(ctx)
		if err != nil {
			return nil, err
		}
		if c.Watch.ArmedUpTo(waiting, head) != nil || !c.Index.Armed(in.ID) && c.Store.Wait(waiting, head) != nil {
			break
		}
	}
	a, err := c.Watch.Armed(ctx)
	return ArmedState{a, in.ID != "" && c.Index.Armed(in.ID)}, err
}

// ListRef selects objects in feed order.
type ListRef struct {
	Type  string `json:"type,omitempty"`
	Run   string `json:"run,omitempty"`
	After int64  `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
	JSON  bool   `json:"json,omitempty"` // with the exact bytes
}

// ListedObject is an object of object.list.
type ListedObject struct {
	ObjectRow
	JSON string `json:"json,omitempty"`
}

func objectList(ctx context.Context, c *Call) (any, error) {
	in := ListRef{Limit: 100}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	recs, err := c.Store.List(ctx, store.Filter{Type: in.Type, Run: in.Run, After: in.After, Limit: min(max(in.Limit, 1), 1000)})
	out := []ListedObject{}
	for _, r := range recs {
		l := ListedObject{ObjectRow: c.row(ctx, r)}
		if in.JSON {
			l.JSON = string(r.Object.Bytes())
		}
		out = append(out, l)
	}
	return out, err
}

// ImportRef says how to read the body.
type ImportRef struct {
	Name    string `json:"name"`
	Format  string `json:"format,omitempty"`
	Marking string `json:"marking,omitempty"`
	Strict  bool   `json:"strict,omitempty"`
	Size    int64  `json:"size,omitempty"`
	ProfileRef
	Columns *sheet.Mapping  `json:"columns,omitempty"` // of a table: what its columns mean
	By      *noroshi.Signed `json:"by,omitempty"`      // who answers for it; nil = nobody
}

// ProfileRef names a profile of the program, or brings one.
type ProfileRef struct {
	Profile     string `json:"profile,omitempty"`      // its name
	ProfileFile string `json:"profile_file,omitempty"` // its text, in place of a name
}

// profile returns the profile asked for, nil for none.
func (r ProfileRef) profile() (*intake.Profile, error) {
	switch {
	case r.ProfileFile != "":
		return intake.ParseProfile([]byte(r.ProfileFile))
	case r.Profile != "":
		return intake.ProfileNamed(r.Profile)
	}
	return nil, nil
}

// options returns what it says.
func (r ImportRef) options() (o intake.ImportOptions, err error) {
	o = intake.ImportOptions{Name: r.Name, Format: r.Format, Strict: r.Strict, Size: r.Size, Columns: r.Columns}
	if r.Columns != nil {
		if err := r.Columns.Check(); err != nil {
			return o, err
		}
	}
	if r.Marking != "" {
		if o.Marking, err = noroshi.ParseTLP(r.Marking); err != nil {
			return o, err
		}
	}
	o.Profile, err = r.profile()
	return o, err
}

func importFile(ctx context.Context, c *Call) (any, error) {
	var in ImportRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	o, err := in.options()
	if err != nil {
		return nil, err
	}
	o.Progress = func(p intake.Progress) { c.Progress(p) }
	body, by, done, err := c.brought(ctx, in)
	defer done()
	if err != nil {
		return nil, err
	}
	o.Person = by
	r, err := c.Gate.Import(ctx, body, o)
	if err == nil && r.Nothing() {
		err = noroshi.Errorf(noroshi.Invalid, "import.empty", "there is nothing in %s", o.Name)
	}
	return r, err
}

// HitsRef comes before a body of hits, one JSON object a line.
type HitsRef struct {
	Sensor string `json:"sensor"`
}

// maxHits are taken in at once: what a call keeps in memory.
const maxHits = 1_000_000

func hits(ctx context.Context, c *Call) (any, error) {
	var in HitsRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	var all watch.Observed
	err := eachHits(c.Body, maxHits, func(some []detect.Hit) error {
		o, err := c.Watch.Observe(ctx, in.Sensor, some)
		all.Add(o)
		return err
	})
	return all, err
}

// eachHits hands on the hits of a body, at most so many at a time, and at least
// once.
func eachHits(body io.Reader, most int, do func([]detect.Hit) error) error {
	dec := json.NewDecoder(body)
	some := []detect.Hit{}
	for n := 1; ; n++ {
		var h detect.Hit
		err := dec.Decode(&h)
		switch {
		case isEOF(err):
			if len(some) > 0 || n == 1 {
				return do(some)
			}
			return nil
		case err != nil:
			return noroshi.Errorf(noroshi.Invalid, "hits.syntax", "hit %d: %w", n, err)
		}
		if some = append(some, h); len(some) < most {
			continue
		}
		if err := do(some); err != nil {
			return err
		}
		some = some[:0]
	}
}

func hitsFinish(ctx context.Context, c *Call) (any, error) {
	var in HitsRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Watch.Finish(ctx, in.Sensor)
}

func hitsExplained(ctx context.Context, c *Call) (any, error) { return c.Watch.ExplainedHits(ctx) }

// FeedRef follows the change feed until the caller hangs up, or Limit changes.
type FeedRef struct {
	After int64 `json:"after"` // -1 = from now on
	Limit int   `json:"limit,omitempty"`
}

// FeedLine is one change, told as progress.
type FeedLine struct {
	Seq  int64            `json:"seq"`
	Kind store.ChangeKind `json:"kind"`
	ID   string           `json:"id"`
	Time string           `json:"time"`
}

func feedFollow(ctx context.Context, c *Call) (any, error) {
	var in FeedRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if in.After < 0 {
		head, err := c.Store.Head(ctx)
		if err != nil {
			return nil, err
		}
		in.After = head
	}
	for n := 0; in.Limit == 0 || n < in.Limit; {
		changes, err := c.Store.Feed(ctx, in.After, 1000)
		if err != nil {
			return nil, err
		}
		for _, ch := range changes {
			c.Progress(FeedLine{ch.Seq, ch.Kind, ch.ID, rfc(ch.Time)})
			in.After = ch.Seq
			n++
		}
		if len(changes) == 0 {
			if err := c.Store.Wait(ctx, in.After); err != nil {
				if errors.Is(err, context.Canceled) {
					return nil, nil
				}
				return nil, err
			}
		}
	}
	return nil, nil
}
