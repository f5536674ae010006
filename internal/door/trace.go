package door

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// Left is an export that had some versions.
type Left struct {
	ID      string
	Format  string
	Partner noroshi.NodeID // to whom; zero = inside the organisation
	Made    time.Time
	Label   string
	Seqs    []int64 // of the versions that were asked for

	collection string // inside: the shelf it is of
}

// Exports lists the exports that had any of these versions, oldest first.
func (d *Door) Exports(ctx context.Context, seqs []int64) (list []Left, err error) {
	all, err := store.DocsOf[exportDoc](ctx, d.store.Reads, DocExport)
	if err != nil {
		return nil, err
	}
	for id, x := range all {
		had, ok := unpackSeqs(x.Seqs)
		if !ok {
			return nil, noroshi.Errorf(noroshi.Broken, "door.export", "export %s cannot be read: run audit verify", id)
		}
		had = slices.DeleteFunc(had, func(seq int64) bool { return !slices.Contains(seqs, seq) })
		if len(had) > 0 {
			list = append(list, Left{ID: id, Format: x.Format, Partner: x.Partner, Made: x.Made, Label: x.Label, Seqs: had, collection: x.Collection})
		}
	}
	slices.SortFunc(list, func(a, b Left) int { return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// Read is what a client fetched and may have got some versions with: a page
// whose dates they lay between, or an export that had them. What a page was
// asked for is not on record, so that a page of another type counts too.
type Read struct {
	At         time.Time // when
	Client     string
	Collection string // its name, or its id where it is gone
	Format     string // of an export; "" = a page
	From, To   time.Time
	Count      int // how many objects the client got; 0 = it is not known, as of a run the node did not live to end

	act, ends uint64 // the act it is, and that which it tells more of, each + 1
}

// Reads lists the reads that may have had any of these versions, oldest first.
func (d *Door) Reads(ctx context.Context, seqs []int64) (list []Read, err error) {
	if err := d.Settle(ctx, true); err != nil {
		return nil, err
	}
	laid, err := d.store.EverLaid(ctx, seqs)
	if err != nil {
		return nil, err
	}
	exports, err := d.Exports(ctx, seqs)
	if err != nil || len(laid)+len(exports) == 0 {
		return nil, err
	}
	collections, err := d.Collections(ctx)
	if err != nil {
		return nil, err
	}
	for from := uint64(0); ; {
		acts, err := d.store.Acts(ctx, from, store.MaxPage)
		if err != nil || len(acts) == 0 {
			slices.SortStableFunc(list, func(a, b Read) int { return a.At.Compare(b.At) })
			return list, err
		}
		from = acts[len(acts)-1].Index + 1
		for _, a := range acts {
			r, ok := readOf(a)
			if !ok {
				continue
			}
			if r.ends > 0 { // what it tells more of is no read of its own
				list = slices.DeleteFunc(list, func(x Read) bool {
					if x.act == r.ends {
						r.At = x.At
					}
					return x.act == r.ends
				})
			}
			of := Collection{ID: r.Collection, Name: r.Collection}
			if i := slices.IndexFunc(collections, func(c Collection) bool { return c.ID == r.Collection }); i >= 0 {
				of = collections[i]
			}
			if !r.covers(of, laid, exports) {
				continue
			}
			r.Collection = of.Name
			list = append(list, r)
		}
	}
}

// readOf reads an act as noteRead, noteServed and noteSensor wrote it. A client's name may
// have spaces in it, what comes after it has none.
func readOf(e store.Entry) (r Read, ok bool) {
	words := slices.DeleteFunc(strings.Split(e.Act.Subject, " "), func(w string) bool { return strings.HasPrefix(w, clausesWord) })
	n := len(words)
	if e.Act.Action != noroshi.ActServe || n < 5 || words[0] != "client" {
		return r, false
	}
	r = Read{At: e.Time, Client: strings.Join(words[1:n-3], " "), Collection: words[n-3], Count: e.Act.Count, act: e.Index + 1, ends: e.Act.Previous}
	var err error
	if r.To, err = time.Parse(time.RFC3339Nano, words[n-1]); err != nil {
		return r, false
	}
	if r.From, err = time.Parse(time.RFC3339Nano, words[n-2]); err != nil {
		r.From, r.Format = r.To, words[n-2]
	}
	return r, true
}

// covers reports whether a read of a collection may have had something.
func (r Read) covers(of Collection, laid []store.EverLaid, exports []Left) bool {
	if r.Format != "" {
		return slices.ContainsFunc(exports, func(x Left) bool {
			return x.Format == r.Format && x.Made.Equal(r.To) && x.Partner == of.Partner && (x.collection == of.ID || of.Partner != noroshi.NodeID{})
		})
	}
	return slices.ContainsFunc(laid, func(x store.EverLaid) bool {
		return x.Collection == of.ID && !x.Added.Before(r.From) && !x.Added.After(r.To)
	})
}
