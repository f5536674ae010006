package ioc

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// out is a file being written: the first error stays, and ends the loop.
type out struct {
	w    *bufio.Writer
	err  error
	o    *Options
	res  Result
	mark string // the marking the last comment line named
}

func newOut(w io.Writer, o *Options) *out {
	return &out{w: bufio.NewWriterSize(w, 1<<16), o: o, res: Result{Skipped: map[Reason]int{}}}
}

// put writes text.
func (f *out) put(parts ...string) {
	for _, s := range parts {
		if f.err == nil {
			_, f.err = f.w.WriteString(s)
		}
	}
}

// line writes a line that counts.
func (f *out) line(parts ...string) {
	f.put(parts...)
	f.put("\n")
	f.res.Lines++
}

// close ends the file.
func (f *out) close() (Result, error) {
	if f.err == nil {
		f.err = f.w.Flush()
	}
	if f.err != nil {
		return f.res, fmt.Errorf("write indicators after %d entries: %w", f.res.Entries, f.err)
	}
	return f.res, nil
}

// writer writes value number i of an entry, or says why not.
type writer func(e *Entry, p *parsed, i int) Reason

// each gives every value that may go out to write.
func (f *out) each(entries iter.Seq[Entry], write writer) {
	for e := range entries {
		if f.err != nil {
			return
		}
		f.entry(&e, write)
	}
}

func (f *out) entry(e *Entry, write writer) {
	f.res.Entries++
	if r := f.withheld(e); r != "" {
		f.skip(e, Value{}, r)
		return
	}
	if len(e.Values) == 0 {
		f.skip(e, Value{}, NoValue)
		return
	}
	before := f.res.Values
	for i, v := range e.Values {
		p, r := parse(v)
		if r == "" {
			r = write(e, &p, i)
		}
		if r != "" {
			f.skip(e, v, r)
			continue
		}
		f.res.Values++
	}
	if f.res.Values > before {
		f.res.Carried++
	}
}

// withheld says why a whole entry stays out.
func (f *out) withheld(e *Entry) Reason {
	switch {
	case oneLine(e.Marking, maxMarking) == "":
		return Unmarked
	case !e.ValidUntil.IsZero() && !e.ValidUntil.After(f.o.Made):
		return Expired
	}
	return ""
}

func (f *out) skip(e *Entry, v Value, r Reason) {
	f.res.Skipped[r]++
	if len(f.res.Examples) < MaxExamples {
		f.res.Examples = append(f.res.Examples, Skip{ID: e.ID, Value: v, Reason: r})
	}
}

// header writes what the file is as comment lines that begin with sign.
func (f *out) header(sign, format string) {
	f.comment(sign, "noroshi: "+format)
	f.comment(sign, "node: "+f.o.Node)
	f.comment(sign, "made: "+stamp(f.o.Made))
	f.comment(sign, "highest marking: "+cmp.Or(f.o.Marking, "-"))
	if f.o.Count > 0 {
		f.comment(sign, fmt.Sprintf("entries: %d", f.o.Count))
	}
}

// footer ends the file, so that a cut one shows, and tells what is not in it.
func (f *out) footer(sign string) {
	s := fmt.Sprintf("end: %d entries read, %d carried, %d lines", f.res.Entries, f.res.Carried, f.res.Lines)
	if skipped := f.skipped(); skipped != "" {
		s += "; left out: " + skipped
	}
	f.comment(sign, s)
}

// skipped lists the reasons in order of their names.
func (f *out) skipped() string {
	var list []string
	for r, n := range f.res.Skipped {
		list = append(list, fmt.Sprintf("%s %d", r, n))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (f *out) comment(sign, text string) {
	f.put(sign, " ", oneLine(text, 1000), "\n")
}

// marked writes a comment line whenever the marking of the lines changes.
func (f *out) marked(sign string, e *Entry) {
	if f.mark != e.Marking {
		f.mark = e.Marking
		f.comment(sign, "marking of the lines below: "+e.Marking)
	}
}

// stamp is a time in UTC (RFC 3339), "-" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

const maxMarking = 200 // characters of a marking text

// oneLine makes text safe for one line: control and format characters that
// break or reorder lines become spaces, bad UTF-8 becomes U+FFFD, spaces at the
// ends go, and beyond limit characters it is cut.
func oneLine(s string, limit int) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if breaks(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
	return clip(s, limit)
}

// clip cuts s to limit characters, the last then being an ellipsis.
func clip(s string, limit int) string {
	if len(s) <= limit || utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// breaks reports characters that end lines or change the direction of what
// stands beside them: C0, DEL, C1, line and paragraph separator, bidirectional
// controls (Unicode UAX #9), byte order mark.
func breaks(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r <= 0x9f:
		return true
	case r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return r == 0xfeff || r == 0xfffe || r == 0xffff
}
