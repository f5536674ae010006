package lift

// Format is a document format that can be lifted.
type Format struct {
	Name string // as --format says it

	// Tells reports whether a document that begins so is of the format.
	Tells func(*Outline) bool

	// Lift lifts a whole document. An error, best an *Error, means that it is
	// none of the format; the caller keeps b unchanged.
	Lift func(b []byte, f Feed) (Document, error)

	// Authored says that its objects have ids, makers and markings of their
	// own: a mapping profile may say what stands for a marking in them.
	Authored bool

	// Tags is the mapping profile by which the tags of items are read where an
	// import names none, "" for a format without tags.
	Tags string

	// Kept reads a document that an earlier import kept beside the objects of
	// this format; nil where there is none.
	Kept func(body []byte) (Beside, error)
}

// formats are asked in this order.
var formats = []Format{
	{Name: "misp", Tells: tellsMISP, Lift: liftMISP, Authored: true, Tags: "misp-tags", Kept: keptBefore},
	{Name: "stix20", Tells: tellsSTIX20, Lift: liftSTIX20, Authored: true},
	{Name: "kev", Tells: tellsKEV, Lift: liftKEV},
	{Name: "csaf", Tells: tellsCSAF, Lift: liftCSAF},
}

// Named returns the format of a name, nil for none.
func Named(name string) *Format {
	for i := range formats {
		if formats[i].Name == name {
			return &formats[i]
		}
	}
	return nil
}

// Told returns the format a document's beginning tells, nil for none.
func Told(head []byte) *Format {
	o := outline(head)
	for i := range formats {
		if formats[i].Tells(o) {
			return &formats[i]
		}
	}
	return nil
}

// Names lists the formats.
func Names() []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.Name)
	}
	return names
}
