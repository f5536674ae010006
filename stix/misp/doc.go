// Package misp turns events of the MISP core format
// (draft-dulaunoy-misp-core-format) into STIX 2.1 objects and back.
//
// # What it promises
//
// Read takes an event as instances, feeds and scripts write it: bare, under
// "Event", under "response", alone or in a list, with numbers as strings and
// nulls. An attribute that cannot be read is a Fault with its place; the others
// are read.
//
// Event.STIX makes objects whose ids follow from the event: the UUID of an
// attribute, object or event is the UUID of what it becomes, all else is
// derived. The same event gives the same bytes every time.
//
//   - A published event is a report, any other a grouping; Orgc is its maker.
//   - An attribute that is meant for detection (to_ids) is an indicator; any
//     other that STIX can observe is observed-data over cyber-observables; a
//     vulnerability, campaign or threat actor is an object of that type; all
//     else is a note on the report. A comment on what is observed is a note on
//     that; what has the same comment shares it.
//   - The detection values of a MISP object are one indicator, each value good
//     alone, as MISP's own exports use them. What else it has becomes objects of
//     its own, and a grouping holds them together.
//   - What is deleted is revoked.
//   - Galaxy clusters are attack-pattern, intrusion-set, malware, tool or
//     course-of-action objects of this event: their ids are not those of the
//     catalogue they name, for an event is no authority on the catalogue.
//   - Tags are labels of what they stand on. What is tagged on the event counts
//     for all of it, as in MISP; that, and a distribution that names a narrower
//     circle than a community, stands beside the objects: Result.Tags has what
//     counts for each, Result.Markings the TLP levels among it. Were it in the
//     objects, a tag changed on the event would change every object under its
//     old date.
//
// What STIX has no place for is in Result.Rest, a document to be kept beside
// the objects and never given away with them. No value that the objects hold
// stands in it a second time. Result.Notes says what is kept there only.
//
// Write is the way back. With the rest of the import it gives the event that
// was read; where an object has changed or was revoked since, the object wins,
// and what is not among the objects is left out. Without a rest, and for objects
// that never came from MISP, it writes what they hold.
//
// # What it does not do
//
// It reads no files, fetches nothing, resolves no references to other events,
// and holds no opinion about what a marking means. Attached files (data) are
// not made into STIX: they are in the rest.
//
// All functions are pure; an Event is not changed by any.
package misp
