package misp_test

import (
	"sync"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/oracle"
	"github.com/noroshi-cti/noroshi/stix"
)

// schemas are read once: many tests ask them.
var schemas = sync.OnceValues(func() (*oracle.Oracle, error) { return oracle.New("../..") })

// sound holds objects against stix.Validate and against the schemas, and checks
// that each id is there once and every reference is answered.
func sound(t testing.TB, objects []*stix.Object) {
	t.Helper()
	judge, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	have := map[stix.ID]bool{}
	for _, o := range objects {
		if have[o.ID] {
			t.Errorf("%s is there twice", o.ID)
		}
		have[o.ID] = true
		for _, p := range stix.Validate(o) {
			t.Errorf("%s: %s at %s\n%s", o.ID, p.Msg, p.Path, o.Bytes())
		}
		if err := judge.Bytes(o.Bytes()); err != nil {
			t.Errorf("%s: %v\n%s", o.ID, err, o.Bytes())
		}
	}
	for _, o := range objects {
		for _, r := range o.Refs() {
			if !have[r.Target] {
				t.Errorf("%s refers to %s at %s, which is not there", o.ID, r.Target, r.Path)
			}
		}
	}
}
