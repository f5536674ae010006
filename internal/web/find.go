package web

import (
	"context"
	"strings"
	"time"

	"golang.org/x/text/width"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// FindRef is a search: an id, a warning's number, a value (address, domain, URL, hash, CIDR), a
// value with * in it, or words. Nothing asks for all indicators.
type FindRef struct {
	Query  string `json:"query"`
	After  int64  `json:"after,omitempty"`
	Limit  int    `json:"limit,omitempty"`
	Newest bool   `json:"newest,omitempty"` // the newest first; else the oldest
}

// How a search was understood.
const (
	FoundAll      = "all"
	FoundID       = "id"
	FoundNumber   = "number" // of a warning, said aloud
	FoundValue    = "value"
	FoundNetwork  = "network" // a wide one, looked through
	FoundWildcard = "wildcard"
	FoundWords    = "words"
)

// Found is a page of a search.
type Found struct {
	Data   []ObjectRow `json:"data"`
	Next   int64       `json:"next,omitempty"`
	Behind int64       `json:"behind,omitempty"` // changes the text index has not seen yet, counted up to store.MaxBehind
	How    string      `json:"how"`
	Rest   int64       `json:"rest,omitempty"`  // changes not looked through yet, of what no index finds: Next goes on
	About  int         `json:"about,omitempty"` // indicators in effect here, where the index is filled
}

// maxQuery bounds a search in bytes.
const maxQuery = 2048

func indicatorFind(ctx context.Context, c *Call) (any, error) {
	in := FindRef{Limit: 100}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if len(in.Query) > maxQuery {
		return nil, noroshi.Errorf(noroshi.Invalid, "find.too-long", "a search has at most %d bytes", maxQuery)
	}
	in.Limit = min(max(in.Limit, 1), store.MaxPage)
	f, recs, err := c.find(ctx, strings.TrimSpace(width.Fold.String(in.Query)), store.Along{After: in.After, Back: in.Newest, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	if f.Data, err = c.foundRows(ctx, recs); err != nil {
		return nil, err
	}
	if f.Next == 0 && f.How != FoundID && f.How != FoundNumber && len(recs) == in.Limit {
		f.Next = recs[len(recs)-1].Seq
	}
	if c.Running && c.Watch.Loaded() {
		armed, err := c.Watch.Armed(ctx)
		if err != nil {
			return nil, err
		}
		if !armed.Counting {
			f.About = armed.Indicators + armed.NotArmed
		}
	}
	return f, nil
}

// find answers a search whose width is folded.
func (c *Call) find(ctx context.Context, query string, a store.Along) (f Found, recs []store.Record, err error) {
	if query == "" {
		f.How = FoundAll
		recs, err = c.Store.List(ctx, store.Filter{Type: "indicator", After: a.After, Limit: a.Limit, Back: a.Back})
		return f, recs, err
	}
	if id, err := stix.ParseID(strings.ToLower(query)); err == nil {
		f.How = FoundID
		r, err := c.Store.Current(ctx, id)
		if noroshi.KindOf(err) == noroshi.NotFound {
			return f, nil, nil
		}
		return f, []store.Record{r}, err
	}
	if recs, err := c.numbered(ctx, query); err != nil || len(recs) > 0 {
		f.How = FoundNumber
		if a.After != 0 {
			recs = nil // they are on the first page
		}
		return f, recs, err
	}
	if sought, ok := store.Wildcard(query); ok {
		f.How = FoundWildcard
		recs, err = c.sift(ctx, sought, a, &f)
		return f, recs, err
	}
	if v, perr := detect.ParseValue(query); perr == nil {
		sought, wide, err := c.Store.Wide(ctx, v)
		if err != nil {
			return f, nil, err
		}
		if wide {
			f.How = FoundNetwork
			recs, err = c.sift(ctx, sought, a, &f)
			return f, recs, err
		}
		f.How = FoundValue
		recs, err = c.Store.ByValue(ctx, v, a)
		if err != nil || len(recs) > 0 || a.After != 0 {
			return f, recs, err
		}
	}
	f.How = FoundWords // also of what could be a value and is none: a file's name reads like a domain
	recs, f.Behind, err = c.Store.Search(ctx, query, a)
	return f, recs, err
}

// numbered returns the warnings with a number, at most a page of them: each node
// gives a number once.
func (c *Call) numbered(ctx context.Context, query string) (recs []store.Record, err error) {
	rows, err := c.Watch.Numbered(ctx, query)
	if err != nil {
		return nil, err
	}
	for _, row := range rows[:min(len(rows), store.MaxPage)] {
		r, err := c.Store.Current(ctx, row.ID)
		if err != nil && noroshi.KindOf(err) != noroshi.NotFound {
			return nil, err
		}
		if err == nil {
			recs = append(recs, r)
		}
	}
	return recs, nil
}

// sift looks through one part of what no index finds, and says how much is left.
func (c *Call) sift(ctx context.Context, sought store.Sought, a store.Along, f *Found) ([]store.Record, error) {
	s, err := c.Store.Sift(ctx, sought, a)
	if err != nil || s.UpTo == 0 {
		return s.Records, err
	}
	f.Next, f.Rest = s.UpTo, s.UpTo
	if !a.Back {
		head, err := c.Store.Head(ctx)
		f.Rest = head - s.UpTo
		return s.Records, err
	}
	return s.Records, nil
}

// maxValues is how many values of one object a row names.
const maxValues = 20

// foundRows are records as a search shows them.
func (c *Call) foundRows(ctx context.Context, recs []store.Record) ([]ObjectRow, error) {
	rows := make([]ObjectRow, 0, len(recs))
	labels := c.Store.Labels(nil)
	came := map[uint64]time.Time{} // by act
	for _, r := range recs {
		row := c.row(ctx, r)
		label, err := labels.Of(ctx, r)
		if err != nil {
			return nil, err
		}
		at, known := came[r.Act]
		if !known {
			if at, err = c.cameAt(ctx, r.Act); err != nil {
				return nil, err
			}
			came[r.Act] = at
		}
		row.Label, row.Came, row.Until = label.String(), at, timeOf(r.Object.Text("valid_until"))
		for _, v := range r.Values[:min(len(r.Values), maxValues)] {
			row.Values = append(row.Values, v.String())
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// cameAt is when an act was done, zero while it is not on record.
func (s *Services) cameAt(ctx context.Context, act uint64) (time.Time, error) {
	acts, err := s.Store.Acts(ctx, act, 1)
	if err != nil || len(acts) == 0 || acts[0].Index != act {
		return time.Time{}, err
	}
	return acts[0].Time, nil
}

// timeOf reads a timestamp, zero for none.
func timeOf(text string) time.Time {
	t, err := stix.ParseTime(text)
	if err != nil {
		return time.Time{}
	}
	return t.Time()
}
