package stix

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Item is one element of a stream: an object, or why it is none.
type Item struct {
	Object *Object
	Raw    []byte // the element's bytes, cut at MaxObjectBytes when larger
	Err    error  // *SyntaxError with Offset and Line in the whole input; the stream goes on
	Offset int64  // of the element's first byte, from the start of the input
	Line   int    // of that byte, from 1
}

// Reader reads objects out of a stream: a STIX bundle (STIX 2.1 §8), a TAXII
// envelope (TAXII 2.1 §3.7), an array of objects, one object, JSON lines, or
// any of these one after the other. Its memory is bounded by MaxObjectBytes,
// however long the stream is.
//
// What is wrong inside an element is that element's error and the stream goes
// on behind it: broken JSON between its brackets, a name given twice, too deep
// or too large, no object, no STIX. What is wrong between elements ends the
// stream, for nobody can say where the next one starts. A line of JSON lines
// that breaks off is an element's error when the next line starts an object.
//
// The members of a bundle beside objects are read as strictly as those of an
// object, and then left out. A bundle shows that it is one by the array in its
// member objects, so its type may follow behind; whether the rest of the
// bundle is good is known only at its end, when its objects were handed out.
//
// A byte order mark of UTF-8 at the start of the input is stepped over;
// UTF-16 is refused.
type Reader struct {
	in   input
	err  error // ends the stream; returned ever after
	list *list // the array being read, nil between the top-level values
}

// list is an array whose elements are handed out.
type list struct {
	started bool
	bundle  *wrapper // nil for a plain array
}

// wrapper is what stands around the objects of a bundle.
type wrapper struct {
	head   []byte // from its "{" up to the "[" of its objects
	offset int64
	line   int
}

// NewReader returns a Reader over r.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: input{r: r, buf: make([]byte, chunk), line: 1}}
}

// Next returns the next element; io.EOF at the end; any other error ends the
// stream: a *SyntaxError when the input is broken beyond the element, else the
// error of the underlying reader. After an error Next returns it again.
func (r *Reader) Next() (Item, error) {
	for r.err == nil {
		item, found, err := r.step()
		if err != nil {
			r.err = err
			break
		}
		if found {
			return item, nil
		}
	}
	return Item{}, r.err
}

// step reads one element or one piece of what stands around elements.
func (r *Reader) step() (Item, bool, error) {
	if err := r.in.begin(); err != nil {
		return Item{}, false, err
	}
	c, err := r.in.peek()
	if r.list != nil {
		return r.stepList(c, err)
	}
	if err != nil {
		return Item{}, false, err // io.EOF between values is the end
	}
	if c == '[' {
		r.in.i++
		r.list = &list{}
		return Item{}, false, nil
	}
	return r.top(c)
}

func (r *Reader) stepList(c byte, err error) (Item, bool, error) {
	if err == io.EOF {
		return Item{}, false, r.in.fail("truncated", "the input ends inside the list of objects")
	}
	if err != nil {
		return Item{}, false, err
	}
	if c == ']' {
		return Item{}, false, r.closeList()
	}
	if r.list.started {
		if c != ',' {
			return Item{}, false, r.in.fail("syntax", "a comma or the end of the list is missing")
		}
		r.in.i++
		if c, err = r.in.peek(); err == io.EOF {
			return Item{}, false, r.in.fail("truncated", "the input ends inside the list of objects")
		} else if err != nil {
			return Item{}, false, err
		}
	}
	r.list.started = true
	e, err := r.in.element(c, inList)
	if err != nil {
		return Item{}, false, err
	}
	return r.item(e)
}

// closeList reads the end of the array and of the bundle around it.
func (r *Reader) closeList() error {
	r.in.i++
	w := r.list.bundle
	r.list = nil
	if w == nil {
		return nil
	}
	e, err := r.in.element('{', afterList)
	if err != nil {
		return err
	}
	return w.check(e)
}

// check reads the bundle without its objects as the one JSON text it is.
func (w *wrapper) check(tail element) error {
	if len(w.head)+len(tail.raw) > MaxObjectBytes || tail.large {
		return &SyntaxError{Code: "size", Offset: tail.offset, Line: tail.line,
			Msg: "the bundle without its objects is larger than 8 MiB"}
	}
	whole := append(append(bytes.Clone(w.head), "[]"...), tail.raw...)
	typ, err := typeOf(whole)
	if err != nil {
		if at := err.Offset - int64(len(w.head)+2); at > 0 {
			return err.moved(tail.offset-int64(len(w.head)+2), tail.line-bytes.Count(w.head, newline))
		}
		return err.moved(w.offset, w.line)
	}
	if typ != "bundle" && typ != "" {
		return &SyntaxError{Code: "type", Path: "/type", Offset: w.offset, Line: w.line,
			Msg: "a list of objects stands in something that is no bundle"}
	}
	return nil
}

var newline = []byte("\n")

// moved returns the error with its place counted in the whole input, where its
// own text starts at offset and line.
func (e *SyntaxError) moved(offset int64, line int) *SyntaxError {
	m := *e
	m.Offset += offset
	m.Line += line - 1
	return &m
}

// typeOf reads a JSON object strictly and returns its type, "" when it has
// none.
func typeOf(raw []byte) (string, *SyntaxError) {
	s := scanner{b: raw}
	if err := s.document(); err != nil {
		return "", err
	}
	v := RawValue(raw).trim().member("type")
	typ, ok := v.text()
	if v != nil && !ok {
		return "", &SyntaxError{Code: "type", Path: "/type", Line: 1, Msg: headerMessages["type"]}
	}
	return typ, nil
}

// top reads a value outside any list: an object or the head of a bundle.
func (r *Reader) top(c byte) (Item, bool, error) {
	e, err := r.in.element(c, atTop)
	if err != nil {
		return Item{}, false, err
	}
	if !e.head {
		return r.item(e)
	}
	typ, syntax := typeOf(append(bytes.Clone(e.raw), "[]}"...))
	if syntax != nil {
		return Item{}, false, syntax.moved(e.offset, e.line)
	}
	if typ == "bundle" || typ == "" {
		r.in.i++ // the bracket
		r.list = &list{bundle: &wrapper{head: bytes.Clone(e.raw), offset: e.offset, line: e.line}}
		return Item{}, false, nil
	}
	// An object of another type, which has a list of that name.
	if e, err = r.in.more(e); err != nil {
		return Item{}, false, err
	}
	return r.item(e)
}

// item makes an Item of an element; false for a bundle that has no objects.
func (r *Reader) item(e element) (Item, bool, error) {
	item := Item{Raw: bytes.Clone(e.raw), Offset: e.offset, Line: e.line}
	if e.large {
		item.Err = &SyntaxError{Code: "size", Offset: e.offset, Line: e.line,
			Msg: fmt.Sprintf("the object has %d bytes, more than 8 MiB", e.size)}
		return item, true, nil
	}
	o, err := Parse(item.Raw)
	if err == nil {
		item.Object = o
		return item, true, nil
	}
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		return Item{}, false, err
	}
	if e.scalar && syntax.Code == "type" {
		s := scanner{b: item.Raw}
		if broken := s.document(); broken != nil { // not even JSON, so no element
			return Item{}, false, broken.moved(e.offset, e.line)
		}
	}
	if syntax.Code == "bundle" && r.list == nil && RawValue(item.Raw).member("objects") == nil {
		return Item{}, false, nil
	}
	item.Err = syntax.moved(e.offset, e.line)
	return item, true, nil
}
