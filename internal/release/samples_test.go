package release_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
)

// TestSamples decides all samples as expected: what goes, what is cut out,
// what stays, held or denied, and that no string that must not leave does.
func TestSamples(t *testing.T) {
	r, err := readWorld(t).Run()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Leaks {
		t.Errorf("%s for %s: %q leaves", f.File, f.Partner, f.Leak)
	}
	for _, f := range append(r.Faults, r.Advisory...) {
		t.Errorf("%s for %s: %s: got %s, want %s: %v", f.File, f.Partner, f.Object, f.Got, f.Want, f.Reasons)
	}
	if r.Passed != 63 || r.Failed != 0 || r.Decisions != 228 {
		t.Errorf("%d passed, %d failed, %d decisions, want 63, 0, 228", r.Passed, r.Failed, r.Decisions)
	}
}

// sampleFiles are the samples with changes to some of their files.
func sampleFiles(t testing.TB, change func(name string, b []byte) []byte) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := filepath.Glob(samples + "/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(n)] = &fstest.MapFile{Data: change(filepath.Base(n), b)}
	}
	return files
}

// TestSamplesThatFail: a wrong expectation is a fault, a string that would
// leave a leak, hold for deny neither; files that cannot be read are named.
func TestSamplesThatFail(t *testing.T) {
	run := func(old, fresh string) release.SampleReport {
		t.Helper()
		s, err := release.OpenSamples(sampleFiles(t, func(name string, b []byte) []byte {
			if name == "expected.json" {
				return bytes.Replace(b, []byte(old), []byte(fresh), 1)
			}
			return b
		}))
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Run()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := run(`"decision": "release"`, `"decision": "deny"`); r.Failed != 1 || len(r.Faults) != 1 || r.Faults[0].File != "d001-tlp-clear.json" || r.Passed != 62 {
		t.Errorf("wrong expectation: %+v", r)
	}
	if r := run(`"JPN": [],`, `"JPN": ["indicator"],`); r.Failed != 1 || len(r.Leaks) != 1 || r.Leaks[0].Leak != "indicator" {
		t.Errorf("leak: %+v", r)
	}
	if r := run(`"decision": "hold"`, `"decision": "deny"`); r.Failed != 0 || len(r.Advisory) != 1 {
		t.Errorf("hold for deny: %+v", r)
	}
	for _, missing := range []string{"expected.json", "agreements.json", "d001-tlp-clear.json"} {
		files := sampleFiles(t, func(_ string, b []byte) []byte { return b })
		delete(files, missing)
		s, err := release.OpenSamples(files)
		if err == nil {
			_, err = s.Run()
		}
		if noroshi.KindOf(err) != noroshi.NotFound {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}

// FuzzSamples: whatever stands in the files, reading and deciding them ends.
func FuzzSamples(f *testing.F) {
	whole := sampleFiles(f, func(_ string, b []byte) []byte { return b })
	f.Add(whole["agreements.json"].Data, whole["d045-report-filtered.json"].Data)
	f.Add(whole["agreements.json"].Data, whole["d039-granular-description-nf.json"].Data)
	f.Add([]byte(`{"nodes":{},"agreements":{"*>JPN":{}}}`), []byte(`{"objects":[5,{"type":"x"}]}`))
	expected := []byte(`{"now":"2026-11-21T00:00:00Z","cases":[{"file":"x.json","holder":"USA","mode":"exercise","expected":{"JPN":{},"EVERYBODY":{}}}]}`)
	f.Fuzz(func(t *testing.T, agreements, bundle []byte) {
		s, err := release.OpenSamples(fstest.MapFS{"expected.json": {Data: expected}, "agreements.json": {Data: agreements}, "x.json": {Data: bundle}})
		if err == nil {
			_, _ = s.Run()
		}
	})
}
