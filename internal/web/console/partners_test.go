package console_test

import (
	"bytes"
	"encoding/base64"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// desk is a browser at one node, at which persons sit down in turn.
type desk struct {
	*consoletest.Page
	t    *testing.T
	sign noroshi.CallSign // of the node
	lang locale.Lang
}

func deskAt(t *testing.T, p *nodetest.Party, lang locale.Lang) desk {
	return desk{consoletest.Open(t, consoleOf(p)), t, p.Sign, lang}
}

func (d desk) sits(person string) {
	d.t.Helper()
	if consoletest.Value(d.Page, chromedp.Evaluate[bool](`document.querySelector("form.who") !== null`)) {
		d.Click("form.who button")
		d.Shows("input[name=person]")
	}
	d.SignIn(person, nodetest.Passphrase, string(d.lang))
}

// signs fills in the passphrase of a form and sends it with its button.
func (d desk) signs(form string) {
	d.t.Helper()
	d.Type(form+" input[name=passphrase]", nodetest.Passphrase)
	d.Click(form + " .sign button")
}

// says waits for a word about what a form did, in the language of the desk.
func (d desk) says(class, key string, args ...any) {
	d.t.Helper()
	d.Do(chromedp.WaitVisible(chromedp.Search(`//main/p[@class="` + class + `"][.="` + locale.T(d.lang, key, args...) + `"]`)))
}

// card makes the node's card for a partner and returns it as a file.
func (d desk) card(with noroshi.CallSign) (file string) {
	d.t.Helper()
	d.Go("/partners")
	d.Click(`a[href="/partners/introduce"]`)
	d.Type(`input[name=for]`, string(with))
	d.signs(`form[action="/partners/card"]`)
	d.says("said", "console.said.card-made")
	text := consoletest.Value(d.Page, chromedp.Evaluate[string](`document.getElementById("card-text").value`))
	card, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		d.t.Fatal(err)
	}
	file = filepath.Join(d.t.TempDir(), string(d.sign)+".card")
	if err := os.WriteFile(file, card, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return file
}

// receives hands a partner's card in.
func (d desk) receives(file string) {
	d.t.Helper()
	d.Do(chromedp.SetUploadFiles(chromedp.CSS(`input[name=card]`), []string{file}))
	d.signs(`form[action="/partners/receive"]`)
	d.says("said", "console.said.card-received")
}

// reads returns the fingerprint that is read aloud here.
func (d desk) reads() string {
	d.t.Helper()
	return strings.Join(strings.Fields(d.Text("#voice ol.pt-fp")), " ")
}

func (d desk) hears(fingerprint string) {
	d.t.Helper()
	d.Do(chromedp.SetValue(chromedp.CSS(`textarea[name=fingerprint]`), fingerprint))
	d.signs(`#voice form`)
}

// TestIntroduceAndAgreeInABrowser: two nodes, one in English and one in Japanese,
// become partners and put an agreement in force with nothing but their consoles.
// What a second person does elsewhere, and the partner, shows on pages that are
// open. A fingerprint that is not the partner's is refused with the reason, and
// whoever may not introduce finds no way to.
func TestIntroduceAndAgreeInABrowser(t *testing.T) {
	t.Parallel()
	usaNode, jpnNode := nodetest.New(t, "USA-01", noroshi.Real), nodetest.New(t, "JPN-01", noroshi.Real)
	usa, jpn := deskAt(t, usaNode, locale.EN), deskAt(t, jpnNode, locale.JA)
	duty := seat(t, usaNode, "duty")
	_, empty := duty.get("/partners")
	if !strings.Contains(empty, locale.T(locale.EN, "console.partners.empty")) || strings.Contains(empty, "/introduce") {
		t.Errorf("a duty officer sees:\n%s", empty)
	}

	usa.sits("liaison")
	look(t, usa.Page, "partners-empty-en")
	jpn.sits("liaison")
	usaCard, jpnCard := usa.card("JPN-01"), jpn.card("USA-01")
	look(t, usa.Page, "introduce-card-en")
	usa.receives(jpnCard)
	jpn.receives(usaCard)
	usaReads, jpnReads := usa.reads(), jpn.reads()
	look(t, jpn.Page, "introduce-voice-ja")

	usa.hears(usaReads) // our own read back is not theirs
	usa.says("problem", "error.partner.fingerprint", jpnNode.Node.Keys.NodeID().String())
	if status, body := duty.get("/partners/JPN-01/introduce"); status != http.StatusNotFound || groups.MatchString(body) {
		t.Errorf("a duty officer finds the introduction: %d\n%s", status, body)
	}
	if status, _ := duty.post("/partners/JPN-01/heard", "fingerprint", jpnReads, "passphrase", nodetest.Passphrase); status != http.StatusNotFound {
		t.Errorf("a duty officer confirms: %d", status)
	}

	usa.Go("/partners/JPN-01/introduce")
	usa.hears(jpnReads)
	usa.says("said", "console.said.heard")
	jpn.hears(strings.ReplaceAll(usaReads, " ", "　"))
	jpn.says("said", "console.said.heard")
	seat(t, usaNode, "admin").signed("/partners/JPN-01/heard", locale.T(locale.EN, "console.said.introduced"), "fingerprint", jpnReads)
	usa.Shows(`#introduction-state[data-step="4"]`) // by itself
	look(t, usa.Page, "introduce-wait-en")
	seat(t, jpnNode, "admin").signed("/partners/USA-01/heard", locale.T(locale.EN, "console.said.introduced"), "fingerprint", usaReads)
	usa.Shows(`#introduction-state[data-step="5"]`) // by itself
	jpn.Shows(`#introduction-state[data-step="5"]`)

	at := proposes(t, usa)
	usa.agrees(at["USA-01"])
	seat(t, usaNode, "release2").signed(at["USA-01"]+"/sign", locale.T(locale.EN, "console.said.agreement-partner"))
	jpn.agrees(at["JPN-01"])
	seat(t, jpnNode, "release2").signed(at["JPN-01"]+"/sign", locale.T(locale.EN, "console.said.agreement-in-force"))
	usa.Shows(`#signatures [data-state="in-force"]`) // the other signatures come while the page is open
	jpn.Shows(`#signatures [data-state="in-force"]`)
	lookAll(t, usa, jpn, at)
}

// proposes draws an agreement up with the clause editor and proposes it, and
// returns where it stands at each node.
func proposes(t *testing.T, usa desk) map[noroshi.CallSign]string {
	t.Helper()
	usa.sits("liaison")
	usa.Go("/partners/JPN-01/draft")
	usa.Click(`button[value="edit:2"]`)
	usa.Do(chromedp.SetValue(chromedp.CSS(`select[name="f0.max-tlp"]`), "3"))
	look(t, usa.Page, "draft-clause-en")
	usa.Click(`button[value="put:2"]`)
	usa.Do(chromedp.WaitVisible(chromedp.Search(`//section[@id="clause-2"]//pre[contains(., "resource.level <= 3 &&")]`)))
	usa.Click(`button[value="rehearse"]`)
	usa.Shows("#rehearsal")
	usa.Click(`button[value="review"]`)
	usa.signs("#review form")
	usa.says("said", "console.said.proposed")
	hash := usa.Text(".hd .pt-hash")
	return map[noroshi.CallSign]string{"USA-01": "/partners/JPN-01/agreements/" + hash, "JPN-01": "/partners/USA-01/agreements/" + hash}
}

// agrees has a release officer find the agreement and sign it.
func (d desk) agrees(at string) {
	d.t.Helper()
	d.sits("release1")
	d.Go("/partners")
	d.Click(`#agreements a[href="` + at + `"]`)
	d.signs("#signing form")
	d.says("said", "console.said.second-officer")
}

// seat is a browser without script at which a person is signed in.
func seat(t *testing.T, p *nodetest.Party, person string) *reader {
	t.Helper()
	r := newReader(t, p)
	r.signIn(person)
	return r
}

// lookAll keeps pictures of what stands at the end.
func lookAll(t *testing.T, usa, jpn desk, at map[noroshi.CallSign]string) {
	t.Helper()
	if os.Getenv("NOROSHI_PICTURES") == "" {
		return
	}
	for _, x := range []struct {
		desk
		other string
	}{{usa, "JPN-01"}, {jpn, "USA-01"}} {
		for _, theme := range []string{"light", "dark"} {
			if theme == "dark" {
				x.Click("button[name=theme]")
				x.Shows("[data-theme=dark]")
			}
			for name, path := range map[string]string{"list": "/partners", "show": "/partners/" + x.other, "agreement": at[x.sign]} {
				x.Go(path)
				look(t, x.Page, "partners-"+name+"-"+string(x.lang)+"-"+theme)
			}
		}
		x.Size(390, 844)
		for name, path := range map[string]string{"list": "/partners", "show": "/partners/" + x.other, "agreement": at[x.sign]} {
			x.Go(path)
			look(t, x.Page, "partners-"+name+"-"+string(x.lang)+"-phone")
		}
		x.Size(1440, 900)
	}
}

var (
	groups = regexp.MustCompile(`(?s)<ol class="pt-fp mono".*?</ol>`)
	five   = regexp.MustCompile(`<li>(\d{5})</li>`)
	raw    = regexp.MustCompile(`(?s)<textarea[^>]*name="file"[^>]*>\n?(.*?)</textarea>`)
	cards  = regexp.MustCompile(`(?s)<textarea[^>]*id="card-text">(.*?)</textarea>`)
	hashes = regexp.MustCompile(`/agreements/([0-9a-f]{64})`)
)

// signed sends a form that the reader signs, and finds a text in the answer.
func (r *reader) signed(path, want string, fields ...string) string {
	r.t.Helper()
	_, body := r.post(path, append(fields, "passphrase", nodetest.Passphrase)...)
	if !strings.Contains(body, html.EscapeString(want)) {
		r.t.Fatalf("%s: not %q in\n%s", path, want, body)
	}
	return body
}

// TestIntroduceAndAgreeWithoutScript: the same way with links and forms alone. What
// is signed and what is refused is told in words; foreign and unknown ids are not
// there.
func TestIntroduceAndAgreeWithoutScript(t *testing.T) {
	t.Parallel()
	en := func(key string, args ...any) string { return locale.T(locale.EN, key, args...) }
	nodes := []*nodetest.Party{nodetest.New(t, "USA-01", noroshi.Real), nodetest.New(t, "AUS-01", noroshi.Real)}
	liaison := []*reader{seat(t, nodes[0], "liaison"), seat(t, nodes[1], "liaison")}
	card, reads := make([]string, 2), make([]string, 2)
	for i, r := range liaison {
		r.post("/partners/card", "for", string(nodes[1-i].Sign), "passphrase", "wrong-passphrase")
		body := r.signed("/partners/card", en("console.said.card-made"), "for", string(nodes[1-i].Sign))
		card[i] = html.UnescapeString(cards.FindStringSubmatch(body)[1])
		status, file := r.get("/partners/" + string(nodes[1-i].Sign) + "/card")
		if text, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(card[i]), "")); status != http.StatusOK || err != nil || string(text) != file {
			t.Errorf("the card as a file and as text differ: %d, %v", status, err)
		}
	}
	for i, r := range liaison {
		if status, body := r.upload("/partners/receive", "text", card[1-i][:40]); status != http.StatusUnprocessableEntity {
			t.Errorf("half a card: %d\n%s", status, body)
		}
		status, body := r.upload("/partners/receive", "text", card[1-i])
		if status != http.StatusOK || !strings.Contains(body, en("console.said.card-received")) {
			t.Fatalf("%d\n%s", status, body)
		}
		for _, g := range five.FindAllStringSubmatch(groups.FindString(body), -1) {
			reads[i] += g[1] + "\n"
		}
	}
	for i, r := range liaison {
		path := "/partners/" + string(nodes[1-i].Sign) + "/heard"
		r.signed(path, en("error.partner.fingerprint-form", 5), "fingerprint", "12345")
		r.signed(path, en("console.said.heard"), "fingerprint", reads[1-i])
		r.signed(path, en("error.partner.second-person", "liaison"), "fingerprint", reads[1-i])
		seat(t, nodes[i], "admin").signed(path, en("console.said.introduced"), "fingerprint", reads[1-i])
	}

	_, body := liaison[0].get("/partners/AUS-01/draft")
	file := strings.Replace(html.UnescapeString(raw.FindStringSubmatch(body)[1]), "version = 1\n", "version = 1\nflash_per_hour = 4\nemergency = { hours = 8 }\n", 1)
	if _, body := liaison[0].post("/partners/AUS-01/draft", "do", "review", "file", strings.Replace(file, "version = 1", "version = none", 1)); !strings.Contains(body, `class="problem"`) || strings.Contains(body, `id="review"`) {
		t.Errorf("a file that cannot be read may be proposed:\n%s", body)
	}
	drill := strings.Replace(file, `realm = "real"`, `realm = "exercise:kibou"`, 1)
	if status, body := liaison[0].post("/partners/AUS-01/draft", "do", "rehearse", "file", drill); status != http.StatusUnprocessableEntity || !strings.Contains(html.UnescapeString(body), `realm = "exercise:kibou"`) || !strings.Contains(body, `class="problem"`) {
		t.Errorf("rehearsed for another realm: %d\n%s", status, body)
	}
	body = liaison[0].signed("/partners/AUS-01/propose", en("console.said.proposed"), "file", file)
	hash := hashes.FindStringSubmatch(body)[1]
	for i, p := range nodes {
		path := "/partners/" + string(nodes[1-i].Sign) + "/agreements/" + hash
		p.Until("the proposal, signed by who made it", func() (bool, error) {
			status, body := liaison[i].get(path)
			return status == http.StatusOK && strings.Count(body, `<div class="done">`) == i, nil
		})
		seat(t, p, "release1").signed(path+"/sign", en("console.said.second-officer"))
		seat(t, p, "release2").signed(path+"/sign", en([]string{"console.said.agreement-partner", "console.said.agreement-in-force"}[i]))
	}
	officers := []*reader{seat(t, nodes[0], "release1"), seat(t, nodes[0], "release2")}
	nodes[0].Until("the agreement in force", func() (bool, error) {
		_, body := liaison[0].get("/partners/AUS-01/agreements/" + hash)
		return strings.Contains(body, `data-state="in-force"`), nil
	})
	if _, body := liaison[0].get("/partners/AUS-01/draft"); !strings.Contains(body, "version = 2") || !strings.Contains(body, "<mark>2</mark>") || !strings.Contains(body, "flash_per_hour = 4") {
		t.Errorf("a new version of the agreement in force:\n%s", body)
	}
	linkTold(t, nodes, officers[0], en)
	measures(t, officers, en)

	for _, path := range []string{"/partners/NZL-01", "/partners/AUS-01/agreements/" + strings.Repeat("0", 64), "/partners/AUS-01/agreements/x", "/partners/NZL-01/draft", "/partners/x/introduce"} {
		if status, body := liaison[0].get(path); status != http.StatusNotFound || !strings.Contains(body, en("console.screen.nowhere")) {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// linkTold: the page of a partner tests the link, compares holdings, and tells of
// changes of path and of what was shared.
func linkTold(t *testing.T, nodes []*nodetest.Party, officer *reader, en func(string, ...any) string) {
	t.Helper()
	if _, body := officer.post("/partners/AUS-01/test"); !strings.Contains(body, `class="said"`) {
		t.Errorf("test of the link:\n%s", body)
	}
	nodes[0].Until("both holding the same", func() (bool, error) { // the first things released are on their way
		_, body := officer.post("/partners/AUS-01/compare")
		return strings.Contains(body, en("console.partners.alike")), nil
	})
	for range 12 {
		act := noroshi.Act{Action: noroshi.ActChangePath, Subject: "https > mail, silent", Partner: nodes[1].Node.Keys.NodeID(), Count: 1}
		if _, err := nodes[0].Node.Store.Do(t.Context(), act, func(tx *store.Tx) error { return tx.Notice(store.StreamChanged, "") }); err != nil {
			t.Fatal(err)
		}
	}
	_, body := officer.get("/partners/AUS-01")
	older := regexp.MustCompile(`href="(/partners/AUS-01\?before=\d+)#changes"`).FindStringSubmatch(body)
	silent := en("switch.silent", "HTTPS → Mail")
	if n := strings.Count(body, silent); n != 10 || older == nil {
		t.Fatalf("%d changes of path, older at %q:\n%s", n, older, body)
	}
	if _, body := officer.get(older[1]); strings.Count(body, silent) != 2 {
		t.Errorf("older changes of path:\n%s", body)
	}
	nodes[0].Until("something shared", func() (bool, error) {
		_, body := officer.get("/partners/AUS-01")
		return strings.Contains(body, "Article 1</small>"), nil
	})
}

// measures has two officers order what two must order: the second finds what the
// first has signed.
func measures(t *testing.T, officers []*reader, en func(string, ...any) string) {
	t.Helper()
	last := time.Now().AddDate(0, 0, 20).Format(time.DateOnly)
	for _, m := range []struct {
		page, path string
		fields     []string
		want       string // on the page when it is done
	}{
		{"/partners/AUS-01", "/partners/AUS-01/standing", []string{"types", "indicator", "max-tlp", "TLP:GREEN", "per-hour", "2", "until", last}, "indicator up to TLP:GREEN, at most 2 an hour"},
		{"/partners/AUS-01", "/partners/AUS-01/emergency", []string{"hours", "3"}, "Emergency until"},
		{"/partners/AUS-01", "/partners/AUS-01/suspend", nil, en("console.partners.suspended-here")},
		{"/partners/AUS-01", "/partners/AUS-01/resume", nil, en("trust.in-force")},
	} {
		officers[0].signed(m.path, en("console.said.second-officer"), m.fields...)
		if _, body := officers[0].get(m.page); strings.Contains(body, `name="order"`) {
			t.Errorf("%s: who has signed may sign again", m.path)
		}
		_, body := officers[1].get(m.page)
		order := regexp.MustCompile(`name="order" value="([0-9a-f]{64})"`).FindStringSubmatch(body)
		if order == nil {
			t.Fatalf("%s: the order that waits is not there:\n%s", m.path, body)
		}
		body = officers[1].signed(m.page+"/orders", en("console.said.ordered"), "order", order[1])
		if !strings.Contains(body, html.EscapeString(m.want)) {
			t.Errorf("%s: not %q in\n%s", m.path, m.want, body)
		}
	}
	officers[0].signed("/partners/AUS-01/emergency", en("error.agreement.emergency-hours", 8), "hours", "9")

	asked := func(ago time.Duration) string { // what a passkey must sign follows from the form, which is sent twice
		_, challenge := officers[0].post("/partners/AUS-01/suspend", "passkey", "ask", "at", time.Now().Add(-ago).UTC().Format(time.RFC3339))
		return challenge
	}
	if a, b := asked(time.Hour), asked(2*time.Hour); a == b || !strings.Contains(a, "challenge") {
		t.Errorf("a passkey is asked for %s and %s", a, b)
	}
}

// upload sends a form that can bring a file along, signed.
func (r *reader) upload(path string, fields ...string) (int, string) {
	r.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i+1 < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := w.WriteField("passphrase", nodetest.Passphrase); err != nil {
		r.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		r.t.Fatal(err)
	}
	res, err := r.http.Post(r.base+path, w.FormDataContentType(), io.Reader(&b))
	return r.read(res, err)
}
