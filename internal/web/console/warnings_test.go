package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// TestWarnings plays the screens of warnings on one node, one after the other.
func TestWarnings(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	for _, play := range []struct {
		name string
		it   func(*testing.T, *nodetest.Party)
	}{{"without JavaScript", warningWithoutJavaScript}, {"being written", whatIsWrittenStays}, {"who may not", whoMayNotWarn}, {"pages", warningPages}, {"strange", strangeWarning}} {
		t.Run(play.name, func(t *testing.T) { play.it(t, p) })
	}
}

// field returns the value of a hidden field of a page.
func field(t *testing.T, body, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no field %s in:\n%s", name, body)
	}
	return m[1]
}

// indicatorHere imports an indicator and returns its id.
func indicatorHere(t *testing.T, p *nodetest.Party, host string) stix.ID {
	t.Helper()
	p.Import(host+".txt", "tlp:green", strings.NewReader(host+"\n"))
	var f web.Found
	p.Must("indicator.find", web.FindRef{Query: host}, &f)
	if len(f.Data) != 1 {
		t.Fatalf("%d indicators of %s", len(f.Data), host)
	}
	return f.Data[0].ID
}

// warningWithoutJavaScript: an officer writes a warning from a template in
// both languages, previews, signs, acknowledges, replaces and withdraws it with
// plain links and forms. What is refused leaves nothing, and says why.
func warningWithoutJavaScript(t *testing.T, p *nodetest.Party) {
	about := indicatorHere(t, p, "grid-update.example.net")
	r := newReader(t, p)
	r.signIn("duty")
	if _, body := r.get("/warnings"); !strings.Contains(body, "No warnings are open.") || !strings.Contains(body, `href="/warnings/new"`) {
		t.Errorf("an empty list does not say what to do:\n%s", body)
	}

	_, form := r.get("/warnings/new?template=attack&action=block&about=" + url.QueryEscape(string(about)))
	for _, text := range []string{"Attack in progress, using grid-update.example.net", "grid-update.example.netを用いた攻撃の発生", "境界で遮断し"} {
		if !strings.Contains(form, text) {
			t.Errorf("the template gives no %q", text)
		}
	}
	if _, filled := r.post("/warnings/new", "do", "fill", "template", "mail", "action", "check", "about", string(about)); !strings.Contains(filled, "Mail that steals credentials: grid-update.example.net") || !strings.Contains(filled, "認証情報を窃取するメール") {
		t.Errorf("filled in:\n%s", filled)
	}
	if status, body := r.post("/warnings/new", "do", "fill", "template", "mail", "action", "check", "about", ""); status != http.StatusUnprocessableEntity {
		t.Errorf("a template about nothing: %d\n%s", status, body)
	}
	draft := []string{"title_en", "Attack in progress", "title_ja", "攻撃の発生", "text_en", "An attack.\r\nBlock <b>it</b>.", "text_ja", "攻撃が発生しています。",
		"precedence", "immediate", "severity", "high", "action", "block", "within", "2h", "marking", "tlp:amber", "about", string(about)}
	if status, body := r.post("/warnings/new", append(draft, "do", "preview", "title_ja", "")...); status != http.StatusUnprocessableEntity || !strings.Contains(body, locale.T(locale.EN, "console.error.warning.field.title_en")) || !strings.Contains(body, "An attack.") {
		t.Errorf("without a Japanese title: %d\n%s", status, body)
	}
	_, preview := r.post("/warnings/new", append(draft, "do", "preview")...)
	if !strings.Contains(preview, "TLP:AMBER // INTERNAL TO JPN-01") || !strings.Contains(preview, "Block &lt;b&gt;it&lt;/b&gt;.") {
		t.Errorf("preview:\n%s", preview)
	}
	if rows := warningsOf(p); len(rows) != 0 {
		t.Fatalf("a preview made %d warnings", len(rows))
	}
	draft = append(draft, "do", "sign", "id", field(t, preview, "id"), "due", field(t, preview, "due"))
	if status, body := r.post("/warnings/new", append(draft, "passphrase", "wrong")...); status != http.StatusUnprocessableEntity || !strings.Contains(body, `role="alert"`) {
		t.Errorf("signed with a wrong passphrase: %d\n%s", status, body)
	}
	if _, body := r.post("/warnings/new", append(draft, "passphrase", nodetest.Passphrase)...); !strings.Contains(body, "made and signed") {
		t.Fatalf("signed:\n%s", body)
	}
	if _, body := r.post("/warnings/new", append(draft, "passphrase", nodetest.Passphrase)...); !strings.Contains(body, "made and signed") {
		t.Errorf("the same form twice:\n%s", body)
	}
	if status, body := r.post("/warnings/new", append(draft, "passphrase", nodetest.Passphrase, "title_en", "Another")...); status != http.StatusUnprocessableEntity || !strings.Contains(body, "is there already") {
		t.Errorf("other words under the same id: %d\n%s", status, body)
	}
	rows := warningsOf(p)
	if len(rows) != 1 || rows[0].Due.IsZero() || rows[0].TextJA != "攻撃が発生しています。" || rows[0].Text != "An attack.\nBlock <b>it</b>." {
		t.Fatalf("made: %+v", rows)
	}

	at := "/warnings/" + string(rows[0].ID)
	_, shown := r.get(at)
	number := rows[0].Number
	_, list := r.get("/warnings")
	if number == "" || !strings.Contains(shown, ">"+number+"</b>") || !strings.Contains(list, ">"+number+"<") {
		t.Errorf("the number %q is not on the page and in the list:\n%s", number, shown)
	}
	for _, typed := range []string{number, "ｊｐｎ－０１／" + number[7:], strings.ReplaceAll(number, "/", " ")} {
		if r.get("/indicators?q=" + url.QueryEscape(typed)); r.last != at {
			t.Errorf("%q leads to %s", typed, r.last)
		}
	}
	if status, body := r.post(at+"/acknowledge", "shown", strings.Repeat("0", 64), "passphrase", nodetest.Passphrase); status != http.StatusUnprocessableEntity || len(warningsOf(p)[0].Acks) > 0 {
		t.Errorf("acknowledged what was not shown: %d\n%s", status, body)
	}
	if _, body := r.post(at+"/acknowledge", "shown", field(t, shown, "shown"), "passphrase", nodetest.Passphrase); !strings.Contains(body, "on record") || strings.Contains(body, "/acknowledge\"") {
		t.Errorf("acknowledged:\n%s", body)
	}

	_, form = r.get("/warnings/new?replaces=" + string(rows[0].ID))
	if !strings.Contains(form, `value="Attack in progress"`) || !strings.Contains(form, "In place of") {
		t.Errorf("a successor begins with nothing:\n%s", form)
	}
	_, preview = r.post("/warnings/new", append(draft[:16:16], "marking", "tlp:amber", "about", string(about), "within", "", "do", "preview", "replaces", string(rows[0].ID))...)
	next := field(t, preview, "id")
	r.post("/warnings/new", append(draft[:16:16], "marking", "tlp:amber", "about", string(about), "within", "", "do", "sign", "id", next, "replaces", string(rows[0].ID), "passphrase", nodetest.Passphrase)...)
	if _, body := r.get(at); !strings.Contains(body, `Replaced by <a href="/warnings/`+next) || strings.Contains(body, "Replace by a new one") {
		t.Errorf("the former does not say what replaced it:\n%s", body)
	}
	_, shown = r.get("/warnings/" + next)
	if _, body := r.post("/warnings/"+next+"/withdraw", "shown", field(t, shown, "shown"), "passphrase", nodetest.Passphrase); !strings.Contains(body, "It is withdrawn.") {
		t.Errorf("withdrawn:\n%s", body)
	}
	if _, body := r.get("/warnings?all=1"); strings.Count(body, `class="ti"`) != 2 {
		t.Errorf("all warnings:\n%s", body)
	}
	p.Intact()
}

// whatIsWrittenStays: Enter in a title shows the preview; a template fills in what is
// empty or what a template gave, and nothing that a person wrote; a form that is sent
// after the end of the session is told what to do and is not answered by another page.
func whatIsWrittenStays(t *testing.T, p *nodetest.Party) {
	about := string(indicatorHere(t, p, "kept.example.net"))
	r := newReader(t, p)
	r.signIn("duty")
	_, form := r.get("/warnings/new")
	if to := enter(t, form, "title_en"); len(to) != 1 || to[0] != "/warnings/new preview" {
		t.Errorf("Enter in a title: %q", to)
	}
	_, form = r.send("/warnings/new", sent(t, form, "title_en", "do", "fill", "about", about, "template", "attack", "title_ja", "夜勤の警報", "text_en", "Ours."))
	one := sent(t, form, "title_en")
	if one.Get("title_en") != "Attack in progress, using kept.example.net" || one.Get("title_ja") != "夜勤の警報" || one.Get("text_en") != "Ours." || !strings.Contains(one.Get("text_ja"), "kept.example.net") {
		t.Errorf("filled in: %q", one)
	}
	for what, changed := range map[string][]string{"not here": {"about", about + " indicator--00000000-0000-4000-8000-000000000001"}, "no id": {"about", "foo bar"},
		"no template": {"do", "fill", "template", "none"}, "a template about nothing here": {"do", "fill", "about", "foo"}} {
		if status, body := r.send("/warnings/new", sent(t, form, "title_en", append([]string{"do", "preview"}, changed...)...)); status != http.StatusUnprocessableEntity || sent(t, body, "title_en").Get("title_ja") != "夜勤の警報" {
			t.Errorf("%s: %d\n%s", what, status, body)
		}
	}
	_, preview := r.send("/warnings/new", sent(t, form, "title_en", "do", "preview", "text_ja", one.Get("text_ja")+"\r\n当方の一行。"))
	_, form = r.send("/warnings/new", sent(t, preview, "title_en", "do", "edit"))
	_, form = r.send("/warnings/new", sent(t, form, "title_en", "do", "fill", "template", "mail"))
	two := sent(t, form, "title_en")
	if two.Get("title_en") != "Mail that steals credentials: kept.example.net" || two.Get("title_ja") != "夜勤の警報" || two.Get("text_en") != "Ours." || !strings.HasSuffix(two.Get("text_ja"), "\n当方の一行。") {
		t.Errorf("filled in again: %q", two)
	}
	r.post("/signout")
	if status, body := r.send("/warnings/new", two); status != http.StatusUnauthorized || !strings.Contains(body, locale.T(locale.EN, "console.ended.text")) || strings.Contains(body, "kept.example.net") {
		t.Errorf("sent after the end of the session: %d\n%s", status, body)
	}
	if _, body := r.post("/signout"); !strings.Contains(body, `action="/signin"`) {
		t.Errorf("signed out twice:\n%s", body)
	}
}

func warningsOf(p *nodetest.Party) (rows []watch.Row) {
	p.Must("warning.list", web.WarningsRef{All: true}, &rows)
	return rows
}

// whoMayNotWarn: who may not acknowledge or write sees no control for it, and
// the addresses answer as those that do not exist; so does what is not here.
func whoMayNotWarn(t *testing.T, p *nodetest.Party) {
	d := watch.Draft{ID: stix.NewID("report"), TitleEN: "title", TitleJA: "表題", TextEN: "text", TextJA: "本文", Severity: noroshi.High,
		Precedence: noroshi.Flash, Action: "check", Refs: []stix.ID{indicatorHere(t, p, "one.example.net")}, Marking: "tlp:green"}
	by, err := p.Signed(t.Context(), "duty", noroshi.ActWarn, string(d.ID), d.Bound())
	if err != nil {
		t.Fatal(err)
	}
	p.Must("warning.new", web.NewWarning{Draft: d, By: by}, nil)
	at := "/warnings/" + string(d.ID)
	r := newReader(t, p)
	r.signIn("liaison")
	_, shown := r.get(at)
	_, list := r.get("/warnings")
	_, picture := r.get("/")
	for _, control := range []string{"/acknowledge", "#acknowledge", "/withdraw", "/warnings/new", `type="password"`} {
		for name, body := range map[string]string{"warning": shown, "list": list, "picture": picture} {
			if strings.Contains(body, control) {
				t.Errorf("the %s shows a liaison officer %s", name, control)
			}
		}
	}
	if !strings.Contains(picture, "is not acknowledged yet") {
		t.Errorf("the picture asks a liaison officer to acknowledge:\n%s", picture)
	}
	status, nowhere := r.get("/no-such-page")
	if status != http.StatusNotFound {
		t.Fatalf("an address that is none: %d", status)
	}
	hash := strings.Repeat("0", 64)
	for _, ask := range []func() (int, string){
		func() (int, string) {
			return r.post(at+"/acknowledge", "shown", hash, "passphrase", nodetest.Passphrase)
		},
		func() (int, string) { return r.post(at+"/withdraw", "shown", hash, "passphrase", nodetest.Passphrase) },
		func() (int, string) { return r.post("/warnings/new", "do", "sign", "passphrase", nodetest.Passphrase) },
		func() (int, string) { return r.get("/warnings/new") },
		func() (int, string) { return r.get("/warnings/" + string(stix.NewID("report"))) },
		func() (int, string) { return r.get("/warnings/" + string(d.Refs[0])) },
		func() (int, string) { return r.get("/warnings/nothing") },
	} {
		if status, body := ask(); status != http.StatusNotFound || still(body) != still(nowhere) {
			t.Errorf("%d, and not like nowhere:\n%s", status, body)
		}
	}
	if rows := warningsOf(p); rows[0].ID != d.ID || len(rows[0].Acks) > 0 {
		t.Errorf("a liaison officer acknowledged: %+v", rows[0])
	}
}

// warningPages: pages of warnings follow each other without a gap, whatever
// is on them, and each is bounded.
func warningPages(t *testing.T, p *nodetest.Party) {
	about := indicatorHere(t, p, "two.example.net")
	for i := range 7 {
		d := watch.Draft{ID: stix.NewID("report"), TitleEN: "title " + strconv.Itoa(i), TitleJA: "表題", TextEN: "text", TextJA: "本文", Severity: noroshi.High,
			Precedence: noroshi.Precedence(1 + i%4), Action: "check", Refs: []stix.ID{about}, Marking: "tlp:green"}
		by, err := p.Signed(t.Context(), "duty", noroshi.ActWarn, string(d.ID), d.Bound())
		if err != nil {
			t.Fatal(err)
		}
		p.Must("warning.new", web.NewWarning{Draft: d, By: by}, nil)
	}
	var seen []stix.ID
	for after := ""; ; {
		var page watch.Page
		p.Must("warning.page", web.WarningPageRef{All: true, After: after, Limit: 3}, &page)
		if len(page.Rows) > 3 || page.Open[noroshi.Routine] != 2 || page.Open[noroshi.Flash] != 2 {
			t.Fatalf("a page of %d, open %v", len(page.Rows), page.Open)
		}
		for _, r := range page.Rows {
			seen = append(seen, r.ID)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	all := warningsOf(p)
	if len(seen) != len(all) {
		t.Fatalf("%d on pages, %d in all", len(seen), len(all))
	}
	for i, r := range all {
		if seen[i] != r.ID {
			t.Errorf("place %d: %s, want %s", i, seen[i], r.ID)
		}
	}
	if err := p.Do(t.Context(), "warning.page", web.WarningPageRef{After: "1.2.x"}, nil); err == nil {
		t.Error("a page after nonsense")
	}
}

// strangeWarning: a warning of which nothing is as it should be is shown with what
// there is, and nothing in it is taken for more than text.
func strangeWarning(t *testing.T, p *nodetest.Party) {
	id, canary := stix.NewID("report"), `<script>document.title='canary'</script>`
	p.Import("strange.json", "tlp:green", strings.NewReader(strings.NewReplacer("ID", string(id), "CANARY", canary, "EXT", string(noroshi.WarningExtension)).Replace(`{"type":"bundle","id":"bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","objects":[
	{"type":"report","spec_version":"2.1","id":"ID","created":"2026-11-24T00:00:00Z","modified":"2026-11-24T00:00:00Z","published":"2026-11-24T00:00:00Z","name":"CANARY","description":"CANARY","lang":"CANARY",
	"object_refs":["indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"],"extensions":{"EXT":{"extension_type":"property-extension","severity":"CANARY","precedence":"CANARY","action":"CANARY","due":"CANARY","audience":["CANARY"],"replaces":"report--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}}},
	{"type":"language-content","spec_version":"2.1","id":"language-content--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2026-11-24T00:00:00Z","modified":"2026-11-24T00:00:00Z","object_ref":"ID","object_modified":"2026-11-23T00:00:00Z","contents":{"ja":{"name":"CANARY","description":"CANARY"}}}]}`)))
	r := newReader(t, p)
	r.signIn("duty")
	for _, path := range []string{"/warnings/" + string(id), "/warnings?all=1", "/", "/warnings/new?replaces=" + string(id)} {
		if status, body := r.get(path); status != http.StatusOK || strings.Contains(body, canary) || strings.Contains(body, "⟦") {
			t.Errorf("%s: %d\n%s", path, status, body)
		}
	}
	if _, body := r.get("/warnings/" + string(id)); !strings.Contains(body, `<p class="tx">&lt;script&gt;`) || !strings.Contains(body, "The translation by") {
		t.Errorf("what there is, and that the translation is of another version:\n%s", body)
	}
}
