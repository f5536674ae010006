package stix

// Canonical returns the RFC 8785 form of a JSON value.
func Canonical(raw []byte) ([]byte, error) { panic("stub") }

// SCOID returns the deterministic id of a cyber-observable object (STIX 2.1
// §2.9, UUIDv5 over the id contributing properties).
func SCOID(o *Object) (ID, error) { panic("stub") }

// Resolve reports whether a selector (STIX 2.1 §7.2.3.1) names something in
// the object.
func Resolve(o *Object, selector string) bool { panic("stub") }

// Cut returns the object without the selected properties, all other bytes
// kept; granular_markings entries that named them go too, and list positions
// in the remaining selectors are renumbered.
func Cut(o *Object, selectors []string) (*Object, error) { panic("stub") }
