package taxii

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// headerTime reads a date header as servers write it: RFC 3339 with any
// fraction or zone, without a zone, with a space for the T, or as HTTP writes
// dates. What cannot be read ("undefined") is the zero time.
func headerTime(s string) time.Time {
	s = strings.Trim(strings.TrimSpace(s), `"`)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", http.TimeFormat} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 1 {
			return t.UTC()
		}
	}
	return time.Time{}
}

// asked gets the date of the last element from the manifest, zero where there is
// none to be had.
func (w *walk) asked(ctx context.Context, h http.Header) time.Time {
	if w.dates == nil || w.tail.object == nil {
		return time.Time{}
	}
	t := w.dates(ctx, w.tail)
	if w.ahead(t, h) {
		return time.Time{}
	}
	return t
}

// dated reads the date headers and returns the last date, zero where there is
// none.
func (w *walk) dated(h http.Header) time.Time {
	first, last := headerTime(h.Get("X-TAXII-Date-Added-First")), headerTime(h.Get("X-TAXII-Date-Added-Last"))
	if !last.IsZero() && last.Before(first) && !w.unordered {
		w.unordered = true
		w.fault(FaultOrder, "a page begins at %s and ends at %s", first.Format(micros), last.Format(micros))
	}
	last = later(last, first)
	if w.ahead(last, h) {
		w.fault("dates", "the date %s is ahead of the server's clock", last.Format(micros))
		return time.Time{}
	}
	if w.next != "" && !first.IsZero() && first.Before(w.last) && !w.unordered {
		w.unordered = true
		w.fault(FaultOrder, "a page begins at %s, the one before it ended at %s", first.Format(micros), w.last.Format(micros))
	}
	return last
}

func (w *walk) ahead(t time.Time, h http.Header) bool { return t.After(w.clock(h).Add(clockSlack)) }

// clock is the server's, else the client's.
func (w *walk) clock(h http.Header) time.Time {
	if now := headerTime(h.Get("Date")); !now.IsZero() {
		return now
	}
	return w.c.o.Now()
}

// dateOf asks the manifest when a record was added, the zero time where it does
// not say.
func (c *Client) dateOf(ctx context.Context, root, collection string, e element) time.Time {
	u, err := c.at(root, "collections", collection, "manifest")
	if err != nil {
		return time.Time{}
	}
	u.RawQuery = url.Values{"match[id]": {string(e.entry.ID)}, "match[version]": {"all"}, "limit": {strconv.Itoa(safeLimit)}}.Encode()
	r, err := c.call(ctx, http.MethodGet, u, nil)
	if err != nil {
		return time.Time{}
	}
	a, err := splitAnswer(r.body, manifestListing.members)
	if err != nil {
		return time.Time{}
	}
	var found time.Time
	for _, raw := range a.elements {
		m := readEntry(raw)
		if m.entry.ID != e.entry.ID || m.added.IsZero() {
			continue
		}
		// A version the manifest spells otherwise is another one here: the
		// earliest date loses nothing.
		if found.IsZero() || m.entry.Version == e.entry.Version || m.added.Before(found) {
			found = m.added
		}
		if m.entry.Version == e.entry.Version {
			break
		}
	}
	return found
}
