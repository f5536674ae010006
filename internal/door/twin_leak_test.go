package door_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
	"github.com/noroshi-cti/noroshi/stix/ioc"
	"github.com/noroshi-cti/noroshi/taxii"
)

// leaky is a backend with a fault in it.
type leaky struct {
	taxii.Backend
	o      *office
	page   func(l leaky, ctx context.Context, client, collection string, q taxii.Query) ([]taxii.Record, bool, error)
	status func(l leaky, ctx context.Context, client, id string) (taxii.Status, error)
}

func (l leaky) Page(ctx context.Context, client, collection string, q taxii.Query) ([]taxii.Record, bool, error) {
	if l.page == nil {
		return l.Backend.Page(ctx, client, collection, q)
	}
	return l.page(l, ctx, client, collection, q)
}

func (l leaky) Status(ctx context.Context, client, id string) (taxii.Status, error) {
	if l.status == nil {
		return l.Backend.Status(ctx, client, id)
	}
	return l.status(l, ctx, client, id)
}

// rows are what lies in the partner's collection, what is not cleared too.
func (l leaky) rows(q taxii.Query, limit int) ([]store.Shelved, bool) {
	l.o.t.Helper()
	list, more, err := l.o.store.Shelf(l.o.ctx, store.ShelfQuery{Collection: ownID, After: q.After, IDs: q.IDs, Types: q.Types, Limit: limit})
	if err != nil {
		l.o.t.Fatal(err)
	}
	return list, more
}

// leaks are faults that a change of the door could bring.
func leaks() []leak {
	page := func(name string, fn func(l leaky, ctx context.Context, client, collection string, q taxii.Query) ([]taxii.Record, bool, error)) leak {
		return leak{name: name, backend: func(o *office, b taxii.Backend) taxii.Backend { return leaky{Backend: b, o: o, page: fn} }}
	}
	header := func(name string, fn func(o *office, r *http.Request, h http.Header)) leak {
		return leak{name: name, handler: func(o *office, h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				a := httptest.NewRecorder()
				h.ServeHTTP(a, r)
				fn(o, r, a.Header())
				copyTo(w, a, a.Body.Bytes())
			})
		}}
	}
	return []leak{
		page("date_added is the sequence of the feed", func(l leaky, ctx context.Context, client, collection string, q taxii.Query) ([]taxii.Record, bool, error) {
			list, more, err := l.Backend.Page(ctx, client, collection, q)
			for i := range list {
				if r, err := l.o.store.Current(ctx, list[i].ID); err == nil {
					list[i].Added = began.Add(time.Duration(r.Seq) * time.Microsecond)
				}
			}
			return list, more, err
		}),
		page("more counts what is not cleared", func(l leaky, ctx context.Context, client, collection string, q taxii.Query) ([]taxii.Record, bool, error) {
			list, more, err := l.Backend.Page(ctx, client, collection, q)
			if collection == ownID && len(list) > 0 && len(list) < q.Limit {
				q.After = list[len(list)-1].Added
				rest, _ := l.rows(q, 1)
				more = more || len(rest) > 0
			}
			return list, more, err
		}),
		page("a page is cut short by what is not cleared", func(l leaky, ctx context.Context, client, collection string, q taxii.Query) ([]taxii.Record, bool, error) {
			list, more, err := l.Backend.Page(ctx, client, collection, q)
			if rows, after := l.rows(q, q.Limit); collection == ownID && after && len(q.Version) == 0 {
				last := rows[len(rows)-1].Added
				short := slices.DeleteFunc(slices.Clone(list), func(r taxii.Record) bool { return r.Added.After(last) })
				return short, more || len(short) < len(list), err
			}
			return list, more, err
		}),
		page("versions tells of other sources' versions", func(l leaky, ctx context.Context, client, collection string, q taxii.Query) ([]taxii.Record, bool, error) {
			list, more, err := l.Backend.Page(ctx, client, collection, q)
			if len(q.IDs) == 1 && len(list) > 0 {
				all, _ := l.o.store.Versions(ctx, q.IDs[0])
				for range len(all) - len(list) {
					list = append(list, list[len(list)-1])
				}
			}
			return list, more, err
		}),
		page("a shelf answers that it may not be read", func(l leaky, ctx context.Context, client, collection string, q taxii.Query) ([]taxii.Record, bool, error) {
			return l.Backend.Page(ctx, client, collection, q)
		}).withCollections(),
		{name: "a status is anybody's", backend: func(o *office, b taxii.Backend) taxii.Backend {
			return leaky{Backend: b, o: o, status: func(l leaky, ctx context.Context, client, id string) (taxii.Status, error) {
				st, err := l.Backend.Status(ctx, client, id)
				if other, oerr := l.Backend.Status(ctx, "tool", id); oerr == nil {
					return other, nil
				}
				return st, err
			}}
		}},
		header("a header counts what is withheld", func(o *office, _ *http.Request, h http.Header) {
			all, err := o.store.Head(o.ctx)
			if err != nil {
				o.t.Fatal(err)
			}
			held, err := o.store.Shelves(o.ctx, ownID)
			if err != nil {
				o.t.Fatal(err)
			}
			h.Set("X-Withheld", fmt.Sprint(all-int64(held)))
		}),
		header("the tag of an export is the head of the feed", func(o *office, r *http.Request, h http.Header) {
			if head, err := o.store.Head(o.ctx); err == nil && h.Get("ETag") != "" {
				h.Set("ETag", fmt.Sprintf("%q", fmt.Sprint(head)))
			}
		}),
		{name: "rule numbers go by when an object came here", handler: numbered},
	}
}

// withCollections has the backend list shelves the client may not read.
func (l leak) withCollections() leak {
	l.backend = func(o *office, b taxii.Backend) taxii.Backend { return listing{b, o} }
	return l
}

type listing struct {
	taxii.Backend
	o *office
}

func (l listing) Collections(ctx context.Context, client string) ([]taxii.Collection, error) {
	list, err := l.Backend.Collections(ctx, client)
	all, err2 := l.o.door.Collections(ctx)
	if err != nil || err2 != nil {
		return list, err
	}
	for _, c := range all {
		if c.Partner == (noroshi.NodeID{}) {
			list = append(list, taxii.Collection{ID: c.ID, Title: c.Name})
		}
	}
	return list, nil
}

func copyTo(w http.ResponseWriter, a *httptest.ResponseRecorder, body []byte) {
	for k, v := range a.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(a.Code)
	_, _ = w.Write(body)
}

var sid = regexp.MustCompile(`sid:(\d+)`)

// numbered gives the rules of an export the numbers of their objects' places in
// the store.
func numbered(o *office, h http.Handler) http.Handler {
	const first, each = 1_000_000, 4 * ioc.RulesPerValue
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := httptest.NewRecorder()
		h.ServeHTTP(a, r)
		body := a.Body.Bytes()
		if strings.HasPrefix(r.URL.Path, door.SensorPath) && a.Code == http.StatusOK {
			numbers, err := o.store.Numbers(r.Context(), ownID)
			if err != nil {
				o.t.Fatal(err)
			}
			of := map[int64]stix.ID{}
			for id, n := range numbers {
				of[n] = id
			}
			body = sid.ReplaceAllFunc(body, func(text []byte) []byte {
				n, _ := strconv.ParseInt(string(text[len("sid:"):]), 10, 64)
				at, err := o.store.First(r.Context(), of[(n-first)/each])
				if err != nil {
					return text
				}
				return fmt.Appendf(nil, "sid:%d", first+at*each)
			})
		}
		copyTo(w, a, body)
	})
}

// TestPlantedLeaks: each of some faults is found by the twins, and soon.
func TestPlantedLeaks(t *testing.T) {
	t.Parallel()
	const most = 96 // graphs
	for _, l := range leaks() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			graphs := 0
			for seed := uint64(0); graphs < most; seed++ {
				round, _, s := play(t, seed, 8, l)
				if graphs += s.graphs; round > 0 {
					t.Logf("found in graph %d", graphs)
					return
				}
			}
			t.Errorf("not found in %d graphs", graphs)
		})
	}
}
