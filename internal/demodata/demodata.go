// Package demodata holds the real data of `noroshi demo` and the warning-lists
// a node uses where none are configured, all published by others, each under
// its own licence (Licences). It is data, not code; nothing in it is changed but
// for packing and, in lists/trails.tsv.gz, selection.
//
//	stix/        spyware indicators and ATT&CK for ICS, STIX 2.1 bundles
//	lists/       domains, addresses and URL parts, plain lists
//	warninglists/ MISP warning-lists, without top-site rankings
//	telemetry/   Zeek logs, CC BY-SA 4.0: byte for byte as published, apart from
//	             everything else
//
// All but telemetry and the two bundles that came packed are gz files whose
// content is that of testdata; TestDerived holds it and `go test -update` makes
// them anew.
package demodata

import (
	"embed"
	"io/fs"
)

//go:embed stix lists warninglists telemetry LICENCES.txt
var files embed.FS

//go:embed LICENCES.txt
var licences string

// Licences returns the licence lines and texts that travel with the data.
func Licences() string { return licences }

// STIX returns the STIX 2.1 bundles, gz.
func STIX() fs.FS { return sub("stix") }

// Lists returns the plain lists, gz.
func Lists() fs.FS { return sub("lists") }

// WarningLists returns the MISP warning-lists, one .json.gz each.
func WarningLists() fs.FS { return sub("warninglists") }

// Telemetry returns the Zeek logs dns.json.gz and ssl.json.gz, one event a
// line: CC BY-SA 4.0, unchanged.
func Telemetry() fs.FS { return sub("telemetry") }

func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // dir is one of the embedded ones
	}
	return f
}
