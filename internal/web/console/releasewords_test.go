package console_test

import (
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console"
	"github.com/noroshi-cti/noroshi/stix"
)

const (
	logbook = "note--00000000-0000-4000-8000-0000000000b3"      // withheld
	login   = "indicator--00000000-0000-4000-8000-0000000000b2" // goes under another name
	nowhere = "report--00000000-0000-4000-8000-0000000000b9"    // held nowhere
	red     = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
)

var called = map[stix.ID]web.Named{
	logbook: {Type: "note", Name: "保守記録"},
	login:   {Type: "indicator", Name: "遠隔ログイン", Sees: "login"},
}

// TestReasonsNameFields: what a rule said is told as the fields beside it are called
// and by the names of objects, not in the words of STIX.
func TestReasonsNameFields(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		reason noroshi.Reason
		en, ja string
	}{
		{noroshi.Reason{Code: "closure.cut", Args: []string{"object_refs.[1]", logbook}},
			"“About” goes without 保守記録 (note), which the partner does not get", "「対象」のうち、提供対象外のものへの参照を削除：保守記録（注記）"},
		{noroshi.Reason{Code: "closure.required", Args: []string{"target_ref", nowhere}},
			"“Target” refers to something the partner does not get: " + nowhere + " (report)", "「関係先」の参照先が提供対象外：" + nowhere + "（報告）"},
		{noroshi.Reason{Code: "closure.nothing-left", Args: []string{"indicator"}},
			"nothing would be left of “indicator”", "「脅威指標」に残る内容なし"},
		{noroshi.Reason{Code: "granular.cut", Marking: red, Args: []string{"external_references.[0].url"}},
			"“Reference › address” is cut out: its own marking TLP:RED lets less go than the object's", "「参照 › アドレス」を削除：部分の取扱区分 TLP:RED がオブジェクト全体より厳しい"},
		{noroshi.Reason{Code: "generalise.hour", Clause: "2", Args: []string{"first_seen"}},
			"clause 2 gives “First seen” to the hour", "条項 2 により「初回観測」を時単位に一般化"},
		{noroshi.Reason{Code: "translation.cut", Args: []string{"contents.ja.description"}},
			"“Translation › Japanese › Description” is cut out: it translates what is cut out of the original", "「翻訳 › 日本語 › 説明」を削除：原文で削除した箇所の翻訳"},
		{noroshi.Reason{Code: "translation.other-version", Args: []string{"2026-11-24T05:20:00.000Z"}},
			"it translates the version of Tue 24 Nov 2026 14:20 JST, not the current one: renew the translation, or withdraw it", "2026年11月24日(火)14:20 JST の版の翻訳であり、現在の版に未対応（翻訳の更新又は取下げが必要）"},
		{noroshi.Reason{Code: "agreement.type", Args: []string{"intrusion-set"}},
			"the agreement lets no object of type “intrusion set” go", "型「攻撃集団」のオブジェクトは取決めの提供対象外"},
		{noroshi.Reason{Code: "new.rule", Args: []string{"x"}}, "new.rule x", "new.rule x"},
	} {
		for l, want := range map[locale.Lang]string{locale.EN: x.en, locale.JA: x.ja} {
			if got := console.RuleText(l, called, web.Spoken{Reason: x.reason}); got != want {
				t.Errorf("%s in %s: got %q, want %q", x.reason.Code, l, got, want)
			}
		}
	}
}

// TestFieldsInWords: a reference is told by a name, the partner's side by none but
// what the partner gets; a word of STIX in the reader's language; anything else as
// it stands.
func TestFieldsInWords(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		path, value    string
		here, there    string
		hereID, thenID string
	}{
		{"object_refs", login, "遠隔ログイン（脅威指標）", "login（脅威指標）", login, login},
		{"object_refs", logbook, "保守記録（注記）", logbook, logbook, ""},
		{"object_ref", nowhere, nowhere, nowhere, "", ""},
		{"report_types", "threat-report", "脅威報告", "脅威報告", "", ""},
		{"report_types", "malware", "マルウェア", "マルウェア", "", ""},
		{"report_types", "x-own", "x-own", "x-own", "", ""},
		{"extensions." + string(noroshi.WarningExtension) + ".severity", "high", "高", "高", "", ""},
		{"lang", "ja", "日本語", "日本語", "", ""},
		{"granular_markings.[0].selectors", "labels.[1]", "ラベル", "ラベル", "", ""},
		{"name", "high", "high", "high", "", ""},
	} {
		if text, id := console.Said(locale.JA, called, x.path, x.value, false); text != x.here || id != x.hereID {
			t.Errorf("%s %s, held: %q %q", x.path, x.value, text, id)
		}
		if text, id := console.Said(locale.JA, called, x.path, x.value, true); text != x.there || id != x.thenID {
			t.Errorf("%s %s, at the partner: %q %q", x.path, x.value, text, id)
		}
	}
}
