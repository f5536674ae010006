// Package stix reads, keeps, checks and cuts STIX 2.1 objects.
//
// # What it promises
//
// An Object keeps the exact bytes it was read from: unknown types, properties
// and extensions, the spelling of numbers and times, the order of members and
// the white space all survive. Nothing is ever decoded into a structure and
// written again, so nothing is lost, added or rounded on the way through.
// Beside the bytes an Object shows a header (type, id, versions, creator,
// markings) and every reference out of it. Typed views exist only for the
// types a program acts on: Indicator, Sighting, MarkingDefinition.
//
// The reader is strict, for two programs that read one text differently are a
// way past a guard. A member name given twice in an object, or twice but for
// case, at any depth; bad UTF-8 and lone surrogates; bytes behind the object;
// nesting beyond MaxDepth; more than MaxObjectBytes: all are refused, with the
// place in the input. What encoding/json/jsontext refuses is refused here; the
// tests hold the one against the other.
//
// An Object is immutable and may be shared between goroutines. The functions
// of this package keep no state.
//
// # Reading
//
// Parse reads one object. A Reader takes whatever people have in files:
// bundles, TAXII envelopes, arrays, single objects, JSON lines. It holds one
// object in memory at a time, however long the stream; an element that is no
// good object comes out as an Item with an error, its offset and line in the
// whole input, and the stream goes on behind it.
//
// # Checking
//
// Validate says how an object departs from STIX 2.1. It is a hand-written
// table, some fifty times faster than a schema engine, and is held against the
// OASIS JSON schemas on real data and on random mutations of it; where the
// schemas part from the specification its comment says so. Reading and checking
// are apart on purpose: what Parse takes can be kept, shown and quarantined,
// whether Validate likes it or not.
//
// # Changing
//
// There are two ways to a new object. Make writes one from members. Cut takes
// one away from an object by selectors (STIX 2.1 §7.2.3.1), moves the selectors
// of its granular markings along, and leaves all other bytes as they were.
//
// # What it does not do
//
// It resolves no references between objects, holds no opinion about what a
// marking means, fetches nothing, and does not read patterns: that is package
// stix/pattern.
//
// The package depends on nothing else of noroshi and can be used alone.
package stix
