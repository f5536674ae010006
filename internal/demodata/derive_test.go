package demodata_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/demodata"
	"github.com/noroshi-cti/noroshi/internal/detect"
)

var update = flag.Bool("update", false, "make the embedded files anew from testdata")

const testdata = "../../testdata/"

// hit are the entries of the big list that meet the telemetry (SOURCES.md).
var hit = []string{
	"domain-name\twhatismyipaddress.com", "domain-name\tmydomain.com", "domain-name\tweebly.com",
	"domain-name\tfreegeoip.net", "ipv4-port\t204.79.197.200:443", "ipv4-port\t204.79.197.200:8443",
	"ipv4-port\t199.59.150.11:9003", "ipv4-port\t72.21.81.240:80",
}

// rankings are the warning-lists of top sites; whether their makers agree to
// their being shipped was not checked.
var rankings = []string{"tranco10k", "cloudflare-top10k"}

// sampleOf is the part of the big list that is taken: one entry in so many, by
// hash, besides those that are hit.
const sampleOf = 22

// derive makes the content of every file that is not embedded as published.
func derive(t *testing.T) map[string][]byte {
	t.Helper()
	made := map[string][]byte{}
	for _, pattern := range []string{"indicators/stix/*.json", "indicators/lists/*.txt"} {
		names, err := filepath.Glob(testdata + pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("no files match %s (%v)", pattern, err)
		}
		for _, name := range names {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			made[path.Base(path.Dir(name))+"/"+path.Base(name)+".gz"] = body
		}
	}
	made["lists/trails.tsv.gz"] = sample(t)
	warningLists(t, made)
	return made
}

func sample(t *testing.T) []byte {
	t.Helper()
	f, err := os.Open(testdata + "scale/trails.tsv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.NewBufferString("# Copyright (c) 2014-2026 Maltrail developers, MIT licence; a selection\n")
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		h := fnv.New32a()
		h.Write(lines.Bytes())
		kind, text, _ := strings.Cut(lines.Text(), "\t")
		if _, err := detect.ParseKindValue(kind, text); err != nil {
			continue // a port above 65535
		}
		if h.Sum32()%sampleOf == 0 || slices.Contains(hit, lines.Text()) {
			out.Write(lines.Bytes())
			out.WriteByte('\n')
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func warningLists(t *testing.T, made map[string][]byte) {
	t.Helper()
	f, err := os.Open(testdata + "warninglists.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		name := path.Base(h.Name)
		if h.Typeflag != tar.TypeReg || slices.Contains(rankings, strings.TrimSuffix(name, ".json")) {
			continue
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		made["warninglists/"+name+".gz"] = body
	}
}

// published are embedded byte for byte as published; testdata has them only as
// links to here.
var published = []string{"stix/ics-attack-18.1.json.gz", "stix/pegasus.json.gz", "telemetry/dns.json.gz", "telemetry/ssl.json.gz"}

func TestDerived(t *testing.T) {
	made := derive(t)
	if *update {
		for name, body := range made {
			write(t, name, body)
		}
		return
	}
	for name, want := range made {
		if got := unpacked(t, name); !bytes.Equal(got, want) {
			t.Errorf("%s is not what testdata makes it: %d bytes, want %d; run go test -update", name, len(got), len(want))
		}
	}
	for _, dir := range []string{"stix", "lists", "warninglists", "telemetry"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := dir + "/" + e.Name()
			if _, ok := made[name]; !ok && !slices.Contains(published, name) && e.Name() != "LICENCE.txt" {
				t.Errorf("%s comes from nowhere", name)
			}
		}
	}
}

func write(t *testing.T, name string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(path.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// open opens an embedded file by its path in this folder.
func open(t *testing.T, name string) fs.File {
	t.Helper()
	dir, base := path.Split(name)
	f, err := map[string]fs.FS{
		"stix/": demodata.STIX(), "lists/": demodata.Lists(),
		"warninglists/": demodata.WarningLists(), "telemetry/": demodata.Telemetry(),
	}[dir].Open(base)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	f := open(t, name)
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return body
}

func TestSizeAndCount(t *testing.T) {
	var size int64
	entries := 0
	for _, dir := range []string{"stix", "lists", "warninglists", "telemetry"} {
		names, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			info, err := n.Info()
			if err != nil {
				t.Fatal(err)
			}
			size += info.Size()
			if dir == "lists" {
				for l := range strings.Lines(string(unpacked(t, "lists/"+n.Name()))) {
					if l = strings.TrimSpace(l); l != "" && l[0] != '#' {
						entries++
					}
				}
			}
		}
	}
	if limit := int64(6 << 20); size > limit {
		t.Errorf("the data takes %d bytes, at most %d may be embedded", size, limit)
	}
	if entries < 100_000 {
		t.Errorf("the lists have %d entries, at least 100000 are promised", entries)
	}
	trails := "\n" + string(unpacked(t, "lists/trails.tsv.gz"))
	for _, e := range hit {
		if !strings.Contains(trails, "\n"+e+"\n") {
			t.Errorf("the selection lacks %q", e)
		}
	}
	t.Logf("%d bytes, %d list entries", size, entries)
}

func TestLicences(t *testing.T) {
	for _, must := range []string{
		"MVT", "Copyright (c) 2014-2026 Maltrail", "Permission is hereby granted", "CC BY 2.0", "Amnesty International",
		"© 2025 The MITRE Corporation", "CC0 1.0", "CC BY-SA 4.0", "brimdata/zed-sample-data",
	} {
		if !strings.Contains(demodata.Licences(), must) {
			t.Errorf("Licences lacks %q", must)
		}
	}
}
