package node_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// asked is how many requests are measured of each screen, each for something
// else.
const asked = 100

// worded are n objects with words in both languages, as JSON lines.
func worded(n int) io.Reader {
	var out bytes.Buffer
	for i := range n {
		name, text := fmt.Sprintf("Beacon of campaign %d", i%977), fmt.Sprintf("Seen by sensor %d; stage %d of the loader", i, i%13)
		if i%2 == 0 {
			name, text = fmt.Sprintf("攻撃活動%dの通信先", i%977), fmt.Sprintf("港湾事業者%dの監視装置で観測したランサムウェアの指令サーバ", i%389)
		}
		fmt.Fprintf(&out, `{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","name":%q,"description":%q,`+
			`"pattern":"[domain-name:value = 'c%d.beacon%d.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`+"\n", wordedID(i), name, text, i, i%50)
	}
	return &out
}

// hubs are n objects that each have very much on them, as JSON lines, and after
// them what is on them, which names the values of worded.
func hubs(n, each int) io.Reader {
	var out bytes.Buffer
	for i := range n {
		hub := hub(i)
		fmt.Fprintf(&out, `{"type":"malware","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","name":"Loader %d","is_family":false}`+"\n", hub, i)
		for k := range each {
			fmt.Fprintf(&out, `{"type":"relationship","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","relationship_type":"indicates","source_ref":%q,"target_ref":%q}`+"\n",
				stix.DeriveID("relationship", [16]byte{9}, fmt.Sprint(i, k)), wordedID(i*each+k), hub)
		}
	}
	return &out
}

func hub(i int) stix.ID { return stix.DeriveID("malware", [16]byte{9}, fmt.Sprint(i)) }

func wordedID(i int) stix.ID { return stix.DeriveID("indicator", [16]byte{9}, fmt.Sprint(i)) }

// warnings are n warnings, as JSON lines.
func warnings(name string, n int) io.Reader {
	var out bytes.Buffer
	for i := range n {
		fmt.Fprintf(&out, `{"type":"report","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","name":"Warning %s %d","description":"Seen at a port.","published":"2026-01-01T00:00:00Z","report_types":["threat-report"],"object_refs":[%q],`+
			`"extensions":{%q:{"extension_type":"property-extension","severity":"high","precedence":%q,"action":"check","number":"USA-01/2026/%d"}}}`+"\n",
			warningID(name, i), name, i, wordedID(i), noroshi.WarningExtension, []string{"flash", "immediate", "routine"}[i%3], i)
	}
	return &out
}

func warningID(name string, i int) stix.ID {
	return stix.DeriveID("report", [16]byte{9}, fmt.Sprint(name, i))
}

// searches are the addresses of what people look for: the nth request looks for
// something else than the one before.
func searches(head int64) []func(n int) string {
	find := func(form string, args ...any) string {
		return "/indicators?q=" + url.QueryEscape(fmt.Sprintf(form, args...))
	}
	deep := func(n int) string { return fmt.Sprintf("&after=%d", head-head*int64(n)/asked) }
	return []func(n int) string{
		func(n int) string { return find("") + deep(n) },
		func(n int) string { return find("campaign %d", n*7) },
		func(n int) string { return find("港湾事業者%d 指令サーバ", n*3) },
		func(n int) string { return find("ランサムウェア") + deep(n) },
		func(n int) string { return find("監視装置で観測した") },
		func(n int) string { return find("trails") + deep(n) },
		func(n int) string { return find("trails 指令サーバ%d", n) },
		func(n int) string { return find("c%d.beacon%d.example", n*31, n*31%50) },
		func(n int) string { return find("%d.%d.0.0/16", n+30, n*2) },
		func(n int) string { return find("%d.0.0.0/8", n+30) },
		func(n int) string { return find("0.0.0.0/0") + deep(n) },
		func(n int) string { return find("*.beacon%d.example", n%50) },
		func(n int) string { return find("*.com") + deep(n) },
		func(n int) string { return find("*nothing%d*", n) },
		func(n int) string { return find("*.*") + deep(n) },
	}
}

// screens are the addresses of what is measured: the nth request of each.
func screens(b *testing.B, p *nodetest.Party) map[string]func(n int) string {
	b.Helper()
	var ids []stix.ID
	head := p.Head()
	for n := range asked {
		list, err := p.Node.Store.List(b.Context(), store.Filter{Type: "indicator", After: head * int64(n) / asked, Limit: 1})
		if err != nil || len(list) == 0 {
			b.Fatalf("no indicator after %d of %d: %v", n, asked, err)
		}
		if ids = append(ids, list[0].Object.ID); n%10 == 0 {
			ids[n] = hub(n / 10)
		}
	}
	var holds []web.HoldRow
	p.Must("release.list", web.HoldRef{}, &holds)
	if len(holds) < waiting {
		b.Fatalf("%d holds wait for release", len(holds))
	}
	large := slices.MaxFunc(holds, func(a, b web.HoldRow) int { return a.Count - b.Count })
	members, err := p.Node.Store.HoldMembers(b.Context(), large.ID, 0, store.MaxPage)
	if err != nil || len(members) == 0 {
		b.Fatalf("%d members: %v", len(members), err)
	}
	first := members[0].Seq
	sought := searches(head)
	always := func(path string) func(int) string { return func(int) string { return path } }
	return map[string]func(n int) string{
		"picture": always("/"), "warnings": always("/warnings"), "release": always("/release"), "partners": always("/partners"), "settings": always("/settings"),
		"audit": func(n int) string {
			return "/audit" + []string{"", "?person=nobody", "?action=approve", "?partner=JPN-01"}[n%4]
		},
		"search": func(n int) string { return sought[n%len(sought)](n) },
		"hold": func(n int) string {
			return fmt.Sprintf("/release/%s?after=%d", large.ID, first+int64(n*large.Count/asked))
		},
		"indicator": func(n int) string { return "/indicators/" + string(ids[n]) },
		"graph":     func(n int) string { return "/indicators/graph/" + string(ids[n]) },
	}
}

// waiting is how many holds wait beside the large one.
const waiting = 40

// furnish brings what the screens show: indicators up to so many, of which n have
// words in both languages and held wait for two officers in one hold, other holds,
// warnings, and objects with very much on them.
func (p *pair) furnish(b *testing.B, whole, n, held int) {
	b.Helper()
	a, err := p.usa.Node.Watch.Armed(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if a.Indicators < whole {
		p.usa.Import("trails.tsv", "tlp:red", trails(b, 0, whole))
	}
	p.usa.Import("worded.json", "tlp:red", worded(n))
	p.usa.Import("hubs.json", "tlp:red", hubs(asked/10, n/100))
	p.usa.Import("warnings.json", "tlp:red", warnings("known", n/100))
	p.usa.Import("held.txt", "tlp:amber", fresh("held", held))
	for i := range waiting {
		name := fmt.Sprintf("waits%d", i)
		p.usa.Import(name+".txt", "tlp:amber", fresh(name, 2))
	}
	p.usa.Settle()
	if err := crew.Until(b.Context(), 10*time.Minute, "full text of all", func() (bool, error) {
		_, behind, err := p.usa.Node.Store.Search(b.Context(), "trails", store.Along{Limit: 1})
		return behind == 0, err
	}); err != nil {
		b.Fatal(err)
	}
}

// console measures how long a node's screens take that holds so much: just
// started, and then again, and then while 200 consoles are open.
func (p *pair) console(b *testing.B, whole, n, held int) {
	p.furnish(b, whole, n, held)
	p.usa.Stop()
	p.usa.Start()
	r := visitor(b, p.usa, "duty")
	auditor := visitor(b, p.usa, "admin")
	took := map[string][2][]time.Duration{}
	paths := screens(b, p.usa)
	for round := range 2 {
		for name, path := range paths {
			get, both := r, took[name]
			if name == "audit" {
				get = auditor
			}
			for i := range asked {
				both[round] = append(both[round], get.get(path(i)))
			}
			took[name] = both
		}
	}
	slowest := 0.0
	for name, both := range took {
		slowest = max(slowest, p95(both[0]))
		b.Logf("just after a start: %s, p95 %.1f ms", name, p95(both[0]))
		b.ReportMetric(p95(both[1]), "ms-p95-"+name)
	}
	b.ReportMetric(slowest, "ms-p95-cold")
	var none []time.Duration
	for range asked {
		none = append(none, r.get("/static/htmx.LICENSE.txt"))
	}
	b.ReportMetric(p95(none), "ms-p95-file")
	b.ReportMetric(float64(r.weigh("/", `(?:href|src)="(/static/[^"]+)"`, true)), "B-first-load")
	b.ReportMetric(float64(r.weigh("/", `hx-get="([^"]+)" hx-trigger="[^"]*warnings from:body`, false)), "B-update")
	p.opened(b, r, 200)
	p.released(b)
}

// released has the partner's console open: how long, at the worst, it takes from when
// the second officer sets out to sign a FLASH until that console shows it.
func (p *pair) released(b *testing.B) {
	b.Helper()
	there, worst := visitor(b, p.jpn, "duty"), time.Duration(0)
	for n := range 10 {
		id, about := warningID("released", n), stix.DeriveID("indicator", [16]byte{9}, fmt.Sprint("released", n))
		const times = `"spec_version":"2.1","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z"`
		p.usa.Import(fmt.Sprintf("released%d.json", n), "tlp:green", strings.NewReader(fmt.Sprintf(
			`{"type":"indicator","id":%[2]q,%[3]s,"pattern":"[domain-name:value = 'released%[1]d.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`+"\n"+
				`{"type":"report","id":%[4]q,%[3]s,"name":"Released","published":"2026-01-01T00:00:00Z","report_types":["threat-report"],"object_refs":[%[2]q],"extensions":{%[5]q:{"extension_type":"property-extension","severity":"high","precedence":"flash","action":"block"}}}`,
			n, about, times, id, noroshi.WarningExtension)))
		p.usa.Settle()
		var holds []web.HoldRow
		p.usa.Must("release.list", web.HoldRef{Urgent: true}, &holds)
		if len(holds) == 0 || holds[0].Precedence != noroshi.Flash {
			b.Fatalf("no FLASH waits: %+v", holds)
		}
		if err := p.usa.Crew.Approve(b.Context(), holds[0].ID, "release1"); err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		var ready, told sync.WaitGroup
		ready.Add(1)
		told.Go(func() { there.console(ctx, &ready, string(id)) })
		ready.Wait()
		start := time.Now()
		if err := p.usa.Crew.Approve(b.Context(), holds[0].ID, "release2"); err != nil {
			b.Fatal(err)
		}
		told.Wait()
		worst = max(worst, time.Since(start))
		cancel()
	}
	b.ReportMetric(float64(worst.Milliseconds()), "ms-released-shown")
}

// opened has so many consoles open. One warning comes: every one of them is told
// and fetches what its page shows of it, while somebody else goes on looking at
// pages.
func (p *pair) opened(b *testing.B, r *visiting, n int) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	var ready, told sync.WaitGroup
	ready.Add(n)
	for range n {
		told.Go(func() { r.console(ctx, &ready, string(warningID("late", 0))) })
	}
	ready.Wait()
	start := time.Now()
	done := make(chan struct{})
	go func() { told.Wait(); close(done) }()
	p.usa.Import("late.json", "tlp:red", warnings("late", 1))
	var took []time.Duration
	for under := true; under || len(took) < asked; {
		took = append(took, r.get("/indicators?q=campaign"))
		select {
		case <-done:
			if under {
				b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-all-told")
			}
			under = false
		default:
		}
	}
	b.ReportMetric(float64(r.shown.Load()), "consoles-told")
	b.ReportMetric(p95(took), "ms-p95-opened")
}

func p95(took []time.Duration) float64 {
	slices.Sort(took)
	return float64(took[len(took)*95/100].Microseconds()) / 1000
}

// visiting is a person who has signed in.
type visiting struct {
	b     *testing.B
	base  string
	http  http.Client
	shown atomic.Int64 // consoles of theirs that showed what came
}

// visitor signs a person in.
func visitor(b *testing.B, p *nodetest.Party, person string) *visiting {
	b.Helper()
	var st web.Status
	p.Must("status", nil, &st)
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	v := &visiting{b: b, base: strings.TrimSuffix(st.Console, "/"), http: http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 500}}}
	b.Cleanup(v.http.CloseIdleConnections)
	res, err := v.http.PostForm(v.base+"/signin", url.Values{"person": {person}, "passphrase": {nodetest.Passphrase}})
	if _, err := v.read(res, err); err != nil {
		b.Fatal(err)
	}
	return v
}

// read reads an answer that shows a page.
func (v *visiting) read(res *http.Response, err error) (body []byte, _ error) {
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || strings.HasSuffix(res.Request.URL.Path, "/signin")) {
		err = fmt.Errorf("%s: %s", res.Request.URL, res.Status)
	}
	return body, err
}

// get asks for a page and says how long that took.
func (v *visiting) get(path string) time.Duration {
	v.b.Helper()
	start := time.Now()
	if _, err := v.read(v.http.Get(v.base + path)); err != nil {
		v.b.Fatal(err)
	}
	return time.Since(start)
}

// weigh is how many bytes a browser gets, packed, of what a page names in one way,
// and of the page itself where that is asked for.
func (v *visiting) weigh(path, names string, itself bool) (n int) {
	v.b.Helper()
	body, err := v.read(v.http.Get(v.base + path))
	if err != nil {
		v.b.Fatal(err)
	}
	wanted := []string{}
	if itself {
		wanted = append(wanted, path)
	}
	for _, m := range regexp.MustCompile(names).FindAllSubmatch(body, -1) {
		wanted = append(wanted, html.UnescapeString(string(m[1])))
	}
	for _, path := range wanted {
		q, err := http.NewRequest(http.MethodGet, v.base+path, nil)
		if err != nil {
			v.b.Fatal(err)
		}
		q.Header.Set("Accept-Encoding", "gzip") // as it comes
		if !itself {
			q.Header.Set("HX-Request", "true")
		}
		body, err := v.read(v.http.Do(q))
		if err != nil {
			v.b.Fatal(err)
		}
		n += len(body)
	}
	return n
}

// console is one open page: it says when its stream stands, and counts as having
// shown a text when it was told of warnings and fetched what has it.
func (v *visiting) console(ctx context.Context, ready *sync.WaitGroup, text string) {
	res, err := v.ask(ctx, "/live")
	if err != nil {
		v.b.Error(err)
		ready.Done()
		return
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for stands := false; lines.Scan(); {
		if !stands {
			stands = true
			ready.Done()
		}
		if lines.Text() != "event: warnings" {
			continue
		}
		for _, part := range []string{"/?part=need", "/rail?here=picture", "/?part=warnings"} {
			body, err := v.read(v.ask(ctx, part))
			if err != nil {
				v.b.Error(err)
				return
			}
			if bytes.Contains(body, []byte(text)) {
				v.shown.Add(1)
				return
			}
		}
	}
	v.b.Errorf("a stream ended: %v", lines.Err())
}

// ask asks as a page does by itself.
func (v *visiting) ask(ctx context.Context, path string) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+path, nil)
	if err != nil {
		return nil, err
	}
	q.Header.Set("HX-Request", "true")
	return v.http.Do(q)
}
