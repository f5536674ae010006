package mail

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"sync/atomic"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// Bounds of a letter that is read.
const (
	// MaxIncoming bounds a letter: an envelope of 24 MiB in base64, with what
	// gateways put around it. As quoted-printable half as much fits.
	MaxIncoming = 36 << 20
	maxHeader   = 256 << 10
	maxNesting  = 8
	maxBodies   = 64 // parts of all levels
	maxFound    = 8  // attachments that may be something for this node
	leastFound  = 32
	maxMemory   = 128 << 20 // attachments of all letters in hand
	memoryStep  = 64 << 10
)

// errHostile ends the reading of a letter that goes beyond a bound.
var (
	errHostile = noroshi.Errorf(noroshi.Invalid, "mail.bounds", "a letter with more levels, parts or bytes than one may have")
	errMemory  = noroshi.Errorf(noroshi.Busy, "mail.memory", "too many letters are in hand")
)

// budget is memory that letters in hand share.
type budget struct{ free atomic.Int64 }

// take takes n bytes, or none.
func (b *budget) take(n int64) bool {
	if b.free.Add(-n) >= 0 {
		return true
	}
	b.free.Add(n)
	return false
}

// opened is what a letter had in it that may be for this node.
type opened struct {
	memory *budget
	held   int64
	bodies int
	found  [][]byte
}

// release gives the memory back; what was found must not be used any more.
func (o *opened) release() {
	o.memory.free.Add(o.held)
	o.held, o.found = 0, nil
}

// open reads a letter and finds what may be an envelope or a part, whatever name
// and type it has and whatever stands around it. An error says that the letter
// is not whole, or beyond a bound; what was found until then is there all the
// same.
func (m *Mail) open(r io.Reader) (o *opened, err error) {
	o = &opened{memory: &m.memory}
	return o, o.letter(skipFrom(bufio.NewReader(io.LimitReader(r, MaxIncoming+1))), 0)
}

// skipFrom passes over the line mail systems begin a letter in a folder with
// ("From x@y Thu ..."), which is no header.
func skipFrom(r *bufio.Reader) io.Reader {
	if head, _ := r.Peek(5); string(head) == "From " {
		for {
			if _, err := r.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
				break
			}
		}
	}
	return r
}

// letter reads headers and body.
func (o *opened) letter(r io.Reader, depth int) error {
	limited := &io.LimitedReader{R: r, N: maxHeader}
	msg, err := netmail.ReadMessage(limited)
	if limited.N <= 0 {
		return errHostile
	}
	if err != nil {
		return noroshi.Errorf(noroshi.Invalid, "mail.form", "the headers of a letter cannot be read: %w", err)
	}
	limited.N = MaxIncoming
	return o.body(msg.Header.Get("Content-Type"), msg.Header.Get("Content-Transfer-Encoding"), msg.Body, depth)
}

// body takes one body apart, or looks at it.
func (o *opened) body(kind, encoding string, r io.Reader, depth int) error {
	if o.bodies++; depth > maxNesting || o.bodies > maxBodies {
		return errHostile
	}
	media, params, _ := mime.ParseMediaType(kind)
	switch {
	case strings.HasPrefix(media, "multipart/") && params["boundary"] != "":
		return o.parts(multipart.NewReader(r, params["boundary"]), depth)
	case media == "message/rfc822" || media == "message/global":
		return o.letter(decoded(encoding, r), depth+1)
	}
	return o.leaf(decoded(encoding, r))
}

func (o *opened) parts(r *multipart.Reader, depth int) error {
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return noroshi.Errorf(noroshi.Invalid, "mail.form", "the parts of a letter cannot be read: %w", err)
		}
		if err := o.body(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p, depth+1); err != nil {
			return err
		}
	}
}

// decoded undoes the transfer encoding (RFC 2045 §6).
func decoded(encoding string, r io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		return base64.NewDecoder(base64.RawStdEncoding, &alphabet{r: bufio.NewReader(r)})
	case "quoted-printable":
		return quotedprintable.NewReader(r)
	}
	return r
}

// alphabet passes on what is of base64 and nothing else, up to the padding: what a
// gateway put behind it or between lines is not part of it (RFC 2045 §6.8).
type alphabet struct {
	r     *bufio.Reader
	ended bool
}

func (a *alphabet) Read(p []byte) (n int, err error) {
	for n == 0 && err == nil {
		if a.ended {
			if _, err := io.Copy(io.Discard, a.r); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		var raw int
		raw, err = a.r.Read(p)
		for _, c := range p[:raw] {
			if c == '=' {
				a.ended = true
				break
			}
			if 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/' {
				p[n] = c
				n++
			}
		}
	}
	return n, err
}

// leaf keeps a body that may be an envelope or a part. One that is badly encoded is
// none; that a letter ends in the middle of one, what is around it tells.
func (o *opened) leaf(r io.Reader) error {
	var head [1]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || !likely(head[0]) || len(o.found) == maxFound {
		io.Copy(io.Discard, r)
		return nil
	}
	b := bytes.NewBuffer(head[:])
	for {
		if !o.memory.take(memoryStep) {
			return errMemory
		}
		o.held += memoryStep
		_, err := io.CopyN(b, r, memoryStep)
		if b.Len() > message.MaxEnvelope {
			return errHostile
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil
		}
	}
	if b.Len() >= leastFound {
		o.found = append(o.found, b.Bytes())
	}
	return nil
}

// likely reports whether something may begin so: the type of an envelope
// (docs/wire.md §5), or the set of a part.
func likely(b byte) bool { return b&0xf0 == 0x10 || b&0x80 != 0 }
