package web_test

import (
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

func TestBanner(t *testing.T) {
	agreed := noroshi.Kubuns{"秘": noroshi.Confidential, "極秘": noroshi.Secret, "特定秘密": noroshi.Secret}
	for _, x := range []struct{ label, en, ja string }{
		{"UNMARKED", "UNMARKED", "取扱区分なし"},
		{"TLP:AMBER+STRICT", "TLP:AMBER+STRICT", "TLP:AMBER+STRICT"},
		{"TLP:GREEN;EXERCISE:ex-1", "TLP:GREEN // EXERCISE ex-1", "TLP:GREEN // 演習 ex-1"},
		{"JPN:秘,JPN.MOD,KOR/USA", "秘 = CONFIDENTIAL, originator JPN.MOD, for KOR/USA", "秘（秘密区分 CONFIDENTIAL 相当）（作成機関 JPN.MOD）、提供先 KOR/USA"},
		{"JPN:機密,JPN.MOD", "機密 (no equivalent agreed), originator JPN.MOD", "機密（相当する秘密区分の取決めなし）（作成機関 JPN.MOD）"},
		{"ACS:S,USA.DOD,priv-,share-,nat=JPN/USA", "SECRET = 極秘/特定秘密, custodian USA.DOD, for JPN/USA", "秘密区分 SECRET（極秘/特定秘密 相当）（管理機関 USA.DOD）、提供先 JPN/USA"},
		{"ACS:U,USA.DOD,priv-,share-,formal=FOUO,sens=LES", "UNCLASSIFIED/FOUO/LES, custodian USA.DOD", "UNCLASSIFIED（秘密区分なし）/FOUO/LES（管理機関 USA.DOD）"},
		{"IEP:GREEN,2026-01-01T00:00:00Z", "IEP TLP:GREEN", "情報交換方針 IEP TLP:GREEN"},
		{"TLP:GREEN;?granular", "TLP:GREEN // NOT UNDERSTOOD: a granular marking is malformed or marks nothing", "TLP:GREEN // 解釈不能：部分の取扱区分に不備、又は対象項目なし"},
	} {
		l, err := noroshi.KeptLabel(x.label)
		if err != nil {
			t.Fatal(x.label, err)
		}
		if got := web.Banner(locale.EN, l, agreed); got != x.en {
			t.Errorf("%s: got %q, want %q", x.label, got, x.en)
		}
		if got := web.Banner(locale.JA, l, agreed); got != x.ja {
			t.Errorf("%s: got %q, want %q", x.label, got, x.ja)
		}
	}
	if got := web.Banner(locale.EN, noroshi.Label{IEP: []noroshi.IEP{{TLP: noroshi.Red, Start: time.Time{}}}}, nil); got != "IEP TLP:RED" {
		t.Errorf("got %q", got)
	}
}

// TestToneOf: a band has the colour of the strictest marking it says.
func TestToneOf(t *testing.T) {
	t.Parallel()
	for label, want := range map[string]web.Tone{
		"UNMARKED":                               web.ToneOpen,
		"TLP:CLEAR":                              web.ToneClear,
		"TLP:GREEN;EXERCISE:ex-1":                web.ToneGreen,
		"TLP:AMBER+STRICT":                       web.ToneAmber,
		"TLP:RED":                                web.ToneRed,
		"TLP:GREEN;?granular":                    web.ToneRed,
		"IEP:AMBER,2026-01-01T00:00:00Z":         web.ToneAmber,
		"JPN:公開,JPN.MOD":                         web.ToneOpen,
		"JPN:部内限り,JPN.MOD":                       web.ToneInternal,
		"TLP:RED;JPN:秘,JPN.MOD":                  web.ToneConfidential,
		"JPN:極秘,JPN.MOD":                         web.ToneSecret,
		"JPN:特定秘密,JPN.MOD":                       web.ToneTopSecret,
		"ACS:U,USA.DOD,priv-,share-":             web.ToneOpen,
		"ACS:S,USA.DOD,priv-,share-,nat=JPN/USA": web.ToneSecret,
		"ACS:TS,USA.DOD,priv-,share-":            web.ToneTopSecret,
	} {
		l, err := noroshi.KeptLabel(label)
		if err != nil {
			t.Error(label, err)
		}
		if got := web.ToneOf(l); got != want {
			t.Errorf("%s: tone %d, want %d", label, got, want)
		}
	}
}
