package console

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

const (
	beat    = 15 * time.Second // how often a quiet stream says that it is there
	inspect = 5 * time.Second  // how often at most it is asked whether the session lasts
)

// live tells a page which of its parts are out of date, until the browser goes,
// the session ends or the node stops: one event for each topic, without content,
// which the page fetches. The id of an event is the place in the change feed up
// to which the page is told. A page begins with the place it was made at (from),
// a browser that comes back with the last one it was told of (Last-Event-ID);
// either is told at once what has changed since.
func live(v *visit) error {
	rc := http.NewResponseController(v.w)
	h := v.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	count := v.hub.join()
	defer v.hub.leave()
	list, seq, err := v.missed()
	if err != nil {
		return err
	}
	v.w.WriteHeader(http.StatusOK)
	looked := time.Now()
	for {
		for _, t := range list {
			fmt.Fprintf(v.w, "event: %s\nid: %d\ndata:\n\n", t, seq)
		}
		if len(list) == 0 {
			fmt.Fprint(v.w, ": still here\n\n")
		}
		if rc.Flush() != nil {
			return nil
		}
		var more <-chan struct{}
		if list, count, seq, more = v.hub.since(count); len(list) == 0 {
			if !v.untilTold(more) {
				return nil
			}
			list, count, seq, _ = v.hub.since(count)
		}
		if now := time.Now(); now.Sub(looked) >= inspect {
			if looked = now; v.over() {
				return nil
			}
		}
	}
}

// missed returns what has changed since the page was made, or since the browser
// was last told. The state of the links is in no feed: who comes back is told.
func (v *visit) missed() (list []topic, seq int64, err error) {
	if seq, err = v.Store.Head(v.ctx); err != nil {
		return nil, 0, err
	}
	place := v.r.Header.Get("Last-Event-ID")
	if place != "" {
		list = []topic{onLinks}
	} else {
		place = v.r.FormValue("from")
	}
	from, err := strconv.ParseInt(place, 10, 64)
	if err != nil || from >= seq {
		return list, seq, nil
	}
	since, err := v.hub.changed(v.ctx, max(from, 0), seq)
	for _, t := range append(since, onAnything) {
		if !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list, seq, err
}

// over reports whether the session of a stream has ended meanwhile.
func (v *visit) over() bool {
	w := *v
	w.now, w.session, w.person = v.Now(), web.Session{}, noroshi.Person{}
	return v.recognise(&w) != nil || w.person.ID == ""
}

// untilTold waits until something is told, for at most a beat, and reports
// whether anybody still listens.
func (v *visit) untilTold(more <-chan struct{}) bool {
	t := time.NewTimer(beat)
	defer t.Stop()
	select {
	case <-more:
	case <-t.C:
	case <-v.ctx.Done():
	case <-v.stopping.Done():
	}
	return v.ctx.Err() == nil && v.stopping.Err() == nil
}
