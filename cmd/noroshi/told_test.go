package main

import (
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestToldInTheReadersLanguage: what is kept of an error is said in the language of
// who reads it, its cause too; in English, and for scripts, as it was told.
func TestToldInTheReadersLanguage(t *testing.T) {
	t.Parallel()
	refused := noroshi.Errorf(noroshi.Queued, "https.refused", "endpoint %s refuses connections", "https://a")
	silent := noroshi.Tell(noroshi.Errorf(noroshi.Queued, "courier.no-answer", "%s did not answer in time: %w", "JPN-01", refused))
	ja, en, csv := &cli{lang: locale.JA}, &cli{lang: locale.EN}, &cli{lang: locale.JA, Output: "csv"}
	for _, c := range []struct {
		name      string
		got, want string
	}{
		{"an error with its cause", ja.told(silent), "JPN-01 から時間内に応答がありません（詳細：接続先 https://a が接続を拒否しています）"},
		{"without words of its own", ja.told(noroshi.Told{Message: "cut"}), "cut"},
		{"in English", en.told(silent), silent.Message},
		{"for scripts", csv.told(silent), silent.Message},
		{"in quarantine", ja.whyQuarantined("label", noroshi.Tell(noroshi.Errorf(noroshi.Invalid, "intake.label-above", "marked %s in a message of %s", "tlp:red", "tlp:green"))),
			"運んだ電文より厳しい取扱区分の表示（詳細：取扱区分は tlp:red で、tlp:green の電文で届きました）"},
		{"in quarantine with no more to say", ja.whyQuarantined("message.closed", noroshi.Told{}), "適用せずに終了した電文（先頭部分を保管）"},
		{"a check", ja.checked(web.Check{Code: "link-down", Args: []string{"JPN-01", refused.Msg}, Why: noroshi.Tell(refused)}), "JPN-01 は不通です：接続先 https://a が接続を拒否しています"},
		{"a check without an error", ja.checked(web.Check{Code: "link-down", Args: []string{"JPN-01", ""}}), "JPN-01 は不通です："},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
}
