package console_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/web/console"
)

// TestEveryFormHasAPage: the page that shows a form again has an address at which it
// can be read, made of what the form's own address says.
func TestEveryFormHasAPage(t *testing.T) {
	t.Parallel()
	var read []string
	for _, r := range console.Routes() {
		if path, ok := strings.CutPrefix(r.Pattern, "GET "); ok {
			read = append(read, path)
		}
	}
	for _, r := range console.Routes() {
		path, ok := strings.CutPrefix(r.Pattern, "POST ")
		if !ok || path == "/signout" || path == "/prefer" { // which no page answers
			continue
		}
		page := console.PageOf(r.Pattern)
		if !slices.Contains(read, page) {
			t.Errorf("%s: the page is %q", r.Pattern, page)
		}
		for _, w := range wildcard.FindAllString(page, -1) {
			if !strings.Contains(path, w) {
				t.Errorf("%s does not say %s of %s", r.Pattern, w, page)
			}
		}
	}
}
