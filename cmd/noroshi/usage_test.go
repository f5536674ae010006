package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"github.com/noroshi-cti/noroshi/internal/locale"
)

// TestUsageSpeaksTheUsersLanguage: what the parser says in English about a
// wrong command line is said in the user's language, with exit code 2.
func TestUsageSpeaksTheUsersLanguage(t *testing.T) {
	for _, tt := range []struct{ line, en, ja string }{
		{"paraglide", "paraglide is not expected here", "paraglide というコマンドや引数はここでは使えません"},
		{"statu", "there is no statu here (nearest: status)", "statu というコマンドや引数はありません（候補：status）"},
		{"status --wiat", "there is no flag --wiat (nearest: --wait)", "オプション --wiat はありません（候補：--wait）"},
		{"status --zzzzzzz", "there is no flag --zzzzzzz", "オプション --zzzzzzz はありません"},
		{"status -o xml", "--output must be one of table, json, jsonl, csv, not “xml”", "（使える値：table, json, jsonl, csv）"},
		{"demo --break x", "must be one of link, not", "（使える値：link）"},
		{"release", "a command is missing (list, show, approve, return, defer, ...)", "コマンドがありません（list, show, approve, return, defer, ... のいずれかを指定）"},
		{"release show", "missing: <hold>", "必須の引数がありません（<hold>）"},
		{"warning new --title-en x", "missing: --about=ID, --action=CODE, --as=PERSON, --text-en=TEXT, --text-ja=TEXT, --title-ja=TEXT", "必須のオプションがありません（--about=ID, "},
		{"status --dir", "--dir needs a value", "--dir に値がありません"},
		{"status --dir --quiet", "--dir needs a value", "--dir に値がありません"},
		{"person add x --role", "--role needs a value", "--role に値がありません"},
		{"indicator find x --limit abc", "--limit must be a whole number, not “abc”", "--limit は整数で指定します（入力：「abc」）"},
		{"quarantine decide x --as y", "missing: --apply or --close", "必須のオプションがありません（--apply 又は --close）"},
		{"audit prove x", "<index> must be a whole number", "<index> は整数で指定します"},
		{"audit prove -1", "there is no flag", "オプション"},
		{"warning new --due 3x", "--due must be a time such as 30m or 2h, not “3x”", "時間で指定します"},
		{"demo --once --stay", "--once and --stay cannot be used together", "--once と --stay は同時に指定できません"},
		{"init --yes=3", "--yes must be true or false, not “3”", "true か false で指定します"},
	} {
		for lang, want := range map[string]string{"en": tt.en, "ja": tt.ja} {
			var out, err bytes.Buffer
			code := run(t.Context(), append(strings.Fields(tt.line), "--lang="+lang), stdio{strings.NewReader(""), &out, &err})
			if code != exitUsage || out.Len() > 0 || !strings.Contains(err.String(), want) {
				t.Errorf("%s (%s): exit code %d, got %q, want %q", tt.line, lang, code, err.String(), want)
			}
		}
	}
}

// TestReleaseTestSaysWhatIsMissing: of a folder without its files is said which
// one it lacks, in the user's language alone.
func TestReleaseTestSaysWhatIsMissing(t *testing.T) {
	for _, folder := range []string{t.TempDir(), "there-is-none"} {
		for lang, want := range map[string]string{"en": "There is no expected.json in the folder.", "ja": "フォルダーに expected.json がありません。"} {
			var out, err bytes.Buffer
			code := run(t.Context(), []string{"release", "test", folder, "--lang", lang}, stdio{strings.NewReader(""), &out, &err})
			if code != exitNotFound || !strings.Contains(err.String(), want) || strings.Contains(err.String(), "no such file") {
				t.Errorf("%s: exit code %d: %s", lang, code, err.String())
			}
		}
	}
}

// TestAlone: without a command it greets, in the language it is told.
func TestAlone(t *testing.T) {
	t.Chdir(t.TempDir())
	for line, want := range map[string]int{"": exitOK, "--lang ja": exitOK, "--lang=en": exitOK, "--lang fr": exitUsage, "--lang": exitUsage, "-q": exitUsage} {
		var out, err bytes.Buffer
		code := run(t.Context(), strings.Fields(line), stdio{strings.NewReader(""), &out, &err})
		if code != want || (code == exitOK) != (out.Len() > 0) {
			t.Errorf("noroshi %s: exit code %d\n%s%s", line, code, out.String(), err.String())
		}
		if greeting := locale.T(locale.JA, "cli.welcome"); line == "--lang ja" && !strings.Contains(out.String(), greeting) {
			t.Errorf("not in Japanese: %s", out.String())
		}
	}
}

// TestUsageInJSON: under -o json wrong usage is JSON too, on stderr.
func TestUsageInJSON(t *testing.T) {
	for _, line := range []string{"paraglide -o json", "paraglide -ojson", "paraglide --output=jsonl", "-o json status --wiat"} {
		var out, err bytes.Buffer
		code := run(t.Context(), strings.Fields(line), stdio{strings.NewReader(""), &out, &err})
		if code != exitUsage || out.Len() > 0 || !strings.HasPrefix(err.String(), `{"error":{"code":"cli.usage","message":`) {
			t.Errorf("%s: exit code %d, stderr %q", line, code, err.String())
		}
	}
}

// TestHelpSpeaksTheUsersLanguage: no help of a command lacks a text, and every
// line that explains something does so in Japanese when asked to.
func TestHelpSpeaksTheUsersLanguage(t *testing.T) {
	for _, path := range commandPaths(t) {
		for _, lang := range []string{"en", "ja"} {
			var out, err bytes.Buffer
			code := run(t.Context(), append(strings.Fields(path), "--help", "--lang="+lang), stdio{strings.NewReader(""), &out, &err})
			if code != exitOK || err.Len() > 0 || strings.Contains(out.String(), "⟦") || strings.Contains(out.String(), "${") {
				t.Errorf("%s (%s): exit code %d\n%s%s", path, lang, code, out.String(), err.String())
			}
			if lang == "en" {
				continue
			}
			for l := range strings.Lines(out.String()) {
				words := strings.Fields(l)
				explains := len(words) > 1 && strings.HasPrefix(l, "  ") && words[0] != "noroshi"
				if explains && strings.IndexFunc(l, func(r rune) bool { return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) }) < 0 {
					t.Errorf("%s: not in Japanese: %q", path, l)
				}
			}
		}
	}
}
