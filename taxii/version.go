package taxii

import (
	"encoding/json"

	"github.com/noroshi-cti/noroshi/stix"
)

// VersionOf returns the version of an object as section 3.4.1 has it: modified,
// or created where there is no modified. It is zero for an object that has
// neither; its version is then what the backend makes it, by custom its
// date_added.
func VersionOf(o *stix.Object) stix.Time {
	if o.Modified.IsZero() {
		return o.Created
	}
	return o.Modified
}

// SpecOf returns the specification version of an object: its spec_version, or
// what follows from its absence, which STIX 2.1 allows only to what has neither
// created nor modified; an object with them and without it is of STIX 2.0.
func SpecOf(o *stix.Object) string {
	switch {
	case o.SpecVersion != "":
		return o.SpecVersion
	case o.Created.IsZero() && o.Modified.IsZero():
		return "2.1"
	}
	return "2.0"
}

// Detail says what became of a posted element. Of one that is no STIX object it
// names the id as far as one can be read.
func (p Posted) Detail(message string) StatusDetail {
	d := StatusDetail{Message: message}
	if p.Object != nil {
		d.ID, d.Version = string(p.Object.ID), VersionOf(p.Object).String()
		return d
	}
	// What does not read as text stays empty: the error is that of the element.
	var head struct{ ID, Modified string }
	_ = json.Unmarshal(p.Raw, &head)
	d.ID, d.Version = clip(head.ID), clip(head.Modified)
	return d
}

// clip keeps what a client sent short where it is told again.
func clip(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most]
	}
	return s
}
