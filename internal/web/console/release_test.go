package console_test

import (
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// releasing is JPN-01 and USA-01 under an agreement by which indicators of a
// node's own say less exactly since when they are valid.
func releasing(t *testing.T) (jpn, usa *nodetest.Party) {
	t.Helper()
	jpn, usa = nodetest.New(t, "JPN-01", noroshi.Real), nodetest.New(t, "USA-01", noroshi.Real)
	if _, err := crew.Introduce(t.Context(), &jpn.Crew, &usa.Crew); err != nil {
		t.Fatal(err)
	}
	var text string
	jpn.Must("agreement.draft", web.DraftRef{With: "USA-01", Days: 365}, &text)
	second := strings.Index(text, `id = "3"`)
	second = strings.LastIndex(text[:second], "[[clause]]")
	text = text[:second] + "[[clause.generalise]]\ntype = \"indicator\"\nselector = \"valid_from\"\nhow = \"hour\"\n\n" + text[second:]
	if _, err := crew.Sign(t.Context(), &jpn.Crew, &usa.Crew, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return jpn, usa
}

const (
	flash     = "report--00000000-0000-4000-8000-0000000000a1"
	indicated = "indicator--00000000-0000-4000-8000-0000000000a2"
	secret    = "note--00000000-0000-4000-8000-0000000000a3"
)

// terminal is a FLASH of which not everything may go: its description, a reference
// and a label are marked RED, and so is a note about it. Its translation says what
// it says.
func terminal() string {
	green, red := noroshi.Green.MarkingID(), noroshi.Red.MarkingID()
	head := func(id string) string {
		typ, _, _ := strings.Cut(id, "--")
		return fmt.Sprintf(`"type":%q,"spec_version":"2.1","id":%q,"created":"2026-11-24T05:20:00.000Z","modified":"2026-11-24T05:20:00.000Z"`, typ, id)
	}
	return `[{` + head(flash) + `,"lang":"ja","name":"港湾ターミナル管理システムへの遠隔ログイン","description":"保守業者用アカウントが使われ、接続時間帯は勤務シフトと一致する。","report_types":["threat-report"],` +
		`"published":"2026-11-24T05:20:00.000Z","object_refs":["` + indicated + `","` + secret + `"],"labels":["port","nagoya-n3"],"external_references":[{"source_name":"case","external_id":"2026/1187"}],` +
		`"extensions":{"` + string(noroshi.WarningExtension) + `":{"extension_type":"property-extension","severity":"critical","precedence":"flash","action":"block","number":"JPN-01/2026/7"}},` +
		fmt.Sprintf(`"object_marking_refs":[%q],"granular_markings":[{"marking_ref":%q,"selectors":["description","external_references","labels.[1]"]}]},`, green, red) +
		`{` + head("language-content--00000000-0000-4000-8000-0000000000a4") + `,"object_ref":"` + flash + `","object_modified":"2026-11-24T05:20:00.000Z","contents":{"en":{"name":"Remote logins to a port terminal system","description":"A vendor account is used; sessions follow the shift roster."}},` + fmt.Sprintf(`"object_marking_refs":[%q]},`, green) +
		`{` + head(indicated) + `,"name":"remote logins","pattern":"[ipv4-addr:value = '203.0.113.45']","pattern_type":"stix","valid_from":"2026-11-23T22:14:09.331Z",` + fmt.Sprintf(`"object_marking_refs":[%q]},`, green) +
		`{` + head(secret) + `,"content":"Tokai Example Terminal K.K.","object_refs":["` + indicated + `"],` + fmt.Sprintf(`"object_marking_refs":[%q]}]`, red)
}

// open returns the open holds of a party, the most urgent first.
func open(t *testing.T, p *nodetest.Party) (rows []web.HoldRow) {
	t.Helper()
	p.Settle()
	p.Must("release.list", web.HoldRef{Urgent: true}, &rows)
	return rows
}

// TestRelease plays the screen on one pair of nodes, from what waits to what was
// taken back.
func TestRelease(t *testing.T) {
	t.Parallel()
	jpn, usa := releasing(t)
	t.Run("two officers approve in a browser", func(t *testing.T) { twoOfficers(t, jpn, usa) })
	here := signedIn{jpn, map[string]*reader{}}
	t.Run("pages of a hold", func(t *testing.T) { holdPages(t, here) })
	t.Run("without a script", func(t *testing.T) { withoutScript(t, here) })
	t.Run("what is left is what goes", func(t *testing.T) { nothingCutIsShown(t, here) })
	t.Run("a translation that is old", func(t *testing.T) { oldWords(t, here) })
	t.Run("mend", func(t *testing.T) { mend(t, here) })
	t.Run("recall", func(t *testing.T) { takeBack(t, here, usa) })
	t.Run("by passkey", func(t *testing.T) { byPasskey(t, jpn, usa) }) // from then on the officers need theirs to sign in
}

// signedIn are the persons of a node who have signed in.
type signedIn struct {
	*nodetest.Party
	in map[string]*reader
}

func (r signedIn) as(t *testing.T, person string) *reader {
	t.Helper()
	if r.in[person] == nil {
		r.in[person] = newReader(t, r.Party)
		r.in[person].signIn(person)
	}
	r.in[person].t = t
	return r.in[person]
}

// twoOfficers: one reads English, the other Japanese. A wrong passphrase keeps the
// form; who has signed is not asked again; the other's open page says that the
// first has signed; the partner's picture shows what came of it.
func twoOfficers(t *testing.T, jpn, usa *nodetest.Party) {
	jpn.Import("terminal.json", "", strings.NewReader(terminal()))
	hold := open(t, jpn)[0]
	there := consoletest.Open(t, consoleOf(usa))
	there.SignIn("duty", nodetest.Passphrase, "en")
	first, second := consoletest.Open(t, consoleOf(jpn)), consoletest.Open(t, consoleOf(jpn))
	first.SignIn("release1", nodetest.Passphrase, "en")
	second.SignIn("release2", nodetest.Passphrase, "ja")
	first.Go("/release")
	first.Shows(".cmp del")
	look(t, first, "release-en-light")
	second.Go("/release/" + hold.ID)
	second.Leave("button[name=theme]")
	second.Shows("html[lang=ja][data-theme=dark] .cmp del")
	look(t, second, "release-ja-dark")
	second.Size(390, 800)
	second.Until("document.documentElement.scrollWidth <= 390")
	look(t, second, "release-ja-phone")
	second.Size(1440, 900)

	first.Type(".sign input[name=passphrase]", "not-the-passphrase\r")
	first.Shows("main .problem")
	first.Type(".sign input[name=passphrase]", nodetest.Passphrase+"\r")
	first.Shows("main .said")
	first.Until("!document.querySelector('form[action$=\"/approve\"]') && document.querySelectorAll('.two .done').length == 1")
	look(t, first, "release-signed")
	second.Shows("#standing .done")
	second.Type(".sign input[name=passphrase]", nodetest.Passphrase+"\r")
	second.Shows("main .said")
	second.Until(`location.pathname == "/release/` + hold.ID + `"`)
	there.Shows(`main a[href="/warnings/` + flash + `"]`)
	look(t, second, "release-approved-ja")
}

// holdPages: every member of a large hold stands on exactly one page, and each
// page is short.
func holdPages(t *testing.T, jpn signedIn) {
	var list strings.Builder
	list.WriteString("domain-name\n")
	for i := range 120 {
		fmt.Fprintf(&list, "h%03d.example\n", i)
	}
	jpn.Import("large.txt", "tlp:amber", strings.NewReader(strings.TrimPrefix(list.String(), "domain-name\n")))
	hold := open(t, jpn.Party)[0]
	r := jpn.as(t, "release1")
	seen, pages := map[string]int{}, 0
	id := regexp.MustCompile(`<span class="mono">(indicator--[0-9a-f-]+)</span>`)
	next := regexp.MustCompile(`rel="next" href="([^"]+)"`)
	for at := "/release/" + hold.ID; at != ""; pages++ {
		_, body := r.get(at)
		found := id.FindAllStringSubmatch(body, -1)
		if len(found) == 0 || len(found) > 15 {
			t.Fatalf("%s: %d objects", at, len(found))
		}
		for _, m := range found {
			seen[m[1]]++
		}
		if at = ""; next.MatchString(body) {
			at = strings.ReplaceAll(next.FindStringSubmatch(body)[1], "&amp;", "&")
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s is on %d pages", id, n)
		}
	}
	if len(seen) != 120 || pages != 8 {
		t.Errorf("%d members on %d pages", len(seen), pages)
	}
	if _, body := r.get("/release/" + hold.ID); !strings.Contains(body, "valid_from") && !strings.Contains(body, "<mark>00:00Z</mark>") && !strings.Contains(body, "<mark>") {
		t.Errorf("nothing is said less exactly:\n%s", body)
	}
	jpn.Approve()
}

// told fails unless a page was refused with a text.
func told(t *testing.T, what string, status int, body, key string, args ...any) {
	t.Helper()
	text, _, _ := strings.Cut(locale.T(locale.EN, key, args...), "{")
	if status != 422 || !strings.Contains(html.UnescapeString(body), text) {
		t.Errorf("%s: %d, does not say %q:\n%s", what, status, text, body)
	}
}

// done fails unless a page says what a form did.
func done(t *testing.T, what, body, said string) {
	t.Helper()
	if !strings.Contains(html.UnescapeString(body), locale.T(locale.EN, "console.said."+said)) {
		t.Fatalf("%s:\n%s", what, body)
	}
}

var digestField = regexp.MustCompile(`name="digest" value="([0-9a-f]{64})"`)

func digestOn(t *testing.T, body string) string {
	t.Helper()
	m := digestField.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("nothing to sign on the page:\n%s", body)
	}
	return m[1]
}

// withoutScript: who may not sign sees the queue and no control, and the forms are
// nowhere to them; the same officer twice, a wrong passphrase and a hold that
// changed meanwhile are told; a return says why, and Enter beside the reason
// approves nothing.
func withoutScript(t *testing.T, jpn signedIn) {
	jpn.Import("two.txt", "tlp:amber", strings.NewReader("one.example\ntwo.example\n"))
	hold := open(t, jpn.Party)[0]
	path := "/release/" + hold.ID
	analyst, first, second := jpn.as(t, "duty"), jpn.as(t, "release1"), jpn.as(t, "release2")

	if status, body := analyst.get(path); status != 200 || !strings.Contains(body, "What USA-01 will see") || strings.Contains(body, `name="passphrase"`) || strings.Contains(body, "/approve") {
		t.Errorf("the analyst's page: %d\n%s", status, body)
	}
	_, none := analyst.get("/release/0000000000000000")
	for _, to := range []string{"/approve", "/return", "/defer"} {
		if status, body := analyst.post(path+to, "digest", strings.Repeat("0", 64), "passphrase", nodetest.Passphrase); status != 404 || titleOf(body) != titleOf(none) {
			t.Errorf("the analyst posts %s: %d", to, status)
		}
	}

	_, body := first.get(path)
	digest := digestOn(t, body)
	if to := enter(t, body, "passphrase"); !slices.Equal(to, []string{path + "/approve", path + "/return", path + "/defer"}) || !slices.Equal(enter(t, body, "why"), to[1:2]) || !slices.Equal(enter(t, body, "why-left"), to[2:]) {
		t.Errorf("Enter in a passphrase goes to %q, beside a reason to %q", to, enter(t, body, "why"))
	}
	status, body := first.post(path+"/return", "digest", digest, "passphrase", "wrong", "why", "too much of it")
	told(t, "wrong passphrase", status, body, "error.person.passphrase-wrong", "release1")
	if digestOn(t, body) != digest || !strings.Contains(body, "too much of it") {
		t.Errorf("the form is not kept:\n%s", body)
	}
	leftWaiting(t, jpn, path)
	_, body = first.post(path+"/approve", "digest", digest, "passphrase", nodetest.Passphrase)
	done(t, "not signed", body, "signed")
	status, body = first.post(path+"/approve", "digest", digest, "passphrase", nodetest.Passphrase)
	told(t, "the same officer twice", status, body, "error.release.same-person", "release1", hold.ID)

	relabel(t, jpn.Party, "one.example")
	status, body = second.post(path+"/approve", "digest", digest, "passphrase", nodetest.Passphrase)
	told(t, "relabelled meanwhile", status, body, "error.hold.changed", hold.ID)
	if digestOn(t, body) == digest || strings.Contains(body, "one.example") {
		t.Errorf("the page shows what was there before:\n%s", body)
	}
	status, body = second.post(path+"/return", "digest", digestOn(t, body), "passphrase", nodetest.Passphrase, "why", " ")
	told(t, "returned without a reason", status, body, "error.release.no-why")
	returned := []string{"digest", digestOn(t, body), "passphrase", nodetest.Passphrase, "why", "ask the source first"}
	_, body = second.post(path+"/return", returned...)
	done(t, "not returned", body, "returned")
	if second.last != path {
		t.Errorf("that it is returned stands on %s", second.last)
	}
	_, body = second.post(path+"/return", returned...)
	done(t, "the same form twice", body, "returned")
	status, body = second.post(path+"/return", append(returned, "why", "another reason")...)
	told(t, "returned for another reason", status, body, "error.hold.is-returned", hold.ID)
	if _, body = analyst.get(path + "?state=returned"); !strings.Contains(body, "ask the source first") || !strings.Contains(body, "release2") {
		t.Errorf("nobody is told why:\n%s", body)
	}
	status, body = first.post(path+"/approve", "digest", digest, "passphrase", nodetest.Passphrase)
	told(t, "returned meanwhile", status, body, "error.hold.is-returned", hold.ID)
}

// leftWaiting: an officer leaves a hold waiting, for a reason and until a time, and
// whoever looks at the queue is told; it can be signed as before.
func leftWaiting(t *testing.T, jpn signedIn, path string) {
	r := jpn.as(t, "release1")
	_, body := r.get(path)
	form := sent(t, body, "why-left", "why-left", " ", "passphrase", nodetest.Passphrase)
	status, body := r.send(path+"/defer", form)
	told(t, "left waiting without a reason", status, body, "error.release.defer-why")
	until := regexp.MustCompile(`<option value="([0-9TZ:-]+)"`).FindAllStringSubmatch(body, -1)
	if len(until) < 5 {
		t.Fatalf("no times to choose from:\n%s", body)
	}
	form.Set("why-left", "the originator <is> asked")
	form.Set("until", "tomorrow")
	if status, _ := r.send(path+"/defer", form); status != 422 {
		t.Errorf("until no time: %d", status)
	}
	form.Set("until", until[1][1])
	_, body = r.send(path+"/defer", form)
	done(t, "not left waiting", body, "deferred")
	_, body = jpn.as(t, "duty").get(path)
	said := html.EscapeString("release1 left it waiting until ")
	if n := strings.Count(body, said); n < 1 || !strings.Contains(body, "the originator &lt;is&gt; asked") {
		t.Errorf("who looks is told %d times:\n%s", n, body)
	}
	var rows []web.HoldRow
	jpn.Must("release.list", web.HoldRef{}, &rows)
	if d := rows[0].Deferred; d == nil || d.Person != "release1" || d.Until.Format("2006-01-02T15:04:05Z") != until[1][1] {
		t.Errorf("the list says %+v", d)
	}
}

var title = regexp.MustCompile(`<title>[^<]*</title>`)

func titleOf(body string) string { return title.FindString(body) }

// relabel has the analyst mark an indicator RED.
func relabel(t *testing.T, p *nodetest.Party, value string) {
	t.Helper()
	var f web.Found
	p.Must("indicator.find", web.FindRef{Query: value}, &f)
	r, err := p.Node.Store.Current(t.Context(), f.Data[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	by, err := p.Signed(t.Context(), "duty", noroshi.ActAssignMarking, string(r.Object.ID), intake.MarkBound(r.Hash, noroshi.Red))
	if err != nil {
		t.Fatal(err)
	}
	p.Must("marking.assign", web.MarkRef{Object: r.Object.ID, Marking: "tlp:red", By: by}, nil)
	p.Settle()
}

// nothingCutIsShown: what stands under the partner's name is in the exact bytes,
// and nothing that is cut out is; only changes show changes alone.
func nothingCutIsShown(t *testing.T, jpn signedIn) {
	again := strings.NewReplacer("0000000000a", "0000000000b", "05:20:00", "05:40:00").Replace(terminal())
	jpn.Import("again.json", "", strings.NewReader(again))
	hold := open(t, jpn.Party)[0]
	var p web.HoldPage
	jpn.Must("release.page", web.HoldPageRef{Hold: hold.ID, Narrow: true}, &p)
	if len(p.Objects) != 2 || len(p.Stays) != 1 || len(p.Narrow) == 0 || p.OnLine <= len(p.Narrow) {
		t.Fatalf("%d objects, %d stay, %d bytes on a line", len(p.Objects), len(p.Stays), len(p.Narrow))
	}
	cut := 0
	for _, o := range p.Objects {
		for _, f := range o.Fields {
			for _, s := range f.Sees {
				if s.Mark == web.FieldCut || s.Text != "TLP:GREEN" && !strings.Contains(o.Sees, s.Text) {
					t.Errorf("%s shows the partner %q, which is not in %s", f.Name, s.Text, o.Sees)
				}
			}
			for _, s := range f.Held {
				if s.Mark != web.FieldCut {
					continue
				}
				if cut++; f.Name != "granular_markings" && strings.Contains(o.Sees, s.Text) {
					t.Errorf("%s: %q is shown as cut out and goes", f.Name, s.Text)
				}
			}
		}
	}
	if cut < 6 { // of both languages
		t.Errorf("%d places are cut out", cut)
	}
	r := jpn.as(t, "release1")
	_, all := r.get("/release/" + hold.ID)
	_, only := r.get("/release/" + hold.ID + "?only=1")
	_, exact := r.get("/release/" + hold.ID + "/bytes")
	if !strings.Contains(all, "Remote logins to a port") || strings.Contains(only, "Remote logins to a port") || !strings.Contains(only, "<del>2026/1187</del>") || !strings.Contains(only, "<del>A vendor account is used") {
		t.Errorf("only changes:\n%s", only)
	}
	if words := html.UnescapeString(all); strings.Contains(words, "object_refs") || strings.Contains(words, "external_references") || !strings.Contains(words, "“About” goes without Tokai Example Terminal K.K. (note)") {
		t.Errorf("reasons name no fields:\n%s", words)
	}
	if strings.Contains(exact, "2026/1187") || strings.Contains(exact, "A vendor account is used") || !strings.Contains(exact, html.EscapeString(p.Objects[0].Sees)) {
		t.Errorf("exact bytes:\n%s", exact)
	}
	twiceSigned(t, jpn, hold.ID)
}

// twiceSigned: the last signature sent twice lets a hold go once, and both times the
// officer is told so; what another signs afterwards is not.
func twiceSigned(t *testing.T, jpn signedIn, hold string) {
	path := "/release/" + hold
	signed := func(person string) (int, string) {
		r := jpn.as(t, person)
		_, body := r.get(path)
		form := sent(t, body, "passphrase", "passphrase", nodetest.Passphrase)
		r.send(path+"/approve", form)
		return r.send(path+"/approve", form)
	}
	status, body := signed("release1")
	told(t, "the first signature twice", status, body, "error.release.same-person", "release1", hold)
	_, body = signed("release2")
	done(t, "the last signature twice", body, "approved")
	r := jpn.as(t, "release2")
	for _, digest := range []string{strings.Repeat("0", 63) + "1", strings.Repeat("0", 64)} {
		if status, body := r.post(path+"/approve", "digest", digest, "passphrase", nodetest.Passphrase); status != 422 && status != 404 {
			t.Errorf("signed something else: %d\n%s", status, body)
		}
	}
	var rows []web.HoldRow
	jpn.Must("release.list", web.HoldRef{State: "approved"}, &rows)
	for _, h := range rows {
		if h.ID == hold && len(h.Approvals) != 2 {
			t.Errorf("approved by %q", h.Approvals)
		}
	}
	jpn.Approve()
}

// oldWords: nobody approves an object beside a translation of an earlier version
// without saying that it stays; who looks is told so, and its page says what to do.
func oldWords(t *testing.T, jpn signedIn) {
	const again, words = "report--00000000-0000-4000-8000-0000000000d2", "language-content--00000000-0000-4000-8000-0000000000d1"
	jpn.Import("old.json", "tlp:green", strings.NewReader(`[{"type":"report","spec_version":"2.1","id":"`+again+`","created":"2026-11-24T05:20:00.000Z","modified":"2026-11-24T05:20:00.000Z","name":"remote logins go on",`+
		`"published":"2026-11-24T05:20:00.000Z","object_refs":["`+indicated+`"],"extensions":{"`+string(noroshi.WarningExtension)+`":{"extension_type":"property-extension","severity":"high","precedence":"flash","action":"block"}}},`+
		`{"type":"language-content","spec_version":"2.1","id":"`+words+`","created":"2026-11-24T05:20:00.000Z","modified":"2026-11-24T05:20:00.000Z",`+
		`"object_ref":"`+again+`","object_modified":"2025-01-01T00:00:00.000Z","contents":{"ja":{"name":"zz-遠隔ログイン"}}}]`))
	hold := open(t, jpn.Party)[0]
	r := jpn.as(t, "release1")
	if _, body := r.get("/release/" + hold.ID); hold.Count != 1 || !strings.Contains(body, locale.T(locale.EN, "console.check.translation.look")) || !strings.Contains(body, words) {
		t.Errorf("%d objects wait, and it is not said that a translation stays:\n%s", hold.Count, body)
	}
	if _, body := r.get("/translations/" + words); !strings.Contains(body, locale.T(locale.EN, "console.words.stale")) || !strings.Contains(body, "remote logins go on") || !strings.Contains(body, "zz-遠隔ログイン") {
		t.Errorf("the page of the translation:\n%s", body)
	}
	for _, person := range []string{"release1", "release2"} {
		r := jpn.as(t, person)
		_, body := r.get("/release/" + hold.ID)
		form := sent(t, body, "without", "passphrase", nodetest.Passphrase)
		status, body := r.send("/release/"+hold.ID+"/approve", form)
		told(t, "nothing said of the translation", status, body, "error.release.old-translation", hold.ID, words, again)
		form.Set("without", words)
		_, body = r.send("/release/"+hold.ID+"/approve", form)
		done(t, "not signed", body, map[string]string{"release1": "signed", "release2": "approved"}[person])
	}
	jpn.Approve()
}

// mend: what has no marking is marked, and of what cannot be marked a clear text
// is drawn; neither where the page showed another version.
func mend(t *testing.T, jpn signedIn) {
	bare := `[{"type":"tool","spec_version":"2.1","id":"tool--00000000-0000-4000-8000-0000000000c1","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"bare"},` +
		`{"type":"tool","spec_version":"2.1","id":"tool--00000000-0000-4000-8000-0000000000c2","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"strange","object_marking_refs":["marking-definition--00000000-0000-4000-8000-0000000000c3"]}]`
	holds := func(bundle string) (unmarked, odd string) {
		t.Helper()
		jpn.Import("bare.json", "", strings.NewReader(bundle))
		for _, h := range open(t, jpn.Party) {
			switch h.Key {
			case noroshi.Unmarked:
				unmarked = "/release/" + h.ID
			case noroshi.NotUnderstood:
				odd = "/release/" + h.ID
			}
		}
		return unmarked, odd
	}
	const tool, strange = "tool--00000000-0000-4000-8000-0000000000c1", "tool--00000000-0000-4000-8000-0000000000c2"
	r := jpn.as(t, "duty")
	mark, odd := holds(bare)
	_, body := r.get(mark)
	old := sent(t, body, "object", "marking", "TLP:GREEN", "passphrase", nodetest.Passphrase, "object", tool)
	status, body := r.post(mark+"/mark", "marking", "TLP:GREEN", "passphrase", nodetest.Passphrase)
	told(t, "nothing ticked", status, body, "error.console.nothing-ticked")
	if _, body = r.get(odd); !strings.Contains(body, odd+"/redraft/"+strange) {
		t.Fatalf("no way to a clear text:\n%s", body)
	}
	_, body = r.get(odd + "/redraft/" + strange)
	if !strings.Contains(body, "strange") || strings.Contains(body, `name="digest"`) {
		t.Errorf("the form:\n%s", body)
	}
	oldText := sent(t, body, "clear", "clear", `{"name":"plain"}`, "marking", "TLP:GREEN", "passphrase", nodetest.Passphrase)

	mark, odd = holds(strings.ReplaceAll(bare, `"modified":"2026-01-01`, `"modified":"2026-01-02`))
	status, body = r.send(mark+"/mark", old)
	told(t, "another version was shown", status, body, "error.console.changed", tool)
	_, body = r.send(mark+"/mark", sent(t, body, "object", "marking", "TLP:GREEN", "passphrase", nodetest.Passphrase, "object", tool))
	done(t, "not marked", body, "marked")
	if r.last != mark {
		t.Errorf("that it is marked stands on %s", r.last)
	}
	form := odd + "/redraft/" + strange
	status, body = r.send(form, oldText)
	told(t, "drawn from another version", status, body, "error.console.changed", strange)
	text := sent(t, body, "clear", "clear", `{"name":`, "marking", "TLP:GREEN", "passphrase", nodetest.Passphrase)
	status, body = r.send(form, text)
	if status != 422 || !strings.Contains(html.UnescapeString(body), `{"name":`) {
		t.Errorf("no JSON: %d\n%s", status, body)
	}
	text.Set("clear", `{"name":"plain"}`)
	_, body = r.send(form, text)
	done(t, "not redrawn", body, "redrawn")
	if r.last != odd {
		t.Errorf("that it is redrawn stands on %s", r.last)
	}
	for _, h := range open(t, jpn.Party) {
		if h.Key == noroshi.Unmarked {
			t.Errorf("still unmarked: %+v", h)
		}
	}
}

// takeBack: an object is recalled, the partner refuses what is asked beyond the
// stop, and its answer is seen.
func takeBack(t *testing.T, jpn signedIn, usa *nodetest.Party) {
	nodetest.Whole(t, jpn.Party, usa)
	r, there := jpn.as(t, "duty"), newReader(t, usa)
	there.signIn("duty")
	const none = "tool--00000000-0000-4000-8000-0000000000ff"
	status, body := r.get("/release/recalls/new?object=" + none + "&reason=spill")
	told(t, "an object that is not here", status, body, "error.recall.no-object", none)
	if form := sent(t, body, "object"); form.Get("object") != none || form.Get("reason") != "spill" {
		t.Errorf("what was typed is gone: %q", form)
	}
	_, body = r.get("/release/recalls/new?object=" + flash + "&reason=spill&scope=delete")
	bound := regexp.MustCompile(`name="bound" value="([0-9a-f]{64})"`).FindStringSubmatch(body)
	if bound == nil || !strings.Contains(body, "<b>USA-01</b>") {
		t.Fatalf("the plan:\n%s", body)
	}
	send := []string{"object", flash, "reason", "spill", "scope", "delete", "passphrase", nodetest.Passphrase, "bound"}
	status, body = r.post("/release/recalls/new", append(send, strings.Repeat("0", 64))...)
	told(t, "another plan", status, body, "error.recall.changed")
	_, body = r.post("/release/recalls/new", append(send, bound[1])...)
	done(t, "the first signature", body, "recall-second")
	officer := jpn.as(t, "release1")
	_, body = officer.post("/release/recalls/new", append(send, bound[1])...)
	done(t, "the second signature", body, "recalled")
	var came string
	usa.Until("the recall", func() (bool, error) {
		_, body := there.get("/release/recalls")
		m := regexp.MustCompile(`<option value="([0-9a-f]{64})"`).FindStringSubmatch(body)
		if m != nil {
			came = m[1]
		}
		return m != nil, nil
	})
	_, body = there.post("/release/recalls/refuse", "recall", came, "why", "law", "passphrase", nodetest.Passphrase)
	done(t, "the refusal", body, "recall-refused")
	jpn.Until("the answer", func() (bool, error) {
		_, body := r.get("/release/recalls?all=1")
		return strings.Contains(body, locale.T(locale.EN, "recall.refusal.law")), nil
	})
	viewer := jpn.as(t, "liaison")
	if _, body := viewer.get("/release/recalls?all=1"); !strings.Contains(body, flash) || strings.Contains(body, "/release/recalls/new") {
		t.Errorf("who may not recall: \n%s", body)
	}
	if status, _ := viewer.get("/release/recalls/new"); status != 404 {
		t.Errorf("who may not recall gets the form: %d", status)
	}
}
