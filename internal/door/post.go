package door

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/taxii"
)

// docStatus is the kind of document that keeps what became of a POST; its key is
// the status id.
const docStatus = "taxii-status"

// posted is a status as it is kept: what was admitted by its versions, which say
// id and version themselves.
type posted struct {
	Client   string               `json:"client"`
	Token    noroshi.Hash         `json:"token"` // the client's: another may have its name later
	At       time.Time            `json:"at"`
	Total    int                  `json:"total"`
	Done     []byte               `json:"done,omitempty"`  // versions, packed; 0 = the next of Aside
	Aside    []taxii.StatusDetail `json:"aside,omitempty"` // of successes: what waits for a person and has no version
	Failures []taxii.StatusDetail `json:"failures,omitempty"`
	Pendings []taxii.StatusDetail `json:"pendings,omitempty"`
}

// objectsAtOnce bounds how many objects one act of a POST admits.
const objectsAtOnce = 1000

// Add admits what a client posts, with the client as its source, and lays it on
// the shelf. What the entry gate puts into quarantine is pending, as a person
// looks at it; what is no STIX object at all lies there too, but has failed. A
// client with a highest label is answered as if nothing above it were here.
func (b *backend) Add(ctx context.Context, client, collection string, objects []taxii.Posted) (taxii.Status, error) {
	c, col, err := b.allowed(ctx, client, collection, true)
	if err != nil {
		return taxii.Status{}, err
	}
	within, err := b.ceiling(c.Max)
	if err != nil {
		return taxii.Status{}, err
	}
	p := post{door: b.Door, client: c, collection: col, id: uuid.NewString(), within: within, doc: posted{Client: c.Name, Token: c.Token, At: b.o.Now().UTC(), Total: len(objects)}}
	for first := 0; first < len(objects) || first == 0; first += objectsAtOnce {
		part := objects[first:min(first+objectsAtOnce, len(objects))]
		if err := p.admit(ctx, part, first, first+len(part) == len(objects)); err != nil {
			return taxii.Status{}, err
		}
	}
	return p.status(), nil
}

// post is one POST on its way in.
type post struct {
	door       *Door
	client     Client
	collection Collection
	id         string // of the status
	within     func(noroshi.Label) bool
	doc        posted
	done       []taxii.StatusDetail
	seqs       []int64 // their versions; 0 = the next of doc.Aside
}

// element is one object of a POST.
type element struct {
	taxii.Posted
	place  string
	banned bool // withdrawn here, and hidden from the client: it waits for a person
	out    intake.Outcome
}

// admit admits a part of what was posted in one act; the last part keeps the
// status.
func (p *post) admit(ctx context.Context, part []taxii.Posted, first int, last bool) error {
	elements, raws, err := p.elements(ctx, part, first)
	if err != nil {
		return err
	}
	prepared, err := p.door.gate.Prepare(p.source(), p.id, raws)
	if err != nil {
		return err
	}
	_, err = p.door.store.Do(ctx, noroshi.Act{Action: noroshi.ActImport, Subject: p.id, Count: len(part)}, func(tx *store.Tx) error {
		a, err := p.door.gate.Admit(tx, prepared)
		if err != nil {
			return err
		}
		for i := range elements {
			if e := &elements[i]; !e.banned {
				e.out, a.Each = a.Each[0], a.Each[1:]
			}
		}
		if err := p.lay(ctx, tx, elements); err != nil || !last {
			return err
		}
		p.doc.Done = packSeqs(p.seqs)
		return tx.PutJSON(docStatus, p.id, p.doc)
	})
	return err
}

func (p *post) source() noroshi.Source {
	return noroshi.Source{Kind: noroshi.FromClient, Name: p.client.Name}
}

// elements are the objects of a part, but those that fail because they were
// withdrawn here, and what of them the entry gate is given.
func (p *post) elements(ctx context.Context, part []taxii.Posted, first int) (elements []element, raws []intake.Raw, err error) {
	objects := make([]*stix.Object, len(part))
	for i, o := range part {
		objects[i] = o.Object
	}
	banned, err := p.door.store.Banned(ctx, objects)
	if err != nil {
		return nil, nil, err
	}
	elements, raws = make([]element, 0, len(part)), make([]intake.Raw, 0, len(part))
	for i, o := range part {
		e := element{Posted: o, place: fmt.Sprintf("object %d", first+i), banned: banned[i]}
		if e.banned {
			hidden, err := p.hides(ctx, p.door.store.Reads, o.Object.ID, func(r store.Record) bool { return r.Withdrawn })
			if err != nil {
				return nil, nil, err
			}
			if !hidden {
				p.doc.Failures = append(p.doc.Failures, o.Detail(withdrawnHere))
				continue
			}
		} else {
			raws = append(raws, intake.Raw{Bytes: o.Raw, Object: o.Object, Place: e.place})
		}
		elements = append(elements, e)
	}
	return elements, raws, nil
}

// withdrawnHere is why an object fails that was recalled: what was taken out of
// use is not brought back by whoever still has it.
const withdrawnHere = "this object was withdrawn here and is not taken up again: give what is still true a new id"

// hides reports whether a client must not be told what its object meets here:
// it has a highest label, and no version of the id that the object meets is
// within it. One without a bound is told.
func (p *post) hides(ctx context.Context, reads store.Reads, id stix.ID, meets func(store.Record) bool) (bool, error) {
	if len(p.client.Max) == 0 {
		return false, nil
	}
	versions, err := reads.Versions(ctx, id)
	if err != nil {
		return false, err
	}
	labels := reads.Labels(nil)
	for _, r := range versions {
		if !meets(r) {
			continue
		}
		label, err := labels.Of(ctx, r)
		if err != nil || p.within(label) {
			return false, err
		}
	}
	return true, nil
}

// lay lays on the shelf what was admitted and notes what became of each.
func (p *post) lay(ctx context.Context, tx *store.Tx, elements []element) error {
	var items []store.Laid
	place := map[int]int{}
	for i, e := range elements {
		if out := e.out; out.Seq != 0 && out.Result != store.Conflict {
			place[i] = len(items)
			items = append(items, store.Laid{Seq: out.Seq, Object: out.Object, New: out.Result == store.New})
		}
	}
	_, clash, err := tx.Lay(p.collection.ID, items)
	if err != nil {
		return err
	}
	for i := range elements {
		k, laid := place[i]
		if under, stays := clash[k]; laid && stays {
			err = p.met(ctx, tx, &elements[i], onShelf, func(r store.Record) bool { return r.Seq == under && !r.Withdrawn })
		} else {
			err = p.note(ctx, tx, &elements[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// note notes what became of an element that meets nothing on the shelf.
func (p *post) note(ctx context.Context, tx *store.Tx, e *element) error {
	out := e.out
	switch {
	case e.banned:
		p.taken(e)
		return p.keep(tx, e, withdrawn)
	case out.Seq == 0 && e.Object == nil:
		p.doc.Failures = append(p.doc.Failures, e.Detail(out.Code+": "+out.Msg))
	case out.Seq == 0:
		p.doc.Pendings = append(p.doc.Pendings, e.Detail(out.Code+": "+out.Msg))
	case out.Result == store.Conflict:
		same := func(r store.Record) bool {
			return r.Conflict && r.Seq != out.Seq && r.Source.Owner() == p.source().Owner() && r.Object.Modified.Compare(e.Object.Modified) == 0
		}
		return p.met(ctx, tx, e, meeting{out.Code, out.Msg}, same)
	default:
		p.taken(e)
	}
	return nil
}

// taken notes a success.
func (p *post) taken(e *element) {
	p.done, p.seqs = append(p.done, e.Detail("")), append(p.seqs, e.out.Seq)
	if e.out.Seq == 0 {
		p.doc.Aside = append(p.doc.Aside, e.Detail(""))
	}
}

// meeting is why something that is here stands in the way of an element.
type meeting struct{ code, why string }

var (
	onShelf   = meeting{"on-shelf", "other bytes lie in the collection under this id and version"}
	withdrawn = meeting{"withdrawn", withdrawnHere}
)

// met notes an element that something is in the way of: it fails, or, where the
// client must not know of it, is a success to the client and waits for a person.
func (p *post) met(ctx context.Context, tx *store.Tx, e *element, m meeting, what func(store.Record) bool) error {
	hidden, err := p.hides(ctx, tx.Reads, e.Object.ID, what)
	if err != nil {
		return err
	}
	if !hidden {
		p.doc.Failures = append(p.doc.Failures, e.Detail(m.why))
		return nil
	}
	p.taken(e)
	return p.keep(tx, e, m)
}

// keep keeps an element for a person.
func (p *post) keep(tx *store.Tx, e *element, m meeting) error {
	return tx.Quarantine(store.Quarantined{Source: p.source(), Run: p.id, Code: m.code, Place: e.place, Raw: e.Raw, Size: int64(len(e.Raw))})
}

func (p *post) status() taxii.Status { return p.doc.status(p.id, p.done) }

func (d posted) status(id string, done []taxii.StatusDetail) taxii.Status {
	state := taxii.Complete
	if len(d.Pendings) > 0 {
		state = taxii.Pending
	}
	return taxii.Status{ID: id, Status: state, RequestTimestamp: stix.TimeOf(d.At).String(), TotalCount: d.Total,
		SuccessCount: len(done), Successes: done, FailureCount: len(d.Failures), Failures: d.Failures,
		PendingCount: len(d.Pendings), Pendings: d.Pendings}
}

// Status returns what became of a POST, to who sent it.
func (b *backend) Status(ctx context.Context, client, id string) (taxii.Status, error) {
	c, err := b.known(ctx, client)
	if err != nil {
		return taxii.Status{}, err
	}
	d, err := store.DocOf[posted](ctx, b.store.Reads, docStatus, id)
	if noroshi.KindOf(err) == noroshi.NotFound {
		return taxii.Status{}, taxii.ErrNotFound
	}
	if err != nil {
		return taxii.Status{}, err
	}
	if d.Client != c.Name || d.Token != c.Token {
		return taxii.Status{}, taxii.ErrNotFound
	}
	seqs, ok := unpackSeqs(d.Done)
	if !ok {
		return taxii.Status{}, noroshi.Errorf(noroshi.Broken, "door.status", "status %s cannot be read: run audit verify", id)
	}
	done, err := b.successes(ctx, seqs, d.Aside)
	if err != nil {
		return taxii.Status{}, err
	}
	return d.status(id, done), nil
}

// successes are the details of what was taken: versions, and in the place of a 0
// what waits aside.
func (b *backend) successes(ctx context.Context, seqs []int64, aside []taxii.StatusDetail) ([]taxii.StatusDetail, error) {
	recs, err := b.store.Records(ctx, slices.DeleteFunc(slices.Clone(seqs), func(seq int64) bool { return seq == 0 }))
	if err != nil {
		return nil, err
	}
	done := make([]taxii.StatusDetail, 0, len(seqs))
	for _, seq := range seqs {
		switch {
		case seq == 0 && len(aside) > 0:
			done, aside = append(done, aside[0]), aside[1:]
		case len(recs) > 0 && recs[0].Seq == seq:
			done = append(done, taxii.StatusDetail{ID: string(recs[0].Object.ID), Version: taxii.VersionOf(recs[0].Object).String()})
			recs = recs[1:]
		}
	}
	return done, nil
}

// Remove takes versions of an object off a shelf, those the client may see. What
// the node holds stays: who made an object withdraws it by sending it revoked.
func (b *backend) Remove(ctx context.Context, client, collection string, id stix.ID, q taxii.Query) error {
	c, col, err := b.allowed(ctx, client, collection, true)
	if err != nil {
		return err
	}
	sq := queryOf(col, q)
	sq.IDs, sq.Bodies, sq.Limit = []stix.ID{id}, false, store.MaxPage
	if len(q.Version) == 0 {
		sq.Versions = []store.VersionOf{{All: true}}
	}
	found := 0
	for more := true; more; {
		var list []store.Shelved
		if list, more, err = b.store.Shelf(ctx, sq); err != nil || len(list) == 0 {
			break
		}
		sq.After = list[len(list)-1].Added
		seen, err := b.own(ctx, c, list, false)
		if err != nil {
			return err
		}
		dates := make([]time.Time, len(seen))
		for i, x := range seen {
			dates[i] = x.Added
		}
		if len(seen) == 0 {
			continue
		}
		found += len(seen)
		_, err = b.store.Do(ctx, noroshi.Act{Action: noroshi.ActShelve, Subject: "client " + c.Name + " " + col.ID}, func(tx *store.Tx) error {
			return tx.TakeOff(col.ID, dates)
		})
		if err != nil {
			return err
		}
	}
	if err == nil && found == 0 {
		err = taxii.ErrNotFound
	}
	return err
}

// packSeqs packs sequences: each as its difference to the one before.
func packSeqs(seqs []int64) (b []byte) {
	last := int64(0)
	for _, seq := range seqs {
		b = binary.AppendVarint(b, seq-last)
		last = seq
	}
	return b
}

func unpackSeqs(b []byte) (seqs []int64, ok bool) {
	last := int64(0)
	for len(b) > 0 {
		v, n := binary.Varint(b)
		if n <= 0 {
			return nil, false
		}
		last += v
		seqs, b = append(seqs, last), b[n:]
	}
	return seqs, true
}
