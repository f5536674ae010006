package nodetest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

const translated = stix.ID("tool--00000000-0000-4000-8000-0000000000e1")

// toolOf is a version of it, marked.
func toolOf(day int, mark noroshi.TLP, name string) *strings.Reader {
	return strings.NewReader(fmt.Sprintf(`[{"type":"tool","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-%02dT00:00:00.000Z","name":%q,"description":"a tool","object_marking_refs":[%q]}]`,
		translated, day, name, mark.MarkingID()))
}

// wordsOf writes a translation as a person; changed says what is otherwise in it.
func wordsOf(t *testing.T, p *nodetest.Party, person string, w intake.Wording) (web.TranslationDrawn, error) {
	t.Helper()
	var d web.TranslationDrawn
	if err := p.Do(t.Context(), "translation.draw", w, &d); err != nil {
		return d, err
	}
	by, err := p.Signed(t.Context(), person, noroshi.ActTranslate, string(d.ID), noroshi.Sum([]byte(d.JSON)))
	if err != nil {
		t.Fatal(err)
	}
	return d, p.Do(t.Context(), "translation.write", web.TranslateRef{Wording: d.Wording, By: by}, nil)
}

// checked has a person check a translation as it stands.
func checked(t *testing.T, p *nodetest.Party, person string, id stix.ID) error {
	t.Helper()
	var d web.TranslationDetail
	p.Must("translation.show", web.TranslationRef{ID: id}, &d)
	by, err := p.Signed(t.Context(), person, noroshi.ActCheckTranslation, string(id), d.Hash)
	if err != nil {
		t.Fatal(err)
	}
	return p.Do(t.Context(), "translation.check", web.SignedRef{Subject: string(id), By: by}, nil)
}

// renderedOf is what a party is shown of the translations of the tool.
func renderedOf(t *testing.T, p *nodetest.Party) []web.Rendered {
	t.Helper()
	var d web.Dossier
	p.Must("indicator.dossier", web.ObjectRef{ID: translated}, &d)
	return d.Rendered
}

// TestTranslation: a machine's words stay until a person has checked them; a
// person's are checked by another; who did what is known here and not told; a
// translation whose original changed stays, whoever approved it before.
func TestTranslation(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("tool.json", "", toolOf(1, noroshi.Green, "probe"))
	usa.Settle()
	w := intake.Wording{Of: translated, Version: "2026-01-01T00:00:00.000Z", Lang: "ja", Texts: map[string]string{"name": "探針", "description": "道具"}, Machine: true}
	drawn, err := wordsOf(t, usa, "liaison", w)
	if err != nil {
		t.Fatal(err)
	}
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	if got := renderedOf(t, jpn); len(got) > 0 {
		t.Errorf("a machine's words that nobody checked went: %+v", got)
	}
	why := explained(t, usa, jpn, drawn.ID)
	if !slices.Contains(why, "translation.unchecked") {
		t.Errorf("it is said to stay for %v", why)
	}
	if err := checked(t, usa, "liaison", drawn.ID); err != nil { // who asked the machine is not who translated
		t.Fatal(err)
	}
	if err := checked(t, usa, "duty", drawn.ID); noroshi.CodeOf(err) != "translation.checked" {
		t.Errorf("checked twice: %v", err)
	}
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	here, there := renderedOf(t, usa), renderedOf(t, jpn)
	if len(here) != 1 || len(there) != 1 {
		t.Fatalf("%d translations here, %d there", len(here), len(there))
	}
	if want := (web.Worded{Machine: true, Checked: true, Checker: "liaison", Own: true}); here[0].Worded != want {
		t.Errorf("here %+v", here[0])
	}
	if want := (web.Worded{Machine: true, Checked: true}); there[0].Worded != want || there[0].Name != "探針" {
		t.Errorf("there %+v", there[0])
	}

	// The original changes.
	usa.Import("tool2.json", "", toolOf(2, noroshi.Green, "probe two"))
	usa.Settle()
	if got := renderedOf(t, usa); !got[0].Stale || !slices.Contains(explained(t, usa, jpn, drawn.ID), "translation.other-version") {
		t.Errorf("%+v", got)
	}
	if _, err := wordsOf(t, usa, "duty", w); noroshi.CodeOf(err) != "translation.original" {
		t.Errorf("a translation of the former version: %v", err)
	}
	w.Version, w.Machine = "2026-01-02T00:00:00.000Z", false
	w.Checked = true
	if _, err := wordsOf(t, usa, "duty", w); noroshi.CodeOf(err) != "translation.self" {
		t.Errorf("one's own words checked by oneself: %v", err)
	}
	w.Checked = false
	again, err := wordsOf(t, usa, "duty", w)
	if err != nil || again.ID != drawn.ID {
		t.Fatalf("renewed as %s, %v", again.ID, err)
	}
	if err := checked(t, usa, "duty", drawn.ID); noroshi.CodeOf(err) != "translation.self" {
		t.Errorf("one's own words checked by oneself: %v", err)
	}
	if err := checked(t, usa, "release1", drawn.ID); err != nil {
		t.Fatal(err)
	}
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	if got, want := renderedOf(t, usa)[0], (web.Worded{Checked: true, Translator: "duty", Checker: "release1", Own: true}); got.Worded != want || got.Stale {
		t.Errorf("%+v", got)
	}
	if got := renderedOf(t, jpn)[0]; got.Worded != (web.Worded{Checked: true}) || got.Stale {
		t.Errorf("there %+v", got)
	}
	object, err := jpn.Node.Store.Current(t.Context(), drawn.ID)
	if err != nil || strings.Contains(string(object.Object.Bytes()), "release1") || strings.Contains(string(object.Object.Bytes()), "duty") {
		t.Errorf("a name left: %s, %v", object.Object.Bytes(), err)
	}
	usa.Intact()
}

// explained are the codes of the reasons for what becomes of an object.
func explained(t *testing.T, p, to *nodetest.Party, id stix.ID) (codes []string) {
	t.Helper()
	var list []web.Previewed
	p.Must("release.preview", web.PreviewRef{Subject: string(id), Partner: to.Sign}, &list)
	for _, x := range list {
		for _, r := range x.Rules {
			codes = append(codes, r.Code)
		}
	}
	return codes
}

// TestStaleTranslationIsNotReleased: a translation that waits for two officers
// waits for nobody any more when its original changes, and stays; the original goes
// when officers say that it goes without.
func TestStaleTranslationIsNotReleased(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	ours := func(day int, name string) { // the node's own word
		t.Helper()
		var bodies []json.RawMessage
		err := json.NewDecoder(toolOf(day, noroshi.Amber, name)).Decode(&bodies)
		if err != nil {
			t.Fatal(err)
		}
		o, err := stix.Parse([]byte(strings.Replace(string(bodies[0]), `"created":`, fmt.Sprintf(`"created_by_ref":%q,"created":`, usa.Node.Self.Identity), 1)))
		if err != nil {
			t.Fatal(err)
		}
		p, err := usa.Node.Gate.PrepareObjects(noroshi.Source{Kind: noroshi.FromSelf}, "", []*stix.Object{o})
		if err != nil {
			t.Fatal(err)
		}
		_, err = usa.Node.Store.Do(t.Context(), noroshi.Act{Action: noroshi.ActImport, Subject: name}, func(tx *store.Tx) error {
			_, err := usa.Node.Gate.Admit(tx, p)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ours(1, "probe")
	usa.Settle()
	usa.Approve()
	drawn, err := wordsOf(t, usa, "duty", intake.Wording{Of: translated, Version: "2026-01-01T00:00:00.000Z", Lang: "ja", Texts: map[string]string{"name": "zz-旧訳"}})
	if err != nil {
		t.Fatal(err)
	}
	usa.Settle()
	waits := func() (held bool) {
		t.Helper()
		r, err := usa.Node.Store.Current(t.Context(), drawn.ID)
		if err != nil {
			t.Fatal(err)
		}
		of, err := usa.Node.Store.HeldFor(t.Context(), jpn.Node.Keys.NodeID(), []int64{r.Seq})
		if err != nil {
			t.Fatal(err)
		}
		return len(of) > 0
	}
	if !waits() {
		t.Fatalf("the translation waits for nobody: %v", explained(t, usa, jpn, drawn.ID))
	}
	ours(2, "probe two")
	usa.Settle()
	if waits() {
		t.Error("a stale translation waits for an approval")
	}
	if _, _, err := usa.ApproveHolds(t.Context()); noroshi.CodeOf(err) != "release.old-translation" {
		t.Errorf("approved as if there were no words of before: %v", err)
	}
	var holds []web.HoldRow
	usa.Must("release.list", web.HoldRef{}, &holds)
	for _, h := range holds {
		if err := usa.ApproveWithout(t.Context(), h.ID, []stix.ID{drawn.ID}, "release1", "release2"); err != nil {
			t.Error(err)
		}
	}
	nodetest.Whole(t, usa, jpn)
	if _, err := jpn.Node.Store.Current(t.Context(), translated); err != nil {
		t.Errorf("the original: %v", err)
	}
	if _, err := jpn.Node.Store.Current(t.Context(), drawn.ID); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("the stale translation went: %v", err)
	}
}

// TestSuggestedWords: the service gets what it may have, on record and when a
// person asks, and nothing else; without a service nothing is asked.
func TestSuggestedWords(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var heard []string
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Q, Source, Target string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		mu.Lock()
		heard = append(heard, q.Source+">"+q.Target+" "+q.Q)
		mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]string{"translatedText": "訳:" + q.Q})
	}))
	t.Cleanup(service.Close)
	usa := nodetest.New(t, "USA-01", noroshi.Real)
	usa.Import("tool.json", "", toolOf(1, noroshi.Green, "probe"))
	ask := func(in web.SuggestRef) (out web.Suggested, err error) {
		t.Helper()
		return out, usa.Do(t.Context(), "translation.suggest", in, &out)
	}
	if _, err := ask(web.SuggestRef{Of: translated, To: "ja"}); noroshi.CodeOf(err) != "translate.none" {
		t.Errorf("without a service: %v", err)
	}
	usa.Stop()
	usa.Translate = node.TranslateConfig{URL: service.URL + "/translate", Nets: []string{"127.0.0.0/8"}, UpTo: []string{"TLP:GREEN"}, Inside: true}
	usa.Start()
	out, err := ask(web.SuggestRef{Of: translated, To: "ja"})
	if err != nil || out.Texts["name"] != "訳:probe" || out.Texts["description"] != "訳:a tool" {
		t.Fatalf("%+v, %v", out, err)
	}
	if out, err = ask(web.SuggestRef{Texts: map[string]string{"title": "zz"}, Marking: "tlp:clear", About: []stix.ID{translated}, From: "ja", To: "en"}); err != nil || out.Texts["title"] != "訳:zz" {
		t.Errorf("%+v, %v", out, err)
	}
	mu.Lock()
	if want := []string{"en>ja a tool", "en>ja probe", "ja>en zz"}; !slices.Equal(heard, want) {
		t.Errorf("the service heard %q", heard)
	}
	heard = nil
	mu.Unlock()

	usa.Import("red.json", "", strings.NewReader(strings.ReplaceAll(readAll(t, toolOf(1, noroshi.Red, "zz-canary")), "e1", "e2")))
	usa.Import("bare.json", "", strings.NewReader(`[{"type":"tool","spec_version":"2.1","id":"tool--00000000-0000-4000-8000-0000000000e3","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"zz-canary"}]`))
	portion := fmt.Sprintf(`[{"type":"tool","spec_version":"2.1","id":"tool--00000000-0000-4000-8000-0000000000e4","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"probe","description":"zz-canary","object_marking_refs":[%q],"granular_markings":[{"marking_ref":%q,"selectors":["description"]}]}]`,
		noroshi.Clear.MarkingID(), noroshi.Amber.MarkingID())
	usa.Import("portion.json", "", strings.NewReader(portion))
	for n := 2; n <= 4; n++ {
		id := stix.ID(fmt.Sprintf("tool--00000000-0000-4000-8000-0000000000e%d", n))
		if _, err := ask(web.SuggestRef{Of: id, To: "ja"}); noroshi.CodeOf(err) != "translate.marking" {
			t.Errorf("%s: %v", id, err)
		}
		if _, err := ask(web.SuggestRef{Texts: map[string]string{"x": "zz-canary"}, Marking: "tlp:clear", About: []stix.ID{translated, id}, From: "en", To: "ja"}); noroshi.CodeOf(err) != "translate.marking" {
			t.Errorf("a text about %s: %v", id, err)
		}
	}
	if _, err := ask(web.SuggestRef{Texts: map[string]string{"x": "zz-canary"}, Marking: "tlp:clear", From: "en", To: "ja"}); noroshi.KindOf(err) != noroshi.Invalid {
		t.Errorf("a text about nothing: %v", err)
	}
	mu.Lock()
	if len(heard) > 0 {
		t.Errorf("the service heard %q", heard)
	}
	mu.Unlock()
	entries, err := usa.Node.Store.Acts(t.Context(), 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	var sent []string
	for _, e := range entries {
		if e.Act.Action == noroshi.ActMachineTranslate || e.Act.Action == noroshi.ActMachineWords {
			sent = append(sent, string(e.Act.Action)+" "+e.Act.Label)
		}
	}
	if once := []string{"machine-translate TLP:GREEN", "machine-words TLP:GREEN"}; !slices.Equal(sent, slices.Concat(once, once)) {
		t.Errorf("on record: %v", sent)
	}
}

func readAll(t *testing.T, r *strings.Reader) string {
	t.Helper()
	b := make([]byte, r.Len())
	if _, err := r.Read(b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestWarningInMachineWords: a warning whose Japanese a machine drew goes without
// it, and with it once somebody has checked; one whose English it drew is signed
// by who has checked that alone.
func TestWarningInMachineWords(t *testing.T) {
	t.Parallel()
	usa, jpn := nodetest.Alliance(t, noroshi.Real)
	usa.Import("tool.json", "", toolOf(1, noroshi.Green, "probe"))
	d := watch.Draft{ID: stix.NewID("report"), TitleEN: "title", TitleJA: "表題", TextEN: "text", TextJA: "本文", Severity: noroshi.High,
		Precedence: noroshi.Immediate, Action: "check", Refs: []stix.ID{translated}, Marking: "tlp:green", Machine: "en"}
	sign := func() error {
		by, err := usa.Signed(t.Context(), "duty", noroshi.ActWarn, string(d.ID), d.Bound())
		if err != nil {
			t.Fatal(err)
		}
		return usa.Do(t.Context(), "warning.new", web.NewWarning{Draft: d, By: by}, nil)
	}
	if err := sign(); noroshi.CodeOf(err) != "warning.unchecked" {
		t.Errorf("English that nobody checked: %v", err)
	}
	d.Machine = "ja"
	if err := sign(); err != nil {
		t.Fatal(err)
	}
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	shown := func(p *nodetest.Party) (w web.WarningDetail) {
		t.Helper()
		p.Must("warning.show", web.ObjectRef{ID: d.ID}, &w)
		return w
	}
	here, there := shown(usa), shown(jpn)
	if here.TitleJA != "" || len(here.Translations) != 1 || here.Translations[0].Worded != (web.Worded{Machine: true, Own: true}) {
		t.Errorf("here %q, %+v", here.TitleJA, here.Translations)
	}
	if there.Title != "title" || len(there.Translations) > 0 {
		t.Errorf("there %q, %+v", there.Title, there.Translations)
	}
	if err := checked(t, usa, "duty", here.Translations[0].ID); err != nil {
		t.Fatal(err)
	}
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	if there = shown(jpn); there.TitleJA != "表題" || shown(usa).TitleJA != "表題" || len(there.Translations) != 1 || there.Translations[0].Worded != (web.Worded{Machine: true, Checked: true}) {
		t.Errorf("there %q, %+v", there.TitleJA, there.Translations)
	}
}
