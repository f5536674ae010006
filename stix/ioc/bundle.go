package ioc

import (
	"fmt"
	"io"
	"iter"

	"github.com/noroshi-cti/noroshi/stix"
)

// Bundle writes a STIX 2.1 bundle (§8): the bytes of every object unchanged, one
// in memory at a time. id is the bundle's own. Markings travel in the objects;
// the caller puts the marking definitions among them. Without objects the bundle
// has no objects property, as an empty list is not allowed (§2.9).
func Bundle(w io.Writer, id stix.ID, objects iter.Seq[*stix.Object]) (Result, error) {
	if parsed, err := stix.ParseID(string(id)); err != nil || parsed.Type() != "bundle" {
		return Result{}, fmt.Errorf("bundle: %q is no id of a bundle", id)
	}
	f := newOut(w, &Options{})
	f.put(`{"type":"bundle","id":"`, string(id), `"`)
	lead := ",\"objects\":[\n"
	for o := range objects {
		if f.err != nil {
			break
		}
		f.put(lead, string(o.Bytes()))
		lead = ",\n"
		f.res.Entries++
		f.res.Carried++
		f.res.Lines++
	}
	if f.res.Lines > 0 {
		f.put("\n]")
	}
	f.put("}\n")
	return f.close()
}
