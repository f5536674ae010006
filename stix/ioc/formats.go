package ioc

import (
	"io"
	"iter"
)

// Format is a way to write entries.
type Format struct {
	Name      string // as in commands and addresses
	MediaType string
	Ending    string // of file names, with the dot
	Write     func(w io.Writer, entries iter.Seq[Entry], o Options) (Result, error)
}

// Formats returns every format that is made of entries, in the order in which
// people look for them. A STIX bundle is made of objects: see Bundle.
func Formats() []Format {
	const text = "text/plain; charset=utf-8"
	return []Format{
		{"suricata", text, ".rules", Suricata},
		{"snort", text, ".rules", Snort},
		{"zeek", text, ".intel", Zeek},
		{"sigma", "application/yaml", ".yml", Sigma},
		{"rpz", "text/dns", ".rpz", RPZ}, // RFC 4027
		{"hosts", text, ".hosts", Hosts},
		{"domains", text, ".txt", Domains},
		{"addresses", text, ".txt", Addresses},
		{"urls", text, ".txt", URLs},
		{"hashes", text, ".txt", Hashes},
		{"emails", text, ".txt", Emails},
		{"csv", "text/csv; charset=utf-8; header=present", ".csv", CSV}, // RFC 4180 §3
		{"navigator", "application/json", ".json", Navigator},
	}
}
