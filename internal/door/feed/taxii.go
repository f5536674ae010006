package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/fetch"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/taxii"
)

// docPosition is the kind of the document that says how far a TAXII feed was
// read; its key is that of the feed's parts. It is written with what was read.
const docPosition = "feed-position"

// Bounds of a walk.
const (
	pageLimit   = 500      // objects of a page, each of which is one act
	maxPageSize = 64 << 20 // bytes of one answer
	maxGathered = 64 << 20 // bytes of pages that are judged together
	maxCounted  = 1 << 20  // new elements that are counted when they wait
	remembered  = 4096     // records that a position knows again
)

// readTAXII reads what is new in a collection. The feed's address is the API
// root: nothing is looked up in a discovery.
func (r *feeding) readTAXII(ctx context.Context, out *outside) error {
	client, err := taxii.NewClient(taxii.ClientOptions{Base: r.feed.URL, Transport: out.Transport, Final: fetch.Final,
		Token: out.token, User: out.user, Password: out.password, Limit: pageLimit, MaxAnswer: maxPageSize, Remember: remembered,
		Tries: 3, MinWait: 500 * time.Millisecond, MaxWait: 30 * time.Second, Now: r.reader.o.Now})
	if err != nil {
		return noroshi.Errorf(noroshi.Invalid, "feed.url", "the address of a feed on %q must have the form https://host/path, without a user name", out.base.Host)
	}
	at, err := r.position(ctx)
	if err != nil {
		return err
	}
	g := gathering{r: r, run: "feed-" + uuid.NewString()}
	for page, err := range client.Objects(ctx, "", r.feed.Collection, taxii.Query{}, at) {
		for _, f := range page.Faults {
			r.log("a feed's server departs from TAXII", "fault", f.Code, "text", f.Msg)
		}
		if err != nil {
			if taken := g.flush(ctx); taken != nil {
				return taken
			}
			return err
		}
		if err := g.add(ctx, page); err != nil {
			return err
		}
	}
	return g.flush(ctx)
}

func (r *feeding) position(ctx context.Context) (taxii.Position, error) {
	return store.DocOrZero[taxii.Position](ctx, r.reader.store.Reads, docPosition, r.feed.docPart())
}

// gathering gathers the pages of a walk until they can be judged together.
// While there is no daily volume yet to judge by, each is taken as it comes.
type gathering struct {
	r     *feeding
	run   string
	pages []gathered
	size  int
	fresh int
	over  bool // they wait: what comes is only counted
}

// gathered is a page, prepared.
type gathered struct {
	prepared *intake.Prepared
	survey   intake.Survey
	position taxii.Position
}

// add adds a page.
func (g *gathering) add(ctx context.Context, page taxii.Page) error {
	raws := make([]intake.Raw, len(page.Elements))
	size := 0
	for i, e := range page.Elements {
		raws[i] = intake.Raw{Bytes: e.Raw, Place: fmt.Sprintf("collection %s, object %d of a page", g.r.feed.Collection, i+1)}
		size += len(e.Raw)
	}
	prepared, survey, err := g.r.reader.gate.PrepareBrought(ctx, g.r.options, g.run, raws)
	if err != nil {
		return err
	}
	g.fresh += survey.New
	if !g.over {
		g.pages, g.size = append(g.pages, gathered{prepared, survey, page.Position}), g.size+size
	}
	switch err := g.r.allow(g.fresh, 0, 0); {
	case err != nil && g.fresh < maxCounted:
		g.over, g.pages = true, nil
		return nil
	case err != nil:
		return err
	case g.size >= maxGathered || !g.r.guard.Judges(g.r.state.Days, g.r.reader.o.Now()):
		return g.flush(ctx)
	}
	return nil
}

// flush judges the pages and takes them, each with its position in one act.
func (g *gathering) flush(ctx context.Context) error {
	if err := g.r.allow(g.fresh, 0, 0); err != nil {
		return err
	}
	for _, p := range g.pages {
		if err := g.r.takePage(ctx, g.run, p); err != nil {
			return err
		}
	}
	g.pages, g.size, g.fresh = nil, 0, 0
	return nil
}

// takePage admits a page and keeps how far the walk has come with it.
func (r *feeding) takePage(ctx context.Context, run string, p gathered) error {
	if had, err := r.position(ctx); err == nil && p.survey.Elements == 0 && equalJSON(had, p.position) {
		return nil
	}
	act := r.act(noroshi.ActImport, p.survey.Elements)
	act.Subject = run
	var next State
	var a intake.Admitted
	_, err := r.reader.store.Do(ctx, act, func(tx *store.Tx) (err error) {
		if a, err = r.reader.gate.Admit(tx, p.prepared); err != nil {
			return err
		}
		fresh := a.New + a.Updated + a.Older + a.Foreign + a.Conflicts
		if next = r.state; fresh > 0 {
			next.Days = Counted(r.state.Days, r.reader.o.Now(), fresh)
			if err := tx.PutJSON(DocState, r.feed.Name, next); err != nil {
				return err
			}
		}
		return tx.PutJSON(docPosition, r.feed.docPart(), p.position)
	})
	if err != nil {
		return err
	}
	r.state = next
	r.count(a.New+a.Updated+a.Older+a.Foreign+a.Conflicts, a.Unchanged, a.Quarantined)
	return nil
}

func equalJSON(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
