package door

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/taxii"
)

// SensorPath is where sensors fetch exports: SensorPath, the name of a
// collection, a format and, of a format that has several files, the name of one
// beside the first.
const SensorPath = "/export/"

// Sensors answers sensors below SensorPath: GET with ETag, so that what has not
// changed is not sent again. inside is as in TAXII.
func (d *Door) Sensors(inside bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := d.sensor(w, r, inside)
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="noroshi", charset="UTF-8"`)
		}
		switch {
		case status == http.StatusNotFound && err != nil:
			http.Error(w, d.words(err), status)
			return // the asker's mistake, and nobody's here
		case status != 0:
			http.Error(w, http.StatusText(status), status)
		}
		if err != nil && d.o.Log != nil && r.Context().Err() == nil {
			d.o.Log.Error("a sensor could not be answered", "path", r.URL.Path, "err", err)
		}
	})
}

// words says what is wrong with a question.
func (d *Door) words(err error) string {
	if d.o.Words == nil {
		return err.Error()
	}
	return d.o.Words(err)
}

// sensor answers a request, or says with which status it is refused: with 404 and
// an error where who asks may know what is wrong with it.
func (d *Door) sensor(w http.ResponseWriter, r *http.Request, inside bool) (status int, err error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return http.StatusMethodNotAllowed, nil
	}
	b := &backend{d, inside}
	name, err := b.Authenticate(r.Context(), r)
	if errors.Is(err, taxii.ErrUnauthorized) {
		return http.StatusUnauthorized, nil
	}
	if err != nil {
		return http.StatusInternalServerError, err
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, SensorPath), "/")
	if len(parts) < 2 || len(parts) > 3 {
		return http.StatusNotFound, nil
	}
	x, col, ok, err := b.asked(r, name, parts[0], parts[1])
	if ok && err != nil {
		return http.StatusNotFound, err
	}
	if err != nil {
		return http.StatusInternalServerError, err
	}
	if !ok {
		return http.StatusNotFound, nil
	}
	if err := d.o.MayLeave(r.Context()); noroshi.KindOf(err) == noroshi.Refused {
		w.Header().Set("Retry-After", "60")
		return http.StatusServiceUnavailable, nil
	} else if err != nil {
		return http.StatusInternalServerError, err
	}
	if x.Partner != (noroshi.NodeID{}) && !d.paces.read(x.Partner, d.o.Now()) {
		w.Header().Set("Retry-After", "60")
		return http.StatusTooManyRequests, nil
	}
	known, ok, err := d.known(r.Context(), x)
	if err != nil {
		return http.StatusInternalServerError, err
	}
	if ok && answered(w, r, known, x, parts) {
		return 0, nil
	}
	out, status, err := d.rendered(r.Context(), x)
	if err != nil || status != 0 {
		return status, err
	}
	defer out.Close()
	i := 0
	if len(parts) == 3 {
		if i = slices.IndexFunc(out.files, func(f rendered) bool { return f.name == parts[2] && f.name != "" }); i < 0 {
			return http.StatusNotFound, nil
		}
	}
	describe(w.Header(), out.edition, x, parts)
	noted := &noting{ResponseWriter: w, note: func() error {
		if r.Method == http.MethodHead {
			return nil
		}
		return b.noteSensor(r.Context(), name, col, x, out)
	}}
	http.ServeContent(noted, r, "", time.Time{}, out.files[i].file)
	return 0, noted.err
}

// describe writes the head of an answer: what it is, and the tag of its edition.
func describe(h http.Header, e edition, x Export, parts []string) {
	f, _ := format(x.Format)
	sum := sha256.Sum256(append(e.Sum[:], strings.Join(parts, "/")...))
	h.Set("Content-Type", f.MediaType)
	h.Set("Cache-Control", "private, no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:16])+`"`)
}

// answered answers who has a known edition already, or wants none but another;
// false = there is something to be sent.
func answered(w http.ResponseWriter, r *http.Request, known edition, x Export, parts []string) bool {
	if len(parts) == 3 && !slices.Contains(known.Files, parts[2]) {
		return false
	}
	ask := &asking{head: http.Header{}}
	describe(ask.head, known, x, parts)
	http.ServeContent(ask, r, "", time.Time{}, strings.NewReader(""))
	if ask.status != http.StatusNotModified && ask.status != http.StatusPreconditionFailed {
		return false
	}
	maps.Copy(w.Header(), ask.head)
	w.WriteHeader(ask.status)
	return true
}

// asking hears how a request would be answered by its preconditions.
type asking struct {
	head   http.Header
	status int
}

// Header returns the head of the answer.
func (a *asking) Header() http.Header { return a.head }

// WriteHeader keeps the first status.
func (a *asking) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write takes nothing.
func (a *asking) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return len(b), nil
}

// noting puts on record that something goes before it does, and lets nothing go
// that cannot be.
type noting struct {
	http.ResponseWriter
	note  func() error
	wrote bool
	err   error
}

// WriteHeader begins the answer.
func (w *noting) WriteHeader(status int) {
	if w.wrote {
		return
	}
	w.wrote = true
	if status == http.StatusOK || status == http.StatusPartialContent {
		if w.err = w.note(); w.err != nil {
			clear(w.Header())
			status = http.StatusInternalServerError
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the answer.
func (w *noting) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.err != nil {
		return 0, w.err
	}
	return w.ResponseWriter.Write(b)
}

// asked returns the export a client asks for, if it may have it; with an error
// where there is none such.
func (b *backend) asked(r *http.Request, client, collection, format string) (x Export, col Collection, ok bool, err error) {
	c, col, err := b.allowed(r.Context(), client, collection, false)
	if errors.Is(err, taxii.ErrNotFound) || errors.Is(err, taxii.ErrForbidden) {
		return x, col, false, nil
	}
	if err != nil {
		return x, col, false, err
	}
	q := r.URL.Query()
	x = Export{Format: format, Partner: c.Partner, Individual: q.Has("individual"), Zone: q.Get("zone"), Wildcard: q.Has("wildcard"), Sinkhole: q.Get("sinkhole")}
	if c.Partner == (noroshi.NodeID{}) {
		x.Collection, x.Max = col.ID, c.Max
	}
	return x, col, true, x.Check()
}

// noteSensor puts on record that a client fetched an export.
func (b *backend) noteSensor(ctx context.Context, client string, col Collection, x Export, out *rendering) error {
	subject := strings.Join([]string{"client", client, col.ID, x.Format, out.At.Format(time.RFC3339)}, " ")
	_, err := b.store.Do(ctx, noroshi.Act{Action: noroshi.ActServe, Subject: subject, Label: out.Marking, Count: out.Carried}, func(*store.Tx) error { return nil })
	return err
}
