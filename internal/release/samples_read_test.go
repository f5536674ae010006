package release_test

import (
	"os"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/stix"
)

// samples are the release-decision samples, with the rules they follow.
const samples = "../../testdata/markings"

// world is the samples' nodes and agreements.
type world struct{ *release.Samples }

func readWorld(t testing.TB) world {
	t.Helper()
	s, err := release.OpenSamples(os.DirFS(samples))
	if err != nil {
		t.Fatal(err)
	}
	return world{s}
}

// caseOf is a case without items.
func (w world) caseOf(t testing.TB, holder, partner string, realm noroshi.Realm) release.Case {
	t.Helper()
	c, err := w.Case(holder, partner, realm.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// public is what the samples call everybody.
const public = "PUBLIC"

// realmOf returns the realm a sample's mode stands for.
func realmOf(t testing.TB, mode string) noroshi.Realm {
	t.Helper()
	if mode != "exercise" {
		return noroshi.Real
	}
	r, err := noroshi.ParseRealm("exercise:ex-2026-1")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// definitions finds the bodies of markings in a bundle.
func definitions(objects []*stix.Object) func(stix.ID) []*stix.Object {
	return func(id stix.ID) (found []*stix.Object) {
		for _, o := range objects {
			if o.ID == id {
				found = append(found, o)
			}
		}
		return found
	}
}
