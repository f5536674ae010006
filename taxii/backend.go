package taxii

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/noroshi-cti/noroshi/stix"
)

// What a Backend answers; anything else is an internal error.
var (
	ErrUnauthorized = errors.New("taxii: who asks is not known")
	ErrForbidden    = errors.New("taxii: the collection is visible, the act is not allowed")
	ErrNotFound     = errors.New("taxii: there is no such thing, or none that may be seen")
	ErrUnavailable  = errors.New("taxii: not now; ask again later")
)

// Backend has the data and says who may see it. What a client may not see
// answers exactly like what does not exist: ErrNotFound. Methods may be called at
// once from several goroutines.
type Backend interface {
	// Authenticate says who sends a request, from its Authorization header or
	// client certificate, or ErrUnauthorized. The name goes to every other method.
	// It is asked for every request: whoever keeps slow hashes remembers for a
	// while what was right.
	Authenticate(ctx context.Context, r *http.Request) (client string, err error)

	// Collections lists what the client can see, in a steady order.
	Collections(ctx context.Context, client string) ([]Collection, error)

	// Page returns records of a collection, oldest first: those with Added after
	// q.After that q matches, at most q.Limit, and whether there are more.
	// collection is an id of Collections (aliases are resolved before). Where
	// there are more, at least one is returned. The handler only reads the bytes.
	Page(ctx context.Context, client, collection string, q Query) (records []Record, more bool, err error)

	// Add admits objects, each a JSON value that read strictly, and says what
	// became of each, in order of the request. What is accepted is durable and
	// visible when Add returns. An object that is there already, byte for byte, is a
	// success and no new record (section 5.5); one whose id and version are there
	// with other bytes is a failure. The counts of the status add up to the number
	// of objects; where a list of details stands it has as many entries as its count.
	Add(ctx context.Context, client, collection string, objects []Posted) (Status, error)

	// Remove takes versions of an object off a collection: those q.Version and
	// q.Specs name, all where they name none. ErrNotFound when there was none. An
	// object that comes back has a new Added.
	Remove(ctx context.Context, client, collection string, id stix.ID, q Query) error

	// Status returns a status of the client's own, at least for 24 hours after it is
	// complete (section 4.3), or ErrNotFound.
	Status(ctx context.Context, client, id string) (Status, error)
}

// Posted is one element of an envelope that is posted.
type Posted struct {
	Object *stix.Object // nil where it is no STIX object
	Raw    []byte       // the element's bytes, a part of the whole body: copy them to keep them for long
	Err    error        // why it is none
}

// Query says what of a collection is asked for (sections 3.4 and 3.5).
type Query struct {
	After   time.Time // exclusive; zero = from the start
	Limit   int       // at least 1
	Size    int       // bytes of bodies after which a page may end early (but not empty); 0 = no such limit
	Bodies  bool      // whether Record.Bytes are wanted
	IDs     []stix.ID
	Types   []string
	Specs   []string       // spec_version values; none = of each object only the latest (section 3.4.1)
	Version []VersionMatch // any of them; none = Last
}

// VersionMatch is one value of match[version].
type VersionMatch struct {
	Kind Match
	At   stix.Time // of Exactly; compare instants
}

// Match is a kind of match[version] (section 3.4.1). First and Last are the
// earliest and latest of all versions of an object that the collection holds and
// Query.Specs lets through, whatever else the query asks.
type Match uint8

// The kinds.
const (
	Last Match = iota
	First
	All
	Exactly
)
