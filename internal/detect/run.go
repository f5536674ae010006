package detect

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
)

// MaxLineBytes bounds one event; a longer line is a Problem.
const MaxLineBytes = 1 << 20

// maxProblems is how many Problems a Report keeps; Bad counts all.
const maxProblems = 20

// Report counts what a run over a file saw.
type Report struct {
	Events   int64     `json:"events"`
	Bytes    int64     `json:"bytes"` // unpacked
	Hits     int64     `json:"hits"`
	Strong   int64     `json:"strong"`
	Weak     int64     `json:"weak"`
	Bad      int64     `json:"bad"` // lines that were not events; the first few in Problems
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is a line that is no event.
type Problem struct {
	Line   int    `json:"line"`
	Offset int64  `json:"offset"` // of the fault, in the unpacked input
	Code   string `json:"code"`   // "syntax", "utf8", "depth", "duplicate-key", "trailing", "no-object", "too-long"
	Msg    string `json:"msg"`
}

// Run reads events (Zeek JSON or Suricata EVE, one a line, plain or gz, told
// apart by content) and calls hit for each indicator and value an event meets
// and that is valid at the event's time. Lines end in LF or CRLF; empty ones
// are passed over. A line that is no event is counted in the Report and the
// run goes on; an error of r, of the packing or of hit ends it, and the Report
// says what came before. Memory is bounded by MaxLineBytes.
func (x *Index) Run(r io.Reader, hit func(Hit) error) (Report, error) {
	run := run{m: matcher{x: x}, hit: hit}
	in, err := unpack(r)
	if err != nil {
		return run.rep, err
	}
	err = run.lines(in)
	return run.rep, err
}

// unpack looks through gz, told by its first two bytes.
func unpack(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(r, MaxLineBytes+2)
	magic, err := in.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read events: %w", err)
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return in, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("unpack events: %w", err)
	}
	return bufio.NewReaderSize(z, MaxLineBytes+2), nil
}

// run is one run over a stream.
type run struct {
	m      matcher
	hit    func(Hit) error
	rep    Report
	line   int
	offset int64 // of the line
}

func (r *run) lines(in *bufio.Reader) error {
	for {
		b, err := in.ReadSlice('\n')
		r.line++
		read := int64(len(b))
		if errors.Is(err, bufio.ErrBufferFull) {
			r.bad(codeLong, 0, fmt.Sprintf("line %d is longer than %d bytes", r.line, MaxLineBytes))
			for errors.Is(err, bufio.ErrBufferFull) {
				b, err = in.ReadSlice('\n')
				read += int64(len(b))
			}
		} else if e := r.one(trimEnd(b)); e != nil {
			return e
		}
		r.offset += read
		r.rep.Bytes += read
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events after line %d: %w", r.line-1, err)
		}
	}
}

func trimEnd(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b
}

// one reads and matches one line.
func (r *run) one(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if len(b) > MaxLineBytes {
		r.bad(codeLong, 0, fmt.Sprintf("line %d is longer than %d bytes", r.line, MaxLineBytes))
		return nil
	}
	m := &r.m
	m.ev.reset()
	if !m.scan.line(b, &m.ev) {
		r.bad(m.scan.code, m.scan.at, fmt.Sprintf("line %d, byte %d: %s", r.line, m.scan.at+1, problems[m.scan.code]))
		return nil
	}
	m.ev.finish()
	r.rep.Events++
	return m.event(r)
}

// met reports one meeting.
func (r *run) met(t *meet, when time.Time) error {
	h := t.hit()
	h.Time, h.Line, h.Offset, h.Log = when, r.line, r.offset, r.m.ev.Log()
	r.rep.Hits++
	if h.Strength == Weak {
		r.rep.Weak++
	} else {
		r.rep.Strong++
	}
	return r.hit(h)
}

func (r *run) bad(code string, at int, msg string) {
	r.rep.Bad++
	if len(r.rep.Problems) < maxProblems {
		r.rep.Problems = append(r.rep.Problems, Problem{Line: r.line, Offset: r.offset + int64(at), Code: code, Msg: msg})
	}
}

var problems = map[string]string{
	codeSyntax:    "no JSON",
	codeUTF8:      "not UTF-8",
	codeDepth:     "nested too deep",
	codeDuplicate: "a member comes twice",
	codeTrailing:  "something follows the object",
	codeNoObject:  "no JSON object",
}
