package ioc_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix/ioc"
)

var update = flag.Bool("update", false, "write the golden files anew")

var made = time.Date(2026, 11, 28, 16, 0, 0, 0, time.UTC)

func options() ioc.Options {
	return ioc.Options{
		Node: "USA-01", Made: made, Marking: "TLP:AMBER", Count: 7,
		RPZ:       ioc.ZoneOptions{Origin: "rpz.usa-01.example", Serial: 2026112801, Wildcard: true},
		Navigator: ioc.LayerOptions{Attack: "18"},
	}
}

// sample has every kind, two markings, a name in Japanese, and text that means
// something in one format or another.
func sample() []ioc.Entry {
	hash := strings.Repeat("0123456789abcdef", 8)
	at := time.Date(2026, 11, 27, 8, 30, 0, 0, time.UTC)
	list := []ioc.Entry{
		{Name: "Loader C2", Marking: "TLP:AMBER", Confidence: 85, Techniques: []string{"T1071.001", "T1568"},
			References: []string{"https://example.org/report?id=7"}, Values: []ioc.Value{
				{Kind: ioc.DomainName, Text: "c2.evil.example"}, {Kind: ioc.IPv4, Text: "192.0.2.7"},
				{Kind: ioc.IPv6, Text: "2001:db8::7"}, {Kind: ioc.AddrPort, Text: "192.0.2.8", Port: 8443}}},
		{Name: "不審なドメイン", Description: "標的型攻撃で使用。\n二行目", Marking: "TLP:GREEN", Techniques: []string{"T1071.001"},
			Values: []ioc.Value{{Kind: ioc.DomainName, Text: "xn--r8jz45g.example"}}},
		{Name: `quote " semicolon ; pipe | back\`, Description: "=HYPERLINK(\"http://x\")", Marking: "TLP:AMBER",
			Values: []ioc.Value{{Kind: ioc.URL, Text: "http://evil.example:8080/a;b?c=%20|\"x\""}}},
		{Name: "Networks", Marking: "TLP:AMBER", ValidUntil: at.AddDate(1, 0, 0), Values: []ioc.Value{
			{Kind: ioc.CIDR, Text: "198.51.100.0/24"}, {Kind: ioc.CIDR, Text: "2001:db8:1::/48"}}},
		{Name: "Dropper", Marking: "TLP:AMBER", Techniques: []string{"T1105"}, Values: []ioc.Value{
			{Kind: ioc.MD5, Text: hash[:32]}, {Kind: ioc.SHA1, Text: hash[:40]},
			{Kind: ioc.SHA256, Text: hash[:64]}, {Kind: ioc.SHA512, Text: hash}}},
		{Name: "Phishing", Marking: "TLP:GREEN", Values: []ioc.Value{{Kind: ioc.EmailAddr, Text: "boss@mail.evil.example"},
			{Kind: ioc.URL, Text: "https://login.evil.example"}, {Kind: ioc.URLPart, Text: "cdn.evil.example/kit"},
			{Kind: ioc.URLPart, Text: "/wp-content/shell.php"}, {Kind: ioc.URL, Text: "ftp://evil.example/x"}}},
		{Name: "Old", Marking: "TLP:GREEN", ValidUntil: made, Values: []ioc.Value{{Kind: ioc.DomainName, Text: "old.example"}}},
	}
	for i := range list {
		list[i].ID = "indicator--00000000-0000-4000-8000-00000000000" + strconv.Itoa(i)
		list[i].Modified = at
		list[i].SID, list[i].SIDs = 1_000_000+uint32(i)*100, 100
	}
	return list
}

func write(t testing.TB, name string, entries []ioc.Entry, o ioc.Options) (string, ioc.Result) {
	t.Helper()
	for _, f := range ioc.Formats() {
		if f.Name == name {
			var b bytes.Buffer
			res, err := f.Write(&b, slices.Values(entries), o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return b.String(), res
		}
	}
	t.Fatalf("no format %s", name)
	return "", ioc.Result{}
}

// golden compares with testdata/NAME.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

func TestGolden(t *testing.T) {
	for _, f := range ioc.Formats() {
		got, res := write(t, f.Name, sample(), options())
		golden(t, f.Name+f.Ending, got)
		if res.Entries != 7 {
			t.Errorf("%s: %d entries read", f.Name, res.Entries)
		}
		again, _ := write(t, f.Name, sample(), options())
		if again != got {
			t.Errorf("%s: a second run gives other bytes", f.Name)
		}
	}
	o := options()
	o.Individual = true
	got, _ := write(t, "suricata", sample(), o)
	golden(t, "suricata-individual.rules", got)
}

// TestSkipped: what each format cannot carry is counted, entry by entry.
func TestSkipped(t *testing.T) {
	t.Parallel()
	want := map[string]map[ioc.Reason]int{
		"suricata":  {ioc.NotCarried: 2, ioc.Expired: 1},
		"snort":     {ioc.NotCarried: 5, ioc.Expired: 1},
		"zeek":      {ioc.NotCarried: 5, ioc.Expired: 1},
		"sigma":     {ioc.NotCarried: 3, ioc.Expired: 1, "": 0},
		"rpz":       {ioc.NotCarried: 11, ioc.Expired: 1},
		"hosts":     {ioc.NotCarried: 15, ioc.Expired: 1},
		"domains":   {ioc.NotCarried: 15, ioc.Expired: 1},
		"addresses": {ioc.NotCarried: 13, ioc.Expired: 1},
		"urls":      {ioc.NotCarried: 12, ioc.Expired: 1},
		"hashes":    {ioc.NotCarried: 13, ioc.Expired: 1},
		"emails":    {ioc.NotCarried: 16, ioc.Expired: 1},
		"csv":       {ioc.Expired: 1},
		"navigator": {ioc.NoValue: 3, ioc.Expired: 1},
	}
	for name, w := range want {
		_, res := write(t, name, sample(), options())
		total := 0
		for r, n := range res.Skipped {
			total += n
			if w[r] != n {
				t.Errorf("%s: %s %d, want %d", name, r, n, w[r])
			}
		}
		if name != "navigator" && res.Values+total-1 != 17 {
			t.Errorf("%s: %d values written and %d left out of 17", name, res.Values, total-1)
		}
		if len(res.Examples) != min(total, ioc.MaxExamples) {
			t.Errorf("%s: %d examples of %d", name, len(res.Examples), total)
		}
	}
}

// TestRefused: entries and values no format may write.
func TestRefused(t *testing.T) {
	t.Parallel()
	name := []ioc.Value{{Kind: ioc.DomainName, Text: "a.example"}}
	for label, c := range map[string]struct {
		entry ioc.Entry
		want  ioc.Reason
	}{
		"no marking":     {ioc.Entry{Values: name}, ioc.Unmarked},
		"blank marking":  {ioc.Entry{Values: name, Marking: " \n"}, ioc.Unmarked},
		"no value":       {ioc.Entry{Marking: "TLP:RED"}, ioc.NoValue},
		"expired":        {ioc.Entry{Marking: "TLP:RED", Values: name, ValidUntil: made}, ioc.Expired},
		"unknown kind":   {one("mutex", "x"), ioc.NotCarried},
		"single label":   {one(ioc.DomainName, "com"), ioc.NotValid},
		"space":          {one(ioc.DomainName, "a b.example"), ioc.NotValid},
		"newline":        {one(ioc.DomainName, "a.example\nb.example"), ioc.NotValid},
		"comment":        {one(ioc.DomainName, "a.example;b"), ioc.NotValid},
		"address as v6":  {one(ioc.IPv6, "192.0.2.1"), ioc.NotValid},
		"zone":           {one(ioc.IPv6, "fe80::1%eth0"), ioc.NotValid},
		"hash":           {one(ioc.SHA256, strings.Repeat("g", 64)), ioc.NotValid},
		"hash length":    {one(ioc.SHA1, "abcd"), ioc.NotValid},
		"url with space": {one(ioc.URL, "http://a.example/ x"), ioc.NotValid},
		"url scheme":     {one(ioc.URL, "javascript://a.example/x"), ioc.NotValid},
		"url user":       {one(ioc.URL, "http://u@a.example/x"), ioc.NotValid},
		"url comment":    {one(ioc.URL, "http://a.example/#x"), ioc.NotValid},
		"part of all":    {one(ioc.URLPart, "/"), ioc.NotValid},
		"mail":           {one(ioc.EmailAddr, "a>b@a.example"), ioc.NotValid},
		"port 0":         {one(ioc.AddrPort, "192.0.2.1"), ioc.NotValid},
		"too long":       {one(ioc.URL, "http://a.example/"+strings.Repeat("x", 5000)), ioc.NotValid},
	} {
		for _, f := range ioc.Formats() {
			if f.Name == "navigator" {
				continue
			}
			out, res := write(t, f.Name, []ioc.Entry{c.entry}, options())
			if res.Skipped[c.want] != 1 || res.Carried != 0 || res.Lines != 0 {
				t.Errorf("%s, %s: %+v\n%s", label, f.Name, res, out)
			}
		}
	}
}

func one(k ioc.Kind, text string) ioc.Entry {
	return ioc.Entry{ID: "indicator--1", Name: "n", Marking: "TLP:RED", Modified: made, SID: 1, SIDs: 3, Values: []ioc.Value{{Kind: k, Text: text}}}
}

// TestKinds: the kinds are noroshi's, so that a caller converts by the word.
func TestKinds(t *testing.T) {
	t.Parallel()
	for k, v := range map[ioc.Kind]noroshi.ValueKind{
		ioc.IPv4: noroshi.IPv4, ioc.IPv6: noroshi.IPv6, ioc.CIDR: noroshi.CIDR, ioc.AddrPort: noroshi.AddrPort,
		ioc.DomainName: noroshi.DomainName, ioc.URL: noroshi.URL, ioc.URLPart: noroshi.URLPart, ioc.MD5: noroshi.MD5,
		ioc.SHA1: noroshi.SHA1, ioc.SHA256: noroshi.SHA256, ioc.SHA512: noroshi.SHA512, ioc.EmailAddr: noroshi.EmailAddr,
	} {
		if string(k) != string(v) {
			t.Errorf("%q is %q in package noroshi", k, v)
		}
	}
}

// TestEveryLineIsMarked: with every value under its own marking, each line or
// the comment above it names it. A dataset is checked by its rule.
func TestEveryLineIsMarked(t *testing.T) {
	t.Parallel()
	var entries []ioc.Entry
	for i, e := range sample()[:6] {
		for _, v := range e.Values {
			e.Values = []ioc.Value{v}
			e.Marking = "LEVEL-" + strconv.Itoa(i) + "-" + string(v.Kind)
			entries = append(entries, e)
		}
	}
	for _, f := range ioc.Formats() {
		if f.Name == "csv" || f.Name == "sigma" || f.Name == "navigator" {
			continue // re-read by their own tests
		}
		for _, e := range entries {
			out, res := write(t, f.Name, []ioc.Entry{e}, ioc.Options{RPZ: options().RPZ})
			above := ""
			for line := range strings.Lines(out) {
				switch {
				case strings.HasPrefix(line, "#") && strings.Contains(line, "marking of the lines below"):
					above = line
				case line[0] == '#' || line[0] == ';' || line[0] == '@' || line[0] == '$':
				case !strings.Contains(line+above, e.Marking):
					t.Errorf("%s: no marking at %q", f.Name, line)
				}
			}
			if res.Values == 1 && !strings.Contains(out, e.Marking) {
				t.Errorf("%s: %v without marking", f.Name, e.Values)
			}
		}
	}
}

type broken struct{ after int }

func (b *broken) Write(p []byte) (int, error) {
	if b.after -= len(p); b.after < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// TestWriteError: a full disk ends the writer, whatever is still to come.
func TestWriteError(t *testing.T) {
	t.Parallel()
	for _, f := range ioc.Formats() {
		read := 0
		entries := func(yield func(ioc.Entry) bool) {
			for i := range 50_000 {
				read++
				if !yield(generated(i)) {
					return
				}
			}
		}
		_, err := f.Write(&broken{after: 10}, entries, options())
		if !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s: %v", f.Name, err)
		}
		writes := f.Name != "navigator" && f.Name != "hashes" // which hold or find nothing until the end
		if writes && read == 50_000 {
			t.Errorf("%s: read on after the error", f.Name)
		}
	}
}

// generated is entry i of a long list.
func generated(i int) ioc.Entry {
	n := strconv.Itoa(i)
	values := []ioc.Value{{Kind: ioc.DomainName, Text: "h" + n + ".evil.example"}, {Kind: ioc.URL, Text: "http://h" + n + ".evil.example/p"},
		{Kind: ioc.IPv4, Text: "10." + strconv.Itoa(i>>16&255) + "." + strconv.Itoa(i>>8&255) + "." + strconv.Itoa(i&255)},
		{Kind: ioc.EmailAddr, Text: "u" + n + "@evil.example"}}
	return ioc.Entry{
		ID: "indicator--" + n, Name: "entry " + n, Description: "of a long list", Marking: "TLP:GREEN", Modified: made,
		Techniques: []string{"T1071"}, SID: uint32(1_000_000 + 3*i), SIDs: 3, Values: values[i%4 : i%4+1],
	}
}

func long(n int) iter.Seq[ioc.Entry] {
	return func(yield func(ioc.Entry) bool) {
		for i := range n {
			if !yield(generated(i)) {
				return
			}
		}
	}
}

// TestFlatMemory: twenty times the entries take no more memory.
func TestFlatMemory(t *testing.T) {
	peak := func(f ioc.Format, n int) uint64 {
		var most uint64
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		base := m.HeapAlloc
		watched := func(yield func(ioc.Entry) bool) {
			i := 0
			for e := range long(n) {
				if i++; i%(n/4) == 0 {
					runtime.GC()
					runtime.ReadMemStats(&m)
					most = max(most, m.HeapAlloc-min(base, m.HeapAlloc))
				}
				if !yield(e) {
					return
				}
			}
		}
		if _, err := f.Write(io.Discard, watched, options()); err != nil {
			t.Fatal(err)
		}
		return most
	}
	for _, f := range ioc.Formats() {
		if slices.Contains([]string{"addresses", "urls", "hashes", "emails"}, f.Name) {
			continue // the code of "domains"
		}
		small, large := peak(f, 10_000), peak(f, 200_000)
		if large > 2*small+1<<18 {
			t.Errorf("%s: %d bytes held with 10,000 entries, %d with 200,000", f.Name, small, large)
		}
	}
}
