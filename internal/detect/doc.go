// Package detect matches events against indicators: pure, fast, no I/O but the
// reader it is handed.
//
// ParseValue and ParseKindValue read list entries; PatternOf and Values turn
// values into STIX patterns and back. An Index holds armed indicators and Run
// matches a stream of events, Zeek JSON or Suricata EVE, against it.
//
// What an entry meets:
//
//   - address: the address in any field of addresses or names;
//   - CIDR block: every address in it;
//   - address+port: the address with that port (strong), and the address with
//     another or no port (weak) unless Options.NoWeak;
//   - domain: the name and its subdomains, in queries, answers, TLS and HTTP
//     host names and mail addresses; the name alone with Options.ExactDomains.
//     U-labels and A-labels meet;
//   - URL: a request with that host, path and query, on the port the URL names
//     or, where it names none, on any. The scheme is not compared, as no log of
//     requests has it. A URL without path meets every request to its host
//     unless Options.ExactDomains;
//   - URL part: see PatternOf;
//   - hash: of a file, wherever the log gives it; e-mail address: in envelope
//     and header fields, case folded.
package detect
