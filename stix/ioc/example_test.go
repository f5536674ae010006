package ioc_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/noroshi-cti/noroshi/stix/ioc"
)

// A list of names with a marking; what the list cannot hold is counted.
func Example() {
	entries := slices.Values([]ioc.Entry{{
		ID: "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", Name: "Loader", Marking: "TLP:GREEN",
		Values: []ioc.Value{{Kind: ioc.DomainName, Text: "evil.example"}, {Kind: ioc.IPv4, Text: "192.0.2.7"}},
	}})
	o := ioc.Options{Node: "JPN-01", Made: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC), Marking: "TLP:GREEN"}
	res, err := ioc.Domains(os.Stdout, entries, o)
	fmt.Println(res.Values, res.Skipped[ioc.NotCarried], err)
	// Output:
	// # noroshi: list of domain names
	// # node: JPN-01
	// # made: 2026-11-28T00:00:00Z
	// # highest marking: TLP:GREEN
	// # marking of the lines below: TLP:GREEN
	// evil.example
	// # end: 1 entries read, 1 carried, 1 lines; left out: not-carried 1
	// 1 1 <nil>
}

// Rules for Suricata, and then the dataset files they load.
func ExampleSuricataSet() {
	entries := slices.Values([]ioc.Entry{
		{ID: "indicator--1", Marking: "TLP:GREEN", Values: []ioc.Value{{Kind: ioc.DomainName, Text: "evil.example"}}},
		{ID: "indicator--2", Marking: "TLP:AMBER", Values: []ioc.Value{{Kind: ioc.IPv4, Text: "192.0.2.7"}}},
	})
	var rules bytes.Buffer
	res, err := ioc.Suricata(&rules, entries, ioc.Options{Node: "JPN-01"})
	if err != nil {
		panic(err)
	}
	for _, set := range res.Sets {
		fmt.Println(set.File)
		if _, err := ioc.SuricataSet(os.Stdout, set, entries, ioc.Options{}); err != nil {
			panic(err)
		}
	}
	// Output:
	// noroshi-address-tlp-amber-af16c5.lst
	// 192.0.2.7
	// noroshi-domain-tlp-green-a11262.lst
	// ZXZpbC5leGFtcGxl
}
