package console_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web/console"
)

// odd is a request as nobody's browser sends it: what is wrong with it may not be
// looked at before it is known who may ask.
type odd struct {
	query, kind, body string
	part              bool // asks for a part of a page
}

const urlencoded = "application/x-www-form-urlencoded"

var odds = []odd{
	{},
	{query: "?a;b"},
	{query: "?%zz"},
	{query: "?part=list", part: true},
	{kind: urlencoded, body: "a=%zz"},
	{kind: urlencoded, body: "a=" + strings.Repeat("b", 2<<20)},
	{kind: "multipart/form-data", body: "without a boundary"},
	{kind: "multipart/form-data; boundary=x", body: "--x\r\n\r\nbroken off"},
}

// odd sends such a request and returns what comes back: status, headers and body,
// without what differs from one moment to the next, and with the word ADDRESS for
// the address that was asked for.
func (r *reader) odd(method, path string, o odd) string {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path+o.query, strings.NewReader(o.body))
	if err != nil {
		r.t.Fatal(err)
	}
	if o.kind != "" {
		q.Header.Set("Content-Type", o.kind)
	}
	if o.part {
		q.Header.Set("HX-Request", "true")
	}
	res, err := r.http.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var shape strings.Builder
	for _, name := range []string{"Date", "Content-Length"} {
		res.Header.Del(name)
	}
	fmt.Fprintln(&shape, res.StatusCode)
	_ = res.Header.Write(&shape)
	if m := hereField.FindStringSubmatch(string(body)); m != nil {
		fmt.Fprintln(&shape, "leads back to", html.UnescapeString(m[1]))
	}
	return strings.NewReplacer(path, "ADDRESS", url.QueryEscape(path), "ADDRESS").Replace(shape.String() + still(string(body)))
}

// TestForbiddenIsLikeNothing: an address at which something is that a person may not
// do answers whatever is sent to it like one at which nothing is, in status, headers
// and body; to who is not signed in, all pages are alike.
func TestForbiddenIsLikeNothing(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	var sets [][]noroshi.Role
	for _, role := range noroshi.Roles {
		sets = append(sets, []noroshi.Role{role})
	}
	staff(t, p, sets...)
	asked := 0
	for n, role := range append(noroshi.Roles, "") {
		r := newReader(t, p)
		r.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if role != "" {
			in := newReader(t, p)
			in.signIn("only-" + string(role))
			r.http.Jar = in.http.Jar
		}
		none := map[string]string{}
		for i, route := range console.Routes() {
			method, path, _ := strings.Cut(route.Pattern, " ")
			if route.Open || noroshi.May(role, route.Action) || path == "/live" { // no page
				continue
			}
			path = strings.TrimSuffix(wildcard.ReplaceAllString(path, "indicator--00000000-0000-4000-8000-000000000000"), "{$}")
			if path == "/" || role == "" && method == http.MethodPost { // what is in every address; and a form says where it was
				continue
			}
			for j, o := range odds {
				if o.body != "" && method != http.MethodPost || tier.N(1, 0) == 1 && (n+i+j)%3 != 0 {
					continue
				}
				asked++
				key := fmt.Sprint(method, j)
				if none[key] == "" {
					none[key] = r.odd(method, "/no-such-page", o)
				}
				if got := r.odd(method, path, o); got != none[key] {
					t.Errorf("%s%s as %q, %.40q: not like an address that is none:\n%s", route.Pattern, o.query, role, o.body, cmp.Diff(none[key], got))
				}
			}
		}
	}
	if asked < 300 {
		t.Errorf("only %d requests were compared", asked)
	}
}

// alikeIn asks for two addresses in turn, so many times, and fails where one took
// longer than the other nearly every time. Where they take the same, chance alone
// does that once in 10⁹ tests; what else the machine does slows down either.
func (r *reader) alikeIn(method, one, other string) {
	r.t.Helper()
	const pairs, most = 100, 80
	took := func(path string) time.Duration {
		began := time.Now()
		r.odd(method, path, odd{})
		return time.Since(began)
	}
	slower := 0
	for n := range pairs {
		var a, b time.Duration
		if n%2 == 0 {
			a = took(one)
			b = took(other)
		} else {
			b = took(other)
			a = took(one)
		}
		if a > b {
			slower++
		}
	}
	if slower > most || slower < pairs-most {
		r.t.Errorf("%s %s took longer than %s in %d of %d", method, one, other, slower, pairs)
	}
}

// TestForbiddenTakesAsLong: neither by the time that it takes is an address told
// from one that is none, nor an object that waits in quarantine from one that is not
// here.
func TestForbiddenTakesAsLong(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	kept := quarantined(t, p)
	r := newReader(t, p)
	r.signIn("duty")
	r.alikeIn(http.MethodGet, "/audit", "/no-such-page")
	r.alikeIn(http.MethodPost, "/audit/verify", "/no-such-page")
	r.alikeIn(http.MethodGet, "/indicators/"+kept, "/indicators/indicator--00000000-0000-4000-8000-000000000000")
}

// quarantined brings an object that is kept in quarantine, and returns its id.
func quarantined(t *testing.T, p *nodetest.Party) string {
	t.Helper()
	const id = "indicator--00000000-0000-4000-8000-0000000000d1"
	r := newReader(t, p)
	r.signIn("duty")
	r.bring("/indicators/import", "broken.json", `[{"type":"indicator","spec_version":"2.1","id":"`+id+`","created":"2026-01-01T00:00:00.000Z","modified":"no time","pattern":"[domain-name:value = 'broken.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"},`+
		`{"type":"tool","spec_version":"2.1","id":"tool--00000000-0000-4000-8000-0000000000d2","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"whole"}]`, "marking", "TLP:GREEN")
	r.post(r.at, "passphrase", nodetest.Passphrase)
	if _, body := r.get("/indicators/quarantine"); !strings.Contains(body, "broken.json") {
		t.Fatalf("nothing is in quarantine:\n%s", body)
	}
	return id
}

// kindsOf are the objects and things that an address is asked about as a role;
// withheld are those of them that may not be told from what is nowhere.
func kindsOf(path string, role noroshi.Role) []string {
	switch {
	case strings.Contains(path, "{id}"):
		return []string{"unknown", "withheld", "in quarantine", "foreign warning", "foreign indicator", "own warning", "own indicator"}
	case strings.HasPrefix(path, "/me/token/"):
		if role == noroshi.Administrator { // who may end anybody's
			return []string{"unknown", "foreign token"}
		}
		return []string{"unknown", "token of another"}
	case strings.Contains(path, "{token}"):
		return []string{"unknown", "file of another"}
	}
	return []string{"unknown"}
}

func withheld(kind string) bool {
	return slices.Contains([]string{"withheld", "in quarantine", "token of another", "file of another"}, kind)
}
