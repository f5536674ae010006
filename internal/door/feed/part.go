package feed

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// part is what was taken of one file of a feed: a MISP event, a file of a
// folder, the one file at a URL. Each version of its document says what it was
// known by and, where vanished entries are revoked, which indicators came and
// went with it: all versions together say which are listed, and the record grows
// by changes only.
type part struct {
	Print    string `json:"print"`              // what the file was known by
	Sum      string `json:"sum,omitempty"`      // SHA-256 of its bytes
	ETag     string `json:"etag,omitempty"`     // of the answer
	Modified string `json:"modified,omitempty"` // Last-Modified of the answer, as spelled
	Digest   string `json:"digest,omitempty"`   // of the file as a manifest gives it
	Add      []byte `json:"add,omitempty"`      // UUIDs of indicators, 16 bytes each
	Drop     []byte `json:"drop,omitempty"`
	Gone     bool   `json:"gone,omitempty"` // the file is there no more
}

// docPart is the kind of the documents of a feed's parts; another feed of the
// name, added later, has its own.
func (f Feed) docPart() string {
	return "feed-part " + strconv.FormatInt(f.Added.UnixMilli(), 36) + " " + f.Name
}

// parts reads the newest version of a feed's parts.
func (rd *Reader) parts(ctx context.Context, f Feed) (map[string]part, error) {
	return store.DocsOf[part](ctx, rd.store.Reads, f.docPart())
}

// listed returns the indicators that a part has had since it was last taken.
func (rd *Reader) listed(ctx context.Context, f Feed, name string) ([]stix.ID, error) {
	versions, err := rd.store.DocVersions(ctx, f.docPart(), name)
	if err != nil {
		return nil, err
	}
	has := map[stix.ID]bool{}
	for _, body := range versions {
		var p part
		if err := json.Unmarshal(body, &p); err != nil {
			return nil, noroshi.Errorf(noroshi.Broken, "store.doc", "read %s %s: %w", f.docPart(), name, err)
		}
		for _, id := range unpackIDs(p.Drop) {
			delete(has, id)
		}
		for _, id := range unpackIDs(p.Add) {
			has[id] = true
		}
	}
	ids := make([]stix.ID, 0, len(has))
	for id := range has {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b stix.ID) int { return cmp.Compare(a, b) })
	return ids, nil
}

const ofIndicator = "indicator--"

// packIDs packs the ids of indicators.
func packIDs(ids []stix.ID) (b []byte) {
	for _, id := range ids {
		text, _ := strings.CutPrefix(string(id), ofIndicator)
		u, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
		if err == nil && len(u) == 16 {
			b = append(b, u...)
		}
	}
	return b
}

func unpackIDs(b []byte) (ids []stix.ID) {
	for ; len(b) >= 16; b = b[16:] {
		u := hex.EncodeToString(b[:16])
		ids = append(ids, stix.ID(ofIndicator+u[:8]+"-"+u[8:12]+"-"+u[12:16]+"-"+u[16:20]+"-"+u[20:]))
	}
	return ids
}

// differ returns what of b is not in a and what of a is not in b; both sorted.
func differ(a, b []stix.ID) (add, drop []stix.ID) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(a) == 0 || len(b) > 0 && b[0] < a[0]:
			add, b = append(add, b[0]), b[1:]
		case len(b) == 0 || a[0] < b[0]:
			drop, a = append(drop, a[0]), a[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return add, drop
}
