// Package taxii speaks TAXII 2.1 (OASIS Standard, 10 June 2021): NewHandler makes
// the server over a Backend, and Client is the other side. Memory is a Backend for
// tests and examples.
//
// The package owns the protocol: negotiation, parameters, paging, envelopes,
// statuses, errors. A Backend owns the data and who may see it. Objects pass
// through as the bytes they are: nothing here decodes one and encodes it again.
//
// Every record of a collection has a date_added of its own, strictly increasing
// in the order in which records become visible, in microseconds. So paging by
// next, by added_after and by X-TAXII-Date-Added-Last are one thing: they lose
// nothing and repeat nothing under concurrent writes.
package taxii

import (
	"time"

	"github.com/noroshi-cti/noroshi/stix"
)

// Media types (sections 1.6.8 and 3.7).
const (
	MediaType     = "application/taxii+json;version=2.1"
	StixMediaType = "application/stix+json;version=2.1"
)

// Values of Status.Status.
const (
	Complete = "complete" // the status changes no more
	Pending  = "pending"
)

// Headers of every page (section 3.2): the date_added of its first and last record.
const (
	HeaderFirst = "X-TAXII-Date-Added-First"
	HeaderLast  = "X-TAXII-Date-Added-Last"
)

// timestamp is the form of a timestamp (section 2): UTC, microseconds.
const timestamp = "2006-01-02T15:04:05.000000Z"

// Timestamp writes a time as TAXII does: in UTC with microseconds, rounded down.
// The year must be 0 to 9999.
func Timestamp(t time.Time) string { return t.UTC().Format(timestamp) }

// Discovery is the discovery resource (section 4.1).
type Discovery struct {
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Contact     string   `json:"contact,omitempty"`
	Default     string   `json:"default,omitempty"`
	APIRoots    []string `json:"api_roots,omitempty"`
}

// APIRoot is the API root resource (section 4.2).
type APIRoot struct {
	Title            string   `json:"title"`
	Description      string   `json:"description,omitempty"`
	Versions         []string `json:"versions"`
	MaxContentLength int64    `json:"max_content_length"`
}

// Collection is the collection resource (section 5.2).
type Collection struct {
	ID          string   `json:"id"` // UUIDv4, lower case
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Alias       string   `json:"alias,omitempty"`
	CanRead     bool     `json:"can_read"`
	CanWrite    bool     `json:"can_write"`
	MediaTypes  []string `json:"media_types,omitempty"`
}

// Record is one version of an object in a collection.
type Record struct {
	ID      stix.ID
	Spec    string    // its specification version (see SpecOf); "" = 2.1
	Version string    // as spelled: modified, or created, or for what has neither its date_added (section 3.4.1)
	Added   time.Time // date_added, UTC, whole microseconds, unique in its collection
	Bytes   []byte    // the object; nil where only the manifest was asked for
}

// Status is the status resource (section 4.3).
type Status struct {
	ID               string         `json:"id"` // UUIDv4
	Status           string         `json:"status"`
	RequestTimestamp string         `json:"request_timestamp"`
	TotalCount       int            `json:"total_count"`
	SuccessCount     int            `json:"success_count"`
	Successes        []StatusDetail `json:"successes,omitempty"`
	FailureCount     int            `json:"failure_count"`
	Failures         []StatusDetail `json:"failures,omitempty"`
	PendingCount     int            `json:"pending_count"`
	Pendings         []StatusDetail `json:"pendings,omitempty"`
}

// StatusDetail is what became of one object (section 4.3.1).
type StatusDetail struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Message string `json:"message,omitempty"`
}

// Error is the error message resource (section 3.6.1).
type Error struct {
	Title      string `json:"title"`
	Detail     string `json:"description,omitempty"`
	ID         string `json:"error_id,omitempty"` // of this one occurrence, random
	Code       string `json:"error_code,omitempty"`
	HTTPStatus int    `json:"http_status,string,omitempty"`
}

// Error returns the title.
func (e *Error) Error() string { return e.Title }
