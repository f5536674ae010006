package release_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

const mitre = "Copyright 2015-2025, The MITRE Corporation. MITRE ATT&CK and ATT&CK are registered trademarks of The MITRE Corporation."

// readCorpus reads every object of a bundle, gz or plain.
func readCorpus(t *testing.T, file string) []*stix.Object {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var in io.Reader = bytes.NewReader(b)
	if strings.HasSuffix(file, ".gz") {
		if in, err = gzip.NewReader(in); err != nil {
			t.Fatal(err)
		}
	}
	var all []*stix.Object
	for r := stix.NewReader(in); ; {
		it, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil || it.Err != nil {
			t.Fatal(err, it.Err)
		}
		all = append(all, it.Object)
	}
}

// TestRealData sends every object of the real corpora, marked CLEAR at import
// and the MITRE statement allowed, byte for byte; the same without a marking
// sends nothing and waits as one hold.
func TestRealData(t *testing.T) {
	files := []string{"attack/ics-attack-18.1.json.gz"}
	spyware, err := filepath.Glob("../../testdata/indicators/stix/*.json*")
	if err != nil || len(spyware) == 0 {
		t.Fatal(spyware, err)
	}
	for _, f := range spyware {
		files = append(files, strings.TrimPrefix(f, "../../testdata/"))
	}
	total := 0
	for _, marked := range []bool{true, false} {
		o := newOffice(t)
		o.agree(jpn, release.Template(release.Draft{Realm: real, Self: usa, Partner: jpn, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 1, 0), Statements: []string{mitre}}))
		o.settle()
		want := map[stix.ID]string{}
		if !marked {
			files = files[:1]
		}
		for _, f := range files {
			var versions []*store.Version
			for _, ob := range readCorpus(t, f) {
				var assign []noroshi.TLP
				if marked && ob.Type != "marking-definition" {
					assign = append(assign, noroshi.Clear)
				}
				versions = append(versions, version(t, noroshi.Source{Kind: noroshi.FromFile, Name: filepath.Base(f), Person: "jones"}, "run", string(ob.Bytes()), assign...))
				want[ob.ID] = string(ob.Bytes())
			}
			o.put(versions...)
		}
		o.settle()
		if !marked {
			if got := o.sends(jpn); len(got) != 0 {
				t.Errorf("%d unmarked objects go", len(got))
			}
			n := 0
			for _, h := range o.holds() {
				if h.Key != noroshi.Unmarked {
					t.Errorf("hold %+v", h)
				}
				n += h.Count
			}
			if h := o.holds(); len(h) != 1 || n != len(want)-1 {
				t.Errorf("%d holds with %d objects, want one with all %d but the marking definition: %+v", len(h), n, len(want), h)
			}
			continue
		}
		total = len(want)
		got := o.sends(jpn)
		if h := o.holds(); len(h) != 0 {
			t.Errorf("holds %+v, want none", h)
		}
		for k, v := range want {
			if got[k] != v {
				t.Fatalf("%s: got %q, want %q; holds %+v", k, got[k], v, o.holds())
			}
		}
	}
	if total != 1826+3873 {
		t.Errorf("%d objects, want 5699", total)
	}
}
