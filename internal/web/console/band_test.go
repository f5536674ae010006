package console_test

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// Words that stand in the texts of objects of a marking, and nowhere else: a page
// on which one is read must be marked for it.
var canaries = map[noroshi.TLP]string{noroshi.Green: "verdant", noroshi.Amber: "ochreous", noroshi.AmberStrict: "fulvous", noroshi.Red: "vermilion"}

var (
	bandText = regexp.MustCompile(`<div class="marking" id="band" role="note" data-tone="[0-8]" data-labels="([^"]*)">([^<]*)</div>`)
	footText = regexp.MustCompile(`<div class="marking foot" id="band-foot" role="note" data-tone="[0-8]" data-labels="[^"]*">([^<]*)</div>`)
	levels   = regexp.MustCompile(`TLP:[A-Z+]+`)
	hrefs    = regexp.MustCompile(`(?:href|hx-get)="(/[^"#]*)`)
	parts    = regexp.MustCompile(`hx-get="([^"]*)"(?: hx-vals='\{"part":"([a-z]+)"\}')?`)
)

// highest is the strictest level whose word stands in a body.
func highest(body string) (most noroshi.TLP) {
	for level, word := range canaries {
		if strings.Contains(strings.ToLower(body), word) {
			most = max(most, level)
		}
	}
	return most
}

// covers is the strictest level a band names.
func covers(t *testing.T, band string) (most noroshi.TLP) {
	t.Helper()
	for _, name := range levels.FindAllString(html.UnescapeString(band), -1) {
		level, err := noroshi.ParseTLP(name)
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, level)
	}
	return most
}

// coloured are objects of every marking that hang together: each indicator hangs
// on a malware of the next stricter marking, has a translation and a sighting that
// are stricter too, and one that is not marked has a portion that is.
func coloured() string {
	order := []noroshi.TLP{noroshi.Green, noroshi.Amber, noroshi.AmberStrict, noroshi.Red}
	head := func(typ string, n int, level noroshi.TLP) string {
		return fmt.Sprintf(`{"type":%q,"spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","object_marking_refs":[%q],`, typ, objectOf(typ, n), level.MarkingID())
	}
	var list []string
	for n, level := range order {
		next := order[min(n+1, len(order)-1)]
		word, more := canaries[level], canaries[next]
		list = append(list,
			head("indicator", n, level)+fmt.Sprintf(`"name":"%s name","description":"%s text","pattern":"[domain-name:value = '%s.example' OR ipv4-addr:value = '198.51.100.9']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`, word, word, word),
			head("malware", n, next)+fmt.Sprintf(`"name":"%s family","is_family":false}`, more),
			head("relationship", n, level)+fmt.Sprintf(`"relationship_type":"indicates","source_ref":%q,"target_ref":%q}`, objectOf("indicator", n), objectOf("malware", n)),
			head("sighting", n, next)+fmt.Sprintf(`"sighting_of_ref":%q,"count":4,"description":"%s"}`, objectOf("indicator", n), more),
			head("language-content", n, next)+fmt.Sprintf(`"object_ref":%q,"contents":{"ja":{"name":"訳 %s"}}}`, objectOf("indicator", n), more))
	}
	portion := strings.Replace(head("indicator", 9, noroshi.Green), "object_marking_refs", "labels", 1) + fmt.Sprintf(`"granular_markings":[{"marking_ref":%q,"selectors":["name","description"]}],"name":"%s portion","description":"%s portion","pattern":"[domain-name:value = 'portion.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`,
		noroshi.Red.MarkingID(), canaries[noroshi.Red], canaries[noroshi.Red])
	return strings.Join(append(list, portion), "\n")
}

// warnMarked makes a warning of a marking about an object, whose title says its
// own word.
func warnMarked(t *testing.T, p *nodetest.Party, level noroshi.TLP, about, replaces stix.ID) stix.ID {
	t.Helper()
	word := canaries[level]
	d := watch.Draft{ID: stix.NewID("report"), TitleEN: "A " + word + " warning", TitleJA: "警報 " + word, TextEN: word, TextJA: word, Severity: noroshi.High, Precedence: noroshi.Flash,
		Action: "check", Refs: []stix.ID{about}, Marking: strings.ToLower(level.String()), Replaces: replaces}
	by, err := p.Signed(t.Context(), "duty", noroshi.ActWarn, string(d.ID), d.Bound())
	if err != nil {
		t.Fatal(err)
	}
	p.Must("warning.new", web.NewWarning{Draft: d, By: by}, nil)
	return d.ID
}

// translated is a warning whose translation is marked more strictly than itself.
func translated() string {
	head := func(typ string, level noroshi.TLP) string {
		return fmt.Sprintf(`{"type":%q,"spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","object_marking_refs":[%q],`, typ, objectOf(typ, 20), level.MarkingID())
	}
	return head("report", noroshi.Green) + fmt.Sprintf(`"published":"2026-01-01T00:00:00Z","name":"Translated","object_refs":[%q],"extensions":{%q:{"extension_type":"property-extension","severity":"high","precedence":"priority","action":"check"}}}`, objectOf("indicator", 0), noroshi.WarningExtension) + "\n" +
		head("language-content", noroshi.Amber) + fmt.Sprintf(`"object_ref":%q,"object_modified":"2026-01-01T00:00:00.000Z","contents":{"ja":{"name":"訳 %s","description":"訳"}}}`, objectOf("report", 20), canaries[noroshi.Amber])
}

// TestBand: whatever page or part of a page says a word of something that is
// marked has a band that is marked for it, at top and bottom; a part that is
// loaded later brings a band for itself and for what its page showed before.
func TestBand(t *testing.T) {
	t.Parallel()
	_, p := nodetest.Alliance(t, noroshi.Real)
	p.Import("coloured.json", "", strings.NewReader(coloured()))
	early := warnMarked(t, p, noroshi.Red, objectOf("indicator", 3), "")
	late := warnMarked(t, p, noroshi.Green, objectOf("indicator", 2), early)
	green := warnMarked(t, p, noroshi.Green, objectOf("indicator", 3), "")
	p.Import("translated.json", "", strings.NewReader(translated()))
	p.Settle()
	staff(t, p, readers...)
	w := &bandWalk{t: t, seen: map[string]bool{}, said: map[string]noroshi.TLP{}}
	draft := "/warnings/new?template=" + watch.Templates()[0] + "&action=check&about=" + string(objectOf("indicator", 3))
	for _, roles := range readers {
		w.r = newReader(t, p)
		w.r.signIn("only-" + string(roles[0]))
		w.walk("/", "/warnings?all=1", "/indicators?q=198.51.100.9", "/release?state=returned", "/warnings/new?replaces="+string(early), draft, "/warnings/"+string(objectOf("report", 20)),
			"/indicators/"+string(objectOf("indicator", 0)), "/indicators/graph/"+string(objectOf("indicator", 0)), "/warnings/"+string(green))
	}
	for path, least := range map[string]noroshi.TLP{
		"/": noroshi.Green, "/warnings/" + string(late): noroshi.Red, "/warnings/" + string(green): noroshi.Red, "/warnings/" + string(objectOf("report", 20)): noroshi.Amber,
		"/indicators?q=198.51.100.9": noroshi.Red, "/indicators/" + string(objectOf("indicator", 0)): noroshi.Amber, "/indicators/graph/" + string(objectOf("indicator", 0)): noroshi.Amber,
		"/warnings/new?replaces=" + string(early): noroshi.Red, draft: noroshi.Red, "/release": noroshi.Red,
	} {
		if said := w.said[path]; said < least {
			t.Errorf("%s says no word of what is %s: the test sees nothing of it (%s)", path, least, said)
		}
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(w.said)), func(at string) bool { return strings.Contains(at, "/redraft/") && w.said[at] == noroshi.Red }) {
		t.Error("no clear text was drawn from what is TLP:RED")
	}
	if len(w.seen) < 40 {
		t.Errorf("only %d pages and parts were looked at", len(w.seen))
	}
}

// bandWalk follows the links of pages, and asks for their parts.
type bandWalk struct {
	t    *testing.T
	r    *reader
	seen map[string]bool
	said map[string]noroshi.TLP // pages, with the strictest level they say a word of
}

func (w *bandWalk) walk(queue ...string) {
	w.t.Helper()
	most := len(w.seen) + 120
	for ; len(queue) > 0 && len(w.seen) < most; queue = queue[1:] {
		path := queue[0]
		if w.seen[w.r.base+path] || strings.HasPrefix(path, "/static/") || strings.HasPrefix(path, "/rail") {
			continue
		}
		w.seen[w.r.base+path] = true
		_, body := w.r.get(path)
		if !strings.HasPrefix(body, "<!doctype html>") {
			continue // a file to keep
		}
		w.page(path, body)
		for _, m := range hrefs.FindAllStringSubmatch(body, -1) {
			queue = append(queue, html.UnescapeString(m[1]))
		}
	}
}

// page looks at the bands of a page, and at those that its parts bring.
func (w *bandWalk) page(path, body string) {
	w.t.Helper()
	band, foot := bandText.FindStringSubmatch(body), footText.FindStringSubmatch(body)
	if band == nil || foot == nil || band[2] != foot[1] {
		w.t.Errorf("%s has the bands %q and %q", path, band, foot)
		return
	}
	at := highest(body)
	w.said[path] = max(w.said[path], at)
	if covers(w.t, band[2]) < at {
		w.t.Errorf("%s says what is %s under %q", path, at, band[2])
	}
	for _, m := range parts.FindAllStringSubmatch(body, -1) {
		to := html.UnescapeString(m[1])
		if m[2] != "" {
			to += map[bool]string{true: "&", false: "?"}[strings.Contains(to, "?")] + "part=" + m[2]
		}
		if strings.Contains(to, "part=") {
			w.part(path, to, band[1], covers(w.t, band[2]))
		}
	}
}

// part looks at a part as the script does that puts it into a page.
func (w *bandWalk) part(path, to, labels string, stands noroshi.TLP) {
	w.t.Helper()
	if strings.HasPrefix(to, "?") {
		to = path + to
	}
	if key := "part " + w.r.base + to + labels; w.seen[key] {
		return
	} else {
		w.seen[key] = true
	}
	q, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.r.base+to, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	q.Header.Set("HX-Request", "true")
	q.Header.Set("Noroshi-Labels", labels)
	res, err := w.r.http.Do(q)
	status, body := w.r.read(res, err)
	text, err := url.PathUnescape(res.Header.Get("Noroshi-Band"))
	if err != nil || status != http.StatusOK {
		w.t.Errorf("%s of %s: %d, %v", to, path, status, err)
	}
	at := highest(body)
	if band := covers(w.t, text); text != "" && band < at || text == "" && stands < at {
		w.t.Errorf("%s in %s says what is %s under %q", to, path, at, text)
	} else if text != "" && band < stands && strings.Contains(to, "part=drawer") {
		w.t.Errorf("%s in %s, which is %s, brings %q", to, path, stands, text)
	}
}

// TestBandHasRoom: an object that bears more markings than a band has room for
// neither fills its page nor keeps what is loaded later from coming.
func TestBandHasRoom(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	var unknown []string
	for n := range 63 { // more than these do not come in
		unknown = append(unknown, fmt.Sprintf("marking-definition--00000000-0000-4000-8000-%012d", n))
	}
	marks, err := json.Marshal(append(unknown, string(noroshi.Amber.MarkingID())))
	if err != nil {
		t.Fatal(err)
	}
	p.Import("many.json", "", strings.NewReader(fmt.Sprintf(`[{"type":"report","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","published":"2026-01-01T00:00:00Z","name":"Many markings","object_refs":[%q],"object_marking_refs":%s,"extensions":{%q:{"extension_type":"property-extension","severity":"high","precedence":"priority","action":"check"}}}]`,
		objectOf("report", 1), objectOf("indicator", 1), marks, noroshi.WarningExtension)))
	r := newReader(t, p)
	r.signIn("duty")
	w := &bandWalk{t: t, r: r, seen: map[string]bool{}, said: map[string]noroshi.TLP{}}
	for _, path := range []string{"/", "/warnings", "/warnings/" + string(objectOf("report", 1))} {
		_, body := r.get(path)
		if !strings.Contains(body, "Many markings") {
			t.Errorf("%s does not show it", path)
		}
		band := bandText.FindStringSubmatch(body)
		if want := "TLP:AMBER // " + locale.T(locale.EN, "banner.unknown", locale.T(locale.EN, "reason.marking.too-long")); band == nil || !strings.HasPrefix(band[2], want) || len(band[2]) > len(want)+60 {
			t.Errorf("%s has the band %.300q, want %q", path, band, want)
		}
		w.page(path, body)
		shown, _, _ := strings.Cut(body, "<pre") // its exact bytes
		if n := strings.Count(shown, "marking-definition--"); n > 3 {
			t.Errorf("%s names %d markings", path, n)
		}
	}
}
