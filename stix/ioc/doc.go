// Package ioc writes indicators in the formats of sensors and tools: Suricata
// rules and datasets, Snort 3 rules, the Zeek Intelligence Framework, Sigma,
// DNS response policy zones, hosts files, plain lists, CSV, ATT&CK Navigator
// layers and STIX bundles.
//
// # What it promises
//
// A writer is a function of its input: entries in the order given, nothing
// sorted, no clock, no network, memory that does not grow with the number of
// entries. The same input gives the same bytes.
//
// No value breaks out of its field. Values are first read into their kind (a
// domain name is a domain name before it is text in a rule), then written with
// the escapes the format documents; free text (names, descriptions) is escaped
// or, where a format has no escape, made one line of plain characters.
//
// Nothing goes out without its marking. An entry without marking text is not
// written. Where a line can carry the marking it does; in lists of bare values
// a comment line names the marking of the lines below it; a Suricata dataset,
// which can hold neither, is one file for each marking, and the rule that loads
// it carries the marking into the alert.
//
// Nothing is lost silently. What a format cannot carry is in the Result,
// counted by reason, with the first examples.
//
// # What a format carries
//
//	            address  network  addr:port  name  URL  URL part  hash  e-mail
//	Suricata       x        x         x       x     x      x       x      x
//	Snort 3        x        x         x       x     x      x              x
//	Zeek           x        x                 x     x              x      x
//	Sigma          x        x         x       x     x      x       x
//	RPZ            x        x                 x
//	hosts                                     x
//	lists          x        x                 x     x      x       x      x
//	CSV            x        x         x       x     x      x       x      x
//
// Only CSV and the list of hashes carry SHA-512; ftp URLs are in CSV, Sigma and
// the list of URLs; a URL part of any host (/path) is not in Sigma. A name
// stands for the names below it too in rules of its own (Suricata with
// Options.Individual, Snort but for TLS), in Sigma, and in RPZ with
// ZoneOptions.Wildcard; elsewhere the tool meets that one name only. No rule is
// wider than its value but for two: an address in RPZ stands for every name that
// resolves to it, and an https URL without path for its server name in TLS.
//
// # What it does not do
//
// It does not read patterns and does not decide who may see what: the caller
// gives the values (noroshi takes them from its store) and the marking text.
// It does not know which of two markings is higher: the caller says what the
// header shows. Expired entries are left out, revoked ones are the caller's to
// leave out.
package ioc
