package console_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
	"github.com/noroshi-cti/noroshi/stix"
)

// translator is a node whose translation service speaks until told to fail.
func translator(t *testing.T) (p *nodetest.Party, fails *atomic.Bool) {
	t.Helper()
	fails = new(atomic.Bool)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Q, Target string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || fails.Load() {
			http.Error(w, `{"error":"busy"}`, http.StatusServiceUnavailable)
			return
		}
		said := map[string]string{"Remote logins to a port terminal": "港湾ターミナルへの遠隔ログイン", "A vendor account is used outside the roster.": "保守業者用アカウントが勤務時間外に使われています。",
			"港湾への攻撃": "Attack on a port", "本文です": "The text"}[q.Q]
		_ = json.NewEncoder(w).Encode(map[string]string{"translatedText": said})
	}))
	t.Cleanup(service.Close)
	p = nodetest.New(t, "JPN-01", noroshi.Real)
	p.Stop()
	p.Translate = node.TranslateConfig{URL: service.URL + "/translate", Nets: []string{"127.0.0.0/8"}, UpTo: []string{"TLP:GREEN"}, Inside: true}
	p.Start()
	return p, fails
}

const terminalTool = "tool--00000000-0000-4000-8000-0000000000f1"

func terminalVersion(day int, mark noroshi.TLP) *strings.Reader {
	return strings.NewReader(fmt.Sprintf(`[{"type":"tool","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-%02dT00:00:00.000Z","name":"Remote logins to a port terminal","description":"A vendor account is used outside the roster.","object_marking_refs":[%q]}]`,
		terminalTool, day, mark.MarkingID()))
}

// says fails the test where a page lacks a text.
func says(t *testing.T, body string, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !strings.Contains(body, html.EscapeString(s)) {
			t.Errorf("the page does not say %q:\n%s", s, body)
		}
	}
}

// TestTranslations plays the screens of translations on one node.
func TestTranslations(t *testing.T) {
	t.Parallel()
	p, fails := translator(t)
	p.Import("tool.json", "", terminalVersion(1, noroshi.Green))
	t.Run("of an object, without a script", func(t *testing.T) { objectInWords(t, p, fails) })
	t.Run("of a warning", func(t *testing.T) { warningInWords(t, p, fails) })
	t.Run("in a browser", func(t *testing.T) { wordsInBrowser(t, p) })
}

// objectInWords: a machine's words are asked for, signed unchecked, checked, and
// stale when the original changes; what the service does not give is told in the
// reader's language and nothing typed is lost.
func objectInWords(t *testing.T, p *nodetest.Party, fails *atomic.Bool) {
	en := func(key string) string { return locale.T(locale.EN, key) }
	r := newReader(t, p)
	r.signIn("duty")
	_, body := r.get("/indicators/" + terminalTool)
	says(t, body, en("console.words.write"))
	_, body = r.get("/translate/" + terminalTool)
	says(t, body, "Remote logins to a port terminal", en("console.words.suggest"), "TLP:GREEN")
	form := func(more ...string) []string {
		return append([]string{"lang", "ja", "id", field(t, body, "id"), "made", field(t, body, "made"), "version", field(t, body, "version")}, more...)
	}
	fails.Store(true)
	for lang, want := range map[string]string{"en": "refused: 503", "ja": "依頼を拒否しました"} {
		r.post("/prefer", "lang", lang, "to", "/")
		status, shown := r.post("/translate/"+terminalTool, form("do", "suggest", "text-name", "zz-typed")...)
		says(t, shown, want, "zz-typed")
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", lang, status)
		}
	}
	r.post("/prefer", "lang", "en", "to", "/")
	fails.Store(false)
	_, body = r.post("/translate/"+terminalTool, form("do", "suggest")...)
	says(t, body, "港湾ターミナルへの遠隔ログイン", en("console.words.machine"), en("console.words.compared"))
	status, shown := r.post("/translate/"+terminalTool, form("do", "sign", "text-name", "別の題名", "text-description", "保守業者用アカウントが\n勤務時間外に使われています。", "passphrase", nodetest.Passphrase)...)
	if says(t, shown, "until somebody changes them"); status != http.StatusUnprocessableEntity || !strings.Contains(shown, `name="machine" value="1" checked`) {
		t.Errorf("a machine's words are signed as a person's: %d\n%s", status, shown)
	}
	words := []string{"do", "sign", "text-name", "港湾ターミナルへの遠隔ログイン", "text-description", "保守業者用アカウントが勤務時間外に使われています。", "machine", "1", "passphrase", nodetest.Passphrase}
	_, body = r.post("/translate/"+terminalTool, form(words...)...)
	says(t, body, en("console.said.translated"), en("console.words.machine"), en("console.words.stays"), "Remote logins to a port terminal", "港湾ターミナルへの遠隔ログイン")
	id := regexp.MustCompile(`language-content--[0-9a-f-]{36}`).FindString(body)
	_, body = r.post("/translations/"+id+"/check", "shown", field(t, body, "shown"), "passphrase", nodetest.Passphrase)
	says(t, body, en("console.said.translation-checked"), locale.T(locale.EN, "console.words.checker", "duty"))
	_, body = r.get("/indicators/" + terminalTool)
	says(t, body, "港湾ターミナルへの遠隔ログイン", en("console.words.machine"))

	p.Import("tool2.json", "", terminalVersion(2, noroshi.Green))
	_, body = r.get("/translations/" + id)
	says(t, body, en("console.words.stale"), en("console.words.renew"))
	_, body = r.get("/translate/" + terminalTool + "?lang=ja")
	says(t, body, en("console.words.renew-what"), "港湾ターミナルへの遠隔ログイン")
	_, body = r.post("/translate/"+terminalTool, form("do", "sign", "text-name", "港湾端末", "passphrase", nodetest.Passphrase)...)
	says(t, body, en("console.said.translated"), locale.T(locale.EN, "console.words.translator", "duty"), en("console.words.unchecked"))
	if strings.Contains(body, `action="/translations/`+id+`/check"`) {
		t.Error("who wrote it may check it")
	}
	other := newReader(t, p)
	other.signIn("release1")
	_, body = other.get("/translations/" + id)
	_, body = other.post("/translations/"+id+"/check", "shown", field(t, body, "shown"), "passphrase", nodetest.Passphrase)
	says(t, body, locale.T(locale.EN, "console.words.translator", "duty"), locale.T(locale.EN, "console.words.checker", "release1"))
	_, body = r.get("/translations/" + id)
	_, body = r.post("/translations/"+id+"/withdraw", "shown", field(t, body, "shown"), "passphrase", nodetest.Passphrase)
	says(t, body, en("console.said.translation-withdrawn"), en("console.words.withdrawn"))

	p.Import("tool3.json", "", terminalVersion(3, noroshi.Amber))
	_, body = r.get("/translate/" + terminalTool)
	_, body = r.post("/translate/"+terminalTool, form("do", "suggest")...)
	says(t, body, "nothing was sent")
}

// warningInWords: either language of a warning is drawn from the other; English
// that a machine drew is signed by who has checked it alone.
func warningInWords(t *testing.T, p *nodetest.Party, fails *atomic.Bool) {
	about := string(indicatorHere(t, p, "drawn.example.net"))
	r := newReader(t, p)
	r.signIn("duty")
	base := []string{"about", about, "marking", "tlp:green", "action", "check", "precedence", "immediate", "severity", "high", "title_ja", "港湾への攻撃", "text_ja", "本文です"}
	with := func(more ...string) []string { return append(append([]string{}, base...), more...) }
	fails.Store(true)
	status, body := r.post("/warnings/new", with("do", "suggest-en")...)
	says(t, body, "refused: 503", "港湾への攻撃")
	if status != http.StatusUnprocessableEntity {
		t.Errorf("%d", status)
	}
	fails.Store(false)
	if _, body = r.post("/warnings/new", append(with("do", "suggest-en"), "marking", "tlp:amber")...); !strings.Contains(body, "nothing was sent") {
		t.Errorf("what is AMBER is sent:\n%s", body)
	}
	_, body = r.post("/warnings/new", with("do", "suggest-en")...)
	says(t, body, "Attack on a port", locale.T(locale.EN, "console.words.drawn"))
	drawn := with("title_en", "Attack on a port", "text_en", "The text", "machine", "en")
	_, body = r.post("/warnings/new", append(drawn, "do", "preview")...)
	says(t, body, locale.T(locale.EN, "console.words.machine"), locale.T(locale.EN, "console.words.compared"))
	sign := append(drawn, "do", "sign", "id", field(t, body, "id"), "passphrase", nodetest.Passphrase)
	_, body = r.post("/warnings/new", sign...)
	says(t, body, "must have checked it")
	unmarked := with("title_en", "Attack on a port", "text_en", "The text", "do", "preview")
	_, body = r.post("/warnings/new", unmarked...) // the mark is taken off, and stays
	says(t, body, locale.T(locale.EN, "console.words.machine"), locale.T(locale.EN, "console.words.verbatim"), locale.T(locale.EN, "console.words.compared"))
	own := watch.Draft{ID: objectOf("report", 8), TitleEN: "Attack on a port", TextEN: "The text", TitleJA: "港湾への攻撃", TextJA: "本文です",
		Severity: noroshi.High, Precedence: noroshi.Immediate, Action: "check", Marking: "tlp:green", Refs: []stix.ID{stix.ID(about)}}
	by, err := p.Signed(t.Context(), "duty", noroshi.ActWarn, string(own.ID), own.Bound())
	if err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(web.NewWarning{Draft: own, By: by})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := web.Invoke(t.Context(), p.Node.Services(), "warning.new", input, nil, nil); noroshi.CodeOf(err) != "translation.verbatim" {
		t.Errorf("a machine's words as a person's: %v", err)
	}
	_, body = r.post("/warnings/new", append(unmarked, "text_en", "The text, as somebody wrote it")...)
	if strings.Contains(body, locale.T(locale.EN, "console.words.machine")) {
		t.Errorf("what a person wrote is marked as a machine's:\n%s", body)
	}
	_, body = r.post("/warnings/new", append(sign, "checked", "1")...)
	says(t, body, locale.T(locale.EN, "console.said.warned"), "Attack on a port", locale.T(locale.EN, "console.words.machine"), locale.T(locale.EN, "console.words.checked"))

	// Whoever writes on with a machine's words says so, and asks it for no more of them.
	_, body = r.get("/warnings/new?replaces=" + regexp.MustCompile(`report--[0-9a-f-]{36}`).FindString(body))
	for _, want := range []string{`name="machine" value="en" checked`, `<option value="tlp:green" selected>`} {
		if !strings.Contains(body, want) {
			t.Errorf("the form of what replaces it has no %s:\n%s", want, body)
		}
	}
	status, body = r.post("/warnings/new", append(drawn, "do", "suggest-ja")...)
	says(t, body, locale.T(locale.EN, "error.translate.drawn", "en"))
	if status != http.StatusUnprocessableEntity {
		t.Errorf("%d", status)
	}
	p.Import("japanese.json", "", strings.NewReader(fmt.Sprintf(`[{"type":"report","spec_version":"2.1","id":%[1]q,"lang":"ja","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","published":"2026-01-01T00:00:00Z","name":"和文の表題","description":"和文","object_refs":[%[2]q],"object_marking_refs":[%[3]q],"extensions":{%[4]q:{"extension_type":"property-extension","severity":"high","precedence":"priority","action":"check"}}},
{"type":"language-content","spec_version":"2.1","id":%[5]q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","object_ref":%[1]q,"contents":{"en":{"name":"A title in English","description":"English"}},"object_marking_refs":[%[3]q]}]`,
		objectOf("report", 7), about, noroshi.Green.MarkingID(), noroshi.WarningExtension, objectOf("language-content", 7))))
	_, body = r.get("/warnings/new?replaces=" + string(objectOf("report", 7)))
	for lang, want := range map[string]string{"en": "A title in English", "ja": "和文の表題"} {
		if !regexp.MustCompile(`name="title_` + lang + `"[^>]* value="` + want + `"`).MatchString(body) {
			t.Errorf("the form does not begin with %q in %s:\n%s", want, lang, body)
		}
	}
	red := warnMarked(t, p, noroshi.Red, stix.ID(about), "")
	_, body = r.get("/warnings/new?replaces=" + string(red))
	says(t, body, "vermilion")
	if !strings.Contains(body, `<option value="tlp:red" selected>`) {
		t.Error("what replaces a RED warning begins below it")
	}
	_, body = r.post("/warnings/new", with("replaces", string(red), "do", "suggest-en")...)
	says(t, body, "nothing was sent")
}

// wordsInBrowser looks at the pages with a script, and signs in one.
func wordsInBrowser(t *testing.T, p *nodetest.Party) {
	p.Import("tool4.json", "", terminalVersion(4, noroshi.Green))
	b := consoletest.Open(t, consoleOf(p))
	b.SignIn("duty", nodetest.Passphrase, "ja")
	b.Go("/translate/" + terminalTool)
	b.Leave("button[value=suggest]")
	b.Shows("input[name=machine]")
	look(t, b, "translate-ja")
	b.Click("input[name=checked]")
	b.Type("input[name=passphrase]", nodetest.Passphrase+"\r")
	b.Shows("main .said")
	look(t, b, "translation-ja")
	if wrong := append(b.Axe(), b.Layout()...); len(wrong) > 0 {
		t.Errorf("%v", wrong)
	}
	b.Prefer("theme", "dark")
	b.Prefer("lang", "en")
	b.Size(390, 900)
	b.Go("/translate/" + terminalTool)
	look(t, b, "translate-en-phone")
	if wrong := append(b.Axe(), b.Layout()...); len(wrong) > 0 {
		t.Errorf("%v", wrong)
	}
	var d web.Dossier
	p.Must("indicator.dossier", web.ObjectRef{ID: terminalTool}, &d)
	if len(d.Rendered) != 1 || !d.Rendered[0].Machine || d.Rendered[0].Checker != "duty" {
		t.Errorf("%+v", d.Rendered)
	}
}
