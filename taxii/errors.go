package taxii

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
)

// refusal is an answer that is an error, with the headers that go with it.
type refusal struct {
	body   Error
	header http.Header
}

// Error returns the title.
func (e *refusal) Error() string { return e.body.Title }

func (e *refusal) with(key, value string) *refusal {
	if e.header == nil {
		e.header = http.Header{}
	}
	e.header.Add(key, value)
	return e
}

func refuse(status int, title, detail string) *refusal {
	return &refusal{body: Error{Title: title, HTTPStatus: status, Detail: detail}}
}

// answerTo makes the answer to an error. Every thing that is not there, and every
// one that may not be seen, gives the same bytes. What is not expected is given a
// random id, and only the log tells what it was.
func (h *handler) answerTo(ctx context.Context, err error) *refusal {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, ErrUnauthorized):
		return refuse(http.StatusUnauthorized, "authentication is needed", "").
			with("WWW-Authenticate", `Basic realm="`+h.opts.Realm+`", charset="UTF-8"`).
			with("WWW-Authenticate", `Bearer realm="`+h.opts.Realm+`"`)
	case errors.Is(err, ErrForbidden):
		return refuse(http.StatusForbidden, "not allowed", "this client may not do that in this collection")
	case errors.Is(err, ErrNotFound):
		return refuse(http.StatusNotFound, "not found", "")
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return refuse(http.StatusServiceUnavailable, "not now", "ask again later").with("Retry-After", "5")
	}
	r = refuse(http.StatusInternalServerError, "internal error", "")
	r.body.ID = rand.Text()
	h.opts.Log.ErrorContext(ctx, "taxii: internal error", "error_id", r.body.ID, "error", err)
	return r
}

// send writes the error message resource.
func (r *refusal) send(w *response) error {
	body, err := json.Marshal(&r.body)
	if err != nil {
		return err
	}
	for key, values := range r.header {
		w.Header()[key] = values
	}
	w.Header().Set("Cache-Control", "private, no-store")
	return w.bytes(r.body.HTTPStatus, body)
}
