package noroshi

import "github.com/noroshi-cti/noroshi/stix"

// SourceKind says what kind of door a thing came through.
type SourceKind string

// The kinds of sources.
const (
	FromSelf    SourceKind = "self"    // made here by the node: sightings, warnings, list entries
	FromPartner SourceKind = "partner" // in a partner's signed message
	FromFile    SourceKind = "file"    // imported by a person
	FromFeed    SourceKind = "feed"
	FromClient  SourceKind = "client"
)

// Source names where a thing came from. Nothing enters without one.
type Source struct {
	Kind    SourceKind `json:"kind"`
	Partner NodeID     `json:"partner,omitzero"` // FromPartner: the sending node
	Message Hash       `json:"message,omitzero"` // FromPartner: the message
	Name    string     `json:"name,omitempty"`   // FromFile: base name; FromFeed, FromClient: its name
	Person  string     `json:"person,omitempty"` // who imported it
	// Returned is the partner that gave it back to this node, which had lost it and
	// does not know any more from whom it had it; of kind FromFile.
	Returned NodeID `json:"returned,omitzero"`
}

// SpeaksFor reports whether what a source says a marking means counts for what
// came by another: a partner speaks for what it brought itself, every other
// source for all.
func (s Source) SpeaksFor(of Source) bool {
	return s.Kind != FromPartner || of.Kind == FromPartner && of.Partner == s.Partner
}

// Owner is the key under which versions compete: only the source that brought
// an object first, or the node whose identity made it, moves it (an object
// belongs to one source).
func (s Source) Owner() string {
	switch s.Kind {
	case FromPartner:
		return "partner:" + s.Partner.String()
	case FromFile:
		return "file"
	case FromSelf:
		return "self"
	}
	return string(s.Kind) + ":" + s.Name
}

// Valid reports whether the source says enough to be one.
func (s Source) Valid() bool {
	switch s.Kind {
	case FromSelf:
		return true
	case FromPartner:
		return s.Partner != NodeID{} && !s.Message.IsZero()
	case FromFile, FromFeed, FromClient:
		return s.Name != ""
	}
	return false
}

// Origin is who made an object, as far as provenance bears it out: its
// created_by_ref when the object was made here or came in that node's own
// signed message, else "" (unknown: neither holder nor partner).
func Origin(s Source, createdBy stix.ID, self stix.ID, partnerIdentity stix.ID) stix.ID {
	switch {
	case s.Kind == FromSelf && createdBy == self:
		return self
	case s.Kind == FromPartner && createdBy != "" && createdBy == partnerIdentity:
		return createdBy
	}
	return ""
}
