package console

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// A form is shown again, with what was wrong in it, as the answer to a POST; the
// links of that page, such as the choice of a language, lead to the page it was
// opened on, at an address that answers a GET.

// otherPages are the pages of forms of which the page is not the next address above
// that answers a GET.
var otherPages = map[string]string{
	"POST /indicators/withdraw/{id}":   "/indicators/{id}",
	"POST /indicators/mark/{id}":       "/indicators/{id}",
	"POST /indicators/drop/{token}":    "/indicators/import/{token}",
	"POST /indicators/held/{message}":  "/indicators/quarantine",
	"POST /partners/card":              "/partners/introduce",
	"POST /partners/receive":           "/partners/introduce",
	"POST /partners/{partner}/heard":   "/partners/{partner}/introduce",
	"POST /partners/{partner}/propose": "/partners/{partner}/draft",
	"POST /settings/people/invite":     "/settings/people/new",
}

// pages are the addresses of the pages of all forms, by the patterns of their
// routes.
var pages = sync.OnceValue(func() map[string]string {
	shown := map[string]bool{}
	for _, r := range Routes() {
		if path, ok := strings.CutPrefix(r.Pattern, "GET "); ok {
			shown[path] = true
		}
	}
	out := map[string]string{}
	for _, r := range Routes() {
		path, ok := strings.CutPrefix(r.Pattern, "POST ")
		if !ok {
			continue
		}
		for path != "" && !shown[path] {
			path = path[:strings.LastIndexByte(path, '/')]
		}
		out[r.Pattern] = path
		if other := otherPages[r.Pattern]; other != "" {
			out[r.Pattern] = other
		}
	}
	return out
})

var wildcards = regexp.MustCompile(`\{[a-z]+\}`)

// Here is an address at which a GET shows the page, or the one a form was sent from;
// of a form to where nothing is, the first page, whatever else may be there.
func (p page) Here() string {
	r := p.visit.r
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return r.URL.RequestURI()
	case p.Screen == "nowhere":
		return "/"
	}
	path := wildcards.ReplaceAllStringFunc(pages()[r.Pattern], func(w string) string {
		return url.PathEscape(r.PathValue(strings.Trim(w, "{}")))
	})
	return or(path, "/")
}
