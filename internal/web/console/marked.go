package console

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// The marking band of a page is the join of the labels of everything it shows.
// Nobody has to think of it: whatever an operation answers brings its labels
// along in fields of these names, and all of them join the band when a page asks
// (askAside is for what is not shown).
//
// A part of a page that is loaded later may show something stricter than what
// stands there. The page says with the request what its band covers
// (labelsHeader), and the answer brings the band over both, which the script
// (static/js/band.js) puts up before it shows the part. So the band of an open
// page is never below anything on it.
var labelFields = []string{"label", "exact_label", "held_label"}

// Headers of a part: labels in the kept form, each escaped as in a URL, with
// spaces between them; the band, escaped likewise; its tone.
const (
	labelsHeader = "Noroshi-Labels"
	bandHeader   = "Noroshi-Band"
	toneHeader   = "Noroshi-Tone"
)

// maxLabels bounds how many labels a page may say its band covers.
const maxLabels = 64

// mark adds the label of something shown, in its kept form, to the page's: what
// is shown and not marked here is held for this organisation alone, which every
// band says.
func (v *visit) mark(kept string) error {
	l, err := noroshi.KeptLabel(kept)
	if err == nil {
		v.label, v.marked = web.Fitting(v.label.Join(l)), true
	}
	return err
}

// shows adds the labels of all that an answer of an operation says.
func (v *visit) shows(answer any) error { return v.showsValue(reflect.ValueOf(answer)) }

func (v *visit) showsValue(x reflect.Value) error {
	switch x.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !x.IsNil() {
			return v.showsValue(x.Elem())
		}
	case reflect.Slice, reflect.Array:
		if k := x.Type().Elem().Kind(); k <= reflect.Complex128 || k == reflect.String {
			return nil
		}
		for i := range x.Len() {
			if err := v.showsValue(x.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for i := x.MapRange(); i.Next(); {
			if err := v.showsValue(i.Value()); err != nil {
				return err
			}
		}
	case reflect.Struct:
		return v.showsFields(x)
	}
	return nil
}

func (v *visit) showsFields(x reflect.Value) error {
	for i := range x.NumField() {
		f := x.Type().Field(i)
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Type.Kind() == reflect.String && isLabel(f) {
			if kept := x.Field(i).String(); kept != "" { // of what is not here
				if err := v.mark(kept); err != nil {
					return err
				}
			}
			continue
		}
		if err := v.showsValue(x.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

func isLabel(f reflect.StructField) bool {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return slices.Contains(labelFields, name)
}

// fit is a kept label with no more in it than is shown.
func fit(kept string) string {
	l, err := noroshi.KeptLabel(kept)
	if err != nil {
		return kept
	}
	return web.Fitting(l).String()
}

// covered adds what the band of the page covers that asks for a part.
func (v *visit) covered() error {
	labels := strings.Fields(v.r.Header.Get(labelsHeader))
	if len(labels) > maxLabels {
		return noroshi.Errorf(noroshi.Invalid, "console.form", "a page is covered by at most %d labels", maxLabels)
	}
	for _, escaped := range labels {
		kept, err := url.PathUnescape(escaped)
		if err == nil {
			err = v.mark(kept)
		}
		if err != nil {
			return noroshi.Errorf(noroshi.Invalid, "console.form", "%s cannot be read: %w", labelsHeader, err)
		}
	}
	return nil
}

// carry has a part carry the band of the page it goes into.
func (v *visit) carry(h http.Header) {
	if v.marked {
		h.Set(labelsHeader, v.kept())
		h.Set(bandHeader, url.PathEscape(v.band()))
		h.Set(toneHeader, strconv.Itoa(int(v.tone())))
	}
}

// kept is the label of the page as the headers have it, "" where nothing on it is
// marked.
func (v *visit) kept() string {
	if !v.marked {
		return ""
	}
	return url.PathEscape(v.label.String())
}

// band says the page's marking.
func (v *visit) band() string {
	own := v.t("console.band.internal", v.Self.CallSign)
	if !v.marked {
		return own
	}
	return web.Banner(v.lang, v.label, nil) + " // " + own
}

// tone is the colour of the band.
func (v *visit) tone() web.Tone { return web.ToneOf(v.label) }

// Tone is the colour of the page's band.
func (p page) Tone() web.Tone { return p.visit.tone() }

// Kept is what the band of the page covers.
func (p page) Kept() string { return p.visit.kept() }
