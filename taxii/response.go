package taxii

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compressFrom is the size of a body from which packing pays.
const compressFrom = 1400

// response is the way out of a request: it knows whether anything was written,
// and packs bodies as the client likes it.
type response struct {
	http.ResponseWriter
	coding string // "" = as it is
	head   bool   // HEAD: the headers of the answer without its body
	wrote  bool
}

func newResponse(rw http.ResponseWriter, r *http.Request) *response {
	h := rw.Header()
	h.Set("Content-Type", MediaType)
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Vary", "Accept, Accept-Encoding, Authorization")
	h.Set("X-Content-Type-Options", "nosniff")
	return &response{ResponseWriter: rw, coding: coding(r.Header.Values("Accept-Encoding")), head: r.Method == http.MethodHead}
}

// bytes writes an answer that is at hand.
func (w *response) bytes(status int, body []byte) error {
	return w.stream(status, len(body), func(b *bufio.Writer) { b.Write(body) })
}

// stream writes an answer of size bytes. What fill meets of errors is kept by
// the writer and told at the end.
func (w *response) stream(status, size int, fill func(*bufio.Writer)) error {
	packed := w.coding != "" && size >= compressFrom
	if packed {
		w.Header().Set("Content-Encoding", w.coding)
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(size))
	}
	w.wrote = true
	w.WriteHeader(status)
	if w.head {
		return nil
	}
	if !packed {
		return buffered(w.ResponseWriter, fill)
	}
	p := packers[w.coding].Get().(packer)
	defer func() {
		p.Reset(nil) // or the pool would keep the connection's memory
		packers[w.coding].Put(p)
	}()
	p.Reset(w.ResponseWriter)
	if err := buffered(p, fill); err != nil {
		return err
	}
	return p.Close()
}

// buffered lets fill write small pieces.
func buffered(w io.Writer, fill func(*bufio.Writer)) error {
	b := buffers.Get().(*bufio.Writer)
	defer func() {
		b.Reset(nil)
		buffers.Put(b)
	}()
	b.Reset(w)
	fill(b)
	return b.Flush()
}

var buffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}

type packer interface {
	io.WriteCloser
	Reset(io.Writer)
}

var packers = map[string]*sync.Pool{
	codingGzip: {New: func() any {
		w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		if err != nil {
			panic(err) // a constant level
		}
		return w
	}},
	codingZstd: {New: func() any {
		w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
		if err != nil {
			panic(err) // constant options
		}
		return w
	}},
}
