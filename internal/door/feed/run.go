package feed

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/fetch"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// maxUnpacked bounds what a file of a feed unpacks to.
const maxUnpacked = 1 << 30

// runTime bounds one run of a feed: a server that never comes to an end keeps
// nobody else waiting for longer.
const runTime = 2 * time.Hour

// feeding is one run of a feed.
type feeding struct {
	reader  *Reader
	feed    Feed
	options intake.ImportOptions
	guard   *Guard
	state   State          // as it is to be kept
	accept  int            // how many elements that wait a person lets in; 0 = nobody was asked
	by      noroshi.Signed // who does, where they signed for it
	temp    string         // folder of this run
	counts  Counts
	fault   error // why a part could not be taken, the first; the others were
}

// Accept is that a person lets in what waits: unless by now it is more than a
// tenth above what they were told of.
type Accept struct {
	By noroshi.Signed // who signed for AcceptBound, checked by the caller; zero = whoever may call
}

// AcceptBound is what the signature of who lets in what waits is bound to: what
// they were told of it. The person signs ActImport over AcceptSubject.
func AcceptBound(s State) noroshi.Hash {
	told, _ := json.Marshal([]any{s.Started, s.Code, s.Args, s.Waiting}) // strings and numbers: cannot fail
	return noroshi.Sum(told)
}

// AcceptSubject is what a person who lets in what waits signs for.
func AcceptSubject(feed string) string { return "feed " + feed }

// Run reads a feed now, paused or not; accept may be nil. The state says how
// it went; an error says so too, where it did not go well.
func (rd *Reader) Run(ctx context.Context, name string, accept *Accept) (State, error) {
	f, err := rd.Feed(ctx, name)
	if err != nil {
		return State{}, err
	}
	if !rd.claim(name) {
		return State{}, noroshi.Errorf(noroshi.Busy, "feed.running", "the feed %s is being read", name)
	}
	defer rd.unclaim(name)
	return rd.runAlone(ctx, f, accept)
}

// runAlone reads a feed that was claimed where no other process of the node does.
func (rd *Reader) runAlone(ctx context.Context, f Feed, accept *Accept) (s State, err error) {
	alone, err := rd.store.TryLead(ctx, "feed "+f.Name, func(ctx context.Context) error {
		s, err = rd.readNow(ctx, f, accept)
		return err
	})
	if err == nil && !alone {
		err = noroshi.Errorf(noroshi.Busy, "feed.running", "the feed %s is being read", f.Name)
	}
	return s, err
}

func (rd *Reader) readNow(ctx context.Context, f Feed, accept *Accept) (State, error) {
	r, err := rd.begin(ctx, f, accept)
	if err != nil {
		return State{}, err
	}
	defer func() { os.RemoveAll(r.temp) }()
	bounded, cancel := context.WithTimeoutCause(ctx, runTime, noroshi.Errorf(noroshi.Busy, "feed.too-long", "the feed %s was not read in %v", f.Name, runTime))
	defer cancel()
	if err = r.prepare(); err == nil {
		err = r.read(bounded)
	}
	if err == nil {
		err = r.fault
	}
	if ctx.Err() != nil {
		return r.state, ctx.Err() // it broke off, and the state says so
	}
	if bounded.Err() != nil {
		err = context.Cause(bounded)
	}
	r.ended(err)
	if kept := r.keepState(ctx); kept != nil {
		return r.state, kept
	}
	return r.state, err
}

// begin opens a run and says so in the state.
func (rd *Reader) begin(ctx context.Context, f Feed, accept *Accept) (*feeding, error) {
	r := &feeding{reader: rd, feed: f, guard: rd.o.Rules.Guard}
	var err error
	if r.state, err = rd.state(ctx, f.Name); err != nil {
		return nil, err
	}
	if accept != nil {
		if r.state.Waiting == 0 {
			return nil, noroshi.Errorf(noroshi.NotFound, "feed.nothing-waits", "nothing of the feed %s waits for a person", f.Name)
		}
		r.accept, r.by = r.state.Waiting+r.state.Waiting/10, accept.By
	}
	if r.guard == nil {
		r.guard = &Guard{}
	}
	r.state.Started = rd.o.Now().UTC()
	return r, r.keepState(ctx)
}

// prepare makes what a run needs on this machine.
func (r *feeding) prepare() (err error) {
	if r.options, err = r.feed.options(r.guard); err != nil {
		return err
	}
	r.options.Person = r.by
	r.temp, err = tempIn(r.reader.o.Rules.Temp, r.feed.Name)
	return err
}

// options are how what a feed brings is imported.
func (f Feed) options(g *Guard) (o intake.ImportOptions, err error) {
	o = intake.ImportOptions{Feed: f.Name, Format: f.Format, Columns: f.Columns, Refuse: g.Refuse, MaxBytes: maxUnpacked}
	if f.Marking != "" {
		if o.Marking, err = intake.Assignable(f.Marking); err != nil {
			return o, err
		}
	}
	if f.Profile != "" {
		o.Profile, err = intake.ProfileNamed(f.Profile)
	}
	return o, err
}

// read reads the feed as its kind is read.
func (r *feeding) read(ctx context.Context) error {
	if r.feed.URL == "" {
		return r.readPath(ctx)
	}
	out, err := r.reader.outside(r.feed)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := out.check(); err != nil {
		return err
	}
	switch r.feed.Kind {
	case TAXII:
		err = r.readTAXII(ctx, out)
	case MISP:
		err = r.readMISP(ctx, mispSite{out})
	default:
		err = r.readHTTPS(ctx, out)
	}
	if err != nil {
		return out.explain(err)
	}
	return nil
}

// readPath reads a feed that lies in a folder. Nothing outside of the folder is
// read, wherever a link in it leads.
func (r *feeding) readPath(ctx context.Context) error {
	root, err := os.OpenRoot(r.feed.Path)
	if err != nil {
		return noroshi.Errorf(noroshi.Invalid, "feed.folder", "the folder %s cannot be read: %w", r.feed.Path, err)
	}
	defer root.Close()
	if r.feed.Kind == MISP {
		return r.readMISP(ctx, mispFolder{r, root})
	}
	return r.readFolder(ctx, root)
}

// waits is why what a run brings waits for a person.
type waits struct {
	error
	count int // elements that wait
}

// Unwrap returns the error with its code.
func (w waits) Unwrap() error { return w.error }

// allow says why fresh elements and the end of lost ones of total wait for a
// person, nil = they do not.
func (r *feeding) allow(fresh, lost, total int) error {
	why := r.guard.Judge(r.state.Days, r.reader.o.Now(), fresh)
	if why == nil && 3*lost > total {
		why = noroshi.Errorf(noroshi.Refused, "feed.vanishing", "%d of %d indicators are listed no more", lost, total)
	}
	if why == nil || r.accept > 0 && fresh <= r.accept && lost <= r.accept {
		return nil
	}
	return waits{why, fresh + lost}
}

// ended says in the state how a run ended.
func (r *feeding) ended(err error) {
	s := &r.state
	s.Ended = r.reader.o.Now().UTC()
	s.NotUntil, s.Code, s.Args, s.Cause, s.Waiting, s.Lasting = time.Time{}, "", nil, nil, 0, false
	var w waits
	var b busy
	switch {
	case err == nil:
		s.Good, s.Failures, s.Read = s.Ended, 0, r.counts
		return
	case errors.As(err, &w):
		s.Waiting, s.Failures = w.count, 0
	case errors.As(err, &b):
		s.NotUntil = s.Ended.Add(b.after)
		s.Failures++
	default:
		s.Lasting = fetch.Final(err) || noroshi.KindOf(err) == noroshi.Invalid || noroshi.KindOf(err) == noroshi.Refused
		s.Failures++
	}
	told := noroshi.Tell(err)
	if told.Code == "" && err != nil {
		told.Code, told.Args = "internal", []string{told.Message}
	}
	s.Code, s.Args, s.Cause = told.Code, told.Args, told.Cause
}

// keepState keeps the state in an act of its own.
func (r *feeding) keepState(ctx context.Context) error {
	_, err := r.reader.store.Do(ctx, r.act(noroshi.ActFetch, 0), r.putState)
	return err
}

// act is one of this run's.
func (r *feeding) act(a noroshi.Action, count int) noroshi.Act {
	act := noroshi.Act{Action: a, Subject: "feed " + r.feed.Name, Count: count, Precedence: noroshi.Routine}
	if r.by.Person != "" {
		act.Persons = []noroshi.Signed{r.by}
	}
	return act
}

func (r *feeding) putState(tx *store.Tx) error {
	return tx.PutJSON(DocState, r.feed.Name, r.state)
}

// blame keeps the first reason why a part could not be taken.
func (r *feeding) blame(err error) {
	if r.fault == nil {
		r.fault = err
	}
}
