package taxii

import "time"

// Doors for the fuzz tests: the parsers, which have no way in of their own.
var (
	ReadEnvelope = readEnvelope
	Acceptable   = acceptable
	IsTaxii      = isTaxii
	Coding       = coding
)

// ParseObjectsQuery reads a query string as the objects endpoint does.
func ParseObjectsQuery(raw string) (Query, string, error) {
	q, err := parseQuery(raw, objectsFields)
	return q.Query, q.next, err
}

// MakeCursor and OpenCursor make and open a cursor for a query.
func MakeCursor(key []byte, client, collection string, q Query, at time.Time) string {
	return cursorKey(key).make(scope{"objects", client, collection, q}, at)
}

func OpenCursor(key []byte, client, collection string, q Query, text string) (time.Time, bool) {
	return cursorKey(key).open(scope{"objects", client, collection, q}, text)
}
