package misp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/stix/misp"
)

func manifest(t testing.TB, s string) *misp.Manifest {
	t.Helper()
	m, err := misp.ReadManifest([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func names(entries []misp.Entry) string {
	var list []string
	for _, e := range entries {
		list = append(list, e.UUID[34:]+"@"+e.At.String()[:16])
	}
	return strings.Join(list, " ")
}

// TestManifest: what a feed has, and what is new, changed and gone.
func TestManifest(t *testing.T) {
	t.Parallel()
	former := manifest(t, fmt.Sprintf(`{%q:{"timestamp":"1700000000","info":"一","Orgc":{"name":"CERT","uuid":"u"},"Tag":[{"name":"tlp:green"}],"date":"2023-11-14","integrity:sha256":["AB"]},
		%q:{"timestamp":1700000000},%q:{"timestamp":"1700000000"},%q:{"timestamp":"1700000000"},%q:{"timestamp":"1700000000"}}`, uuid(1), uuid(2), uuid(3), uuid(4), uuid(6)))
	e := former.Entries[0]
	if len(former.Entries) != 5 || e.Info != "一" || e.Orgc.Name != "CERT" || len(e.Tags) != 1 || e.SHA256 != "ab" || e.File() != uuid(1)+".json" {
		t.Errorf("%+v", former)
	}
	now := manifest(t, fmt.Sprintf(`{%q:{"timestamp":"1700000000","integrity:sha256":["ab"]},%q:{"timestamp":"1600000000"},%q:{"timestamp":"1700000060"},%q:{"timestamp":"1700000000"},%q:{"timestamp":"soon"}}`,
		uuid(1), uuid(2), uuid(3), uuid(5), uuid(6)))
	c := now.Since(former)
	if got := names(c.New); got != "05@2023-11-14T22:13" {
		t.Errorf("new: %s", got)
	}
	if got := names(c.Changed); got != "02@2020-09-13T12:26 03@2023-11-14T22:14" {
		t.Errorf("changed: %s", got)
	}
	if got := names(c.Vanished); got != "04@2023-11-14T22:13" {
		t.Errorf("vanished: %s", got)
	}
	if all := now.Since(nil); len(all.New) != 4 || len(all.Changed)+len(all.Vanished) > 0 {
		t.Errorf("%+v", all)
	}
	again := manifest(t, fmt.Sprintf(`{%q:{"timestamp":"1700000000","integrity:sha256":"CD"}}`, uuid(1))).Since(manifest(t, fmt.Sprintf(`{%q:{"timestamp":"1700000000","integrity:sha256":["ab"]}}`, uuid(1))))
	if len(again.Changed) != 1 {
		t.Errorf("another digest: %+v", again)
	}
}

func TestManifestDigest(t *testing.T) {
	t.Parallel()
	m := manifest(t, fmt.Sprintf(`{%q:{"timestamp":"1","integrity:sha256":%q},%q:{"timestamp":"1"}}`, uuid(1), strings.ToUpper(sha256), uuid(2)))
	if e := m.Entries[0]; !e.Intact(nil) || e.Intact([]byte("x")) {
		t.Error("the digest of a file is not held against it")
	}
	if !m.Entries[1].Intact([]byte("x")) {
		t.Error("a file without a digest is refused")
	}
}

func TestManifestRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{``, `5`, `[1]`, `{"Event":5`, `{"info":"x"}`, `{"a":1,"a":2}`} {
		if _, err := misp.ReadManifest([]byte(s)); err == nil {
			t.Errorf("%s: no error", s)
		}
	}
	if m := manifest(t, `[]`); len(m.Entries)+len(m.Faults) > 0 {
		t.Errorf("%+v", m)
	}
	upper := "ABCDEF00-0000-4000-8000-000000000001"
	m := manifest(t, fmt.Sprintf(`{"../../etc/passwd":{"timestamp":"1"},"x":{"timestamp":"1"},%q:5,%q:{"timestamp":0},%q:{"timestamp":"1"},%q:{"timestamp":"1"}}`,
		uuid(1), uuid(2), upper, strings.ToLower(upper)))
	if len(m.Entries) != 1 || len(m.Faults) != 5 || m.Entries[0].File() != upper+".json" {
		t.Errorf("%+v", m)
	}
	for _, f := range m.Faults {
		if f.Place == "" || f.Text == "" || f.Code == "" {
			t.Errorf("%+v", f)
		}
	}
}

func FuzzReadManifest(f *testing.F) {
	f.Add([]byte(`{"` + uuid(1) + `":{"timestamp":"1700000000","Tag":[{"name":"x"}]}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := misp.ReadManifest(b)
		if err != nil {
			return
		}
		for _, e := range m.Entries {
			if len(e.File()) != 41 || strings.ContainsAny(e.File(), `/\`) {
				t.Errorf("file %q", e.File())
			}
		}
		if c := m.Since(m); len(c.New)+len(c.Changed)+len(c.Vanished) > 0 {
			t.Errorf("it differs from itself: %+v", c)
		}
	})
}
