package watch

import (
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// maxCount is the highest count a sighting may carry (STIX 2.1 §5.2).
const maxCount = 999_999_999

// place is what one sighting is about: an indicator met at a sensor within an
// hour. The sensor never leaves the node, not even hashed by itself.
type place struct {
	Indicator stix.ID
	Sensor    string
	Hour      time.Time // UTC, cut to the hour
}

// sightingID derives the id of a place's sighting. The salt is the node's own
// secret: without it nobody can try out names of sensors against the id.
func sightingID(salt [16]byte, p place) stix.ID {
	return stix.DeriveID("sighting", salt, strings.Join([]string{"sighting", string(p.Indicator), p.Sensor, p.Hour.UTC().Format(time.RFC3339)}, "\x00"))
}

// sighting makes the object: by our identity, times cut to the hour, where as
// an identity and a location that name nobody (STIX 2.1 §5.2).
func sighting(id stix.ID, self stix.ID, p place, count int, created, modified time.Time, where, marks []stix.ID) (*stix.Object, error) {
	hour := stix.TimeOf(p.Hour)
	return stix.Make(
		stix.Member{Name: "type", Value: "sighting"},
		stix.Member{Name: "spec_version", Value: "2.1"},
		stix.Member{Name: "id", Value: id},
		stix.Member{Name: "created_by_ref", Value: self},
		stix.Member{Name: "created", Value: stix.TimeOf(created)},
		stix.Member{Name: "modified", Value: stix.TimeOf(modified)},
		stix.Member{Name: "first_seen", Value: hour},
		stix.Member{Name: "last_seen", Value: hour},
		stix.Member{Name: "count", Value: min(count, maxCount)},
		stix.Member{Name: "sighting_of_ref", Value: p.Indicator},
		stix.Member{Name: "where_sighted_refs", Value: where},
		stix.Member{Name: "object_marking_refs", Value: marks},
	)
}

// marksOn returns every marking of an indicator: its own, granular ones too, for
// its value stands in our text, and those assigned here.
func marksOn(r store.Record) []stix.ID {
	return slices.Concat(r.Object.Markings, r.Assigned, noroshi.GranularMarkings(r.Object))
}

// sightingMarks returns the markings of what we say about an indicator: all of
// the indicator's, with one TLP level in place of several, joined with the
// agreements' mark for sightings.
//
// An indicator without any handling marking lends none: its sighting is as
// unmarked as it is, so it waits at the exit gate until someone assigns one.
// One whose markings cannot be read, those of its parts included, lends TLP:RED.
func sightingMarks(indicator store.Record, mark noroshi.TLP, defs bodies) []stix.ID {
	ids := marksOn(indicator)
	tlp := noroshi.NoTLP
	if len(noroshi.FormLabel(indicator.Object).Unknown) > 0 {
		tlp = noroshi.Red
	}
	var others []stix.ID
	for _, id := range ids {
		if l := noroshi.TLPOf(id); l != noroshi.NoTLP {
			tlp = max(tlp, l)
		} else {
			others = append(others, id)
		}
	}
	slices.Sort(others)
	others = slices.Compact(others)
	own := slices.Concat(indicator.Object.Markings, noroshi.GranularMarkings(indicator.Object))
	if tlp == noroshi.NoTLP && !noroshi.MarkingsLabel(own, indicator.Assigned, defs, nil).Handled() {
		return others
	}
	return append([]stix.ID{max(tlp, mark).MarkingID()}, others...)
}
