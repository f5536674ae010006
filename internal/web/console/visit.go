package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"net/http"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// visit is one request: who asks, in which language, and what the page that
// answers has shown so far.
type visit struct {
	*Console
	w       http.ResponseWriter
	r       *http.Request
	ctx     context.Context
	now     time.Time
	seq     int64 // place in the change feed at which the page is made
	session web.Session
	person  noroshi.Person // the zero Person when nobody is signed in
	lang    locale.Lang
	theme   string // "light", "dark" or "" for that of the person's machine

	label   noroshi.Label // join of what the page shows
	marked  bool          // it shows something that is marked
	whole   bool          // a part of a page brings the labels of all that the page shows
	problem *noroshi.Error
}

// visit finds out who asks, and reads nothing of the request's body before that
// is known. v is never nil.
func (c *Console) visit(w http.ResponseWriter, r *http.Request) (v *visit, err error) {
	v = &visit{Console: c, w: w, r: r, ctx: r.Context(), now: c.Now(), lang: locale.Match(r.Header.Get("Accept-Language"))}
	if k, err := r.Cookie(c.cookie(langCookie)); err == nil {
		if l, ok := locale.Parse(k.Value); ok {
			v.lang = l
		}
	}
	if k, err := r.Cookie("theme"); err == nil && (k.Value == "light" || k.Value == "dark") {
		v.theme = k.Value
	}
	r.Body = http.NoBody
	if v.seq, err = c.Store.Head(v.ctx); err != nil {
		return v, err
	}
	return v, c.recognise(v)
}

// Bounds of a form; files come by a way of their own.
const (
	maxForm     = 1 << 20
	maxOpenForm = 16 << 10 // of whoever is not signed in
)

// read reads the form of a request that may be answered, or leaves a file of at
// most so many bytes to who serves it.
func (v *visit) read(body io.ReadCloser, file int64) error {
	most := max(file, maxForm)
	if v.person.ID == "" {
		most = maxOpenForm
	}
	v.r.Body = http.MaxBytesReader(v.w, body, most)
	if err := v.r.ParseForm(); err != nil {
		return noroshi.Errorf(noroshi.Invalid, "console.form", "the form cannot be read: %w", err)
	}
	return nil
}

// t returns a text in the reader's language.
func (v *visit) t(key string, args ...any) string { return locale.T(v.lang, key, args...) }

// ask runs an operation for the person: Forbidden when none of their roles may
// do what it does. What it answers joins the page's marking.
func ask[T any](v *visit, op string, in any) (out T, err error) {
	return askWith[T](v, op, in, nil, nil)
}

// askAside runs an operation of whose answer nothing is shown that is marked.
func askAside[T any](v *visit, op string, in any) (out T, err error) {
	w := *v
	return askWith[T](&w, op, in, nil, nil)
}

// askTold runs an operation that tells how far it is, or a file piece by piece.
func askTold[T any](v *visit, op string, in any, told func(any)) (out T, err error) {
	return askWith[T](v, op, in, nil, told)
}

// askBody runs an operation that reads what follows its input.
func askBody[T any](v *visit, op string, in any, body io.Reader) (out T, err error) {
	return askWith[T](v, op, in, body, nil)
}

func askWith[T any](v *visit, op string, in any, body io.Reader, told func(any)) (out T, err error) {
	if o, ok := web.Ops[op]; !ok || !v.person.May(o.Action) {
		return out, noroshi.Errorf(noroshi.Forbidden, "api.forbidden", "%s may not do %s", v.person.ID, op)
	}
	out, err = invoke[T](web.WithSession(v.ctx, v.person, v.session.ID), v, op, in, body, told)
	if err == nil {
		err = v.shows(out)
	}
	return out, err
}

// invoke runs an operation for whoever ctx says calls; body, where it is not nil,
// is what it reads after its input, told hears what it tells on the way.
func invoke[T any](ctx context.Context, v *visit, op string, in any, body io.Reader, told func(any)) (out T, err error) {
	input, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	got, err := web.Invoke(ctx, v.Services, op, input, body, told)
	if err != nil || got == nil {
		return out, err
	}
	return got.(T), nil
}

// goTo sends the reader on after a form that did something, with a word about
// what it did: the rest of a key "console.said.…".
func (v *visit) goTo(path, said string) error {
	if said != "" {
		v.say(said)
	}
	http.Redirect(v.w, v.r, path, http.StatusSeeOther)
	return nil
}

// say has the browser keep a word, the rest of a key "console.said.…", for the page
// that it asks for next: no link can bring one.
func (v *visit) say(said string) { v.keep(saidCookie, said, 60) }

// show answers with a page: as refused, where something was wrong with the form
// that was sent. Where only one part of it was asked for (?part=…), which the
// page's template defines, with that.
func (v *visit) show(name string, data any) error {
	if v.problem != nil {
		return v.showAs(http.StatusUnprocessableEntity, name, data)
	}
	return v.showAs(http.StatusOK, name, data)
}

func (v *visit) showAs(status int, name string, data any) error {
	part := v.r.FormValue("part")
	if part == "" || v.r.Header.Get("HX-Request") == "" {
		return v.block(status, name, "page", data)
	}
	if t := v.view(name); t == nil || t.Lookup("part-"+part) == nil {
		v.r.Form.Del("part")
		return nowhere(v)
	}
	alone := *v
	if !v.whole {
		if err := v.covered(); err != nil {
			return err
		}
	}
	v.carry(v.w.Header())
	return alone.block(status, name, "part-"+part, data)
}

// block answers with one block of a page.
func (v *visit) block(status int, name, block string, data any) error {
	b, err := v.rendered(name, block, data)
	if err == nil {
		err = v.answer(status, b)
	}
	return err
}

func (v *visit) answer(status int, body []byte) error {
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, err := v.w.Write(body)
	return err
}

// rendered is a block of a page; of a page that there is not, of one without a
// screen of its own.
func (v *visit) rendered(name, block string, data any) ([]byte, error) {
	t := v.view(name)
	if t == nil {
		t = v.view("nowhere")
	}
	p, err := v.page(name, data)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.ExecuteTemplate(&b, block, p)
	return b.Bytes(), err
}

// nowhere answers like an address that does not exist.
func nowhere(v *visit) error { return v.showAs(http.StatusNotFound, "nowhere", nil) }

// fail tells what went wrong. Forbidden looks like not found.
func (v *visit) fail(err error) {
	var e *noroshi.Error
	var ask asked
	switch {
	case errors.As(err, &ask):
		err = ask.answer(v.w)
	case errors.As(err, &e) && (e.Kind == noroshi.NotFound || e.Kind == noroshi.Forbidden):
		err = nowhere(v)
	case errors.As(err, &e):
		v.problem = e
		err = v.show("failed", nil)
	case v.ctx.Err() != nil:
		return
	default:
		v.problem = &noroshi.Error{Code: "internal.incident", Args: []string{web.Incident(v.Log, "page failed", err, "path", v.r.URL.Path)}}
		err = v.showAs(http.StatusInternalServerError, "failed", nil)
	}
	if err != nil {
		v.Log.Error("page not shown", "path", v.r.URL.Path, "err", err)
	}
}

// again shows the page of a form once more with what was wrong in it: bad input,
// a wrong passphrase, somebody was faster. Other errors are returned.
func (v *visit) again(err error, form func(*visit) error) error {
	var e *noroshi.Error
	if !errors.As(err, &e) || e.Kind == noroshi.NotFound {
		return err
	}
	v.problem = e
	v.w.Header().Set("X-Noroshi-Problem", e.Code)
	return form(v)
}

// typed shows a form again also where what a person typed into it names nothing
// that is here.
func (v *visit) typed(err error, form func(*visit) error) error {
	var e *noroshi.Error
	if errors.As(err, &e) && e.Kind == noroshi.NotFound {
		none := *e
		none.Kind = noroshi.Invalid
		err = &none
	}
	return v.again(err, form)
}

// page is what every template gets: what stands around the page, and Data, the
// page's own.
type page struct {
	*visit
	Screen string
	Band   string // the marking band, top and bottom
	Rail   []railItem
	Foot   *railFoot // nil for who may not read the record
	Waits  waits
	Data   any
}

// Seq is the place in the change feed at which the page was made.
func (p page) Seq() int64 { return p.visit.seq }

// Person is who reads the page.
func (p page) Person() noroshi.Person { return p.visit.person }

// Lang is the language of the page.
func (p page) Lang() locale.Lang { return p.visit.lang }

// Theme is the person's choice of theme, "" when they made none.
func (p page) Theme() string { return p.visit.theme }

// Problem is what was wrong with the form that was sent, nil when nothing was.
func (p page) Problem() *noroshi.Error { return p.visit.problem }

// Form is a field of the form as it was sent, so that nothing has to be typed
// twice.
func (p page) Form(name string) string { return p.visit.r.FormValue(name) }

// Said is the word about what the last form did, "" when there is none. It is taken
// from the browser, so that it is said once.
func (p page) Said() string {
	k, err := p.visit.r.Cookie(p.cookie(saidCookie))
	if err != nil {
		return ""
	}
	p.visit.keep(saidCookie, "", -1)
	if key := "console.said." + k.Value; locale.Has(key) {
		return p.visit.t(key)
	}
	return ""
}

// Now is when the page is made.
func (p page) Now() time.Time { return p.visit.now }

// Part reports whether only a part of the page was asked for.
func (p page) Part() bool { return p.visit.r.FormValue("part") != "" }

// CallSign is the node's.
func (p page) CallSign() noroshi.CallSign { return p.visit.Self.CallSign }

// Exercise is the exercise's id in the realm of one, else "".
func (p page) Exercise() string { return p.visit.Realm.Exercise() }

// May reports whether the reader may do an action.
func (p page) May(a noroshi.Action) bool { return p.visit.person.May(a) }

// Clocks are the three zones of the head.
func (p page) Clocks() []clock { return clocks(p.visit.lang, p.visit.now) }

// page puts together what stands around a page.
func (v *visit) page(name string, data any) (page, error) {
	p := page{visit: v, Screen: name, Data: data, Band: v.band()}
	var err error
	if v.person.ID != "" {
		if p.Rail, p.Waits, err = v.rail(name); err == nil {
			p.Foot, err = v.foot()
		}
	}
	return p, err
}

// views are the pages of each language by name, each parsed when it is first asked for.
type views map[locale.Lang]map[string]func() *template.Template

// view is a page in the reader's language, nil for one that there is not.
func (v *visit) view(name string) *template.Template {
	if view := v.views()[v.lang][name]; view != nil {
		return view()
	}
	return nil
}
