package taxii

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A cursor is the value of next: the date_added of the last record of a page in
// microseconds (8 bytes) and a tag (16 bytes of HMAC-SHA256 over that and over
// what the page was asked for), in base64url. The server keeps nothing: a cursor
// does not expire, may be used again, and is good on every server with the key.
//
// Bound are the endpoint, the client, the collection, the object and the match
// filters. Not bound are limit, which may change from page to page, and
// added_after: the position is a lower bound and added_after another one, so a
// client may repeat it, leave it out or move it along, and loses nothing.

const (
	positionSize = 8
	tagSize      = 16
	cursorLabel  = "taxii 2.1 next, form 1"
)

var cursorText = base64.RawURLEncoding.Strict()

// cursorKey makes and opens cursors.
type cursorKey []byte

// scope is what a cursor is bound to beside its position.
type scope struct {
	endpoint   string
	client     string
	collection string
	query      Query // IDs, Types, Specs, Version, each sorted
}

func (k cursorKey) make(s scope, last time.Time) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, positionSize+tagSize), uint64(last.UnixMicro()))
	return cursorText.EncodeToString(append(b, k.tag(s, b)...))
}

// open returns the position of a cursor made for the same scope.
func (k cursorKey) open(s scope, text string) (time.Time, bool) {
	b, err := cursorText.DecodeString(text)
	if err != nil || len(b) != positionSize+tagSize || !hmac.Equal(b[positionSize:], k.tag(s, b[:positionSize])) {
		return time.Time{}, false
	}
	return time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC(), true
}

func (k cursorKey) tag(s scope, position []byte) []byte {
	h := hmac.New(sha256.New, k)
	h.Write(s.bytes(position))
	return h.Sum(nil)[:tagSize]
}

// bytes writes the scope so that no two scopes are written alike: every text and
// every list with its length before it.
func (s scope) bytes(position []byte) []byte {
	b := make([]byte, 0, 256)
	text := func(t string) {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	count := func(n int) { b = binary.AppendUvarint(b, uint64(n)) }
	text(cursorLabel)
	b = append(b, position...)
	text(s.endpoint)
	text(s.client)
	text(s.collection)
	count(len(s.query.IDs))
	for _, id := range s.query.IDs {
		text(string(id))
	}
	for _, values := range [][]string{s.query.Types, s.query.Specs} {
		count(len(values))
		for _, v := range values {
			text(v)
		}
	}
	versions := s.query.Version
	if len(versions) == 0 {
		versions = []VersionMatch{{Kind: Last}} // what none means
	}
	count(len(versions))
	for _, v := range versions {
		b = append(b, byte(v.Kind))
		text(v.At.String())
	}
	return b
}
