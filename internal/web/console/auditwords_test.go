package console_test

import (
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestRecordInWords: what the node wrote down for itself about paths and
// checkpoints is read in words; what it does not know it shows as it stands.
func TestRecordInWords(t *testing.T) {
	t.Parallel()
	p := nodetest.New(t, "JPN-01", noroshi.Real)
	r := newReader(t, p)
	r.signIn("admin")
	r.post("/prefer", "lang", "ja")
	said := map[string]noroshi.Act{
		"HTTPS → メール（従来の経路に応答なし）":               {Action: noroshi.ActChangePath, Subject: "https > mail, silent"},
		"経路なし → HTTPS（優先する経路が応答）":               {Action: noroshi.ActChangePath, Subject: "- > https, better"},
		"duty：127.0.0.1 からの署名（パスフレーズの誤り）":       {Action: noroshi.ActRefuse, Subject: "sign 127.0.0.1 duty person.passphrase-wrong"},
		"only-analyst：report--1 に対する受領確認（権限なし）": {Action: noroshi.ActRefuse, Subject: "warning.ack report--1 only-analyst api.forbidden"},
		"?：127.0.0.1 からの要員登録（招待番号の誤り又は使用済み）":    {Action: noroshi.ActRefuse, Subject: "join 127.0.0.1 ? console.join-code"},
		"by an older program": {Action: noroshi.ActChangePath, Subject: "by an older program"},
		"確認点（365件目まで）":        {Action: noroshi.ActCosign, Subject: "checkpoint 365"},
	}
	for _, act := range said {
		act.Precedence = noroshi.Routine
		if _, err := p.Node.Store.Do(t.Context(), act, func(*store.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	_, body := r.get("/audit")
	for want := range said {
		if !strings.Contains(html.UnescapeString(body), want) {
			t.Errorf("the record does not say %q:\n%s", want, body)
		}
	}
}

var faultAt = regexp.MustCompile(`(?:fault\([^\n]*?"([a-z-]+)"|\bdiffers\()(?:, )?"([a-z-]+)", [^\n]*"`)

// TestFaultsInWords: whatever verifying finds is said in both languages.
func TestFaultsInWords(t *testing.T) {
	t.Parallel()
	files, _ := glob(t, "../../store/*.go")
	found := 0
	for name, b := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for line := range strings.SplitSeq(string(b), "\n") {
			m := faultAt.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			if m[1] == "" {
				m[1] = "derived"
			}
			if found++; !locale.Has("fault." + m[1] + "." + m[2]) {
				t.Errorf("%s: no words for %s: %s", name, m[0], m[2])
			}
		}
	}
	if found < 45 {
		t.Errorf("only %d faults found", found)
	}
}
