package misp

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// Manifest is the table of contents of a MISP feed, manifest.json: what events
// there are and as of when.
type Manifest struct {
	Entries []Entry // in the order of their UUIDs, each once
	Faults  []Fault // entries that could not be read
}

// Entry is one event of a feed.
type Entry struct {
	UUID   string // a good one, in small letters
	At     stix.Time
	Info   string
	Date   string
	Orgc   Org
	Tags   []Tag
	SHA256 string // of the event's file, "" where the feed gives none

	name string // as the manifest writes the UUID
}

// File is the name of the event's file beside the manifest: its UUID and .json,
// nothing else.
func (e Entry) File() string { return e.name + ".json" }

// Intact reports whether a file has the digest the manifest gives for it. Where
// it gives none every file is.
func (e Entry) Intact(file []byte) bool {
	sum := sha256.Sum256(file)
	return e.SHA256 == "" || e.SHA256 == hex.EncodeToString(sum[:])
}

// Bounds of ReadManifest.
const (
	// MaxManifestBytes is more than ten times the manifest of the largest public
	// feed known.
	MaxManifestBytes = 64 << 20
	// MaxManifestEntries is how many events of a feed are read; more are an error.
	MaxManifestEntries = 200_000
)

// ReadManifest reads a manifest. An entry whose name is no UUID or that has no
// timestamp is a fault: nobody could say whether it has changed, and its name
// would be a path.
func ReadManifest(b []byte) (*Manifest, error) {
	if len(b) > MaxManifestBytes {
		return nil, fmt.Errorf("read MISP manifest: %d bytes, at most %d are read", len(b), MaxManifestBytes)
	}
	v, err := parseTree(b)
	if err != nil {
		return nil, fmt.Errorf("read MISP manifest: %w", err)
	}
	t, ok := v.(tree)
	if list, isArray := v.([]any); isArray && len(list) == 0 {
		t, ok = tree{}, true // an empty PHP array
	}
	if !ok || eventLike(t) {
		return nil, fmt.Errorf("read MISP manifest: it must be an object with an event under each UUID")
	}
	if len(t) > MaxManifestEntries {
		return nil, fmt.Errorf("read MISP manifest: %d events, at most %d are read", len(t), MaxManifestEntries)
	}
	m := &Manifest{}
	seen := map[string]bool{}
	for _, name := range sortedKeys(t) {
		e, code := readEntry(name, t[name])
		if code == "" && seen[e.UUID] {
			code = "uuid"
		}
		if code != "" {
			m.Faults = append(m.Faults, Fault{Place: "/" + escapePointer(name), UUID: clip(name), Code: code,
				Text: "the entry is kept out: " + entryFaults[code], Raw: encode(nil, t[name])})
			continue
		}
		seen[e.UUID] = true
		m.Entries = append(m.Entries, e)
	}
	slices.SortFunc(m.Entries, func(a, b Entry) int { return strings.Compare(a.UUID, b.UUID) })
	return m, nil
}

var entryFaults = map[string]string{
	"uuid":      "its name is no UUID, or stands twice",
	"object":    "it is no object",
	"timestamp": "its timestamp is no number of seconds since 1970",
	"tags":      "it has too many tags",
}

func escapePointer(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(clip(s))
}

func readEntry(name string, v any) (e Entry, code string) {
	t, isTree := v.(tree)
	if _, err := stix.ParseID("x--" + name); err != nil {
		return e, "uuid"
	}
	if !isTree {
		return e, "object"
	}
	if tooManyTags(t) {
		return e, "tags"
	}
	at, ok := timestamp(t, "timestamp", stix.Time{})
	if !ok || at.IsZero() {
		return e, "timestamp"
	}
	org := t.object("Orgc")
	e = Entry{UUID: strings.ToLower(name), name: name, At: at, Info: t.text("info"), Date: t.text("date"),
		Orgc: Org{Name: org.text("name"), UUID: org.text("uuid")}, Tags: readTags(t)}
	digest := t["integrity:sha256"] // a list, or one as text
	if list, ok := digest.([]any); ok && len(list) > 0 {
		digest = list[0]
	}
	e.SHA256 = strings.ToLower((tree{"v": digest}).text("v"))
	return e, ""
}

// Changes are the differences between two manifests of one feed.
type Changes struct {
	New      []Entry
	Changed  []Entry // as they are now
	Vanished []Entry // as they were
}

// Since compares a manifest with a former one, nil for none. An event has
// changed when its timestamp or its file's digest is another, be the timestamp
// later or not: a feed that was put back to an older state has changed too. An
// event whose entry could not be read has not vanished.
func (m *Manifest) Since(former *Manifest) Changes {
	var c Changes
	was := map[string]Entry{}
	if former != nil {
		for _, e := range former.Entries {
			was[e.UUID] = e
		}
	}
	for _, e := range m.Entries {
		old, known := was[e.UUID]
		delete(was, e.UUID)
		switch {
		case !known:
			c.New = append(c.New, e)
		case old.At.Compare(e.At) != 0 || old.SHA256 != e.SHA256:
			c.Changed = append(c.Changed, e)
		}
	}
	for _, f := range m.Faults {
		delete(was, strings.ToLower(f.UUID))
	}
	for _, uuid := range sortedKeys(was) {
		c.Vanished = append(c.Vanished, was[uuid])
	}
	return c
}
