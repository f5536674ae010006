package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
	"github.com/noroshi-cti/noroshi/stix"
)

// staff adds one person for each set of roles, named after the first.
func staff(t *testing.T, p *nodetest.Party, sets ...[]noroshi.Role) {
	t.Helper()
	for _, roles := range sets {
		id := "only-" + string(roles[0])
		who, err := noroshi.NewPerson(id, "", roles, []byte(nodetest.Passphrase))
		if err != nil {
			t.Fatal(err)
		}
		by, err := p.Signed(t.Context(), "admin", noroshi.ActAddPerson, id, partner.PersonBound(who))
		if err != nil {
			t.Fatal(err)
		}
		in := web.PersonAdd{Person: who, By: &by}
		if slices.Contains(roles, noroshi.ReleaseOffice) {
			with, err := p.Signed(t.Context(), "release1", noroshi.ActCountersign, id, by.Digest)
			if err != nil {
				t.Fatal(err)
			}
			in.With = &with
		}
		p.Must("person.add", in, nil)
	}
}

var (
	moving   = regexp.MustCompile(`<b data-offset="[^"]*">[^<]*</b>|<input type="hidden" name="to" value="[^"]*">|<p class="lost" role="status" id="ending".*?</p>|<noscript>.*?</noscript>|hx-sse:connect="[^"]*"|data-(?:in|last|left|until|began)="[^"]*"|<div class="navfoot".*?</div>`)
	wildcard = regexp.MustCompile(`\{[a-z]+(?:\.\.\.)?\}`)
)

// still is a page without what differs from one moment and address to the next.
func still(body string) string { return moving.ReplaceAllString(body, "") }

// objectsOf are what a node's console may be asked for: objects of its own and of a
// partner; what looks like nothing, since the partner withholds it, it waits in
// quarantine, or is another person's; and what is nowhere.
func objectsOf(t *testing.T, there, here *nodetest.Party) map[string]stix.ID {
	t.Helper()
	newest := func(p *nodetest.Party) stix.ID {
		recs, err := p.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 100})
		if err != nil || len(recs) == 0 {
			t.Fatalf("%d indicators: %v", len(recs), err)
		}
		return recs[len(recs)-1].Object.ID
	}
	ids := map[string]stix.ID{"foreign warning": warnOf(t, there, noroshi.Flash, "Of there", "先方の警報")}
	here.Until("the partner's warning is here", func() (bool, error) {
		id := ids["foreign warning"]
		held, err := here.Node.Store.Held(t.Context(), []stix.ID{id})
		return held[id], err
	})
	ids["foreign indicator"] = newest(there)
	there.Import("withheld.txt", "tlp:red", strings.NewReader("withheld.example\n"))
	ids["withheld"] = newest(there)
	ids["own warning"] = warnOf(t, here, noroshi.Priority, "Of here", "当方の警報")
	ids["own indicator"] = newest(here)
	ids["unknown"] = "indicator--00000000-0000-4000-8000-000000000000"
	ids["in quarantine"] = stix.ID(quarantined(t, here))
	duty := newReader(t, here)
	duty.signIn("duty")
	duty.bring("/indicators/import", "list.txt", "brought.example\n", "marking", "TLP:GREEN", "format", "")
	ids["file of another"] = stix.ID(path.Base(duty.at))
	_, token, err := newToken(t, here, "duty", time.Hour, "read")
	if err != nil {
		t.Fatal(err)
	}
	ids["token of another"], ids["foreign token"] = stix.ID(token.ID), stix.ID(token.ID)
	for kind, id := range ids {
		if kind != "withheld" && withheld(kind) && len(id) < 20 {
			t.Fatalf("%s: %q", kind, id)
		}
	}
	return ids
}

// TestEveryRouteByRole: what a role may not do, what a partner withholds, what waits in
// quarantine, another person's token or file, and what does not exist look the same to
// it, whatever the address; what it may see opens. Beyond that a node holds nothing
// that one who may read is not shown.
func TestEveryRouteByRole(t *testing.T) {
	t.Parallel()
	usa, p := nodetest.Alliance(t, noroshi.Real)
	ids := objectsOf(t, usa, p)
	var sets [][]noroshi.Role
	for _, role := range noroshi.Roles {
		sets = append(sets, []noroshi.Role{role})
	}
	staff(t, p, sets...)
	opened, seen := map[string]int{}, map[bool]int{}
	for _, role := range noroshi.Roles {
		r := newReader(t, p)
		r.strays = true
		r.signIn("only-" + string(role))
		_, nowhere := r.get("/no-such-page")
		for _, route := range console.Routes() {
			method, path, _ := strings.Cut(route.Pattern, " ")
			if route.Open || strings.Contains(path, "/live") || path == "/signout" {
				continue
			}
			may := noroshi.May(role, route.Action)
			seen[may]++
			absent := ""
			for _, kind := range kindsOf(path, role) {
				id := string(ids[kind])
				ask := strings.TrimSuffix(wildcard.ReplaceAllString(path, id), "{$}")
				status, body := r.get(ask)
				if method == http.MethodPost {
					status, body = r.post(ask)
				}
				shape := fmt.Sprint(status, strings.ReplaceAll(still(body), id, "ID"))
				switch {
				case kind == "unknown":
					absent = shape
				case withheld(kind):
					if shape != absent {
						t.Errorf("%s as %s: %s is not like what does not exist:\n%s", route.Pattern, role, kind, cmp.Diff(absent, shape))
					}
				default:
					if status == http.StatusOK && method == http.MethodGet {
						opened[path+" "+kind]++
					}
				}
				switch none := kind == "unknown" || withheld(kind); {
				case !may && (status != http.StatusNotFound || still(body) != still(nowhere)):
					t.Errorf("%s of %s as %s: %d, and not like an address that is none:\n%s", route.Pattern, kind, role, status, cmp.Diff(still(nowhere), still(body)))
				case may && status >= 500:
					t.Errorf("%s of %s as %s: %d\n%s", route.Pattern, kind, role, status, body)
				case may && method == http.MethodGet && ask == path && status != http.StatusOK:
					t.Errorf("%s as %s: %d", route.Pattern, role, status)
				case may && none && method == http.MethodGet && strings.Contains(path, "{id}") && (status != http.StatusNotFound || still(body) != still(nowhere)):
					t.Errorf("%s of %s as %s, which does not exist: %d", route.Pattern, kind, role, status)
				}
			}
		}
	}
	if seen[true] < 50 || seen[false] < 20 {
		t.Errorf("allowed and refused: %v", seen)
	}
	for _, at := range []string{"/warnings/{id} own warning", "/warnings/{id} foreign warning", "/indicators/{id} own indicator", "/indicators/{id} foreign indicator"} {
		if opened[at] != len(noroshi.Roles) {
			t.Errorf("%s opened for %d roles of %d", at, opened[at], len(noroshi.Roles))
		}
	}
	if opened["/me/token/{token} foreign token"] != 1 {
		t.Errorf("an administrator does not find another's token: %v", opened)
	}
}

// readers are two persons who together see every screen.
var readers = [][]noroshi.Role{
	{noroshi.Duty, noroshi.Analyst, noroshi.ReleaseOffice, noroshi.Liaison, noroshi.Auditor},
	{noroshi.Administrator},
}

// furnished is a node with a partner, an agreement that knows emergencies and standing
// rules, warnings, and a release that waits.
func furnished(t *testing.T) *nodetest.Party {
	t.Helper()
	usa, party := nodetest.New(t, "USA-01", noroshi.Real), nodetest.New(t, "JPN-01", noroshi.Real)
	if _, err := crew.Introduce(t.Context(), &usa.Crew, &party.Crew); err != nil {
		t.Fatal(err)
	}
	var text string
	usa.Must("agreement.draft", web.DraftRef{With: party.Sign, Days: 365}, &text)
	if _, err := crew.Sign(t.Context(), &usa.Crew, &party.Crew, []byte(strings.Replace(text, "version = 1\n", "version = 1\nflash_per_hour = 4\nemergency = { hours = 8 }\n", 1))); err != nil {
		t.Fatal(err)
	}
	party.Import("list.txt", "tlp:green", strings.NewReader("c2.port.example\n198.51.100.9\nhttps://port.example/"+endless(1000)+"\n"))
	party.Import("two.txt", "tlp:amber", strings.NewReader("staging.port.example\n"))
	recs, err := party.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 1})
	if err != nil || len(recs) != 1 {
		t.Fatalf("%d indicators: %v", len(recs), err)
	}
	d := watch.Draft{ID: stix.NewID("report"), TitleEN: "Remote logins to a port terminal system", TitleJA: "港湾ターミナル管理システムへの遠隔ログイン",
		TextEN: "A vendor account is used outside the shift roster.", TextJA: "保守業者用のアカウントが勤務時間外に使われています。", Severity: noroshi.High,
		Precedence: noroshi.Flash, Action: "check", Refs: []stix.ID{recs[0].Object.ID}, Marking: "tlp:green"}
	long := d
	long.ID, long.TitleEN, long.TextEN, long.TitleJA, long.TextJA = stix.NewID("report"), endless(190), endless(2000), "監視"+endless(180), endless(2000)
	for _, d := range []watch.Draft{d, long} {
		by, err := party.Signed(t.Context(), "duty", noroshi.ActWarn, string(d.ID), d.Bound())
		if err != nil {
			t.Fatal(err)
		}
		party.Must("warning.new", web.NewWarning{Draft: d, By: by}, nil)
	}
	party.Settle()
	return party
}

// endless is a text of n letters that has no place to break.
func endless(n int) string { return strings.Repeat("sha256", n/6+1)[:n] }

// way is how a page is looked at.
type way struct {
	lang, theme string
	width       int64
}

// allWays are all of them.
func allWays() (list []way) {
	for _, lang := range []string{"en", "ja"} {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1440, 320} {
				list = append(list, way{lang, theme, width})
			}
		}
	}
	return list
}

// ways are those in which a page is looked at: all of them in the battery; in the
// small tier two that between them have both languages, themes and widths, others
// from page to page.
func ways(page int) []way {
	list := allWays()
	if tier.N(0, 1) == 1 {
		return list
	}
	pairs := [][2]int{{0, 7}, {1, 6}, {2, 5}, {3, 4}}
	pair := pairs[page%len(pairs)]
	return []way{list[pair[0]], list[pair[1]]}
}

// oneWay is ways with but one of them in the small tier.
func oneWay(page int) []way {
	list := ways(page)
	if len(list) == 2 {
		return list[page/4%2:][:1]
	}
	return list
}

// TestEveryPage looks at one page of each address, and at those that answer forms,
// as who sees it: nothing lies outside the window, no text is missing or in the other
// language, and no rule of WCAG that a machine can look at is broken. Every address
// that gives a page must have been looked at.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	v := toured(t)
	seen := &looked{patterns: map[string]bool{}}
	t.Run("as", func(t *testing.T) {
		for _, roles := range readers {
			t.Run(string(roles[0]), func(t *testing.T) {
				t.Parallel()
				v.walk(t, seen, roles[0])
			})
		}
		t.Run("nobody", func(t *testing.T) {
			t.Parallel()
			v.atTheDoor(t, seen)
		})
		t.Run("the first", func(t *testing.T) {
			t.Parallel()
			firstPages(t, seen)
		})
	})
	for _, r := range console.Routes() {
		if strings.HasPrefix(r.Pattern, "GET ") && !slices.Contains(noPages, r.Pattern) && !seen.patterns[r.Pattern] {
			t.Errorf("%s was not looked at", r.Pattern)
		}
	}
}

// noPages are the addresses that give none: streams and parts of pages, what sends
// elsewhere, and files to keep.
var noPages = []string{"GET /live", "GET /rail", "GET /stay", "GET /oidc", "GET /audit/entries/{index}/proof", "GET /audit/checkpoint", "GET /audit/links/{partner}/checkpoint",
	"GET /audit/links/{partner}/export", "GET /partners/{partner}/card", "GET /partners/{partner}/agreements/{hash}/file"}

// looked is which addresses were looked at.
type looked struct {
	sync.Mutex
	patterns map[string]bool
}

// walk follows the links of pages as a reader. In the small tier the administrator
// looks at what the other reader sees too in one way.
func (v *tour) walk(t *testing.T, seen *looked, role noroshi.Role) {
	p := consoletest.Open(t, consoleOf(v.Party))
	p.SignIn("only-"+string(role), nodetest.Passphrase, "en")
	v.enrol[role]()
	queue := append([]string{"/"}, v.starts[role]...)
	known := map[string]bool{}
	for _, path := range queue {
		known[patternOf(path)] = true
	}
	for page := 0; len(queue) > 0; page++ {
		path := queue[0]
		queue = queue[1:]
		how := ways(page)
		if role == noroshi.Administrator && slices.ContainsFunc(readers[0], func(r noroshi.Role) bool { return noroshi.May(r, actionOf(path)) }) {
			how = oneWay(page)
		}
		for _, w := range how {
			seen.judge(t, p, path, w)
		}
		for _, link := range p.Links() {
			if pattern := patternOf(link); pattern != "" && !known[pattern] && !slices.Contains(noPages, pattern) {
				known[pattern] = true
				queue = append(queue, link)
			}
		}
	}
	for i, form := range v.forms[role] {
		for _, w := range oneWay(i) {
			judge(t, p, form.path, form.fields, w)
		}
	}
}

// atTheDoor looks at what is shown to who is not signed in.
func (v *tour) atTheDoor(t *testing.T, seen *looked) {
	p := consoletest.Open(t, consoleOf(v.Party))
	p.Go("/signin")
	for i, path := range []string{"/signin", "/join", "/oidc/back"} {
		for _, w := range ways(i) {
			seen.judge(t, p, path, w)
		}
	}
	for i, form := range []answered{filledIn("/signin", "person", "nobody", "passphrase", "wrong passphrase"), filledIn("/join", "code", "AAAA-AAAA-AAAA", "new-passphrase", nodetest.Passphrase, "new-passphrase-again", nodetest.Passphrase), filledIn("/warnings/new")} {
		for _, w := range oneWay(i) {
			judge(t, p, form.path, form.fields, w)
		}
	}
	for _, w := range oneWay(5) {
		judge(t, p, "/signin", nil, w)
		r := newReader(t, v.Party)
		r.post("/prefer", "lang", w.lang)
		r.post("/prefer", "theme", w.theme)
		_, body := r.get("/oidc")
		p.Content(goesOn.ReplaceAllString(body, ""))
		p.Shows(`main a[href="/"].pri`)
		wrong(t, p, "/oidc/back", w)
		seen.at("/oidc/back")
	}
}

// goesOn is what makes a page go on by itself.
var goesOn = regexp.MustCompile(`<meta http-equiv="refresh"[^>]*>|<script[^>]*></script>`)

// firstPages looks at what a node without persons shows.
func firstPages(t *testing.T, seen *looked) {
	node := nodetest.Bare(t, "JPN-01", noroshi.Real)
	p := consoletest.Open(t, consoleOf(node))
	_, code := node.Node.FirstRun()
	fields := []string{"person", "admin", "new-passphrase", nodetest.Passphrase, "new-passphrase-again", nodetest.Passphrase}
	for _, w := range ways(0) {
		p.Go("/first")
		seen.judge(t, p, "/first", w)
	}
	for _, w := range oneWay(1) {
		judge(t, p, "/first", filledIn("", append(fields, "code", "AAAA-AAAA-AAAA")...).fields, w)
	}
	p.Post("/first", filledIn("", append(fields, "code", code)...).fields)
	for _, w := range ways(2) {
		seen.judge(t, p, "/first/officer", w)
	}
}

// patternOf is the route that answers an address, "" for none that shows a page.
func patternOf(link string) string {
	path, _, _ := strings.Cut(link, "?")
	mux := http.NewServeMux()
	for _, r := range console.Routes() {
		if strings.HasPrefix(r.Pattern, "GET ") && !strings.Contains(r.Pattern, "/live") {
			mux.HandleFunc(r.Pattern, http.NotFound)
		}
	}
	req, err := http.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return ""
	}
	_, pattern := mux.Handler(req)
	return pattern
}

// names are what stands on the pages of a furnished node and has no language.
var names = []string{"admin", "duty", "liaison", "release", "only-", "two", "list", "Remote logins", "Copyright", "stix", "tsv", "csv", "misp", "kev", "csaf", "verdant", "ochreous", "fulvous", "vermilion", "Translated", "ja"}

// actionOf is what the route of an address does.
func actionOf(link string) noroshi.Action {
	pattern := patternOf(link)
	i := slices.IndexFunc(console.Routes(), func(r console.Route) bool { return r.Pattern == pattern })
	if i < 0 {
		return noroshi.ActRead
	}
	return console.Routes()[i].Action
}

// judge looks at the page of an address, which must be there.
func (l *looked) judge(t *testing.T, p *consoletest.Page, path string, w way) {
	t.Helper()
	judge(t, p, path, nil, w)
	at := consoletest.Value(p, chromedp.Evaluate[string](`location.pathname`)) // an address may show that of what comes first
	status := consoletest.Value(p, chromedp.Evaluate[int](`performance.getEntriesByType("navigation")[0].responseStatus`))
	switch {
	case status == http.StatusOK:
		l.at(at)
	case path != "/no-such-page" && path != "/oidc/back":
		t.Errorf("%s: %d", path, status)
	}
}

// at notes that the page of an address was looked at.
func (l *looked) at(path string) {
	l.Lock()
	defer l.Unlock()
	l.patterns[patternOf(path)] = true
}

// judge looks at the page of an address, or at the one that answers a form.
func judge(t *testing.T, p *consoletest.Page, path string, form url.Values, w way) {
	t.Helper()
	p.Prefer("lang", w.lang)
	p.Prefer("theme", w.theme)
	p.Size(w.width, 900)
	if form == nil {
		p.Go(path)
	} else {
		p.Post(path, form)
	}
	wrong(t, p, path, w)
}

// wrong reports what is wrong with the page as it stands.
func wrong(t *testing.T, p *consoletest.Page, path string, w way) {
	t.Helper()
	name := fmt.Sprintf("%s %s %s %d", path, w.lang, w.theme, w.width)
	for _, wrong := range slices.Concat(p.Layout(), p.Language(w.lang, names...), p.Axe()) {
		t.Errorf("%s: %s", name, wrong)
	}
	look(t, p, strings.NewReplacer("/", "_", "?", "_", "&", "_", " ", "-", ":", "_").Replace(name))
}
