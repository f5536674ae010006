package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/cable"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
	"github.com/noroshi-cti/noroshi/stix"
)

// twofold is two allied nodes that reach each other by https, which can be cut,
// and by mail.
func twofold(t *testing.T) (usa, jpn *nodetest.Party, cut func()) {
	t.Helper()
	var cables []*cable.Cable
	make := func(sign noroshi.CallSign, mine, relay string) *nodetest.Party {
		listen, address := nodetest.Free(t), "noroshi@"+strings.ToLower(string(sign))+".example"
		c, err := cable.Lay(t.Context(), listen)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Cut)
		cables = append(cables, c)
		config := node.Config{CallSign: sign, Listen: listen, Heartbeat: time.Second, Endpoints: []string{"https://" + c.From(), "mailto:" + address},
			Mail: node.MailConfig{From: address, Listen: mine, Relay: relay, Security: "none", Turn: time.Second}}
		dir := filepath.Join(t.TempDir(), strings.ToLower(string(sign)))
		if err := node.Init(t.Context(), dir, config); err != nil {
			t.Fatal(err)
		}
		return nodetest.In(t, dir, sign, noroshi.Real)
	}
	atUSA, atJPN := nodetest.Free(t), nodetest.Free(t)
	usa, jpn = make("USA-01", atUSA, atJPN), make("JPN-01", atJPN, atUSA)
	if _, err := crew.Introduce(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
		t.Fatal(err)
	}
	var text string
	usa.Must("agreement.draft", web.DraftRef{With: jpn.Sign}, &text)
	text = strings.Replace(text, `channels = ["https"]`, `channels = ["https", "mail"]`, 1)
	if _, err := crew.Sign(t.Context(), &usa.Crew, &jpn.Crew, []byte(text)); err != nil {
		t.Fatal(err)
	}
	jpn.Stop() // the first minute has more changes of path than go on record one by one
	jpn.Start()
	jpn.Until("both ways answer", func() (bool, error) {
		var l courier.LinkStatus
		jpn.Must("link.show", web.PartnerRef{Partner: "USA-01"}, &l)
		n := 0
		for _, p := range l.Paths {
			if p.State == "proven" && p.Kind != noroshi.ChannelMedia {
				n++
			}
		}
		return l.Up && n == 2, nil
	})
	return usa, jpn, func() {
		for _, c := range cables {
			c.Cut()
		}
	}
}

// warnOf has a duty officer warn of an indicator imported for it; two officers
// let it go.
func warnOf(t *testing.T, p *nodetest.Party, precedence noroshi.Precedence, en, ja string) stix.ID {
	t.Helper()
	p.Import(en+".txt", "tlp:green", strings.NewReader(strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(en, ",", ""), " ", "-"))+".example.net\n"))
	recs, err := p.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 1000})
	if err != nil || len(recs) == 0 {
		t.Fatalf("%d indicators: %v", len(recs), err)
	}
	d := watch.Draft{ID: stix.NewID("report"), TitleEN: en, TitleJA: ja, TextEN: "Block it at the border.", TextJA: "境界で遮断してください。", Severity: noroshi.High,
		Precedence: precedence, Action: "block", Refs: []stix.ID{recs[len(recs)-1].Object.ID}, Marking: "tlp:amber"}
	by, err := p.Signed(t.Context(), "duty", noroshi.ActWarn, string(d.ID), d.Bound())
	if err != nil {
		t.Fatal(err)
	}
	p.Must("warning.new", web.NewWarning{Draft: d, By: by}, nil)
	p.Settle()
	p.Approve()
	return d.ID
}

// TestFlashWhileThePageIsOpen: a FLASH that comes while pages are open shows in
// the title, in its row, in the rail and once to who listens, in either language;
// it is acknowledged, and every page knows, the one of whoever sent it too. Then HTTPS is cut, and the change of
// path is seen with its reason.
func TestFlashWhileThePageIsOpen(t *testing.T) {
	t.Parallel()
	usa, jpn, cut := twofold(t)
	en, ja := consoletest.Open(t, consoleOf(jpn)), consoletest.Open(t, consoleOf(jpn))
	en.SignIn("duty", nodetest.Passphrase, "en")
	ja.SignIn("duty", nodetest.Passphrase, "ja")
	ja.Go("/warnings") // any page tells
	id := warnOf(t, usa, noroshi.Flash, "Wiper staged on grid dispatch servers", "給電指令サーバにワイパー型マルウェアの仕掛け")
	for _, x := range []struct {
		p           *consoletest.Page
		title, said string
	}{
		{en, "(1) FLASH · Picture", "A FLASH warning has come from USA-01."},
		{ja, "(1) FLASH · 警報", "USA-01 から特別緊急の警報を受信しました。"},
	} {
		x.p.Shows(`tr.new.pulse[data-flash="` + string(id) + `"]`)
		x.p.Until(fmt.Sprintf(`document.title.startsWith(%q) && document.getElementById("say").textContent === %q`, x.title, x.said))
		x.p.Shows(`nav .cnt.hot`)
		x.p.Until(`document.querySelector("link[rel=icon]").href.includes("flash.svg")`)
	}
	en.Shows(`.sit.crit a[href="/warnings/` + string(id) + `"]`)
	en.Until(`document.getElementById("band").textContent.includes("TLP:AMBER")`)
	look(t, en, "picture-flash-en")
	look(t, ja, "warnings-flash-ja")
	there := consoletest.Open(t, consoleOf(usa))
	there.SignIn("duty", nodetest.Passphrase, "ja")
	there.Go("/warnings/" + string(id))
	there.Until(`document.getElementById("receipts").textContent.includes("JPN-01")`)

	en.Click(`tr[data-flash] .btn`)
	en.Type(`#acknowledge input[name=passphrase]`, nodetest.Passphrase+"\r")
	en.Shows(`.said`)
	look(t, en, "warning-acknowledged-en")
	ja.Until(`!document.title.includes("FLASH") && !document.querySelector("tr[data-flash]")`)
	there.Until(`document.getElementById("receipts").textContent.includes("当直幹部") && document.getElementById("receipts").textContent.includes("HTTPS")`)
	look(t, there, "warning-ja")

	counted(t, usa, jpn)

	ja.Go("/")
	en.Go("/")
	cut()
	for _, p := range []*consoletest.Page{en, ja} {
		p.Until(`document.querySelector(".ev li") && [].some.call(document.querySelectorAll(".lk .now"), n => !n.parentNode.previousElementSibling.matches(".nm"))`)
	}
	en.Until(`document.querySelector(".ev").textContent.includes("now Mail")`)
	ja.Until(`document.querySelector(".ev").textContent.includes("→ メール")`)
	en.Until(`document.querySelector(".lk .nt").textContent.includes("back to HTTPS")`)
	en.Until(`document.querySelector(".sit h1").textContent.includes("USA-01 is reached by mail")`)
	look(t, en, "picture-cut-en")
	look(t, ja, "picture-cut-ja")
}

// counted has telemetry of JPN-01 meet the indicator that came from USA-01: both
// pictures say what went, what was seen, and how long the partner took.
func counted(t *testing.T, usa, jpn *nodetest.Party) {
	t.Helper()
	recs, err := jpn.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 10})
	if err != nil || len(recs) != 1 {
		t.Fatalf("%d indicators: %v", len(recs), err)
	}
	hit := detect.Hit{Indicator: recs[0].Object.ID, Strength: detect.Strong, Time: time.Now(), Log: "dns.log",
		Value: noroshi.Value{Kind: noroshi.DomainName, Text: recs[0].Object.Text("name")}}
	later := hit
	later.Time = hit.Time.Add(time.Second)
	if _, err := jpn.Node.Watch.Observe(t.Context(), "zeek-kanto", []detect.Hit{hit, later}); err != nil {
		t.Fatal(err)
	}
	if err := jpn.Node.Watch.Finish(t.Context(), "zeek-kanto"); err != nil {
		t.Fatal(err)
	}
	sum := func(p *nodetest.Party) (x web.Picture, received, sent int) {
		p.Until("the day is counted", func() (bool, error) {
			x = web.Picture{} // an answer leaves out what is false
			p.Must("picture", nil, &x)
			return !x.Counting, nil
		})
		for _, h := range x.Hours {
			received, sent = received+h.Received, sent+h.Sent
		}
		return x, received, sent
	}
	x, received, sent := sum(jpn)
	if len(x.Hours) != 24 || received != 1 || sent != 0 || x.Seen != (web.Seen{Hits: 2, Indicators: 1}) {
		t.Errorf("JPN-01 counts %d hours, %d received, %d sent, %+v seen", len(x.Hours), received, sent, x.Seen)
	}
	if len(x.Sensors) != 1 || x.Sensors[0].Sensor != "zeek-kanto" || x.Sensors[0].Hits != 2 {
		t.Errorf("JPN-01 heard %+v", x.Sensors)
	}
	x, received, sent = sum(usa)
	if received != 0 || sent != 1 || len(x.Links) != 1 {
		t.Fatalf("USA-01 counts %d received, %d sent over %d links", received, sent, len(x.Links))
	}
	if r := x.Links[0].Reach; r.Count == 0 || r.Median <= 0 || r.P95 < r.Median {
		t.Errorf("USA-01 reached JPN-01: %+v", r)
	}
	if strip := x.Links[0].Strip; len(strip) != 48 || strip[0] != web.StripUnknown || strip[47] == web.StripUnknown {
		t.Errorf("the link's day: %v", strip)
	}
}

// TestLostStream: a page whose stream is gone says since when its figures are,
// asks by itself meanwhile, and goes on when the stream is there again.
func TestLostStream(t *testing.T) {
	t.Parallel()
	party := nodetest.New(t, "JPN-01", noroshi.Real)
	target, err := url.Parse(strings.TrimSuffix(consoleOf(party), "/"))
	if err != nil {
		t.Fatal(err)
	}
	var lost atomic.Bool
	var streams atomic.Int64
	through := httputil.NewSingleHostReverseProxy(target)
	through.Transport = &http.Transport{TLSClientConfig: insecure()}
	through.FlushInterval = -1
	proxy := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/live" {
			if lost.Load() {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			streams.Add(1)
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	p := consoletest.Open(t, proxy.URL)
	p.SignIn("duty", nodetest.Passphrase, "en")
	p.Until(`document.getElementById("lost").hidden`)
	party.Until("the stream stands", func() (bool, error) { return streams.Load() > 0, nil })
	p.Expect("htmx")
	lost.Store(true)
	proxy.CloseClientConnections()
	p.Shows(`#lost`)
	if text := p.Text(`#lost`); !strings.Contains(text, "JST") {
		t.Errorf("the bar has no time: %s", text)
	}
	look(t, p, "lost-en")
	id := warnOf(t, party, noroshi.Flash, "Came meanwhile", "この間に受信")
	p.Shows(`tr[data-flash="` + string(id) + `"]`)
	p.Until(`!document.getElementById("lost").hidden`)
	lost.Store(false)
	p.Until(`document.getElementById("lost").hidden`)
}
