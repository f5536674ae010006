package taxii

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/noroshi-cti/noroshi/stix"
)

// add answers section 5.5.
func (c *call) add() error {
	col, err := c.find()
	if err != nil {
		return err
	}
	if !col.CanWrite {
		return ErrForbidden
	}
	if types := c.r.Header.Values("Content-Type"); len(types) != 1 || !isTaxii(types[0]) {
		return refuse(http.StatusUnsupportedMediaType, "unsupported media type", "this server takes "+MediaType)
	}
	select {
	case c.posts <- struct{}{}:
		defer func() { <-c.posts }()
	case <-c.r.Context().Done():
		return ErrUnavailable
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	posted, err := readEnvelope(body)
	if err != nil {
		return err
	}
	s, err := c.backend.Add(c.r.Context(), c.client, col.ID, posted)
	if err != nil {
		return err
	}
	return c.resource(http.StatusAccepted, s)
}

// body reads the body of a request. The limit stands for the bytes that come,
// whether their number was told before or not, and for what they unpack to.
func (c *call) body() ([]byte, error) {
	if c.r.ContentLength > c.opts.MaxContent {
		return nil, c.tooLarge()
	}
	limited := http.MaxBytesReader(c.w.ResponseWriter, c.r.Body, c.opts.MaxContent)
	r, packed, err := unpackBody(limited, codings(c.r.Header.Values("Content-Encoding")), c.opts.MaxContent)
	if err != nil {
		return nil, c.unreadable(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if n := c.r.ContentLength; n > 0 && !packed {
		b.Grow(int(min(n, 1<<20)) + bytes.MinRead) // beyond that as it comes
	}
	if _, err := b.ReadFrom(io.LimitReader(r, c.opts.MaxContent+1)); err != nil {
		return nil, c.unreadable(err)
	}
	if int64(b.Len()) > c.opts.MaxContent {
		// No 413: the body as sent is within the limit that section 4.2.1 promises.
		return nil, unprocessable(fmt.Sprintf("the body unpacks to more than %d bytes", c.opts.MaxContent))
	}
	return b.Bytes(), nil
}

// unpackBody takes off the codings; packed says whether there were any.
func unpackBody(r io.ReadCloser, codings []string, most int64) (_ io.ReadCloser, packed bool, err error) {
	if len(codings) == 0 {
		return r, false, nil
	}
	if len(codings) > 1 {
		return nil, true, errCoding
	}
	switch codings[0] {
	case codingGzip:
		z, err := gzip.NewReader(r)
		return z, true, err
	case codingZstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(uint64(max(most, 1<<20))))
		if err != nil {
			return nil, true, err
		}
		return z.IOReadCloser(), true, nil
	}
	return nil, true, errCoding
}

var errCoding = errors.New("taxii: unknown content coding")

// unreadable says why a body could not be read.
func (c *call) unreadable(err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return c.tooLarge()
	case errors.Is(err, errCoding):
		return refuse(http.StatusUnsupportedMediaType, "unsupported content coding", "a body may be packed once, with gzip or zstd").
			with("Accept-Encoding", "gzip, zstd")
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return unprocessable(fmt.Sprintf("the body unpacks to more than %d bytes", c.opts.MaxContent))
	}
	return refuse(http.StatusBadRequest, "the body cannot be read", "it breaks off, or is not packed as its Content-Encoding says")
}

func (c *call) tooLarge() error {
	return refuse(http.StatusRequestEntityTooLarge, "the body is too large",
		fmt.Sprintf("max_content_length is %d bytes; send the objects in several envelopes", c.opts.MaxContent)).
		with("Connection", "close")
}

// remove answers section 5.7, with the answers of its table.
func (c *call) remove() error {
	col, err := c.find()
	switch {
	case err != nil:
		return err
	case !col.CanRead && !col.CanWrite:
		return ErrNotFound
	case !col.CanRead || !col.CanWrite:
		return ErrForbidden
	}
	q, err := parseQuery(c.r.URL.RawQuery, deleteFields)
	if err != nil {
		return err
	}
	id, err := stix.ParseID(c.names[1])
	if err != nil {
		return ErrNotFound
	}
	if err := c.backend.Remove(c.r.Context(), c.client, col.ID, id, q.Query); err != nil {
		return err
	}
	return c.w.bytes(http.StatusOK, nil)
}
