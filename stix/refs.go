package stix

import (
	"bytes"
	"strconv"
	"strings"
)

// Ref is one reference out of an object: an identifier in a property whose
// name ends in _ref, or in a list whose name ends in _refs, at any depth. The
// object's own object_marking_refs and the marking_ref of its
// granular_markings are labels and none of these. A value that has not the
// form of an identifier (such as the keys that observed-data's old objects
// dictionary refers by) names no object and is left out.
type Ref struct {
	Path     string // selector of the place, such as "object_refs.[3]"; a name no selector can say stands in quotes
	Target   ID
	Required bool // the object may not exist without it (STIX 2.1: relationship ends, sighting_of_ref, object_ref, object_refs)
	Custom   bool // the property is not one the specification defines for this type; within extensions always
}

// Refs returns every reference out of the object in document order,
// created_by_ref included.
func (o *Object) Refs() []Ref { return o.refs }

// reference takes a string that stands where a reference may.
func (h *header) reference(s *scanner, v RawValue) {
	switch top := s.path[0].name; {
	case string(top) == "object_marking_refs" && len(s.path) <= 2:
		return
	case string(top) == "granular_markings" && len(s.path) == 3 && string(s.path[2].name) == "marking_ref":
		return
	}
	text, _ := v.text()
	id, err := ParseID(text)
	if err != nil {
		return
	}
	if h.o.refs == nil {
		h.o.refs = make([]Ref, 0, 3) // creator and both ends
	}
	h.o.refs = append(h.o.refs, Ref{Path: selectorOf(s.path), Target: id})
}

// selectorOf writes a place as a selector (STIX 2.1 §7.2.3.1).
func selectorOf(path []step) string {
	if len(path) == 1 {
		if known, ok := refPaths[string(path[0].name)]; ok {
			return known
		}
	}
	var b []byte
	for i, p := range path {
		if i > 0 {
			b = append(b, '.')
		}
		if p.name != nil {
			b = appendPart(b, p.name)
			continue
		}
		b = append(b, '[')
		b = strconv.AppendInt(b, int64(p.index), 10)
		b = append(b, ']')
	}
	return string(b)
}

// appendPart writes a name as a part of a selector. A name that holds signs of
// the selectors' own is one no selector can say; it stands in quotes, so that
// it is not taken for another place.
func appendPart(b, name []byte) []byte {
	if bytes.ContainsAny(name, `.["`) || len(name) == 0 {
		return strconv.AppendQuote(b, string(name))
	}
	return append(b, name...)
}

// refPaths saves a copy of the paths most objects have.
var refPaths = map[string]string{
	"created_by_ref": "created_by_ref", "source_ref": "source_ref",
	"target_ref": "target_ref", "sighting_of_ref": "sighting_of_ref", "object_ref": "object_ref",
}

// describeRefs says of each reference what the specification makes of it,
// once the type is known.
func (h *header) describeRefs() {
	for i := range h.o.refs {
		r := &h.o.refs[i]
		top, _, _ := strings.Cut(r.Path, ".")
		r.Required = requiredRef(h.o.Type, top)
		r.Custom = !r.Required && top != "created_by_ref" && !definedRef(h.o.Type, genericPath(r.Path))
	}
}

// genericPath leaves the positions in lists out of a selector.
func genericPath(path string) string {
	if !strings.Contains(path, "[") {
		return path
	}
	var parts []string
	for p := range strings.SplitSeq(path, ".") {
		if !strings.HasPrefix(p, "[") {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ".")
}

// requiredRef: the references without which an object of the type means
// nothing. That of note, opinion, report, grouping and observed-data is a list
// that needs one member.
func requiredRef(typ, name string) bool {
	switch typ {
	case "relationship":
		return name == "source_ref" || name == "target_ref"
	case "sighting":
		return name == "sighting_of_ref"
	case "language-content":
		return name == "object_ref"
	case "report", "grouping", "note", "opinion", "observed-data":
		return name == "object_refs"
	}
	return false
}

// definedRef reports whether the specification defines a reference at the
// place (without positions) for the type.
func definedRef(typ, path string) bool {
	switch typ {
	case "sighting":
		return path == "observed_data_refs" || path == "where_sighted_refs"
	case "malware":
		return path == "operating_system_refs" || path == "sample_refs"
	case "malware-analysis":
		return path == "host_vm_ref" || path == "operating_system_ref" || path == "installed_software_refs" ||
			path == "analysis_sco_refs" || path == "sample_ref"
	case "directory":
		return path == "contains_refs"
	case "domain-name", "ipv4-addr", "ipv6-addr":
		return path == "resolves_to_refs" || path == "belongs_to_refs" && typ != "domain-name"
	case "email-addr":
		return path == "belongs_to_ref"
	case "email-message":
		return path == "from_ref" || path == "sender_ref" || path == "to_refs" || path == "cc_refs" ||
			path == "bcc_refs" || path == "raw_email_ref" || path == "body_multipart.body_raw_ref"
	case "file":
		return path == "parent_directory_ref" || path == "contains_refs" || path == "content_ref"
	case "network-traffic":
		return path == "src_ref" || path == "dst_ref" || path == "src_payload_ref" || path == "dst_payload_ref" ||
			path == "encapsulates_refs" || path == "encapsulated_by_ref"
	case "process":
		return path == "opened_connection_refs" || path == "creator_user_ref" || path == "image_ref" ||
			path == "parent_ref" || path == "child_refs"
	case "windows-registry-key":
		return path == "creator_user_ref"
	}
	return false
}
