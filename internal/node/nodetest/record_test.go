package nodetest_test

import (
	"testing"

	"github.com/noroshi-cti/noroshi/internal/store"
)

// record is the whole record of a node: what is said of it must not stop at a page.
func record(t *testing.T, s *store.Store) (all []store.Entry) {
	t.Helper()
	for {
		list, err := s.Acts(t.Context(), uint64(len(all)), store.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, list...); len(list) < store.MaxPage {
			return all
		}
	}
}
