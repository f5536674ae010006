package stix

import (
	"fmt"
	"strconv"
)

// Indicator is the typed view of an indicator (STIX 2.1 §4.7).
type Indicator struct {
	Name           string
	Pattern        string
	PatternType    string
	PatternVersion string
	ValidFrom      Time
	ValidUntil     Time
	Confidence     int // -1 when absent
}

// Indicator decodes the view; an error when the object is no indicator or a
// property it shows has the wrong type.
func (o *Object) Indicator() (Indicator, error) {
	if err := o.want("indicator"); err != nil {
		return Indicator{}, err
	}
	view := Indicator{Confidence: -1}
	d := decoder{o: o}
	for name, v := range o.Root().members() {
		switch string(name) {
		case "name":
			view.Name = d.text("name", v)
		case "pattern":
			view.Pattern = d.text("pattern", v)
		case "pattern_type":
			view.PatternType = d.text("pattern_type", v)
		case "pattern_version":
			view.PatternVersion = d.text("pattern_version", v)
		case "valid_from":
			view.ValidFrom = d.time("valid_from", v)
		case "valid_until":
			view.ValidUntil = d.time("valid_until", v)
		case "confidence":
			view.Confidence = d.int("confidence", v)
		}
	}
	return view, d.err
}

// Sighting is the typed view of a sighting (STIX 2.1 §5.2).
type Sighting struct {
	SightingOf ID
	Count      int // 1 when absent: a sighting is of at least one
	FirstSeen  Time
	LastSeen   Time
}

// Sighting decodes the view; an error when the object is no sighting or a
// property it shows has the wrong type.
func (o *Object) Sighting() (Sighting, error) {
	if err := o.want("sighting"); err != nil {
		return Sighting{}, err
	}
	view := Sighting{Count: 1}
	d := decoder{o: o}
	for name, v := range o.Root().members() {
		switch string(name) {
		case "sighting_of_ref":
			view.SightingOf = d.id("sighting_of_ref", v)
		case "count":
			view.Count = d.int("count", v)
		case "first_seen":
			view.FirstSeen = d.time("first_seen", v)
		case "last_seen":
			view.LastSeen = d.time("last_seen", v)
		}
	}
	return view, d.err
}

func (o *Object) want(typ string) error {
	if o.Type != typ {
		return fmt.Errorf("%s is no %s", o.ID, typ)
	}
	return nil
}

// decoder reads properties of a view and keeps the first error.
type decoder struct {
	o   *Object
	err error
}

func (d *decoder) fail(name, want string) {
	if d.err == nil {
		d.err = fmt.Errorf("%s of %s is no %s", name, d.o.ID, want)
	}
}

func (d *decoder) text(name string, v RawValue) string {
	s, ok := v.text()
	if !ok {
		d.fail(name, "string")
	}
	return s
}

func (d *decoder) time(name string, v RawValue) Time {
	t, err := ParseTime(v.Text())
	if err != nil {
		d.fail(name, "timestamp")
	}
	return t
}

func (d *decoder) id(name string, v RawValue) ID {
	id, err := ParseID(v.Text())
	if err != nil {
		d.fail(name, "identifier")
	}
	return id
}

func (d *decoder) int(name string, v RawValue) int {
	n, err := strconv.Atoi(string(v))
	if err != nil {
		d.fail(name, "whole number in range")
	}
	return n
}
